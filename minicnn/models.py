"""The nets of the LeNet chapter; each of its exercises is an argument."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from minicnn import nn
from minicnn.checks import check_integer, check_is, check_number, check_one_of

ACTIVATIONS: dict[str, type[nn.Module]] = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh}
POOLS: dict[str, type[nn.Module]] = {"avg": nn.AvgPool2d, "max": nn.MaxPool2d}
INITS: dict[str, Callable[..., Any]] = {
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "kaiming_uniform": lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"),
    "kaiming_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "normal": lambda w: nn.init.normal_(w, std=0.01),
}


def lenet(
    pool: str = "avg",
    padding: int = 2,
    activation: str = "sigmoid",
    kernel_size: int = 5,
    channels: Sequence[int] = (6, 16),
    hidden: Sequence[int] = (120, 84),
    init: str = "xavier_uniform",
    batch_norm: bool = False,
    dropout: float = 0.0,
    image_shape: Sequence[int] = (1, 28, 28),
    classes: int = 10,
) -> nn.Sequential:
    """LeNet, by default for 28 x 28 pictures and 10 classes: (N, 1, 28, 28) -> logits (N, 10).

    After LeCun et al., "Gradient-based learning applied to document recognition", 1998, as Dive
    into Deep Learning tells it: the second edition's net by default (61,706 parameters), the
    first edition's with ``pool="max", padding=0`` (44,426).

    Args:
        pool: ``"avg"`` or ``"max"``, 2 x 2 after every convolution.
        padding: of the first convolution; the others have none.
        activation: ``"sigmoid"``, ``"relu"`` or ``"tanh"``.
        kernel_size: of every convolution.
        channels: the output channels of each convolution.
        hidden: the widths of the dense layers before the last.
        init: the initial weights: ``"xavier_uniform"`` as in the chapters, ``"xavier_normal"``,
            ``"kaiming_uniform"``, ``"kaiming_normal"``, ``"normal"`` (standard deviation 0.01), all
            with zero biases; or ``"default"``, PyTorch's default for weights and biases.
        batch_norm: normalise the output of every convolution (``nn.BatchNorm2d``).
        dropout: the probability with which ``nn.Dropout`` zeroes a cell before each dense layer;
            0: no such layer.
        image_shape: of a picture: (channels, height, width).
        classes: how many logits there are.

    Raises:
        ValueError: an unknown name, or sizes that leave less than 2 x 2 cells to pool.
        TypeError: sizes that are no integers.
    """
    _check_sizes(channels=channels, hidden=hidden, image_shape=image_shape)
    for name, value, least in (("padding", padding, 0), ("kernel_size", kernel_size, 1)):
        check_integer(name, value, least)
    layers: list[nn.Module] = []
    depth, *size = image_shape
    for i, width in enumerate(channels):
        frame = padding if i == 0 else 0
        conv_size = [n + 2 * frame - kernel_size + 1 for n in size]
        if min(conv_size) < 2:
            raise ValueError(
                f"lenet: convolution {i + 1} with kernel_size {kernel_size} and padding {frame} "
                f"leaves too little of a {size[0]} x {size[1]} picture; wanted at least 2 x 2 to "
                "pool"
            )
        layers += [
            nn.Conv2d(depth, width, kernel_size, padding=frame),
            *([nn.BatchNorm2d(width)] if batch_norm else []),
            _choose("activation", activation, ACTIVATIONS)(),
            _choose("pool", pool, POOLS)(2, stride=2),
        ]
        size, depth = [n // 2 for n in conv_size], width
    widths = [depth * math.prod(size), *hidden, classes]
    return _with_dense_layers(layers, widths, activation, init, dropout)


def mlp(
    hidden: Sequence[int] = (256,),
    activation: str = "relu",
    init: str = "xavier_uniform",
    dropout: float = 0.0,
    image_shape: Sequence[int] = (1, 28, 28),
    classes: int = 10,
) -> nn.Sequential:
    """A net of dense layers, by default for the pictures of ``lenet``: logits (N, 10).

    Args:
        hidden: the widths of the dense layers before the last.
        activation, init: as in ``lenet``.
        dropout: as in ``lenet``, but not on the pixels.
        image_shape, classes: as in ``lenet``.
    """
    _check_sizes(hidden=hidden, image_shape=image_shape)
    widths = [math.prod(image_shape), *hidden, classes]
    return _with_dense_layers([], widths, activation, init, dropout)


def _check_sizes(**sizes: Sequence[int]) -> None:
    """Refuse what is no list of positive integers (TypeError, ValueError)."""
    for name, value in sizes.items():
        check_is(name, value, list | tuple, "a list of integers")
        for size in value:
            check_integer(f"{name}: a size", size, 1)
    if len(sizes["image_shape"]) != 3:
        shape = sizes["image_shape"]
        raise ValueError(f"image_shape is {shape}; wanted (channels, height, width)")


def _with_dense_layers(
    layers: list[nn.Module], widths: Sequence[int], activation: str, init: str, dropout: float
) -> nn.Sequential:
    """``layers``, Flatten, and dense layers between these widths; the last gives the logits."""
    check_integer("classes", widths[-1], 1)
    check_number("dropout", dropout)
    layers.append(nn.Flatten())
    for i, (before, after) in enumerate(pairwise(widths)):
        if dropout and len(layers) > 1:  # not the pixels
            layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear(before, after))
        if i < len(widths) - 2:
            layers.append(_choose("activation", activation, ACTIVATIONS)())
    net = nn.Sequential(*layers)
    if not isinstance(init, str) or init != "default":
        net.apply(initializer(init))
    return net


def initializer(name: str) -> Callable[[nn.Module], None]:
    """A function for ``net.apply`` that fills layers with these weights, and zero biases.

    Raises:
        ValueError: an unknown name.
    """
    fill = _choose("init", name, INITS)

    def initialize(module: nn.Module) -> None:
        lazy = isinstance(module, nn.LazyConv2d | nn.LazyLinear)
        if isinstance(module, nn.Conv2d | nn.Linear) and not lazy:
            fill(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    return initialize


LENET_PLUS = {
    "pool": "max",
    "activation": "relu",
    "channels": (32, 64),
    "hidden": (256,),
    "init": "kaiming_uniform",
    "dropout": 0.25,
}

PRESETS: dict[str, tuple[Callable[..., nn.Sequential], dict[str, Any]]] = {
    "lenet": (lenet, {}),
    "lenet-max": (lenet, {"pool": "max", "padding": 0}),
    "lenet-plus": (lenet, LENET_PLUS),
    "mlp": (mlp, {}),
}


def build(name: str, **arguments: Any) -> nn.Sequential:
    """The preset ``name``, one of ``PRESETS``, with these arguments changed.

    Raises:
        ValueError: an unknown name, or an argument that the model does not have.
    """
    make, _ = _choose("model", name, PRESETS)
    known = defaults(name)
    for argument in arguments:
        if argument not in known:
            raise ValueError(f"{argument} does not apply to {name}; it has {', '.join(known)}")
    return make(**{**known, **arguments})


def defaults(name: str) -> dict[str, Any]:
    """The arguments of the preset ``name``, with their values where nothing is changed.

    Raises:
        ValueError: an unknown name.
    """
    make, preset = _choose("model", name, PRESETS)
    usual = {key: p.default for key, p in inspect.signature(make).parameters.items()}
    return {**usual, **preset}


def _choose(argument: str, name: str, choices: dict[str, Any]) -> Any:
    check_one_of(argument, name, choices)
    return choices[name]
