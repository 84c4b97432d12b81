"""The last kernel of a compiled step: parts of gradients, the optimiser's step, sums of losses."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from minicnn.device import to_device, to_host

SETTINGS = np.array([0.0, 0.0, 0.1, 0.9, 0.2, 0.01, 1.0, 0.0])  # two of the loss, then SGD's


def updated(
    shapes: list[tuple[int, int]], images: int, with_parameters: int, order: int, cupy: Any
) -> tuple[list[Any], ...]:
    """Parameters, gradients and velocities (parts, cells), before and after; and the sums."""
    gpu: Any = importlib.import_module("minicnn.kernels.gpu.launch")
    rng = np.random.default_rng(7)
    before = [(rng.standard_normal(n), rng.standard_normal((parts, n)), rng.standard_normal(n))
              for parts, n in shapes]  # fmt: skip
    after = [[to_device(a, "gpu") for a in arrays] for arrays in before]
    table, places = np.zeros((len(shapes), 8), np.uint64), []
    for row, ((parts, n), (p, g, v)) in enumerate(zip(shapes, after, strict=True)):
        address = p.data.ptr if row < with_parameters else 0
        table[row] = address, g.data.ptr, v.data.ptr, 0, 0, n, parts, 2  # and the clock's 1
        places += [(row, block) for block in range(-(-n // (256 if parts <= 8 else 32)))]
    losses = rng.standard_normal(images), rng.random(images) < 0.3, [2.5]
    of_images = to_device(np.concatenate(losses), "gpu")
    sums = [to_device(np.full(1, 4, dtype), "gpu") for dtype in (float, float, int)]
    keys = to_device(np.array([3, 5, 3, 6], np.uint64), "gpu")
    clock = to_device(np.array([1, 0], np.uint64), "gpu")
    cupy.set_thread_order(order)
    constants = [to_device(a, "gpu") for a in (table, np.array(places, np.int32), SETTINGS)]
    arguments = (*constants, keys, np.int32(2), clock, of_images, *sums, np.int32(images))
    gpu.kernel("update_sgd", "float64")((len(places) + 1,), (256,), arguments)
    after_all = [to_host(a).tolist() for a in (keys, clock)]
    return before, after, [losses, [float(to_host(a)[0]) for a in sums], *after_all]


@pytest.mark.parametrize("order", [0, 1, 2])
def test_parts_are_added_and_the_step_is_that_of_sgd(cupy: Any, order: int) -> None:
    shapes = [(1, 300), (2, 257), (9, 33), (8, 3), (41, 70), (12, 5)]
    before, after, _ = updated(shapes, 5, 5, order, cupy)
    lr, momentum, dampening, decay = SETTINGS[2:6]
    for row, (old, new) in enumerate(zip(before, after, strict=True)):
        p, g, v = old[0], old[1].sum(0), old[2]
        np.testing.assert_allclose(to_host(new[1])[0], g, rtol=1e-12, atol=1e-12)
        if row < 5:
            d = g + decay * p
            v = momentum * v + (1 - dampening) * d
            p = p - lr * (d + momentum * v)
        np.testing.assert_allclose(to_host(new[0]), p, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(to_host(new[2]), v, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("images", [1, 37, 700])
def test_losses_are_added_and_masks_go_on(cupy: Any, images: int) -> None:
    *_, ((losses, right, (divisor,)), (result, total, correct), keys, clock) = updated(
        [(1, 3)], images, 1, 2, cupy
    )
    assert result == pytest.approx(losses.sum() / divisor, rel=1e-12)
    assert total == pytest.approx(4 + losses.sum() / divisor * images, rel=1e-12)
    assert correct == 4 + right.sum()
    assert (keys, clock) == ([3, 7, 3, 8], [1, 1])


def test_two_runs_give_the_same_bits(cupy: Any) -> None:
    shapes = [(3, 70), (41, 70)]
    runs = [updated(shapes, 700, 2, order, cupy)[1:] for order in (0, 3)]
    for one, other in zip(runs[0][0], runs[1][0], strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(to_host(a), to_host(b))
    assert runs[0][1][1] == runs[1][1][1]
