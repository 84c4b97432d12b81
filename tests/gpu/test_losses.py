"""Losses and their arguments on a GPU: what is made for them is made there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from minicnn import Tensor
from minicnn.device import to_device
from minicnn.nn import functional as F

pytestmark = pytest.mark.usefixtures("cupy")


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
@pytest.mark.parametrize("weight", [None, [2.0, 3.0, 5.0, 7.0]])
def test_labels_may_be_a_list_be_ignored_and_be_no_class(
    loss: Callable[..., Tensor], weight: list[float] | None
) -> None:
    x = np.random.default_rng(1).standard_normal((3, 4))
    on_gpu = Tensor(to_device(x, "gpu"))
    for labels in ([3, 0, 1], [3, -100, 1]):
        ours = loss(on_gpu, labels, weight)
        assert ours.device.startswith("gpu")
        np.testing.assert_allclose(ours.item(), loss(Tensor(x), labels, weight).item(), rtol=1e-12)
    assert np.isnan(loss(on_gpu, [3, 4, 1], weight).item())  # on the CPU an IndexError


@pytest.mark.parametrize("alone", ["weight", "bias"])
def test_a_norms_weight_or_bias_may_come_alone(alone: str) -> None:
    x, own = np.random.default_rng(1).standard_normal((2, 3, 4)), np.array([2.0, 3.0, 5.0])
    wanted = F.batch_norm(Tensor(x), None, None, training=True, **{alone: Tensor(own)})
    ours = F.batch_norm(
        Tensor(to_device(x, "gpu")),
        None,
        None,
        training=True,
        **{alone: Tensor(to_device(own, "gpu"))},
    )
    assert ours.device.startswith("gpu")
    np.testing.assert_allclose(ours.cpu().numpy(), wanted.numpy(), rtol=1e-9)
