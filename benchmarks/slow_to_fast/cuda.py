"""The kernels for a GPU, and where they run: on a GPU, or on the emulator of ``tests/gpu``."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minicnn.compiler.gpu import tiling
from minicnn.device import gpu_problem

from .layer import Inputs, Layer
from .version import Work, Works

GPU, EMULATOR, NOWHERE = "gpu", "emulator", "nowhere"


@contextmanager
def device() -> Iterator[str]:
    """Inside, ``import cupy`` gives a GPU's CuPy or its stand-in, which needs g++; says which."""
    if gpu_problem() is None:
        yield GPU
    elif shutil.which("g++") is None:
        yield NOWHERE
    else:
        from tests.gpu.pretend import standin_for_cupy

        with standin_for_cupy():
            yield EMULATOR


class Launcher:
    """Launches kernels on arrays of a device."""

    def __init__(self, dtype: Any):
        self.cupy = importlib.import_module("cupy")
        self.gpu = importlib.import_module("minicnn.kernels.gpu.launch")
        self.dtype = np.dtype(dtype).name

    def take(self, array: Any) -> Any:
        """The array on the device."""
        return self.cupy.asarray(array)

    def launch(self, name: str, blocks: int, *arguments: Any) -> None:
        """Run a kernel, and wait for it. An int is passed as the kernel's int."""
        passed = [np.int32(a) if isinstance(a, int) else a for a in arguments]
        self.gpu.kernel(name, self.dtype)((blocks,), (self.gpu.BLOCK,), tuple(passed))
        self.cupy.cuda.get_current_stream().synchronize()

    def literal(
        self, name: str, blocks: int, way: Any, size: Any, arguments: tuple[Any, ...]
    ) -> Callable[[], None]:
        """A kernel compiled with its sizes as literals, cut up in a way of ``tiling``."""
        literal: Any = importlib.import_module("minicnn.kernels.gpu.literal")
        call = literal.Call(name, arguments, way.threads)
        (kernel,) = literal.compiled([call], self.dtype)
        shared = way.shared(size) * np.dtype(self.dtype).itemsize

        def launch() -> None:
            kernel((blocks,), (way.threads,), call.passed, shared_mem=shared)
            self.cupy.cuda.get_current_stream().synchronize()

        return launch

    def over_cells(self, name: str, cells: int, arrays: tuple[Any, ...], *rest: int) -> None:
        """Run a kernel that takes a cell a thread."""
        self.launch(name, self.gpu.blocks(cells), *arrays, np.int64(cells), *rest)


def conv(layer: Layer, arrays: Inputs) -> Works:
    """Tiles of sums in registers, pictures and weights in shared memory, sizes as literals."""
    run = Launcher(arrays.x.dtype)
    x, weight, bias, dy = (run.take(array) for array in arrays)
    y, dx = run.cupy.empty_like(dy), run.cupy.empty_like(x)
    n, (o, c, *kernel) = len(arrays.x), layer.weight_shape
    size = tiling.Geometry(
        o, c, *layer.size, *kernel, *layer.stride, *layer.padding, 1, 1, *layer.output
    )
    forward, dinput, dweight = tiling.forward(size), tiling.dinput(size), tiling.dweight(size)
    assert forward is not None
    # without activations and poolings: two zeros, and windows of 1 x 1
    plain, images, winner = (0, 1, 1), np.int32(n), run.cupy.zeros(1, np.uint8)
    parts = dweight.parts(size, n)
    dw, db = run.cupy.empty((parts, weight.size), x.dtype), run.cupy.empty((parts, o), x.dtype)
    of_forward = (x, weight, bias, y, y, winner, images, 1, 0, 1, *plain, *size, *forward)
    of_dinput = (dy, dy, winner, weight, x, dx, images, 0, 0, *plain, *size, *dinput)
    of_dweight = (x, dy, dy, winner, dw, db, images, 1, 0, *plain, *size, *dweight)
    blocks = parts * dweight.groups(size)
    works = (
        run.literal("conv_forward", forward.blocks(size, n, False), forward, size, of_forward),
        run.literal("conv_dweight", blocks, dweight, size, of_dweight),
        run.literal("conv_dinput", dinput.blocks(size, n), dinput, size, of_dinput),
    )

    def whole() -> Any:
        return dw.get().sum(0).reshape(layer.weight_shape)

    results = lambda _: y.get(), lambda _: whole(), lambda _: dx.get()
    named = zip(("forward", "dW", "dX"), works, results, strict=True)
    return {name: Work(work, result) for name, work, result in named}


def max_pool(layer: Layer, arrays: Inputs) -> Works:
    """A thread a window; backward a thread a cell, which asks the windows that see it."""
    run = Launcher(arrays.x.dtype)
    x, dy = run.take(arrays.x), run.take(arrays.dy)
    y, dx = run.cupy.empty_like(dy), run.cupy.empty_like(x)
    index = run.cupy.empty(dy.shape, np.int64)
    pairs = (layer.kernel, layer.stride, layer.padding, (1, 1), layer.output)
    sizes, plain = (*layer.size, *(n for pair in pairs for n in pair)), 0  # no activation

    def forward() -> None:
        run.over_cells("max_pool", y.size, (x, y, index), *sizes)

    def dinput() -> None:
        run.over_cells("max_pool_dinput", dx.size, (dy, index, x, dx), plain, *sizes)

    forward()
    return {
        "forward": Work(forward, lambda _: (y.get(), index.get())),
        "dX": Work(dinput, lambda _: dx.get()),
    }
