"""nn.BatchNorm2d: running statistics, and PyTorch's over several batches."""

from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, nn
from tests.nn.blocks import images


def test_batch_norm_moves_its_running_statistics_in_training_only() -> None:
    norm, x = nn.BatchNorm2d(3), images(4, 3, 5, 2)

    norm(x)
    norm.eval()(x)

    data = x.numpy()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, var = data.mean((0, 2, 3)), data.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(norm.running_mean.numpy(), 0.1 * mean, rtol=1e-4)
    np.testing.assert_allclose(norm.running_var.numpy(), 0.9 + 0.1 * var, rtol=1e-4)
    assert norm.num_batches_tracked.item() == 1


def test_batch_norm_normalises_each_channel_in_training() -> None:
    y = nn.BatchNorm2d(3)(images(4, 3, 5, 2) * 3 + 2).numpy()
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.var((0, 2, 3)), 1, rtol=1e-4)


def test_batch_norm_wants_pictures() -> None:
    with pytest.raises(ValueError, match=r"^BatchNorm2d: input has shape \(2, 3\); wanted \(N, C"):
        nn.BatchNorm2d(3)(images(2, 3))


@pytest.mark.parity
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"momentum": None},
        {"momentum": 0.3, "eps": 1e-2},
        {"affine": False},
        {"track_running_stats": False},
        {"affine": False, "track_running_stats": False},
    ],
)
def test_batch_norm_is_pytorchs_over_several_batches(arguments: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    ours = nn.BatchNorm2d(3, **arguments)
    ours.to("float64")
    theirs = torch.nn.BatchNorm2d(3, **arguments).double()
    rng = np.random.default_rng(0)
    if ours.weight is not None and ours.bias is not None:
        state = {"weight": rng.random(3), "bias": rng.random(3)}
        ours.load_state_dict(state, strict=False)
        theirs.load_state_dict({k: torch.tensor(v) for k, v in state.items()}, strict=False)

    for training in (False, True, True, True, False):
        ours.train(training)
        theirs.train(training)
        x = rng.standard_normal((4, 3, 2, 5)) * rng.random() + rng.random()
        a, b = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, expected = ours(a), theirs(b)
        dy = rng.standard_normal(x.shape)
        y.backward(dy)
        expected.backward(torch.tensor(dy))
        np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-12)
        assert a.grad is not None
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-8, atol=1e-11)

    state_of_theirs = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state_of_theirs)
    for name, tensor in ours.state_dict().items():
        np.testing.assert_allclose(tensor.numpy(), state_of_theirs[name], rtol=1e-12)
