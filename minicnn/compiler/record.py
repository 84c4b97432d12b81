"""From a net to the chain of operations that it applies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple, cast

from minicnn import kernels, nn, ops, random
from minicnn.kernels import Array
from minicnn.kernels.arrays import RELU, SIGMOID, TANH
from minicnn.tensor import Tensor, enable_grad

# the numbers by which the kernels know them
ACTIVATIONS: dict[type[ops.Operation], int] = {
    ops.Sigmoid: SIGMOID,
    ops.Tanh: TANH,
    ops.ReLU: RELU,
}
# What a plan takes from each operation besides its parameters: if it changes, so does the plan.
SETTINGS: dict[type[ops.Operation], tuple[str, ...]] = {
    ops.Conv2d: ("window",),
    ops.Linear: (),
    ops.MaxPool2d: ("window",),
    ops.AvgPool2d: ("window", "divisor"),
    ops.Sigmoid: (),
    ops.Tanh: (),
    ops.ReLU: (),
    ops.Dropout: ("p",),
    ops.BatchNorm: ("eps",),
    ops.FixedBatchNorm: ("eps",),
    ops.Reshape: (),
    ops.Pad: ("frame", "cut", "value"),
}
# held by every recording, which changes the net's modes, hooks and buffers for a moment
one_at_a_time = threading.RLock()


class CompileError(TypeError):
    """A net, loss or optimiser that cannot be compiled. The message names what is in the way."""


class Stage(NamedTuple):
    """One operation of the chain.

    Attributes:
        operation: as recorded, with its settings (stride, padding...).
        parameters: weight and bias, if it has them.
        input_shape, output_shape: of one image: (C, H, W) or (features,).
        module: of a batch normalisation, the layer that keeps the running statistics.
    """

    operation: ops.Operation
    parameters: tuple[Tensor, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    module: nn.BatchNorm2d | None = None


def record(net: nn.Module, pictures: Array, training: bool | None = None) -> list[Stage]:
    """The operations that ``net`` applies to these pictures, in order.

    The net runs once, in the mode ``training`` (None: its own). Afterwards its mode, buffers and
    hooks are as before, and the next dropout mask is the same as if it had not run. On the CPU it
    runs on the reference kernels, so that Numba compiles nothing for this.

    Raises:
        CompileError: the operations do not form a chain from the pictures to the result.
    """
    x = Tensor(pictures, requires_grad=True)  # so that every operation on it goes on the tape
    which = kernels.by_reference() if x.device == "cpu" else nullcontext()
    with one_at_a_time, _without_trace(net, training) as norms, which, enable_grad():
        result = net(x)
    if not isinstance(result, Tensor):
        raise CompileError(f"compile: the net returns a {type(result).__name__}; wanted a Tensor")
    stages: list[Stage] = []
    while result is not x:  # from the result back to the pictures
        if result.node is None:
            raise CompileError(
                "compile: the result of the net does not depend on its input through operations "
                "on the tape"
            )
        # the first input is the result of the operation before, the others are parameters
        operation, (source, *parameters) = result.node.operation, result.node.inputs
        if isinstance(operation, ops.InPieces):  # a plan cuts a batch in its own way
            operation = operation.make()
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
    return stages[::-1]  # found from the end


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


def chain_of(stages: list[Stage]) -> list[Any]:
    """All that a plan takes from the stages, in a form that can be compared.

    Of an operation that no plan can compute it is the type alone: it will be refused by name.
    """
    return [
        (
            type(stage.operation),
            stage.input_shape,
            stage.output_shape,
            *(_taken_from(stage) if type(stage.operation) in SETTINGS else ()),
        )
        for stage in stages
    ]


def _taken_from(stage: Stage) -> Iterator[Any]:
    for name in SETTINGS[type(stage.operation)]:
        setting = getattr(stage.operation, name)
        yield setting.tolist() if hasattr(setting, "tolist") else setting
    # a layer with only one of weight and bias makes the other in each forward: compare the layer's
    layer = stage.module
    for p in stage.parameters if layer is None else (layer.weight, layer.bias):
        # by identity: an engine holds on to the tensor, whose numbers may change freely
        yield (id(p), p.requires_grad, p.dtype, p.shape) if p is not None else None
    yield id(layer)


@contextmanager
def _without_trace(net: nn.Module, training: bool | None) -> Iterator[dict[int, nn.BatchNorm2d]]:
    """Inside ``with``, the net is in a mode and without hooks; then everything is put back.

    Yields a dict that collects the layer of each batch normalisation, by the operation's id.
    """
    norms: dict[int, nn.BatchNorm2d] = {}

    def remember(layer: nn.Module, inputs: object, output: Tensor) -> None:
        has_its_forward = type(layer).forward is nn.BatchNorm2d.forward
        # a forward of the user's own may do more than this one operation
        if output.node is not None and has_its_forward and "forward" not in vars(layer):
            norms[id(output.node.operation)] = cast(nn.BatchNorm2d, layer)

    modules = list(net.modules())
    # written into their dicts: Module.changes need not count what is put back
    before = [(vars(m), m.training, m._forward_hooks) for m in modules]
    buffers = [(m, b, b.data.copy()) for m in modules for b in m._buffers.values()]
    for module in modules:
        vars(module)["_forward_hooks"] = [remember] if isinstance(module, nn.BatchNorm2d) else []
        vars(module)["training"] = module.training if training is None else training
    try:
        with random.masks_put_back():
            yield norms
        for module, buffer, data in buffers:
            # a plan moves running statistics; what else a forward writes into buffers it would not
            if not isinstance(module, nn.BatchNorm2d) and not (buffer.data == data).all():
                raise CompileError(
                    f"compile: the forward of {type(module).__name__} changes a buffer; only that "
                    "of nn.BatchNorm2d may"
                )
    finally:
        for attributes, mode, hooks in before:
            attributes["training"], attributes["_forward_hooks"] = mode, hooks
        for _, buffer, data in buffers:
            buffer.data[...] = data
