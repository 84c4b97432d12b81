"""Nets of every kind, and their training, for compiled steps on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minicnn
from minicnn import Tensor, models, nn, optim
from minicnn.device import to_device


def norm(channels: int, **options: Any) -> nn.BatchNorm2d:
    """Batch normalisation that has learned and seen something."""
    layer = nn.BatchNorm2d(channels, **options)
    for tensor in (*layer.parameters(), *layer._buffers.values()):
        if tensor.dtype.kind == "f":
            tensor.data += abs(minicnn.randn(channels).data) / 2
    return layer


class Functional(nn.Module):
    """A function of a tensor as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def padded(*widths: int, value: float = 0.0) -> nn.Module:
    """The last axis first, as PyTorch counts them."""
    return Functional(lambda x: nn.functional.pad(x, widths, value=value))


def add(a: Tensor, b: Tensor) -> Tensor:
    return a + b


def cat(*parts: Tensor) -> Tensor:
    return minicnn.cat(parts, 1)


class Branches(nn.Module):
    """The results of all ``branches`` of the same x, put together by ``join``."""

    def __init__(self, join: Callable[..., Tensor], *branches: nn.Module):
        super().__init__()
        self.join, self.branches = join, nn.Sequential(*branches)

    def forward(self, x: Tensor) -> Tensor:
        return self.join(*(branch(x) for branch in self.branches.children()))


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
    "conv after conv": lambda: nn.Sequential(
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
    "residual": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 5, stride=3), nn.ReLU(),
        Branches(add, nn.Identity(), nn.Conv2d(3, 3, 3, padding=1)), nn.ReLU(), nn.MaxPool2d(2),
        Branches(add, nn.Sequential(nn.Conv2d(3, 2, 2), nn.Tanh()), nn.Conv2d(3, 2, (2, 2))),
        nn.Flatten(), nn.LazyLinear(10), Branches(add, nn.Identity(), nn.Identity()),
    ),
    "concatenation": lambda: nn.Sequential(
        nn.AvgPool2d(3), nn.Conv2d(1, 3, 2), nn.Sigmoid(),
        Branches(cat, nn.Conv2d(3, 2, 3, padding=1), nn.Identity(), nn.ReLU()), nn.Tanh(),
        nn.Flatten(), Branches(cat, nn.LazyLinear(4), nn.LazyLinear(7)), nn.LazyLinear(10),
    ),
    "padded": lambda: nn.Sequential(
        nn.AvgPool2d(4), padded(1, 2, 0, 3), nn.Conv2d(1, 3, 2, padding="same"), nn.Tanh(),
        padded(-1, 2, 1, -2, 1, 0, value=0.5), nn.Conv2d(4, 2, 3), nn.ReLU(), nn.Flatten(),
        padded(2, -3), nn.LazyLinear(10), padded(0, 1, value=-1.0),
    ),
    "shared": lambda: shared(),
}  # fmt: skip
NORMED: dict[str, Callable[[], nn.Module]] = {
    "norm after conv": lambda: nn.Sequential(
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
    "norm in branches": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 5, stride=3), nn.ReLU(),
        Branches(
            add, nn.Sequential(nn.Conv2d(3, 4, 1, stride=2), norm(4)),
            nn.Sequential(nn.Conv2d(3, 4, 2, stride=2), norm(4), nn.Tanh()),
        ), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10),
    ),
    "one norm twice": lambda: used_twice(nn.BatchNorm2d(3, momentum=None, affine=False)),
    "one norm twice, affine": lambda: used_twice(norm(3)),
}  # fmt: skip


def shared() -> nn.Module:
    """A convolution used three times, and a dense layer that is used twice."""
    conv, dense = nn.Conv2d(2, 2, (3, 2), padding=(1, 0)), nn.Linear(13, 13)
    return nn.Sequential(
        nn.AvgPool2d(4), nn.Conv2d(1, 2, 1), conv, nn.Tanh(), conv, conv, nn.Sigmoid(),
        nn.Flatten(), nn.Linear(56, 13), dense, nn.ReLU(), dense, nn.Linear(13, 10),
    )  # fmt: skip


def used_twice(layer: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 5, stride=3), layer, nn.Conv2d(3, 3, 3), layer, nn.ReLU(), nn.Flatten(),
        nn.LazyLinear(10),
    )  # fmt: skip


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


def steps(net: nn.Module, momentum: float = 0.0) -> tuple[Any, optim.SGD, Any, Any]:
    """A compiled step of a net on the GPU, its optimiser, and a batch there."""
    optimizer = optim.SGD(net.to("gpu").parameters(), 0.1, momentum=momentum)
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optimizer)
    ((pixels, labels),) = batches(8)
    return step, optimizer, Tensor(to_device(pixels, "gpu")), Tensor(to_device(labels, "gpu"))


def assert_same_state(ours: nn.Module, theirs: nn.Module, rtol: float = 1e-9) -> None:
    expected = theirs.state_dict()
    for name, tensor in ours.state_dict().items():
        np.testing.assert_allclose(
            tensor.numpy(), expected[name].numpy(), rtol=rtol, atol=1e-6 * rtol, err_msg=name
        )


def pictures(*sizes: int, dtype: str = "float64") -> list[np.ndarray]:
    return [(pixels / 255).astype(dtype) for pixels, _ in batches(*sizes)]
