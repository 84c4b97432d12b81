"""What a compiled net or step cannot follow is refused by name; what changes later is noticed."""

from __future__ import annotations

import copy
import functools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import CompileError, Tensor, nn, optim
from minicnn.compiler.cpu.lower import LOWERINGS
from minicnn.compiler.record import SETTINGS
from minicnn.nn import functional as F
from tests.compiler.plain import PICTURE, Net, assert_as_eager, batch, plain_net


def compiled(
    loss: Any = None, optimizer: Callable[..., Any] = optim.SGD
) -> minicnn.compiler.CompiledStep:
    net = plain_net()
    return minicnn.compile(net, loss or nn.CrossEntropyLoss(), optimizer(net.parameters(), lr=0.1))


# Losses and optimisers ----------------------------------------------------------------------------


class Focal(nn.CrossEntropyLoss):
    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return super().forward(input, target) * 2


class Called(nn.CrossEntropyLoss):
    def __call__(self, *inputs: Any, **options: Any) -> Tensor:
        return super().__call__(*inputs, **options) * 2


class Renamed(nn.CrossEntropyLoss):
    pass


@functools.wraps(F.cross_entropy)
def wrapped(*arguments: Any) -> Tensor:
    return F.cross_entropy(*arguments) * 2


def with_own_forward() -> nn.CrossEntropyLoss:
    loss = nn.CrossEntropyLoss()
    setattr(loss, "forward", wrapped)  # noqa: B010
    return loss


def with_hook() -> nn.CrossEntropyLoss:
    loss = nn.CrossEntropyLoss()
    loss.register_forward_hook(lambda *_: None)
    return loss


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (Focal(), "loss is Focal, a subclass of CrossEntropyLoss with its own forward; wanted"),
        (Called(), "a subclass of CrossEntropyLoss with its own __call__; wanted"),
        (Renamed(), "loss is Renamed, a subclass of CrossEntropyLoss; wanted"),
        (with_own_forward(), "loss has its own forward; wanted"),
        (with_hook(), "the loss has a forward hook"),
        (wrapped, "loss is cross_entropy, a function; wanted"),
        (functools.partial(F.cross_entropy, label_smoothing=0.1), "loss is partial, a partial"),
        (nn.Sequential(nn.CrossEntropyLoss()), "loss is Sequential, a Sequential"),
    ],
    ids=["forward", "call", "renamed", "own", "hook", "wrapped", "partial", "net"],
)
def test_a_loss_that_is_not_quite_cross_entropy_is_refused(loss: Any, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        compiled(loss)


class Clipped(optim.SGD):
    def update(self, i: int, g: Any) -> None:
        super().update(i, np.clip(g, -0.01, 0.01))


class Counted(optim.SGD):
    def step(self) -> None:
        self.steps = getattr(self, "steps", 0) + 1
        super().step()


class Halved(optim.SGD):
    def settings(self) -> Any:
        lr, *others = super().settings()
        return (lr / 2, *others)


class Mine:
    def __init__(self, params: Any, lr: float):
        self.params, self.lr = list(params), lr


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Clipped, "optimizer is Clipped, a subclass of SGD with its own update; wanted"),
        (Counted, "optimizer is Counted, a subclass of SGD with its own step; wanted"),
        (Halved, "optimizer is Halved, a subclass of SGD with its own settings; wanted"),
        (Mine, "optimizer is Mine, a Mine; wanted"),
    ],
)
def test_an_optimizer_that_is_not_quite_a_known_one_is_refused(kind: Any, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        compiled(optimizer=kind)


@pytest.mark.parametrize("name", ["step", "update", "descend", "settings", "state_of", "zero_grad"])
def test_a_method_of_the_optimizer_that_was_replaced_is_named(name: str) -> None:
    step = compiled()
    step(*batch(5))
    setattr(step.optimizer, name, lambda *_: None)
    before = [p.numpy().copy() for p in step.net.parameters()]
    with pytest.raises(CompileError, match=f"optimizer has its own {name}; wanted"):
        step(*batch(5))
    delattr(step.optimizer, name)
    for p, array in zip(step.net.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.numpy(), array)
    step(*batch(5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda loss: setattr(loss, "forward", wrapped), "loss has its own forward"),
        (lambda loss: loss.register_forward_hook(lambda *_: None), "the loss has a forward hook"),
        (lambda loss: setattr(loss, "reduction", "none"), "reduction is 'none'"),
    ],
    ids=["forward", "hook", "reduction"],
)
def test_a_loss_that_changes_after_the_first_step_is_refused(change: Any, message: str) -> None:
    loss = nn.CrossEntropyLoss()
    step = compiled(loss)
    step(*batch(5))
    change(loss)
    with pytest.raises(CompileError, match=message):
        step(*batch(5))


def test_another_loss_or_optimizer_put_into_the_step_is_looked_at_too() -> None:
    focal, summed, (x, y) = Focal(), nn.CrossEntropyLoss(reduction="sum"), batch(5)
    step = compiled()
    step.optimizer.lr = 0.0
    step(x, y)
    step.loss = focal
    with pytest.raises(CompileError, match="Focal"):
        step(x, y)
    step.loss = summed
    expected = summed(step.net(Tensor(x)), Tensor(y)).item()
    assert step(x, y)[0].item() == pytest.approx(expected, rel=1e-5)
    step.optimizer = Clipped(step.net.parameters())
    with pytest.raises(CompileError, match="Clipped"):
        step(x, y)


def test_weights_of_the_loss_changed_in_place_are_seen() -> None:
    weight = Tensor(np.array([1, 2, 3, 4, 5], np.float32))
    loss, (x, y) = nn.CrossEntropyLoss(weight), batch(9)
    step = compiled(loss)
    step.optimizer.lr = 0.0
    step(x, y)
    for change in (lambda: weight.data.__imul__(weight.data), lambda: setattr(
        weight, "data", np.array([0, 9, 0, 1, 2], np.float32)
    )):  # fmt: skip
        change()
        expected = loss(step.net(Tensor(x)), Tensor(y)).item()
        assert step(x, y)[0].item() == pytest.approx(expected, rel=1e-5)


def test_a_list_of_parameters_that_changed_is_followed() -> None:
    step: Any = compiled()
    step(*batch(5))
    weight, bias = step.net.parameters()
    step.optimizer.params.pop(0)
    step.optimizer.velocity.pop(0)
    before = weight.numpy().copy(), bias.numpy().copy()
    step(*batch(5))
    np.testing.assert_array_equal(weight.numpy(), before[0])
    assert (bias.numpy() != before[1]).all()


# Settings of layers -------------------------------------------------------------------------------


def every_layer() -> nn.Sequential:
    minicnn.manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2),
        nn.AvgPool2d((2, 1)), nn.Flatten(1), nn.Dropout(0.5),
    )  # fmt: skip


def set_all(layer: nn.Module, **attributes: Any) -> None:
    for name, value in attributes.items():
        setattr(layer, name, value)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "padding": lambda net: setattr(net[0], "padding", (2, 1)),
    "stride": lambda net: setattr(net[0], "stride", 2),
    "dilation": lambda net: setattr(net[0], "dilation", (1, 2)),
    "kernel": lambda net: setattr(net[0], "weight", nn.Parameter(np.ones((3, 2, 2, 3), "f4"))),
    "no bias": lambda net: setattr(net[0], "bias", None),
    "eps": lambda net: setattr(net[1], "eps", 0.5),
    "no statistics": lambda net: set_all(net[1], running_mean=None, running_var=None),
    "other statistics": lambda net: setattr(net[1], "running_mean", Tensor([1.0, 2.0, 3.0])),
    "max pooling": lambda net: setattr(net[3], "kernel_size", (2, 3)),
    "max pooling's stride": lambda net: setattr(net[3], "stride", 1),
    "ceil_mode": lambda net: set_all(net[3], stride=(3, 2), ceil_mode=True),
    "avg pooling": lambda net: setattr(net[4], "divisor_override", 7),
    "forward": lambda net: setattr(net[2], "forward", F.tanh),
    "the net's forward": lambda net: setattr(net, "forward", lambda x: net[5](net[0](x))),
    "another layer": lambda net: setattr(net, "2", nn.Sigmoid()),
    "another layer in the dict": lambda net: net._modules.update({"2": nn.Tanh()}),
    "a layer less": lambda net: net._modules.pop("2"),
    "a layer more": lambda net: net.append(nn.Tanh()),
    "layers in another order": lambda net: [
        net._modules.update({k: net._modules.pop(k)}) for k in ("4", "3", "5", "6")
    ],
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_after_the_first_call_is_seen(name: str) -> None:
    net = every_layer().eval()
    predict = minicnn.compile(net)
    assert_as_eager(predict, net)
    before = predict(batch(7)[0]).numpy().copy()
    CHANGES[name](net)
    assert_as_eager(predict, net)
    after = predict(batch(7)[0]).numpy()
    assert before.shape != after.shape or not np.allclose(before, after)


def test_dropouts_p_is_seen_by_a_step_and_momentum_too() -> None:
    nets = [nn.Sequential(*every_layer(), nn.Linear(18, 5)) for _ in range(2)]
    step = minicnn.compile(nets[0], nn.CrossEntropyLoss(), optim.SGD(nets[0].parameters(), 0.0))
    x, y = batch(7)
    for p, momentum in ((0.5, 0.1), (0.2, 0.7), (0.0, None)):
        for net in nets:
            net[6].p, net[1].momentum = p, momentum
        minicnn.manual_seed(6)
        ours = step(x, y)[1].numpy()
        minicnn.manual_seed(6)
        np.testing.assert_allclose(ours, nets[1](Tensor(x)).numpy(), rtol=1e-4, atol=1e-5)
    for name, tensor in nets[1].state_dict().items():
        theirs = tensor.numpy()
        np.testing.assert_allclose(nets[0].state_dict()[name].numpy(), theirs, atol=1e-5)


def test_a_setting_put_back_finds_its_engine_again() -> None:
    net = every_layer()
    predict = minicnn.compile(net)
    predict(batch(7)[0])
    plan = predict.plan
    net[0].stride = 2
    predict(batch(7)[0])
    other = predict.plan
    net[0].stride = 1
    predict(batch(7)[0])
    assert other is not plan
    assert predict.plan is plan


def test_an_attribute_that_is_no_setting_makes_no_new_engine() -> None:
    net = every_layer()
    predict = minicnn.compile(net)
    predict(batch(7)[0])
    plan = predict.plan
    for epoch in range(3):
        net.epoch = epoch
        predict(batch(7)[0])
        assert predict.plan is plan


@pytest.mark.parametrize("where", ["net", "layer"])
def test_forward_hooks_are_refused_until_they_are_removed(where: str) -> None:
    net = every_layer().eval()
    predict = minicnn.compile(net)
    assert_as_eager(predict, net)
    handle = (net if where == "net" else net[3]).register_forward_hook(lambda *_: None)
    with pytest.raises(CompileError, match=r"a (Sequential|MaxPool2d) of the net has a forward h"):
        predict(batch(7)[0])
    handle.remove()
    assert_as_eager(predict, net)


# Copies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_of_a_compiled_net_or_step_has_engines_of_its_own(copied: Any) -> None:
    step, (x, y) = compiled(optimizer=optim.Adam), batch(5)
    predict = minicnn.compile(step.net)
    step(x, y)
    before = predict(x).numpy().copy()
    other_step, other_predict = copied(step), copied(predict)
    step(x, y)
    np.testing.assert_allclose(other_predict(x).numpy(), before, rtol=1e-6)
    losses = [one(x, y)[0].item() for one in (step, step, other_step, other_step, other_step)]
    assert losses[:2] == pytest.approx(losses[3:], rel=1e-5)


def test_a_shallow_copy_of_a_step_has_sums_and_scores_of_its_own() -> None:
    step, (x, y) = compiled(), batch(5)
    step(x, y)
    other, then = copy.copy(step), step.means.copy()
    _, mine = step(x, y)
    before = mine.numpy().copy()
    other(-x, y)
    np.testing.assert_array_equal(mine.numpy(), before)
    assert other.means.read() != step.means.read()
    assert step.means.loss > then.loss
    assert step.means.correct >= then.correct
    assert step.means.examples == then.examples + 5


def test_a_base_class_that_registers_what_is_derived_from_it() -> None:
    registered: list[str] = []

    class Base(nn.Module):
        def __init_subclass__(cls, *, label: str) -> None:
            registered.append(label)

    class Own(Base, label="own"):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(96, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x.reshape(len(x), -1))

    net, (x, _) = Own(), batch(5)
    np.testing.assert_allclose(minicnn.compile(net)(x).numpy(), net(Tensor(x)).numpy(), atol=1e-5)
    assert registered == ["own"]
    assert type(net) is Own


# Data types ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_net_without_parameters_computes_in_the_pictures_dtype(dtype: str) -> None:
    net = nn.Sequential(nn.MaxPool2d(2), nn.Tanh(), nn.Flatten())
    predict, x = minicnn.compile(net), batch(5)[0].astype(dtype)
    y = predict(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y.numpy(), net(Tensor(x)).numpy(), rtol=1e-5)
    assert predict(np.full((3, *PICTURE), 51, np.uint8)).dtype == np.float32
    with pytest.raises(TypeError, match="x is int64; wanted uint8 or the net's float32"):
        predict(np.ones((3, *PICTURE), np.int64))


@pytest.mark.parametrize("which", [0, 1])
def test_a_parameter_of_another_dtype_is_refused_as_in_eager_mode(which: int) -> None:
    step, (x, y) = compiled(), batch(5)
    step(x, y)
    p = [*step.net.parameters()][which]
    p.data = p.data.astype(np.float64)
    for call in (lambda: step.net(Tensor(x)), lambda: step(x, y)):
        with pytest.raises(TypeError, match=r"float32.*float64|float64.*float32"):
            call()
    p.data = p.data.astype(np.float32)
    step(x, y)


def test_a_tensor_that_begins_to_learn_is_seen() -> None:
    net: Any = Net(lambda net, x: F.linear(x.flatten(1), net.w), w=Tensor(np.ones((5, 96), "f4")))
    net.w.requires_grad = False
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD([net.w], 0.5))
    before = net.w.numpy().copy()
    step(*batch(5))
    np.testing.assert_array_equal(net.w.numpy(), before)
    net.w.requires_grad = True
    step(*batch(5))
    assert (net.w.numpy() != before).any()


def test_what_a_plan_takes_from_an_operation_is_listed_for_all_that_can_be_compiled() -> None:
    assert SETTINGS.keys() == LOWERINGS.keys()


@pytest.mark.parametrize(
    "make", [plain_net, lambda: Net(lambda net, x: net.second(net.first(x)))], ids=["", "own"]
)
def test_where_nothing_was_set_the_engine_of_the_last_call_is_not_looked_for(
    make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    net = make().eval()
    predict = minicnn.compile(net)
    assert_as_eager(predict, net)
    monkeypatch.setattr(predict, "_find", None)
    assert_as_eager(predict, net)
