"""A compiled step on a GPU: the chain's kernels with their buffers, replayed as one CUDA graph.

The kernels are those of ``kernels/steps.cu``. An activation is computed by the kernel before it,
and on the way back its slope by the kernel behind it, so LeNet's step is 18 launches. All buffers
are allocated once; learning rate, dropout keys and sums of the epoch lie in device memory; the
launches are captured once for each batch size and replayed with one call a step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, log, prod
from typing import Any

import numpy as np

from minicnn import nn, ops, optim, random
from minicnn.device import device_of
from minicnn.kernels import Array, array_module
from minicnn.kernels.arrays import NONE
from minicnn.tensor import Tensor

from .cpu.plan import shapes
from .record import ACTIVATIONS, CompileError, Stage, lowering_of

TILE, ROWS = 16, 4  # as in kernels/steps.cu
SETTINGS = 11  # at most: two of the loss, and those of the update


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


class Conv2d(Lowering):
    """See ``ops.conv``: direct, 4 channels a thread."""

    takes_activation = True

    def forward(self, program: Program, x: Value) -> Value:
        self.x, (w, b, has_bias) = x, self._parameters()
        (self.o, c, kh, kw), (h, wide) = w.shape, x.shape[1:]
        stride, padding, dilation = self.operation.window
        oh, ow = self.operation.output
        sizes = (c, h, wide, kh, kw, *stride, *padding, *dilation, oh, ow)
        self.window = (self.o, *sizes)
        y = program.value((self.o, oh, ow), self.kind)
        self.flops = 2 * y.array.size * c * kh * kw
        cells = program.images * -(-self.o // ROWS) * oh * ow
        program.over_cells("conv_forward", self.title, f"{shapes(x.shape, y.shape)}, {kh}x{kw}",
                           cells, (x.array, w, b, y.array), has_bias, self.kind, *self.window,
                           flops=self.flops)  # fmt: skip
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        w, x = self._parameters()[0], self.x
        if self.learns:
            dw, db = self._gradients(program)
            blocks = w.size + (self.o if len(self.stage.parameters) == 2 else 0)
            what = shapes(dy.shape[1:], w.shape)
            program.launch("conv_dweight", "conv dweight, dbias", what, blocks, x.array, dy, dw, db,
                           program.images, *self.window, flops=self.flops)  # fmt: skip
        if not self.needs_dinput:
            return None
        dx = program.value(x.shape)
        c, h, wide = x.shape
        cells = program.images * -(-c // ROWS) * h * wide
        program.over_cells("conv_dinput", "conv dinput", shapes(dy.shape[1:], x.shape), cells,
                           (dy, w, x.array, dx.array), x.kind, *self.window,
                           flops=self.flops)  # fmt: skip
        return dx.array


class Linear(Lowering):
    """See ``ops.linear``: products of 16 x 16 tiles in shared memory."""

    takes_activation = True

    def forward(self, program: Program, x: Value) -> Value:
        self.x, (w, b, has_bias) = x, self._parameters()
        if len(x.shape) != 1:
            raise CompileError("compile: wanted a dense layer behind a flattening")
        (o, k), n = w.shape, program.images
        y = program.value((o,), self.kind)
        self.flops = 2 * n * o * k
        blocks = max(1, -(-n // TILE)) * -(-o // TILE)  # a grid has to have one at least
        program.launch("dense_forward", self.title, shapes((k,), (o,)), blocks, x.array, w, b,
                       y.array, has_bias, self.kind, n, o, k, flops=self.flops)  # fmt: skip
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        if not (self.learns or self.needs_dinput):
            return None
        w, _, has_bias = self._parameters()
        (o, k), n, x = w.shape, program.images, self.x
        dw, db = self._gradients(program)
        dx = program.value(x.shape).array if self.needs_dinput else dw
        blocks = -(-o // TILE) * -(-(k + 1) // TILE)
        blocks += -(-n // TILE) * -(-k // TILE) if self.needs_dinput else 0
        name = "dense dweight, dbias, dinput" if self.needs_dinput else "dense dweight, dbias"
        flops = self.flops * (2 if self.needs_dinput else 1)
        program.launch("dense_backward", name, shapes((o,), w.shape), blocks, x.array, dy, w,
                       x.array, dw, db, dx, has_bias, x.kind, n, o, k, flops=flops)  # fmt: skip
        return dx if self.needs_dinput else None


class Pool(Lowering):
    """What max and average pooling share."""

    name: str

    def forward(self, program: Program, x: Value) -> Value:
        self.x = x
        y = program.value(self.stage.output_shape)
        kernel = self.operation.window[0]
        what = f"{shapes(x.shape, y.shape)}, {kernel[0]}x{kernel[1]}"
        arrays, self.sizes, self.extra = self._prepare(program, x, y)
        program.over_cells(self.name, self.name.replace("_", " "), what, y.array.size, arrays,
                           *self.sizes)  # fmt: skip
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        if not self.needs_dinput:
            return None
        x, dx = self.x, program.value(self.x.shape)
        name = f"{self.name.replace('_', ' ')} dinput"
        program.over_cells(f"{self.name}_dinput", name, shapes(dy.shape[1:], x.shape),
                           dx.array.size, (dy, self.extra, x.array, dx.array), x.kind,
                           *self.sizes)  # fmt: skip
        return dx.array

    def _prepare(self, program: Program, x: Value, y: Value) -> Any:
        """The arrays of the forward kernel, the sizes of both, and what goes back besides dy."""
        raise NotImplementedError


class MaxPool2d(Pool):
    """Keeps the cell that won each window."""

    name = "max_pool"

    def _prepare(self, program: Program, x: Value, y: Value) -> Any:
        index = program.buffer(*y.array.shape, dtype=np.int64)
        *window, output = self.operation.window
        sizes = (*x.shape[1:], *(n for pair in window for n in pair), *output)
        return (x.array, y.array, index), sizes, index


class AvgPool2d(Pool):
    """Divides by a table of divisors."""

    name = "avg_pool"

    def _prepare(self, program: Program, x: Value, y: Value) -> Any:
        divisor = program.xp.ascontiguousarray(self.operation.divisor, program.dtype)
        sizes = (*x.shape[1:], *(n for pair in self.operation.window for n in pair), *y.shape[1:])
        return (x.array, divisor, y.array), sizes, divisor


class Activation(Lowering):
    """By itself, where no kernel before it takes it along."""

    def __init__(self, stage: Stage, needs_dinput: bool):
        super().__init__(stage, needs_dinput)
        self.kind = ACTIVATIONS[type(stage.operation)]

    def forward(self, program: Program, x: Value) -> Value:
        self.x, y = x, program.value(x.shape, self.kind)
        name = self.operation.name.lower()
        program.over_cells("activate", name, shapes(x.shape), y.array.size, (x.array, y.array),
                           self.kind)  # fmt: skip
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        if not self.needs_dinput or self.x.kind == NONE:
            return dy if self.needs_dinput else None
        return _through_activation(program, dy, self.x)


class Dropout(Lowering):
    """Draws the mask forward, and the same one again backward."""

    def forward(self, program: Program, x: Value) -> Value:
        self.x, y = x, program.value(x.shape)
        self.mask = program.masks
        program.masks += 1
        self._launch(program, "dropout", x.array, y.array, NONE)
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        if not self.needs_dinput:
            return None
        dx = program.value(self.x.shape)
        self._launch(program, "dropout dinput", dy, dx.array, self.x.kind)
        return dx.array

    def _launch(self, program: Program, name: str, x: Array, y: Array, kind: int) -> None:
        key = program.keys[2 * self.mask : 2 * self.mask + 2]
        arguments = x, self.x.array, y, np.int64(y.size), key, program.dtype.type(self.operation.p)
        blocks = program.gpu.blocks(y.size)
        program.launch("dropout", name, shapes(self.x.shape), blocks, *arguments, kind)


class BatchNorm(Lowering):
    """See ``ops.norm``: a block for each channel's sums, a thread for each cell.

    Where no running statistics are kept, some are that nobody reads.
    """

    takes_activation = True
    is_fixed = False  # mean and variance, whatever x is

    def forward(self, program: Program, x: Value) -> Value:
        if self.stage.module is None:
            raise CompileError(f"compile: {self.operation.name} outside of nn.BatchNorm2d")
        self.x, self.layer = x, self.stage.module
        self._check_methods()
        c, h, w = x.shape
        self.sizes, self.eps = (c, h * w), program.dtype.type(self.operation.eps)
        running = self._running(program)
        self.mean, self.var = self._statistics(program, running)
        gamma, beta, has_affine = self._parameters()
        y = program.value(x.shape, self.kind)
        arrays = x.array, gamma, beta, self.mean, self.var, y.array, running[2]
        program.over_cells("norm_forward", self.title, shapes(x.shape), y.array.size, arrays,
                           has_affine, int(not self.is_fixed), self.kind, self.eps,
                           *self.sizes)  # fmt: skip
        return y

    def _check_methods(self) -> None:
        """The device moves the statistics and counts the batches: it calls no method."""
        kind = type(self.layer)
        for name in ("count_batch", "next_momentum"):
            is_own = getattr(kind, name) is not getattr(nn.BatchNorm2d, name)
            if is_own or name in vars(self.layer):
                raise CompileError(f"compile: a {kind.__name__} with its own {name}, on a GPU")

    def _running(self, program: Program) -> tuple[Array, Array, Array]:
        """The layer's running mean and variance, and how many batches it has seen."""
        layer, c = self.layer, self.sizes[0]
        if layer.running_mean is None or layer.running_var is None:
            return program.buffer(c), program.buffer(c), program.buffer(1, dtype=np.int64)
        batches = layer.num_batches_tracked.data
        if batches.dtype != np.int64:
            raise CompileError(f"compile: num_batches_tracked is {batches.dtype}; wanted int64")
        return layer.running_mean.data, layer.running_var.data, batches

    def _statistics(
        self, program: Program, running: tuple[Array, Array, Array]
    ) -> tuple[Array, Array]:
        """Mean and variance of the batch, which move the running ones."""
        (c, values), x = self.sizes, self.x.array
        if program.images * values == 1:
            raise ValueError(
                "batch_norm: 1 value a channel; the statistics of a batch need two or more"
            )
        mean, var = program.buffer(c), program.buffer(c)
        if program.images == 0:  # nothing to normalise, and no statistics: any will do
            return mean, var
        momentum = program.momentum_of(self.layer)
        program.launch("norm_moments", "mean, variance", shapes(self.x.shape, (c,)), c, x, mean,
                       var, *running, momentum, program.images, *self.sizes)  # fmt: skip
        return mean, var

    def _parameters(self) -> tuple[Array, Array, int]:
        return super()._parameters() if self.stage.parameters else (self.mean, self.var, 0)

    def backward(self, program: Program, dy: Array) -> Array | None:
        sums = self._sums(program, dy)
        if not self.needs_dinput:
            return None
        x, dx, (gamma, _, has_affine) = self.x, program.value(self.x.shape), self._parameters()
        arrays = x.array, dy, gamma, self.mean, self.var, *sums, x.array, dx.array
        program.over_cells("norm_dinput", "norm dinput", shapes(x.shape), dx.array.size, arrays,
                           has_affine, int(self.is_fixed), x.kind, self.eps, program.images,
                           *self.sizes)  # fmt: skip
        return dx.array

    def _sums(self, program: Program, dy: Array) -> tuple[Array, Array]:
        """dweight and dbias: dx needs them as well, unless mean and variance are fixed."""
        c = self.sizes[0]
        is_needed = self.learns or (self.needs_dinput and not self.is_fixed)
        if not is_needed:
            return self.mean, self.var
        sums = self._gradients(program) if self.learns else (program.buffer(c), program.buffer(c))
        program.launch("norm_dweight", "norm dweight, dbias", shapes(self.x.shape, (c,)), c,
                       self.x.array, dy, self.mean, self.var, *sums, self.eps, program.images,
                       *self.sizes)  # fmt: skip
        return sums


class FixedBatchNorm(BatchNorm):
    """With the running statistics, as they are when the step runs."""

    is_fixed = True

    def _statistics(
        self, program: Program, running: tuple[Array, Array, Array]
    ) -> tuple[Array, Array]:
        return running[:2]


class Reshape(Lowering):
    """Flattening: the same cells, in the same order."""

    def forward(self, program: Program, x: Value) -> Value:
        self.shape = x.shape
        return Value(x.array.reshape(program.images, *self.stage.output_shape), x.kind)

    def backward(self, program: Program, dy: Array) -> Array | None:
        return dy.reshape(program.images, *self.shape) if self.needs_dinput else None


LOWERINGS: dict[type[ops.Operation], type[Lowering]] = {
    ops.Conv2d: Conv2d,
    ops.Linear: Linear,
    ops.MaxPool2d: MaxPool2d,
    ops.AvgPool2d: AvgPool2d,
    ops.Sigmoid: Activation,
    ops.Tanh: Activation,
    ops.ReLU: Activation,
    ops.Dropout: Dropout,
    ops.BatchNorm: BatchNorm,
    ops.FixedBatchNorm: FixedBatchNorm,
    ops.Reshape: Reshape,
}


def lower(stages: list[Stage]) -> list[Lowering]:
    """The lowerings of the chain, activations joined to the operation before where it takes one.

    Raises:
        CompileError: an operation that has no lowering.
    """
    lowered: list[Lowering] = []
    learns = False
    for stage in stages:
        lowering = lowering_of(stage, LOWERINGS, " for a GPU")
        kind = ACTIVATIONS.get(type(stage.operation), NONE)
        if kind and lowered and lowered[-1].takes_activation and lowered[-1].kind == NONE:
            lowered[-1].kind = kind
        else:
            lowered.append(lowering(stage, learns))
        learns = learns or any(p.requires_grad for p in stage.parameters)
    return lowered


class Counts:
    """The loss and what was right, summed up over an epoch on the device."""

    def __init__(self, like: Array):
        xp = array_module(like)
        self.loss, self.hits = xp.zeros((), like.dtype), xp.zeros((), np.int64)

    def __copy__(self) -> Counts:
        other = Counts(self.loss)
        other.loss, other.hits = self.now()
        return other

    def reset(self) -> None:
        """Begin anew."""
        self.loss.fill(0)
        self.hits.fill(0)

    def now(self) -> tuple[Array, Array]:
        """Both sums as they stand now: copies on the device; to read them is to wait."""
        return self.loss.copy(), self.hits.copy()


class Engine:
    """The program of one batch size, with what changes from step to step in device memory.

    Args:
        stages: the chain.
        x: a batch, on the device: its shape and dtype count.
        like: a parameter's array.
        loss: None for a prediction.
        counts: where the sums of the epoch go.
        use_graph: capture the launches and replay them.
    """

    def __init__(
        self,
        stages: list[Stage],
        x: Array,
        like: Array,
        loss: nn.CrossEntropyLoss | None,
        counts: Counts,
        use_graph: bool,
    ):
        self.lowered = lower(stages)
        # a launch is given addresses: whoever has another array needs another plan
        self.placed = [(p, p.data.data.ptr, p.requires_grad) for s in stages for p in s.parameters]
        masks = sum(isinstance(lowering, Dropout) for lowering in self.lowered)
        self.program = Program(like, len(x), masks)
        self.settings = self.program.buffer(SETTINGS)
        self.known: dict[str, tuple[Any, ...]] = {}
        self.sent: dict[str, np.ndarray] = {}
        self.loss, self.counts, self.use_graph = loss, counts, use_graph
        self.graph: Any = None
        self.is_warm = False
        self.plan = self.program.plan
        self._emit(x)

    def _emit(self, x: Array) -> None:
        program = self.program
        self.given = program.buffer(*x.shape, dtype=x.dtype)
        value = Value(self.given)
        if x.dtype == np.uint8:
            value = program.value(x.shape[1:])
            program.over_cells("load_pixels", "load pixels", shapes(value.shape),
                               value.array.size, (self.given, value.array))  # fmt: skip
        for lowering in self.lowered:
            value = lowering.forward(program, value)
        self.logits = value.array
        if self.loss is None:
            return
        dy: Array | None = self._emit_loss(value)
        program.plan.backward_from = len(program.plan.launches)
        if value.kind != NONE:
            dy = _through_activation(program, dy, value)
        for lowering in reversed(self.lowered):
            if dy is None:
                break
            dy = lowering.backward(program, dy)

    def _emit_loss(self, logits: Value) -> Array:
        program, loss = self.program, self.loss
        assert loss is not None
        (classes,), n = logits.shape, program.images
        self.labels, self.result = program.buffer(n, dtype=np.int64), program.buffer(1)
        weight = self._class_weights(classes)
        dlogits = program.value(logits.shape)
        ignored, is_mean = np.int64(loss.ignore_index), int(loss.reduction == "mean")
        program.launch("loss", "cross-entropy", shapes(logits.shape), 1, logits.array, self.labels,
                       weight, self.settings, dlogits.array, self.result, self.counts.loss,
                       self.counts.hits, n, classes, ignored, is_mean)  # fmt: skip
        return dlogits.array

    def _class_weights(self, classes: int) -> Array:
        program, loss = self.program, self.loss
        if loss is None or loss.weight is None:
            return program.xp.ones(classes, program.dtype)
        weight, device = loss.weight, device_of(self.given)
        if (weight.shape, weight.dtype, weight.device) != ((classes,), program.dtype, device):
            raise TypeError(
                f"compile: the loss's weight is {weight.dtype} of shape {weight.shape} on "
                f"{weight.device}; wanted {program.dtype} of shape ({classes},) on {device}"
            )
        if not weight.data.flags.c_contiguous:
            raise CompileError("compile: wanted a weight of the loss that is C-contiguous")
        return weight.data

    def add_update(self, learned: list[Tensor], kernel: str) -> None:
        """Add the last launch: the optimiser's step, for each parameter that has a gradient."""
        if learned:
            program = self.program
            self.table = program.buffer(len(learned), 7, dtype=np.uint64)
            largest = max(p.size for p in learned)
            grid = (program.gpu.blocks(largest), len(learned))
            name, what = f"update_{kernel}", f"{len(learned)} parameters"
            program.launch(name, "update", what, grid, self.table, self.settings, program.keys,
                           program.masks)  # fmt: skip
            # the kernel finds them by their addresses: p and g are read, p is written
            program.plan.launches[-1].bytes += 3 * sum(p.data.nbytes for p in learned)

    def run(self, profile: bool = False) -> None:
        """All launches, in order: one by one at first, then as a graph."""
        if profile:
            self._run_profiled()
        elif self.use_graph and self.is_warm:
            self._captured().launch()
        else:
            self._launch_all()
            self.is_warm = True  # kernels are compiled and loaded: neither may happen in a capture

    def _kernel(self, launch: Launch) -> Any:
        return self.program.gpu.kernel(launch.kernel, self.program.dtype.name)

    def _launch_all(self) -> None:
        for launch in self.program.plan.launches:
            self._launch(launch)

    def _launch(self, launch: Launch) -> None:
        self._kernel(launch)(launch.grid, (self.program.gpu.BLOCK,), launch.arguments)

    def _captured(self) -> Any:
        if self.graph is None:
            stream = self.program.xp.cuda.Stream(non_blocking=True)
            with stream:
                stream.begin_capture()
                self._launch_all()
                self.graph = stream.end_capture()
        return self.graph

    def _run_profiled(self) -> None:
        """Each launch between two events; the first step compiles and is not timed."""
        if not self.is_warm:
            self._launch_all()
            self.is_warm = True
            return
        cuda, plan = self.program.xp.cuda, self.program.plan
        events = [cuda.Event() for _ in range(len(plan.launches) + 1)]
        events[0].record()
        for launch, done in zip(plan.launches, events[1:], strict=True):
            self._launch(launch)
            done.record()
        events[-1].synchronize()
        for launch, (begin, end) in zip(plan.launches, pairwise(events), strict=True):
            launch.seconds += cuda.get_elapsed_time(begin, end) / 1e3
        plan.runs += 1

    def fits(self) -> bool:
        """Whether the parameters are where they were, and learn as they did."""
        return all(
            p.data.data.ptr == address and p.requires_grad is learns
            for p, address, learns in self.placed
        )

    def is_current(self) -> bool:
        """Never known for sure: a plan depends on the addresses of parameters and buffers."""
        return False

    def gradient_of(self, parameter: Tensor) -> Array | None:
        """The last step's gradient of a parameter of the plan: always the same array."""
        return self.program.gradients.get(id(parameter))

    # What the host tells the device, when it changes ----------------------------------------------

    def set_settings(self, optimizer: optim.Optimizer, gradient: float) -> None:
        """What kernels/steps.cu calls settings: the loss's, then those of the update."""
        assert self.loss is not None
        of_loss, of_update = (gradient, self.loss.label_smoothing), optimizer.settings()
        if isinstance(optimizer, optim.Adam):
            lr, beta1, beta2, *others = of_update
            logs = [log(beta) if beta else -inf for beta in (beta1, beta2)]
            of_update = (lr, *logs, 1 - beta1, 1 - beta2, *others)
        elif isinstance(optimizer, optim.Adadelta):
            lr, rho, *others = of_update
            of_update = (lr, 1 - rho, *others)
        unused = SETTINGS - len(of_loss) - len(of_update)
        self._send("settings", (*of_loss, *of_update, *[0.0] * unused), self.settings)

    def set_table(self, learned: list[Tensor], states: list[tuple[list[Array], int]]) -> None:
        """Where each parameter, its gradient and its state lie; its size, and the step's number."""
        gradients = self.program.gradients
        rows = tuple(
            (p.data.data.ptr, gradients[id(p)].data.ptr, *_three_addresses(state), p.size, step)
            for p, (state, step) in zip(learned, states, strict=True)
        )
        if rows:
            self._send("table", rows, self.table)

    def set_keys(self, moves_on: bool) -> None:
        """The keys of the step's dropout masks; ``moves_on``: the step ends with ``update``."""
        masks = self.program.masks
        keys = tuple(n for _ in range(masks) for n in random.next_mask_key())
        if keys:
            self._send("keys", keys, self.program.keys)
        if moves_on:
            self.known["keys"] = tuple(n + masks * (i % 2) for i, n in enumerate(keys))

    def set_momenta(self) -> None:
        """The momentum of each batch normalisation; an infinite one averages over all batches."""
        for i, (layer, array) in enumerate(self.program.momenta):
            momentum = inf if layer.momentum is None else layer.momentum
            self._send(f"momentum {i}", (momentum,), array)

    def _send(self, name: str, numbers: tuple[Any, ...], array: Array) -> None:
        """Copy numbers to the device, if they are others than it has."""
        if self.known.get(name) != numbers:
            self.known[name] = numbers
            self.sent[name] = np.array(numbers, array.dtype)  # kept: the copy may be under way
            array.set(self.sent[name])


def _through_activation(program: Program, dy: Array, x: Value) -> Array:
    dx = program.value(x.shape)
    program.over_cells("activate_backward", "activation dinput", shapes(x.shape), dx.array.size,
                       (dy, x.array, dx.array), x.kind)  # fmt: skip
    return dx.array


def _three_addresses(state: list[Array]) -> list[int]:
    return [array.data.ptr for array in state] + [0] * (3 - len(state))
