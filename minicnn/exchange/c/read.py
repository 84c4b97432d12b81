"""From a net to the steps of its C file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicnn import kernels, nn
from minicnn.exchange.leaves import leaves
from minicnn.nn.modes import in_evaluation_mode
from minicnn.nn.module import device_of_net
from minicnn.tensor import Tensor, enable_grad

from . import activation, conv, linear, norm, pool, shape
from .step import Place, Shape, Step

# How a layer becomes a step, or none: a function of the layer, the operation that it applied last
# (its settings are already made pairs, axes and divisors) and its place in the net.
STEPS: dict[type[nn.Module], Callable[[Any, Any, Place], Step | None]] = {
    nn.Conv2d: conv.from_layer,
    nn.Linear: linear.from_layer,
    nn.MaxPool2d: pool.max_from_layer,
    nn.AvgPool2d: pool.avg_from_layer,
    nn.BatchNorm2d: norm.from_layer,
    nn.Sigmoid: activation.sigmoid_from_layer,
    nn.ReLU: activation.relu_from_layer,
    nn.Tanh: activation.tanh_from_layer,
    nn.Softmax: activation.softmax_from_layer,
    nn.LogSoftmax: activation.softmax_from_layer,
    nn.ZeroPad2d: shape.pad_from_layer,
    nn.Flatten: shape.flatten_from_layer,
    nn.Dropout: shape.from_layer,
    nn.Identity: shape.from_layer,
}


def steps_of(net: nn.Module, image_shape: Shape) -> list[Step]:
    """What ``net`` computes of one picture (C, H, W) in evaluation mode, step by step.

    A batch normalisation after a convolution is folded into it.

    Raises:
        TypeError: a layer that has no C function; the message names it.
        ValueError: a layer that joins the pictures of a batch, or one that the picture does not
            fit; weights that are not finite.
    """
    steps: list[Step] = []
    dtype = next((p.dtype for p in net.parameters()), np.dtype(np.float32))
    x = Tensor(np.zeros((1, *image_shape), dtype), device=device_of_net(net))
    with kernels.by_reference(), in_evaluation_mode(net), enable_grad():
        for name, layer in leaves(net):
            try:
                step, x = _step(layer, x)
            except (TypeError, ValueError) as error:
                raise type(error)(f"export: layer {name or 'net'}: {error}") from None
            if step is not None:
                check_finite(step, f"layer {name}")
                steps.append(step)
    return list(_folded(steps))


def _step(layer: nn.Module, x: Tensor) -> tuple[Step | None, Tensor]:
    """A layer's step, and what the layer makes of ``x``, a batch of one picture."""
    make = STEPS.get(type(layer))
    if make is None or "forward" in vars(layer):
        known = ", ".join(kind.__name__ for kind in STEPS)
        raise TypeError(f"{type(layer).__name__} has no C function; there is one of {known}")
    x = Tensor(x.data, requires_grad=True)  # so that its operation goes on the tape
    y = layer(x)
    operation = None if y.node is None else y.node.operation
    return make(layer, operation, Place(repr(layer), x.shape[1:], y.shape[1:])), y


def check_finite(step: Step, name: str = "a step") -> None:
    """Refuse constants that C cannot spell (ValueError)."""
    for what, array in step.constants().items():
        if not np.isfinite(array).all():
            raise ValueError(f"export: {what} of {name} is not finite: {step.title}")


def _folded(steps: list[Step]) -> Iterator[Step]:
    """The steps, each batch normalisation after a convolution made part of it."""
    steps = list(steps)
    while steps:
        step = steps.pop(0)
        after = steps[0] if steps else None
        if isinstance(step, conv.Conv) and isinstance(after, norm.Scale):
            steps[0] = step.scaled(after)
        else:
            yield step
