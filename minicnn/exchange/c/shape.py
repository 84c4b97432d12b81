"""A frame of zeros as a C function; and layers that compute nothing, of which none is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from minicnn import nn, ops
from minicnn.kernels import Array

from .step import Place, Step
from .text import sizes


@dataclass(frozen=True)
class Frame(Step):
    """A picture with zeros around it.

    Attributes:
        widths: left, right, top, bottom; what is negative is cut off.
    """

    widths: tuple[int, int, int, int] = (0, 0, 0, 0)

    word = "pad"
    what = "The picture in a frame of zeros."
    keeps_scale = True
    template = """
static void $name(const $x *x, $y *y)
{
    $sizes

    for (int c = 0; c < C; c++)
        for (int oh = 0; oh < OH; oh++)
            for (int ow = 0; ow < OW; ow++) {
                const int h = oh - TOP, w = ow - LEFT;
                const int inside = h >= 0 && h < H && w >= 0 && w < W;
                y[(c * OH + oh) * OW + ow] = inside ? x[(c * H + h) * W + w] : 0;
            }
}
"""

    def parts(self, number: int) -> dict[str, Any]:
        *channels, h, w = self.input_shape
        oh, ow = self.output_shape[-2:]
        left, _, top, _ = self.widths
        named = {"C": math.prod(channels), "H": h, "W": w, "OH": oh, "OW": ow}
        return {"sizes": sizes(**named, TOP=top, LEFT=left)}

    def compute(self, x: Array) -> Array:
        left, right, top, bottom = self.widths
        outer = ((0, 0),) * (x.ndim - 2)
        return ops.Pad((*outer, (top, bottom), (left, right))).forward(x)


def pad_from_layer(layer: nn.ZeroPad2d, operation: ops.Pad, place: Place) -> Frame:
    """The step of a frame of zeros.

    Raises:
        ValueError: there are only rows of features, and it would add rows.
    """
    if len(place.input_shape) < 2:
        raise ValueError(f"{place.title} joins the pictures of a batch")
    left, right, top, bottom = layer.padding
    return Frame(*place, (left, right, top, bottom))


def from_layer(layer: Any, operation: Any, place: Place) -> None:
    """No step. The cells of a picture stay where they are: in row order."""


def flatten_from_layer(layer: Any, operation: Any, place: Place) -> None:
    """No step: flattened cells are the same cells in the same order.

    Raises:
        ValueError: the pictures of a batch become one row.
    """
    axes = len(place.input_shape) + 1
    if layer.start_dim % axes == 0 and layer.end_dim % axes != 0:
        raise ValueError(f"{place.title} joins the pictures of a batch")
