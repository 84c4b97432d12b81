"""C text: comments, numbers, and arrays of numbers."""

from __future__ import annotations

import textwrap

import numpy as np

from minicnn.kernels import Array

WIDTH = 96  # columns of a line
TYPES = {"float32": "float", "int8": "int8_t"}


def comment(text: str) -> str:
    """``text``, its long lines wrapped, as a comment. Nothing in it can end the comment."""
    safe = text.replace("*/", "* /").replace("/*", "/ *")
    lines = [part for line in safe.splitlines() for part in textwrap.wrap(line, WIDTH) or [""]]
    if len(lines) == 1:
        return f"/* {lines[0]} */\n"
    body = "\n".join(f" * {line}".rstrip() for line in lines)
    return f"/*{body[2:]}\n */\n"


def string(text: str) -> str:
    """``text`` as a C string of its UTF-8 bytes; written in ASCII, and without trigraphs."""
    safe = {ord('"'): '\\"', ord("\\"): "\\\\", ord("?"): "\\?"}
    letters = (safe.get(c, chr(c) if 32 <= c < 127 else f"\\{c:03o}") for c in text.encode())
    return f'"{"".join(letters)}"'


def declaration(name: str, array: Array) -> str:
    """``static const float weight_1[6][1][5][5]``."""
    sizes = "".join(f"[{size}]" for size in array.shape)
    return f"static const {TYPES[array.dtype.name]} {name}{sizes}"


def definition(name: str, array: Array) -> str:
    """The declaration with all its numbers: a pair of braces for each axis."""
    return f"{declaration(name, array)} =\n{_braces(array)};\n"


def _braces(array: Array) -> str:
    if array.ndim > 1:
        return "{\n" + ",\n".join(_braces(row) for row in array) + "\n}"
    words = [number(value) for value in array]
    lines = [", ".join(words[i : i + 8]) for i in range(0, len(words), 8)]
    return "{" + ",\n ".join(lines) + "}"


def number(value: np.generic | float) -> str:
    """A number as C reads it; the digits of a float are as many as make it exactly the same."""
    if isinstance(value, np.integer):
        return str(value)
    return f"{np.float32(value)!s}f"


def sizes(**values: int) -> str:
    """The sizes of a layer as constants of its function."""
    text = ", ".join(f"{name} = {value}" for name, value in values.items())
    return textwrap.fill(f"enum {{ {text} }};", WIDTH, subsequent_indent="           ")
