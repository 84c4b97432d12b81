"""A vector register's first cells alone, where a row of numbers ends in the middle of it.

    v = load_first(16, x, i, 5)     # x[i : i + 5], then zeros
    store_first(y, j, 5, v)         # y[j : j + 5] = the first five cells of v

The cells after those are neither read nor written: they may be another row's, or nobody's memory. A
tile's 16 images always fill a register; the pixels of one image do not.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.cgutils import unpack_tuple

from ..cpu.jit import intrinsic
from .lanes import Lanes, place_of

INT32 = ir.IntType(32)


def _mask(builder: Any, count: Any, width: int) -> Any:
    """Yes for each of the first ``count`` of ``width`` cells."""
    vector = ir.VectorType(INT32, width)
    nothing, zeros = ir.Constant(vector, ir.Undefined), ir.Constant(vector, [0] * width)
    first = builder.insert_element(nothing, builder.trunc(count, INT32), ir.Constant(INT32, 0))
    counts = builder.shuffle_vector(first, nothing, zeros)
    return builder.icmp_signed("<", ir.Constant(vector, list(range(width))), counts)


def _load(builder: Any, pointer: Any, cell: Any, mask: Any) -> Any:
    """The cells where ``mask`` says yes, zeros elsewhere. ``pointer``: to the first cell."""
    width = mask.type.count
    vector = ir.VectorType(cell, width)
    bits = {"float": 32, "double": 64}.get(str(cell), 8)
    form = f"v{width}{'i' if bits == 8 else 'f'}{bits}"
    kind = ir.FunctionType(vector, [vector.as_pointer(), INT32, mask.type, vector])
    load = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.load.{form}.p0{form}")
    pointer = builder.bitcast(pointer, vector.as_pointer())
    zeros = ir.Constant(vector, [0] * width)
    return builder.call(load, [pointer, ir.Constant(INT32, bits // 8), mask, zeros])


@intrinsic(prefer_literal=True)
def load_first(typing: Any, width: Any, array: Any, index: Any, count: Any) -> Any:
    """array[index : index + count] of a flat array, then zeros up to ``width``."""
    lanes = Lanes(array.dtype, width.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, index, count = arguments
        pointer = place_of(context, builder, signature.args[1], array, index, lanes)
        mask = _mask(builder, count, lanes.width)
        return _load(builder, pointer, context.get_value_type(lanes).element, mask)

    return lanes(width, array, types.intp, types.intp), generate


@intrinsic(prefer_literal=True)
def load_each_first(typing: Any, width: Any, array: Any, places: Any, away: Any, count: Any) -> Any:
    """``load_first`` at place + away for each of the places."""
    lanes = Lanes(array.dtype, width.literal_value)
    result = types.UniTuple(lanes, places.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, places, away, count = arguments
        mask, vectors = _mask(builder, count, lanes.width), []
        for place in unpack_tuple(builder, places):
            index = builder.add(place, away)
            pointer = place_of(context, builder, signature.args[1], array, index, lanes)
            vectors.append(_load(builder, pointer, context.get_value_type(lanes).element, mask))
        return context.make_tuple(builder, result, vectors)

    return result(width, array, places, types.intp, types.intp), generate


@intrinsic()
def store_first(typing: Any, array: Any, index: Any, count: Any, lanes: Any) -> Any:
    """array[index : index + count] = the first ``count`` of the lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index, count, vector = arguments
        bits, mask = lanes.dtype.bitwidth, _mask(builder, count, lanes.width)
        pointer = place_of(context, builder, signature.args[0], array, index, lanes)
        kind = ir.FunctionType(ir.VoidType(), [vector.type, pointer.type, INT32, mask.type])
        form = f"v{lanes.width}f{bits}"
        name = f"llvm.masked.store.{form}.p0{form}"
        put = cgutils.get_or_insert_function(builder.module, kind, name)
        builder.call(put, [vector, pointer, ir.Constant(INT32, bits // 8), mask])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, lanes), generate


@intrinsic()
def first_cells(typing: Any, count: Any, a: Any, b: Any) -> Any:
    """The first ``count`` cells of a, then those of b."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count, a, b = arguments
        return builder.select(_mask(builder, count, signature.return_type.width), a, b)

    return a(types.intp, a, b), generate


def _read(width: Any, like: Any, memory: Any, from_bytes: bool) -> Any:
    """The first cells of bytes, or of numbers of the dtype of ``like`` among bytes."""
    lanes = Lanes(like.dtype, width.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, memory, index, count = arguments
        cell = ir.IntType(8) if from_bytes else context.get_value_type(lanes).element
        data = context.make_array(signature.args[2])(context, builder, memory).data
        data = builder.bitcast(data, cell.as_pointer())
        mask = _mask(builder, count, lanes.width)
        vector = _load(builder, builder.gep(data, [index]), cell, mask)
        return builder.uitofp(vector, context.get_value_type(lanes)) if from_bytes else vector

    return lanes(width, like, memory, types.intp, types.intp), generate


@intrinsic(prefer_literal=True)
def read_bytes(typing: Any, width: Any, like: Any, memory: Any, index: Any, count: Any) -> Any:
    """memory[index : index + count]: bytes, as numbers of the dtype of ``like``; then zeros."""
    return _read(width, like, memory, from_bytes=True)


@intrinsic(prefer_literal=True)
def read_numbers(typing: Any, width: Any, like: Any, memory: Any, index: Any, count: Any) -> Any:
    """The same of bytes that are numbers of ``like``'s dtype; ``index`` counts numbers."""
    return _read(width, like, memory, from_bytes=False)


@intrinsic(prefer_literal=True)
def load_second(typing: Any, width: Any, array: Any, index: Any) -> Any:
    """Every second cell: array[index], array[index + 2], ... The one after the last is read too."""
    lanes = Lanes(array.dtype, width.literal_value)
    twice = Lanes(array.dtype, 2 * lanes.width)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, index = arguments
        kind = signature.args[1]
        both = builder.load(place_of(context, builder, kind, array, index, twice))
        both.align = kind.dtype.bitwidth // 8
        even = ir.Constant(ir.VectorType(INT32, lanes.width), [*range(0, twice.width, 2)])
        return builder.shuffle_vector(both, both, even)

    return lanes(width, array, types.intp), generate


@intrinsic(prefer_literal=True)
def load_every(typing: Any, width: Any, array: Any, index: Any, step: Any, count: Any) -> Any:
    """array[index], array[index + step], ...: ``count`` cells, and the last again to the end."""
    lanes = Lanes(array.dtype, width.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, index, step, count = arguments
        data = context.make_array(signature.args[1])(context, builder, array).data
        vector = ir.Constant(context.get_value_type(lanes), ir.Undefined)
        last = builder.add(index, builder.mul(builder.sub(count, count.type(1)), step))
        for lane in range(lanes.width):
            cell = builder.load(builder.gep(data, [index]))
            vector = builder.insert_element(vector, cell, ir.Constant(INT32, lane))
            further = builder.add(index, step)
            index = builder.select(builder.icmp_signed("<", further, last), further, last)
        return vector

    return lanes(width, array, types.intp, types.intp, types.intp), generate
