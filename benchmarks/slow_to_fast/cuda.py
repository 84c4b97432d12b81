"""The kernels for a GPU, and where they run: on a GPU, or on the emulator of ``tests/gpu``."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minicnn.device import gpu_problem

from .layer import Inputs, Layer
from .version import Work, Works

GPU, EMULATOR, NOWHERE = "gpu", "emulator", "nowhere"
CHANNELS = 4  # output (or input) channels that a thread of ``conv_forward`` (``conv_dinput``) takes


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

    def over_cells(self, name: str, cells: int, arrays: tuple[Any, ...], *rest: int) -> None:
        """Run a kernel that takes a cell a thread."""
        self.launch(name, self.gpu.blocks(cells), *arrays, np.int64(cells), *rest)


def conv(layer: Layer, arrays: Inputs) -> Works:
    """Direct: a thread sums up a cell of 4 channels; a block sums up a weight's gradient."""
    run = Launcher(arrays.x.dtype)
    x, weight, bias, dy = (run.take(array) for array in arrays)
    y, dx, dw, db = (run.cupy.empty_like(array) for array in (dy, x, weight, bias))
    images, plain = len(arrays.x), 0  # no activation
    pairs = (layer.kernel, layer.stride, layer.padding, (1, 1), layer.output)
    sizes = (*layer.weight_shape[:2], *layer.size, *(n for pair in pairs for n in pair))
    cells = [
        images * -(-channels // CHANNELS) * rows * columns
        for channels, rows, columns in (layer.y_shape, layer.x_shape)
    ]

    def forward() -> None:
        run.over_cells("conv_forward", cells[0], (x, weight, bias, y), 1, plain, *sizes)

    def dweight() -> None:
        run.launch("conv_dweight", dw.size + db.size, x, dy, dw, db, images, *sizes)

    def dinput() -> None:
        run.over_cells("conv_dinput", cells[1], (dy, weight, x, dx), plain, *sizes)

    return {
        "forward": Work(forward, lambda _: y.get()),
        "dW": Work(dweight, lambda _: dw.get()),
        "dX": Work(dinput, lambda _: dx.get()),
    }


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
