"""How the kernels in CUDA C are compiled and launched.

Their sources lie here too (``*.cu``); CuPy has them compiled at the first use (NVRTC) and keeps
the result on disk. A kernel sees a bare pointer: so that strides and dtypes cannot go wrong,
everything that is passed is made contiguous and of the dtype the source names, and each number is
passed as a NumPy scalar of the parameter's type.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import cupy
import numpy as np

from ..arrays import Array

BLOCK = 256  # threads of a block
MOST_BLOCKS = 4096  # of a grid: enough to keep every multiprocessor busy; FOR_CELLS loops
FILES = (
    "load.cu", "random.cu", "conv.cu", "conv_backward.cu", "linear.cu", "pool.cu",
    "activation.cu", "norm.cu", "join.cu", "loss.cu", "chain.cu", "optim.cu", "sums.cu",
)  # fmt: skip

REALS = {"float32": "float", "float64": "double"}  # what `real` stands for

I32, I64, U64 = np.int32, np.int64, np.uint64


@cache
def source() -> str:
    """The text of all kernels."""
    folder = Path(__file__).parent
    return "\n".join((folder / name).read_text() for name in ("common.cuh", *FILES))


modules: dict[str, Any] = {}  # by dtype, those that somebody asked for


def module(dtype: str) -> Any:
    """All kernels with ``real`` as float32 or float64, compiled at the first launch."""
    if dtype not in modules:
        modules[dtype] = cupy.RawModule(code=source(), options=(f"-DREAL={REALS[dtype]}",))
    return modules[dtype]


@cache
def kernel(name: str, dtype: str) -> Any:
    """One of them, ready to be launched."""
    return module(dtype).get_function(name)


def blocks(cells: int) -> int:
    """Blocks of a grid with a thread for each cell; a grid has to have one block at least."""
    return max(1, min(MOST_BLOCKS, -(-cells // BLOCK)))


def launch(name: str, dtype: Any, cells: int, *arguments: Any, grid: int | None = None) -> None:
    """Run a kernel on blocks of 256 threads; nothing is launched where there is nothing to do."""
    if cells:
        kernel(name, np.dtype(dtype).name)((grid or blocks(cells),), (BLOCK,), arguments)


def ints(*groups: Any) -> tuple[np.int32, ...]:
    """Numbers and pairs of numbers, one after the other, as the kernels' int."""
    pairs = [group if isinstance(group, tuple) else (group,) for group in groups]
    return tuple(I32(n) for pair in pairs for n in pair)


@contextmanager
def contiguous(*arrays: Array) -> Iterator[list[Array]]:
    """The arrays, or contiguous copies of those that are not, which are copied back at the end."""
    whole = [cupy.ascontiguousarray(array) for array in arrays]
    yield whole
    for array, changed in zip(arrays, whole, strict=True):
        if array is not changed:  # a transposed parameter, say
            array[...] = changed
