"""Max and average pooling as C functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minicnn import kernels, ops
from minicnn.device import to_host
from minicnn.kernels import Array
from minicnn.nn import AvgPool2d, MaxPool2d

from .step import Place, Step, to_int8
from .text import number as c_number
from .text import sizes

Pair = tuple[int, int]


@dataclass(frozen=True)
class Pool(Step):
    """A layer that makes one number of each window.

    Attributes:
        kernel_size, stride, padding, dilation: pairs of rows and columns.
    """

    kernel_size: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    word = "pool"

    def parts(self, number: int) -> dict[str, Any]:
        (c, h, w), (_, oh, ow) = self.input_shape, self.output_shape
        named = {"C": c, "H": h, "W": w, "OH": oh, "OW": ow}
        pairs = (self.kernel_size, self.stride, self.padding, self.dilation)
        for letter, (rows, cols) in zip("KSPD", pairs, strict=True):
            named |= {f"{letter}H": rows, f"{letter}W": cols}
        return {"sizes": sizes(**named), "inside": SKIP if self._leaves_the_picture() else ""}

    def _leaves_the_picture(self) -> bool:
        """Whether a window reaches beyond the picture."""
        sizes = zip(self.input_shape[1:], self.output_shape[1:], strict=True)
        window = zip(self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        after = any(
            (out - 1) * s - p + (k - 1) * d >= size
            for (size, out), (k, s, p, d) in zip(sizes, window, strict=True)
        )
        return after or any(self.padding)


SKIP = """
                        if (h < 0 || h >= H || w < 0 || w >= W)
                            continue; /* beyond the edge */"""


@dataclass(frozen=True)
class MaxPool(Pool):
    """The largest value of each window."""

    word = "max_pool"
    what = "Each output is the largest value of a window."
    keeps_scale = True
    template = """
static void $name(const $x *x, $y *y)
{
    $sizes

    for (int c = 0; c < C; c++)
        for (int oh = 0; oh < OH; oh++)
            for (int ow = 0; ow < OW; ow++) {
                $y largest = $lowest;
                for (int i = 0; i < KH; i++)
                    for (int j = 0; j < KW; j++) {
                        const int h = oh * SH + i * DH - PH, w = ow * SW + j * DW - PW;$inside
                        const $x value = x[(c * H + h) * W + w];
                        if (value > largest$or_nan)
                            largest = value;
                    }
                y[(c * OH + oh) * OW + ow] = largest;
            }
}
"""

    def parts(self, number: int) -> dict[str, Any]:
        is_float = self.x_type == "float"
        return {
            **super().parts(number),
            "lowest": "-INFINITY" if is_float else "-127",
            "or_nan": " || isnan(value)" if is_float else "",
        }

    def compute(self, x: Array) -> Array:
        window = self.kernel_size, self.stride, self.padding, self.dilation
        _, oh, ow = self.output_shape
        y, _ = kernels.of(x).max_pool(x.astype(np.float32), *window, (oh, ow))
        return y.astype(x.dtype)


@dataclass(frozen=True)
class AvgPool(Pool):
    """The mean of each window.

    Attributes:
        divisor: float32 (OH, OW), how many cells each window counts.
        scale: of int8 alone: what 1 in a sum stands for, in units of the output.
    """

    divisor: Array = None
    scale: Array | None = None

    word = "avg_pool"
    what = "Each output is the mean of a window."
    template = """
static void $name(const $x *x, $y *y)
{
    $sizes

    for (int c = 0; c < C; c++)
        for (int oh = 0; oh < OH; oh++)
            for (int ow = 0; ow < OW; ow++) {
                $sum sum = 0;
                for (int i = 0; i < KH; i++)
                    for (int j = 0; j < KW; j++) {
                        const int h = oh * SH + i * DH - PH, w = ow * SW + j * DW - PW;$inside
                        sum += x[(c * H + h) * W + w];
                    }
                y[(c * OH + oh) * OW + ow] = $result;
            }
}
"""

    def constants(self) -> dict[str, Array]:
        return {} if self._divides_alike() else {"divisor": self.divisor}

    def _divides_alike(self) -> bool:
        return bool((self.divisor == self.divisor[0, 0]).all())

    def parts(self, number: int) -> dict[str, Any]:
        alike, at = c_number(self.divisor[0, 0]), f"divisor_{number}[oh][ow]"
        divisor = alike if self._divides_alike() else at
        sum_type, result = "float", f"sum / {divisor}"
        if self.scale is not None:
            sum_type = "int32_t"
            result = f"to_int8((float)sum * {c_number(self.scale)} / {divisor})"
        return {**super().parts(number), "sum": sum_type, "result": result}

    def compute(self, x: Array) -> Array:
        window = self.kernel_size, self.stride, self.padding
        if self.scale is None:
            return kernels.of(x).avg_pool(x, self.divisor, *window)
        sums = kernels.of(x).avg_pool(x.astype(np.float64), np.ones(self.divisor.shape), *window)
        return to_int8(sums.astype(np.float32) * self.scale / self.divisor)

    def quantised(self, x_step: float, y_step: float) -> AvgPool:
        step = super().quantised(x_step, y_step)
        return replace(step, scale=np.float32(x_step / y_step))


def max_from_layer(layer: MaxPool2d, operation: ops.MaxPool2d, place: Place) -> MaxPool:
    """The step of a max pooling."""
    return MaxPool(*place, *operation.window[:4])


def avg_from_layer(layer: AvgPool2d, operation: ops.AvgPool2d, place: Place) -> AvgPool:
    """The step of an average pooling."""
    divisor = to_host(operation.divisor).astype(np.float32)
    return AvgPool(*place, *operation.window, divisor=divisor)
