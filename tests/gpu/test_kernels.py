"""kernels.gpu, executed on the CPU from its source, against the reference."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from minicnn import ops, selfcheck
from minicnn.device import to_device, to_host
from minicnn.kernels import arrays, reference

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


@pytest.mark.parametrize(
    ("shape", "axis", "are_ours"),
    [
        ((2048, 3), 0, True),
        ((2049, 3), 0, False),
        ((256, 256), None, True),
        ((257, 256), None, False),
        ((64, 5, 1024), (0, 2), True),
        ((64, 5, 1025), (0, 2), False),
        ((1024, 10), 1, True),
        ((1025, 10), 1, False),
        ((1025, 64), 1, True),
    ],
)
def test_sums_that_are_long_or_short_and_many_are_cupys(
    gpu: ModuleType, cupy: Any, shape: tuple[int, ...], axis: Any, are_ours: bool
) -> None:
    x = np.random.default_rng(1).standard_normal(shape)
    (there,) = on_gpu(x)
    cupy.reset_counters()
    y = gpu.sum_over(there, axis)
    assert cupy.counters.launches == are_ours
    np.testing.assert_allclose(to_host(y), x.sum(axis), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("compiled", ["float32", "float64", None])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_a_batch_is_gathered_by_what_is_compiled(
    gpu: ModuleType, cupy: Any, kind: str, compiled: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = importlib.import_module("minicnn.kernels.gpu.launch")
    made = {name: launch.module(name) for name in DTYPES if name == compiled}
    monkeypatch.setattr(launch, "modules", made)
    monkeypatch.setattr(importlib.import_module("minicnn.kernels.gpu.batches"), "modules", made)
    rng = np.random.default_rng(1)
    images, labels = rng.integers(0, 256, (7, 2, 3, 5)).astype(kind), rng.integers(0, 9, 7)
    arguments = images, labels, np.array([4, 0, 6]), None
    there = on_gpu(*arguments)
    cupy.reset_counters()
    ours = gpu.load_batch(*there)
    assert list(made) == ([] if compiled is None else [compiled])
    assert cupy.counters.launches == (kind == "uint8" and compiled is not None)
    for array, expected in zip(ours, reference.load_batch(*arguments), strict=True):
        np.testing.assert_array_equal(to_host(array), expected)


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
    monkeypatch.setattr("minicnn.kernels.gpu.launch.MOST_BLOCKS", 2)
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
        assert ours == theirs, name
    assert {name for name, _ in CASES.values()} == set(gpu.__all__)


# Batch normalisation: kernels of compiled steps alone ---------------------------------------------

NORM_SHAPES = {
    "two values": (2, 3, 1, 1),
    "one image": (1, 4, 3, 5),
    "a warp and a bit": (11, 1, 1, 3),
    "a block": (16, 2, 4, 4),
    "a block and one": (257, 2, 1, 1),
    "a picture larger than a block": (3, 2, 17, 19),
    "many images": (300, 5, 2, 3),
}
EPS = 1e-3


class Norm:
    """The kernels on the arrays of one batch normalisation, each of which ends in an attribute."""

    def __init__(
        self, gpu: ModuleType, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, splits: int = 3
    ):
        n, c, *_ = x.shape
        self.gpu, self.n, self.blocks = gpu.launch, np.int32(n), c * splits
        self.eps, self.sizes = x.dtype.type(EPS), [np.int32(k) for k in (c, x[0, 0].size, splits)]
        self.x, self.gamma, self.beta = on_gpu(x, gamma, beta)
        zeros, in_parts = np.zeros(c, x.dtype), np.zeros((splits, c), x.dtype)
        (self.parts,) = on_gpu(np.zeros((c, splits, 2), x.dtype))
        self.mean, self.var, self.dgammas, self.dbetas = on_gpu(zeros, zeros, in_parts, in_parts)
        self.running_mean, self.running_var = on_gpu(beta, gamma)
        (self.batches,) = on_gpu(np.array(3))

    def run(self, name: str, *arguments: Any) -> None:
        kernel = self.gpu.kernel(name, self.x.dtype.name)
        kernel((self.blocks,), (self.gpu.BLOCK,), (*arguments, *self.sizes))

    def moments(self, momentum: float) -> Any:
        """y, with mean and variance of x; the running ones move."""
        self.run("norm_moments", self.x, self.parts, self.batches, self.n)
        return self.forward(momentum=momentum, is_fixed=0)

    def forward(
        self,
        kind: int = arrays.NONE,
        has_affine: int = 1,
        momentum: float = 0.0,
        is_fixed: int = 1,
    ) -> Any:
        """y, with mean and variance as they are."""
        y = self.x * 0
        (momenta,) = on_gpu(np.array([momentum], self.x.dtype))
        moved = self.mean, self.var, self.running_mean, self.running_var, self.batches, momenta
        arguments = self.x, self.gamma, self.beta, self.parts, *moved, y, self.eps, self.n
        self.run("norm_forward", *arguments, *map(np.int32, (has_affine, is_fixed, kind)))
        return to_host(y)

    def backward(
        self, dy: Any, kind: int = arrays.NONE, has_affine: int = 1, is_fixed: int = 0
    ) -> Any:
        """dx; dgamma and dbeta are properties."""
        (dy,) = on_gpu(dy)
        dx, statistics = self.x * 0, (self.mean, self.var)
        sums = self.dgammas, self.dbetas
        self.run("norm_dweight", self.x, dy, *statistics, *sums, self.eps, self.n)
        arguments = self.x, dy, self.gamma, *statistics, *sums, dx, self.eps, self.n
        self.run("norm_dinput", *arguments, *map(np.int32, (has_affine, is_fixed, kind)))
        return to_host(dx)

    @property
    def dgamma(self) -> np.ndarray:
        return to_host(self.dgammas).sum(0)

    @property
    def dbeta(self) -> np.ndarray:
        return to_host(self.dbetas).sum(0)


def norm_of(gpu: ModuleType, shape: tuple[int, ...], dtype: str, splits: int = 3) -> Any:
    """The arrays of a batch normalisation, twice: as ``Norm`` and in float64, with a dy."""
    rng = np.random.default_rng(0)
    x, dy = (3 * rng.standard_normal(shape).astype(dtype) + k for k in (2, 0.5))
    gamma, beta = rng.random((2, shape[1])).astype(dtype) + dtype_of(dtype)(0.5)
    return Norm(gpu, x, gamma, beta, splits), *(a.astype(float) for a in (x, gamma, beta)), dy


def dtype_of(name: str) -> Any:
    return np.dtype(name).type


def near(ours: Any, theirs: Any, dtype: str) -> None:
    """Within rounding of the largest number."""
    tolerance = {"float32": 3e-5, "float64": 1e-13}[dtype]
    largest = np.abs(theirs[np.isfinite(theirs)]).max(initial=1e-3)
    np.testing.assert_allclose(to_host(ours), theirs, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", NORM_SHAPES.values(), ids=NORM_SHAPES)
def test_norms_of_every_size(
    gpu: ModuleType, cupy: Any, shape: tuple[int, ...], dtype: str, order: int
) -> None:
    cupy.set_thread_order(order)
    splits = {0: 3, 1: 1, 2: 32, 3: 7}[order]  # there may be more of them than images
    ours, x, gamma, beta, dy = norm_of(gpu, shape, dtype, splits)
    theirs = ops.BatchNorm(EPS)
    y = theirs.forward(x, gamma, beta)
    near(ours.moments(0.25), y, dtype)
    near(ours.mean, theirs.mean, dtype)
    near(ours.var, theirs.var, dtype)
    count = x.size // shape[1]
    near(ours.running_mean, 0.75 * beta + 0.25 * theirs.mean, dtype)
    near(ours.running_var, 0.75 * gamma + 0.25 * theirs.var * count / (count - 1), dtype)
    near(ours.forward(), y, dtype)
    plain = ops.BatchNorm(EPS)
    near(ours.forward(has_affine=0), plain.forward(x), dtype)
    assert int(ours.batches) == 4
    dx, dgamma, dbeta = theirs.backward(dy.astype(float))
    near(ours.backward(dy), dx, dtype)
    near(ours.dgamma, dgamma, dtype)
    near(ours.dbeta, dbeta, dtype)
    plain.needs_gradient = (True,)
    near(ours.backward(dy, has_affine=0), plain.backward(dy.astype(float)), dtype)
    scale = (gamma / np.sqrt(theirs.var + EPS))[:, None, None]
    near(ours.backward(dy, is_fixed=1), dy * scale, dtype)


@pytest.mark.parametrize("kind", [arrays.SIGMOID, arrays.TANH, arrays.RELU])
def test_a_norm_with_activations_before_and_behind(gpu: ModuleType, kind: int) -> None:
    ours, x, gamma, beta, dy = norm_of(gpu, (3, 2, 5, 4), "float64")
    theirs = ops.BatchNorm(EPS)
    y = theirs.forward(x, gamma, beta)
    ours.moments(0.0)
    activated = {
        arrays.SIGMOID: reference.sigmoid(y), arrays.TANH: np.tanh(y), arrays.RELU: np.maximum(y, 0)
    }  # fmt: skip
    near(ours.forward(kind), activated[kind], "float64")
    slope = {arrays.SIGMOID: x * (1 - x), arrays.TANH: 1 - x * x, arrays.RELU: x > 0}[kind]
    near(ours.backward(dy, kind), theirs.backward(dy)[0] * slope, "float64")


@pytest.mark.parametrize("momentum", [0.0, 0.1, 1.0, np.inf])
def test_running_statistics_by_every_momentum(gpu: ModuleType, momentum: float) -> None:
    ours, x, gamma, beta, _ = norm_of(gpu, (4, 2, 3, 3), "float64")
    ours.moments(momentum)
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), ddof=1)
    part = 1 / 4 if momentum == np.inf else momentum  # three batches were before
    near(ours.running_mean, beta + part * (mean - beta), "float64")
    near(ours.running_var, gamma + part * (var - gamma), "float64")
    assert int(ours.batches) == 4


def test_a_large_mean_leaves_the_variance(gpu: ModuleType, rng: np.random.Generator) -> None:
    x = (rng.standard_normal((40, 2, 5, 5)) + 1e4).astype("float32")
    ours = Norm(gpu, x, *np.ones((2, 2), "float32"))
    ours.moments(0.0)
    np.testing.assert_allclose(to_host(ours.var), x.astype(float).var((0, 2, 3)), 1e-4)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_stays_in_its_channel(gpu: ModuleType, wrong: float) -> None:
    ours, x, gamma, beta, dy = norm_of(gpu, (4, 3, 3, 3), "float64")
    x[2, 1, 0, 1] = ours.x[2, 1, 0, 1] = wrong
    theirs = ops.BatchNorm(EPS)
    ours.moments(0.0)
    np.testing.assert_array_equal(to_host(ours.running_var), gamma)
    ours.moments(0.5)
    with np.errstate(invalid="ignore"):
        near(ours.forward(), theirs.forward(x, gamma, beta), "float64")
        expected = theirs.backward(dy)
    for a, b in zip((ours.backward(dy), ours.dgamma, ours.dbeta), expected, strict=True):
        near(a, b, "float64")
    assert [bool(np.isnan(n)) for n in to_host(ours.running_var)] == [False, True, False]
