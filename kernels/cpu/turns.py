"""Counters that several threads share, in compiled code: who takes which piece, and what is done.

An atomic addition reads and writes a number in one go: of two threads that count at the same moment
each gets a number of its own.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..arrays import Array
from .jit import intrinsic, jit

# How often a thread looks, with a pause each time, before it gives up waiting: some 30 to 60 µs,
# about what it costs to put a thread to sleep and to wake it.
LOOKS = 1000
ORDER = "seq_cst"  # what was written before an addition is seen by whoever sees the addition

# LLVM's name of the instruction that says "this loop waits", and what it takes; elsewhere: none.
_PAUSES = {
    "x86_64": ("llvm.x86.sse2.pause", []),
    "amd64": ("llvm.x86.sse2.pause", []),
    "aarch64": ("llvm.aarch64.hint", [1]),
    "arm64": ("llvm.aarch64.hint", [1]),
}


@intrinsic()
def add(typing: Any, counters: Any, k: Any, number: Any) -> Any:
    """Add a number to ``counters[k]``, int64; what stood there before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, counters, arguments)
        return builder.atomic_rmw("add", pointer, arguments[2], ORDER)

    return types.int64(counters, types.int64, types.int64), generate


@intrinsic()
def look(typing: Any, counters: Any, k: Any) -> Any:
    """``counters[k]`` as it is now, whoever has written it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, counters, arguments)
        return builder.load_atomic(pointer, ORDER, align=8)

    return types.int64(counters, types.int64), generate


def _pointer(context: Any, builder: Any, kind: Any, arguments: Any) -> Any:
    data = context.make_array(kind)(context, builder, arguments[0]).data
    return builder.gep(data, [arguments[1]])


@intrinsic()
def pause(typing: Any) -> Any:
    """Wait for some 10 to 50 ns."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        name, numbers = _PAUSES.get(platform.machine().lower(), ("", []))
        if name:
            kind = ir.FunctionType(ir.VoidType(), [ir.IntType(32)] * len(numbers))
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            builder.call(function, [ir.IntType(32)(number) for number in numbers])
        return context.get_dummy_value()

    return types.none(), generate


@jit
def wait_for(counters: Array, k: int, number: int) -> bool:
    """Whether ``counters[k]`` reaches a number within a moment."""
    for _ in range(LOOKS):
        if look(counters, k) >= number:
            return True
        pause()
    return look(counters, k) >= number


@jit
def listen(bell: Array, heard: int, counters: Array, k: int) -> None:
    """Look out for a moment until the bell is no longer what was heard, or ``counters[k]`` not 0.

    So a thread waits for the next work: one that does not sleep need not be woken.
    """
    for _ in range(LOOKS):
        if look(bell, 0) != heard or look(counters, k):
            return
        pause()
