"""minicnn.compile: a compiled step is eager's, whatever the net; and what it refuses."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minicnn.kernels import cpu

import minicnn
from minicnn import Tensor, data, kernels, models, nn, optim, random
from minicnn.compiler import CompiledStep
from minicnn.compiler.record import record
from minicnn.nn import functional as F
from minicnn.train.loop import EagerStep
from minicnn.train.measure import means_of
from tests.test_optim import SETTINGS

Shape = tuple[int, ...]
Result = tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]  # loss, logits, gradients

DTYPES = ["float32", "float64"]
TOLERANCE = {"float32": 1e-5, "float64": 1e-11}
PICTURE = (3, 11, 8)


@pytest.fixture(autouse=True)
def share_the_least_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that these small nets are computed by several threads."""
    monkeypatch.setattr("minicnn.compiler.cpu.engine.WORTH_A_THREAD", 1)


# Nets ---------------------------------------------------------------------------------------------


def with_head(shape: Shape, *layers: nn.Module, classes: int = 5) -> nn.Sequential:
    """``layers``, and behind them a dense layer for so many classes."""
    y = nn.Sequential(*layers)(Tensor(np.zeros((2, *shape), np.float32))) if layers else None
    width = int(np.prod(shape)) if y is None else y.size // 2
    flatten = [nn.Flatten()] if (len(shape) if y is None else y.ndim - 1) > 1 else []
    return nn.Sequential(*layers, *flatten, nn.Linear(width, classes))


def of_picture(*layers: nn.Module) -> nn.Sequential:
    return with_head(PICTURE, *layers)


def conv(*arguments: Any, **options: Any) -> nn.Sequential:
    return of_picture(nn.Conv2d(3, *arguments, **options))


def deep_conv(*arguments: Any, **options: Any) -> nn.Sequential:
    """The convolution in question is the second one, so that it has an input gradient."""
    return of_picture(nn.Conv2d(3, 2, (2, 3)), nn.Tanh(), nn.Conv2d(2, *arguments, **options))


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


def frozen(first: int) -> nn.Sequential:
    """The first so many layers do not learn."""
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


# A step of each kind ------------------------------------------------------------------------------


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


def assert_same_state(ours: nn.Module, theirs: nn.Module, tolerance: float) -> None:
    state = ours.state_dict()
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_allclose(
            state[name].numpy(), tensor.numpy(), rtol=tolerance, atol=tolerance, err_msg=name
        )


# One step -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("images", [1, 5, 16, 37])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETS)
def test_a_step_is_eagers(name: str, dtype: str, images: int) -> None:
    net = build(NETS[name], dtype)
    x, y = batch(images, dtype, classes=2 if name == "two-classes" else 5)
    assert_step_is_eagers(net, x, y, TOLERANCE[dtype])


@pytest.mark.parametrize("images", [5, 16, 37])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NORMED)
def test_a_step_with_batch_norm_is_eagers(name: str, dtype: str, images: int) -> None:
    assert_step_is_eagers(build(NORMED[name], dtype), *batch(images, dtype), TOLERANCE[dtype])


@pytest.mark.parametrize("name", [*NORMED, "dropout-everywhere"])
def test_a_step_in_evaluation_mode_is_eagers(name: str) -> None:
    net = build({**NETS, **NORMED}[name], "float64")
    net(Tensor(batch(9, seed=1)[0]))
    assert_step_is_eagers(net.eval(), *batch(21), 1e-11)


@pytest.mark.parametrize("name", ["norm", "norm-not-affine", "norms-in-a-row", "norm-untracked"])
def test_batch_norm_in_many_groups(name: str) -> None:
    minicnn.set_num_threads(2)
    net = build(NORMED[name], "float64")
    assert_step_is_eagers(net, *batch(181), 1e-11)


@pytest.mark.parametrize("name", ["deep-conv-everything", "dropout-everywhere", "shared-dense"])
def test_many_groups(name: str) -> None:
    net = build(NETS[name], "float64")
    assert_step_is_eagers(net, *batch(181), 1e-11)


@pytest.mark.parametrize("images", [1, 37])
@pytest.mark.parametrize("dtype", DTYPES)
def test_vectors_instead_of_pictures(dtype: str, images: int) -> None:
    net = build(
        lambda: with_head((19,), nn.Tanh(), nn.Linear(19, 7), nn.Dropout(0.2), nn.ReLU()), dtype
    )
    assert_step_is_eagers(net, *batch(images, dtype, (19,)), TOLERANCE[dtype])


def test_a_picture_larger_than_a_group() -> None:
    shape = (5, 90, 75)
    net = build(
        lambda: with_head(shape, nn.Conv2d(5, 7, (3, 2), stride=(2, 1)), nn.MaxPool2d((7, 9))),
        "float64",
    )
    assert_step_is_eagers(net, *batch(18, shape=shape), 1e-11)


@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.Tanh, nn.ReLU])
@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.AvgPool2d((3, 2)),
        lambda: nn.AvgPool2d((2, 3), stride=1),
        lambda: nn.AvgPool2d(2, stride=(1, 3), padding=1),
        lambda: nn.AvgPool2d((3, 4), stride=2, padding=(1, 2), count_include_pad=False),
        lambda: nn.MaxPool2d(2),
        lambda: nn.MaxPool2d((2, 3), stride=1),
        lambda: nn.MaxPool2d(2, stride=(1, 3), padding=1),
        lambda: nn.MaxPool2d((3, 2), stride=2, padding=1, dilation=(1, 3)),
        lambda: nn.MaxPool2d((2, 3), stride=(2, 1), ceil_mode=True),
    ],
)
def test_windows_beside_each_other(
    make: Callable[[], nn.Module], activation: Callable[[], nn.Module]
) -> None:
    shape = (2, 6, 25)  # of the windows that padding cuts, some end a run of four
    layers = nn.Conv2d(2, 3, (1, 2)), activation(), make()
    net = build(lambda: with_head(shape, *layers), "float64")
    assert_step_is_eagers(net, *batch(18, shape=shape), 1e-11)


def test_an_infinite_gradient_stays_with_the_cell_that_won() -> None:
    net: Any = build(lambda: of_picture(nn.Conv2d(3, 2, (2, 1)), nn.MaxPool2d(2)), "float32")
    net[0].bias.data[:] = 5  # all scores of class 0 are large, and their gradient larger
    net[3].weight.data[0, 4] = 1e10
    x, y = np.abs(batch(3, "float32")[0]) + 0.1, np.array([1, 2, 3])
    with np.errstate(all="ignore"):
        theirs = eager(net, x, y, gradient=1e30)[2]
    ours = result_of(compiled(net), x, y, 1e30)[2]
    assert np.isinf(theirs["0.weight"]).any()
    for name, gradient in theirs.items():
        np.testing.assert_allclose(ours[name], gradient, rtol=1e-4, err_msg=name)


def test_windows_without_a_cell() -> None:
    shape = (2, 1, 1)
    pool = nn.MaxPool2d(2, padding=1, dilation=2)
    net = build(lambda: with_head(shape, nn.Conv2d(2, 3, 1), pool, nn.ReLU()), "float64")
    assert_step_is_eagers(net, *batch(18, shape=shape), 1e-11)


@pytest.mark.parametrize("name", ["norm", "norm-average", "norm-not-affine", "norm-untracked"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_running_statistics_move_as_eagers(name: str, dtype: str) -> None:
    ours, theirs = build(NORMED[name], dtype), build(NORMED[name], dtype)
    step = compiled(ours)
    for images in (5, 16, 37, 21):
        x, y = batch(images, dtype)
        step(x, y)
        theirs(Tensor(x))
    assert_same_state(ours, theirs, TOLERANCE[dtype])


def test_one_value_a_channel_has_no_statistics() -> None:
    net = build(lambda: with_head((3, 1, 1), nn.BatchNorm2d(3)), "float64")
    with pytest.raises(ValueError, match="1 value a channel"):
        compiled(net)(*batch(1, shape=(3, 1, 1)))


def test_frozen_layers_have_no_gradient_and_no_instructions_backward() -> None:
    step = compiled(build(lambda: frozen(3), "float64"))
    step(*batch(5))
    assert set(step.gradients()) == {"5.weight", "5.bias"}
    assert not [line for line in step.plan.lines if line.name.startswith("conv d")]


def test_thawing_a_layer_is_seen() -> None:
    net = build(lambda: frozen(1), "float64")
    step = compiled(net)
    step(*batch(5))
    for p in net.parameters():
        p.requires_grad = True
    assert_same(result_of(step, *batch(5)), eager(net, *batch(5)), 1e-11)


def test_freezing_a_layer_is_seen() -> None:
    net = build(lambda: frozen(0), "float64")
    step = compiled(net)
    step(*batch(5))
    for p in next(net.children()).parameters():
        p.requires_grad = False
    assert_same(result_of(step, *batch(5)), eager(net, *batch(5)), 1e-11)
    assert len([line for line in step.plan.lines if line.name == "conv dweight"]) == 1


@pytest.mark.parametrize("gradient", [0.0, 0.25, -3.0])
def test_the_gradient_to_begin_with(gradient: float) -> None:
    net = build(NETS["deep-conv-stride"], "float64")
    ours = result_of(compiled(net), *batch(7), gradient)
    assert_same(ours, eager(net, *batch(7), gradient=gradient), 1e-11)


@pytest.mark.parametrize(
    "name", ["deep-conv-everything", "max-pool-padding", "avg-pool-without-frame", "shared-dense"]
)
def test_gradients_are_the_slope_of_the_steps_own_loss(name: str, rng: np.random.Generator) -> None:
    net = build(NETS[name], "float64")
    step, (x, y), h = compiled(net), batch(21), 1e-6
    step(x, y)
    directions = {n: rng.standard_normal(p.shape) for n, p in net.named_parameters()}
    slope = sum(float((g.numpy() * directions[n]).sum()) for n, g in step.gradients().items())

    def loss_at(distance: float) -> float:
        for n, p in net.named_parameters():
            p.data += distance * directions[n]
        return step(x, y)[0].item()

    assert (loss_at(h) - loss_at(-2 * h)) / (2 * h) == pytest.approx(slope, rel=1e-6)


# Random nets --------------------------------------------------------------------------------------


@st.composite
def random_cases(draw: st.DrawFn) -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """A net of random layers, pictures that fit, and labels."""
    minicnn.manual_seed(draw(st.integers(0, 1000)))
    shape = tuple(draw(st.integers(1, limit)) for limit in (3, 12, 12))
    images, now = draw(st.integers(1, 20)), shape
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(0, 5))):
        layer = draw(layers_for(now, with_norm=images > 1))
        now = layer(Tensor(np.zeros((2, *now), np.float32))).shape[1:]
        layers.append(layer)
    layers.append(nn.Flatten())
    width = int(np.prod(now))
    for _ in range(draw(st.integers(0, 2))):
        after = draw(st.integers(1, 20))
        layers += [nn.Linear(width, after, bias=draw(st.booleans())), draw(cell_by_cell())]
        width = after
    classes = draw(st.integers(2, 6))
    net = nn.Sequential(*layers, nn.Linear(width, classes)).to("float64")
    return net, *batch(images, shape=shape, classes=classes, seed=draw(st.integers(0, 1000)))


def cell_by_cell() -> st.SearchStrategy[nn.Module]:
    kinds: list[Callable[[], nn.Module]] = [
        nn.ReLU,
        nn.Sigmoid,
        nn.Tanh,
        lambda: nn.Dropout(0.3),
    ]
    return st.sampled_from(kinds).map(lambda kind: kind())


@st.composite
def layers_for(draw: st.DrawFn, shape: Shape, with_norm: bool) -> nn.Module:
    """A layer that can be applied to such pictures."""
    kind = draw(st.sampled_from(("conv", "max", "avg", "cells", "norm")))
    if kind == "norm" and with_norm and shape[1] * shape[2] > 1:
        return nn.BatchNorm2d(shape[0], affine=draw(st.booleans()))
    if kind in ("cells", "norm"):
        return draw(cell_by_cell())
    kernel = draw(pairs(1, 4))
    padding = draw(pairs(0, 3 if kind == "conv" else min(kernel) // 2))
    room = [n + 2 * p for n, p in zip(shape[1:], padding, strict=True)]
    kernel = tuple(min(k, n) for k, n in zip(kernel, room, strict=True))
    if kind != "conv":
        padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))
    stride = draw(pairs(1, 4))
    if kind == "avg":
        options = {"ceil_mode": draw(st.booleans()), "count_include_pad": draw(st.booleans())}
        return nn.AvgPool2d(kernel, stride, padding, **options)
    dilation = tuple(
        draw(st.integers(1, max(1, min(3, (n - 1) // max(1, k - 1)))))
        for n, k in zip(shape[1:], kernel, strict=True)
    )
    if kind == "max":
        return nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=draw(st.booleans()))
    bias, channels = draw(st.booleans()), draw(st.integers(1, 7))
    return nn.Conv2d(shape[0], channels, kernel, stride, padding, dilation, bias=bias)


def pairs(least: int, most: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(st.integers(least, most), st.integers(least, most))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(random_cases())
def test_a_step_of_a_random_net_is_eagers(case: tuple[nn.Module, np.ndarray, np.ndarray]) -> None:
    net, x, y = case
    minicnn.manual_seed(11)
    _, logits, theirs = eager(net, x, y)
    minicnn.manual_seed(11)
    _, our_logits, ours = result_of(compiled(net), x, y)
    assert_close(our_logits, logits, 1e-9, "logits")
    for name, g in theirs.items():
        assert_close(ours[name], g, 1e-9, name, least=1e-4)


# Training -----------------------------------------------------------------------------------------


Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def losses_of(step: Step, dtype: str, steps: int) -> list[float]:
    minicnn.manual_seed(5)
    batches = [tensors(images, dtype) for images in (37, 16, 5)]
    return [step(*batches[i % 3])[0].item() for i in range(steps)]


def tensors(images: int, dtype: str = "float64") -> tuple[Tensor, Tensor]:
    x, y = batch(images, dtype)
    return Tensor(x), Tensor(y)


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


def test_a_parameter_that_is_named_twice_takes_two_steps() -> None:
    nets = [build(NETS["written"], "float64") for _ in range(2)]
    steps: list[Any] = []
    for net, make in zip(nets, (minicnn.compile, EagerStep), strict=True):
        params = [*net.parameters()][1:]  # as many as there are, one of them twice
        optimizer = optim.SGD([params[0], *params], lr=0.1, momentum=0.9)
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
def test_a_step_counts_loss_and_hits_as_eager_does(ignore_index: int) -> None:
    net, twin = (build(NETS["deep-conv-stride"], "float64") for _ in range(2))
    for p in ([*net.parameters()][-1], [*twin.parameters()][-1]):
        p.data[2] += 9  # so that 2 is what they answer, mostly
    loss = nn.CrossEntropyLoss(ignore_index=ignore_index)
    ours: Any = compiled(net, loss, lr=0.1)
    theirs: Any = EagerStep(twin, loss, sgd(twin, 0.1))
    for _ in range(2):  # the second time, the sums begin anew
        means: list[Any] = [means_of(step) for step in (ours, theirs)]
        for i in range(3):
            x, y = tensors(21 + i)
            for step, mean in zip((ours, theirs), means, strict=True):
                mean.add(*step(x, y), y)
        assert means[0].read() == pytest.approx(means[1].read(), rel=1e-12)
        assert 0 < means[0].read()["train_acc"] < 1


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


# Losses -------------------------------------------------------------------------------------------

WEIGHTS = [0.5, 2.0, 0.0, 1.25, 3.0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("ignored", [-100, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_settings_of_the_loss(
    weighted: bool, ignored: int, reduction: str, smoothing: float, dtype: str
) -> None:
    weight = Tensor(np.array(WEIGHTS, dtype)) if weighted else None
    loss = nn.CrossEntropyLoss(weight, ignored, reduction, smoothing)
    net = build(NETS["avg-pool-divisor"], dtype)
    assert_step_is_eagers(net, *batch(37, dtype), TOLERANCE[dtype], loss)


def test_the_function_instead_of_the_layer() -> None:
    net = build(NETS["dense-only"], "float64")
    assert_step_is_eagers(net, *batch(5), 1e-11, F.cross_entropy)


def test_changed_settings_of_the_loss_are_seen() -> None:
    net, loss = build(NETS["dense-only"], "float64"), nn.CrossEntropyLoss()
    step = compiled(net, loss)
    step(*batch(5))
    loss.weight, loss.label_smoothing = Tensor(np.array(WEIGHTS)), 0.3
    assert_same(result_of(step, *batch(5)), eager(net, *batch(5), loss), 1e-11)


def test_where_all_is_ignored_the_loss_is_nan() -> None:
    net = build(NETS["conv-stride"], "float64")
    x, y = batch(5)
    step = compiled(net, nn.CrossEntropyLoss(ignore_index=2))
    loss, logits = step(x, np.full_like(y, 2))
    assert np.isnan(loss.item())
    assert not any(g.numpy().any() for g in step.gradients().values())
    np.testing.assert_allclose(logits.numpy(), net(Tensor(x)).numpy(), rtol=1e-11)


def test_where_all_is_ignored_the_sum_is_0() -> None:
    net = build(NETS["conv-stride"], "float64")
    loss, _ = compiled(net, nn.CrossEntropyLoss(reduction="sum"))(batch(5)[0], np.full(5, -100))
    assert loss.item() == 0


def test_very_large_logits() -> None:
    net = build(NETS["dense-only"], "float64")
    for p in net.parameters():
        p.data *= 1e4
    assert_step_is_eagers(net, *batch(21), 1e-11)


@pytest.mark.parametrize("index", [5, -1, 1000])
def test_a_class_that_there_is_not(index: int) -> None:
    step = compiled(build(NETS["dense-only"], "float64"))
    with pytest.raises(IndexError):
        step(batch(5)[0], np.array([0, 1, index, 3, 4]))


def test_labels_of_another_number_than_pictures() -> None:
    step = compiled(build(NETS["dense-only"], "float64"))
    with pytest.raises(ValueError, match="target"):
        step(batch(5)[0], np.zeros(6, np.int64))


# Refusals -----------------------------------------------------------------------------------------


class Forward(nn.Module):
    """``forward`` is a function of the layer and x."""

    def __init__(self, function: Callable[[nn.Module, Tensor], Tensor]):
        super().__init__()
        self.function, self.layer = function, nn.Conv2d(3, 3, (3, 5), padding="same")

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.layer, x)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Conv2d(3, 6, 3, groups=3), "groups"),
        (Padded(1, 2, 0, 3, value=1.0), "Pad with other than zeros"),
        (Padded(1, -2), "Pad with other than zeros"),
        (Padded(0, 0, 1, 0, 2, 1), "Pad with other than zeros"),
        (nn.Flatten(start_dim=2), "Reshape"),
        (Forward(lambda layer, x: layer(x).exp()), "Exp cannot be compiled"),
        (Forward(lambda layer, x: layer(x).softmax(1)), "Softmax cannot be compiled"),
        (Forward(lambda layer, x: layer(x) * 2), "Mul(tiply)? cannot be compiled"),
        (Forward(lambda layer, x: x + layer(x)), "joins two computed tensors"),
        (Forward(lambda layer, x: layer(x) + x), "joins two computed tensors"),
        (Forward(lambda layer, x: F.batch_norm(layer(x), None, None, training=True)), "BatchNorm"),
        (Forward(lambda layer, x: Tensor(np.ones((len(x), 4)))), "does not depend on its input"),
        (nn.Sequential(), "no operation"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nets_that_are_no_chain_of_known_operations(net: nn.Module, message: str) -> None:
    predict = minicnn.compile(net)
    with pytest.raises(minicnn.CompileError, match=message):
        predict(batch(5, "float32")[0])


def test_rows_that_are_no_longer_pictures_are_refused() -> None:
    weight = Tensor(np.ones((2, 4), np.float32))
    net = Forward(lambda layer, x: F.linear(x.reshape(-1, 4), weight))
    with pytest.raises(minicnn.CompileError, match="Reshape"):
        minicnn.compile(net)(batch(5, "float32")[0])


def test_picture_logits_are_refused() -> None:
    step = compiled(build(lambda: nn.Conv2d(3, 5, 3), "float64"))
    with pytest.raises(minicnn.CompileError, match=r"gives \(5, 9, 6\) an image"):
        step(*batch(5))


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    return ((x - y) ** 2).mean()


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (nn.CrossEntropyLoss(reduction="none"), "'none'"),
        (squared_error, "squared_error, a function"),
    ],
)
def test_losses_that_are_refused(loss: Any, message: str) -> None:
    net = build(NETS["dense-only"], "float32")
    with pytest.raises(minicnn.CompileError, match=message):
        minicnn.compile(net, loss, sgd(net))


def test_float_targets_are_refused() -> None:
    step = compiled(build(NETS["dense-only"], "float64"))
    with pytest.raises(TypeError, match=r"integers: minicnn\.Tensor\(y\)\.to\('int64'\)$"):
        step(batch(5)[0], np.ones((5, 5)) / 5)


def test_loss_and_optimizer_come_together() -> None:
    net = build(NETS["dense-only"], "float32")
    with pytest.raises(TypeError, match="loss and optimizer together"):
        minicnn.compile(net, nn.CrossEntropyLoss())  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="loss and optimizer together"):
        minicnn.compile(net, optimizer=sgd(net))  # type: ignore[call-overload]


@pytest.mark.parametrize("dtype", ["float64", "int64", "bool"])
def test_pictures_of_another_dtype_are_refused(dtype: str) -> None:
    predict = minicnn.compile(build(NETS["dense-only"], "float32"))
    with pytest.raises(TypeError, match=f"x is {dtype}; wanted uint8 or the net's float32"):
        predict(np.ones((2, *PICTURE), dtype))


def test_there_is_no_plan_before_the_first_call() -> None:
    step = compiled(build(NETS["dense-only"], "float32"))
    with pytest.raises(RuntimeError, match="after the first call"):
        print(step.plan)
    with pytest.raises(RuntimeError, match="after the first call"):
        step.gradients()


def test_the_reference_kernels_cannot_run_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINICNN_KERNELS", "reference")
    kernels.host_kernels.cache_clear()
    try:
        assert not minicnn.compiler.is_available()
        with pytest.raises(RuntimeError, match="the reference kernels are on"):
            minicnn.compile(nn.Linear(2, 2))
    finally:
        kernels.host_kernels.cache_clear()


# What comes in and goes out -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["conv-everything", "relu-first", "dense-only", "norm"])
def test_bytes_are_their_255ths(name: str, dtype: str, rng: np.random.Generator) -> None:
    net = build({**NETS, **NORMED}[name], dtype)
    pixels, y = rng.integers(0, 256, (21, *PICTURE), np.uint8), batch(21)[1]
    of_bytes = result_of(compiled(net), pixels, y)
    of_numbers = result_of(compiled(net), pixels.astype(dtype) / np.dtype(dtype).type(255), y)
    assert_bit_for_bit(of_bytes, of_numbers)


def assert_bit_for_bit(ours: Result, theirs: Result) -> None:
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_array_equal(ours[1], theirs[1])
    for name, g in theirs[2].items():
        np.testing.assert_array_equal(ours[2][name], g, err_msg=name)


def test_tensors_and_arrays_of_any_layout() -> None:
    net = build(NETS["conv-everything"], "float64")
    x, y = batch(21)
    step = compiled(net)
    expected = result_of(step, x, y)
    turned = np.ascontiguousarray(x.transpose(3, 2, 0, 1)).transpose(2, 3, 1, 0)
    wide = np.repeat(np.repeat(x, 2, axis=0), 3, axis=3)[::2, ..., ::3]
    backwards = np.ascontiguousarray(x[:, :, ::-1])[:, :, ::-1]
    for given_x in (Tensor(x), turned, wide, backwards, Tensor(wide)):
        for given_y in (y, Tensor(y), y.astype(np.uint8), np.repeat(y, 2)[::2]):
            assert_bit_for_bit(result_of(step, given_x, given_y), expected)


def test_one_plan_for_all_sizes_of_batch() -> None:
    net = build(NETS["deep-conv-everything"], "float64")
    step = compiled(net)
    step(*batch(37))
    plan = step.plan
    for images in (64, 1, 200, 16, 17, 3):
        assert_same(result_of(step, *batch(images)), eager(net, *batch(images)), 1e-11)
        assert step.plan is plan


def test_another_size_of_picture_is_another_plan() -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, (2, 3)), nn.Flatten()).to("float64")
    predict = minicnn.compile(net)
    for shape in (PICTURE, (3, 4, 9), PICTURE):
        x = batch(5, shape=shape)[0]
        np.testing.assert_allclose(predict(x).numpy(), net(Tensor(x)).numpy(), rtol=1e-10)


def test_a_prediction_needs_no_classes() -> None:
    net = build(lambda: nn.Sequential(nn.Conv2d(3, 4, (3, 2)), nn.Tanh()), "float64")
    x = batch(21)[0]
    y = minicnn.compile(net)(x)
    assert y.shape == (21, 4, 9, 7)
    np.testing.assert_allclose(y.numpy(), net(Tensor(x)).numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ["deep-conv-stride", "dropout-everywhere"])
def test_a_batch_of_no_images(name: str) -> None:
    net = build(NETS[name], "float64")
    x, y = batch(0)
    assert minicnn.compile(net)(x).shape == (0, 5)
    for reduction, expected in (("sum", 0.0), ("mean", np.nan)):
        step = compiled(net, nn.CrossEntropyLoss(reduction=reduction))
        step(*batch(5))
        loss, logits = step(x, y)
        np.testing.assert_equal(loss.item(), expected)
        assert logits.shape == (0, 5)
        assert not any(g.numpy().any() for g in step.gradients().values())


@pytest.mark.parametrize("name", [*DROPOUTS, "norm", "max-pool"])
def test_a_batch_of_nan_leaves_nothing_behind(name: str) -> None:
    net, twin = (build({**NETS, **NORMED}[name], "float64") for _ in range(2))
    step = compiled(net)
    step(np.full((16, *PICTURE), np.nan), np.zeros(16, np.int64))
    net.load_state_dict(twin.state_dict())
    minicnn.manual_seed(1)
    ours = result_of(step, *batch(5))
    minicnn.manual_seed(1)
    assert_same(ours, eager(twin, *batch(5)), 1e-11)


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("name", ["deep-conv-everything", "dropout-everywhere", "norms-in-a-row"])
def test_threads_change_the_rounding_at_most(name: str, threads: int) -> None:
    net = build({**NETS, **NORMED}[name], "float64")
    results = []
    for count in (1, threads, threads):
        minicnn.set_num_threads(count)
        minicnn.manual_seed(2)
        results.append(result_of(compiled(net), *batch(83)))
    assert_same(results[1], results[0], 1e-12)
    assert_bit_for_bit(results[2], results[1])


def test_little_work_stays_on_the_calling_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minicnn.compiler.cpu.engine.WORTH_A_THREAD", 10_000_000)
    pieces: list[int] = []
    together = cpu.together

    def counted(calls: list[Any]) -> None:
        if calls[0].func.__name__ == "_run":  # parameters are copied by threads of their own
            pieces.append(len(calls))
        together(calls)

    monkeypatch.setattr(cpu, "together", counted)
    minicnn.set_num_threads(2)
    predict = minicnn.compile(models.mlp())  # 0.4 million multiply-adds an image
    for images in (24, 17, 50):
        predict(np.zeros((images, 1, 28, 28), np.uint8))
    assert pieces == [1, 1, 2]


def test_threads_may_change_between_steps() -> None:
    net = build(NORMED["norms-in-a-row"], "float64")
    step, expected = compiled(net), eager(net, *batch(83))
    for threads in (1, 3, 2, 5, 1):
        minicnn.set_num_threads(threads)
        assert_same(result_of(step, *batch(83)), expected, 1e-11)


def test_the_same_run_twice_is_the_same_bit_for_bit() -> None:
    runs = []
    for _ in range(2):
        net = build(NORMED["norm-and-dropout"], "float32")
        losses = losses_of(compiled(net, lr=0.1, momentum=0.9), "float32", 9)
        runs.append((losses, {n: t.numpy() for n, t in net.state_dict().items()}))
    assert runs[0][0] == runs[1][0]
    for name, array in runs[0][1].items():
        np.testing.assert_array_equal(array, runs[1][1][name], err_msg=name)


# Without a trace ----------------------------------------------------------------------------------


def with_hooks(net: nn.Module) -> list[str]:
    """A list that grows when a layer's forward is called from outside."""
    called: list[str] = []
    for name, layer in net.named_modules():
        layer.register_forward_hook(lambda *_, name=name: called.append(name))
    return called


def test_recording_leaves_no_trace() -> None:
    net = build(NORMED["norm-and-dropout"], "float64")
    called, before = with_hooks(net), {n: t.numpy().copy() for n, t in net.state_dict().items()}
    minicnn.manual_seed(9)
    record(net, np.zeros((2, *PICTURE)))
    assert random.next_mask_key() == (9, 0)
    assert not called
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name], err_msg=name)
    assert all(p.grad is None for p in net.parameters())
    net(Tensor(batch(5)[0]))
    assert called


def test_a_recording_that_fails_leaves_no_trace() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Conv2d(4, 2, 3)).to("float64")
    called, x = with_hooks(net), batch(5)[0]
    minicnn.manual_seed(9)
    with pytest.raises(ValueError, match="conv2d"):
        record(net, x)
    assert random.next_mask_key() == (9, 0)
    assert int(net.state_dict()["0.num_batches_tracked"]) == 0
    net[0](Tensor(x))
    assert called == ["0"]


def test_a_step_draws_its_masks_and_leaves_no_gradients() -> None:
    net = build(NETS["dropout-everywhere"], "float64")
    step = compiled(net)
    minicnn.manual_seed(9)
    step(*batch(5))
    step(*batch(37))
    assert random.next_mask_key() == (9, 8)
    assert all(p.grad is None for p in net.parameters())


# Cost and the plan's table ------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["lenet", "lenet-max", "norm"])
def test_a_step_allocates_next_to_nothing(name: str, threads: int) -> None:
    minicnn.set_num_threads(threads)
    is_norm = name == "norm"
    net = build(NORMED["norm"], "float32") if is_norm else models.build(name)
    x, y = batch(256, "float32", PICTURE if is_norm else (1, 28, 28))
    step = compiled(net, lr=0.1, momentum=0.9)
    for _ in range(3):
        step(x, y)
    tracemalloc.start()
    try:
        for _ in range(3):
            step(x, y)
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100e3
    assert left < 5e3


@pytest.fixture
def lenet_step() -> CompiledStep:
    net = models.lenet()
    return minicnn.compile(net, nn.CrossEntropyLoss(), sgd(net), profile=True)


def rows_named(step: CompiledStep, name: str) -> list[list[str]]:
    rows = str(step.plan).splitlines()
    return [row[14:].replace(",", " ").split() for row in rows if row[:14].strip() == name]


def test_the_plan_is_a_table_to_read(lenet_step: CompiledStep) -> None:
    lenet_step.profile = False
    lenet_step(*batch(32, "float32", (1, 28, 28)))
    rows = str(lenet_step.plan).splitlines()
    assert len(rows) <= 60
    assert max(map(len, rows)) <= 100
    assert {"conv", "dense", "sigmoid", "avg pool"} <= {row[:14].strip() for row in rows}
    assert "us" not in rows[0].split()


def test_the_plan_says_how_many_flops_a_layer_takes(lenet_step: CompiledStep) -> None:
    lenet_step(*batch(32, "float32", (1, 28, 28)))
    first, second = rows_named(lenet_step, "conv")
    assert str(2 * 6 * 28 * 28 * 5 * 5) in first
    assert str(2 * 16 * 10 * 10 * 6 * 5 * 5) in second
    assert [str(2 * n) in row for n, row in zip(
        (400 * 120, 120 * 84, 84 * 10), rows_named(lenet_step, "dense"), strict=True
    )] == [True] * 3  # fmt: skip


def test_a_profiled_plan_has_times_and_rates(lenet_step: CompiledStep) -> None:
    lenet_step(*batch(32, "float32", (1, 28, 28)))
    rows = str(lenet_step.plan).splitlines()
    assert len(rows) <= 60
    assert max(map(len, rows)) <= 100
    assert rows[0].split() == ["FLOP", "bytes", "us", "GFLOP/s"]
    flops, _, us, rate = map(float, rows_named(lenet_step, "conv")[1][-4:])
    assert us > 0
    assert rate == pytest.approx(flops / us / 1e3, rel=0.05)


@pytest.mark.parametrize("name", ["deep-conv-everything", "norms-in-a-row", "dropout-everywhere"])
def test_a_profiled_step_is_the_same_step(name: str) -> None:
    net = build({**NETS, **NORMED}[name], "float64")
    optimizer, results = sgd(net, lr=0.0), []
    minicnn.set_num_threads(2)
    for profile in (True, False):
        minicnn.manual_seed(4)
        step = minicnn.compile(net, nn.CrossEntropyLoss(), optimizer, profile=profile)
        results.append(result_of(step, *batch(181)))
    assert_bit_for_bit(*results)


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


# With the reference kernels there is nothing else to test (and a skipped test counts as failed).
if os.environ.get("MINICNN_KERNELS") == "reference":
    for name in [name for name in globals() if name.startswith("test_")]:
        if name != "test_the_reference_kernels_cannot_run_a_plan":
            del globals()[name]
