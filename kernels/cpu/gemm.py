"""NumPy's own matrix product (BLAS), called from a compiled loop."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..arrays import Array
from ..numpy_threads import BLAS
from .jit import intrinsic, jit

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112  # as cblas.h numbers them


@cache
def address_of_gemm(dtype: Any) -> int:
    """Where the ``cblas_sgemm`` (float32) or ``cblas_dgemm`` that NumPy uses lies in memory.

    0 if that is not found: with a BLAS that threadpoolctl does not know.
    """
    letter = {"float32": "s", "float64": "d"}[np.dtype(dtype).name]
    # NumPy's wheels add a prefix, and libraries with 64-bit integers a suffix
    names = (f"scipy_cblas_{letter}gemm64_", f"cblas_{letter}gemm64_", f"cblas_{letter}gemm")
    for library in BLAS.lib_controllers:
        for name in names:
            if hasattr(library.dynlib, name):
                function = getattr(library.dynlib, name)
                return ctypes.cast(function, ctypes.c_void_p).value or 0
    return 0


@intrinsic()
def _call(
    typing: Any,
    address: Any,
    a_turned: Any,
    b_turned: Any,
    rows: Any,
    columns: Any,
    depth: Any,
    one: Any,
    a: Any,
    a_row: Any,
    b: Any,
    b_row: Any,
    scale: Any,
    c: Any,
    c_row: Any,
) -> Any:
    """The ``cblas_gemm`` at ``address``.

    Integers are passed as 64 bits, and a library that expects 32 reads the lower half: each has a
    register, or 8 bytes of the stack, to itself.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        order = ir.Constant(ir.IntType(64), ROW_MAJOR)
        passed = [order, *arguments[1:]]
        function = ir.FunctionType(ir.VoidType(), [argument.type for argument in passed])
        builder.call(builder.inttoptr(arguments[0], function.as_pointer()), passed)
        return context.get_dummy_value()

    kinds = (a_turned, b_turned, rows, columns, depth, one, a, a_row, b, b_row, scale, c, c_row)
    return types.void(address, *kinds), generate


@jit
def gemm(
    address: int, a: Array, a_is_turned: bool, b: Array, b_is_turned: bool, keep: int, c: Array
) -> None:
    """c = keep * c + a @ b, on this thread; a or b is turned (transposed) first where it says so.

    a: (M, K), or (K, M) to be turned; b: (K, N), or (N, K); c: (M, N); all C-contiguous.
    """
    rows, columns = c.shape
    depth = a.shape[0] if a_is_turned else a.shape[1]
    _call(
        address,
        TRANSPOSED if a_is_turned else PLAIN,
        TRANSPOSED if b_is_turned else PLAIN,
        rows,
        columns,
        depth,
        c.dtype.type(1),
        a.ctypes.data,
        a.shape[1],
        b.ctypes.data,
        b.shape[1],
        c.dtype.type(keep),
        c.ctypes.data,
        c.shape[1],
    )
