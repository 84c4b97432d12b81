"""Arithmetic, reductions, shapes and products, each a case for several tests."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """A function of tensors of these shapes; ``theirs`` is the same in PyTorch's words."""

    ours: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    theirs: Callable[..., Any] | None = None
    positive: bool = False


def arrays_of(case: Case, rng: np.random.Generator) -> list[np.ndarray]:
    """Numbers of both signs and not near 0; or, for ``positive``, of one."""
    arrays = [rng.standard_normal(shape) for shape in case.shapes]
    signs = [1.0 if case.positive else np.where(array < 0, -1.0, 1.0) for array in arrays]
    return [np.asarray(s * (0.5 + np.abs(x))) for s, x in zip(signs, arrays, strict=True)]


MASK = np.array([[True, False, True, True], [False, False, True, False], [True] * 4])
CASES = {
    # two tensors
    "a + b": Case(operator.add, ((3, 4), (3, 4))),
    "a - b": Case(operator.sub, ((3, 4), (3, 4))),
    "a * b": Case(operator.mul, ((3, 4), (3, 4))),
    "a / b": Case(operator.truediv, ((3, 4), (3, 4))),
    "a ** b": Case(operator.pow, ((3, 4), (3, 4)), positive=True),
    # broadcasting
    "(2, 3, 4) + (4,)": Case(operator.add, ((2, 3, 4), (4,))),
    "(3, 1) + (2, 3, 4)": Case(operator.add, ((3, 1), (2, 3, 4))),
    "() - (2, 3)": Case(operator.sub, ((), (2, 3))),
    "(2, 1, 4) - (3, 1)": Case(operator.sub, ((2, 1, 4), (3, 1))),
    "(1, 1) * (2, 3)": Case(operator.mul, ((1, 1), (2, 3))),
    "(3, 1) * (1, 4)": Case(operator.mul, ((3, 1), (1, 4))),
    "(2, 3, 4) / (3, 1)": Case(operator.truediv, ((2, 3, 4), (3, 1))),
    "(4,) / (2, 3, 4)": Case(operator.truediv, ((4,), (2, 3, 4))),
    "(3, 1) ** (2, 1, 4)": Case(operator.pow, ((3, 1), (2, 1, 4)), positive=True),
    "(0, 3) + (3,)": Case(operator.add, ((0, 3), (3,))),
    "(1,) * (1, 1)": Case(operator.mul, ((1,), (1, 1))),
    # numbers
    "x + 2": Case(lambda x: x + 2, ((2, 3),)),
    "2 + x": Case(lambda x: 2 + x, ((2, 3),)),
    "x - 2.5": Case(lambda x: x - 2.5, ((2, 3),)),
    "2.5 - x": Case(lambda x: 2.5 - x, ((2, 3),)),
    "x * -3": Case(lambda x: x * -3, ((2, 3),)),
    "-3 * x": Case(lambda x: -3 * x, ((2, 3),)),
    "x / 4": Case(lambda x: x / 4, ((2, 3),)),
    "4 / x": Case(lambda x: 4 / x, ((2, 3),)),
    "x ** 3": Case(lambda x: x**3, ((2, 3),)),
    "x ** -2": Case(lambda x: x**-2, ((2, 3),)),
    "x ** 0.5": Case(lambda x: x**0.5, ((2, 3),), positive=True),
    "3 ** x": Case(lambda x: 3**x, ((2, 3),)),
    "-x": Case(operator.neg, ((2, 3),)),
    "a tensor used twice": Case(lambda x: x * x - x / (x + 4), ((2, 3),)),
    # one cell at a time
    "exp": Case(lambda x: x.exp(), ((2, 3),)),
    "log": Case(lambda x: x.log(), ((2, 3),), positive=True),
    "sqrt": Case(lambda x: x.sqrt(), ((2, 3),), positive=True),
    # reductions
    "sum": Case(lambda x: x.sum(), ((2, 3, 4),)),
    "sum of one number": Case(lambda x: x.sum(), ((),)),
    "sum, axis 1": Case(lambda x: x.sum(1), ((2, 3, 4),)),
    "sum, axes": Case(lambda x: x.sum((0, -1)), ((2, 3, 4),)),
    "sum, keepdims": Case(lambda x: x.sum(axis=-2, keepdims=True), ((2, 3, 4),)),
    "sum, all, keepdims": Case(
        lambda x: x.sum(keepdims=True), ((2, 3),), lambda z: z.sum((0, 1), keepdim=True)
    ),
    "mean": Case(lambda x: x.mean(), ((2, 3, 4),)),
    "mean, axis -1": Case(lambda x: x.mean(-1), ((2, 3, 4),)),
    "mean, axes, keepdims": Case(lambda x: x.mean(axis=(0, 2), keepdims=True), ((2, 3, 4),)),
    "max": Case(lambda x: x.max(), ((2, 3, 4),)),
    "max, axis 0": Case(lambda x: x.max(0), ((2, 3, 4),), lambda z: z.amax(0)),
    "max, axes": Case(lambda x: x.max((-1, 0)), ((2, 3, 4),), lambda z: z.amax((-1, 0))),
    "max, keepdims": Case(
        lambda x: x.max(1, keepdims=True), ((2, 3, 4),), lambda z: z.amax(1, keepdim=True)
    ),
    # shapes
    "reshape": Case(lambda x: x.reshape(4, -1, 3), ((2, 3, 4),)),
    "reshape by a tuple": Case(lambda x: x.reshape((6, 4)), ((2, 3, 4),)),
    "flatten": Case(lambda x: x.flatten(), ((2, 3, 4),)),
    "transpose": Case(lambda x: x.transpose(2, 0, 1), ((2, 3, 4),), lambda z: z.permute(2, 0, 1)),
    "transpose, reversed": Case(
        lambda x: x.transpose(), ((2, 3, 4),), lambda z: z.permute(2, 1, 0)
    ),
    "transpose, negative axes": Case(
        lambda x: x.transpose((0, -1, 1, 2)), ((2, 3, 4, 5),), lambda z: z.permute(0, -1, 1, 2)
    ),
    "T": Case(lambda x: x.T, ((3, 4),)),
    "x[1]": Case(lambda x: x[1], ((3, 4),)),
    "x[-1, 2]": Case(lambda x: x[-1, 2], ((3, 4),)),
    "x[1:, ::2]": Case(lambda x: x[1:, ::2], ((3, 4),)),
    "x[..., 1]": Case(lambda x: x[..., 1], ((2, 3, 4),)),
    "x[:, None, 2]": Case(lambda x: x[:, None, 2], ((3, 4, 2),)),
    "x[2:2]": Case(lambda x: x[2:2], ((3, 4),)),
    "x[mask]": Case(lambda x: x[MASK], ((3, 4),)),
    "x[:, mask]": Case(lambda x: x[:, MASK[:, 0]], ((2, 3, 4),)),
    "x[repeated rows]": Case(lambda x: x[[2, 0, 2, 2]], ((3, 4),)),
    "x[repeated cells]": Case(lambda x: x[[0, 1, 0, -3], [1, 1, 1, 1]], ((3, 4),)),
    "x[rows, :, 1]": Case(lambda x: x[np.array([[1, 1], [0, 1]]), :, 1], ((2, 3, 4),)),
    # chained
    "a * b + c, mean of squares": Case(
        lambda a, b, c: ((a * b + c) ** 2).mean(), ((2, 3), (3,), (2, 1))
    ),
}
