"""What a file says, read a second time: by other code than the engine's, from the definitions.

Each function raises an exception of its choice where the file says nothing.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
import struct
import zipfile

import numpy as np

IDX = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
SAFETENSORS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "u1",
    "BF16": "<u2",
}  # fmt: skip


def idx(content: bytes) -> np.ndarray:
    """http://yann.lecun.com/exdb/mnist: two zeros, a type, the sizes, the numbers."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    assert content[:2] == b"\0\0"
    kind, axes = content[2], content[3]
    shape = struct.unpack_from(f">{axes}I", content, 4)
    return np.frombuffer(content[4 + 4 * axes :], IDX[kind]).reshape(shape)


def safetensors(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """https://github.com/huggingface/safetensors#format: arrays by name, and the metadata."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size].decode())
    metadata, data = header.pop("__metadata__", {}), content[8 + size :]
    arrays, end = {}, 0
    for name, part in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        start, stop = part["data_offsets"]
        assert start == end <= stop  # no gaps
        end = stop
        kind = part["dtype"]
        array = np.frombuffer(data[start:stop], SAFETENSORS[kind]).reshape(part["shape"])
        if kind == "BF16":
            array = (array.astype("<u4") << 16).view("<f4")
        arrays[name] = array.astype("f4") if kind == "F16" else array
        if kind == "BOOL":
            assert array.max(initial=0) <= 1
            arrays[name] = array != 0
    assert end == len(data)
    return {name: arrays[name] for name in header}, metadata


def npz(content: bytes) -> dict[str, np.ndarray]:
    """https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, in a zip archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name.removesuffix(".npy"): npy(archive.read(name)) for name in archive.namelist()}


def npy(content: bytes) -> np.ndarray:
    """The magic, a version, the length of a header, the header, the numbers."""
    assert content[:6] == b"\x93NUMPY"
    width, form = (2, "<H") if content[6] == 1 else (4, "<I")
    (size,) = struct.unpack_from(form, content, 8)
    text = content[8 + width : 8 + width + size].decode("latin1")
    header = eval(text, {"__builtins__": {}})
    count, kind = math.prod(header["shape"]), np.dtype(header["descr"])
    flat = np.frombuffer(content[8 + width + size :], kind, count)
    return flat.reshape(header["shape"], order="F" if header["fortran_order"] else "C")


def table(content: bytes) -> np.ndarray:
    """A CSV's numbers, by Python's own reader; the first line may hold names."""
    text = content.decode("utf-8-sig", "replace")
    rows = [row for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
    first = rows[0]
    if not _is_number(first[0]):  # names, or 0, 1, 2...
        numbers = [int(cell) for cell in first[1:] if _is_number(cell)]
        assert any(_is_word(cell) for cell in first) or numbers in (
            [],
            list(range(numbers[0], numbers[0] + len(first) - 1)) if numbers else [],
        )
        rows = rows[1:]
    assert len({len(row) for row in rows}) == 1
    return np.array([[int(cell.strip()) for cell in row] for row in rows])


def _is_word(cell: str) -> bool:
    return re.match(r"[^\W\d_]([^\W\d_]|$)", cell.strip(' "')) is not None


def _is_number(cell: str) -> bool:
    return cell.strip(' "').lstrip("+-").isdecimal()
