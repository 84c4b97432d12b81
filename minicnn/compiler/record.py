"""From a net to the chain of operations that it applies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np

from minicnn import kernels, nn, ops, random
from minicnn.kernels.arrays import RELU, SIGMOID, TANH
from minicnn.nn.module import device_of_net
from minicnn.tensor import Tensor, enable_grad

ACTIVATIONS: dict[type[ops.Operation], int] = {
    ops.Sigmoid: SIGMOID,
    ops.Tanh: TANH,
    ops.ReLU: RELU,
}
SAMPLE = 2  # images: the statistics of a batch need two values


class CompileError(TypeError):
    """A net, loss or optimiser that cannot be compiled; the message names what is in the way."""


class Stage(NamedTuple):
    """One operation of the chain.

    Attributes:
        operation: as recorded: its settings (stride, padding...) are the plan's.
        parameters: weight and bias, as far as it has them.
        input_shape, output_shape: of one image: (C, H, W) or (features,).
        module: for batch normalisation the layer that keeps the running statistics.
    """

    operation: ops.Operation
    parameters: tuple[Tensor, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    module: nn.BatchNorm2d | None = None


def record(net: nn.Module, image_shape: tuple[int, ...], dtype: np.dtype) -> list[Stage]:
    """The operations that ``net`` applies to pictures of this shape, in order.

    The net runs once, on two black pictures, and leaves no trace: buffers, dropout masks and hooks
    are as before. On the CPU the reference kernels do it: nothing is compiled for it.

    Raises:
        CompileError: the operations do not form a chain from the pictures to the result.
    """
    device = device_of_net(net)
    x = Tensor(np.zeros((SAMPLE, *image_shape), dtype), requires_grad=True, device=device)
    which = kernels.by_reference() if device == "cpu" else nullcontext()
    with _without_trace(net) as norms, which, enable_grad():
        result = net(x)
    stages: list[Stage] = []
    while result is not x:
        if result.node is None:
            raise CompileError(
                "compile: the result of the net does not depend on its input through operations "
                "on the tape"
            )
        operation, (source, *parameters) = result.node.operation, result.node.inputs
        _check_chain(operation, source, parameters, x)
        stages.append(
            Stage(
                operation,
                tuple(parameters),
                source.shape[1:],
                result.shape[1:],
                norms.get(id(operation)),
            )
        )
        result = source
    return stages[::-1]


def _check_chain(
    operation: ops.Operation, source: Tensor, parameters: list[Tensor], x: Tensor
) -> None:
    if any(p.node is not None or p is x for p in parameters):
        raise CompileError(
            f"compile: {operation.name} joins two computed tensors; wanted a chain of operations, "
            "each on the result of the one before (groups of a convolution are such a join)"
        )
    if source.node is None and source is not x:
        raise CompileError(
            f"compile: {operation.name} has a constant first operand; wanted the result of the "
            "operation before"
        )


def lowering_of(stage: Stage, lowerings: dict[Any, Any], where: str = "") -> Any:
    """What ``lowerings`` has for the operation of a stage.

    Raises:
        CompileError: nothing; the message names the operation and those that are known.
    """
    if type(stage.operation) not in lowerings:
        known = ", ".join(operation.__name__ for operation in lowerings)
        raise CompileError(
            f"compile: {stage.operation.name} cannot be compiled{where}; the compiler knows {known}"
        )
    return lowerings[type(stage.operation)]


@contextmanager
def _without_trace(net: nn.Module) -> Iterator[dict[int, nn.BatchNorm2d]]:
    """Run the net without its hooks, and put buffers and the count of masks back.

    Yields a dict that collects which layer each batch normalisation belongs to.
    """
    norms: dict[int, nn.BatchNorm2d] = {}

    def remember(layer: nn.Module, inputs: object, output: Tensor) -> None:
        if output.node is not None and isinstance(layer, nn.BatchNorm2d):
            norms[id(output.node.operation)] = layer

    modules = list(net.modules())
    hooks = [module._forward_hooks for module in modules]
    for module in modules:
        module._forward_hooks = [remember] if isinstance(module, nn.BatchNorm2d) else []
    buffers = [(b, b.data.copy()) for module in modules for b in module._buffers.values()]
    try:
        with random.masks_put_back():
            yield norms
    finally:
        for module, its_hooks in zip(modules, hooks, strict=True):
            module._forward_hooks = its_hooks
        for buffer, before in buffers:
            buffer.data[...] = before
