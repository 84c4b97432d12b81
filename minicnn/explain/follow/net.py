"""The layers of a net, one after the other, and what their arrays are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from minicnn import nn

KINDS: dict[type[nn.Module], tuple[str, str]] = {  # a layer, its kind, and how it is called
    nn.Conv2d: ("conv", "conv"),
    nn.Linear: ("dense", "dense"),
    nn.MaxPool2d: ("max_pool", "pool"),
    nn.AvgPool2d: ("avg_pool", "pool"),
    nn.Sigmoid: ("sigmoid", "sigmoid"),
    nn.ReLU: ("relu", "relu"),
    nn.Tanh: ("tanh", "tanh"),
}
PASSED_OVER = (nn.Flatten, nn.Dropout, nn.Identity)  # in evaluation mode they change no number


@dataclass(frozen=True)
class Layer:
    """A layer that is followed.

    Attributes:
        name: its kind and number, ``"conv1"``; its arrays are ``conv1.W``, ``.b``, ``.y`` and
            their gradients ``conv1.dW``, ``.db``, ``.dy``.
        kind: ``"conv"``, ``"dense"``, ``"max_pool"``, ``"avg_pool"``, ``"sigmoid"``, ``"relu"`` or
            ``"tanh"``.
        module: the layer.
        below: the array that it reads, ``"x"`` or the layer before's, ``"pool1.y"``.
        prefix: what its parameters' names in the net's state_dict begin with.
    """

    name: str
    kind: str
    module: Any
    below: str
    prefix: str

    @property
    def parameters(self) -> dict[str, str]:
        """Its arrays that are learnt, and their names in the net's state_dict."""
        if self.kind not in ("conv", "dense"):
            return {}
        found = {f"{self.name}.W": f"{self.prefix}weight"}
        has_bias = self.module.bias is not None
        return found | ({f"{self.name}.b": f"{self.prefix}bias"} if has_bias else {})


def gradient_of(array: str) -> str:
    """``conv1.dW`` of ``conv1.W``, ``dx`` of ``x``."""
    layer, dot, name = array.rpartition(".")
    return f"{layer}{dot}d{name}"


def layers_of(net: nn.Module) -> list[Layer]:
    """The layers of a Sequential, and of those in it.

    Raises:
        TypeError: not a Sequential, or a layer of another kind than ``KINDS``.
        ValueError: a convolution of several groups, a parameter that two layers share.
    """
    if not isinstance(net, nn.Sequential):
        raise TypeError(f"explain.follow: net is {type(net).__name__}; wanted an nn.Sequential")
    _check_sharing(net)
    layers: list[Layer] = []
    counts = Counter[str]()
    below = "x"
    for prefix, module in flattened(net):
        if isinstance(module, PASSED_OVER):
            continue
        kind, called = _kind_of(module, prefix)
        if getattr(module, "groups", 1) != 1:
            raise ValueError(
                f"explain.follow: groups is {module.groups}; wanted a convolution of one group"
            )
        counts[called] += 1
        layers.append(Layer(f"{called}{counts[called]}", kind, module, below, prefix))
        below = f"{layers[-1].name}.y"
    return layers


def flattened(net: nn.Sequential, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All layers of nested Sequentials, with what their parameters' names begin with."""
    for k, module in enumerate(net):
        if isinstance(module, nn.Sequential):
            yield from flattened(module, f"{prefix}{k}.")
        else:
            yield f"{prefix}{k}.", module


def _check_sharing(net: nn.Sequential) -> None:
    """Refuse a parameter in two places: its gradient is the sum of both, and no cell's sum."""
    owners: dict[int, str] = {}
    for prefix, module in flattened(net):
        for key, parameter in module.named_parameters():
            name = f"{_place(prefix)}.{key}"
            if id(parameter) in owners:
                raise ValueError(
                    f"explain.follow: {name} is {owners[id(parameter)]}, too; wanted layers that "
                    "share no parameter"
                )
            owners[id(parameter)] = name


def _place(prefix: str) -> str:
    """``net[4][0]`` of ``"4.0."``."""
    return f"net[{prefix.rstrip('.').replace('.', '][')}]"


def _kind_of(module: Any, prefix: str) -> tuple[str, str]:
    for kind, names in KINDS.items():
        if isinstance(module, kind):
            return names
    wanted = ", ".join(kind.__name__ for kind in (*KINDS, *PASSED_OVER))
    what = f"{_place(prefix)} is {type(module).__name__}"
    raise TypeError(f"explain.follow: {what}; wanted one of {wanted}")
