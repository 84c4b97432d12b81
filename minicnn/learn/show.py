"""The explorer, opened at the first cell of an answer that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import explain, nn, slips
from minicnn.explain.yours import Yours
from minicnn.slips.sums import Window

from .cases import Case
from .course import Exercise
from .judge import Verdict, right_arrays

GRIDS = {  # of the explorer, by the exercise's name: one for each output
    "forward": ["y"],
    "dbias": ["dbias"],
    "dweight": ["dweight"],
    "dx": ["dx"],
    "stride": ["dx"],
    "im2col": ["columns"],
    "col2im": ["dx"],
    "max_pool": ["dx"],
    "avg_pool": ["dx"],
    "dense": ["dx", "dweight", "dbias"],
    "cross_entropy": ["loss", "dlogits"],
}


def has_page(exercise: Exercise) -> bool:
    """Whether the explorer shows this operation."""
    return exercise.name in GRIDS


def page_of(exercise: Exercise, verdict: Verdict, language: str) -> str:
    """The page of the case in which the answer is wrong, or of the first one, as HTML."""
    found = verdict.diagnosis
    case = exercise.cases[0 if found is None else found.number]
    shown = EXPLAINED[exercise.name](case)
    shown.lang = language
    yours = None
    if found is not None and not found.right and found.index is not None:
        number = exercise.outputs.index(found.output)
        answer = verdict.answers[number]
        wrong = ~slips.close(answer, right_arrays(exercise, case.arguments)[number])
        name = GRIDS[exercise.name][number]
        yours = Yours(name, np.atleast_1d(answer), np.atleast_1d(wrong))
    page: str = shown.html(verdict.line, yours)
    return page


# The operations of the cases ----------------------------------------------------------------------

# Numbers that an exercise does not need, but its page has, are drawn once more.


def _some(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(-3, 4, shape).astype(np.float64)


def _convolution(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, dy: np.ndarray | None, w: Window
) -> Any:
    out_channels, channels = weight.shape[:2]
    layer = nn.Conv2d(channels, out_channels, w.kernel, w.stride, w.padding, w.dilation)
    layer.weight.data = weight
    assert layer.bias is not None
    layer.bias.data = np.zeros(out_channels) if bias is None else bias
    return explain.conv2d(layer, x, dy)


def _forward(case: Case) -> Any:
    x, weight, bias = case.arguments
    return _convolution(x, weight, bias, None, Window(weight.shape[2:]))


def _dbias(case: Case) -> Any:
    (dy,) = case.arguments
    n, out_channels, oh, ow = dy.shape
    return _convolution(_some(n, 1, oh, ow), _some(out_channels, 1, 1, 1), None, dy, Window((1, 1)))


def _dweight(case: Case) -> Any:
    dy, x = case.arguments
    kernel = x.shape[2] - dy.shape[2] + 1, x.shape[3] - dy.shape[3] + 1
    return _convolution(x, _some(dy.shape[1], x.shape[1], *kernel), None, dy, Window(kernel))


def _dx(case: Case) -> Any:
    dy, weight = case.arguments
    _, channels, kh, kw = weight.shape
    x = _some(len(dy), channels, dy.shape[2] + kh - 1, dy.shape[3] + kw - 1)
    return _convolution(x, weight, None, dy, Window((kh, kw)))


def _stride(case: Case) -> Any:
    dy, weight, x_shape, stride = case.arguments
    return _convolution(_some(*x_shape), weight, None, dy, Window(weight.shape[2:], stride))


def _im2col(case: Case) -> Any:
    x, *window = case.arguments
    return _convolution(x, _some(1, x.shape[1], *window[0]), None, None, Window(*window))


def _col2im(case: Case) -> Any:
    _, x_shape, *window = case.arguments
    weight, dy = case.made_of
    return _convolution(_some(*x_shape), weight, None, dy, Window(*window))


def _max_pool(case: Case) -> Any:
    dy, x, kernel, stride = case.arguments
    return explain.max_pool2d(nn.MaxPool2d(kernel, stride), x, dy)


def _avg_pool(case: Case) -> Any:
    dy, x_shape, kernel, stride = case.arguments
    return explain.avg_pool2d(nn.AvgPool2d(kernel, stride), _some(*x_shape), dy)


def _dense(case: Case) -> Any:
    dy, x, weight = case.arguments
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data = weight
    return explain.linear(layer, x, dy)


def _cross_entropy(case: Case) -> Any:
    return explain.cross_entropy(*case.arguments)


EXPLAINED: dict[str, Callable[[Case], Any]] = {
    "forward": _forward,
    "dbias": _dbias,
    "dweight": _dweight,
    "dx": _dx,
    "stride": _stride,
    "im2col": _im2col,
    "col2im": _col2im,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "dense": _dense,
    "cross_entropy": _cross_entropy,
}
