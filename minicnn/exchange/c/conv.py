"""The convolution as a C function."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minicnn import ops
from minicnn.kernels import Array
from minicnn.nn import Conv2d, arguments
from minicnn.nn import functional as F
from minicnn.tensor import Tensor

from .norm import Scale
from .step import Place, Weighted, floats, summands
from .text import sizes

Pair = tuple[int, int]


@dataclass(frozen=True)
class Conv(Weighted):
    """y[o, oh, ow] = b[o] + sum W[o, c, i, j] x[c, oh SH - PH + i DH, ow SW - PW + j DW].

    Attributes:
        stride, padding, dilation: pairs of rows and columns; padding is what lies before the first
            row and column.
        groups: how many groups of channels are convolved by themselves.
    """

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    word = "conv"
    what = (
        "Each output is the sum of the products of a kernel with the window of the picture below "
        "it, plus a bias."
    )
    template = """
static void $name(const $x *x, $y *y)
{
    $sizes

    for (int o = 0; o < O; o++)
        for (int oh = 0; oh < OH; oh++)
            for (int ow = 0; ow < OW; ow++) {
                $sum sum = $start;
                for (int c = 0; c < $channels; c++)
                    for (int i = 0; i < KH; i++)
                        for (int j = 0; j < KW; j++) {
                            const int h = oh * SH + i * DH - PH, w = ow * SW + j * DW - PW;$inside
                            sum += weight_$number[o][c][i][j] * x[($channel * H + h) * W + w];
                        }
                y[(o * OH + oh) * OW + ow] = $result;
            }
}
"""

    def parts(self, number: int) -> dict[str, Any]:
        (c, h, w), (o, oh, ow), (kh, kw) = self.input_shape, self.output_shape, self.kernel_size
        named = {"C": c, "H": h, "W": w, "O": o, "OH": oh, "OW": ow, "KH": kh, "KW": kw}
        for letter, (rows, cols) in zip("SPD", self.window, strict=True):
            named |= {f"{letter}H": rows, f"{letter}W": cols}
        if self.groups > 1:  # of this many input and output channels
            named |= {"CG": c // self.groups, "OG": o // self.groups}
        return {
            "number": number,
            "sizes": sizes(**named),
            "channels": "CG" if self.groups > 1 else "C",
            "channel": "(o / OG * CG + c)" if self.groups > 1 else "c",
            "inside": SKIP if any((*self.padding, *self._cells_after())) else "",
            **self.sum_parts(number),
        }

    @property
    def kernel_size(self) -> Pair:
        rows, cols = self.weight.shape[2:]
        return rows, cols

    @property
    def window(self) -> tuple[Pair, Pair, Pair]:
        return self.stride, self.padding, self.dilation

    def _cells_after(self) -> Pair:
        """How many rows and columns beyond the picture's end the windows reach."""
        axes = zip(
            self.input_shape[1:], self.output_shape[1:], self.kernel_size, *self.window, strict=True
        )
        rows, cols = (
            max(0, (out - 1) * s - p + (k - 1) * d + 1 - size) for size, out, k, s, p, d in axes
        )
        return rows, cols

    def compute(self, x: Array) -> Array:
        frame = zip(self.padding, self._cells_after(), strict=True)
        terms = self.weight[0].size
        framed = np.pad(summands(x, terms), ((0, 0), (0, 0), *frame))
        stride, _, dilation = self.window
        weight = Tensor(summands(self.weight, terms))
        sums = F.conv2d(Tensor(framed), weight, None, stride, 0, dilation, self.groups)
        return self.of_sums(sums.numpy())

    def scaled(self, after: Scale) -> Conv:
        """The convolution with the batch normalisation after it folded in."""
        with np.errstate(over="ignore"):  # what is too large for float32 is refused later
            weight = (self.weight * after.scale.reshape(-1, 1, 1, 1)).astype(np.float32)
            bias = (self.bias * after.scale + after.shift).astype(np.float32)
        return replace(self, title=f"{self.title}, then {after.title}", weight=weight, bias=bias)


SKIP = """
                            if (h < 0 || h >= H || w < 0 || w >= W)
                                continue; /* beyond the edge, where the picture is 0 */"""


def from_layer(layer: Conv2d, operation: ops.Operation, place: Place) -> Conv:
    """The step of a convolution."""
    stride, padding, dilation = arguments.convolution_window(
        "Conv2d", layer.stride, layer.padding, layer.dilation
    )
    if isinstance(padding, str):  # 'same': an odd number of zeros puts the odd one at the end
        rows, cols = (d * (k - 1) // 2 for d, k in zip(dilation, layer.kernel_size, strict=True))
        padding = rows, cols
    weights = floats(layer.weight, layer.bias)
    return Conv(*place, *weights, None, stride, padding, dilation, layer.groups)
