"""On a GPU: what is made of lists, numbers and files for arrays there is made there too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, gradcheck, nn
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
    batch_norm: Callable[..., Tensor] = F.batch_norm
    statistics: Any = {"running_mean": None, "running_var": None, "training": True}
    wanted = batch_norm(Tensor(x), **statistics, **{alone: Tensor(own)})
    there = {alone: Tensor(to_device(own, "gpu"))}
    ours = batch_norm(Tensor(to_device(x, "gpu")), **statistics, **there)
    assert ours.device.startswith("gpu")
    np.testing.assert_allclose(ours.cpu().numpy(), wanted.numpy(), rtol=1e-9)


def test_a_state_of_numpys_arrays_is_loaded_where_the_net_is() -> None:
    net, state = nn.Linear(3, 2).to("gpu"), nn.Linear(3, 2).state_dict()
    net.load_state_dict({name: tensor.numpy() for name, tensor in state.items()})
    for name, tensor in net.state_dict().items():
        assert tensor.device.startswith("gpu")
        np.testing.assert_array_equal(tensor.cpu().numpy(), state[name].numpy())


def test_a_net_is_summed_up_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    nn.Sequential(nn.Linear(3, 2)).to("gpu").summary((4, 3))
    assert "(4, 2)" in capsys.readouterr().out


def test_a_gradient_is_checked_where_its_inputs_are() -> None:
    x, w = (Tensor(to_device(np.array([2.0, 3.0]) * k, "gpu"), k == 1) for k in (1, 2))
    assert gradcheck(lambda x: x * w, x)


def test_an_array_that_has_the_dtype_already_is_the_tensors(cupy: Any) -> None:
    array = cupy.ones(3, "float32")
    assert Tensor(array, dtype="float32").data is array
    assert Tensor(array, dtype="float64").data is not array
