"""A ``forward`` of the user's own: what it reads is watched, what cannot be followed is refused."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import CompileError, Tensor, nn, optim
from minicnn.nn import functional as F
from tests.compiler.plain import Net, assert_as_eager, batch, plain_net

READS: dict[str, tuple[Callable[[], Net], Callable[[Any], Any]]] = {
    "a number": (
        lambda: Net(lambda net, x: F.max_pool2d(net.first(x), net.width), width=2),
        lambda net: setattr(net, "width", 3),
    ),
    "a list": (
        lambda: Net(lambda net, x: F.avg_pool2d(net.first(x), net.widths[1]), widths=[1, 2]),
        lambda net: net.widths.__setitem__(1, 3),
    ),
    "a dict in a list": (
        lambda: Net(lambda net, x: F.avg_pool2d(net.first(x), net.k[0]["k"]), k=[{"k": 2}]),
        lambda net: net.k[0].update(k=(1, 3)),
    ),
    "an object": (
        lambda: Net(lambda net, x: net.first(x) if net.a.one else net.second(x),
                    a=SimpleNamespace(one=True)),
        lambda net: setattr(net.a, "one", False),
    ),
    "an array": (
        lambda: Net(lambda net, x: F.max_pool2d(x, int(net.size[0])), size=np.array([2, 3])),
        lambda net: net.size.__setitem__(0, 4),
    ),
    "layers in a list": (
        lambda: Net(lambda net, x: net.layers[-1](net.first(x)), layers=[nn.ReLU()]),
        lambda net: net.layers.append(nn.Tanh()),
    ),
    "a setting of a layer in a list": (
        lambda: Net(lambda net, x: net.layers[0](x), layers=[nn.MaxPool2d(2)]),
        lambda net: setattr(net.layers[0], "stride", 1),
    ),
    "a function": (
        lambda: Net(lambda net, x: net.act(net.first(x)), act=F.relu),
        lambda net: setattr(net, "act", F.sigmoid),
    ),
    "an attribute of the class": (
        lambda: type("Sub", (Net,), {"width": 2})(lambda net, x: F.max_pool2d(x, net.width)),
        lambda net: setattr(type(net), "width", 3),
    ),
    "the forward of the class": (
        lambda: type("Sub", (Net,), {})(lambda net, x: net.first(x).relu()),
        lambda net: setattr(type(net), "forward", lambda net, x: net.second(x)),
    ),
    "another layer": (
        lambda: Net(lambda net, x: net.first(x).relu()),
        lambda net: setattr(net, "first", nn.Conv2d(2, 3, 2)),
    ),
    "children": (
        lambda: Net(lambda net, x: functools.reduce(lambda y, layer: layer(y), net.children(), x)),
        lambda net: setattr(net, "third", nn.Tanh()),
    ),
    "what is not there yet": (
        lambda: Net(lambda net, x: F.max_pool2d(x, getattr(net, "width", 2))),
        lambda net: setattr(net, "width", 3),
    ),
    "its own mode": (
        lambda: Net(lambda net, x: net.first(x).relu() if net.training else net.second(x)),
        lambda net: setattr(net, "second", nn.Conv2d(2, 3, 2)),
    ),
    "a weight that is no Parameter": (
        lambda: Net(lambda net, x: F.conv2d(x, net.w), w=Tensor(np.ones((3, 2, 1, 2), "f4"))),
        lambda net: net.w.data.__imul__(np.float32(3)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READS)
def test_what_a_forward_reads_is_watched(name: str) -> None:
    make, change = READS[name]
    net = make().eval()
    predict = minicnn.compile(net)
    assert_as_eager(predict, net)
    before = predict(batch(7)[0]).numpy().copy()
    change(net)
    assert_as_eager(predict, net)
    after = predict(batch(7)[0]).numpy()
    assert before.shape != after.shape or not np.allclose(before, after)


def test_what_a_forward_does_not_read_may_change() -> None:
    net: Any = Net(lambda net, x: net.first(x).relu(), losses=[], lock=np.random.default_rng(0))
    predict = minicnn.compile(net)
    predict(batch(7)[0])
    plan = predict.plan
    for _ in range(3):
        net.losses.append(1.5)
        net.last = object()
        predict(batch(7)[0])
        assert predict.plan is plan


@pytest.mark.parametrize("threshold", [1, 3, 20])
def test_a_forward_that_branches_on_the_number_of_pictures_is_followed(threshold: int) -> None:
    net: Any = Net(lambda net, x: net.first(x).relu() if len(x) > threshold else net.second(x))
    predict = minicnn.compile(net.eval())
    for images in (1, 2, 3, 30, 4, 2, 21, 1, 30):
        assert_as_eager(predict, net, images)


def test_a_branch_on_the_number_of_pictures_is_followed_beyond_a_change_of_weights() -> None:
    net: Any = Net(lambda net, x: net.first(x).relu() if len(x) % 2 else net.second(x))
    predict = minicnn.compile(net.eval())
    for images in (5, 6, 5, 6):
        assert_as_eager(predict, net, images)
        net.first.weight.data = net.first.weight.data * 2
        assert_as_eager(predict, net, images)


REFUSED: dict[str, tuple[Callable[[Any, Tensor], Any], str]] = {
    "if": (lambda net, x: x if (x.sum() > 0) else net.first(x), "looks at the numbers"),
    "item": (lambda net, x: F.max_pool2d(x, 2 if x.mean().item() < 9 else 1), "looks at the num"),
    "numpy": (
        lambda net, x: net.first(x if x.numpy().max() < 9 else x.relu()),
        "looks at the numbers",
    ),
    "a parameter's number": (
        lambda net, x: F.dropout(x, abs(float(net.first.weight[0, 0, 0, 0])), net.training),
        "looks at the numbers",
    ),
    "data": (lambda net, x: net.first(x) if x.data.mean() > 0 else x.relu(), "not the same for"),
    "data, too bright": (lambda net, x: x.relu() if x.data.max() > 30 else net.first(x), "not the"),
    "refusing data": (lambda net, x: net.first(refuse_large(x)), "not the same for all pictures"),
    "a weight made on the way": (
        lambda net, x: F.conv2d(x, Tensor(net.first.weight.data / 2)),
        "makes a weight on the way",
    ),
    "an attribute set": (lambda net, x: remember(net, x), "sets its attribute last"),
    "a list that grows": (lambda net, x: remember_in(net.seen, net.first(x)), "changes Net.seen"),
    "a buffer": (lambda net, x: count_in(net, x), "changes a buffer"),
    "a generator": (
        lambda net, x: net.first(x) if net.rng.random() < 2 else x,
        "reads its attribute rng, a Generator",
    ),
    "a large list": (lambda net, x: net.first(x[: net.large[5]]), "reads its attribute large"),
    "two results": (lambda net, x: (x.relu(), net.first(x)), "returns a tuple; wanted a Tensor"),
}


def refuse_large(x: Tensor) -> Tensor:
    if x.data.max() > 50:
        raise ValueError("pixels are not scaled")
    return x


def remember(net: Any, x: Tensor) -> Tensor:
    net.last = net.first(x)
    return net.last


def remember_in(seen: list[int], x: Tensor) -> Tensor:
    seen.append(len(x))
    return x


def count_in(net: Any, x: Tensor) -> Tensor:
    net.count.data += 1
    return net.first(x)


@pytest.mark.parametrize("name", REFUSED)
def test_a_forward_that_cannot_be_followed_is_refused_by_name(name: str) -> None:
    forward, message = REFUSED[name]
    net: Any = Net(forward, seen=[], rng=np.random.default_rng(1), large=list(range(20_000)))
    net.register_buffer("count", Tensor(np.zeros(1)))
    with pytest.raises(CompileError, match=message):
        minicnn.compile(net)(abs(batch(7)[0]))
    assert type(net) is Net
    assert net.training
    assert net._buffers["count"].numpy() == 0


def test_a_net_with_a_forward_of_its_own_builds_its_lazy_layers() -> None:
    net = Net(lambda net, x: net.head(F.relu(net.first(x)).flatten(1)), head=nn.LazyLinear(4))
    assert_as_eager(minicnn.compile(net.eval()), net)


class OwnMomentum(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        return F.batch_norm(input, self.running_mean, self.running_var, None, None, True, 0.5)


class CountedTwice(nn.BatchNorm2d):
    def count_batch(self) -> None:
        super().count_batch()
        super().count_batch()


def test_a_batch_norm_with_a_forward_of_its_own_is_refused_one_that_counts_is_followed() -> None:
    x, y = batch(7)
    for kind in (OwnMomentum, CountedTwice):
        nets: list[Any] = [nn.Sequential(kind(2), *plain_net()) for _ in range(2)]
        step = minicnn.compile(nets[0], nn.CrossEntropyLoss(), optim.SGD(nets[0].parameters(), 0.0))
        if kind is OwnMomentum:
            with pytest.raises(CompileError, match=r"BatchNorm outside of nn\.BatchNorm2d"):
                step(x, y)
        else:
            step(x, y), nets[1](Tensor(x))
            assert int(nets[0][0].num_batches_tracked) == int(nets[1][0].num_batches_tracked) == 2


def test_dropout_that_is_always_on_is_on_in_predictions_too() -> None:
    net = Net(lambda net, x: F.dropout(net.first(x), 0.4, training=True)).eval()
    predict, (x, _) = minicnn.compile(net), batch(7)
    predict(x)
    minicnn.manual_seed(3)
    ours = [predict(x).numpy().copy() for _ in range(2)]
    minicnn.manual_seed(3)
    theirs = [net(Tensor(x)).numpy() for _ in range(2)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert (ours[0] != ours[1]).any()
