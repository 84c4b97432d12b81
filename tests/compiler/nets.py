"""Nets of every kind, and their eager and compiled steps, compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minicnn
from minicnn import Tensor, nn, optim
from minicnn.compiler import CompiledStep
from minicnn.nn import functional as F

Shape = tuple[int, ...]
Result = tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]  # loss, logits, gradients

DTYPES = ["float32", "float64"]
TOLERANCE = {"float32": 1e-5, "float64": 1e-11}
PICTURE = (3, 11, 8)


def with_head(shape: Shape, *layers: nn.Module, classes: int = 5) -> nn.Sequential:
    """``layers``, and after them a dense layer for ``classes``."""
    y = nn.Sequential(*layers)(Tensor(np.zeros((2, *shape), np.float32))) if layers else None
    width = int(np.prod(shape)) if y is None else y.size // 2
    flatten = [nn.Flatten()] if (len(shape) if y is None else y.ndim - 1) > 1 else []
    return nn.Sequential(*layers, *flatten, nn.Linear(width, classes))


def of_picture(*layers: nn.Module) -> nn.Sequential:
    return with_head(PICTURE, *layers)


def conv(*arguments: Any, **options: Any) -> nn.Sequential:
    return of_picture(nn.Conv2d(3, *arguments, **options))


def deep_conv(*arguments: Any, **options: Any) -> nn.Sequential:
    """The second convolution is the one under test, so that it has an input gradient."""
    return of_picture(nn.Conv2d(3, 2, (2, 3)), nn.Tanh(), nn.Conv2d(2, *arguments, **options))


def many_channels(*arguments: Any, **options: Any) -> nn.Sequential:
    """The channels of the second convolution fill two vector registers."""
    return of_picture(nn.Conv2d(3, 32, (2, 3)), nn.Tanh(), nn.Conv2d(32, *arguments, **options))


def pool(kind: type[nn.Module], *arguments: Any, **options: Any) -> nn.Sequential:
    return of_picture(nn.Conv2d(3, 4, (2, 3)), kind(*arguments, **options))


def normed(**options: Any) -> nn.Sequential:
    """Batch norm between a convolution and another."""
    norm = nn.BatchNorm2d(4, **options)
    for p in norm.parameters():
        p.data += minicnn.randn(*p.shape).data / 3
    layers = nn.Conv2d(3, 4, (3, 2), bias=False), norm, nn.ReLU(), nn.Conv2d(4, 3, (2, 3))
    return of_picture(*layers)


class Written(nn.Module):
    """A chain written as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, (3, 2)), nn.Linear(36, 6)
        self.factor = nn.Parameter(minicnn.randn(5, 6) / 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.first(x), (3, 2), stride=(3, 2)).tanh()
        return F.linear(self.second(x.reshape(len(x), -1)).relu(), self.factor)


class Padded(nn.Module):
    """A frame of zeros (or another number), of unequal widths."""

    def __init__(self, *widths: int, value: float = 0.0):
        super().__init__()
        self.widths, self.value = widths, value

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.widths, value=self.value)


class SharedDense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.twice, self.head = nn.Linear(264, 7), nn.Linear(7, 7), nn.Linear(7, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(self.body(x.reshape(len(x), -1)).tanh())
        return self.head(self.twice(x.sigmoid()))


class SharedConv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.twice, self.head = nn.Conv2d(3, 3, (3, 2), padding=(1, 0)), nn.Linear(198, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(self.twice(x).tanh())
        return self.head(x.reshape(len(x), -1))


class SharedWideConv(nn.Module):
    """One strided convolution twice, of pictures of unequal sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 16, 1), nn.Linear(288, 5)
        self.twice = nn.Conv2d(16, 16, (3, 2), stride=(2, 1), padding=(1, 0))

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(self.twice(self.first(x)).tanh())
        return self.head(x.reshape(len(x), -1))


def frozen(first: int) -> nn.Sequential:
    """The first ``first`` layers do not learn."""
    layers = nn.Conv2d(3, 4, (3, 2)), nn.Tanh(), nn.Conv2d(4, 3, (2, 3)), nn.AvgPool2d((2, 3))
    net = of_picture(*layers)
    for layer in list(net.children())[:first]:
        for p in layer.parameters():
            p.requires_grad = False
    return net


def only_biases_learn() -> nn.Sequential:
    net = deep_conv(3, (2, 3))
    for name, p in net.named_parameters():
        p.requires_grad = name.endswith("bias")
    return net


NETS: dict[str, Callable[[], nn.Module]] = {
    "conv-1x1": lambda: conv(7, 1),
    "conv-wide-kernel": lambda: conv(2, (2, 5)),
    "conv-whole-picture": lambda: conv(6, (11, 8)),
    "conv-stride": lambda: conv(4, (3, 2), stride=(2, 3)),
    "conv-stride-over-kernel": lambda: conv(5, (2, 1), stride=(3, 4)),
    "conv-padding": lambda: conv(4, (4, 3), padding=(3, 1)),
    "conv-padding-over-kernel": lambda: conv(3, (1, 2), padding=(2, 3)),
    "conv-dilation": lambda: conv(3, (3, 2), dilation=(2, 3)),
    "conv-everything": lambda: conv(
        6, (3, 2), stride=(2, 3), padding=(2, 1), dilation=(2, 4), bias=False
    ),
    "conv-same": lambda: conv(2, (3, 5), padding="same", dilation=(2, 1)),
    "conv-same-even": lambda: conv(2, (2, 4), padding="same"),
    "deep-conv-same-even": lambda: deep_conv(7, (4, 3), padding="same", dilation=(1, 2)),
    "padded": lambda: of_picture(nn.Conv2d(3, 4, (2, 3)), Padded(2, 1, 0, 3), nn.Conv2d(4, 2, 3)),
    "padded-first": lambda: of_picture(Padded(0, 4, 1, 0), nn.MaxPool2d((3, 2))),
    "conv-one-output": lambda: conv(1, (3, 2), stride=(20, 30)),
    "deep-conv-1x1": lambda: deep_conv(7, 1, stride=(3, 2)),
    "conv-1x1-stride": lambda: conv(4, 1, stride=(2, 3)),
    "deep-conv-one-column": lambda: deep_conv(3, (3, 1)),
    "deep-conv-of-many-channels": lambda: many_channels(17, (3, 2), stride=(2, 3), padding=(2, 1)),
    "deep-conv-of-many-channels-1x1": lambda: many_channels(16, 1, stride=(1, 2)),
    "shared-conv-of-many-channels": SharedWideConv,
    "deep-conv-stride": lambda: deep_conv(5, (3, 4), stride=(2, 3)),
    "deep-conv-stride-over-kernel": lambda: deep_conv(4, (1, 2), stride=(2, 4)),
    "deep-conv-padding": lambda: deep_conv(3, (2, 3), padding=(1, 2)),
    "deep-conv-dilation": lambda: deep_conv(3, (3, 2), dilation=(3, 2)),
    "deep-conv-dilation-meets-stride": lambda: deep_conv(2, (3, 2), dilation=(2, 3), stride=(4, 2)),
    "deep-conv-everything": lambda: deep_conv(
        6, (2, 3), stride=(3, 2), padding=(2, 1), dilation=(4, 2), bias=False
    ),
    "deep-conv-same": lambda: deep_conv(7, (5, 3), padding="same"),
    "convs-in-a-row": lambda: of_picture(
        nn.Conv2d(3, 5, (1, 3)), nn.Conv2d(5, 1, (3, 1)), nn.Conv2d(1, 6, (2, 3), stride=(2, 1))
    ),
    "max-pool": lambda: pool(nn.MaxPool2d, (2, 3)),
    "max-pool-tiles": lambda: pool(nn.MaxPool2d, (5, 2)),
    "max-pool-overlapping": lambda: pool(nn.MaxPool2d, (3, 4), stride=(2, 1)),
    "max-pool-gaps": lambda: pool(nn.MaxPool2d, (2, 1), stride=(3, 2)),
    "max-pool-padding": lambda: pool(nn.MaxPool2d, (4, 3), stride=(3, 2), padding=(2, 1)),
    "max-pool-dilation": lambda: pool(nn.MaxPool2d, (3, 2), stride=(2, 1), dilation=(2, 3)),
    "max-pool-ceil": lambda: pool(nn.MaxPool2d, (3, 4), padding=(1, 0), ceil_mode=True),
    "avg-pool": lambda: pool(nn.AvgPool2d, (3, 2)),
    "avg-pool-tiles": lambda: pool(nn.AvgPool2d, (2, 3)),
    "avg-pool-overlapping": lambda: pool(nn.AvgPool2d, (3, 4), stride=(2, 1)),
    "avg-pool-padding": lambda: pool(nn.AvgPool2d, (4, 3), stride=(3, 2), padding=(2, 1)),
    "avg-pool-ceil": lambda: pool(nn.AvgPool2d, (3, 4), padding=(1, 2), ceil_mode=True),
    "avg-pool-without-frame": lambda: pool(
        nn.AvgPool2d, (4, 3), stride=(3, 2), padding=(1, 1), count_include_pad=False
    ),
    "avg-pool-divisor": lambda: pool(nn.AvgPool2d, (2, 3), divisor_override=5),
    "pool-first": lambda: of_picture(nn.MaxPool2d((2, 3)), nn.Conv2d(3, 2, (2, 1))),
    "pools-in-a-row": lambda: pool(nn.Sequential, nn.MaxPool2d(2, (2, 1)), nn.AvgPool2d((2, 3))),
    "relu-then-max-pool": lambda: pool(nn.Sequential, nn.ReLU(), nn.MaxPool2d((2, 3))),
    "relu-then-two-max-pools": lambda: pool(
        nn.Sequential, nn.ReLU(), nn.MaxPool2d((3, 2), (2, 1)), nn.MaxPool2d((1, 2))
    ),
    "relu-then-padded-max-pool": lambda: pool(
        nn.Sequential, nn.ReLU(), nn.MaxPool2d((3, 2), (2, 1), (1, 1))
    ),
    "sigmoid-then-max-pool": lambda: pool(nn.Sequential, nn.Sigmoid(), nn.MaxPool2d((5, 3))),
    "tanh-then-avg-pool": lambda: pool(nn.Sequential, nn.Tanh(), nn.AvgPool2d((2, 3))),
    "two-activations-then-avg-pool": lambda: pool(
        nn.Sequential, nn.Sigmoid(), nn.Tanh(), nn.AvgPool2d((2, 3))
    ),
    "relu-first": lambda: of_picture(nn.ReLU(), nn.Conv2d(3, 4, (2, 3))),
    "sigmoid-last": lambda: nn.Sequential(conv(4, (2, 3)), nn.Sigmoid()),
    "relu-last": lambda: nn.Sequential(conv(4, (2, 3)), nn.ReLU()),
    "tanh-twice": lambda: of_picture(nn.Conv2d(3, 4, (2, 3)), nn.Tanh(), nn.Tanh()),
    "activations-in-a-row": lambda: of_picture(
        nn.Tanh(), nn.Conv2d(3, 4, (2, 3)), nn.Sigmoid(), nn.ReLU(), nn.Tanh()
    ),
    "dropout-of-pictures": lambda: of_picture(
        nn.Conv2d(3, 4, (2, 3)), nn.Dropout(0.3), nn.Tanh(), nn.Conv2d(4, 2, (3, 2))
    ),
    "dropout-of-vectors": lambda: with_head(
        PICTURE, nn.Flatten(), nn.Linear(264, 13), nn.Dropout(0.6), nn.Tanh(), nn.Linear(13, 9)
    ),
    "dropout-everywhere": lambda: nn.Sequential(
        of_picture(
            nn.Dropout(0.2), nn.Conv2d(3, 3, 3), nn.Dropout(0.5), nn.Dropout(0.1), nn.MaxPool2d(2)
        ),
        nn.Dropout(0.25),
    ),
    "dropout-of-all": lambda: of_picture(nn.Conv2d(3, 2, 3), nn.Dropout(1.0)),
    "dropout-of-nothing": lambda: of_picture(nn.Conv2d(3, 2, 3), nn.Dropout(0.0)),
    "dense-only": lambda: with_head(PICTURE),
    "dense-without-bias": lambda: with_head(
        PICTURE, nn.Flatten(), nn.Linear(264, 17, bias=False), nn.ReLU()
    ),
    "dense-of-one": lambda: with_head(PICTURE, nn.Flatten(), nn.Linear(264, 1), nn.Tanh()),
    "two-classes": lambda: with_head(PICTURE, nn.Conv2d(3, 7, (3, 2)), classes=2),
    "many-classes": lambda: with_head(PICTURE, nn.Conv2d(3, 2, (3, 2)), classes=67),
    "no-dense-layer": lambda: nn.Sequential(nn.Conv2d(3, 5, (11, 8)), nn.Flatten()),
    "written": Written,
    "shared-dense": SharedDense,
    "shared-conv": SharedConv,
    "frozen-1": lambda: frozen(1),
    "frozen-3": lambda: frozen(3),
    "only-biases-learn": only_biases_learn,
}
DROPOUTS = [name for name in NETS if name.startswith("dropout-of")] + ["dropout-everywhere"]
NORMED: dict[str, Callable[[], nn.Module]] = {
    "norm": normed,
    "norm-average": lambda: normed(momentum=None),
    "norm-not-affine": lambda: normed(affine=False),
    "norm-eps-momentum": lambda: normed(eps=0.1, momentum=0.7),
    "norm-untracked": lambda: normed(track_running_stats=False),
    "norm-first": lambda: of_picture(nn.BatchNorm2d(3), nn.Conv2d(3, 4, (2, 3))),
    "norms-in-a-row": lambda: of_picture(
        nn.Conv2d(3, 4, (2, 3), bias=False), nn.BatchNorm2d(4), nn.Sigmoid(), nn.BatchNorm2d(4),
        nn.Tanh(), nn.MaxPool2d((3, 2)),
    ),
    "norm-and-dropout": lambda: of_picture(
        nn.Conv2d(3, 4, (2, 3)), nn.Dropout(0.4), nn.BatchNorm2d(4), nn.Dropout(0.2)
    ),
}  # fmt: skip


def build(make: Callable[[], nn.Module], dtype: str, seed: int = 3) -> nn.Module:
    """The net; with the same seed it has the same weights."""
    minicnn.manual_seed(seed)
    return make().to(dtype)


def batch(
    images: int, dtype: str = "float64", shape: Shape = PICTURE, classes: int = 5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng((seed, images))
    return rng.standard_normal((images, *shape)).astype(dtype), rng.integers(0, classes, images)


def sgd(net: nn.Module, lr: float = 0.1, **options: Any) -> optim.SGD:
    return optim.SGD(net.parameters(), lr=lr, **options)


def compiled(net: nn.Module, loss: Any = None, lr: float = 0.0, **options: Any) -> CompiledStep:
    return minicnn.compile(net, loss or nn.CrossEntropyLoss(), sgd(net, lr, **options))


def eager(
    net: nn.Module, x: np.ndarray, y: np.ndarray, loss: Any = None, gradient: float = 1.0
) -> Result:
    net.zero_grad()
    logits = net(Tensor(x))
    value = (loss or nn.CrossEntropyLoss())(logits, Tensor(y))
    value.backward(gradient)
    gradients = {n: p.grad.numpy() for n, p in net.named_parameters() if p.grad is not None}
    return value.numpy(), logits.numpy(), gradients


def result_of(step: CompiledStep, *arguments: Any) -> Result:
    loss, logits = step(*arguments)
    gradients = {name: g.numpy().copy() for name, g in step.gradients().items()}
    return loss.numpy(), logits.numpy().copy(), gradients


def assert_same(ours: Result, theirs: Result, tolerance: float) -> None:
    """Loss, logits and gradients: the largest difference over the largest number."""
    assert_close(ours[0], theirs[0], tolerance, "loss")
    assert_close(ours[1], theirs[1], tolerance, "logits")
    assert ours[2].keys() == theirs[2].keys()
    largest = max(np.abs(g).max() for g in theirs[2].values())
    for name, g in theirs[2].items():
        assert_close(ours[2][name], g, tolerance, name, least=0.1 * largest)


def assert_close(
    ours: np.ndarray, theirs: np.ndarray, tolerance: float, name: str, least: float = 1e-30
) -> None:
    assert ours.shape == theirs.shape, name
    assert ours.dtype == theirs.dtype, name
    assert np.isfinite(ours).all(), name
    scale = max(least, np.abs(theirs).max())
    assert np.abs(ours - theirs).max() <= tolerance * scale, name


def assert_step_is_eagers(
    net: nn.Module, x: np.ndarray, y: np.ndarray, tolerance: float, loss: Any = None
) -> None:
    minicnn.manual_seed(11)
    theirs = eager(net, x, y, loss)
    minicnn.manual_seed(11)
    assert_same(result_of(compiled(net, loss), x, y), theirs, tolerance)


def assert_gradients_are_the_slope(net: nn.Module, rng: np.random.Generator) -> None:
    """Of a step's own loss, along a random direction of all parameters at once. In float64."""
    step, (x, y), h = compiled(net), batch(21), 1e-6
    step(x, y)
    directions = {n: rng.standard_normal(p.shape) for n, p in net.named_parameters()}
    slope = sum(float((g.numpy() * directions[n]).sum()) for n, g in step.gradients().items())

    def loss_at(distance: float) -> float:
        for n, p in net.named_parameters():
            p.data += distance * directions[n]
        return step(x, y)[0].item()

    difference = (loss_at(h) - loss_at(-2 * h)) / (2 * h)
    np.testing.assert_allclose(difference, slope, rtol=1e-6)


def assert_same_state(ours: nn.Module, theirs: nn.Module, tolerance: float) -> None:
    state = ours.state_dict()
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_allclose(
            state[name].numpy(), tensor.numpy(), rtol=tolerance, atol=tolerance, err_msg=name
        )


Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def losses_of(step: Step, dtype: str, steps: int) -> list[float]:
    minicnn.manual_seed(5)
    batches = [tensors(images, dtype) for images in (37, 16, 5)]
    return [step(*batches[i % 3])[0].item() for i in range(steps)]


def tensors(images: int, dtype: str = "float64") -> tuple[Tensor, Tensor]:
    x, y = batch(images, dtype)
    return Tensor(x), Tensor(y)


def assert_bit_for_bit(ours: Result, theirs: Result) -> None:
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_array_equal(ours[1], theirs[1])
    for name, g in theirs[2].items():
        np.testing.assert_array_equal(ours[2][name], g, err_msg=name)
