"""``RawModule``, ``RawKernel``, ``ElementwiseKernel``: CUDA C through the emulator."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from . import _machine, cuda
from ._array import ndarray

sys.path.append(
    str(Path(__file__).parents[4])
)  # where `tests` lies, for processes other than pytest

from tests.gpu import emulator, ptx

ptx.reachable.append(_machine.regions_alive)


class RawModule:
    """Kernels from CUDA C; ``real`` is double where the options say -DREAL=double."""

    def __init__(self, code: str, *, options: tuple[str, ...] = (), backend: str = "nvrtc") -> None:
        if not isinstance(options, tuple):
            raise TypeError(f"Expected tuple, got {type(options).__name__}")
        self.code, self.options, self.backend = code, options, backend
        self._libraries: dict[Any, emulator.Library] = {}

    @property
    def _library(self) -> emulator.Library:
        """The kernels, as the present ``build`` makes them."""
        self.compile()
        return self._libraries[_machine.build]

    def compile(self, log_stream: Any = None) -> None:
        if _machine.build not in self._libraries:
            real = "float64" if "-DREAL=double" in self.options else "float32"
            build = _machine.build or emulator.build
            try:
                self._libraries[_machine.build] = build(self.code, real)
            except emulator.CompileError as error:
                name = "kernels.cu"
                raise cuda.compiler.CompileException(
                    str(error), self.code, name, self.options
                ) from None

    def get_function(self, name: str) -> RawKernel:
        return RawKernel(self.code, name, self.options, _module=self)


class RawKernel:
    """A kernel; what it is called with has to be exactly what it declares."""

    def __init__(
        self,
        code: str,
        name: str,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        *,
        _module: RawModule | None = None,
    ) -> None:
        self._module = _module or RawModule(code, options=options, backend=backend)
        self.name = name
        self._module.compile()
        if name not in self._library.signatures:
            raise AttributeError(f"{name}: no such kernel in the module")

    @property
    def _library(self) -> emulator.Library:
        return self._module._library

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: Any,
        *,
        shared_mem: int = 0,
        stream: Any = None,
    ) -> None:
        if not isinstance(grid, tuple) or not isinstance(block, tuple):
            raise TypeError(f"{self.name}: grid and block have to be tuples")
        values = [self._host_value(arg) for arg in args]
        memories = [arg._memory for arg in args if isinstance(arg, ndarray)]
        order = _machine.thread_order
        run = self._library.prepare(self.name, grid, block, values, order, shared_mem)
        _machine.counters.launches += _machine.submit(run, memories, stream)

    def _host_value(self, arg: Any) -> Any:
        if isinstance(arg, np.ndarray):
            raise TypeError(f"{self.name}: received a numpy.ndarray; wanted cupy.ndarray")
        if not isinstance(arg, ndarray):
            return arg
        if not arg.flags.c_contiguous:
            raise ValueError(f"{self.name}: a kernel ignores strides {arg.strides}; copy first")
        return arg._array


class ElementwiseKernel:
    """One statement for every cell: parameters of plain dtypes, one result, no broadcasting."""

    def __init__(
        self, in_params: str, out_params: str, operation: str, name: str = "kernel"
    ) -> None:
        parameters = [part.split() for part in f"{in_params}, {out_params}".split(", ")]
        c_types = {dtype: c_type for c_type, dtype in emulator.C_TYPES.items()}
        pointers = ", ".join(f"{c_types[dtype]}* {name}_" for dtype, name in parameters)
        cells = " ".join(f"{c_types[dtype]}& {name} = {name}_[i];" for dtype, name in parameters)
        self._kernel_of = partial(
            RawKernel,
            f'extern "C" __global__ void {name}({pointers}, int n) {{\n'
            "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
            f"    if (i < n) {{ {cells} {operation}; }}\n}}",
            name,
        )
        self._result = np.dtype(parameters[-1][0])

    def __call__(self, *args: ndarray) -> ndarray:
        result = ndarray(args[0].shape, self._result)
        size = args[0]._array.size
        self._kernel_of()((-(-size // 128),), (128,), (*args, result, np.int32(size)))
        return result
