"""Blocks of sums in registers: a tuple of vectors, one for each row, or for each row and column.

A product adds to its block of sums, tap by tap, a column of weights times a run of cells:

    sums = repeat(4, fill(64, zero))          # 4 rows of 64 cells
    for tap in range(taps):
        sums = add_outer(sums, take_at(w, places, tap), (load(64, x, run[tap]),))
    store_each(y, rows, 0, 4, sums)

To write out the four sums one by one would do the same; Numba would take twice as long to compile
it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.cgutils import unpack_tuple

from ..arrays import LANES
from ..cpu.jit import intrinsic
from .lanes import CONTRACT, Lanes, place_of, splat


@intrinsic(prefer_literal=True)
def repeat(typing: Any, count: Any, value: Any) -> Any:
    """``count`` times the value."""
    result = types.UniTuple(value, count.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_tuple(builder, result, [arguments[1]] * result.count)

    return result(count, value), generate


@intrinsic(prefer_literal=True)
def take(typing: Any, count: Any, array: Any, first: Any, last: Any) -> Any:
    """array[first], array[first + 1], ...: ``count`` numbers, those after ``last`` the last one."""
    result = types.UniTuple(array.dtype, count.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, first, last = arguments
        data = context.make_array(signature.args[1])(context, builder, array).data
        numbers = []
        for k in range(result.count):
            index = builder.add(first, ir.Constant(first.type, k))
            index = builder.select(builder.icmp_signed("<", index, last), index, last)
            numbers.append(builder.load(builder.gep(data, [index])))
        return context.make_tuple(builder, result, numbers)

    return result(count, array, types.intp, types.intp), generate


@intrinsic()
def take_at(typing: Any, array: Any, places: Any, away: Any) -> Any:
    """array[place + away] for each of the places."""
    result = types.UniTuple(array.dtype, places.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, places, away = arguments
        data = context.make_array(signature.args[0])(context, builder, array).data
        numbers = [
            builder.load(builder.gep(data, [builder.add(place, away)]))
            for place in unpack_tuple(builder, places)
        ]
        return context.make_tuple(builder, result, numbers)

    return result(array, places, types.intp), generate


def _cells(
    builder: Any, shape: tuple[int, int], first: Any, size: Any
) -> Iterator[tuple[Any, Any]]:
    """Of each cell of a piece its number in a picture of ``size``, and whether it lies inside.

    The piece has ``shape`` lines and columns, from line first[0] and column first[1] on.
    """
    (line, column), (height, width) = first, size
    for i in range(shape[0]):
        h = builder.add(line, ir.Constant(line.type, i))
        # compared as if without a sign: a negative one is then a huge one
        in_height = builder.icmp_unsigned("<", h, height)
        start = builder.mul(h, width)
        for k in range(shape[1]):
            w = builder.add(column, ir.Constant(column.type, k))
            inside = builder.and_(in_height, builder.icmp_unsigned("<", w, width))
            yield builder.add(start, w), inside


@intrinsic(prefer_literal=True)
def places_of(
    typing: Any, lines: Any, columns: Any, x: Any, first: Any, size: Any, nowhere: Any
) -> Any:
    """The places of a piece's cells in the picture at ``x``, 16 places a cell.

    The piece has ``lines`` and ``columns`` (constants) from line first[0] and column first[1] on. A
    cell outside of the picture, whose height and width are ``size``, is at ``nowhere``.
    """
    shape = lines.literal_value, columns.literal_value
    result = types.UniTuple(types.intp, shape[0] * shape[1])

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, x, first, size, nowhere = arguments
        first, size = (unpack_tuple(builder, part) for part in (first, size))
        lanes, places = ir.Constant(x.type, LANES), []
        for number, inside in _cells(builder, shape, first, size):
            place = builder.add(x, builder.mul(number, lanes))
            places.append(builder.select(inside, place, nowhere))
        return context.make_tuple(builder, result, places)

    pair = types.UniTuple(types.intp, 2)
    return result(lines, columns, types.intp, pair, pair, types.intp), generate


@intrinsic(prefer_literal=True)
def put_piece(
    typing: Any,
    lines: Any,
    columns: Any,
    array: Any,
    y: Any,
    first: Any,
    size: Any,
    after: Any,
    bias: Any,
    values: Any,
    apart: Any,
) -> Any:
    """Store a piece's cells into the picture at ``y``, each plus ``bias``: see ``places_of``.

    Pieces begin ``apart`` (a constant) lines and columns apart. What lies also in the piece before
    (after[0]: there is one above; after[1]: there is one to the left) is added to.
    """
    shape = lines.literal_value, columns.literal_value
    overlap = [max(0, length - apart.literal_value) for length in shape]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, array, y, first, size, after, bias, values, _ = arguments
        first, size, after, values = (
            unpack_tuple(builder, part) for part in (first, size, after, values)
        )
        kind, lanes = signature.args[2], signature.args[7]
        step, align = ir.Constant(y.type, LANES), kind.dtype.bitwidth // 8
        for cell, (number, inside) in enumerate(_cells(builder, shape, first, size)):
            i, k = divmod(cell, shape[1])
            with builder.if_then(inside):
                index = builder.add(y, builder.mul(number, step))
                address = place_of(context, builder, kind, array, index, lanes)
                value = builder.fadd(values[cell], bias, flags=CONTRACT)
                there = [after[n] for n, at in enumerate((i, k)) if at < overlap[n]]
                if there:
                    old = builder.load(address)
                    old.align = align
                    seen = functools.reduce(builder.or_, there)
                    seen = builder.icmp_unsigned("!=", seen, ir.Constant(seen.type, 0))
                    zero = ir.Constant(old.type, [0.0] * lanes.width)
                    value = builder.fadd(value, builder.select(seen, old, zero), flags=CONTRACT)
                builder.store(value, address).align = align
        return context.get_dummy_value()

    pair, index = types.UniTuple(types.intp, 2), types.intp
    arguments = lines, columns, array, index, pair, pair, pair, bias, values, apart
    return types.void(*arguments), generate


@intrinsic(prefer_literal=True)
def steps(typing: Any, count: Any, start: Any, step: Any) -> Any:
    """The places start, start + step, ...: ``count`` of them."""
    result = types.UniTuple(types.intp, count.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, place, step = arguments
        places = []
        for _ in range(result.count):
            places.append(place)
            place = builder.add(place, step)
        return context.make_tuple(builder, result, places)

    return result(count, types.intp, types.intp), generate


@intrinsic(prefer_literal=True)
def gather_each(typing: Any, count: Any, array: Any, place: Any, step: Any, number: Any) -> Any:
    """``count`` vectors of 16: vector v has array[place + v + k step] for k = 0, 1, ...

    Of k only ``number`` are read; in their stead the first is taken again.
    """
    lanes = Lanes(array.dtype, LANES)
    result = types.UniTuple(lanes, count.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, place, step, number = arguments
        data = context.make_array(signature.args[1])(context, builder, array).data
        nothing = splat(builder, ir.Constant(data.type.pointee, 0.0), lanes)
        vectors, index = [nothing] * result.count, place
        for k in range(LANES):
            there = builder.icmp_signed("<", ir.Constant(number.type, k), number)
            first = builder.select(there, index, place)
            for v in range(result.count):
                cell = builder.gep(data, [builder.add(first, ir.Constant(first.type, v))])
                lane = ir.Constant(ir.IntType(32), k)
                vectors[v] = builder.insert_element(vectors[v], builder.load(cell), lane)
            index = builder.add(index, step)
        return context.make_tuple(builder, result, vectors)

    index = types.intp
    return result(count, array, index, index, index), generate


@intrinsic(prefer_literal=True)
def take_run(typing: Any, count: Any, array: Any, place: Any) -> Any:
    """array[place], array[place + 1], ...: ``count`` numbers."""
    result = types.UniTuple(array.dtype, count.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, place = arguments
        data = context.make_array(signature.args[1])(context, builder, array).data
        indices = [builder.add(place, ir.Constant(place.type, k)) for k in range(result.count)]
        numbers = [builder.load(builder.gep(data, [index])) for index in indices]
        return context.make_tuple(builder, result, numbers)

    return result(count, array, types.intp), generate


@intrinsic(prefer_literal=True)
def fill_each(typing: Any, width: Any, numbers: Any) -> Any:
    """``fill`` for each of the numbers."""
    lanes = Lanes(numbers.dtype, width.literal_value)
    result = types.UniTuple(lanes, numbers.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        numbers = unpack_tuple(builder, arguments[1])
        return context.make_tuple(builder, result, [splat(builder, n, lanes) for n in numbers])

    return result(width, numbers), generate


@intrinsic(prefer_literal=True)
def load_each(typing: Any, width: Any, array: Any, places: Any, away: Any) -> Any:
    """``load`` at place + away for each of the places."""
    lanes = Lanes(array.dtype, width.literal_value)
    result = types.UniTuple(lanes, places.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, places, away = arguments
        kind, vectors = signature.args[1], []
        for place in unpack_tuple(builder, places):
            index = builder.add(place, away)
            vectors.append(builder.load(place_of(context, builder, kind, array, index, lanes)))
            vectors[-1].align = kind.dtype.bitwidth // 8
        return context.make_tuple(builder, result, vectors)

    return result(width, array, places, types.intp), generate


@intrinsic()
def add_outer(typing: Any, sums: Any, a: Any, b: Any) -> Any:
    """sums[r, t] + a[r] b[t]: fused multiply-adds. ``a``: numbers or vectors, ``b``: vectors."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, a, b = (unpack_tuple(builder, part) for part in arguments)
        if not isinstance(signature.args[1].dtype, Lanes):
            a = [splat(builder, number, signature.args[2].dtype) for number in a]
        products = [builder.fmul(x, y, flags=CONTRACT) for x in a for y in b]
        sums = [builder.fadd(s, p, flags=CONTRACT) for s, p in zip(sums, products, strict=True)]
        return context.make_tuple(builder, signature.return_type, sums)

    return sums(sums, a, b), generate


def _storing(add: bool) -> Any:
    @intrinsic()
    def put(typing: Any, array: Any, places: Any, away: Any, count: Any, rows: Any) -> Any:
        lanes = rows.dtype

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array, places, away, count, rows = arguments
            kind, align = signature.args[0], lanes.dtype.bitwidth // 8
            places = unpack_tuple(builder, places)
            for r, row in enumerate(unpack_tuple(builder, rows)):
                with builder.if_then(builder.icmp_signed("<", ir.Constant(count.type, r), count)):
                    index = builder.add(places[r], away)
                    address = place_of(context, builder, kind, array, index, lanes)
                    if add:
                        old = builder.load(address)
                        old.align = align
                        row = builder.fadd(old, row, flags=CONTRACT)
                    builder.store(row, address).align = align
            return context.get_dummy_value()

        return types.void(array, places, types.intp, types.intp, rows), generate

    return put


# (array, places, away, count, rows): the first ``count`` rows, each to its place + away. Added one
# after the other: where rows overlap, each finds what the one before has left.
store_each, add_each = _storing(add=False), _storing(add=True)


@intrinsic()
def ask_for_each(typing: Any, array: Any, places: Any, away: Any) -> Any:
    """Have the cache fetch what stands at place + away, for each of the places."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, places, away = arguments
        data = context.make_array(signature.args[0])(context, builder, array).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        # to be written, to stay in all caches, data
        how = [ir.Constant(number, n) for n in (1, 3, 1)]
        for place in unpack_tuple(builder, places):
            address = builder.gep(data, [builder.add(place, away)])
            builder.call(fetch, [builder.bitcast(address, byte), *how])
        return context.get_dummy_value()

    return types.void(array, places, types.intp), generate


@intrinsic()
def total_each(typing: Any, sums: Any) -> Any:
    """The sum of the cells of each of the vectors, whose width is a power of two."""
    result = types.UniTuple(sums.dtype.dtype, sums.count)
    width = sums.dtype.width

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = unpack_tuple(builder, arguments[0])
        totals = []
        for first in range(0, len(vectors), width):
            some = vectors[first : first + width]
            total = _totals(builder, some, width)
            index = [ir.Constant(ir.IntType(32), k) for k in range(len(some))]
            totals += [builder.extract_element(total, k) for k in index]
        return context.make_tuple(builder, result, totals)

    return result(sums), generate


@intrinsic()
def totals(typing: Any, sums: Any) -> Any:
    """A vector: its cell k is the sum of the cells of vector k. As many vectors as cells."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _totals(builder, unpack_tuple(builder, arguments[0]), sums.count)

    return sums.dtype(sums), generate


def _totals(builder: Any, vectors: list[Any], width: int) -> Any:
    """One vector: its cell k is the sum of vector k.

    Two vectors become one, halves added to halves: (a0 + a2, a1 + a3, b0 + b2, b1 + b3). Two such
    become one again in the same way, part by part, until a part is a single cell.
    """
    length = width  # cells of a part
    kind = ir.VectorType(ir.IntType(32), width)
    while length > 1:
        # the cells of each part's first half, of both vectors; those of its second half
        low = [k for k in range(2 * width) if k % length < length // 2]
        masks = [ir.Constant(kind, low), ir.Constant(kind, [k + length // 2 for k in low])]
        others = [*vectors[1::2], vectors[-1]]  # an odd one is added up next to itself
        vectors = [
            builder.fadd(*[builder.shuffle_vector(a, b, mask) for mask in masks], flags=CONTRACT)
            for a, b in zip(vectors[::2], others, strict=False)
        ]
        length //= 2
    return vectors[0]
