"""Cross-entropy and negative log-likelihood: their definition, PyTorch, finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.nn import functional as F
from tests import oracle
from tests.ops.losses import CLASSES, ROWS, TARGET, WEIGHT, tensors
from tests.oracle import assert_functional_agrees

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sum": {"reduction": "sum"},
    "none": {"reduction": "none"},
    "ignored": {"ignore_index": 1},
    "weight": {"weight": WEIGHT},
    "weight, none": {"weight": WEIGHT, "reduction": "none"},
    "weight, ignored": {"weight": WEIGHT, "ignore_index": 3},
    "smoothed": {"label_smoothing": 0.3},
    "smoothed, all": {"label_smoothing": 1.0, "reduction": "sum"},
    "everything": {"weight": WEIGHT, "ignore_index": 1, "label_smoothing": 0.2},
    "everything, sum": {
        "weight": WEIGHT,
        "ignore_index": 1,
        "label_smoothing": 0.2,
        "reduction": "sum",
    },
    "everything, none": {
        "weight": WEIGHT,
        "ignore_index": 1,
        "label_smoothing": 0.2,
        "reduction": "none",
    },
}


def probabilities(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A distribution over axis 1, or over the only axis."""
    p = rng.random(shape)
    return p / p.sum(axis=min(1, len(shape) - 1), keepdims=True)


def for_target(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """Class probabilities cannot be ignored."""
    ignored = () if kind == "indices" else ("ignore_index",)
    return {name: value for name, value in options.items() if name not in ignored}


@pytest.mark.parametrize("kind", ["indices", "probabilities"])
@pytest.mark.parametrize("name", OPTIONS)
def test_cross_entropy_is_its_definition(
    kind: str, name: str, kernel_set: str, rng: np.random.Generator
) -> None:
    logits = 3 * rng.standard_normal((ROWS, CLASSES))
    target = TARGET if kind == "indices" else probabilities((ROWS, CLASSES), rng)
    options = for_target(kind, OPTIONS[name])
    loss = F.cross_entropy(Tensor(logits), Tensor(target), **tensors(options))
    expected = oracle.cross_entropy(logits, target, **options)
    assert loss.shape == expected.shape
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("name", ["none", "everything", "everything, none"])
def test_every_pixel_is_a_row(name: str, kernel_set: str, rng: np.random.Generator) -> None:
    """(N, C, d1, d2) and (N, d1, d2) are the rows n, d1, d2 in this order."""
    logits, target = rng.standard_normal((2, CLASSES, 3, 5)), rng.integers(CLASSES, size=(2, 3, 5))
    rows = np.array([logits[n, :, i, j] for n, i, j in np.ndindex(2, 3, 5)])
    loss = F.cross_entropy(Tensor(logits), Tensor(target), **tensors(OPTIONS[name]))
    expected = oracle.cross_entropy(rows, target.reshape(-1), **OPTIONS[name])
    np.testing.assert_allclose(loss.numpy().reshape(-1), expected.reshape(-1), rtol=1e-10)
    assert loss.shape == ((2, 3, 5) if "none" in name else ())


@pytest.mark.parametrize("kind", ["indices", "probabilities"])
@pytest.mark.parametrize("name", OPTIONS)
def test_cross_entropy_gradients_are_those_of_finite_differences(
    kind: str, name: str, kernel_set: str, rng: np.random.Generator
) -> None:
    logits = Tensor(rng.standard_normal((ROWS, CLASSES)), requires_grad=True)
    soft = kind == "probabilities"
    target = Tensor(probabilities((ROWS, CLASSES), rng) if soft else TARGET, requires_grad=soft)
    options = tensors(for_target(kind, OPTIONS[name]))
    assert minicnn.gradcheck(lambda x, t: F.cross_entropy(x, t, **options), [logits, target])


def with_torch_weight(
    function: str, logits: np.ndarray, target: np.ndarray, **options: Any
) -> None:
    """Compares with the class weights, if any, as tensors of each library."""
    torch = pytest.importorskip("torch")
    weight = options.pop("weight", None)
    if weight is None:
        assert_functional_agrees(function, logits, target, **options)
        return
    ours, theirs = getattr(F, function), getattr(torch.nn.functional, function)
    oracle.assert_agrees_with_torch(
        lambda x, t: ours(x, t, Tensor(weight), **options),
        logits,
        target,
        theirs=lambda x, t: theirs(x, t, torch.from_numpy(weight), **options),
    )


@pytest.mark.parity
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("shape", [(6, 4), (2, 4, 3, 5), (3, 4, 2), (4,)])
def test_cross_entropy_is_torchs(
    name: str, shape: tuple[int, ...], kernel_set: str, rng: np.random.Generator
) -> None:
    logits = 3 * rng.standard_normal(shape)
    target = rng.integers(CLASSES, size=shape[:1] + shape[2:] if len(shape) > 1 else ())
    options = OPTIONS[name]
    if target.ndim == 0:  # not the one that is ignored: the mean over nothing has its own test
        target = np.array(2)
    with_torch_weight("cross_entropy", logits, target, **options)
    options = for_target("probabilities", options)
    with_torch_weight("cross_entropy", logits, probabilities(shape, rng), **options)


@pytest.mark.parity
@pytest.mark.parametrize("name", [name for name in OPTIONS if "smooth" not in name])
@pytest.mark.parametrize("shape", [(6, 4), (2, 4, 3, 5), (4,)])
def test_nll_loss_is_torchs(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    options = {key: value for key, value in OPTIONS[name].items() if key != "label_smoothing"}
    target = rng.integers(CLASSES, size=shape[:1] + shape[2:] if len(shape) > 1 else ())
    if target.ndim == 0:
        target = np.array(2)
    with_torch_weight("nll_loss", rng.standard_normal(shape), target, **options)


def test_nll_loss_of_log_softmax_is_cross_entropy(
    kernel_set: str, rng: np.random.Generator
) -> None:
    x = Tensor(rng.standard_normal((2, CLASSES, 3, 5)), requires_grad=True)
    target = Tensor(rng.integers(CLASSES, size=(2, 3, 5)))
    options: dict[str, Any] = {"weight": Tensor(WEIGHT), "ignore_index": 1}
    np.testing.assert_allclose(
        F.nll_loss(F.log_softmax(x, 1), target, **options).item(),
        F.cross_entropy(x, target, **options).item(),
        rtol=1e-12,
    )
    assert minicnn.gradcheck(lambda x: F.nll_loss(x, target, **options), x)
