"""The machine instructions that NVIDIA's compiler makes of CUDA C. Needs NVRTC and nvdisasm."""

from __future__ import annotations

import functools
import re
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np

CUPYS_OPTIONS = ("-std=c++17", "-ftz=true", "--device-as-default-execution-space")  # a RawModule's
BYTES = 16  # of an instruction
BYTE = r"\b0x[0-9a-f]{2}\b"
ALL = 255  # the number of RZ, URZ, PT and UPT


class Operand(NamedTuple):
    """What an instruction reads or writes.

    Attributes:
        kind: "R", "UR" registers; "P", "UP" predicates; "B" convergence barriers; "number";
            "constant", a cell of the launch's bank; "table", one of the kernel's own; "memory";
            "label"; or "other".
        value: the number of the register (``ALL`` for RZ and PT), or the number itself, or the
            offset in the bank or in memory.
        sign: "-", "~" or "!" before it.
        text: as it was written; of memory and a table, the register that is added.
        uniform: of memory, the uniform register that is added, or -1.
    """

    kind: str
    value: int = 0
    sign: str = ""
    text: str = ""
    uniform: int = -1


class Instruction(NamedTuple):
    """One of them: ``@P0 IMAD.WIDE R4, R2, 0x4, R6`` has guard, op, modifiers and operands."""

    guard: Operand | None
    op: str
    modifiers: tuple[str, ...]
    operands: tuple[Operand, ...]
    text: str


class Kernel(NamedTuple):
    """A kernel's instructions, the places of its labels, and what each of its threads takes.

    Attributes:
        labels: which instruction follows a label.
        table: where jumps by a number (a switch) may go, in bytes.
        registers: of a thread.
        shared: bytes of shared memory of a block.
        spilled: bytes that did not fit in registers.
    """

    instructions: tuple[Instruction, ...]
    labels: dict[str, int]
    table: np.ndarray
    registers: int
    shared: int
    spilled: int


@functools.cache
def kernels(code: str, options: tuple[str, ...], architecture: str) -> dict[str, Kernel]:
    """Every kernel of a source, compiled with these options for an architecture such as sm_90.

    Raises:
        ValueError: it does not compile; NVRTC's log.
    """
    cubin, report = _compiled(code, options, architecture)
    sections = _sections(_disassembled(cubin))
    return {
        name: Kernel(
            *parsed(sections[f".text.{name}"]),
            _table(sections.get(f".nv.constant2.{name}", [])),
            *used,
        )
        for name, used in usages(report).items()
    }


def _compiled(code: str, options: tuple[str, ...], architecture: str) -> tuple[bytes, str]:
    from cupy_backends.cuda.libs import nvrtc

    program = nvrtc.createProgram(code, "kernels.cu", [], [])
    every = (*CUPYS_OPTIONS, *options, f"-arch={architecture}", "--ptxas-options=-v")
    try:
        nvrtc.compileProgram(program, every)
    except nvrtc.NVRTCError:
        raise ValueError(nvrtc.getProgramLog(program)) from None
    return nvrtc.getCUBIN(program), nvrtc.getProgramLog(program)


def nvdisasm() -> Path | None:
    """NVIDIA's disassembler, of the package nvidia-cuda-nvdisasm."""
    try:
        files = metadata.files("nvidia-cuda-nvdisasm") or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(f.locate())) for f in files if f.stem == "nvdisasm"), None)


def _disassembled(cubin: bytes) -> str:
    program = nvdisasm()
    assert program is not None, "needs pip install nvidia-cuda-nvdisasm"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin + b"\0")  # without which nvdisasm takes the file for damaged
        file.flush()
        command = [str(program), file.name]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _sections(text: str) -> dict[str, list[str]]:
    """The lines of each section: .text.NAME and so on."""
    parts = re.split(r"^\s*\.section\s+([\w.]+),.*$", text, flags=re.MULTILINE)
    return {name: body.splitlines() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _table(lines: list[str]) -> np.ndarray:
    """A section's bytes as numbers of 32 bits."""
    data = bytes(int(b, 16) for line in lines if ".byte" in line for b in re.findall(BYTE, line))
    return np.frombuffer(data, np.uint32)


def usages(report: str) -> dict[str, tuple[int, int, int]]:
    """Registers, shared memory and spilled bytes of each kernel, from the assembler's report."""
    found = {}
    for part in report.split("Compiling entry function ")[1:]:
        numbers = [re.search(p, part) for p in (r"Used (\d+) reg", r"(\d+) bytes smem")]
        spilled = sum(int(n) for n in re.findall(r"(\d+) bytes spill", part))
        registers, shared = (int(n[1]) if n else 0 for n in numbers)
        found[part.split("'")[1]] = registers, shared, spilled
    return found


# Reading a line -----------------------------------------------------------------------------------


def parsed(lines: list[str]) -> tuple[tuple[Instruction, ...], dict[str, int]]:
    """Instructions and labels, from nvdisasm's lines."""
    instructions: list[Instruction] = []
    labels: dict[str, int] = {}
    for line in lines:
        if label := re.match(r"\s*([.$][\w.$]+):", line):
            labels[label[1]] = len(instructions)
        elif found := re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(.*?)\s*;", line):
            instructions.append(_instruction(found[1]))
    return tuple(instructions), labels


def _instruction(text: str) -> Instruction:
    guard, rest = None, text.strip("{} ")
    if rest.startswith("@"):
        word, _, rest = rest.partition(" ")
        guard = _operand(word[1:])
    name, _, operands = rest.strip().partition(" ")
    op, *modifiers = name.split(".")
    operands, _, _ = operands.partition("(*")  # the disassembler's remark
    # RET.REL.NODEC R2 `(kernel), BRX R2 -0x10: the register says where to
    words = re.split(r",? (?=`\(|-0x)|, ", operands) if operands else []
    read = tuple(_operand(word.strip()) for word in words)
    return Instruction(guard, op, tuple(modifiers), read, text)


def _operand(word: str) -> Operand:
    if found := re.fullmatch(r"([-~!|]*)(UR|R|UP|P|B)(Z|T|\d+)([|.].*)?", word):
        sign, kind, number, _ = found.groups()
        return Operand(kind, int(number) if number.isdigit() else ALL, sign, word)
    if found := re.fullmatch(r"(-?)(0x[0-9a-f]+)", word):
        return Operand("number", int(found[2], 16) * (-1 if found[1] else 1), "", word)
    if found := re.fullmatch(r"([-~!]?)c\[0x0\]\[(0x[0-9a-f]+|RZ)\].*", word):
        offset = 0 if found[2] == "RZ" else int(found[2], 16)
        return Operand("constant", offset, found[1], word)
    if found := re.fullmatch(r"c\[0x2\]\[(R\w+)?\+?(0x[0-9a-f]+)?\]", word):
        return Operand("table", int(found[2] or "0", 16), "", found[1] or "RZ")
    if found := re.fullmatch(r"`\((.*)\)", word):
        return Operand("label", text=found[1])
    return _memory(word) or Operand("other", text=word)


def _memory(word: str) -> Operand | None:
    """[R2.64+UR4+0x10], with desc[UR6] before it where a global address is meant."""
    register, uniform, offset = r"(R\w+(?:\.\w+)?)", r"\+?UR(\d+)", r"\+?(-?0x[0-9a-f]+)"
    pattern = rf"(?:desc\[UR\d+\])?\[{register}?(?:{uniform})?(?:{offset})?\]"
    found = re.fullmatch(pattern, word)
    if not found:
        return None
    base = found[1] or "RZ"
    return Operand("memory", int(found[3] or "0", 16), "", base, int(found[2] or -1))
