"""A scale and a shift for each channel as a C function: batch normalisation, and the pixels'."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minicnn import nn, ops
from minicnn.kernels import Array

from .step import Place, Step, to_int8
from .text import sizes


@dataclass(frozen=True)
class Scale(Step):
    """y = scale[c] x + shift[c].

    Attributes:
        scale, shift: float64, (C,).
    """

    scale: Array = None
    shift: Array = None

    word = "norm"
    what = "Each channel is multiplied by a scale of its own, and a shift is added."
    cell_by_cell = True
    template = """
static void $name(const $x *x, $y *y)
{
    $sizes

    for (int c = 0; c < C; c++)
        for (int i = 0; i < CELLS; i++)
            y[c * CELLS + i] = $result;
}
"""

    def constants(self) -> dict[str, Array]:
        return {"scale": self.scale.astype(np.float32), "shift": self.shift.astype(np.float32)}

    def parts(self, number: int) -> dict[str, Any]:
        channels, *cells = self.input_shape
        x = "x[c * CELLS + i]"
        result = f"{x} * scale_{number}[c] + shift_{number}[c]"
        return {
            "sizes": sizes(C=channels, CELLS=math.prod(cells)),
            "result": f"to_int8({result})" if self.y_type == "int8_t" else result,
        }

    def compute(self, x: Array) -> Array:
        along = (-1, *[1] * (x.ndim - 2))
        scale, shift = (c.reshape(along) for c in self.constants().values())
        y = x.astype(np.float32) * scale + shift
        return to_int8(y) if self.y_type == "int8_t" else y

    def quantised(self, x_step: float, y_step: float) -> Scale:
        step = super().quantised(x_step, y_step)
        return replace(step, scale=self.scale * x_step / y_step, shift=self.shift / y_step)

    def of_pixels(self, y_step: float) -> Scale:
        """The first step of an int8 net: floats become int8."""
        return replace(self.quantised(1, y_step), x_type="float")


def from_layer(layer: nn.BatchNorm2d, operation: ops.Operation, place: Place) -> Scale:
    """The step of a batch normalisation with running statistics.

    Raises:
        ValueError: it has none, and takes those of each batch.
    """
    if layer.running_mean is None or layer.running_var is None:
        raise ValueError(f"{place.title} without running statistics joins the pictures of a batch")
    mean, var = (s.numpy().astype(float) for s in (layer.running_mean, layer.running_var))
    gamma = 1.0 if layer.weight is None else layer.weight.numpy().astype(float)
    beta = 0.0 if layer.bias is None else layer.bias.numpy().astype(float)
    scale = gamma / np.sqrt(var + layer.eps)
    return Scale(*place, scale=scale, shift=beta - mean * scale)


def of_pixels(
    shape: tuple[int, ...], mean: Any, std: Any, title: str = "the pixels, (x - mean) / std"
) -> Scale:
    """The step that normalises the pixels of a picture (C, H, W): (x - mean[c]) / std[c]."""
    mean, std = (np.broadcast_to(np.asarray(v, float), shape[:1]) for v in (mean, std))
    return Scale(title, shape, shape, scale=1 / std, shift=-mean / std)
