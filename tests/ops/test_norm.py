"""Batch normalisation: values, gradients, running statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.nn import functional as F
from tests.oracle import assert_agrees_with_torch

batch_norm: Callable[..., Tensor] = F.batch_norm  # arguments come as lists and dicts
SHAPES = [(6, 3), (4, 3, 5), (4, 3, 2, 5), (3, 3, 3, 3)]


def arrays_of(shape: tuple[int, ...], affine: bool, rng: np.random.Generator) -> list[np.ndarray]:
    x = 3 * rng.standard_normal(shape) + 2
    return [x, rng.standard_normal(shape[1]), rng.standard_normal(shape[1])][: 3 if affine else 1]


def statistics(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal(3), rng.random(3) + 0.5


def test_each_channel_gets_mean_0_and_variance_1(rng: np.random.Generator) -> None:
    x = Tensor(5 * rng.standard_normal((8, 3, 4, 5)) + 7)
    y = batch_norm(x, None, None, training=True, eps=1e-14).numpy()
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=(0, 2, 3)), 1, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_those_of_finite_differences(
    shape: tuple[int, ...], affine: bool, training: bool, rng: np.random.Generator
) -> None:
    inputs = [Tensor(array, requires_grad=True) for array in arrays_of(shape, affine, rng)]
    mean, var = statistics(rng)

    def normalised(x: Tensor, *affine: Tensor) -> Tensor:
        return batch_norm(x, Tensor(mean.copy()), Tensor(var.copy()), *affine, training=training)

    assert minicnn.gradcheck(normalised, inputs)


@pytest.mark.parity
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_values_gradients_and_running_statistics_are_those_of_torch(
    shape: tuple[int, ...], affine: bool, training: bool, rng: np.random.Generator
) -> None:
    torch = pytest.importorskip("torch")
    options: dict[str, Any] = {"training": training, "momentum": 0.3, "eps": 1e-3}
    mean, var = statistics(rng)
    ours = Tensor(mean.copy()), Tensor(var.copy())
    theirs = torch.tensor(mean), torch.tensor(var)

    def call(function: Callable[..., Any], running: Any) -> Callable[..., Any]:
        return lambda x, *affine: function(x, *running, *affine, **options)

    assert_agrees_with_torch(
        call(F.batch_norm, ours),
        *arrays_of(shape, affine, rng),
        theirs=call(torch.nn.functional.batch_norm, theirs),
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)
    assert (ours[0].numpy() != mean).all() == training


@pytest.mark.parity
def test_without_running_statistics_the_batch_counts_as_in_torch(
    rng: np.random.Generator,
) -> None:
    torch = pytest.importorskip("torch")
    assert_agrees_with_torch(
        lambda x: batch_norm(x, None, None, training=True),
        rng.standard_normal((4, 3, 2, 5)),
        theirs=lambda x: torch.nn.functional.batch_norm(x, None, None, training=True),
    )


def test_running_statistics_move_by_momentum_towards_mean_and_unbiased_variance(
    rng: np.random.Generator,
) -> None:
    x = rng.standard_normal((4, 3, 2, 5))
    mean, var = statistics(rng)
    running_mean, running_var = Tensor(mean.copy()), Tensor(var.copy())
    batch_norm(Tensor(x), running_mean, running_var, training=True, momentum=0.25)
    axes = (0, 2, 3)
    np.testing.assert_allclose(running_mean.numpy(), 0.75 * mean + 0.25 * x.mean(axes), 1e-12)
    np.testing.assert_allclose(running_var.numpy(), 0.75 * var + 0.25 * x.var(axes, ddof=1), 1e-12)


def test_evaluation_uses_the_running_statistics_and_leaves_them(
    rng: np.random.Generator,
) -> None:
    x, (mean, var) = rng.standard_normal((4, 3, 2, 5)), statistics(rng)
    running_mean, running_var = Tensor(mean.copy()), Tensor(var.copy())
    y = batch_norm(Tensor(x), running_mean, running_var, eps=0.5)
    along = (1, 3, 1, 1)
    expected = (x - mean.reshape(along)) / np.sqrt(var.reshape(along) + 0.5)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(running_mean.numpy(), mean)
    np.testing.assert_array_equal(running_var.numpy(), var)


def test_float32_statistics_and_result_stay_float32(rng: np.random.Generator) -> None:
    running = Tensor(np.zeros(3, np.float32)), Tensor(np.ones(3, np.float32))
    x = Tensor(rng.standard_normal((4, 3, 2, 5)).astype(np.float32), requires_grad=True)
    for training in (True, False):
        y = batch_norm(x, *running, training=training)
        y.backward(np.ones(y.shape, np.float32))
        assert y.dtype == np.float32
    assert x.grad is not None
    assert x.grad.dtype == running[0].dtype == running[1].dtype == np.float32


def test_a_batch_of_none_works_in_evaluation() -> None:
    y = batch_norm(Tensor(np.zeros((0, 3, 4, 5))), Tensor(np.zeros(3)), Tensor(np.ones(3)))
    assert y.shape == (0, 3, 4, 5)


@pytest.mark.parametrize(
    ("shape", "names", "message"),
    [
        ((5,), [], r"input has shape \(5,\); wanted \(N, C, \.\.\.\)"),
        ((2, 3), ["running_mean"], r"running_mean has shape \(4,\); wanted \(3,\)"),
        ((2, 3), ["weight", "bias"], r"weight has shape \(4,\); wanted \(3,\)"),
        ((2, 4), ["running_mean"], "wanted running_mean and running_var together, or neither"),
        ((2, 4), ["running_var"], "wanted running_mean and running_var together, or neither"),
        ((1, 3, 1, 1), [], r"input \(1, 3, 1, 1\) has 1 value a channel"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    shape: tuple[int, ...], names: list[str], message: str
) -> None:
    given: dict[str, Tensor | None] = {"running_mean": None, "running_var": None}
    given |= {name: Tensor(np.ones(4)) for name in names}
    with pytest.raises(ValueError, match=f"batch_norm: {message}"):
        batch_norm(Tensor(np.ones(shape)), **given, training=True)


def test_mixed_dtypes_are_refused() -> None:
    x, ones = Tensor(np.ones((2, 3))), Tensor(np.ones(3, np.float32))
    with pytest.raises(TypeError, match=r"input is float64, weight is float32; convert one"):
        batch_norm(x, None, None, ones, ones, training=True)


@pytest.mark.parametrize("eps", [-1.0, -1e-12, 0.0, 0])
def test_a_variance_of_the_batch_needs_a_positive_eps(eps: float) -> None:
    """A channel of equal values has variance 0; PyTorch refuses the same."""
    x, mean, var = Tensor(np.ones((4, 3))), Tensor(np.zeros(3)), Tensor(np.ones(3))
    message = rf"^batch_norm: eps is {eps}; wanted a positive number"
    with pytest.raises(ValueError, match=message):
        batch_norm(x, mean, var, training=True, eps=eps)
    with pytest.raises(ValueError, match=message):
        batch_norm(x, None, None, eps=eps)
    if eps < 0:
        with pytest.raises(ValueError, match=message):
            batch_norm(x, mean, var, eps=eps)
    else:
        np.testing.assert_array_equal(batch_norm(x, mean, var, eps=eps).numpy(), np.ones((4, 3)))
    np.testing.assert_array_equal(mean.numpy(), np.zeros(3))


@pytest.mark.parity
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_weight_or_bias_may_come_alone_as_in_torch(
    name: str, training: bool, rng: np.random.Generator
) -> None:
    torch = pytest.importorskip("torch")
    mean, var = statistics(rng)

    def call(function: Callable[..., Any], tensor: Any) -> Callable[..., Any]:
        def normalised(x: Any, affine: Any) -> Any:
            running = tensor(mean.copy()), tensor(var.copy())
            return function(x, *running, **{name: affine}, training=training)

        return normalised

    assert_agrees_with_torch(
        call(F.batch_norm, Tensor),
        rng.standard_normal((4, 3, 2, 5)),
        rng.standard_normal(3),
        theirs=call(torch.nn.functional.batch_norm, torch.from_numpy),
    )


@pytest.mark.parity
@pytest.mark.parametrize("shape", [(0, 3, 2, 5), (4, 3, 0, 5), (0, 3)])
@pytest.mark.parametrize("affine", [True, False])
def test_an_empty_batch_in_training_is_torchs(
    shape: tuple[int, ...], affine: bool, rng: np.random.Generator
) -> None:
    torch = pytest.importorskip("torch")
    mean, var = statistics(rng)
    ours, theirs = (
        (Tensor(mean.copy()), Tensor(var.copy())),
        (torch.tensor(mean), torch.tensor(var)),
    )
    assert_agrees_with_torch(
        lambda x, *affine: batch_norm(x, *ours, *affine, training=True),
        *arrays_of(shape, affine, rng),
        theirs=lambda x, *affine: torch.nn.functional.batch_norm(
            x, *theirs, *affine, training=True
        ),
    )
    np.testing.assert_array_equal(ours[0].numpy(), mean)
    np.testing.assert_array_equal(ours[1].numpy(), var)
    np.testing.assert_array_equal(theirs[1].numpy(), var)


def test_integers_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"^batch_norm: input is int64; wanted float32 or float64"):
        batch_norm(Tensor(np.ones((2, 3, 4), np.int64)), None, None, training=True)


@pytest.mark.parametrize("name", ["weight", "bias", "running_mean", "running_var"])
def test_every_argument_has_the_inputs_dtype(name: str) -> None:
    arguments = {n: Tensor(np.ones(3)) for n in ("running_mean", "running_var", "weight", "bias")}
    arguments[name] = Tensor(np.ones(3, np.float32))
    with pytest.raises(TypeError, match=rf"^batch_norm: input is float64, {name} is float32"):
        batch_norm(Tensor(np.ones((2, 3, 4))), **arguments)


def test_one_channel_has_the_unbiased_variance_too() -> None:
    x = np.array([[1.0, 2, 4], [3, 5, 9]])[:, None]  # 2 images, 1 channel, 3 cells
    mean, var = Tensor(np.zeros(1)), Tensor(np.ones(1))
    batch_norm(Tensor(x), mean, var, training=True, momentum=0.25)
    np.testing.assert_allclose(var.numpy(), 0.75 + 0.25 * x.var(ddof=1))
    np.testing.assert_allclose(mean.numpy(), 0.25 * x.mean())


def test_without_momentum_no_statistic_moves_whatever_the_batch_holds() -> None:
    mean, var = Tensor(np.zeros(2)), Tensor(np.ones(2))
    x = np.array([[1.0, np.inf], [2, 3], [4, 5]])
    with np.errstate(all="ignore"):
        batch_norm(Tensor(x), mean, var, training=True, momentum=0)
    assert (mean.numpy().tolist(), var.numpy().tolist()) == ([0, 0], [1, 1])


def test_the_default_momentum_is_a_tenth() -> None:
    mean, var = Tensor(np.zeros(1)), Tensor(np.ones(1))
    batch_norm(Tensor(np.array([[1.0], [3.0]])), mean, var, training=True)
    np.testing.assert_allclose([mean.item(), var.item()], [0.2, 1.1])
