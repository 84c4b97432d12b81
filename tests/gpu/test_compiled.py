"""minicnn.compile on a GPU: the step's kernels and its graph, on the stand-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import CompileError, Tensor, models, nn, optim, random
from minicnn.device import to_device
from minicnn.kernels import reference
from minicnn.train.loop import EagerStep
from tests.gpu.nets import NETS, NORMED, Functional, assert_close, batches, steps, trained

pytestmark = pytest.mark.usefixtures("cupy")


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "momentum": {"momentum": 0.9, "weight_decay": 0.01},
    "dampening": {"momentum": 0.5, "dampening": 0.3},
    "nesterov": {"momentum": 0.8, "nesterov": True},
    "maximize": {"maximize": True, "weight_decay": 0.1},
}


@pytest.mark.parametrize("name", [*NETS, *NORMED])
def test_equal_to_eager_on_the_cpu(name: str) -> None:
    data, net = batches(5, 5, 5, 3), {**NETS, **NORMED}[name]
    assert_close(trained(net, "gpu", minicnn.compile, data), trained(net, "cpu", EagerStep, data))


@pytest.mark.parametrize("name", [*NORMED, "dropout"])
def test_equal_to_eager_in_evaluation_mode(name: str) -> None:
    data, net = batches(5, 5, 3), {**NETS, **NORMED}[name]
    assert_close(
        trained(net, "gpu", minicnn.compile, data, training=False),
        trained(net, "cpu", EagerStep, data, training=False),
    )


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("name", ["strides", "norms in a row"])
def test_the_order_of_threads_does_not_matter(cupy: Any, name: str, order: int) -> None:
    data, net = batches(5, 5), {**NETS, **NORMED}[name]
    expected = trained(net, "gpu", minicnn.compile, data)
    cupy.set_thread_order(order)
    for a, b in zip(trained(net, "gpu", minicnn.compile, data), expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_setting_of_sgd(settings: str) -> None:
    data, how = batches(5, 5, 5), SETTINGS[settings]
    assert_close(
        trained(NETS["dense"], "gpu", minicnn.compile, data, **how),
        trained(NETS["dense"], "cpu", EagerStep, data, **how),
    )


@pytest.mark.parametrize(
    "options",
    [
        {"reduction": "sum"},
        {"label_smoothing": 0.2},
        {"ignore_index": 3},
        {"weight": np.linspace(0.5, 2, 10), "label_smoothing": 0.1, "ignore_index": 1},
    ],
    ids=["sum", "smoothing", "ignore", "all"],
)
def test_every_setting_of_the_loss(options: dict[str, Any]) -> None:
    data = batches(40, 40)

    def loss(device: str) -> nn.CrossEntropyLoss:
        tensors = (
            {"weight": Tensor(options["weight"], device=device)} if "weight" in options else {}
        )
        return nn.CrossEntropyLoss(**{**options, **tensors})

    assert_close(
        trained(NETS["dense"], "gpu", minicnn.compile, data, loss("gpu")),
        trained(NETS["dense"], "cpu", EagerStep, data, loss("cpu")),
    )


@pytest.mark.parametrize("answers", [(), (50,), (3,), (40, 7)], ids=str)
def test_of_more_classes_than_lanes_the_first_nan_counts_as_the_answer(
    answers: tuple[int, ...],
) -> None:
    minicnn.manual_seed(1)
    net: Any = nn.Sequential(nn.Linear(2, 70)).to("float64")
    net[0].bias.data[list(answers)] = np.nan
    x, y = np.random.default_rng(1).standard_normal((9, 2)), np.full(9, min(answers, default=1))
    logits = net(Tensor(x))
    theirs = logits.numpy(), nn.functional.cross_entropy(logits, Tensor(y)).item()
    step = minicnn.compile(net.to("gpu"), nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.0))
    loss, scores = step(Tensor(to_device(x, "gpu")), Tensor(to_device(y, "gpu")))
    np.testing.assert_allclose(scores.numpy(), theirs[0], rtol=1e-12)
    np.testing.assert_allclose(loss.item(), theirs[1], rtol=1e-12)
    assert step.means.correct == (theirs[0].argmax(axis=1) == y).sum()


def test_a_graph_is_what_its_launches_are() -> None:
    def launched(*arguments: Any) -> Any:
        return minicnn.compile(*arguments, graph=False)

    data = batches(5, 5, 2)
    ours = trained(NETS["lenet"], "gpu", minicnn.compile, data)
    minicnn.manual_seed(3)
    net = NETS["lenet"]()
    minicnn.manual_seed(4)
    net = net.to("float64").to("gpu")
    step = launched(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1))
    for pixels, labels in data:
        step(Tensor(to_device(pixels, "gpu")), Tensor(to_device(labels, "gpu")))
    for a, p in zip(ours[2:], net.parameters(), strict=True):
        np.testing.assert_array_equal(a, p.numpy())


@pytest.mark.parametrize("name", ["lenet", "lenet-max", "dropout", *NORMED])
def test_the_steady_state_copies_waits_and_allocates_nothing(cupy: Any, name: str) -> None:
    net = {**NETS, **NORMED}[name]()
    net(Tensor(np.zeros((2, 1, 28, 28), np.float32)))
    step, _, x, y = steps(net, momentum=0.9)
    step(x, y), step(x, y)
    cupy.reset_counters()
    for _ in range(3):
        step(x, y)
    counts = cupy.counters
    assert (counts.h2d, counts.d2h, counts.synchronisations, counts.allocations) == (0, 0, 0, 0)
    assert counts.graph_launches == 3
    assert counts.launches == 0  # none outside of the graph


@pytest.mark.parametrize("name", ["lenet", "lenet-max"])
def test_lenet_takes_at_most_20_launches_each_in_the_plan(cupy: Any, name: str) -> None:
    step, _, x, y = steps(NETS[name]())
    unfused: Any = minicnn.compile(step.net, step.loss, step.optimizer, graph=False)
    unfused(x, y)
    cupy.reset_counters()
    unfused(x, y)
    assert cupy.counters.launches == len(unfused.plan.lines) <= 20
    lines = str(unfused.plan).splitlines()
    for launch in unfused.plan.lines:
        assert any(launch.kernel in line and launch.name in line for line in lines)


def test_a_new_learning_rate_goes_over_once(cupy: Any) -> None:
    step, optimizer, x, y = steps(NETS["dense"]())
    step(x, y)
    before = [p.numpy().copy() for p in optimizer.params]
    optimizer.lr = 0.0
    cupy.reset_counters()
    step(x, y), step(x, y)
    assert cupy.counters.h2d == 1
    for p, array in zip(optimizer.params, before, strict=True):
        np.testing.assert_array_equal(p.numpy(), array)


def test_masks_go_on_where_somebody_else_drew_one() -> None:
    def run(device: str, make: Callable[..., Any]) -> list[float]:
        minicnn.manual_seed(1)
        net = NETS["dropout"]().to(device)
        step = make(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1))
        losses = []
        for i, (pixels, labels) in enumerate(batches(6, 6, 6)):
            if i == 1:
                minicnn.random.next_mask_key()
            x = pixels if make is minicnn.compile else (pixels / 255).astype(np.float32)
            batch = [Tensor(to_device(a, device)) for a in (x, labels)]
            losses.append(step(*batch)[0].item())
        return losses

    np.testing.assert_allclose(run("gpu", minicnn.compile), run("cpu", EagerStep), rtol=1e-5)


@pytest.mark.parametrize("turn", [1, -1], ids=["first", "in a chain"])
def test_a_cell_whose_number_is_p_stays(turn: int) -> None:
    minicnn.manual_seed(1)
    numbers = reference.random_uniform(np.empty((4, 40), "float32"), *random.next_mask_key())
    p = float(numbers[2, 3])
    dense = nn.Linear(40, 40, bias=False)
    dense.weight.data[:] = np.eye(40)
    net = nn.Sequential(*(nn.Dropout(p), dense)[::turn]).to("gpu")
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD([extra_parameter()], 0.1))
    minicnn.manual_seed(1)
    x, y = (Tensor(to_device(a, "gpu")) for a in (np.ones((4, 40), "float32"), np.zeros(4, int)))
    np.testing.assert_array_equal(step(x, y)[1].numpy() == 0, numbers < p)


def extra_parameter() -> Tensor:
    return Tensor(np.zeros(1, np.float32), requires_grad=True, device="gpu")


def test_gradients_frozen_parameters_and_prediction() -> None:
    net = models.lenet()
    next(net.parameters()).requires_grad = False
    step, _, x, y = steps(net)
    before = [p.numpy().copy() for p in net.parameters()]
    step(x, y)
    changed = [
        not np.array_equal(p.numpy(), b) for p, b in zip(net.parameters(), before, strict=True)
    ]
    assert changed == [False, *[True] * 9]
    gradients = step.gradients()
    assert "0.weight" not in gradients
    for (name, p), b in zip(list(net.named_parameters())[1:], before[1:], strict=True):
        np.testing.assert_allclose(b - 0.1 * gradients[name].numpy(), p.numpy(), atol=1e-6)
    eager = net((x.to("cpu") * (1 / 255)).to("float32").to("gpu")).numpy()
    np.testing.assert_allclose(minicnn.compile(net)(x).numpy(), eager, rtol=1e-4, atol=1e-6)


def test_parameters_put_elsewhere_are_found() -> None:
    net = NETS["dense"]()
    step, _, x, y = steps(net)
    step(x, y)
    for p in net.parameters():
        p.data = to_device(np.zeros(p.shape, np.float32), "gpu")
    loss, _ = step(x, y)
    np.testing.assert_allclose(loss.item(), np.log(10), rtol=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_label_that_is_no_class_makes_the_loss_nan(reduction: str) -> None:
    step, _, x, y = steps(NETS["dense"]())
    step.loss.reduction = reduction
    y.data[2] = 10
    assert np.isnan(step(x, y)[0].item())


def test_settings_of_the_loss_may_change_between_steps() -> None:
    step, optimizer, x, y = steps(NETS["dense"]())
    optimizer.lr = 0.0
    mean = step(x, y)[0].item()
    step.loss.reduction = "sum"
    assert step(x, y)[0].item() == pytest.approx(8 * mean, rel=1e-6)
    step.loss.reduction, step.loss.ignore_index = "mean", int(y.numpy()[0])
    assert step(x, y)[0].item() != pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize(
    ("weight", "says"),
    [
        (np.ones(5, np.float32), r"float32 of shape \(5,\)"),
        (np.ones(10), r"float64 of shape \(10,\)"),
    ],
)
def test_a_class_weight_that_does_not_fit_is_named(weight: np.ndarray, says: str) -> None:
    step, _, x, y = steps(NETS["dense"]())
    step.loss.weight = Tensor(weight, device="gpu")
    with pytest.raises(TypeError, match=f"the loss's weight is {says} on gpu:0; wanted float32"):
        step(x, y)
    step.loss.weight = Tensor(np.ones(10, np.float32))
    with pytest.raises(TypeError, match="on cpu; wanted"):
        step(x, y)


def test_a_layer_that_joins_later_begins_its_momentum_then() -> None:
    def run(device: str, make: Callable[..., Any]) -> list[np.ndarray]:
        minicnn.manual_seed(1)
        net = NETS["dense"]().to("float64").to(device)
        optimizer = optim.SGD(net.parameters(), 0.1, momentum=0.9, dampening=0.5)
        step = make(net, nn.CrossEntropyLoss(), optimizer)
        first = next(net.parameters())
        for i, (pixels, labels) in enumerate(batches(6, 6, 6, 6)):
            first.requires_grad = i >= 2
            batch = [Tensor(to_device(a, device)) for a in (pixels / 255, labels)]
            step(*batch)
            first.grad = None
        return [p.numpy() for p in net.parameters()]

    assert_close(run("gpu", minicnn.compile), run("cpu", EagerStep))


def test_a_net_that_moved_is_told() -> None:
    step, _, x, y = steps(NETS["dense"]())
    step.net.to("cpu")
    with pytest.raises(RuntimeError, match="moved from gpu:0 to cpu"):
        step(x, y)


def test_nine_batch_sizes_keep_the_one_in_use(cupy: Any) -> None:
    predict = minicnn.compile(NETS["dense"]().to("gpu"))
    ((pixels, _),) = batches(20)
    x = Tensor(to_device(pixels, "gpu"))
    first = predict._engine(x.data)
    for n in range(1, 12):
        predict(x[:n]), predict(x)
    assert predict._engine(x.data) is first


def test_masks_differ_where_nothing_is_learned() -> None:
    net = NETS["dropout"]()
    for p in net.parameters():
        p.requires_grad = False
    step = minicnn.compile(
        net.to("gpu"), nn.CrossEntropyLoss(), optim.SGD([extra_parameter()], 0.1)
    )
    ((pixels, labels),) = batches(8)
    x, y = Tensor(to_device(pixels, "gpu")), Tensor(to_device(labels, "gpu"))
    assert len({step(x, y)[0].item() for _ in range(3)}) == 3


def test_what_cannot_be_compiled_is_named() -> None:
    for function, says in (
        (lambda x: nn.functional.softmax(x, 1), "Softmax cannot be compiled for a GPU"),
        (lambda x: nn.functional.pad(x, (0, 0, 0, 0, 0, 0, 1, -1)), "Pad along the batch; wanted"),
    ):
        net = nn.Sequential(nn.AvgPool2d(4), Functional(function), nn.Flatten(), nn.Linear(49, 10))
        step, _, x, y = steps(net)
        with pytest.raises(CompileError, match=says):
            step(x, y)
