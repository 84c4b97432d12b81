"""16 x 16 cells, rows for columns: how a tile's images become a matrix, and the other way round."""

from __future__ import annotations

from itertools import product
from typing import Any

from llvmlite import ir
from numba import types

from ..arrays import LANES
from ..cpu.jit import intrinsic
from .lanes import CONTRACT, Lanes, has_avx512, place_of, splat, vector_of


def _turned(builder: Any, rows: list[Any]) -> list[Any]:
    """The columns of 16 rows of 16 cells.

    Row k and row k + 8 are shuffled into each other like two halves of a pack of cards; after four
    such shuffles (2**4 = 16) every cell is where its row and column are exchanged.
    """
    low = [place for k in range(8) for place in (k, 16 + k)]
    for _ in range(4):
        rows = _shuffled(builder, rows[:8], rows[8:], (low, [place + 8 for place in low]))
    return rows


def _turned_in_halves(builder: Any, rows: list[Any]) -> list[Any]:
    """The columns of 8 rows of 8 cells, for registers of 8 that AVX2 shuffles in halves of 4.

    Cells, then pairs of cells are exchanged within the halves, and then the halves.
    """
    of_cells = [0, 8, 1, 9, 4, 12, 5, 13], [2, 10, 3, 11, 6, 14, 7, 15]
    of_pairs = [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]
    of_halves = [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]
    a = _shuffled(builder, rows[::2], rows[1::2], of_cells)
    first, second = [a[k] for k in (0, 1, 4, 5)], [a[k] for k in (2, 3, 6, 7)]
    b = _shuffled(builder, first, second, of_pairs)
    c = _shuffled(builder, b[:4], b[4:], of_halves)
    return [*c[::2], *c[1::2]]


def _shuffled(builder: Any, first: list[Any], second: list[Any], places: Any) -> list[Any]:
    """Of each pair of vectors two: the cells at some places, and those at others."""
    kind = ir.IntType(32)
    masks = [ir.Constant(ir.VectorType(kind, len(some)), some) for some in places]
    pairs = zip(first, second, strict=True)
    return [builder.shuffle_vector(a, b, mask) for a, b in pairs for mask in masks]


def _quotient(builder: Any, x: Any, divisor: Any) -> Any:
    """x / divisor for vectors: times the inverse, and once more for what is missing.

    A division would take as long as a dozen other instructions.
    """
    one = ir.Constant(x.type, [1.0] * x.type.count)
    inverse = builder.fdiv(one, divisor)
    y = builder.fmul(x, inverse)
    missing = builder.fsub(x, builder.fmul(y, divisor, flags=CONTRACT), flags=CONTRACT)
    return builder.fadd(y, builder.fmul(missing, inverse, flags=CONTRACT), flags=CONTRACT)


def _transpose(out: Any, inp: Any, signature: Any) -> Any:
    # bytes: 16 of them are half a register of either kind
    halves = not has_avx512() and len(signature.args) == 6
    width, turned = (8, _turned_in_halves) if halves else (LANES, _turned)
    lanes = Lanes(out.dtype, width)

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        out_array, place, step, inp_array, start, inp_step, *divisor = arguments
        source = context.make_array(inp)(context, builder, inp_array).data
        cells = ir.VectorType(source.type.pointee, width)

        def at(begin: Any, step: Any, line: int, column: int) -> Any:
            moved = builder.add(begin, builder.mul(step, ir.Constant(step.type, line)))
            return builder.add(moved, ir.Constant(step.type, column))

        for r, c in product(range(0, LANES, width), repeat=2):
            rows = []
            for k in range(r, r + width):
                address = builder.gep(source, [at(start, inp_step, k, c)])
                rows.append(builder.load(builder.bitcast(address, cells.as_pointer())))
                rows[-1].align = inp.dtype.bitwidth // 8
            for k, column in enumerate(turned(builder, rows)):
                if divisor:
                    number = builder.uitofp(column, vector_of(lanes))
                    column = _quotient(builder, number, splat(builder, divisor[0], lanes))
                index = at(place, step, c + k, r)
                address = place_of(context, builder, out, out_array, index, lanes)
                builder.store(column, address).align = out.dtype.bitwidth // 8
        return context.get_dummy_value()

    return signature, generate


@intrinsic()
def transpose(
    typing: Any, out: Any, place: Any, step: Any, inp: Any, start: Any, inp_step: Any
) -> Any:
    """16 x 16 cells: out[place + k step + lane] = inp[start + lane inp_step + k]."""
    index = types.intp
    return _transpose(out, inp, types.void(out, index, index, inp, index, index))


@intrinsic()
def transpose_bytes(
    typing: Any, out: Any, place: Any, step: Any, inp: Any, start: Any, inp_step: Any, divisor: Any
) -> Any:
    """``transpose`` from bytes to numbers, each over ``divisor``."""
    index = types.intp
    signature = types.void(out, index, index, inp, index, index, out.dtype)
    return _transpose(out, inp, signature)
