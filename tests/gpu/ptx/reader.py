"""PTX as NVRTC writes it, read into kernels and their statements.

The grammar: https://docs.nvidia.com/cuda/parallel-thread-execution/ (statements end with a
semicolon, ``.loc`` with its line). What is not known here is an error that names it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Kernel", "Module", "Statement", "UnknownError", "Variable", "read"]

SIZES = {"8": 1, "16": 2, "32": 4, "64": 8}
ENTRY = re.compile(r"^(?:\.\w+ )*\.entry\s+([\w$]+)\s*\((.*?)\)(.*?)^\{(.*?)^\}", re.S | re.M)
PARAMETER = re.compile(r"\.param\b[^,]*?([\w$]+)\s*(?:,|$)")
VARIABLE = re.compile(
    r"\.(?P<space>shared|local|global|const)\s+(?:\.align\s+(?P<align>\d+)\s+)?\.(?P<type>\w+)\s+"
    r"(?P<name>[\w$]+)(?P<size>\[\d*\])?(?:\s*=\s*(?P<value>.*))?$",
    re.S,
)
LOCATION = re.compile(r"\.loc\s+\d+\s+(\d+)")
LABEL = re.compile(r"([\w$]+):\s*")


class UnknownError(NotImplementedError):
    """A part of PTX that this machine does not know."""


class Variable(NamedTuple):
    """Memory that a kernel declares: ``.shared .align 4 .b8 tile[1024];``"""

    name: str
    space: str
    align: int
    size: int  # in bytes; 0: as much as the launch says
    value: bytes = b""


class Statement(NamedTuple):
    """``@%p1 add.s32 %r3, %r1, 4;``: guard, opcode and operands as they are written."""

    line: int  # of the PTX
    guard: str  # "", "%p1" or "!%p1"
    opcode: str
    operands: tuple[str, ...]


@dataclass
class Kernel:
    """An ``.entry``.

    Attributes:
        parameters: their names, in order.
        registers: the type of each, by name: "b32", "pred"...
        labels: the number of the statement that each label stands before.
        source: the line of CUDA C that each line of PTX comes from.
    """

    name: str
    parameters: list[str]
    registers: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    targets: dict[str, list[str]] = field(default_factory=dict)
    source: dict[int, int] = field(default_factory=dict)


@dataclass
class Module:
    """What a text of PTX holds."""

    target: str
    kernels: dict[str, Kernel]


def read(text: str) -> Module:
    """All kernels of a text of PTX.

    Raises:
        UnknownError: functions that are called, textures and other things that have no name here.
    """
    text = re.sub(r"//[^\n]*", "", text)
    outside = ENTRY.sub("", text).partition("\t.section")[0]
    if function := re.search(r"\.func\b[^(]*\([^)]*\)\s*([\w$]+)", outside):
        raise UnknownError(f"PTX: the function {function[1]}, which is called instead of inlined")
    shared_by_all = {
        variable.name: variable
        for part in outside.split(";")
        if (variable := _variable(part.strip()))
    }
    target = re.search(r"\.target\s+(\w+)", outside)
    kernels = {}
    for entry in ENTRY.finditer(text):
        kernel = Kernel(entry[1], PARAMETER.findall(entry[2].strip()))
        kernel.variables.update(shared_by_all)
        _read_body(kernel, entry[4], text.count("\n", 0, entry.start(4)) + 1)
        kernels[kernel.name] = kernel
    return Module(target[1] if target else "", kernels)


def _variable(text: str) -> Variable | None:
    text = re.sub(r"^.*?(?=\.(?:shared|local|global|const)\b)", "", text, flags=re.S)
    found = VARIABLE.match(text)
    if not found:
        return None
    of_one = size_of(found["type"])
    size = of_one if found["size"] is None else of_one * int(found["size"][1:-1] or 0)
    value = b""
    if found["value"]:
        numbers = [int(n, 0) for n in found["value"].strip("{} \n").split(",")]
        value = b"".join((n % 256**of_one).to_bytes(of_one, "little") for n in numbers)
    align = int(found["align"] or of_one)
    return Variable(found["name"], found["space"], align, size, value.ljust(size, b"\0"))


def size_of(kind: str) -> int:
    """Bytes of a type: 4 for "f32"."""
    try:
        return SIZES[kind[1:]]
    except KeyError:
        raise UnknownError(f"PTX: the type .{kind}") from None


def _read_body(kernel: Kernel, body: str, first_line: int) -> None:
    location, pending, begun = 0, "", 0
    for number, text in enumerate(body.split("\n"), first_line):
        text = text.strip()
        if found := LOCATION.match(text):
            location = int(found[1])
            continue
        kernel.source[number] = location
        if not pending:
            begun = number
        pending += f" {text}"
        *whole, pending = pending.split(";")
        for part in whole:
            _read_part(kernel, part, begun)
        pending = _read_labels(kernel, pending)


def _read_labels(kernel: Kernel, text: str) -> str:
    """What is left after labels and the braces of a scope."""
    text = text.strip().lstrip("{} ")
    while found := LABEL.match(text):
        kernel.labels[found[1]] = len(kernel.statements)
        text = text[found.end() :].lstrip("{} ")
    return text


def _read_part(kernel: Kernel, text: str, line: int) -> None:
    text = " ".join(text.split()).lstrip("{} ")
    if found := re.match(r"([\w$]+):\s*\.branchtargets (.*)", text):
        kernel.targets[found[1]] = [name.strip() for name in found[2].split(",")]
        return
    text = _read_labels(kernel, text)
    if text.startswith(".reg "):
        _read_registers(kernel, text)
    elif text.startswith((".shared", ".local")):
        variable = _variable(text)
        assert variable, text
        kernel.variables[variable.name] = variable
    elif text.startswith(".pragma") or not text:
        return
    elif text.startswith("."):
        raise UnknownError(f"PTX, line {line}: {text}")
    else:
        guard, text = _guard(text)
        opcode, _, operands = text.partition(" ")
        kernel.statements.append(Statement(line, guard, opcode, tuple(_operands(operands))))


def _guard(text: str) -> tuple[str, str]:
    if not text.startswith("@"):
        return "", text
    guard, _, others = text[1:].partition(" ")
    return guard, others.strip()


def _read_registers(kernel: Kernel, text: str) -> None:
    _, kind, names = text.split(None, 2)
    for name in names.split(","):
        stem, _, count = name.strip().rstrip(">").partition("<")
        numbered = [f"{stem}{n}" for n in range(int(count))] if count else [stem]
        kernel.registers.update(dict.fromkeys(numbered, kind[1:]))


def _operands(text: str) -> list[str]:
    """Split at the commas that are in no braces: ``{%f1, %f2}, [%rd1]``."""
    return [part.strip() for part in re.findall(r"(?:\{[^}]*\}|[^,{])+", text) if part.strip()]
