"""What a reader of the PyTorch tab does wrong: the message says what to write, and it works."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.d2l.facades.modules import as_tree
from minicnn.d2l.facades.pytorch import modules

tree = as_tree(modules())
torch, d2l = tree["torch"], tree["d2l.torch"]
nn = torch.nn

MISTAKES = [
    # another tab's calls
    ("net.initialize()", r"initialize is Gluon's, of the MXNet tab", "net.apply(d2l.init_cnn)"),
    ("net.collect_params()", r"write net\.parameters\(\)", "list(net.parameters())"),
    ("net.add(nn.ReLU())", r"or net\.append\(layer\)", "net.append(nn.ReLU())"),
    ("net.hybridize()", "hybridize is Gluon's, of the MXNet tab: leave it out", "net"),
    ("net.compile(optimizer='sgd')", r"optimizer = torch\.optim\.SGD\(net\.parameters\(\), lr=lr\)",
     "torch.optim.SGD(net.parameters(), lr=lr)"),
    ("net.fit(X, y)", "fit is Keras's, of the TensorFlow tab: write the loop", "net"),
    ("net.predict(X)", r"predict is Keras's.*write net\(X\)", "net(X)"),
    ("net.layers", r"write list\(net\.children\(\)\)", "list(net.children())"),
    ("X.asnumpy()", r"asnumpy is Gluon's.*write x\.detach\(\)\.numpy\(\)", "X.detach().numpy()"),
    ("l.asscalar()", r"write x\.item\(\)", "l.item()"),
    ("X.attach_grad()", r"write x\.requires_grad_\(True\)", "(X + 0).requires_grad_(True)"),
    ("X.as_in_ctx('cpu')", r"write x\.to\(device\)", "X.to('cpu')"),
    ("X.astype('float32')", r"write x\.type\(torch\.float32\)", "X.type(torch.float32)"),
    ("optimizer.step(256)", r"step: wanted no batch size, received 256.*write optimizer\.step\(\)",
     "optimizer.step()"),
    # inputs that do not fit
    ("net(nhwc)", r"layer 0 \(Conv2d\): .* \(N, H, W, C\): pass x\.permute\(0, 3, 1, 2\)",
     "net(nhwc.permute(0, 3, 1, 2))"),
    ("net(pixels)", r"input is uint8.*for example input\.to\(torch\.float32\) / 255",
     "net(pixels.to(torch.float32) / 255)"),
    ("net(X.double())", r"weight is float32; convert one, for example input\.to\(torch\.float32\)",
     "net(X.double().to(torch.float32))"),
    ("net(X.numpy())", r"input is of type ndarray; wanted a tensor: torch\.from_numpy\(input\)",
     "net(torch.from_numpy(X.numpy()))"),
    ("nn.Linear(36, 10)(X)", r"1 \* 6 \* 6 is 36: put nn\.Flatten\(\) before the layer",
     "nn.Linear(36, 10)(nn.Flatten()(X))"),
    ("nn.Linear(36, 10)(X.reshape(2, -1)[:, :30])", r"write nn\.Linear\(30, 10\)",
     "nn.Linear(30, 10)(X.reshape(2, -1)[:, :30])"),
    ("nn.LazyLinear(3).weight", r"has it after its first batch, net\(X\)", "net"),
    ("torch.optim.SGD(net.parameters(), learning_rate=lr)", "write lr",
     "torch.optim.SGD(net.parameters(), lr=lr)"),
    ("loss(y, net(X))", r"they are exchanged; write loss\(y_hat, y\), the scores first",
     "loss(net(X), y)"),
    ("nn.functional.cross_entropy(y, net(X))", r"write loss\(y_hat, y\), the scores first",
     "nn.functional.cross_entropy(net(X), y)"),
    ("loss(net(X), y.float())", r"class indices are integers: target\.to\(torch\.int64\)",
     "loss(net(X), y.float().to(torch.int64))"),
    ("loss(net(X), y.int())", r"target is torch\.int32; wanted torch\.int64: target\.long\(\)",
     "loss(net(X), y.int().long())"),
    ("d2l.sgd([X], 0.1, 2)", r"no gradient; call loss\(\.\.\.\)\.sum\(\)\.backward\(\) first",
     "l.backward(), d2l.sgd(net.parameters(), 0.1, 2)"),
    ("net.to('cuda:5')", "device cuda:5 cannot be used", "net.to(d2l.try_gpu())"),
    ("d2l.train_ch6(net, [], [], 0, 0.1, 'cpu')", "num_epochs is 0; wanted at least 1", "net"),
    ("loss(net(X), y + 9)", r"class \d+ is out of range; wanted 0 to 3", "loss(net(X), y)"),
    ("nn.MSELoss()(net(X)[:, :1], y.float())", r"write target\.reshape\(input\.shape\)",
     "nn.MSELoss()(net(X)[:, :1], y.float().reshape(2, 1))"),
    # gradients
    ("net(X).numpy()", r"requires a gradient.*write tensor\.detach\(\)\.numpy\(\)",
     "net(X).detach().numpy()"),
    ("np.asarray(net(X))", r"write tensor\.detach\(\)\.numpy\(\)", "np.asarray(net(X).detach())"),
    ("twice(l)", r"freed by an earlier backward\(\).*retain_graph=True", "twice(l, True)"),
    ("net(X).backward()", r"not a scalar; .* reduce it first, for example \.sum\(\)",
     "net(X).sum().backward()"),
    ("X.sum().backward()", "this tensor does not require a gradient",
     "X.requires_grad_(True).sum().backward()"),
    ("net[0].weight.add_(1)", r"write it inside 'with torch\.no_grad\(\):'",
     "torch.no_grad()(net[0].weight.add_)(1)"),
    # arguments that cannot be honoured
    ("nn.Conv2d(1, 2, 3, padding_mode='reflect')", "padding_mode is 'reflect'; minicnn has "
     "padding_mode='zeros' alone", "nn.Conv2d(1, 2, 3)"),
    ("nn.MaxPool2d(2, return_indices=True)", "return_indices is True", "nn.MaxPool2d(2)"),
    ("torch.optim.SGD(net.parameters(), lr, foreach=True)", "foreach is True; minicnn has no such",
     "torch.optim.SGD(net.parameters(), lr, foreach=None)"),
    ("torch.optim.SGD(net.parameters(), lr, amsgrad=True)", "argument amsgrad is not in minicnn's",
     "torch.optim.Adam(net.parameters(), lr, amsgrad=True)"),
    ("torch.optim.SGD(net, lr)", r"params is a net; wanted net\.parameters\(\)",
     "torch.optim.SGD(net.parameters(), lr)"),
    ("torch.zeros(2, 3, out=X)", "zeros: argument out is not in minicnn's torch", "torch.zeros(2)"),
    ("torch.zeros(2, dtype='float32')", r"dtype is 'float32'; wanted one of torch: torch\.float32",
     "torch.zeros(2, dtype=torch.float32)"),
    ("X.to('gpu')", "received 'gpu'; wanted 'cpu', 'cuda' or 'cuda:0'", "X.to(d2l.try_gpu())"),
    ("X.cuda(7)", "device cuda:7 cannot be used", "X.to(d2l.try_gpu())"),
    ("X.long().mean()", r"wanted fractions: x\.float\(\)\.mean\(\)", "X.long().float().mean()"),
    ("X.sum(dim=0, axis=1)", "received axis 1 and dim 0, two names of one thing", "X.sum(dim=0)"),
    ("nn.Softmax()", r"dim is missing; wanted the axis of the classes: Softmax\(dim=1\)",
     "nn.Softmax(dim=1)"),
    # names that are not there
    ("torch.save(net, 'f')", r"wanted its numbers: torch\.save\(net\.state_dict\(\), path\)",
     "net.state_dict()"),
    ("torch.bfloat16", r"minicnn computes in torch\.float32", "torch.float32"),
    ("nn.conv2d", r"torch\.nn\.conv2d is not in minicnn's torch\.nn; it has Conv2d", "nn.Conv2d"),
    ("X.flaten()", r"no attribute 'flaten'; minicnn's has flatten", "X.flatten()"),
    ("net.paramters()", r"no attribute 'paramters'; minicnn's has", "net.parameters()"),
    ("d2l.Trainer", "today's site has it; .* train it with d2l.train_ch6", "d2l.train_ch6"),
    ("d2l.train_ch5", "it is the first edition's; write d2l.train_ch6",
     "d2l.train_ch6"),
]  # fmt: skip


def _names() -> dict[str, Any]:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sigmoid(), nn.Flatten(), nn.Linear(32, 4))
    X, y, loss = torch.rand(2, 1, 6, 6), torch.tensor([3, 0]), nn.CrossEntropyLoss()
    l = loss(net(X), y)  # noqa: E741 (the book's name)

    def twice(l: Any, retain: bool = False) -> None:  # noqa: E741
        l.backward(retain_graph=retain)
        l.backward()

    return {
        **{"np": np, "torch": torch, "nn": nn, "d2l": d2l, "net": net, "X": X, "y": y, "lr": 0.1},
        **{"loss": loss, "l": l, "twice": twice, "nhwc": torch.rand(5, 6, 6, 1)},
        "pixels": torch.ones(2, 1, 6, 6).to(torch.uint8),
        "optimizer": torch.optim.SGD(net.parameters(), lr=0.1),
    }


@pytest.mark.parametrize(("wrong", "message", "right"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_the_message_says_what_to_write(wrong: str, message: str, right: str) -> None:
    names = _names()
    with pytest.raises(Exception, match=message) as caught:
        eval(wrong, names)
    assert "\n" not in str(caught.value)
    assert "minicnn.Tensor" not in str(caught.value)
    eval(right, _names())
