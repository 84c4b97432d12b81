"""Cross-entropy with all its settings in a compiled step."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import Tensor, nn
from minicnn.nn import functional as F
from tests.compiler.nets import (
    DTYPES,
    NETS,
    TOLERANCE,
    assert_same,
    assert_step_is_eagers,
    batch,
    build,
    compiled,
    eager,
    result_of,
)

pytestmark = pytest.mark.usefixtures("share_the_least_work")


WEIGHTS = [0.5, 2.0, 0.0, 1.25, 3.0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("ignored", [-100, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_settings_of_the_loss(
    weighted: bool, ignored: int, reduction: str, smoothing: float, dtype: str
) -> None:
    weight = Tensor(np.array(WEIGHTS, dtype)) if weighted else None
    loss = nn.CrossEntropyLoss(weight, ignored, reduction, smoothing)
    net = build(NETS["avg-pool-divisor"], dtype)
    assert_step_is_eagers(net, *batch(37, dtype), TOLERANCE[dtype], loss)


def test_the_function_instead_of_the_layer() -> None:
    net = build(NETS["dense-only"], "float64")
    assert_step_is_eagers(net, *batch(5), 1e-11, F.cross_entropy)


def test_changed_settings_of_the_loss_are_seen() -> None:
    net, loss = build(NETS["dense-only"], "float64"), nn.CrossEntropyLoss()
    step = compiled(net, loss)
    step(*batch(5))
    loss.weight, loss.label_smoothing = Tensor(np.array(WEIGHTS)), 0.3
    assert_same(result_of(step, *batch(5)), eager(net, *batch(5), loss), 1e-11)


def test_where_all_is_ignored_the_loss_is_nan() -> None:
    net = build(NETS["conv-stride"], "float64")
    x, y = batch(5)
    step = compiled(net, nn.CrossEntropyLoss(ignore_index=2))
    loss, logits = step(x, np.full_like(y, 2))
    assert np.isnan(loss.item())
    assert not any(g.numpy().any() for g in step.gradients().values())
    np.testing.assert_allclose(logits.numpy(), net(Tensor(x)).numpy(), rtol=1e-11)


def test_where_all_is_ignored_the_sum_is_0() -> None:
    net = build(NETS["conv-stride"], "float64")
    loss, _ = compiled(net, nn.CrossEntropyLoss(reduction="sum"))(batch(5)[0], np.full(5, -100))
    assert loss.item() == 0


def test_very_large_logits() -> None:
    net = build(NETS["dense-only"], "float64")
    for p in net.parameters():
        p.data *= 1e4
    assert_step_is_eagers(net, *batch(21), 1e-11)


@pytest.mark.parametrize("index", [5, -1, 1000])
def test_a_class_that_there_is_not(index: int) -> None:
    step = compiled(build(NETS["dense-only"], "float64"))
    with pytest.raises(IndexError):
        step(batch(5)[0], np.array([0, 1, index, 3, 4]))


def test_labels_of_another_number_than_pictures() -> None:
    step = compiled(build(NETS["dense-only"], "float64"))
    with pytest.raises(ValueError, match="target"):
        step(batch(5)[0], np.zeros(6, np.int64))
