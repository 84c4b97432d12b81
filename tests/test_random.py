"""minicnn.manual_seed: one seed for weights, draws and dropout masks."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, random


def masks() -> np.ndarray:
    layer, x = nn.Dropout(0.5), Tensor(np.ones((2, 50), np.float32))
    return np.stack([layer(x).numpy() for _ in range(3)])


DRAWS: dict[str, Callable[[], Any]] = {
    "rand": lambda: minicnn.rand(3, 4).numpy(),
    "randn": lambda: minicnn.randn(3, 4).numpy(),
    "weights": lambda: nn.Conv2d(2, 3, 3).weight.numpy(),
    "mask keys": lambda: [random.next_mask_key() for _ in range(3)],
    "masks": masks,
    "generator": lambda: random.default_generator().integers(2**60, size=5),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
def test_the_seed_repeats_the_draws(draw: Callable[[], Any]) -> None:
    minicnn.manual_seed(11)
    first, second = draw(), draw()
    minicnn.manual_seed(11)
    again = draw()
    minicnn.manual_seed(12)
    other = draw()

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_masks_are_numbered_in_the_order_of_their_use() -> None:
    minicnn.manual_seed(5)
    assert [random.next_mask_key() for _ in range(3)] == [(5, 0), (5, 1), (5, 2)]


def test_masks_and_other_draws_do_not_disturb_each_other() -> None:
    minicnn.manual_seed(5)
    expected, key = minicnn.rand(3).numpy(), random.next_mask_key()
    minicnn.manual_seed(5)
    masks()
    np.testing.assert_array_equal(minicnn.rand(3).numpy(), expected)
    assert key == (5, 0)
    assert random.next_mask_key() == (5, 3)


@pytest.mark.parametrize("training", [False, True])
def test_a_mask_is_numbered_only_if_it_is_drawn(training: bool) -> None:
    minicnn.manual_seed(5)
    nn.Dropout(0.5).train(training)(Tensor([1.0]))
    nn.Dropout(0.0)(Tensor([1.0]))
    assert random.next_mask_key() == (5, int(training))


@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1, np.int64(3)])
def test_seeds_fill_64_bits(seed: int) -> None:
    minicnn.manual_seed(seed)
    assert random.next_mask_key() == (seed, 0)
    assert masks().shape == (3, 2, 50)


@pytest.mark.parametrize("seed", [-1, 2**64, -(2**70)])
def test_seeds_out_of_range_change_nothing(seed: int) -> None:
    minicnn.manual_seed(5)
    with pytest.raises(
        ValueError, match=rf"^seed is {seed}; wanted an integer in 0\.\.2\*\*64 - 1$"
    ):
        minicnn.manual_seed(seed)
    assert random.next_mask_key() == (5, 0)


def test_rand_is_uniform_and_randn_normal() -> None:
    u, n = minicnn.rand(100, 100).numpy(), minicnn.randn(100, 100).numpy()

    assert 0 <= u.min() < 0.01 < 0.99 < u.max() <= 1
    assert u.mean() == pytest.approx(0.5, abs=0.02)
    assert u.var() == pytest.approx(1 / 12, rel=0.05)
    assert n.mean() == pytest.approx(0, abs=0.05)
    assert n.var() == pytest.approx(1, rel=0.05)
    assert np.abs(n).max() > 3


@pytest.mark.parametrize("draw", [minicnn.rand, minicnn.randn])
def test_shape_dtype_and_generator_can_be_given(draw: Callable[..., Tensor]) -> None:
    assert draw().shape == ()
    assert draw(2, 3).shape == (2, 3)
    assert draw(2).dtype == np.float32
    assert draw(2, dtype="float64").dtype == np.float64

    minicnn.manual_seed(5)
    expected = minicnn.rand(2).numpy()
    minicnn.manual_seed(5)
    a = draw(4, generator=np.random.default_rng(1)).numpy()
    b = draw(4, generator=np.random.default_rng(1)).numpy()
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(minicnn.rand(2).numpy(), expected)


def test_the_shape_may_have_a_name() -> None:
    x = minicnn.rand(size=(1, 1, 28, 28), dtype=minicnn.float32)  # as the book types it
    assert x.shape == (1, 1, 28, 28)
    assert x.dtype == np.float32
    assert minicnn.randn(size=(2, 3)).shape == minicnn.randn(2, 3).shape == (2, 3)
    assert minicnn.rand().shape == ()


def test_own_draws_leave_those_of_the_process_and_of_other_threads_alone() -> None:
    expected = [minicnn.rand(2).tolist(), random.next_mask_key(), minicnn.rand(2).tolist()]
    minicnn.manual_seed(7)
    drawn = [minicnn.rand(2).tolist()]
    with ThreadPoolExecutor(1) as pool, random.drawing_from(random.Draws(7)):
        assert [minicnn.rand(2).tolist(), random.next_mask_key()] == expected[:2]
        drawn += [pool.submit(random.next_mask_key).result()]
    assert [*drawn, minicnn.rand(2).tolist()] == expected


def test_a_kept_state_repeats_the_draws_that_followed() -> None:
    minicnn.manual_seed(5)
    minicnn.rand(3)
    random.next_mask_key()
    state = random.get_rng_state()
    expected = [minicnn.rand(4).numpy().tolist(), random.next_mask_key()]
    minicnn.manual_seed(6)
    random.set_rng_state(json.loads(json.dumps(state)))
    assert [minicnn.rand(4).numpy().tolist(), random.next_mask_key()] == expected
    assert expected[1] == (5, 1)


@pytest.mark.parametrize("draw", ["uniform", "normal"])
def test_of_a_budget_as_many_weights_are_drawn_as_it_has(draw: str) -> None:
    """Those that the generator draws without one."""
    budget, free = random.Budget(25), np.random.Generator(np.random.PCG64(0))
    for shape in ((2, 5), (3, 5)):
        ours, theirs = (getattr(each, draw)(2.0, 3.0, shape) for each in (budget, free))
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match=r"weights of shape \(1, 1\)"):
        getattr(budget, draw)(2.0, 3.0, (1, 1))
