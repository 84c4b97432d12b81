"""The launches of a compiled step on a GPU, and what each operation adds to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from minicnn import nn
from minicnn.kernels import Array, array_module
from minicnn.kernels.arrays import NONE
from minicnn.tensor import Tensor

from ..cpu.plan import shapes
from ..record import CompileError, Stage


@dataclass
class Launch:
    """A kernel with its grid and arguments; FLOPs and bytes are those of the whole batch."""

    kernel: str
    name: str
    what: str
    grid: tuple[int, ...]
    arguments: tuple[Any, ...]
    flops: int
    bytes: int
    seconds: float = 0.0


@dataclass
class Value:
    """A result: its array (N, ...) and the activation it went through last."""

    array: Array
    kind: int = NONE

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image."""
        return tuple(self.array.shape[1:])


@dataclass
class Plan:
    """The launches of a step for batches of ``images``. ``print`` it.

    Attributes:
        backward_from: the first launch of the way back.
        runs: profiled ones.
    """

    images: int
    dtype: np.dtype
    launches: list[Launch] = field(default_factory=list)
    backward_from: int = 0
    runs: int = 0
    memory: int = 0

    @property
    def lines(self) -> list[Launch]:
        """All launches, in order."""
        return self.launches

    def __str__(self) -> str:
        names = max(len(line.name) for line in self.launches) + 2
        whats = max(len(line.what) for line in self.launches) + 2
        head = f"{'':{names + whats}}{'kernel':18}{'blocks':>8}{'MFLOP':>9}{'MB':>8}"
        rows = [head + (f"{'us':>9}{'GFLOP/s':>9}" if self.runs else "")]
        for i, line in enumerate(self.launches):
            if i and i == self.backward_from:
                rows.append("-" * len(rows[0]))
            text = f"{line.name:{names}}{line.what:{whats}}{line.kernel:18}{prod(line.grid):8}"
            rows.append((text + self._numbers([line])).rstrip())
        rows.append(f"{f'{len(self.launches)} launches':{names + whats}}{'':26}"
                    f"{self._numbers(self.launches)}")  # fmt: skip
        rows.append(f"batches of {self.images}; memory {self.memory / 1e6:.2f} MB")
        return "\n".join(rows)

    def _numbers(self, lines: list[Launch]) -> str:
        flops, moved = sum(line.flops for line in lines), sum(line.bytes for line in lines)
        numbers = f"{flops / 1e6:9.2f}{moved / 1e6:8.2f}"
        if not self.runs:
            return numbers
        seconds = sum(line.seconds for line in lines) / self.runs
        rate = f"{flops / seconds / 1e9:.0f}" if flops and seconds else ""
        return f"{numbers}{1e6 * seconds:9.1f}{rate:>9}"


class Program:
    """Collects a step's launches.

    Args:
        like: an array on the device.
        images: in a batch.
        masks: that a step draws.
    """

    def __init__(self, like: Array, images: int, masks: int):
        from minicnn.kernels import gpu

        self.gpu: Any = gpu
        self.xp: Any = array_module(like)
        self.dtype: np.dtype = like.dtype
        self.plan = Plan(images, like.dtype)
        self.images = images
        self.gradients: dict[int, Array] = {}
        self.keys = self.xp.zeros(2 * max(1, masks), np.uint64)
        self.masks = 0  # that were given to a layer
        self.momenta: list[tuple[nn.BatchNorm2d, Array]] = []  # layers, and where theirs lies

    def buffer(self, *shape: int, dtype: Any = None) -> Array:
        """Memory for a result."""
        array = self.xp.zeros(shape, dtype or self.dtype)
        self.plan.memory += array.nbytes
        return array

    def value(self, shape: tuple[int, ...], kind: int = NONE) -> Value:
        """Memory for a result of this shape an image."""
        return Value(self.buffer(self.images, *shape), kind)

    def gradient(self, parameter: Tensor) -> Array:
        """Memory for the gradient of a parameter."""
        if id(parameter) in self.gradients:
            raise CompileError("compile: on a GPU, a parameter cannot be shared by two operations")
        self.gradients[id(parameter)] = self.buffer(*parameter.shape)
        return self.gradients[id(parameter)]

    def momentum_of(self, layer: nn.BatchNorm2d) -> Array:
        """Memory for the momentum of a layer, which may change between steps."""
        self.momenta.append((layer, self.buffer(1)))
        return self.momenta[-1][1]

    def launch(
        self, kernel: str, name: str, what: str, grid: int | tuple[int, int], *arguments: Any,
        flops: int = 0,
    ) -> None:  # fmt: skip
        """Add a kernel on blocks of 256. Arguments: arrays, ints (the kernel's int) or scalars."""
        sizes = grid if isinstance(grid, tuple) else (grid,)
        passed = tuple(np.int32(a) if isinstance(a, int) else a for a in arguments)
        moved = {id(a): a.nbytes for a in passed if not isinstance(a, np.generic)}
        self.plan.launches.append(
            Launch(kernel, name, what, sizes, passed, flops, sum(moved.values()))
        )

    def over_cells(
        self, kernel: str, name: str, what: str, cells: int, arrays: tuple[Any, ...], *rest: Any,
        flops: int = 0,
    ) -> None:  # fmt: skip
        """Add a kernel that loops over cells: arrays, their number, the rest."""
        grid = self.gpu.blocks(cells)
        self.launch(kernel, name, what, grid, *arrays, np.int64(cells), *rest, flops=flops)


class Lowering:
    """One operation of the chain, with the activation behind it where its kernel has one."""

    takes_activation = False
    kind = NONE

    def __init__(self, stage: Stage, needs_dinput: bool):
        self.stage, self.needs_dinput = stage, needs_dinput
        self.operation: Any = stage.operation
        buffers = stage.module._buffers.values() if stage.module else ()
        if not all(t.data.flags.c_contiguous for t in (*stage.parameters, *buffers)):
            raise CompileError("compile: wanted parameters and buffers that are C-contiguous")
        self.learns = any(p.requires_grad for p in stage.parameters)

    def forward(self, program: Program, x: Value) -> Value:
        """Add the launches forward."""
        raise NotImplementedError

    def backward(self, program: Program, dy: Array) -> Array | None:
        """Add the launches backward. Returns dx, already through the activation x came from."""
        raise NotImplementedError

    def _parameters(self) -> tuple[Array, Array, int]:
        """Weight, bias (some array if there is none), and whether there is one."""
        arrays = [p.data for p in self.stage.parameters]
        return arrays[0], arrays[-1], int(len(arrays) == 2)

    def _gradients(self, program: Program) -> tuple[Array, Array]:
        arrays = [program.gradient(p) for p in self.stage.parameters]
        return arrays[0], arrays[-1]

    @property
    def title(self) -> str:
        """Its name, with that of the activation."""
        return self.operation.name + ("", ", sigmoid", ", tanh", ", relu")[self.kind]


def through_activation(program: Program, dy: Array, x: Value) -> Array:
    dx = program.value(x.shape)
    program.over_cells("activate_backward", "activation dinput", shapes(x.shape), dx.array.size,
                       (dy, x.array, dx.array), x.kind)  # fmt: skip
    return dx.array
