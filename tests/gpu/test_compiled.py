"""minicnn.compile on a GPU: the step's kernels and its graph, on the stand-in."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import CompileError, Tensor, models, nn, optim
from minicnn.device import to_device, to_host
from minicnn.train.loop import EagerStep

pytestmark = pytest.mark.usefixtures("cupy")


def norm(channels: int, **options: Any) -> nn.BatchNorm2d:
    """Batch normalisation that has learned and seen something."""
    layer = nn.BatchNorm2d(channels, **options)
    for tensor in (*layer.parameters(), *layer._buffers.values()):
        if tensor.dtype.kind == "f":
            tensor.data += abs(minicnn.randn(channels).data) / 2
    return layer


NETS: dict[str, Callable[[], nn.Module]] = {
    "lenet": models.lenet,
    "lenet-max": lambda: models.build("lenet-max"),
    "dense": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(784, 21), nn.ReLU(), nn.Linear(21, 10, bias=False)
    ),
    "strides": lambda: nn.Sequential(
        nn.Conv2d(1, 5, (3, 4), stride=(2, 3), padding=(1, 2), dilation=(2, 1)), nn.Tanh(),
        nn.MaxPool2d((3, 2), stride=(2, 1), padding=(1, 1)),
        nn.Conv2d(5, 6, 2, stride=2, bias=False), nn.ReLU(),
        nn.AvgPool2d((2, 3), stride=1, padding=(1, 1), count_include_pad=False),
        nn.Flatten(), nn.LazyLinear(10),
    ),
    "conv behind conv": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 5, stride=3), nn.Sigmoid(), nn.Conv2d(3, 9, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.LazyLinear(10), nn.Tanh(),
    ),
    "activations by themselves": lambda: nn.Sequential(
        nn.AvgPool2d(4), nn.Tanh(), nn.Sigmoid(), nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.LazyLinear(10),
    ),
    "dropout": lambda: nn.Sequential(
        nn.AvgPool2d(4), nn.Flatten(), nn.Linear(49, 30), nn.Sigmoid(), nn.Dropout(0.3),
        nn.Linear(30, 20), nn.ReLU(), nn.Dropout(0.5), nn.Linear(20, 10),
    ),
}  # fmt: skip
NORMED: dict[str, Callable[[], nn.Module]] = {
    "norm behind conv": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 5, stride=3, bias=False), norm(3), nn.Conv2d(3, 2, 2), nn.ReLU(),
        nn.Flatten(), nn.Linear(98, 10),
    ),
    "norm between activations": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 5, stride=3), nn.Sigmoid(), norm(3, eps=0.1, momentum=0.7), nn.Tanh(),
        nn.AvgPool2d(2), nn.ReLU(), norm(3), nn.Flatten(), nn.LazyLinear(10),
    ),
    "norm first and last": lambda: nn.Sequential(
        norm(1), nn.AvgPool2d(4), nn.Conv2d(1, 10, 7), nn.ReLU(), norm(10, momentum=None),
        nn.Flatten(),
    ),
    "norm by the average": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 5, stride=3), norm(3, momentum=None), nn.ReLU(), nn.Dropout(0.3),
        norm(3, momentum=0.0), nn.Flatten(), nn.LazyLinear(10),
    ),
    "norm that is not affine": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 5, stride=3), nn.Tanh(), norm(3, affine=False), nn.Sigmoid(),
        nn.Flatten(), nn.LazyLinear(10),
    ),
    "norm that is not tracked": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 5, stride=3), norm(3, track_running_stats=False), nn.ReLU(),
        norm(3, affine=False, track_running_stats=False), nn.Flatten(), nn.LazyLinear(10),
    ),
    "norms in a row": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 5, stride=3), norm(4), norm(4, momentum=None), nn.Sigmoid(), nn.Tanh(),
        norm(4), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(10),
    ),
    "one norm twice": lambda: used_twice(nn.BatchNorm2d(3, momentum=None, affine=False)),
}  # fmt: skip


def used_twice(layer: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 5, stride=3), layer, nn.Conv2d(3, 3, 3), layer, nn.ReLU(), nn.Flatten(),
        nn.LazyLinear(10),
    )  # fmt: skip


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "momentum": {"momentum": 0.9, "weight_decay": 0.01},
    "dampening": {"momentum": 0.5, "dampening": 0.3},
    "nesterov": {"momentum": 0.8, "nesterov": True},
    "maximize": {"maximize": True, "weight_decay": 0.1},
}


def batches(*sizes: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(5)
    return [(rng.integers(0, 256, (n, 1, 28, 28), np.uint8), rng.integers(0, 10, n)) for n in sizes]


def trained(
    make_net: Callable[[], nn.Module],
    device: str,
    make: Callable[..., Any],
    data: list[tuple[np.ndarray, np.ndarray]],
    loss: Any = None,
    training: bool = True,
    **settings: Any,
) -> list[np.ndarray]:
    """Losses, logits of the last batch and the net's state in float64 after a step a batch."""
    minicnn.manual_seed(3)
    net = make_net()
    net(Tensor(np.zeros((2, 1, 28, 28), np.float32)))  # lazy layers
    minicnn.manual_seed(4)
    net = net.to("float64").to(device).train(training)
    step = make(net, loss or nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1, **settings))
    losses = []
    for pixels, labels in data:
        x = pixels if make is minicnn.compile else pixels / 255
        one, logits = step(Tensor(to_device(x, device)), Tensor(to_device(labels, device)))
        losses.append(one.item())
    return [np.array(losses), logits.numpy(), *(t.numpy() for t in net.state_dict().values())]


def assert_close(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


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


def steps(net: nn.Module, momentum: float = 0.0) -> tuple[Any, optim.SGD, Any, Any]:
    """A compiled step of a net on the GPU, its optimiser, and a batch there."""
    optimizer = optim.SGD(net.to("gpu").parameters(), 0.1, momentum=momentum)
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optimizer)
    ((pixels, labels),) = batches(8)
    return step, optimizer, Tensor(to_device(pixels, "gpu")), Tensor(to_device(labels, "gpu"))


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
    extra = Tensor(np.zeros(1, np.float32), requires_grad=True, device="gpu")
    step = minicnn.compile(net.to("gpu"), nn.CrossEntropyLoss(), optim.SGD([extra], 0.1))
    ((pixels, labels),) = batches(8)
    x, y = Tensor(to_device(pixels, "gpu")), Tensor(to_device(labels, "gpu"))
    assert len({step(x, y)[0].item() for _ in range(3)}) == 3


def test_what_cannot_be_compiled_is_named() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 2, padding="same"), nn.Flatten(), nn.Linear(1568, 10))
    step, _, x, y = steps(net)
    with pytest.raises(CompileError, match="Pad cannot be compiled for a GPU"):
        step(x, y)
    shared = nn.Linear(784, 784)
    net = nn.Sequential(nn.Flatten(), shared, shared, nn.Linear(784, 10))
    step, _, x, y = steps(net)
    with pytest.raises(CompileError, match="cannot be shared"):
        step(x, y)


# Threads, streams and what changes between calls --------------------------------------------------


def test_a_call_on_another_stream_waits_for_the_last_one(cupy: Any) -> None:
    """A prediction's memory serves one call at a time, and a call may run on after it returned."""
    predict = minicnn.compile(NETS["dense"]().to("gpu"))
    ((pixels, _),) = batches(3)
    x, stream = Tensor(to_device(pixels, "gpu")), cupy.cuda.Stream()
    expected = [predict(x).numpy(), predict(x).numpy()][1]
    for waits in (1, 0):
        cupy.reset_counters()
        with stream:
            given = predict(x)
        assert cupy.counters.synchronisations == waits
        np.testing.assert_array_equal(given.numpy(), expected)
    cupy.reset_counters()
    predict(x)
    assert cupy.counters.synchronisations == 1


def test_threads_take_turns_at_a_prediction_and_at_a_step() -> None:
    net, twin = NETS["dense"](), NETS["dense"]()
    twin.load_state_dict(net.state_dict())
    step, _, x, y = steps(net)
    predict, given = minicnn.compile(net), [x[:3], x, x[:5]]
    expected = [predict(part).numpy() for part in given]
    results: list[Any] = []
    predict = minicnn.compile(net)

    def work(number: int) -> None:
        for i in range(4):
            which = (number + i) % 3
            results.append((which, predict(given[which])))

    run_together([lambda n=n: work(n) for n in range(3)])  # type: ignore[misc]
    assert len(results) == 12
    for which, logits in results:
        np.testing.assert_array_equal(logits.numpy(), expected[which])
    run_together([lambda: [step(x, y) for _ in range(3)]] * 3)
    alone, *_ = steps(twin)
    for _ in range(9):
        alone(x, y)
    assert_same_state(net, twin, 1e-5)


def run_together(calls: list[Callable[[], Any]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_class_weights_put_elsewhere_are_found() -> None:
    weight = Tensor(np.linspace(0, 2, 10, dtype=np.float32), device="gpu")
    step, optimizer, x, y = steps(NETS["dense"]())
    step.loss, optimizer.lr = nn.CrossEntropyLoss(weight, reduction="sum"), 0.0
    first = step(x, y)[0].item()
    weight.data = weight.data * 3
    assert step(x, y)[0].item() == pytest.approx(3 * first, rel=1e-5)
    weight.data *= 2
    assert step(x, y)[0].item() == pytest.approx(6 * first, rel=1e-5)
    step.loss.weight = Tensor(np.ones((10, 2), np.float32), device="gpu")[:, 0]
    with pytest.raises(CompileError, match="wanted a weight of the loss that is C-contiguous"):
        step(x, y)


def test_the_optimizers_list_may_change_between_steps() -> None:
    def run(device: str, make: Callable[..., Any]) -> list[np.ndarray]:
        minicnn.manual_seed(1)
        net = NETS["dense"]().to("float64").to(device)
        optimizer = optim.SGD(net.parameters(), 0.1, momentum=0.9)
        step = make(net, nn.CrossEntropyLoss(), optimizer)
        for i, (pixels, labels) in enumerate(batches(6, 6, 6, 6)):
            if i == 1:
                optimizer.params.pop(), optimizer.velocity.pop()
            if i == 2:
                optimizer.velocity[0] = to_device(
                    np.asfortranarray(2 * to_host(optimizer.velocity[0])), device
                )
            if i == 3:
                optimizer.params.append([*net.parameters()][-1])
                optimizer.velocity.append(None)
            step(*[Tensor(to_device(a, device)) for a in (pixels / 255, labels)])
        return [p.numpy() for p in net.parameters()]

    assert_close(run("gpu", minicnn.compile), run("cpu", EagerStep))


def test_a_prediction_follows_settings_and_refuses_as_on_the_cpu() -> None:
    layers = nn.Conv2d(1, 3, 5, stride=3), nn.Tanh(), nn.AvgPool2d(2), nn.Dropout(), nn.Flatten()
    net: Any = nn.Sequential(*layers).to("gpu")
    predict = minicnn.compile(net)
    x = Tensor(to_device(pictures(3, dtype="float32")[0], "gpu"))
    for change in (
        lambda: None,
        lambda: setattr(net[0], "padding", (1, 2)),
        lambda: setattr(net[2], "kernel_size", (3, 1)),
        lambda: setattr(net[1], "forward", nn.functional.relu),
        lambda: net._modules.pop("1"),
    ):
        change()
        ours = predict(x).numpy()
        np.testing.assert_allclose(ours, net.eval()(x).numpy(), rtol=1e-4, atol=1e-6)
        net.train()
    handle = net[0].register_forward_hook(lambda *_: None)
    with pytest.raises(CompileError, match="Conv2d of the net has a forward hook"):
        predict(x)
    handle.remove()
    predict(x)


def test_a_parameter_that_is_listed_twice_is_refused() -> None:
    """One launch updates all: both steps would be taken at once."""
    step, optimizer, x, y = steps(NETS["dense"]())
    optimizer.params.append(optimizer.params[0])
    optimizer.velocity.append(None)
    with pytest.raises(CompileError, match="cannot list a parameter twice"):
        step(x, y)


# Batch normalisation ------------------------------------------------------------------------------


def twins(make: Callable[[], nn.Module], dtype: str = "float64") -> list[Any]:
    """Twice the same net: on the GPU and on the CPU."""
    nets = []
    for device in ("gpu", "cpu"):
        minicnn.manual_seed(3)
        net = make()
        net(Tensor(np.zeros((2, 1, 28, 28), np.float32)))
        nets.append(net.to(dtype).to(device))
    return nets


def assert_same_state(ours: nn.Module, theirs: nn.Module, rtol: float = 1e-9) -> None:
    expected = theirs.state_dict()
    for name, tensor in ours.state_dict().items():
        np.testing.assert_allclose(
            tensor.numpy(), expected[name].numpy(), rtol=rtol, atol=1e-6 * rtol, err_msg=name
        )


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


def pictures(*sizes: int, dtype: str = "float64") -> list[np.ndarray]:
    return [(pixels / 255).astype(dtype) for pixels, _ in batches(*sizes)]


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
    ours, theirs = twins(NORMED["norm behind conv"])
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
            made = NORMED["norm behind conv"]()
            for name, p in made.named_parameters():
                p.requires_grad = not name.startswith(tuple(frozen))
            return made

        return trained(net, device, make, batches(5, 5), training=training)

    assert_close(run("gpu", minicnn.compile), run("cpu", EagerStep))


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_only_what_is_needed_is_launched(training: bool) -> None:
    def kernels_of(*frozen: str) -> list[str]:
        net, _ = twins(NORMED["norm behind conv"], "float32")
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
    ours, theirs = twins(NORMED["norm behind conv"])
    step, (x,) = forward(ours), pictures(5)
    step(Tensor(to_device(x, "gpu"))), theirs(Tensor(x))
    for net, device in ((ours, "gpu"), (theirs, "cpu")):
        net[1].running_mean = Tensor(np.linspace(-1, 1, 3), device=device)
        net[1].num_batches_tracked.data = to_device(np.array(7), device)
        net[1].momentum = None
    step(Tensor(to_device(x, "gpu"))), theirs(Tensor(x))
    assert_same_state(ours, theirs)
    theirs.load_state_dict(twins(NORMED["norm behind conv"])[1].state_dict())
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


def test_batches_from_elsewhere_are_refused() -> None:
    step, _, x, y = steps(NETS["dense"]())
    with pytest.raises(TypeError, match="received an array on cpu; wanted one on gpu:0"):
        step(x.numpy(), y)
    with pytest.raises(ValueError, match=r"y has shape \(7,\); wanted a class index for each of"):
        step(x, y[:7])
    with pytest.raises(TypeError, match="y is float32; wanted class indices"):
        step(x, y.to("float32"))


def test_a_profiled_plan_has_times() -> None:
    net = NETS["dense"]().to("gpu")
    step = minicnn.compile(
        net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1), profile=True
    )
    ((pixels, labels),) = batches(4)
    for _ in range(2):
        step(Tensor(to_device(pixels, "gpu")), Tensor(to_device(labels, "gpu")))
    assert "us" in str(step.plan).splitlines()[0]


def test_a_shallow_copy_of_a_step_has_sums_of_its_own() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 5)).to("gpu")
    step: Any = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.1))
    x, y = minicnn.rand(4, 1, 2, 3).to("gpu"), Tensor(np.array([3, 2, 0, 4])).to("gpu")
    step(x, y)
    other, before = copy.copy(step), float(step.counts.loss)
    other(x, y)
    assert float(step.counts.loss) == before
    assert float(other.counts.loss) > before
    other.counts.reset()
    assert float(step.counts.loss) == before
