"""What ``kernels.cpu`` computes an image or a plane at a time: BLAS from a compiled loop."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from minicnn.kernels import cpu, reference
from minicnn.kernels.cpu.gemm import address_of_gemm, gemm
from tests.kernels.geometry import three_threads

WINDOW = (2, 1), (1, 2), (1, 2)  # stride, padding, dilation


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("a_is_turned", [False, True])
@pytest.mark.parametrize("b_is_turned", [False, True])
def test_a_product_in_a_compiled_loop_is_numpys(
    a_is_turned: bool, b_is_turned: bool, dtype: Any, rng: np.random.Generator
) -> None:
    """Whole numbers: exact. What is not kept may have been anything."""
    a, b, c = (rng.integers(-9, 9, shape).astype(dtype) for shape in ((5, 7), (7, 3), (5, 3)))
    left = np.ascontiguousarray(a.T) if a_is_turned else a
    right = np.ascontiguousarray(b.T) if b_is_turned else b
    kept, written = c.copy(), np.full_like(c, np.nan)
    gemm(address_of_gemm(dtype), left, a_is_turned, right, b_is_turned, 1, kept)
    gemm(address_of_gemm(dtype), left, a_is_turned, right, b_is_turned, 0, written)
    np.testing.assert_array_equal(kept, c + a @ b)
    np.testing.assert_array_equal(written, a @ b)


def test_sums_do_not_depend_on_the_number_of_threads(rng: np.random.Generator) -> None:
    """Bit for bit: dW and db, a batch's moments, the sums of a batch norm's gradients."""
    x, dy = (rng.standard_normal((37, c, 12, 11)).astype(np.float32) for c in (3, 5))
    mean = x.mean((0, 2, 3))

    def sums() -> list[bytes]:
        results = [
            *cpu.conv2d_dweight(x, dy, (3, 3), (1, 1), (1, 1), (1, 1)),
            *cpu.moments(x),
            *cpu.norm_sums(x + 1, x, mean),
        ]
        return [array.tobytes() for array in results]

    with three_threads():
        three = sums()
        cpu.set_num_threads(1)
        assert sums() == three


def test_moments_of_cells_far_from_zero(rng: np.random.Generator) -> None:
    """E[x²] - E[x]² would be all rounding: float32 has 7 digits, the mean is 10,000 deviations."""
    x = (1e4 + rng.standard_normal((8, 2, 9, 7))).astype(np.float32)
    mean, var = cpu.moments(x)
    np.testing.assert_allclose(mean, x.astype(float).mean((0, 2, 3)), rtol=1e-7)
    np.testing.assert_allclose(var, x.astype(float).var((0, 2, 3)), rtol=1e-6)


def test_without_a_known_blas_the_reference_computes(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, weight, dy = (rng.standard_normal(s) for s in ((3, 2, 7, 5), (4, 2, 2, 3), (3, 4, 4, 5)))
    calls = [
        ("conv2d", (x, weight, None, *WINDOW)),
        ("conv2d_dx", (dy, weight, x.shape, *WINDOW)),
        ("conv2d_dweight", (x, dy, (2, 3), *WINDOW)),
    ]
    module = importlib.import_module("minicnn.kernels.cpu.conv")
    monkeypatch.setattr(module, "address_of_gemm", lambda dtype: 0)
    for name, arguments in calls:
        ours, theirs = (getattr(k, name)(*arguments) for k in (cpu, reference))
        for mine, expected in zip(*([*r] for r in (ours, theirs)), strict=True):
            np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_keeps_nan(dtype: Any) -> None:
    x = np.array([np.nan, -np.inf, np.inf, -1.0, 2.0], dtype)
    np.testing.assert_array_equal(cpu.relu(x), np.array([np.nan, 0, np.inf, 0, 2], dtype))
