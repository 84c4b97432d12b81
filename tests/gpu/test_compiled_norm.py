"""Batch normalisation in compiled steps on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import CompileError, Tensor, nn, optim
from minicnn.device import to_device
from minicnn.train.loop import EagerStep
from tests.gpu.nets import (
    NORMED,
    assert_close,
    assert_same_state,
    batches,
    norm,
    pictures,
    steps,
    trained,
)

pytestmark = pytest.mark.usefixtures("cupy")


def twins(make: Callable[[], nn.Module], dtype: str = "float64") -> list[Any]:
    """Twice the same net: on the GPU and on the CPU."""
    nets = []
    for device in ("gpu", "cpu"):
        minicnn.manual_seed(3)
        net = make()
        net(Tensor(np.zeros((2, 1, 28, 28), np.float32)))
        nets.append(net.to(dtype).to(device))
    return nets


def forward(net: nn.Module) -> Any:
    """The compiled step's logits, in the mode that the net is in. It learns nothing."""
    step: Any = minicnn.compile(
        net, nn.CrossEntropyLoss(), optim.SGD([Tensor([0.0], requires_grad=True)])
    )
    labels = Tensor(np.zeros(16, np.int64), device="gpu")

    def logits(x: Tensor) -> Tensor:
        return step(x, labels[: len(x)])[1]

    logits.step = step  # type: ignore[attr-defined]
    return logits


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-4)])
@pytest.mark.parametrize("name", NORMED)
def test_a_step_normalises_and_counts_as_eager_does_and_a_prediction_evaluates(
    name: str, dtype: str, rtol: float
) -> None:
    ours, theirs = twins(NORMED[name], dtype)
    step, predict = forward(ours), minicnn.compile(ours)
    for training in (True, False):
        ours.train(training), theirs.train(training)
        for x in pictures(7, 7, 4, 7, dtype=dtype):
            minicnn.manual_seed(8)
            logits = step(Tensor(to_device(x, "gpu"))).numpy()
            minicnn.manual_seed(8)
            expected = theirs(Tensor(x)).numpy()
            np.testing.assert_allclose(logits, expected, rtol=0, atol=rtol * abs(expected).max())
        assert_same_state(ours, theirs, rtol)
        logits, expected = predict(Tensor(to_device(x, "gpu"))).numpy(), theirs.eval()(Tensor(x))
        largest = abs(expected.numpy()).max()
        np.testing.assert_allclose(logits, expected.numpy(), rtol=0, atol=rtol * largest)
        assert {layer.training for layer in ours.modules()} == {training}
        assert_same_state(ours, theirs, rtol)


def test_a_prediction_in_the_steady_state_copies_nothing_and_does_not_wait(cupy: Any) -> None:
    net, _ = twins(NORMED["norms in a row"], "float32")
    predict, (pixels,) = minicnn.compile(net), pictures(4, dtype="float32")
    x = Tensor(to_device(pixels, "gpu"))
    predict(x), predict(x)
    cupy.reset_counters()
    predict(x), predict(x)
    counts = cupy.counters
    assert (counts.h2d, counts.d2h, counts.synchronisations) == (0, 0, 0)
    assert (counts.graph_launches, counts.allocations) == (2, 2)  # the results


def test_a_momentum_that_changes_goes_over_once(cupy: Any) -> None:
    ours, theirs = twins(NORMED["norm after conv"])
    step, (x,) = forward(ours), pictures(5)
    given = Tensor(to_device(x, "gpu"))
    step(given), theirs(Tensor(x))
    for momentum in (0.5, None, 0.0, 0.25):
        ours[1].momentum = theirs[1].momentum = momentum
        cupy.reset_counters()
        step(given), step(given)
        assert cupy.counters.h2d == 1
        theirs(Tensor(x)), theirs(Tensor(x))
        assert_same_state(ours, theirs)


def test_one_value_a_channel_has_no_statistics_and_is_not_counted() -> None:
    net: Any = nn.Sequential(nn.Conv2d(1, 10, 28), nn.BatchNorm2d(10), nn.Flatten())
    (x,) = pictures(1, dtype="float32")
    with pytest.raises(ValueError, match="1 value a channel; the statistics of a batch"):
        net(Tensor(x))
    step, given = forward(net.to("gpu")), Tensor(to_device(x, "gpu"))
    for _ in range(2):
        with pytest.raises(ValueError, match="1 value a channel; the statistics of a batch"):
            step(given)
    assert int(net[1].num_batches_tracked) == 0
    predict = minicnn.compile(net.eval())
    np.testing.assert_allclose(
        predict(given).numpy(), net.to("cpu")(Tensor(x)).numpy(), rtol=1e-4, atol=1e-6
    )


def test_a_batch_of_nothing_is_counted_and_moves_nothing() -> None:
    net: Any = nn.Sequential(nn.Conv2d(1, 3, 5, stride=3), norm(3), nn.Flatten(), nn.Linear(192, 4))
    net = net.to("gpu")
    before = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
    step = forward(net)
    for _ in range(2):
        assert step(Tensor(np.zeros((0, 1, 28, 28), np.float32), device="gpu")).shape == (0, 4)
    before["1.num_batches_tracked"] = np.array(2)
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name], err_msg=name)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_gradients_of_a_norm_are_eagers(training: bool) -> None:
    ours, theirs = twins(NORMED["norm between activations"])
    ((pixels, labels),) = batches(6)
    loss = nn.CrossEntropyLoss()
    loss(theirs.train(training)(Tensor(pixels / 255)), Tensor(labels)).backward()
    step = minicnn.compile(ours.train(training), loss, optim.SGD(ours.parameters(), 0.1))
    step(Tensor(to_device(pixels, "gpu")), Tensor(to_device(labels, "gpu")))
    gradients = step.gradients()
    assert gradients.keys() == dict(theirs.named_parameters()).keys()
    for name, p in theirs.named_parameters():
        expected = p.grad.numpy()
        np.testing.assert_allclose(
            gradients[name].numpy(), expected, rtol=0, atol=1e-9 * abs(expected).max(), err_msg=name
        )


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(
    "frozen", [{"1.weight"}, {"1.weight", "1.bias"}, {"0.weight"}, {"0.", "1."}]
)
def test_frozen_norms_and_norms_behind_what_is_frozen(frozen: set[str], training: bool) -> None:
    def run(device: str, make: Callable[..., Any]) -> list[np.ndarray]:
        def net() -> nn.Module:
            made = NORMED["norm after conv"]()
            for name, p in made.named_parameters():
                p.requires_grad = not name.startswith(tuple(frozen))
            return made

        return trained(net, device, make, batches(5, 5), training=training)

    assert_close(run("gpu", minicnn.compile), run("cpu", EagerStep))


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_only_what_is_needed_is_launched(training: bool) -> None:
    def kernels_of(*frozen: str) -> list[str]:
        net, _ = twins(NORMED["norm after conv"], "float32")
        for name, p in net.named_parameters():
            p.requires_grad = not name.startswith(frozen)
        step, _, x, y = steps(net.train(training))
        step(x, y)
        return [line.kernel for line in step.plan.lines if line.kernel.startswith("norm")]

    forward = ["norm_moments", "norm_forward"] if training else ["norm_forward"]
    assert kernels_of("?") == [*forward, "norm_dweight", "norm_dinput"]
    assert kernels_of("0.") == [*forward, "norm_dweight"]
    assert kernels_of("0.", "1.") == forward
    assert kernels_of("1.") == [*forward, *["norm_dweight"] * training, "norm_dinput"]


def test_a_norm_takes_the_activation_behind_it_along() -> None:
    net, _ = twins(NORMED["norm that is not affine"], "float32")
    step, _, x, y = steps(net)
    step(x, y)
    assert "BatchNorm, sigmoid" in [line.name for line in step.plan.lines]
    assert not [line for line in step.plan.lines if line.kernel.startswith("activate")]


def test_running_statistics_put_elsewhere_are_found() -> None:
    ours, theirs = twins(NORMED["norm after conv"])
    step, (x,) = forward(ours), pictures(5)
    step(Tensor(to_device(x, "gpu"))), theirs(Tensor(x))
    for net, device in ((ours, "gpu"), (theirs, "cpu")):
        net[1].running_mean = Tensor(np.linspace(-1, 1, 3), device=device)
        net[1].num_batches_tracked.data = to_device(np.array(7), device)
        net[1].momentum = None
    step(Tensor(to_device(x, "gpu"))), theirs(Tensor(x))
    assert_same_state(ours, theirs)
    theirs.load_state_dict(twins(NORMED["norm after conv"])[1].state_dict())
    ours.load_state_dict(theirs.state_dict())
    step(Tensor(to_device(x, "gpu"))), theirs(Tensor(x))
    assert_same_state(ours, theirs)


def test_eager_and_compiled_take_turns() -> None:
    ours, theirs = twins(NORMED["norms in a row"])
    step, given = forward(ours), [to_device(x, "gpu") for x in pictures(5, 5, 5, 5)]
    first = step.step._engine(given[0])
    for i, x in enumerate(given):
        (step if i % 2 else ours)(Tensor(x))
        theirs(Tensor(x.get()))
    assert step.step._engine(given[0]) is first
    assert_same_state(ours, theirs)


def test_a_nan_stays_in_its_channel_and_a_momentum_of_0_keeps_it_out() -> None:
    def net() -> nn.Module:
        return nn.Sequential(norm(1), nn.Conv2d(1, 2, 28), nn.Flatten())

    for momentum in (0.1, 0.0):
        ours, theirs = twins(net)
        ours[0].momentum = theirs[0].momentum = momentum
        (x,) = pictures(3)
        x[1, 0, 5, 5] = np.nan
        logits = forward(ours)(Tensor(to_device(x, "gpu"))).numpy()
        assert np.isnan(logits).all()
        assert_close([logits], [theirs(Tensor(x)).numpy()])
        assert_same_state(ours, theirs)
        assert np.isnan(ours[0].running_var.numpy()).all() == bool(momentum)


def test_what_a_norm_cannot_do_is_named() -> None:
    class Bare(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.batch_norm(x, None, None, training=True)

    (pixels,) = pictures(3, dtype="float32")
    given = Tensor(to_device(pixels, "gpu"))
    net = nn.Sequential(nn.Conv2d(1, 2, 3), Bare()).to("gpu")
    with pytest.raises(CompileError, match=r"BatchNorm outside of nn\.BatchNorm2d"):
        minicnn.compile(net)(given)
    layer = nn.BatchNorm2d(1).to("gpu")
    layer.num_batches_tracked = Tensor(0, device="gpu")
    with pytest.raises(CompileError, match="num_batches_tracked is float32; wanted int64"):
        minicnn.compile(layer)(given)
    layer = nn.BatchNorm2d(2).to("gpu")
    layer.running_mean = Tensor(np.zeros((2, 2), np.float32), device="gpu")[:, 0]
    net = nn.Sequential(nn.Conv2d(1, 2, 3), layer).to("gpu")
    with pytest.raises(CompileError, match="wanted parameters and buffers that are C-contiguous"):
        minicnn.compile(net)(given)
