"""Losses at their edges: huge logits, ignored rows, nothing to sum, targets of the wrong kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn
from minicnn.nn import functional as F
from minicnn.nn.functional import loss as loss_module
from tests.ops.losses import CLASSES, TARGET, WEIGHT, tensors

# The edges ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_huge_logits_is_huge_not_infinite(
    dtype: type[np.floating], kernel_set: str
) -> None:
    logits = Tensor(np.array([[1e4, 0.0], [-1e4, 0.0]], dtype), requires_grad=True)
    loss = F.cross_entropy(logits, Tensor([1, 0], dtype=np.int64), reduction="none")
    assert loss.numpy().tolist() == [1e4, 1e4]
    loss.sum().backward()
    assert logits.grad is not None
    assert logits.grad.numpy().tolist() == [[1, -1], [-1, 1]]


def test_a_nan_among_the_logits_makes_the_loss_nan(kernel_set: str) -> None:
    for place in range(3):
        logits = np.zeros((2, 3))
        logits[1, place] = math.nan
        loss = F.cross_entropy(Tensor(logits), Tensor(np.array([0, 1])), reduction="none")
        assert loss.numpy()[0] == pytest.approx(math.log(3))
        assert math.isnan(loss.numpy()[1])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_if_all_targets_are_ignored_the_mean_is_nan_and_the_sum_0(
    smoothing: float, kernel_set: str
) -> None:
    target = Tensor(np.full(3, -100))
    for reduction, expected in (("mean", math.nan), ("sum", 0.0)):
        x = Tensor(np.ones((3, 4)), requires_grad=True)
        loss = F.cross_entropy(x, target, reduction=reduction, label_smoothing=smoothing)
        assert loss.item() == pytest.approx(expected, nan_ok=True)
        loss.backward()
        assert x.grad is not None
        assert (x.grad.numpy() == 0).all()


def test_if_all_targets_are_ignored_nll_loss_does_the_same() -> None:
    x, target = Tensor(np.ones((3, 4))), Tensor(np.full(3, -100))
    assert math.isnan(F.nll_loss(x, target).item())
    assert F.nll_loss(x, target, reduction="sum").item() == 0


def test_ignored_rows_get_no_gradient(kernel_set: str, rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((4, 3)), requires_grad=True)
    F.cross_entropy(x, Tensor(np.array([0, -7, 2, -7])), ignore_index=-7).backward()
    assert x.grad is not None
    assert (x.grad.numpy() != 0).all(axis=1).tolist() == [True, False, True, False]
    assert (x.grad.numpy()[[1, 3]] == 0).all()


@pytest.mark.parametrize("function", [F.cross_entropy, F.nll_loss])
@pytest.mark.parametrize("wrong", [4, -1, 1000])
def test_a_class_out_of_range_is_an_index_error(function: Any, wrong: int, kernel_set: str) -> None:
    target = Tensor(np.array([0, wrong, 3]))
    with pytest.raises(IndexError, match=f"class {wrong} is out of range; wanted 0 to 3"):
        function(Tensor(np.zeros((3, 4))), target)
    function(Tensor(np.zeros((3, 4))), target, ignore_index=wrong)


def test_a_batch_of_none_has_loss_0_and_mean_nan(kernel_set: str) -> None:
    x, target = Tensor(np.zeros((0, 4)), requires_grad=True), Tensor(np.zeros(0, np.int64))
    assert math.isnan(F.cross_entropy(x, target).item())
    assert F.cross_entropy(x, target, reduction="none").shape == (0,)
    total = F.cross_entropy(x, target, reduction="sum")
    assert total.item() == 0
    total.backward()
    assert x.grad is not None
    assert x.grad.shape == (0, 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_any_integers_are_class_indices(dtype: type[np.integer], kernel_set: str) -> None:
    x = Tensor(np.eye(4)[TARGET])
    expected = F.cross_entropy(x, Tensor(TARGET)).item()
    assert F.cross_entropy(x, Tensor(TARGET.astype(dtype))).item() == expected


@pytest.mark.parametrize(
    ("input", "target", "options", "message"),
    [
        ((3, 4), (2,), {}, r"target has shape \(2,\) .* for input \(3, 4\) have shape \(3,\)"),
        ((2, 4, 5), (2, 4), {}, r"target has shape \(2, 4\) .* have shape \(2, 5\)"),
        ((), (), {}, r"input has shape \(\); wanted \(N, C, \.\.\.\) or \(C,\)"),
        ((3, 4), (3,), {"weight": np.ones(3)}, r"weight has shape \(3,\); wanted \(4,\)"),
        ((3, 4), (3,), {"reduction": "average"}, "reduction is 'average'; wanted 'mean', 'sum'"),
        ((3, 4), (3,), {"label_smoothing": 1.5}, "label_smoothing is 1.5; wanted 0 to 1"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    input: tuple[int, ...], target: tuple[int, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"cross_entropy: {message}"):
        F.cross_entropy(
            Tensor(np.zeros(input)), Tensor(np.zeros(target, np.int64)), **tensors(options)
        )


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_a_reduction_that_is_none_is_refused(loss: Callable[..., Tensor]) -> None:
    message = rf"^{loss.__name__}: reduction is 'average'; wanted 'mean', 'sum' or 'none'$"
    with pytest.raises(ValueError, match=message):
        loss(minicnn.randn(3, 4), Tensor(np.array([0, 1, 2])), reduction="average")


def test_a_target_of_another_shape_is_called_what_it_is() -> None:
    x = minicnn.randn(3, 4)
    for target, kind, wanted in (
        (np.zeros(2, np.int64), "class indices", r"\(3,\)"),
        (np.zeros((2, 4), np.float32), "class probabilities", r"\(3, 4\)"),
    ):
        message = rf"; {kind} for input \(3, 4\) have shape {wanted}"
        with pytest.raises(ValueError, match=message):
            F.cross_entropy(x, Tensor(target))


def test_mixed_dtypes_are_refused() -> None:
    x, p = Tensor(np.zeros((3, 4))), Tensor(np.zeros((3, 4), np.float32))
    with pytest.raises(TypeError, match="input is float64, target is float32; convert one"):
        F.cross_entropy(x, p)
    with pytest.raises(TypeError, match="input is float64, weight is float32; convert one"):
        F.cross_entropy(x, Tensor(np.zeros(3, np.int64)), Tensor(np.ones(4, np.float32)))


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_integer_scores_are_refused_not_truncated(loss: Callable[..., Tensor]) -> None:
    with pytest.raises(TypeError, match=r"input is int64; wanted float32 or float64"):
        loss(Tensor(np.array([[1, 2], [3, 4]])), Tensor(np.array([0, 1])))


def test_class_indices_that_became_floats_are_explained() -> None:
    with pytest.raises(
        ValueError, match=r"class indices are integers: minicnn\.Tensor\(target\)\.to\('int64'\)"
    ):
        F.cross_entropy(minicnn.randn(3, 4), Tensor([1, 2, 3]))


def test_class_weights_may_be_an_array_and_receive_no_gradient() -> None:
    logits, target = minicnn.randn(3, 4), Tensor(np.array([0, 1, 3]))
    weight = Tensor(np.array([1, 2, 3, 4], np.float32), requires_grad=True)
    for smoothing in (0.0, 0.1):
        loss = F.cross_entropy(logits, target, weight, label_smoothing=smoothing)
        same = F.cross_entropy(logits, target, weight.numpy(), label_smoothing=smoothing)  # type: ignore[arg-type]
        assert loss.item() == same.item()
        assert not loss.requires_grad


# What an ignored row holds ------------------------------------------------------------------------


SMOOTHED: dict[str, dict[str, Any]] = {
    f"{reduction}{', weight' * weighted}": {
        "ignore_index": 2,
        "label_smoothing": 0.3,
        "reduction": reduction,
        **({"weight": WEIGHT} if weighted else {}),
    }
    for reduction in ("mean", "sum", "none")
    for weighted in (False, True)
}


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("name", SMOOTHED)
@pytest.mark.parametrize("pixels", [(), (2,)])
def test_an_ignored_row_may_hold_anything(
    value: float, name: str, pixels: tuple[int, ...], kernel_set: str, rng: np.random.Generator
) -> None:
    """Loss and gradient are those of the same rows with numbers in the ignored one."""
    logits = rng.standard_normal((3, CLASSES, *pixels))
    target = np.array([3, 2, 0]).reshape(3, *[1] * len(pixels)) + np.zeros((3, *pixels), int)
    wild = logits.copy()
    wild[1, 1:3] = value

    results = []
    for array in (logits, wild):
        x = Tensor(array, requires_grad=True)
        loss = F.cross_entropy(x, Tensor(target), **tensors(SMOOTHED[name]))
        loss.backward(Tensor(np.full(loss.shape, 1.5)))
        assert x.grad is not None
        results.append((loss.numpy(), x.grad.numpy()))

    (expected, expected_gradient), (given, gradient) = results
    np.testing.assert_array_equal(given, expected)
    np.testing.assert_array_equal(gradient, expected_gradient)
    assert (gradient[1] == 0).all()


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_row_that_counts_keeps_what_is_not_finite(value: float, kernel_set: str) -> None:
    logits = np.zeros((2, CLASSES))
    logits[0, 1] = value
    with np.errstate(invalid="ignore"):
        loss = F.cross_entropy(Tensor(logits), Tensor(np.array([0, 1])), label_smoothing=0.1)
    assert not math.isfinite(loss.item())


# Nothing to sum -----------------------------------------------------------------------------------


@pytest.mark.parity
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(4, 0), (0, 4), (0, 0), (2, 3, 0)])
def test_losses_of_nothing_are_torchs(
    shape: tuple[int, ...], reduction: str, smoothing: float, kernel_set: str
) -> None:
    torch = pytest.importorskip("torch")
    options: dict[str, Any] = {"reduction": reduction, "label_smoothing": smoothing}
    for kind in ("probabilities", "indices"):
        target = (
            np.zeros(shape) if kind == "probabilities" else np.full(shape[:1] + shape[2:], -100)
        )
        x = Tensor(np.zeros(shape), requires_grad=True)
        loss = F.cross_entropy(x, Tensor(target), **options)
        expected = torch.nn.functional.cross_entropy(
            torch.zeros(shape, dtype=torch.float64), torch.from_numpy(target), **options
        ).numpy()
        if kind == "indices" and smoothing and 0 in shape[1:2] and reduction != "mean":
            expected = np.zeros_like(expected)  # nan in PyTorch, although all rows are ignored
        np.testing.assert_array_equal(loss.numpy(), expected)
        loss.backward(Tensor(np.ones(loss.shape)))
        assert x.grad is not None
        assert x.grad.shape == shape


def test_pixels_without_classes_have_no_loss(kernel_set: str) -> None:
    """PyTorch refuses this shape."""
    losses = F.cross_entropy(
        Tensor(np.zeros((2, 0, 3))), Tensor(np.full((2, 3), -100)), reduction="none"
    )
    np.testing.assert_array_equal(losses.numpy(), np.zeros((2, 3)))


def test_a_class_of_none_is_out_of_range(kernel_set: str) -> None:
    for smoothing in (0.0, 0.2):
        with pytest.raises(IndexError, match="class 0 is out of range"):
            F.cross_entropy(
                Tensor(np.zeros((2, 0))), Tensor(np.array([0, -100])), label_smoothing=smoothing
            )


def test_class_0_can_be_ignored_and_the_class_after_the_last_too() -> None:
    x, labels = minicnn.randn(4, 3), Tensor(np.array([2, 0, 1, 0]))
    wanted = F.cross_entropy(x[np.array([0, 2])], Tensor(np.array([2, 1])))
    np.testing.assert_allclose(F.cross_entropy(x, labels, ignore_index=0).item(), wanted.item())
    assert F.cross_entropy(x, labels, ignore_index=3).item() == F.cross_entropy(x, labels).item()


def test_no_class_may_have_no_weight() -> None:
    x, labels = Tensor(np.zeros((2, 0))), Tensor(np.full(2, -100))
    for loss in (F.cross_entropy, F.nll_loss):
        assert loss(x, labels, Tensor(np.zeros(0)), reduction="sum").item() == 0


def test_labels_are_classes_if_they_are_int64_and_in_range() -> None:
    """A short cut past the other checks: in doubt the answer is no."""
    for labels, dtype, wanted in (
        ([0, 2, 1], np.int64, True),
        ([0, 3, 1], np.int64, False),
        ([0, -1, 1], np.int64, False),
        ([0, 0], np.int32, False),
        ([], np.int64, False),
    ):
        assert loss_module.are_classes(np.array(labels, dtype), 3) is wanted, labels


# Targets of the wrong kind ------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 1, 7])
def test_class_probabilities_cannot_be_ignored(index: int) -> None:
    x, p = minicnn.randn(3, 4), Tensor(np.full((3, 4), 0.25, np.float32))
    message = rf"^cross_entropy: ignore_index is {index}, target holds class probabilities; wanted"
    with pytest.raises(ValueError, match=message):
        F.cross_entropy(x, p, ignore_index=index)
    for unused in (-1, -100):
        assert F.cross_entropy(x, p, ignore_index=unused).item() == F.cross_entropy(x, p).item()


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_a_list_of_integers_holds_class_indices(loss: Callable[..., Tensor]) -> None:
    x = minicnn.randn(3, 4)
    expected = loss(x, Tensor(np.array([1, 0, 3]))).item()
    for target in ([1, 0, 3], (1, 0, 3), np.array([1, 0, 3])):
        assert loss(x, target).item() == expected
    assert loss(x.numpy(), [1, 0, 3]).item() == expected
    assert loss(x[0], 1).item() == loss(x[0], Tensor(np.array(1))).item()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        # a column of a CSV file, as NumPy reads it
        (
            np.array([0.0, 2.0, 1.0]),
            r"class indices are integers: minicnn\.Tensor\(target\)\.to\('int64'\)$",
        ),
        (
            np.array([[0.0], [2.0], [1.0]]),
            r"integers of shape \(3,\): minicnn\.Tensor\(target\)\.reshape\(3,\)\.to\('int64'\)$",
        ),
        (np.array([[0], [2], [1]]), r"integers of shape \(3,\): target\.reshape\(3,\)$"),
        (np.eye(4, dtype=int)[:3], r"class indices of one-hot rows are target\.argmax\(1\)$"),
        ([0.0, 2.0, 1.0], r"class indices are integers: minicnn\.Tensor\(target\)\.to\('int64'\)$"),
    ],
)
def test_targets_that_are_no_class_indices_come_with_the_cure(target: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^cross_entropy: target has shape .*{message}"):
        F.cross_entropy(minicnn.randn(3, 4), target)


def test_probabilities_of_another_dtype_are_the_ones_to_convert() -> None:
    message = r"input is float32, target is float64; convert one, .* target\.to\('float32'\)$"
    with pytest.raises(TypeError, match=message):
        F.cross_entropy(minicnn.randn(3, 4), Tensor(np.full((3, 4), 0.25)))


def test_nll_loss_has_class_indices_only() -> None:
    with pytest.raises(TypeError, match=r"^nll_loss: target is float32; wanted class indices"):
        F.nll_loss(minicnn.randn(3, 4), minicnn.rand(3, 4))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_an_ignored_row_may_hold_anything_in_a_compiled_step(value: float, reduction: str) -> None:
    if not minicnn.compiler.is_available():
        return
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, CLASSES))
    x, y = minicnn.rand(3, 1, 2, 3), Tensor(np.array([3, 2, 0]))
    x.data[1, 0, 0, 2] = value
    weight = Tensor(WEIGHT.astype(np.float32))
    loss_of = nn.CrossEntropyLoss(weight, 2, reduction, label_smoothing=0.3)
    with np.errstate(invalid="ignore"):
        expected = loss_of(net(x), y)
    step = minicnn.compile(net, loss_of, minicnn.optim.SGD(net.parameters(), lr=0.0))
    loss, _ = step(x, y)
    assert math.isfinite(expected.item())
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
