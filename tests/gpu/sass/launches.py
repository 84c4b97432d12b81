"""The launches of a compiled training step, recorded on the stand-in for CuPy, and their counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

import minicnn
from minicnn import Tensor, models, nn
from minicnn.device import gpu_problem, to_device
from minicnn.train.recipe import RECIPES
from tests.gpu.pretend import standin_for_cupy

from .assembly import Kernel, kernels
from .warps import LANES, Warps

MOST_ISSUED = 400_000  # instructions of the warps of a launch that are gone through
FEWEST_BLOCKS = 8
MOST_SETTINGS = 64  # numbers; longer arrays are data


class Launch(NamedTuple):
    """A kernel's launch, as CuPy is asked for it.

    Attributes:
        code, options: the source, and what it is compiled with.
        arguments: NumPy scalars, and the memory of arrays.
        shared: bytes of shared memory that a block gets, more than the source declares.
        name: the kernel's in ``kernels/gpu/*.cu``; compiled, it may have another.
        what: the shapes, as the plan shows them.
        flops: of the launch; a multiply-add is two.
    """

    kernel: str
    code: str
    options: tuple[str, ...]
    grid: tuple[int, ...]
    block: tuple[int, ...]
    arguments: tuple[Any, ...]
    shared: int = 0
    name: str = ""
    what: str = ""
    flops: int = 0

    @property
    def warps_of_block(self) -> int:
        return -(-prod(self.block) // LANES)

    @property
    def warps(self) -> int:
        return prod(self.grid) * self.warps_of_block


class Counted(NamedTuple):
    """What a launch costs.

    Attributes:
        cycles_of_banks: how long a warp keeps the banks of shared memory busy with each, likewise.
        per_warp: how often a warp issues each instruction, in the mean over the warps.
        doubtful: places of the branches that depend on data, which were counted as going both ways.
    """

    launch: Launch
    kernel: Kernel
    per_warp: np.ndarray
    cycles_of_banks: np.ndarray
    doubtful: tuple[int, ...]

    @property
    def instructions(self) -> float:
        """Of a warp."""
        return float(self.per_warp.sum())

    def of(self, *ops: str) -> float:
        """How many of these a warp issues."""
        return self.within(0, len(self.per_warp), *ops)

    def within(self, first: int, last: int, *ops: str) -> float:
        """How many of these (of all) a warp issues from one instruction to another."""
        pairs = list(zip(self.kernel.instructions, self.per_warp, strict=True))
        return float(sum(n for i, n in pairs[first : last + 1] if not ops or i.op in ops))

    @property
    def shared(self) -> int:
        """Bytes of shared memory of a block."""
        return self.kernel.shared + self.launch.shared

    @property
    def all_instructions(self) -> float:
        """Of all warps."""
        return self.instructions * self.launch.warps

    @property
    def per_multiply_add(self) -> float | None:
        """Instructions that a thread spends on one."""
        flops = self.launch.flops
        return self.all_instructions * LANES / (flops / 2) if flops else None


# Recording ----------------------------------------------------------------------------------------


def of_step(model: str, batch: int) -> list[Launch]:
    """What a training step of a model launches, on a batch of bytes."""
    with recording() as calls:
        minicnn.manual_seed(0)
        net = models.build(model).to("gpu")
        step = minicnn.compile(net, nn.CrossEntropyLoss(), RECIPES[model].optimizer_of(net))
        x, y = np.ones((batch, 1, 28, 28), np.uint8), np.arange(batch) % 10
        x, y = to_device(x, "gpu"), to_device(y, "gpu")
        for _ in range(2):  # at the first, the net is recorded; at the second, the graph
            calls.clear()
            step(Tensor(x), Tensor(y))
        lines = step.plan.launches
    if not all(
        call.kernel.startswith(line.kernel) for call, line in zip(calls, lines, strict=True)
    ):
        raise RuntimeError("a step launches other kernels than its plan lists")
    return [
        call._replace(name=line.kernel, what=line.what, flops=line.flops)
        for call, line in zip(calls, lines, strict=True)
    ]


@contextmanager
def recording() -> Iterator[list[Launch]]:
    """Inside, the GPU is the stand-in, and a kernel's launch is put on the list and not done."""
    calls: list[Launch] = []

    def make(kernel: Any, code: str, name: str, options: Any = (), _module: Any = None) -> None:
        kernel.name, kernel._module = name, _module or cupy.RawModule(code, options=options)

    def call(kernel: Any, grid: Any, block: Any, args: Any, *, shared_mem: int = 0) -> None:
        passed, module = tuple(getattr(a, "_array", a) for a in args), kernel._module
        one = Launch(kernel.name, module.code, module.options, grid, block, passed, shared_mem)
        calls.append(one)

    gpu_problem.cache_clear()
    with standin_for_cupy() as cupy:
        gpu_problem(0)  # which computes something
        with (
            mock.patch.multiple(cupy.RawKernel, __init__=make, __call__=call),
            mock.patch.object(cupy.RawModule, "compile", return_value=None),
        ):
            yield calls
    gpu_problem.cache_clear()


# Counting -----------------------------------------------------------------------------------------


def counted(launch: Launch, architecture: str, most: float = MOST_ISSUED) -> Counted:
    """Go through a launch's warps; through some of them if all would issue more than ``most``."""
    kernel = kernels(launch.code, launch.options, architecture)[launch.kernel]
    few = gone_through(launch, kernel, architecture, 2)
    blocks = most / max(1, few.instructions * launch.warps_of_block)
    return gone_through(launch, kernel, architecture, max(FEWEST_BLOCKS, int(min(blocks, 1e9))))


def gone_through(launch: Launch, kernel: Kernel, architecture: str, blocks: int) -> Counted:
    """Go through the warps of this number of blocks."""
    places = chosen(prod(launch.grid), blocks)
    special, alive = threads(launch, places)
    warps = Warps(kernel, special, bank(launch, architecture), memory(launch), alive)
    warps.run()
    number = len(places) * launch.warps_of_block
    counts, cycles = np.array(warps.counts) / number, np.array(warps.cycles_of_banks) / number
    return Counted(launch, kernel, counts, cycles, tuple(warps.doubtful))


def chosen(blocks: int, most: int) -> np.ndarray:
    """Which blocks: all, or one by chance of each of as many equal parts as there may be."""
    if blocks <= most:
        return np.arange(blocks)
    edges = np.linspace(0, blocks, most + 1)
    return np.random.default_rng(1).uniform(edges[:-1], edges[1:]).astype(int)


def threads(launch: Launch, blocks: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The special registers of the blocks' threads, and which lanes there are."""
    lanes = np.arange(launch.warps_of_block * LANES)
    special = {"SR_CgaCtaId": np.zeros(len(lanes) * len(blocks))}  # a block is its own cluster
    special |= {"SR_LANEID": np.tile(lanes % LANES, len(blocks))}
    tid, ctaid = lanes, np.repeat(blocks, len(lanes))
    for axis, (size, count) in enumerate(
        zip(padded(launch.block), padded(launch.grid), strict=True)
    ):
        special[f"SR_TID.{'XYZ'[axis]}"] = np.tile(tid % size, len(blocks))
        special[f"SR_CTAID.{'XYZ'[axis]}"] = ctaid % count
        tid, ctaid = tid // size, ctaid // count
    alive = np.tile(lanes < prod(launch.block), len(blocks))
    return {name: n.astype(np.uint32) for name, n in special.items()}, alive


def padded(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Three of them."""
    return (*sizes, 1, 1)[:3]


def bank(launch: Launch, architecture: str) -> dict[int, int]:
    """The constants that a kernel finds: sizes of block and grid, and its arguments."""
    number = int(architecture.removeprefix("sm_"))
    sizes, at = (0x360, 0x380) if number >= 100 else (0, 0x210 if number >= 90 else 0x160)
    grid = sizes + (0x10 if number >= 100 else 0xC)
    constants = {sizes + 4 * k: n for k, n in enumerate(padded(launch.block))}
    constants |= {grid + 4 * k: n for k, n in enumerate(padded(launch.grid))}
    passed = bytearray()
    for argument in launch.arguments:
        is_array = isinstance(argument, np.ndarray)
        cell = np.array(argument.ctypes.data, np.uint64) if is_array else np.asarray(argument)
        passed += bytes(-len(passed) % cell.nbytes) + cell.tobytes()
    passed += bytes(-len(passed) % 4)
    words = np.frombuffer(bytes(passed), np.uint32)
    return constants | {at + 4 * k: int(n) for k, n in enumerate(words)}


def memory(launch: Launch) -> list[tuple[int, np.ndarray]]:
    """What the host has put into arrays of integers, and into short ones: address, words there.

    What is still zero is left out: kernels write there, and none has run.
    """
    arrays = [a for a in launch.arguments if isinstance(a, np.ndarray) and a.itemsize >= 4]
    known = [a for a in arrays if (a.dtype.kind in "iu" or a.size <= MOST_SETTINGS) and a.any()]
    return [(a.ctypes.data, a.reshape(-1).view(np.uint32)) for a in known]
