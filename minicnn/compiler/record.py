"""From a net to the graph of operations that it applies."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from minicnn import kernels, nn, ops, random
from minicnn.kernels import Array
from minicnn.kernels.arrays import RELU, SIGMOID, TANH
from minicnn.kernels.locks import whole_at_fork
from minicnn.tape import in_order_of_computation
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
    ops.Add: (),
    ops.Concatenate: ("axis",),
}
# The operations on several results. All others read one result, and parameters.
JOINS = (ops.Add, ops.Concatenate)
# held by every recording, which changes the net's modes, hooks and buffers for a moment
one_at_a_time = threading.RLock()
whole_at_fork(one_at_a_time)


class CompileError(TypeError):
    """A net, loss or optimiser that cannot be compiled. The message names what is in the way."""


class Stage(NamedTuple):
    """One operation of the net.

    Attributes:
        operation: as recorded, with its settings (stride, padding...).
        parameters: weight and bias, if it has them.
        input_shape, output_shape: of one image: (C, H, W) or (features,); of several inputs the
            first one's.
        module: of a batch normalisation, the layer that keeps the running statistics.
        inputs: the numbers of what it reads: 0 are the pictures, k is the result of the k-th stage.
    """

    operation: ops.Operation
    parameters: tuple[Tensor, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    module: nn.BatchNorm2d | None = None
    inputs: tuple[int, ...] = (0,)


@dataclass
class Traces:
    """What a run of the net leaves besides its result.

    Attributes:
        norms: the layer of each batch normalisation. (By the operation itself: the id of one that
            nothing depends on may be another's by now.)
        batches: how many batches each of the net's layers counted, by the layer's id.
        masks: the number of dropout masks drawn.
    """

    norms: dict[ops.Operation, nn.BatchNorm2d] = field(default_factory=dict)
    batches: Counter[int] = field(default_factory=Counter)
    masks: int = 0


def record(net: nn.Module, pictures: Array, training: bool | None = None) -> list[Stage]:
    """The operations that ``net`` applies to these pictures, in the order of computation.

    The net runs once, in the mode ``training`` (None: its own). Afterwards its mode, buffers and
    hooks are as before, and the next dropout mask is the same as if it had not run. On the CPU it
    runs on the reference kernels, so that Numba compiles nothing for this.

    Raises:
        CompileError: the result does not come from the pictures by operations that each read one
            result (and parameters) or join several; nothing depends on the result of a dropout or
            of a batch normalisation, which draws a mask or moves its statistics all the same.
    """
    x = Tensor(pictures, requires_grad=True)  # so that every operation on it goes on the tape
    which = kernels.by_reference() if x.device == "cpu" else nullcontext()
    with one_at_a_time, _without_trace(net, training) as traces, which, enable_grad():
        result = net(x)
    if not isinstance(result, Tensor):
        raise CompileError(f"compile: the net returns a {type(result).__name__}; wanted a Tensor")
    found = in_order_of_computation(result, lambda tensor: _sources(tensor, x))
    # the order of the walk back may differ from that of the forward pass in two branches, and it is
    # the latter by which dropout masks are numbered and a shared layer's statistics move
    results = sorted((tensor for tensor in found if tensor is not x), key=_number)
    numbers = {id(tensor): k for k, tensor in enumerate([x, *results])}
    stages = [_stage(tensor, numbers, traces.norms) for tensor in results]
    _check_all_is_used(stages, traces)
    return stages


def _check_all_is_used(stages: list[Stage], traces: Traces) -> None:
    """A plan computes what the net's result depends on, and nothing else."""
    unused = "compile: the net's result does not depend on that of a"
    if sum(isinstance(stage.operation, ops.Dropout) for stage in stages) < traces.masks:
        raise CompileError(f"{unused} Dropout, which draws a mask in eager mode; a plan would not")
    norms = [stage for stage in stages if isinstance(stage.operation, ops.BatchNorm)]
    if any(stage.module is None for stage in norms):
        return  # no layer of ours: lowering will refuse it
    if traces.batches - Counter(id(stage.module) for stage in norms):
        raise CompileError(
            f"{unused} BatchNorm2d, which moves its statistics in eager mode; a plan would not"
        )


def _number(result: Tensor) -> int:
    assert result.node is not None
    return result.node.number


def _stage(
    result: Tensor, numbers: dict[int, int], norms: dict[ops.Operation, nn.BatchNorm2d]
) -> Stage:
    assert result.node is not None
    operation, inputs = result.node.operation, result.node.inputs
    if isinstance(operation, ops.InPieces | ops.Conv2dByImage):  # a plan cuts in its own way
        operation = operation.whole()
    # what is no source is a parameter
    sources = inputs if isinstance(operation, JOINS) else inputs[:1]
    return Stage(
        operation,
        inputs[len(sources) :],
        inputs[0].shape[1:],
        result.shape[1:],
        norms.get(operation),
        tuple(numbers[id(source)] for source in sources),
    )


def _sources(tensor: Tensor, x: Tensor) -> Sequence[Tensor]:
    """The results that ``tensor`` was computed from, parameters not among them."""
    if tensor is x:
        return ()
    if tensor.node is None:
        raise CompileError(
            "compile: the result of the net does not depend on its input through operations on the "
            "tape"
        )
    operation, inputs = tensor.node.operation, tensor.node.inputs
    if isinstance(operation, JOINS):
        _check_join(operation, inputs)
        sources = inputs
    else:
        sources = inputs[:1]
        if any(p.node is not None or p is x for p in inputs[1:]):
            raise CompileError(
                f"compile: {operation.name} joins two computed tensors; only Add and Concatenate "
                "may (groups of a convolution cut its weight, and so compute it)"
            )
    if any(source.node is None and source is not x for source in sources):
        which = "an" if isinstance(operation, JOINS) else "a first"
        raise CompileError(
            f"compile: {operation.name} has {which} operand that is constant; wanted a result that "
            "depends on the pictures"
        )
    return sources


def _check_join(operation: ops.Operation, inputs: Sequence[Tensor]) -> None:
    shapes = [x.shape for x in inputs]
    if isinstance(operation, ops.Add) and len(set(shapes)) > 1:
        raise CompileError(f"compile: Add of shapes {shapes}; wanted equal ones")
    if isinstance(operation, ops.Concatenate) and operation.axis != 1:
        raise CompileError(
            f"compile: Concatenate along axis {operation.axis}; wanted axis 1, the channels"
        )


def graph_of(stages: list[Stage]) -> list[Any]:
    """All that a plan takes from the stages, in a form that can be compared.

    Of an operation that no plan can compute it is the type alone: it will be refused by name.
    """
    return [
        (
            type(stage.operation),
            stage.inputs,
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
def _without_trace(net: nn.Module, training: bool | None) -> Iterator[Traces]:
    """Inside ``with``, the net is in a mode and without hooks; then everything is put back.

    Yields what was left inside; its counts are complete afterwards.
    """
    traces = Traces()

    def remember(layer: nn.Module, inputs: object, output: Tensor) -> None:
        has_its_forward = type(layer).forward is nn.BatchNorm2d.forward
        # a forward of the user's own may do more than this one operation
        if output.node is not None and has_its_forward and "forward" not in vars(layer):
            traces.norms[output.node.operation] = cast(nn.BatchNorm2d, layer)

    modules = list(net.modules())
    # written into their dicts: Module.changes need not count what is put back
    before = [(vars(m), m.training, m._forward_hooks) for m in modules]
    buffers = [(m, b, b.data.copy()) for m in modules for b in m._buffers.values()]
    for module in modules:
        vars(module)["_forward_hooks"] = [remember] if isinstance(module, nn.BatchNorm2d) else []
        vars(module)["training"] = module.training if training is None else training
    try:
        with random.masks_put_back() as drawn:
            yield traces
            traces.masks = drawn()
        for module, buffer, data in buffers:
            # a plan moves running statistics; what else a forward writes into buffers it would not
            if isinstance(module, nn.BatchNorm2d):
                if buffer is module._buffers.get("num_batches_tracked"):
                    counted = int(buffer.data - data)
                    # a class of the user's own may count each batch more than once
                    is_plain = type(module).count_batch is nn.BatchNorm2d.count_batch
                    traces.batches[id(module)] = counted if is_plain else min(counted, 1)
            elif not (buffer.data == data).all():
                raise CompileError(
                    f"compile: the forward of {type(module).__name__} changes a buffer; only that "
                    "of nn.BatchNorm2d may"
                )
    finally:
        for attributes, mode, hooks in before:
            attributes["training"], attributes["_forward_hooks"] = mode, hooks
        for _, buffer, data in buffers:
            buffer.data[...] = data
