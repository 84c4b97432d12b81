"""Tensors, nets and optimizers of the PyTorch tab print as PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.d2l.facades.modules import as_tree
from minicnn.d2l.facades.pytorch import modules

pytestmark = pytest.mark.parity

ours = as_tree(modules())["torch"]
rng = np.random.default_rng(3)

ARRAYS = [
    np.float32(3), np.float32(1e-5), np.float32(0), np.float32(-0.0), np.float64(2.5), np.array(5),
    np.array(True), np.array([], np.float32), np.zeros((0, 3), np.float32), np.array([], np.int64),
    np.zeros((0, 3), np.int64), np.arange(12), np.arange(-3, 4).reshape(7, 1), np.arange(2000),
    np.arange(1001, dtype=np.float32), np.array([1.5, np.nan], np.float32),
    np.array([np.nan, np.inf, -np.inf], np.float32), np.array([np.nan, 2, -np.inf], np.float32),
    np.array([1, 1e9], np.float32), np.array([1.0, 1001], np.float32),
    np.array([1e-3, 1.2], np.float32), np.array([1e-5, 0], np.float32), np.array([True, False]),
    np.array([[True], [True]]), rng.normal(size=(2, 3)).astype(np.float32),
    rng.normal(size=(2, 3)), rng.normal(size=(1, 1, 5, 5)).astype(np.float32),
    rng.normal(size=30).astype(np.float32), rng.normal(size=(3, 40)).astype(np.float32),
    rng.normal(size=(100, 20)).astype(np.float32), rng.integers(0, 255, (3, 4), np.uint8),
    rng.normal(size=(4, 1, 6, 28, 28)).astype(np.float32),
    rng.integers(-9, 9, (2, 1, 3), np.int32), np.zeros((2, 2, 2), np.float32),
    rng.random((4, 7)).astype(np.float32) * 1e4, rng.random((4, 7)).astype(np.float32) * 1e9,
    rng.normal(size=(3, 1200)).astype(np.float32), rng.normal(size=(7, 7, 30)).astype(np.float32),
    np.array([1.00001, 2], np.float32), np.full(23, 0.5, np.float32),
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{np.asarray(a).dtype}{np.shape(a)}")
def test_tensors_print_as_pytorchs(array: Any, torch: Any) -> None:
    real, own = torch.from_numpy(np.array(array)), ours.from_numpy(np.array(array))
    assert repr(own) == repr(real)
    if real.is_floating_point():
        real, own = real.requires_grad_(), own.requires_grad_()
        assert repr(own) == repr(real)
        assert repr(own * 2) == repr(real * 2)
        assert repr(ours.nn.Parameter(own)) == repr(torch.nn.Parameter(real))


PASTS = """
x+1; 1+x; x-x; 2-x; x*2; x/2; 2/x; -x; x**2; x**x; 2**x; x@x.T; x@t.ones(3); t.dot(x[0], x[1])
x.exp(); x.log(); x.sqrt(); x.abs(); x.relu(); x.sigmoid(); x.tanh(); x.softmax(1); x.log_softmax(1)
x.sum(); x.sum(0); x.mean(); x.mean((0, 1)); x.max(); x.max(1)[0]; x.min(); x.min(1)[0]; x.norm()
x.var(); x.std(); t.max(x, x); t.minimum(x, x); x.reshape(3, 2); x.view(6); x.T.reshape(-1); x.T
x.t(); x.transpose(0, 1); x.permute(1, 0); x[0]; x[0:1]; x[:, 0]; x[[0, 1]]; x[0:1, 1]; x[None]
x[..., 0]; x[x > 0]; x.clone(); x.double(); x.squeeze(); x.unsqueeze(0); x.flatten(); x.contiguous()
t.cat([x, x]); t.stack([x, x]); f.linear(x, t.ones(2, 3)); f.linear(x, t.ones(2, 3), t.ones(2))
f.dropout(x); f.cross_entropy(x, t.tensor([0, 1])); f.mse_loss(x, x * 1); f.pad(x, (1, 1))
f.conv2d(p, t.ones(4, 3, 3, 3)); f.max_pool2d(p, 2); f.avg_pool2d(p, 2)
f.batch_norm(p, None, None, training=True); f.adaptive_avg_pool2d(p, 1)
"""


@pytest.mark.parametrize("expression", PASTS.strip().replace("\n", "; ").split("; "))
def test_pasts_are_named_as_pytorchs(expression: str, torch: Any) -> None:
    x = rng.random((2, 3)).astype(np.float32) + 0.1
    p = rng.random((2, 3, 8, 6)).astype(np.float32)
    results = []
    for t in (torch, ours):
        inputs = {"x": t.tensor(x, requires_grad=True), "p": t.tensor(p, requires_grad=True)}
        results.append(eval(expression, {"t": t, "f": t.nn.functional, **inputs}))
    real, own = results
    assert (own.grad_fn and own.grad_fn.name()) == (real.grad_fn and real.grad_fn.name())
    if "dropout" not in expression:
        np.testing.assert_allclose(own.detach().numpy(), real.detach().numpy(), atol=1e-5)


def _net(t: Any) -> Any:
    n = t.nn
    return n.Sequential(
        n.Conv2d(1, 6, kernel_size=5, padding=2), n.Sigmoid(), n.AvgPool2d(2, stride=2),
        n.Conv2d(6, 16, (3, 5), bias=False, padding="same", dilation=2, groups=2), n.Tanh(),
        n.ReLU(inplace=True), n.ReLU(), n.Softmax(1), n.LogSoftmax(dim=-1), n.MaxPool2d(3, 2, 1),
        n.Flatten(), n.Linear(400, 120), n.Linear(3, 4, bias=False), n.Dropout(0.2), n.Identity(),
        n.BatchNorm2d(3),
        n.CrossEntropyLoss(), n.NLLLoss(), n.MSELoss(), n.L1Loss(), n.LazyConv2d(4, 3),
        n.LazyLinear(3), n.AdaptiveAvgPool2d((1, 1)), n.MaxPool2d((2, 3)), n.Sequential(),
        n.AvgPool2d((2, 3), padding=1, count_include_pad=False), n.Sequential(n.Flatten(0, 2)),
    )  # fmt: skip


def test_nets_print_as_pytorchs(torch: Any) -> None:
    real, own = _net(torch), _net(ours)
    assert repr(own) == repr(real)
    assert [str(type(m)) for m in own] == [str(type(m)) for m in real]
    assert repr(own[0].state_dict().keys()) == repr(real[0].state_dict().keys())
    for a, b in ((own, real), (own[:3], real[:3]), (own[-1][0], real[-1][0])):
        assert repr(a) == repr(b)


def test_what_was_changed_prints_as_pytorchs(torch: Any) -> None:
    texts = []
    for t in (torch, ours):
        layer, X = t.nn.Linear(2, 3), t.ones(4, 2)
        t.nn.init.ones_(layer.weight)
        layer.bias = None
        l = (layer(X) ** 2).mean()  # noqa: E741
        l.backward()
        layer.weight = t.nn.Parameter(t.zeros(3, 2))
        conv = t.nn.Conv2d(1, 2, 3)
        conv.weight = t.nn.Parameter(t.ones(2, 1, 3, 3))
        texts.append([repr(layer), repr(l), [str(p.shape) for p in conv.parameters()]])
    assert texts[1] == texts[0]


def test_what_surrounds_them_prints_as_pytorchs(torch: Any) -> None:
    texts = []
    for t in (torch, ours):
        x = t.ones(2, 3)
        optimizer = t.optim.SGD([t.nn.Parameter(x)], 0.1, momentum=0.5)
        scheduler = t.optim.lr_scheduler.StepLR(optimizer, 2)
        adam = t.optim.Adam([{"params": [x], "lr": 0.5}, {"params": [x + 1]}], eps=0.1)
        texts.append(
            [
                *map(
                    str, (t.Size([2, 3]) + x.shape, x.shape[:1], t.Size([]), x.size(), x.size(-1))
                ),
                *map(repr, (t.float32, t.float, t.long, t.bool, x.dtype, type(x), t.double)),
                *map(str, (t.device("cpu"), t.device("cuda:1"), x.device)),
                *map(repr, (t.device("cpu"), t.device("cuda", 1), x.device, x.max(1), x.min(0))),
                *map(str, (x.type(), x.long().type(), x.tolist(), f"{x.sum()} {x.sum():.2f}")),
                optimizer.__module__,
                scheduler.__module__,
                t.optim.lr_scheduler.__name__,
                repr(adam),
                repr(optimizer).replace("    initial_lr: 0.1\n", ""),
            ]
        )
    assert texts[1] == texts[0]
