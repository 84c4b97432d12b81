"""The dense layer as a C function."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from minicnn import ops
from minicnn.kernels import Array
from minicnn.nn import Linear

from .step import Place, Weighted, floats, summands
from .text import sizes


@dataclass(frozen=True)
class Dense(Weighted):
    """y[o] = b[o] + sum W[o, k] x[k], for each row of x."""

    word = "linear"
    what = "Each output is the sum of all inputs, each times its weight, plus a bias."
    template = """
static void $name(const $x *x, $y *y)
{
    $sizes
$each_row
    for (int o = 0; o < O; o++) {
        $sum sum = $start;
        for (int k = 0; k < K; k++)
            sum += weight_$number[o][k] * x[k];
        y[o] = $result;
    }
}
"""

    def parts(self, number: int) -> dict[str, Any]:
        o, k = self.weight.shape
        rows = math.prod(self.input_shape[:-1])
        n = {"N": rows} if rows > 1 else {}
        each_row = "\n    for (int n = 0; n < N; n++, x += K, y += O)" if rows > 1 else ""
        return {
            "number": number,
            "sizes": sizes(**n, K=k, O=o),
            "each_row": each_row,
            **self.sum_parts(number),
        }

    def compute(self, x: Array) -> Array:
        terms = self.weight.shape[1]
        sums = summands(x, terms) @ summands(self.weight, terms).T
        y = self.of_sums(sums.reshape(-1, sums.shape[-1]))
        return y.reshape(sums.shape)


def from_layer(layer: Linear, operation: ops.Operation, place: Place) -> Dense:
    """The step of a dense layer."""
    return Dense(*place, *floats(layer.weight, layer.bias))
