"""The kernels of a plan, compiled with its sizes written into them.

A kernel in ``*.cu`` takes its sizes as arguments, so that one text serves every net. But a size
that is known is worth a lot to the compiler: a loop over 5 taps becomes 5 lines, a division by 28 a
product. So a plan has each launch compiled as a kernel of one line, which calls the body with
literals:

    extern "C" __global__ void __launch_bounds__(256, 1) avg_pool_1(
        const real* __restrict__ x, const real* __restrict__ divisor, real* __restrict__ y,
        long long cells) { avg_pool(x, divisor, y, cells, 28, 28, 2, 2, 2, 2, 0, 0, 14, 14); }

What differs from batch to batch, such as the number of images, stays an argument: a smaller last
batch has the same text. CuPy keeps what it has compiled on disk, by the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import cupy
import numpy as np

from .launch import BLOCK, REALS, source

KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
FEW = 1 << 30  # cells of an array whose numbers, and what a loop adds to them, are 32-bit ints


class Call(NamedTuple):
    """A kernel of ``*.cu`` as a plan calls it.

    Attributes:
        kernel: its name.
        arguments: an int is written into the text; arrays and NumPy scalars are passed.
        block: threads of a block.
    """

    kernel: str
    arguments: tuple[Any, ...]
    block: int = BLOCK

    @property
    def passed(self) -> tuple[Any, ...]:
        """The arguments that the compiled kernel is launched with."""
        return tuple(a for a in self.arguments if not isinstance(a, int))


def compiled(calls: Sequence[Call], dtype: str) -> list[Any]:
    """A kernel for each call, to be launched with what it passes. Equal ones are compiled once.

    dtype: "float32" or "float64", what ``real`` stands for.
    """
    if not calls:
        return []
    wrappers = _wrappers(calls)
    kernels = _module(text_of(calls), dtype)
    return [kernels.get_function(wrappers[_line(call)]) for call in calls]


def text_of(calls: Sequence[Call]) -> str:
    """The CUDA C that these calls are compiled from."""
    most = max(a.size for call in calls for a in call.passed)
    cell = "int" if most < FEW else "long long"
    bodies = source().replace('extern "C" __global__', "static __device__ __forceinline__")
    lines = [line.replace("NAME", name) for line, name in _wrappers(calls).items()]
    return "\n".join([f"#define CELL {cell}\n#define LITERALS", bodies, *lines, ""])


@cache
def _module(text: str, dtype: str) -> Any:
    module = cupy.RawModule(code=text, options=(f"-DREAL={REALS[dtype]}",))
    module.compile()
    return module


def _wrappers(calls: Sequence[Call]) -> dict[str, str]:
    """The line of each different call, and its name: the kernel's, numbered."""
    lines = dict.fromkeys((_line(call), call.kernel) for call in calls)
    return {line: f"{kernel}_{number}" for number, (line, kernel) in enumerate(lines)}


def _line(call: Call) -> str:
    """The kernel that calls the body of ``call.kernel`` with the sizes as literals."""
    parameters = _parameters()[call.kernel]
    pairs = list(zip(parameters, call.arguments, strict=True))
    passed = ", ".join(text for text, a in pairs if not isinstance(a, int))
    given = ", ".join(str(np.int32(a)) if isinstance(a, int) else _name(text) for text, a in pairs)
    head = f'extern "C" __global__ void __launch_bounds__({call.block}, 1) NAME'
    return f"{head}({passed}) {{ {call.kernel}({given}); }}"


def _name(parameter: str) -> str:
    """``x`` of ``const real* __restrict__ x``."""
    return re.findall(r"\w+", parameter)[-1]


@cache
def _parameters() -> dict[str, list[str]]:
    """What each kernel declares: its name, then the text of each parameter."""
    return {
        name: [" ".join(text.split()) for text in parameters.split(",")]
        for name, parameters in KERNEL.findall(source())
    }
