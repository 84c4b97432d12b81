"""What readers write wrongly under mxnet, and that the message's advice works."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from tests.d2l.mxnet_here import mx, mx_np

__all__ = ["mx", "mx_np"]


def names_of(mx: Any) -> dict[str, Any]:
    """As after the cells' imports, with a net, pictures and labels."""
    nn = mx.gluon.nn
    net = nn.Sequential()
    net.add(nn.Conv2D(2, 3, in_channels=1), nn.Dense(3))
    X, y = mx.nd.random.uniform(shape=(4, 1, 6, 6)), mx.nd.array([0, 1, 2, 0])
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    return {
        **{"mx": mx, "nd": mx.nd, "np": mx.np, "npx": mx.npx, "nn": nn, "net": net, "X": X, "y": y},
        **{"autograd": mx.autograd, "gluon": mx.gluon, "init": mx.init, "loss": loss},
    }


# Before, the mistake, the error, what the message says, and what a reader then writes.
MISTAKES = [
    ("", "net(X)", RuntimeError,
     r"'conv0_weight' has not been initialized; call net\.initialize\(\)",
     "net.initialize(); net(X)"),
    ("net.initialize()", "net[1].weight.data()", RuntimeError,
     r"its shape \(3, 0\) follows from the first batch; send one through the net first, net\(X\)",
     "net(X); net[1].weight.data()"),
    ("net.initialize()", "net(X.transpose((0, 2, 3, 1)))", RuntimeError,
     r"conv0: input has shape \(4, 6, 6, 1\), 6 channels; wanted 1; it looks like \(N, H, W, C\): "
     r"write X\.transpose\(\(0, 3, 1, 2\)\)",
     "net(X.transpose((0, 2, 3, 1)).transpose((0, 3, 1, 2)))"),
    ("net.initialize(); Z = X.reshape((4, 6, 6))", "net(Z)", RuntimeError,
     r"wanted \(N, C, H, W\); .* write X\.expand_dims\(axis=1\)", "net(Z.expand_dims(axis=1))"),
    ("net.initialize(); Z = X[0, 0]", "net(Z)", RuntimeError,
     r"write X\.reshape\(\(1, 1\) \+ X\.shape\)", "net(Z.reshape((1, 1) + Z.shape))"),
    ("net.initialize(); net(X)", "net(nd.ones((2, 1, 7, 7)))", RuntimeError,
     "dense0: input has 50 cells an example; wanted 32", "net(nd.ones((2, 1, 6, 6)))"),
    ("t = gluon.Trainer(net.collect_params(), 'sgd'); net.initialize()", "t.step()", TypeError,
     r"batch_size is missing.*write trainer\.step\(batch_size\)",
     "with autograd.record():\n    l = loss(net(X), y)\nl.backward()\nt.step(4)"),
    ("net.initialize(); net(X); t = gluon.Trainer(net.collect_params(), 'sgd')", "t.step(4)",
     UserWarning, r"call loss\.backward\(\) before each step",
     "with autograd.record():\n    l = loss(net(X), y)\nl.backward()\nt.step(4)"),
    ("", "gluon.Trainer(net, 'sgd')", ValueError, r"wanted net\.collect_params\(\)",
     "gluon.Trainer(net.collect_params(), 'sgd')"),
    ("", "gluon.Trainer(net.collect_params(), 'sgd', {'lr': 0.9})", TypeError,
     "no setting lr; write learning_rate",
     "gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.9})"),
    ("", "gluon.Trainer(net.collect_params(), 'sgd', 0.9)", TypeError,
     r"wanted a dict: \{'learning_rate': 0\.9\}",
     "gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.9})"),
    ("", "gluon.Trainer(net.collect_params(), 'sgd', lr=0.9)", TypeError,
     r"no argument lr; settings are a dict: Trainer\(params, 'sgd', \{'learning_rate': 0.9\}\)",
     "gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.9})"),
    ("", "gluon.Trainer(net.collect_params(), 'rmsprop')", ValueError,
     "wanted one of 'sgd', 'nag', 'adam', 'adadelta'",
     "gluon.Trainer(net.collect_params(), 'adam')"),
    ("", "net.parameters()", AttributeError, r"write net\.collect_params\(\)",
     "net.collect_params()"),
    ("", "net.train()", AttributeError, r"inside autograd\.record\(\) a net trains", "pass"),
    ("", "X.to('cpu')", AttributeError, r"write X\.as_in_context\(mx\.gpu\(0\)\)",
     "X.as_in_context(mx.cpu())"),
    ("", "X.sum().item()", AttributeError, r"write X\.asscalar\(\)", "X.sum().asscalar()"),
    ("", "X.numpy()", AttributeError, r"write X\.asnumpy\(\)", "X.asnumpy()"),
    ("", "X.size()", TypeError, r"write X\.shape, or X\.size without \(\)", "X.size; X.shape"),
    ("", "float(X.sum())", TypeError, r"write X\.asscalar\(\)", "float(X.sum().asscalar())"),
    ("", "'%.3f' % X.sum()", TypeError, r"write X\.asscalar\(\)", "'%.3f' % X.sum().asscalar()"),
    ("", "f'{X.sum():.3f}'", TypeError, r"write X\.asscalar\(\)", "f'{X.sum().asscalar():.3f}'"),
    ("", "X.asscalar()", ValueError, r"wanted one cell: X\.sum\(\)\.asscalar\(\)",
     "X.sum().asscalar()"),
    ("", "X[0, 0] @ X[1, 0]", TypeError, r"write nd\.dot\(X, Y\)", "nd.dot(X[0, 0], X[1, 0])"),
    ("", "y.astype('int32') == X.argmax(axis=1)[:, 0, 0]", RuntimeError,
     r"the operands are int32 and float32; write Y\.astype\('float32'\)",
     "y.astype('int32').astype('float32') == X.argmax(axis=1)[:, 0, 0]"),
    ("", "y.astype('int32') / 2", TypeError, r"write X\.astype\('float32'\) first",
     "y.astype('int32').astype('float32') / 2"),
    ("net.initialize()", "loss(net(X), nd.one_hot(y, 3))", RuntimeError, "write sparse_label=False",
     "gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=False)(net(X), nd.one_hot(y, 3))"),
    ("net.initialize()", "loss(y, net(X))", RuntimeError,
     r"exchanged: write loss\(net\(X\), y\)", "loss(net(X), y)"),
    ("", "net.hybridise()", AttributeError, r"write net\.hybridize\(\)", "net.hybridize()"),
    ("net.initialize()", "loss(net(X), y + 1)", IndexError,
     "class 3 is out of range; wanted 0 to 2", "loss(net(X), y)"),
    ("", "nn.Conv2d(6, 5)", AttributeError, r"write nn\.Conv2D\(channels, kernel_size\)",
     "nn.Conv2D(6, 5)"),
    ("", "nn.Linear(10)", AttributeError, r"write nn\.Dense\(units\)", "nn.Dense(10)"),
    ("", "nn.MaxPool2D(2, stride=2)", TypeError, "no argument stride; write strides",
     "nn.MaxPool2D(2, strides=2)"),
    ("X.attach_grad()",
     "with autograd.record():\n    Z = X * X\nX += 1\nZ.backward()", RuntimeError,
     r"written to since .*; call backward\(\) before that, or make a new array: Z = X \+ 1",
     "with autograd.record():\n    Z = X * X\nX1 = X + 1\nZ.backward()"),
    ("X.attach_grad()", "with autograd.record():\n    Z = X * X\nZ.backward(train_mode=False)",
     ValueError, r"write autograd\.record\(train_mode=False\)",
     "with autograd.record(train_mode=False):\n    Z = X * X\nZ.backward()"),
    ("X.attach_grad()", "autograd.grad([X], [X], train_mode=False)", ValueError,
     "train_mode is False; wanted True",
     "with autograd.record():\n    Z = X * X\nautograd.grad([Z], [X])"),
    ("", "nn.Dropout(1.0)", ValueError, "rate is 1.0; wanted a probability from 0 to below 1",
     "nn.Dropout(0.9)"),
    ("", "nn.Conv2D(6, 5, layout='NHWC')", ValueError, "wanted 'NCHW'", "nn.Conv2D(6, 5)"),
    ("", "nn.Dense(3, activation='gelu')", ValueError, "wanted one of relu, sigmoid, tanh",
     "nn.Dense(3, activation='relu')"),
    ("", "nn.Sequential(nn.Dense(3))", TypeError, r"net = nn\.Sequential\(\), net\.add\(\.\.\.\)",
     "net = nn.Sequential(); net.add(nn.Dense(3))"),
    ("", "net.initialize(init.Xavier)", TypeError, r"write init\.Xavier\(\)",
     "net.initialize(init.Xavier())"),
    ("", "net.initialize(init='lecun')", ValueError, "wanted one of uniform, normal, zero",
     "net.initialize(init='xavier')"),
    ("", "net.initialize(ctx='cpu')", TypeError, r"wanted a context: mx\.cpu\(\)",
     "net.initialize(ctx=mx.cpu())"),
    ("", "nd.zeros((1,), ctx=mx.gpu(77))", RuntimeError,
     r"gpu\(77\) cannot be used: .*; mx\.cpu\(\) can", "nd.zeros((1,), ctx=mx.cpu())"),
    ("", "net.initialize(ctx=mx.gpu(77))", RuntimeError, r"gpu\(77\) cannot be used",
     "net.initialize(ctx=mx.cpu())"),
    ("", "mx.nd.random.seed(1)", AttributeError, r"write mx\.random\.seed\(1\)",
     "mx.random.seed(1)"),
    ("", "mx.sym.Variable('x')", AttributeError, "write nd or gluon", "nd.ones((1,))"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "code", "kind", "message", "cure"), MISTAKES)
def test_mistakes(
    before: str, code: str, kind: type[Exception], message: str, cure: str, mx: Any
) -> None:
    names = names_of(mx)
    exec(before, names)
    with pytest.raises(kind, match=message) as caught:
        exec(code, names)
    assert "\n" not in str(caught.value)
    exec(cure, names)


def test_mistakes_of_the_second_edition(mx_np: Any) -> None:
    X = mx_np.np.ones((2, 3))
    with pytest.raises(AttributeError, match=r"write X\.item\(\)"):
        X.sum().asscalar()
    with pytest.raises(AttributeError, match=r"write np\.exp\(X\)"):
        X.exp()
    with pytest.raises(TypeError, match=r"np\.ndarray and NDArray; .*npx\.set_np\(\)"):
        _ = X + mx_np.nd.ones((2, 3))
    with pytest.raises(mx_np.MXNetError, match=r"write X\.astype\(Y\.dtype\)"):
        _ = X.astype("int32") == X
    with pytest.raises(mx_np.MXNetError, match=r"write X\.astype\(Y\.dtype\)"):
        mx_np.np.maximum(X.astype("int32"), X)
    with pytest.raises(TypeError, match=r"write X\.astype\('float32'\) first"):
        mx_np.np.minimum(X.astype("int32"), 1.5)
    X.attach_grad()
    with mx_np.autograd.record(), pytest.raises(mx_np.MXNetError, match=r"np\.sin: no gradient"):
        mx_np.np.sin(X)


def test_the_other_editions_names(mx: Any) -> None:
    first, second = importlib.import_module("d2lzh"), importlib.import_module("d2l.mxnet")
    with pytest.raises(AttributeError, match="belongs to the second edition"):
        _ = first.train_ch6
    with pytest.raises(AttributeError, match="belongs to the first edition"):
        _ = second.train_ch5


def test_a_block_without_init(mx: Any) -> None:
    class Net(mx.gluon.nn.Block):  # type: ignore[misc]
        def __init__(self) -> None:
            self.hidden = mx.gluon.nn.Dense(4)

    with pytest.raises(AttributeError, match=r"Net: write super\(\).__init__\(\) before"):
        Net()
