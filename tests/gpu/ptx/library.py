"""Kernels compiled by NVRTC and run by the machine, with ``emulator.Library``'s methods."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tests.gpu import emulator

from . import machine, nvrtc, reader
from .program import Program

__all__ = ["Library", "build", "reachable"]

KINDS = (
    "",
    "accesses {size} bytes outside of every array",
    "accesses {size} bytes at an address that is no multiple of it",
    "writes {where}, which {other} has written",
    "reads {where}, which {other} has written",
    "writes {where}, which {other} has read",
    "touches {where}, which is read as constant and written, by {other}",
    "waits at a barrier, {other} at another one",
    "waits at a barrier, {other} has ended",
    "waits for other lanes for ever",
    "does not come to an end",
)


def build(text: str, real: str = "float32", architecture: str = "sm_90") -> Library:
    """Compile the kernels in ``text`` for an architecture.

    Raises:
        CompileError: with NVRTC's log.
        UnknownError: PTX that the machine does not know, at the kernel's first launch.
    """
    return Library(text, real, nvrtc.ptx_of(text, real, architecture))


class Library(emulator.Library):
    """PTX, ready to be launched."""

    def __init__(self, text: str, real: str, ptx: str) -> None:
        self._read_heads(text, real)
        self.text, self.module = text, reader.read(ptx)
        self.lines = ptx.splitlines()
        self.program = functools.cache(self._program)

    def _program(self, name: str) -> Program:
        return Program(self.module.kernels[name], machine.functions())

    def _runner(
        self, name: str, sizes: list[Any], values: Any, arguments: Sequence[Any], order: int
    ) -> Callable[[], str | None]:
        program, (grid, block, shared) = self.program(name), sizes
        flat = [*grid, *block]

        def run() -> str | None:
            regions = _apart([*_regions_of(arguments), *map(_region, program.data)])
            finding = machine.run(program, flat, shared.value, values, order, regions)
            return self._told(name, finding, arguments, block) if finding else None

        return run

    # Words ----------------------------------------------------------------------------------------

    def _told(
        self, name: str, finding: machine.Finding, arguments: Sequence[Any], block: Any
    ) -> str:
        """A finding as a sentence: both threads, with the lines of the source."""
        who = self._thread(name, finding.block, finding.thread, finding.line, block)
        other = self._thread(
            name, finding.other_block, finding.other_thread, finding.other_line, block
        )
        where = self._cell(name, finding, arguments)
        return f"{who} {KINDS[finding.kind].format(other=other, where=where, size=finding.size)}"

    def _thread(self, name: str, block: int, thread: int, line: int, sizes: Any) -> str:
        x, y = sizes[0], sizes[1]
        index = (thread % x, thread // x % y, thread // x // y)
        number = self.module.kernels[name].source.get(line, 0)
        source = self.text.splitlines()
        words = source[number - 1].strip() if 0 < number <= len(source) else ""
        if not words:
            words = self.lines[line - 1].strip() if 0 < line <= len(self.lines) else "?"
        return f"thread {index} of block {block} (line {number}: {words})"

    def _cell(self, name: str, finding: machine.Finding, arguments: Sequence[Any]) -> str:
        for parameter, array in zip(self.signatures[name], arguments, strict=True):
            if not isinstance(array, np.ndarray):
                continue
            begin, end = _region(array)
            if begin <= finding.address < end:
                return f"{parameter.name}[{(finding.address - begin) // array.itemsize}]"
        shared = finding.address < 1 << 20
        return f"{'shared memory' if shared else 'memory'} at {finding.address:#x}"


# Memory that a launch may touch ------------------------------------------------------------------

# The arrays of which a kernel may find addresses in a table: begin and end of each.
reachable: list[Callable[[], Iterable[tuple[int, int]]]] = []


def _region(array: np.ndarray) -> tuple[int, int]:
    return array.ctypes.data, array.ctypes.data + array.nbytes


def _regions_of(arguments: Sequence[Any]) -> list[tuple[int, int]]:
    """The arguments' memory, and that whose addresses are kept in arguments of 64 bits."""
    arrays = [argument for argument in arguments if isinstance(argument, np.ndarray)]
    found = [_region(array) for array in arrays if array.size]
    tables = [array.ravel() for array in arrays if array.dtype == np.uint64]
    if tables and reachable:
        kept = np.sort(np.concatenate(tables))
        others = np.array([region for alive in reachable for region in alive()], np.uint64)
        begins, ends = others.reshape(-1, 2).T
        is_named = np.searchsorted(kept, begins) < np.searchsorted(kept, ends)
        found += [(int(b), int(e)) for b, e in zip(begins[is_named], ends[is_named], strict=True)]
    return found


def _apart(regions: list[tuple[int, int]]) -> np.ndarray:
    """In order, those that overlap put together."""
    merged: list[list[int]] = []
    for begin, end in sorted(regions):
        if merged and begin < merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    return np.array(merged, np.uint64).reshape(-1, 2)
