"""Many compiled steps, ``fit`` and ``evaluate``: as eager ones, whatever changes between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, data, models, nn, optim, random
from minicnn.train.loop import EagerStep
from tests.compiler.nets import (
    NETS,
    NORMED,
    assert_same,
    assert_same_state,
    batch,
    build,
    compiled,
    eager,
    losses_of,
    result_of,
    sgd,
    tensors,
    with_head,
)
from tests.optim.settings import SETTINGS

pytestmark = pytest.mark.usefixtures("share_the_least_work")


# Training -----------------------------------------------------------------------------------------


def eager_step(net: nn.Module, **options: Any) -> EagerStep:
    options = {"lr": 0.1, **options}
    return EagerStep(net, nn.CrossEntropyLoss(), sgd(net, **options))


@pytest.mark.parametrize(
    "name",
    ["dense-only", "deep-conv-everything", "sigmoid-then-max-pool", "dropout-of-vectors", "norm"],
)
def test_a_hundred_steps_are_eagers(name: str) -> None:
    make = {**NETS, **NORMED}[name]
    ours = losses_of(compiled(build(make, "float32"), lr=0.1), "float32", 100)
    theirs = losses_of(eager_step(build(make, "float32")), "float32", 100)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert theirs[-1] < 0.97 * theirs[0]


@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_every_setting_of_sgd(options: dict[str, Any]) -> None:
    ours, theirs = (build(NETS["written"], "float64") for _ in range(2))
    steps = compiled(ours, lr=0.05, **options), eager_step(theirs, lr=0.05, **options)
    for i in range(5):
        for step in steps:
            step.optimizer.lr = 0.05 / (1 + i // 2)
            step(*tensors(5 + i))
    assert_same_state(ours, theirs, 1e-12)


def test_a_kernel_takes_the_step_of_the_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    net = build(NETS["written"], "float64")
    step = compiled(net, lr=0.1)
    # for arrays that no kernel can change; of the class, as a method of its own is refused
    monkeypatch.setattr(type(step.optimizer), "update", None)
    before = net.state_dict()["first.weight"].numpy().copy()
    step(*batch(5))
    assert (net.state_dict()["first.weight"].numpy() != before).any()


def test_a_schedule_between_the_steps() -> None:
    ours, theirs = (build(NETS["written"], "float64") for _ in range(2))
    steps = compiled(ours, lr=0.4), eager_step(theirs, lr=0.4)
    for step in steps:
        schedule = optim.StepLR(step.optimizer, 1, gamma=0.3)
        for i in range(4):
            step(*tensors(6 + i))
            schedule.step()
    assert_same_state(ours, theirs, 1e-12)


def test_eager_and_compiled_steps_share_parameters_and_momentum() -> None:
    mixed, theirs = (build(NETS["deep-conv-stride"], "float64") for _ in range(2))
    ours = compiled(mixed, lr=0.1, momentum=0.9)
    by_turns = ours, EagerStep(mixed, nn.CrossEntropyLoss(), ours.optimizer)
    reference = eager_step(theirs, momentum=0.9)
    for i in range(8):
        by_turns[i // 2 % 2](*tensors(5 + i))
        reference(*tensors(5 + i))
    assert_same_state(mixed, theirs, 1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_arrays_may_be_exchanged_between_steps(momentum: float) -> None:
    net, twin = (build(NETS["deep-conv-stride"], "float64") for _ in range(2))
    steps: list[Any] = [
        compiled(net, lr=0.1, momentum=momentum),
        eager_step(twin, momentum=momentum),
    ]
    for i in range(6):
        for p in (*net.parameters(), *twin.parameters()):
            if i == 2:
                p.data = p.data.copy()
            elif i == 3:
                p.data = np.asfortranarray(p.data * 1.5)  # no kernel follows its strides
            elif i == 5:
                p.data = np.ascontiguousarray(p.data)
        for step in steps:
            step(*tensors(5 + i))
    assert_same_state(net, twin, 1e-12)


def test_a_velocity_may_be_exchanged_between_steps() -> None:
    net, twin = (build(NETS["deep-conv-stride"], "float64") for _ in range(2))
    settings = {"momentum": 0.9, "dampening": 0.3}
    steps: list[Any] = [compiled(net, lr=0.1, **settings), eager_step(twin, **settings)]
    for i in range(6):
        for step in steps:
            if i == 2:
                step.optimizer.velocity = [
                    np.asfortranarray(2 * v) for v in step.optimizer.velocity if v is not None
                ]
            if i == 4:
                step.optimizer.velocity[1] = None
            step(*tensors(5 + i))
    assert_same_state(net, twin, 1e-12)


def test_a_velocity_of_another_shape_is_refused() -> None:
    step: Any = compiled(build(NETS["written"], "float64"), lr=0.1, momentum=0.9)
    step(*batch(5))
    step.optimizer.velocity[1] = np.zeros(2)
    with pytest.raises(ValueError, match=r"velocity of parameter 1 has shape \(2,\)"):
        step(*batch(5))


def test_a_parameter_that_is_listed_again_by_hand_takes_two_steps() -> None:
    nets = [build(NETS["written"], "float64") for _ in range(2)]
    steps: list[Any] = []
    for net, make in zip(nets, (minicnn.compile, EagerStep), strict=True):
        optimizer = optim.SGD([*net.parameters()][1:], lr=0.1, momentum=0.9)
        optimizer.params.append(optimizer.params[0])  # as many as there are, one of them twice
        optimizer.velocity.append(None)
        steps.append(make(net, nn.CrossEntropyLoss(), optimizer))  # type: ignore[operator]
    for i in range(4):
        for step in steps:
            step(*tensors(5 + i))
    assert_same_state(nets[0], nets[1], 1e-12)


@pytest.mark.parametrize("wrong", [np.zeros(3), Tensor(np.zeros((2, 2)))])
def test_an_array_of_another_shape_is_refused_each_time(wrong: Any) -> None:
    net = build(NETS["written"], "float64")
    step, x, y = compiled(net, lr=0.1), *batch(5)
    step(x, y)
    p = [*net.parameters()][-1]
    right, p.data = p.data, wrong
    for _ in range(2):
        with pytest.raises(ValueError, match="bias has shape"):
            step(x, y)
    p.data = right
    step(x, y)


def test_an_array_that_cannot_be_written_is_not() -> None:
    net = build(NETS["written"], "float64")
    step = compiled(net, lr=0.1)
    step(*batch(5))
    p = next(net.parameters())
    p.data.flags.writeable = False
    before = p.numpy().copy()
    with pytest.raises(ValueError, match="parameter 0 is read-only"):
        step(*batch(5))
    np.testing.assert_array_equal(p.numpy(), before)


@pytest.mark.parametrize("ignore_index", [-100, 2])
def test_a_step_takes_the_means_that_eager_takes(ignore_index: int) -> None:
    net, twin = (build(NETS["deep-conv-stride"], "float64") for _ in range(2))
    for p in ([*net.parameters()][-1], [*twin.parameters()][-1]):
        p.data[2] += 9  # so that 2 is what they answer, mostly
    loss = nn.CrossEntropyLoss(ignore_index=ignore_index)
    ours: Any = compiled(net, loss, lr=0.1)
    theirs: Any = EagerStep(twin, loss, sgd(twin, 0.1))
    for _ in range(2):  # the second time, the sums begin again at 0
        for step in (ours, theirs):
            step.means.reset()
            for i in range(3):
                step(*tensors(21 + i))
        assert ours.means.read() == pytest.approx(theirs.means.read(), rel=1e-12)
        assert 0 < ours.means.read()["train_acc"] < 1


def test_an_optimizer_of_some_of_the_parameters() -> None:
    net, twin = (build(NETS["written"], "float64") for _ in range(2))
    before = {name: p.numpy().copy() for name, p in net.named_parameters()}
    chosen = [p for n, p in net.named_parameters() if n.startswith("second")]
    alien = nn.Parameter(np.ones(3))
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD([alien, *chosen], lr=0.1))
    ours, theirs = result_of(step, *batch(5)), eager(twin, *batch(5))
    assert_same(ours, theirs, 1e-11)
    for name, p in net.named_parameters():
        change = -0.1 * theirs[2][name] if name.startswith("second") else 0.0
        np.testing.assert_allclose(p.numpy(), before[name] + change, atol=1e-14)
    np.testing.assert_array_equal(alien.numpy(), np.ones(3))


def test_the_trained_net_is_the_users_own() -> None:
    net = build(NETS["written"], "float32")
    held = dict(net.named_parameters())
    arrays = {name: p.data for name, p in held.items()}
    before = {name: p.numpy().copy() for name, p in held.items()}
    compiled(net, lr=0.1)(*batch(5, "float32"))
    for name, tensor in net.state_dict().items():
        assert held[name].data is arrays[name]
        np.testing.assert_array_equal(tensor.numpy(), arrays[name])
        assert not np.array_equal(tensor.numpy(), before[name])


def test_a_loaded_state_is_seen() -> None:
    net, other = build(NORMED["norm"], "float64"), build(NORMED["norm"], "float64", seed=4)
    step, x, y = compiled(net), *batch(5)
    predict = minicnn.compile(net)
    step(x, y)
    predict(x)
    net.load_state_dict(other.state_dict())
    assert_same(result_of(step, x, y), eager(other, x, y), 1e-11)
    np.testing.assert_allclose(predict(x).numpy(), other.eval()(Tensor(x)).numpy(), rtol=1e-11)


def test_another_dtype_is_seen() -> None:
    net = build(NORMED["norm"], "float32")
    step = compiled(net)
    step(*batch(5, "float32"))
    net.to("float64")
    assert_same(result_of(step, *batch(5)), eager(net, *batch(5)), 1e-11)


def test_a_replaced_layer_is_seen() -> None:
    net = build(lambda: nn.Sequential(nn.Linear(7, 4), nn.ReLU()), "float64")
    predict, x = minicnn.compile(net), batch(5, shape=(7,))[0]
    for kind in (nn.ReLU, nn.Tanh, nn.Sigmoid):
        delattr(net, "1")  # the new layer may then get the old one's place in memory
        setattr(net, "1", kind())
        np.testing.assert_allclose(predict(x).numpy(), net(Tensor(x)).numpy(), rtol=1e-11)


def test_a_prediction_is_made_in_evaluation_mode_whatever_the_nets_is() -> None:
    net = build(lambda: nn.Sequential(*NORMED["norm-and-dropout"]().children()), "float64")
    net(Tensor(batch(5)[0]))
    predict, x = minicnn.compile(net), batch(37)[0]
    expected = net.eval()(Tensor(x)).numpy()
    state = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
    minicnn.manual_seed(11)
    for mode in (True, False, True):
        net.train(mode)
        np.testing.assert_allclose(predict(x).numpy(), expected, rtol=1e-10, atol=1e-12)
        assert all(layer.training is mode for layer in net.modules())
    assert random.next_mask_key() == (11, 0)
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), state[name], err_msg=name)


# fit and evaluate ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample() -> tuple[data.Dataset, data.Dataset]:
    train, test = data.load("fashion-mnist-sample")
    return train[:1500], test[:500]


def small_net() -> nn.Module:
    return with_head(
        (1, 28, 28), nn.Conv2d(1, 4, (5, 4), stride=(2, 3)), nn.ReLU(), nn.MaxPool2d(2), classes=10
    )


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("make", [lambda: models.mlp(hidden=(24,)), small_net], ids=["mlp", "conv"])
def test_fit_compiled_is_fit(
    make: Callable[[], nn.Module], raw: bool, sample: tuple[data.Dataset, data.Dataset]
) -> None:
    histories = []
    for compile in (False, True):
        net = build(make, "float32")
        train, test = (
            data.DataLoader(part, 64, shuffle, seed=0, raw=raw and compile)
            for part, shuffle in zip(sample, (True, False), strict=True)
        )
        options: dict[str, Any] = {"epochs": 1, "divide_by": 64, "quiet": True, "compile": compile}
        histories.append(minicnn.fit(net, train, test, optimizer=sgd(net), **options))
    theirs, ours = histories
    for mine, its in zip([*ours.epochs, *ours.curve], [*theirs.epochs, *theirs.curve], strict=True):
        for key in {"loss", "train_acc", "test_acc", "epoch"} & its.keys():
            assert mine[key] == pytest.approx(its[key], abs=1e-3), key
    assert ours.examples == theirs.examples == 1500


@pytest.mark.parametrize("raw", [False, True])
def test_evaluate_with_a_prediction(raw: bool, sample: tuple[data.Dataset, data.Dataset]) -> None:
    net = nn.Sequential(small_net(), nn.Dropout(0.5))
    share = minicnn.evaluate(net, data.DataLoader(sample[1], 300, raw=raw), minicnn.compile(net))
    assert share == minicnn.evaluate(net, data.DataLoader(sample[1], 300))
    assert net.training
