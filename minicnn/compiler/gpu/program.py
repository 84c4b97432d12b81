"""The launches of a compiled step on a GPU, their memory, and the table that ``print`` shows.

Which launches an operation becomes stands in ``conv.py``, ``linear.py`` and so on; what the kernels
do, in ``kernels/gpu/*.cu``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from minicnn import nn
from minicnn.device import COMPILING
from minicnn.kernels import Array, array_module
from minicnn.kernels.arrays import NONE
from minicnn.tensor import Tensor
from minicnn.terminal import said_if_slow

from ..lowering import Lowering
from ..record import CompileError, Stage
from ..table import Column, Line, bytes_of, flops_of, shapes, table, times


@dataclass(kw_only=True)
class Launch(Line):
    """A kernel with its grid of blocks and its arguments; FLOPs and bytes are of the batch.

    Attributes:
        arguments: an int is a size of the plan: the kernel is compiled with it as a literal. Arrays
            and NumPy scalars are passed.
        block: threads of a block.
        shared: bytes of ``extern __shared__`` memory that a block gets.
    """

    kernel: str
    grid: tuple[int, ...]
    arguments: tuple[Any, ...]
    block: int
    shared: int = 0

    @property
    def passed(self) -> tuple[Any, ...]:
        """The arguments without the literals."""
        return tuple(a for a in self.arguments if not isinstance(a, int))


@dataclass
class Value:
    """A result: its array (N, ...), and the activation it has been through last.

    On the way back, whoever computes the gradient with respect to this result also multiplies it by
    the slope of that activation, which is a function of the result: s (1 - s) for a sigmoid.
    """

    array: Array
    kind: int = NONE

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image."""
        return tuple(self.array.shape[1:])


@dataclass
class GpuPlan:
    """The launches of a step or a prediction for batches of ``images``. ``print`` it.

    Attributes:
        backward_from: the first launch of the backward pass.
        masks: the dropout masks that a step draws.
        memory: bytes of all buffers.
        runs: how many steps were profiled.
    """

    images: int
    dtype: np.dtype
    launches: list[Launch] = field(default_factory=list)
    backward_from: int = 0
    masks: int = 0
    memory: int = 0
    runs: int = 0

    @property
    def lines(self) -> list[Launch]:
        """All launches, in order."""
        return self.launches

    def __str__(self) -> str:
        columns = [
            Column("  kernel", "20", lambda lines: _of_one(lines, lambda line: f"  {line.kernel}")),
            Column("blocks", ">8", lambda lines: _of_one(lines, lambda line: prod(line.grid))),
            Column("MFLOP", ">9", lambda lines: f"{flops_of(lines) / 1e6:.2f}"),
            Column("MB", ">8", lambda lines: f"{bytes_of(lines) / 1e6:.2f}"),
            *times(self.runs, ".1f", ".0f"),
        ]
        total = f"{len(self.launches)} launches"
        rows = table(self.launches, self.backward_from, total, columns)
        foot = f"batches of {self.images}; memory {self.memory / 1e6:.2f} MB"
        return "\n".join([*rows, foot])


def _of_one(lines: Sequence[Any], text: Any) -> str:
    """What a column says that has no total."""
    return str(text(lines[0])) if len(lines) == 1 else ""


class Program:
    """Collects a step's launches and allocates what they read and write.

    Args:
        like: an array on the device.
        images: in a batch.
        masks: the dropout masks that a step draws.
        keys: seed and number of each mask, on the device.

    Attributes:
        gradients: with respect to the parameters, by their ids; each in parts.
        n: ``images`` as an argument that is passed: a smaller last batch needs no other kernels.
        goes_back: whether a backward pass will follow, which may want what forward can keep.
    """

    def __init__(self, like: Array, images: int, masks: int, keys: Array):
        from minicnn.kernels.gpu import launch, literal  # which load CuPy

        self.gpu: Any = launch
        self.literal: Any = literal
        self.xp: Any = array_module(like)
        self.dtype: np.dtype = like.dtype
        self.plan = GpuPlan(images, like.dtype, masks=masks)
        self.images, self.n = images, np.int32(images)
        self.gradients: dict[int, Array] = {}
        self.further: dict[int, list[Array]] = {}  # of parameters that several operations share
        # what changes between steps lies in device memory, where a replayed graph reads it
        self.keys = self.free_keys = keys  # free: those of the masks that no layer has taken yet
        self.goes_back = True
        self.kept: list[Array] = []  # whose addresses stand in a table: see address
        self.pending: list[Any] = []  # the products that no launch has yet: see products.py
        self.momenta: list[tuple[nn.BatchNorm2d, Array]] = []  # layers, and where theirs lies

    def buffer(self, *shape: int, dtype: Any = None) -> Array:
        """Memory for a result."""
        array = self.xp.zeros(shape, dtype or self.dtype)
        self.plan.memory += array.nbytes
        return array

    def value(self, shape: tuple[int, ...], kind: int = NONE) -> Value:
        """Memory for a result of this shape for each image."""
        return Value(self.buffer(self.images, *shape), kind)

    def gradient(self, parameter: Tensor, parts: int = 1) -> Array:
        """Memory for the gradient of a parameter, as one operation computes it.

        It is (parts, *its shape); each part is a sum over some of the images. The update, a step's
        last launch, leaves their sum in the first one.
        """
        gradient = self.buffer(parts, *parameter.shape)
        if id(parameter) in self.gradients:
            self.further.setdefault(id(parameter), []).append(gradient)
        else:
            self.gradients[id(parameter)] = gradient
        return gradient

    def join_shared(self) -> None:
        """Add what puts together the parts of gradients that several operations have computed."""
        for number, further in self.further.items():
            arrays = [self.gradients[number], *further]  # in the order of the backward pass
            (_, *shape), parts = arrays[0].shape, sum(map(len, arrays))
            whole, begin = self.buffer(parts, *shape), 0
            for array in arrays:
                # as cells of one image: from the first to its place among all parts
                self.over_cells("copy_cells", "join dweight", shapes(tuple(shape)), array.size,
                                (array, whole), array.size, array.size, whole.size, 0,
                                begin)  # fmt: skip
                begin += array.size
            self.gradients[number] = whole

    def constant(self, numbers: Any, dtype: Any) -> Array:
        """Numbers that a kernel reads from device memory."""
        # CuPy takes a copy of what it sends so: these numbers need not outlive the call
        array = self.xp.asarray(np.ascontiguousarray(numbers, dtype))
        self.plan.memory += array.nbytes
        return array

    def address(self, array: Array | None) -> int:
        """Where an array lies, for a table that a kernel reads; 0 for None. It is kept alive."""
        if array is None:
            return 0
        self.kept.append(array)
        return int(array.data.ptr)

    def mask_key(self) -> Array:
        """Where the key of the next layer's dropout mask lies."""
        # in the order of computation: mask k of a step is that of the k-th dropout
        key, self.free_keys = self.free_keys[:2], self.free_keys[2:]
        return key

    def momentum_of(self, layer: nn.BatchNorm2d) -> Array:
        """Where the momentum of a layer lies, which may change between steps."""
        self.momenta.append((layer, self.buffer(1)))
        return self.momenta[-1][1]

    def launch(
        self,
        kernel: str,
        name: str,
        what: str,
        grid: int | tuple[int, int],
        *arguments: Any,
        flops: int = 0,
        block: int | None = None,
        cells: int = 0,
    ) -> None:
        """Add a kernel: see ``Launch``. Blocks of 256 unless ``block`` says how many threads.

        cells: of shared memory of a block, if the kernel leaves that to its launch.
        """
        sizes = grid if isinstance(grid, tuple) else (grid,)
        # an array that is passed twice is moved once
        moved = {id(a): a.nbytes for a in arguments if not isinstance(a, int | np.generic)}
        line = name, what, flops, sum(moved.values())
        # fmt: off
        one = Launch(*line, kernel=kernel, grid=sizes, arguments=arguments,
                     block=block or self.gpu.BLOCK, shared=cells * self.dtype.itemsize)
        # fmt: on
        self.plan.launches.append(one)

    def compiled(self) -> list[Any]:
        """The kernel of each launch, with the plan's sizes as literals."""
        calls = [self.literal.Call(x.kernel, x.arguments, x.block) for x in self.plan.launches]
        with said_if_slow(
            COMPILING
        ):  # the first time, on a machine, NVIDIA's compiler takes seconds
            return list(self.literal.compiled(calls, self.dtype.name))

    def over_cells(
        self,
        kernel: str,
        name: str,
        what: str,
        cells: int,
        arrays: tuple[Any, ...],
        *others: Any,
        each: int = 1,
        flops: int = 0,
    ) -> None:
        """Add a kernel that loops over cells: arrays, number of cells, other arguments.

        each: how many neighbouring cells a thread takes.
        """
        grid = self.gpu.blocks(-(-cells // each))
        self.launch(kernel, name, what, grid, *arrays, np.int64(cells), *others, flops=flops)


class GpuLowering(Lowering[Program, Value, Array]):
    """One operation of the net, with the activation after it where its kernel can apply one.

    ``backward`` returns dx multiplied by the slope of the activation that x came from
    (``x.kind``): the gradient with respect to what that activation was applied to.

    Attributes:
        kind: the activation that its kernel applies to the result.
        is_applied: whether it is an activation that the kernel before it applies.
        chain: the launch of several layers that computes it, if there is one: see chain.py.
    """

    takes_activation = False
    kind = NONE
    is_applied = False
    chain: Any = None

    def __init__(self, stage: Stage, needs_dinput: bool):
        super().__init__(stage, needs_dinput)
        # the kernels compute a cell's place from the sizes alone
        buffers = stage.module._buffers.values() if stage.module else ()
        if not all(t.data.flags.c_contiguous for t in (*stage.parameters, *buffers)):
            raise CompileError("compile: wanted parameters and buffers that are C-contiguous")

    def _parameters(self) -> tuple[Array, Array, int]:
        """Weight, bias (some array if there is none), and whether there is one."""
        arrays = [p.data for p in self.stage.parameters]
        return arrays[0], arrays[-1], int(len(arrays) == 2)

    def _gradients(self, program: Program, parts: int = 1) -> tuple[Array, Array]:
        """Memory for dweight and dbias (the same twice if there is no bias)."""
        arrays = [program.gradient(p, parts) for p in self.stage.parameters]
        return arrays[0], arrays[-1]

    @property
    def may_apply_one(self) -> bool:
        """Whether its kernel can apply the activation that reads its result, and no other does."""
        return self.takes_activation and self.kind == NONE and self.readers == 1

    @property
    def title(self) -> str:
        """Its name, with that of the activation."""
        return self.operation.name + ("", ", sigmoid", ", tanh", ", relu")[self.kind]


def through_activation(program: Program, dy: Array, x: Value) -> Array:
    """dy times the slope of the activation that x came from: by a kernel, if there is one."""
    if x.kind == NONE:
        return dy
    dx = program.value(x.shape)
    program.over_cells("activate_backward", "activation dinput", shapes(x.shape), dx.array.size,
                       (dy, x.array, dx.array), x.kind, each=4)  # fmt: skip
    return dx.array
