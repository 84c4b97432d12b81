"""For sums over images: numbers in float64, and those of the images that there are."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from ..cpu.jit import intrinsic
from .lanes import Lanes


@intrinsic()
def in_float64(typing: Any, x: Any) -> Any:
    """The same numbers as float64."""
    wide = Lanes(types.float64, x.width)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.DoubleType(), x.width)
        return arguments[0] if x == wide else builder.fpext(arguments[0], vector)

    return wide(x), generate


@intrinsic()
def first_of(typing: Any, x: Any, count: Any) -> Any:
    """The first ``count`` cells of x; 0 in the others, whatever stands there."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector, count = arguments
        whole = ir.VectorType(ir.IntType(64), x.width)
        limit = ir.Constant(whole, ir.Undefined)
        for lane in range(x.width):
            limit = builder.insert_element(limit, count, ir.Constant(ir.IntType(32), lane))
        place = ir.Constant(whole, list(range(x.width)))
        nothing = ir.Constant(vector.type, [0.0] * x.width)
        return builder.select(builder.icmp_signed("<", place, limit), vector, nothing)

    return x(x, types.int64), generate
