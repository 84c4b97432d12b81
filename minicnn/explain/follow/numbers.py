"""A net on one picture, forward and backward, with every array on the way."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np

from minicnn import kernels, nn
from minicnn.checks import check_integer, check_text
from minicnn.formats import shown
from minicnn.nn import functional as F
from minicnn.tensor import Tensor

from ..conv.terms import Product
from ..numbers import as_numbers
from ..page import in_a_frame
from .net import PASSED_OVER, Layer, flattened, gradient_of, layers_of
from .page import page_of
from .paths import Paths, paths_from
from .rules import Rule, made_of, rules_of
from .states import State

Index = tuple[int, ...]


def follow(net: nn.Module, x: Any, y: int) -> Followed:
    """Follow the numbers of a net on one picture, from the loss back to its pixels.

    Args:
        net: a Sequential of convolutions, dense layers, pooling, sigmoid, ReLU and tanh, as
            ``models.lenet()``; computed in evaluation mode and float64, and not changed.
        x: the picture: (C, H, W), or a batch of this one.
        y: its class.

    Returns:
        All arrays, and what each of their cells is made of. A notebook shows them as a page.

    Raises:
        TypeError: another kind of net or layer.
        ValueError: shapes that do not fit, a class that the net does not have, numbers that are not
            finite.
    """
    check_integer("explain.follow: y", y)
    layers = layers_of(net)
    picture = as_numbers("follow", "x", x, 4)
    if len(picture) != 1:
        raise ValueError(f"explain.follow: x has shape {picture.shape}; wanted one picture")
    for name, parameter in net.named_parameters():
        as_numbers("follow", name, parameter, parameter.ndim)
    ours = copy.deepcopy(net).cpu().to("float64").eval()
    arrays, kept = _computed(ours, layers_of(ours), picture, y)
    return Followed(layers, arrays, kept, y)


class Followed:
    """A net's numbers on one picture.

    Attributes:
        layers: in order.
        arrays: each array of the net by its name, in float64, without an axis for the batch: ``x``,
            for each layer ``conv1.W``, ``conv1.b``, ``conv1.y``, then ``p`` (the probabilities),
            ``t`` (1 at the right class) and ``L`` (the loss), and the gradients ``conv1.dW``,
            ``conv1.db``, ``conv1.dy``, ``dx``. The net's last layer gives the logits.
        kept: what operations keep for their backward pass: of max pooling ``pool1.winner``, the
            place in a plane of x that won each window, of average pooling ``pool1.divisor``.
        label: the right class.
        lang: the language of the page, ``"en"``, ``"zh"`` or ``"ja"``; by default its reader's.
    """

    lang: str | None = None

    def __init__(
        self,
        layers: list[Layer],
        arrays: dict[str, np.ndarray],
        kept: dict[str, np.ndarray],
        label: int,
    ):
        self.layers, self.arrays, self.kept, self.label = layers, arrays, kept, label

    def value(self, array: str, *index: int) -> float:
        """The number in a cell.

        Raises:
            KeyError: no such array.
            IndexError: no such cell in it.
        """
        index = self._checked(array, index)
        return float(self.arrays[array][index])

    def terms(self, array: str, *index: int) -> list[Product]:
        """The products of cells that a cell is made of: their sum, or a ``function`` of it.

        None for what is given: pixels, weights and biases. Errors as in ``value``.
        """
        index = self._checked(array, index)
        return self._rules[array].terms(*index)

    def function(self, array: str) -> str:
        """What is done with the terms of a cell.

        ``"sum"``; ``"sigmoid"``, ``"relu"``, ``"tanh"`` or ``"log"`` (its negative) of the only
        term; ``"max"`` of all; ``"softmax"`` of all, at the cell's own index; ``"given"``.
        """
        self._check_array(array)
        return self._rules[array].function

    def paths(self, array: str, *index: int, largest: int = 10) -> Paths:
        """All paths from a cell of a gradient to p - t, the gradients of the logits.

        A path goes from each cell to one of the gradients in its sum; its product is what it gives
        to the first cell, which is the sum over all paths. Errors as in ``value``; also a
        ValueError for an array that is no gradient.
        """
        check_integer("paths: largest", largest, 1)
        return paths_from(self, array, self._checked(array, index), largest)

    @functools.cached_property
    def made(self) -> list[Any]:
        """What each layer's cells are made of."""
        return made_of(self.layers, self.arrays, self.kept)

    @functools.cached_property
    def _rules(self) -> dict[str, Rule]:
        return rules_of(self.made, self.arrays, self.label)

    def html(self, about: str = "") -> str:
        """The page, of this one state; ``about`` says what the picture is.

        Raises:
            ValueError: a net too large for a page.
        """
        check_text("about", about)
        return page_of([State(self)], about, language=self.lang)

    def _repr_html_(self) -> str:
        return in_a_frame(self.html())

    def _check_array(self, array: str) -> None:
        check_text("explain.follow: array", array)
        if array not in self.arrays:
            known, told = ", ".join(self.arrays), shown(array, str)
            raise KeyError(f"explain.follow: there is no array {told}; wanted one of {known}")

    def _checked(self, array: str, index: Index) -> Index:
        self._check_array(array)
        for one in index:
            check_integer(f"{array}: a part of the index", one)
        shape = self.arrays[array].shape
        fits = len(index) == len(shape)
        if not fits or any(not 0 <= k < size for k, size in zip(index, shape, strict=True)):
            raise IndexError(f"{array}: index is {index}; wanted one below {shape}, from 0")
        return index

    def __str__(self) -> str:
        """The arrays with their shapes, forward and backward."""
        widest = max(map(len, self.arrays))
        lines = [f"{n:{widest}}  {a.shape}" for n, a in self.arrays.items()]
        return "\n".join(lines) + "\n"

    def __repr__(self) -> str:
        names = ", ".join(layer.name for layer in self.layers)
        return f"<followed: {names}; loss {self.value('L'):.4g}>"


# The engine ---------------------------------------------------------------------------------------


def _computed(
    net: nn.Module, layers: list[Layer], picture: np.ndarray, label: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """``arrays`` and ``kept`` of ``Followed``."""
    with kernels.by_reference():
        x = Tensor(picture, requires_grad=True)
        outputs, kept = _forward(net, layers, x)
        logits = outputs[-1]
        if logits.ndim != 2:
            raise ValueError(
                f"explain.follow: the net's output has shape {logits.shape}; wanted logits (1, C)"
            )
        if not 0 <= label < logits.shape[1]:
            raise ValueError(f"explain.follow: y is {label}; wanted 0..{logits.shape[1] - 1}")
        loss = F.cross_entropy(logits, Tensor([label], dtype="int64"))
        p = loss.node.operation.p[0].copy()  # type: ignore[union-attr]
        loss.backward()
    forward: dict[str, Any] = {"x": x.data[0]}
    backward: dict[str, Any] = {"dx": x.grad.data[0]}  # type: ignore[union-attr]
    for layer, y in zip(layers, outputs, strict=True):
        for name, parameter in zip(layer.parameters, layer.module.parameters(), strict=True):
            forward[name], backward[gradient_of(name)] = parameter.data, parameter.grad.data
        forward[f"{layer.name}.y"] = y.data[0]
        backward[f"{layer.name}.dy"] = y.grad.data[0]  # type: ignore[union-attr]
    target = np.eye(len(p))[label]
    return {**forward, "p": p, "t": target, "L": np.array(loss.item()), **backward}, kept


def _forward(
    net: Any, layers: list[Layer], x: Tensor
) -> tuple[list[Tensor], dict[str, np.ndarray]]:
    """The outputs of the layers, each to keep its gradient, and ``kept`` of ``Followed``."""
    remaining = iter(layers)  # by position: a ReLU may stand in several places
    outputs: list[Tensor] = []
    kept: dict[str, np.ndarray] = {}
    for _, module in flattened(net):
        layer = None if isinstance(module, PASSED_OVER) else next(remaining)
        if layer and layer.kind == "dense" and x.ndim != 2:
            raise ValueError(
                f"explain.follow: {layer.name} gets {x.shape[1:]}; wanted an nn.Flatten before it"
            )
        x = module(x)
        if layer is None:
            continue
        x.retain_grad()
        outputs.append(x)
        operation: Any = x.node.operation  # type: ignore[union-attr]
        if layer.kind == "max_pool":
            kept[f"{layer.name}.winner"] = operation.winner[0]
        elif layer.kind == "avg_pool":
            kept[f"{layer.name}.divisor"] = operation.divisor
    return outputs, kept
