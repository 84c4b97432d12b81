"""Cells as readers of the LeNet chapters write them, on the CPU and on a GPU; libraries."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.d2l.facades import helpers
from minicnn.data.loader import DataLoader
from minicnn.device import gpu_problem
from tests.d2l.mxnet_here import mx
from tests.gpu.pretend import standin_for_cupy

__all__ = ["mx"]

FIRST = """
import d2lzh as d2l
import mxnet as mx
from mxnet import autograd, gluon, init, nd
from mxnet.gluon import loss as gloss, nn

net = nn.Sequential()
net.add(nn.Conv2D(channels=4, kernel_size=5, activation='sigmoid'),
        nn.MaxPool2D(pool_size=2, strides=2), nn.BatchNorm(), nn.Dropout(0.25),
        nn.Dense(10))
X = nd.random.uniform(shape=(1, 1, 28, 28))
net.initialize()
for layer in net:
    X = layer(X)
    print(layer.name, X.shape)
try:
    ctx = mx.gpu()
    nd.zeros((1,), ctx=ctx)
except mx.base.MXNetError:
    ctx = mx.cpu()
net.initialize(force_reinit=True, ctx=ctx, init=init.Xavier())
trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.2, 'momentum': 0.5})
loss = gloss.SoftmaxCrossEntropyLoss()
right, losses = nd.array([0], ctx=ctx), []
for X, y in pictures:
    X, y = X.as_in_context(ctx), y.as_in_context(ctx)
    with autograd.record():
        y_hat = net(X)
        l = loss(y_hat, y).sum()
    l.backward()
    trainer.step(40)
    right += (net(X).argmax(axis=1) == y.astype('float32')).sum()
    losses.append(l.asscalar() / y.size)
share, where = right.asscalar() / 160, net[4].weight.data().context
"""
SECOND = """
from d2l import mxnet as d2l
from mxnet import autograd, gluon, init, np, npx
from mxnet.gluon import nn
npx.set_np()

net = nn.HybridSequential()
net.add(nn.Conv2D(channels=4, kernel_size=5, padding=2, activation='tanh'),
        nn.AvgPool2D(pool_size=2, strides=2), nn.Activation('relu'), nn.Flatten(), nn.Dense(10))
X = np.random.uniform(size=(1, 1, 28, 28))
net.initialize()
net.hybridize()
for layer in net:
    X = layer(X)
    print(layer.name, X.shape)
device = d2l.try_gpu()
net.initialize(force_reinit=True, ctx=device, init=init.Xavier())
trainer = gluon.Trainer(net.collect_params(), 'adam', {'learning_rate': 0.01})
loss, losses = gluon.loss.SoftmaxCrossEntropyLoss(), []
metric = d2l.Accumulator(2)
for X, y in pictures:
    X, y = X.as_in_ctx(device), y.as_in_ctx(device)
    with autograd.record():
        y_hat = net(X)
        l = loss(y_hat, y)
    l.backward()
    trainer.step(X.shape[0])
    metric.add(d2l.accuracy(net(X), y), d2l.size(y))
    losses.append(float(l.mean()))
share = metric[0] / metric[1]
where = list(net.collect_params().values())[0].list_ctx()[0]
"""
SHAPES = {
    FIRST: "conv0 (1, 4, 24, 24)\npool0 (1, 4, 12, 12)\nbatchnorm0 (1, 4, 12, 12)\n"
    "dropout0 (1, 4, 12, 12)\ndense0 (1, 10)\n",
    SECOND: "conv0 (1, 4, 28, 28)\npool0 (1, 4, 14, 14)\nrelu0 (1, 4, 14, 14)\n"
    "flatten0 (1, 784)\ndense0 (1, 10)\n",
}


def run(cells: str, few: Any, mx: Any) -> dict[str, Any]:
    """What the cells leave behind, from the same weights and batches each time."""
    minicnn.manual_seed(2)
    array = mx.np.ndarray if cells is SECOND else mx.nd.NDArray
    loader = DataLoader(few[:160], 40)
    names: dict[str, Any] = {
        "pictures": helpers.Batches(loader, lambda x, y: (array(x), array(y.to("int32"))))
    }
    exec(cells, names)
    return names


@pytest.mark.parametrize("cells", [FIRST, SECOND], ids=["first", "second"])
def test_the_cells_of_both_editions(
    cells: str, few: Any, mx: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run(cells, few, mx)
    assert capsys.readouterr().out == SHAPES[cells]
    assert names["losses"][-1] < names["losses"][0], names["losses"]
    assert 0.2 < names["share"] < 1
    assert names["where"] == mx.cpu()


@pytest.fixture
def a_gpu() -> Iterator[None]:
    gpu_problem.cache_clear()
    with standin_for_cupy():
        yield
    gpu_problem.cache_clear()


@pytest.mark.parametrize("cells", [FIRST, SECOND], ids=["first", "second"])
def test_the_same_cells_on_a_gpu(cells: str, few: Any, mx: Any, request: Any) -> None:
    expected = run(cells, few, mx)["losses"]
    request.getfixturevalue("a_gpu")
    names = run(cells, few, mx)
    assert (names["where"], mx.num_gpus()) == (mx.gpu(0), 2)
    np.testing.assert_allclose(names["losses"], expected, rtol=2e-4)
    net, X = names["net"], next(iter(names["pictures"]))[0]
    assert "gpu(0)" in repr(names["X"])
    with pytest.raises(RuntimeError, match=r"input is on cpu\(0\), .*X\.as_in_context\(gpu\(0\)\)"):
        net(X)
    assert net(X.as_in_context(mx.gpu(0))).context == mx.gpu(0)
    net.collect_params().reset_ctx(mx.cpu())
    assert net(X).context == mx.cpu()


LIBRARIES = """
from minicnn import d2l
d2l.install("mxnet")
import sys
assert "matplotlib" not in sys.modules
from mxnet import nd, np
import numpy
import matplotlib
matplotlib.use("agg")
from matplotlib import pyplot as plt
from scipy.optimize import curve_fit
from sklearn.cluster import KMeans

for make in (nd.array, np.array):
    x = make([0, 1, 2, 3])
    (line,) = plt.plot(x, x * 2 + 1)
    assert numpy.asarray(line.get_ydata()).tolist() == [1, 3, 5, 7]
    assert plt.imshow(make([[0, 1], [2, 3]])).get_array().shape == (2, 2)
    found, _ = curve_fit(lambda x, a, b: a * x + b, x.asnumpy(), x * 2 + 1)
    assert numpy.allclose(found, [2, 1])
    means = KMeans(2, n_init=1, random_state=0).fit(make([[0, 0], [0, 1], [9, 9], [9, 8]]))
    assert sorted(means.cluster_centers_[:, 0]) == [0, 9]
plt.savefig("picture.png")
"""


def test_libraries_work_beside_it(tmp_path: Any) -> None:
    for package in ("matplotlib", "scipy", "sklearn"):
        pytest.importorskip(package)
    environment = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run(
        [sys.executable, "-c", LIBRARIES], cwd=tmp_path, env=environment, check=True, timeout=120
    )
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
