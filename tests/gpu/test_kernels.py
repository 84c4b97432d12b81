"""kernels.gpu, executed on the CPU from its source, against the reference."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from minicnn.kernels import arrays, reference

from minicnn import selfcheck
from minicnn.device import gpu_problem, to_device, to_host

DTYPES = ["float32", "float64"]
ORDERS = [0, 1, 2, 3]  # of threads and blocks: forward, backward, two at random
CASES = {
    f"{name}-{dtype}": (name, arguments)
    for dtype in DTYPES
    for name, arguments in selfcheck.kernel_cases(dtype)
}
WINDOWS = {  # picture, kernel, stride, padding, dilation
    "one cell": ((1, 1), (1, 1), (1, 1), (0, 0), (1, 1)),
    "as large as the picture": ((5, 7), (5, 7), (1, 1), (0, 0), (1, 1)),
    "overlapping": ((9, 8), (3, 4), (1, 2), (1, 2), (1, 1)),
    "gaps": ((11, 13), (2, 2), (5, 4), (0, 0), (1, 1)),
    "dilated": ((12, 9), (3, 2), (2, 1), (1, 1), (2, 3)),
    "does not fit": ((10, 7), (4, 3), (3, 3), (0, 1), (1, 1)),
}


@pytest.fixture
def gpu(cupy: Any) -> ModuleType:
    gpu_problem.cache_clear()
    return importlib.import_module("minicnn.kernels.gpu")


def on_gpu(*arguments: Any) -> tuple[Any, ...]:
    return tuple(to_device(a, "gpu") if isinstance(a, np.ndarray) else a for a in arguments)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("case", CASES)
def test_a_kernel_says_what_the_reference_says(
    gpu: ModuleType, cupy: Any, case: str, order: int
) -> None:
    cupy.set_thread_order(order)
    assert selfcheck.check_kernel(*CASES[case], "gpu") is None


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_windows_of_every_kind(
    gpu: ModuleType, dtype: str, window: str, rng: np.random.Generator
) -> None:
    picture, size, stride, padding, dilation = WINDOWS[window]
    x = rng.integers(-4, 5, (2, 3, *picture)).astype(dtype)  # small integers: ties, exact sums
    geometry = size, stride, padding, dilation
    columns = reference.im2col(x, *geometry)
    back = rng.integers(-9, 10, columns.shape).astype(dtype)
    check(gpu, "im2col", x, *geometry)
    check(gpu, "col2im", back, x.shape, *geometry)
    padding = (min(padding[0], size[0] // 2), min(padding[1], size[1] // 2))
    output = arrays.output_sizes(picture, size, stride, padding, dilation)
    check(gpu, "max_pool", x, size, stride, padding, dilation, output)
    _, index = reference.max_pool(x, size, stride, padding, dilation, output)
    dy = rng.integers(-9, 10, index.shape).astype(dtype)
    check(gpu, "max_pool_backward", dy, index, x.shape)
    output = arrays.output_sizes(picture, size, stride, padding, (1, 1))
    divisor = 2.0 ** rng.integers(0, 4, output).astype(dtype)
    dy = rng.integers(-9, 10, (2, 3, *output)).astype(dtype)
    check(gpu, "avg_pool", x, divisor, size, stride, padding)
    check(gpu, "avg_pool_backward", dy, divisor, x.shape, size, stride, padding)


def check(gpu: ModuleType, name: str, *arguments: Any) -> None:
    """Bit for bit."""
    ours, theirs = getattr(gpu, name)(*on_gpu(*arguments)), getattr(reference, name)(*arguments)
    for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (ours, theirs)), strict=True):
        np.testing.assert_array_equal(to_host(a), b, err_msg=name)
        assert a.dtype == b.dtype, name


def test_max_pool_lets_a_nan_win(gpu: ModuleType) -> None:
    x = np.array([[[[1, np.nan, 5, np.nan, 7, -np.inf]]]])
    check(gpu, "max_pool", x, (1, 3), (1, 1), (0, 0), (1, 1), (1, 4))
    check(gpu, "max_pool", np.full((1, 1, 2, 2), -np.inf), (2, 2), (1, 1), (1, 1), (1, 1), (3, 3))


def test_more_cells_than_threads(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "MOST_BLOCKS", 2)
    for name, arguments in CASES.values():
        assert selfcheck.check_kernel(name, arguments, "gpu") is None, name


def test_strided_and_empty_arrays(gpu: ModuleType, rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 6, 8)).transpose(2, 0, 1)[::2]
    (moved,) = on_gpu(x)
    assert not moved.flags.c_contiguous
    np.testing.assert_allclose(gpu.sigmoid(moved).get(), reference.sigmoid(x), rtol=1e-14)
    assert gpu.sigmoid(moved[:0]).shape == (0, 4, 6)


def test_sgd_changes_an_array_in_another_memory_order(gpu: ModuleType) -> None:
    p, g = on_gpu(np.arange(6.0).reshape(2, 3), np.ones((3, 2)))
    gpu.sgd(p.T, g, None, 0.5, 0.0, 0.0, 0.0, False, False)
    np.testing.assert_array_equal(p.get(), np.arange(6.0).reshape(2, 3) - 0.5)


def test_signatures_are_those_of_the_reference(gpu: ModuleType) -> None:
    for name in gpu.__all__:
        ours, theirs = (inspect.signature(getattr(m, name)) for m in (gpu, reference))
        assert ours.parameters.keys() == theirs.parameters.keys(), name
    assert {name for name, _ in CASES.values()} == set(gpu.__all__)
