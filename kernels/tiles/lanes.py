"""A vector register as a Numba type: its numbers are loaded, multiplied and stored as one.

Numba leaves it to LLVM to find out which loop to do 16 cells at a time. The products in ``tiles``
are two to three times as fast if they say it themselves:

    v = load(64, x, i)          # the 64 cells x[i : i + 64]
    a = fill(64, b)             # 64 times b
    a = a + w * v               # a number times a vector is added: one instruction a register
    store(y, j, a)              # y[j : j + 64] = a
    total(a)                    # the sum of its cells

The width is a constant of the program. LLVM splits a vector that is wider than the CPU's registers
(64 floats are four of AVX-512, eight of AVX2). Indices are not checked.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, models, register_model, type_callable

from ..arrays import LANES
from ..cpu.jit import intrinsic, switches

# What compiled code holds in registers: to a type checker anything.
Vector: TypeAlias = Any

# Multiplications and additions may be fused; sums of a register's cells may be reordered.
CONTRACT = ("contract",)


class Lanes(types.Type):
    """``width`` numbers of ``dtype``."""

    def __init__(self, dtype: Any, width: int):
        self.dtype, self.width = dtype, width
        super().__init__(name=f"Lanes({dtype}, {width})")


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes):
        super().__init__(manager, lanes, vector_of(lanes))


def vector_of(lanes: Lanes) -> ir.VectorType:
    number = ir.FloatType() if lanes.dtype == types.float32 else ir.DoubleType()
    return ir.VectorType(number, lanes.width)


def place_of(context: Any, builder: Any, kind: Any, array: Any, index: Any, lanes: Lanes) -> Any:
    """The address of array[index], as that of a vector."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector_of(lanes).as_pointer())


def splat(builder: Any, number: Any, lanes: Lanes) -> Any:
    vector = vector_of(lanes)
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes.width), [0] * lanes.width)
    return builder.shuffle_vector(first, nothing, zeros)


@intrinsic(prefer_literal=True)
def load(typing: Any, width: Any, array: Any, index: Any) -> Any:
    """array[index : index + width] of a flat array."""
    lanes = Lanes(array.dtype, width.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, index = arguments
        kind = signature.args[1]
        vector = builder.load(place_of(context, builder, kind, array, index, lanes))
        vector.align = kind.dtype.bitwidth // 8
        return vector

    return lanes(width, array, types.intp), generate


@intrinsic(prefer_literal=True)
def store(typing: Any, array: Any, index: Any, lanes: Any) -> Any:
    """array[index : index + width] = lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index, vector = arguments
        kind = signature.args[0]
        stored = builder.store(vector, place_of(context, builder, kind, array, index, lanes))
        stored.align = kind.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


@intrinsic(prefer_literal=True)
def load_apart(typing: Any, width: Any, array: Any, index: Any, step: Any) -> Any:
    """Runs of 16 cells of a flat array, at index, index + step, ...: ``width`` cells in all."""
    lanes, run = Lanes(array.dtype, width.literal_value), Lanes(array.dtype, LANES)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, index, step = arguments
        kind, runs = signature.args[1], []
        for _ in range(lanes.width // LANES):
            runs.append(builder.load(place_of(context, builder, kind, array, index, run)))
            runs[-1].align = kind.dtype.bitwidth // 8
            index = builder.add(index, step)
        while len(runs) > 1:
            pairs = zip(runs[::2], runs[1::2], strict=True)
            runs = [_picked(builder, a, b, range(2 * a.type.count)) for a, b in pairs]
        return runs[0]

    return lanes(width, array, types.intp, types.intp), generate


@intrinsic()
def store_apart(typing: Any, array: Any, index: Any, step: Any, lanes: Any) -> Any:
    """The opposite of ``load_apart``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index, step, vector = arguments
        kind, run = signature.args[0], Lanes(lanes.dtype, LANES)
        for first in range(0, lanes.width, LANES):
            part = _picked(builder, vector, vector, range(first, first + LANES))
            stored = builder.store(part, place_of(context, builder, kind, array, index, run))
            stored.align = kind.dtype.bitwidth // 8
            index = builder.add(index, step)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, lanes), generate


def _picked(builder: Any, a: Any, b: Any, places: range) -> Any:
    """The cells at ``places``, counted through a and on through b."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places))
    return builder.shuffle_vector(a, b, mask)


@intrinsic(prefer_literal=True)
def fill(typing: Any, width: Any, number: Any) -> Any:
    """``width`` times the number."""
    lanes = Lanes(number, width.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return splat(builder, arguments[1], lanes)

    return lanes(width, number), generate


@intrinsic()
def total(typing: Any, lanes: Any) -> Any:
    """The sum of the cells, in any order."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return total_of(builder, arguments[0], lanes)

    return lanes.dtype(lanes), generate


def total_of(builder: Any, vector: Any, lanes: Lanes) -> Any:
    number = vector_of(lanes).element
    kind = ir.FunctionType(number, [number, vector.type])
    name = f"llvm.vector.reduce.fadd.v{lanes.width}f{lanes.dtype.bitwidth}"
    reduce = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(reduce, [ir.Constant(number, 0.0), vector], fastmath=("reassoc",))


def _chooser(holds: Callable[[Any, Any, Any], Any]) -> Any:
    """An intrinsic (x, y, a, b): for each cell a where ``holds`` of x and y, otherwise b."""

    @intrinsic()
    def choose(typing: Any, x: Any, y: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x, y, a, b = arguments
            return builder.select(holds(builder, x, y), a, b)

        return x(x, y, a, b), generate

    return choose


def _beats(builder: Any, new: Any, best: Any) -> Any:
    """``new`` is larger than ``best``, or the first NaN."""
    larger_or_nan = builder.fcmp_unordered(">", new, best)
    return builder.and_(larger_or_nan, builder.fcmp_ordered("ord", best, best))


equal = _chooser(lambda builder, x, y: builder.fcmp_ordered("==", x, y))  # a where x == y
larger = _chooser(lambda builder, x, y: builder.fcmp_ordered(">", x, y))  # a where x > y
winner = _chooser(_beats)  # a where x beats y


@intrinsic()
def reciprocal(typing: Any, x: Any) -> Any:
    """1 / x for finite x (or NaN), good to a unit in the last place or two; of 1 it is 1."""
    # what AVX2 has for an estimate would make 0.99999994 of 1, and a flat slope a steep one
    flags = ("arcp", "ninf", *CONTRACT) if has_avx512() else CONTRACT

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        one = ir.Constant(vector_of(x), [1.0] * x.width)
        return builder.fdiv(one, arguments[0], flags=flags)

    return x(x), generate


@intrinsic()
def limited(typing: Any, x: Any, low: Any, high: Any) -> Any:
    """x, not below ``low`` and not above ``high`` (numbers); NaN stays NaN."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, *limits = arguments
        low, high = (splat(builder, limit, signature.args[0]) for limit in limits)
        x = builder.select(builder.fcmp_ordered("<", x, low), low, x)
        return builder.select(builder.fcmp_ordered(">", x, high), high, x)

    return x(x, x.dtype, x.dtype), generate


# A float32 of this size has no digits after the point, and its lowest bits count from 127.
WHOLE = 1.5 * 2**23 + 127


@intrinsic()
def power_of_two(typing: Any, z: Any) -> Any:
    """2**n for float32 cells z = WHOLE + n, n whole and from -126 to 127.

    127 + n, the lowest bits of z, is 2**n's exponent: it belongs above the 23 bits of the fraction.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integers = ir.VectorType(ir.IntType(32), z.width)
        bits = builder.bitcast(arguments[0], integers)
        exponent = builder.shl(bits, ir.Constant(integers, [23] * z.width))
        return builder.bitcast(exponent, vector_of(z))

    return z(z), generate


def _gather(width: Any, like: Any, memory: Any, from_bytes: bool) -> Any:
    """``width`` cells that lie apart: bytes, or numbers of the dtype of ``like`` among bytes."""
    lanes = Lanes(like.dtype, width.literal_value)
    number = vector_of(lanes).element
    cell_type = ir.IntType(8) if from_bytes else number

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, memory, index, step = arguments
        data = context.make_array(signature.args[2])(context, builder, memory).data
        data = builder.bitcast(data, cell_type.as_pointer())
        vector = ir.Constant(ir.VectorType(cell_type, lanes.width), ir.Undefined)
        for lane in range(lanes.width):
            cell = builder.load(builder.gep(data, [index]))
            vector = builder.insert_element(vector, cell, ir.Constant(ir.IntType(32), lane))
            index = builder.add(index, step)
        return builder.uitofp(vector, vector_of(lanes)) if from_bytes else vector

    return lanes(width, like, memory, types.intp, types.intp), generate


@intrinsic(prefer_literal=True)
def gather_bytes(typing: Any, width: Any, like: Any, memory: Any, start: Any, step: Any) -> Any:
    """memory[start], memory[start + step], ...: bytes, as numbers of the dtype of ``like``."""
    return _gather(width, like, memory, from_bytes=True)


@intrinsic(prefer_literal=True)
def gather(typing: Any, width: Any, like: Any, memory: Any, start: Any, step: Any) -> Any:
    """memory[start], memory[start + step], ..., ``memory`` read as numbers of ``like``'s dtype."""
    return _gather(width, like, memory, from_bytes=False)


def _operator(symbol: Any, instruction: str) -> None:
    """Lanes (or a number) by Lanes."""

    @type_callable(symbol)
    def typed(context: Any) -> Any:
        def typer(a: Any, b: Any) -> Any:
            if isinstance(b, Lanes) and (a == b or a == b.dtype):
                return b
            return None

        return typer

    def both(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments, flags=CONTRACT)

    def number_first(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a = splat(builder, arguments[0], signature.args[1])
        return getattr(builder, instruction)(a, arguments[1], flags=CONTRACT)

    lower_builtin(symbol, Lanes, Lanes)(both)
    lower_builtin(symbol, types.Float, Lanes)(number_first)


_operator(operator.add, "fadd")
_operator(operator.sub, "fsub")
_operator(operator.mul, "fmul")
_operator(operator.truediv, "fdiv")


def has_avx512() -> bool:
    """Whether Numba compiles for a CPU with 32 registers of 64 bytes (AVX-512)."""
    if switches.CPU_NAME or switches.CPU_FEATURES:
        return "+avx512f" in (switches.CPU_FEATURES or "")
    return bool(binding.get_host_cpu_features().get("avx512f", False))
