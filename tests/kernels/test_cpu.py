"""``kernels.cpu`` against ``kernels.reference``: values, layouts, dtypes, names."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.kernels import cpu, reference
from tests.kernels.geometry import Geometry, examples, geometries, three_threads

EPS = {np.float32: 1.2e-7, np.float64: 2.3e-16}
Draw = Callable[..., np.ndarray]  # draw(*shape): standard normal numbers


# cpu against reference ----------------------------------------------------------------------------


MORE = st.tuples(st.integers(0, 1), st.integers(0, 1))  # windows that reach over the frame
DTYPES = st.sampled_from([np.float32, np.float64])


@given(g=geometries(), more=MORE, dtype=DTYPES)
@settings(examples, max_examples=100)
def test_compiled_windows_are_those_of_the_reference(
    g: Geometry, more: tuple[int, int], dtype: Any
) -> None:
    """All kernels with windows, exactly where numbers are only moved; ties and NaN included."""
    rng = np.random.default_rng(g.seed)
    x = rng.integers(-2, 3, g.shape).astype(dtype)  # many ties; and sums are exact
    x[rng.random(g.shape) < 0.1] = np.nan
    output = output_of(g, more=more)
    y, index = expected = reference.max_pool(x, *g.window, output)
    with three_threads():
        for mine, theirs in zip(cpu.max_pool(x, *g.window, output), expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        dy = rng.integers(-9, 9, y.shape).astype(dtype)
        np.testing.assert_array_equal(
            cpu.max_pool_backward(dy, index, g.shape),
            reference.max_pool_backward(dy, index, g.shape),
        )
        x = np.nan_to_num(x)
        columns = reference.im2col(x, *g.window)
        np.testing.assert_array_equal(cpu.im2col(x, *g.window), columns)
        np.testing.assert_array_equal(
            cpu.col2im(columns, g.shape, *g.window), reference.col2im(columns, g.shape, *g.window)
        )


@given(g=geometries(), more=MORE, dtype=DTYPES)
@settings(examples, max_examples=100)
def test_compiled_means_are_those_of_the_reference(
    g: Geometry, more: tuple[int, int], dtype: Any
) -> None:
    window = g.kernel_size, g.stride, g.padding
    output = output_of(g, dilation=(1, 1), more=more)
    rng = np.random.default_rng(g.seed)
    x = rng.integers(-9, 9, g.shape).astype(dtype)
    dy = rng.integers(-9, 9, (*g.shape[:2], *output)).astype(dtype)
    divisor = 2.0 ** rng.integers(-2, 3, output).astype(dtype)  # so that all is exact
    with three_threads():
        np.testing.assert_array_equal(
            cpu.avg_pool(x, divisor, *window), reference.avg_pool(x, divisor, *window)
        )
        np.testing.assert_array_equal(
            cpu.avg_pool_backward(dy, divisor, g.shape, *window),
            reference.avg_pool_backward(dy, divisor, g.shape, *window),
        )


def output_of(
    g: Geometry, dilation: tuple[int, int] | None = None, more: tuple[int, int] = (0, 0)
) -> tuple[int, int]:
    """How many windows fit, and some ``more``."""
    rows, cols = (
        len(range(0, size + 2 * p - d * (k - 1), s)) + extra
        for size, k, s, p, d, extra in zip(
            g.shape[2:],
            g.kernel_size,
            g.stride,
            g.padding,
            dilation or g.dilation,
            more,
            strict=True,
        )
    )
    return rows, cols


WINDOW = (2, 3), (2, 1), (1, 2), (1, 2)  # kernel size, stride, padding, dilation
POOLING = (2, 3), (2, 1), (1, 1)
OUTPUT = (4, 3)  # of both, on pictures of 7 x 5
INDEX = np.random.default_rng(5).integers(-1, 35, (2, 1, *OUTPUT))
DIVISOR = np.arange(1.0, 1 + 4 * 5).reshape(4, 5)
COMPUTE: dict[str, Callable[[ModuleType, Draw], Any]] = {
    "im2col": lambda k, draw: k.im2col(draw(2, 1, 7, 5), *WINDOW),
    "col2im": lambda k, draw: k.col2im(draw(2, 6, 4 * 5), (2, 1, 7, 5), *WINDOW),
    "max_pool": lambda k, draw: k.max_pool(draw(2, 1, 7, 5), *WINDOW, (4, 5)),
    "max_pool_backward": lambda k, draw: k.max_pool_backward(
        draw(2, 1, *OUTPUT), INDEX, (2, 1, 7, 5)
    ),
    "avg_pool": lambda k, draw: k.avg_pool(
        draw(2, 1, 7, 5), DIVISOR.astype(draw().dtype), *POOLING
    ),
    "avg_pool_backward": lambda k, draw: k.avg_pool_backward(
        draw(2, 1, 4, 5), DIVISOR.astype(draw().dtype), (2, 1, 7, 5), *POOLING
    ),
    "sigmoid": lambda k, draw: k.sigmoid(9 * draw(2, 7, 5)),
    "sigmoid_backward": lambda k, draw: k.sigmoid_backward(draw(2, 7, 5), draw(2, 7, 5)),
    "tanh": lambda k, draw: k.tanh(3 * draw(2, 7, 5)),
    "tanh_backward": lambda k, draw: k.tanh_backward(draw(2, 7, 5), draw(2, 7, 5)),
    "relu": lambda k, draw: k.relu(draw(2, 7, 5)),
    "relu_backward": lambda k, draw: k.relu_backward(draw(2, 7, 5), draw(2, 7, 5)),
    "moments": lambda k, draw: k.moments(draw(3, 5, 4, 2)),
    "moments, one cell a plane": lambda k, draw: k.moments(draw(13, 5)),
    "normalise": lambda k, draw: k.normalise(draw(3, 5, 4, 2), draw(5), draw(5), draw(5)),
    "norm_sums": lambda k, draw: k.norm_sums(draw(3, 5, 4, 2), draw(3, 5, 4, 2), draw(5)),
    "norm_backward": lambda k, draw: k.norm_backward(
        draw(3, 5, 4, 2), draw(3, 5, 4, 2), draw(5), draw(5), draw(5), draw(5)
    ),
    "conv2d": lambda k, draw: k.conv2d(draw(3, 2, 7, 5), draw(4, 2, 2, 3), draw(4), *WINDOW[1:]),
    "conv2d without bias": lambda k, draw: k.conv2d(
        draw(3, 2, 7, 5), draw(4, 2, 2, 3), None, *WINDOW[1:]
    ),
    "conv2d_dx": lambda k, draw: k.conv2d_dx(
        draw(3, 4, 4, 5), draw(4, 2, 2, 3), (3, 2, 7, 5), *WINDOW[1:]
    ),
    "conv2d_dweight": lambda k, draw: k.conv2d_dweight(
        draw(19, 2, 7, 5), draw(19, 4, 4, 5), (2, 3), *WINDOW[1:]
    ),
    "sum_over": lambda k, draw: k.sum_over(draw(2, 3, 701), (0, 1)),
    "sum_over, the last": lambda k, draw: k.sum_over(draw(6, 351, 2), (0, 2), keepdims=True),
    "sigmoid of one number": lambda k, draw: k.sigmoid(draw()),
    "tanh of one number": lambda k, draw: k.tanh(draw()),
    "softmax_cross_entropy": lambda k, draw: k.softmax_cross_entropy(
        9 * draw(5, 7), np.array([3, -1, 6, 0, 3])
    ),
    "matmul": lambda k, draw: k.matmul(draw(2, 7), draw(7, 5)),
    "matmul, stacked": lambda k, draw: k.matmul(draw(2, 3, 7), draw(2, 7, 5)),
    "matmul, plus": lambda k, draw: k.matmul(draw(2, 7), draw(7, 5), plus=draw(2, 1)),
}


def plain(array: np.ndarray) -> np.ndarray:
    return array


def strided(array: np.ndarray) -> np.ndarray:
    """The same numbers, every other of a larger array whose axes lie the other way round."""
    wide = np.zeros([2 * n for n in array.shape[::-1]], array.dtype).T
    wide[tuple(slice(None, None, 2) for _ in array.shape)] = array
    return wide[tuple(slice(None, None, 2) for _ in array.shape)]


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", [plain, strided, read_only])
@pytest.mark.parametrize("name", COMPUTE)
def test_compiled_kernels_take_any_layout_and_change_nothing(
    name: str, layout: Callable[[np.ndarray], np.ndarray], dtype: Any
) -> None:
    """Few numbers are summed, each of at most 30, in another order: 60 roundings at the most."""
    given: list[np.ndarray] = []

    def drawing(layout: Callable[[np.ndarray], np.ndarray]) -> Draw:
        rng = np.random.default_rng(11)

        def draw(*shape: int) -> np.ndarray:
            given.append(layout(np.asarray(rng.standard_normal(shape), dtype)))
            return given[-1]

        return draw

    expected = COMPUTE[name](reference, drawing(plain))
    count = len(given)
    for threads in (1, 3):
        with three_threads():
            cpu.set_num_threads(threads)
            results = COMPUTE[name](cpu, drawing(layout))
        for mine, theirs in zip(as_tuple(results), as_tuple(expected), strict=True):
            assert mine.shape == theirs.shape
            assert mine.dtype == theirs.dtype
            np.testing.assert_allclose(mine, theirs, rtol=60 * EPS[dtype], atol=60 * EPS[dtype])
            assert not any(np.shares_memory(mine, array) for array in given)
    for first, again in zip(given[:count] * 2, given[count:], strict=True):
        np.testing.assert_array_equal(first, again)


def as_tuple(results: Any) -> tuple[Any, ...]:
    return results if isinstance(results, tuple) else (results,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, 7, 100_000])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_compiled_descent_is_the_references(
    size: int, momentum: float, dtype: type, rng: np.random.Generator
) -> None:
    cells: np.ndarray = rng.standard_normal((3, size)).astype(dtype)
    results = []
    for kernel in (reference, cpu):
        p, g, v = cells.copy()
        kernel.sgd(p, g, v if momentum else None, 0.3, momentum, 0.1, 0.01, False, True)
        results.append((p, v))
    tolerance = 1e-5 if dtype is np.float32 else 1e-13
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, tolerance, tolerance)


@pytest.mark.parametrize("rule", ["adam", "adadelta"])
def test_of_an_optimizers_cells_each_thread_changes_its_own(
    rule: str, rng: np.random.Generator
) -> None:
    cells, results = rng.random((5, 100)), []
    for kernel in (reference, cpu):
        p, g, *kept = cells.copy()
        with three_threads():
            if rule == "adam":
                kernel.adam(p, g, *kept, 3, 0.1, 0.8, 0.9, 1e-3, 0.1, True, False)
            else:
                kernel.adadelta(p, g, *kept[:2], 0.7, 0.8, 1e-3, 0.1, True)
        results.append((p, *kept))
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_sets_have_the_same_functions() -> None:
    names = [
        "adadelta",
        "adam",
        "avg_pool",
        "avg_pool_backward",
        "col2im",
        "get_num_threads",
        "im2col",
        "matmul",
        "max_pool",
        "max_pool_backward",
        "random_uniform",
        "relu_backward",
        "set_num_threads",
        "sgd",
        "sigmoid",
        "sigmoid_backward",
        "softmax_cross_entropy",
        "sum_over",
    ]
    for kernel in (reference, cpu):
        assert all(callable(getattr(kernel, name, None)) for name in names)
