"""A small matrix of constants times vectors: what Winograd's algorithm does around its products.

The matrices of ``kernels.winograd`` come from points a and -a, so half of their numbers are those
of the other half, up to the sign. Two rows (a b c d) and (a -b c -d) share their sums:

    even = a v0 + c v2,  odd = b v1 + d v3;   even + odd and even - odd are the two results

and two such columns share the sum and the difference of their vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.cgutils import unpack_tuple

from ..cpu.jit import intrinsic
from .lanes import CONTRACT


def linear_map(matrix_of: Callable[[int], np.ndarray]) -> Callable[[int, Any], Any]:
    """For compiled code: the matrix with a number (a constant) times a tuple of vectors.

    The result is a tuple of as many as the matrix has rows. If there are more vectors than columns,
    they are those of a square, row by row: along its rows, and then along its columns.
    """

    @intrinsic(prefer_literal=True)
    def mapped(typing: Any, number: Any, vectors: Any) -> Any:
        matrix = matrix_of(number.literal_value)
        rows, columns = matrix.shape
        is_square = vectors.count > columns
        result = types.UniTuple(vectors.dtype, rows**2 if is_square else rows)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            cells = unpack_tuple(builder, arguments[1])
            if is_square:
                lines = [cells[k : k + columns] for k in range(0, columns**2, columns)]
                lines = [_times(builder, matrix, line) for line in lines]
                turned = [_times(builder, matrix, list(line)) for line in zip(*lines, strict=True)]
                cells = [cell for line in zip(*turned, strict=True) for cell in line]
            else:
                cells = _times(builder, matrix, cells)
            return context.make_tuple(builder, result, cells)

        return result(number, vectors), generate

    return mapped


def _times(builder: Any, matrix: np.ndarray, vectors: list[Any]) -> list[Any]:
    """The matrix times these vectors."""
    matrix, vectors = _pair_columns(builder, matrix, vectors)
    results: list[Any] = [None] * len(matrix)
    for i, row in enumerate(matrix):
        if results[i] is not None:
            continue
        partner = next((k for k in range(i + 1, len(matrix)) if _alike(row, matrix[k])), None)
        if partner is None:
            results[i] = _sum(builder, row, vectors)
            continue
        same = row == matrix[partner]
        even, odd = (_sum(builder, np.where(part, row, 0), vectors) for part in (same, ~same))
        results[i] = builder.fadd(even, odd, flags=CONTRACT)
        results[partner] = builder.fsub(even, odd, flags=CONTRACT)
    return results


def _pair_columns(
    builder: Any, matrix: np.ndarray, vectors: list[Any]
) -> tuple[np.ndarray, list[Any]]:
    """Two columns that are equal up to signs: times the vectors' sum and difference instead."""
    matrix, vectors = matrix.copy(), [*vectors]
    for i in range(len(vectors) - 1):
        a, b = matrix[:, i].copy(), matrix[:, i + 1].copy()
        if _alike(a, b):
            x, y = vectors[i : i + 2]
            vectors[i] = builder.fadd(x, y, flags=CONTRACT)
            vectors[i + 1] = builder.fsub(x, y, flags=CONTRACT)
            matrix[:, i], matrix[:, i + 1] = np.where(a == b, a, 0), np.where(a == b, 0, a)
    return matrix, vectors


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal up to signs, of which some differ and some do not."""
    signs = {x == y for x, y in zip(a, b, strict=True) if x != 0}
    return all(abs(x) == abs(y) for x, y in zip(a, b, strict=True)) and len(signs) == 2


def _sum(builder: Any, factors: np.ndarray, vectors: list[Any]) -> Any:
    """factors[0] vectors[0] + factors[1] vectors[1] + ...; zeros and ones cost nothing."""
    terms = [(float(f), v) for f, v in zip(factors, vectors, strict=True) if f != 0]
    terms.sort(key=lambda term: term[0] != 1)  # one that needs no multiplication comes first
    total = None
    for factor, vector in terms:
        if total is not None and factor == -1:
            total = builder.fsub(total, vector, flags=CONTRACT)
            continue
        if factor != 1:
            many = ir.Constant(vector.type, [factor] * vector.type.count)
            vector = builder.fmul(many, vector, flags=CONTRACT)
        total = vector if total is None else builder.fadd(total, vector, flags=CONTRACT)
    return total
