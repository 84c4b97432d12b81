"""Saving and loading parameters: safetensors files with PyTorch's names and layouts."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import formats
from minicnn.files import expand, write_whole
from minicnn.nn import Module
from minicnn.tensor import Tensor

# The dtypes of a safetensors file, little-endian; 16-bit floats are widened to float32.
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
}  # fmt: skip

# Suffixes of other formats, and the functions that read them.
OTHERS = {
    ".pt": "PyTorch's own torch.load", ".pth": "PyTorch's own torch.load",
    ".npz": "numpy.load", ".npy": "numpy.load", ".pkl": "pickle.load", ".h5": "h5py.File",
    ".keras": "keras.models.load_model",
}  # fmt: skip

# What to do with a file of another kind; {old} and {new} stand for the paths.
CURES = {
    formats.PYTORCH: "convert it with: import minicnn; "
    "minicnn.save(minicnn.interop.load_state_dict({old}), {new})",
    formats.NPZ: "convert it with: import minicnn, numpy; "
    "minicnn.save(numpy.load({old}), {new})",
    formats.NPY: "convert it with: import minicnn, numpy; "
    "minicnn.save({{'0.weight': numpy.load({old})}}, {new})",
    formats.PICKLE: "if you trust it, convert it with: import minicnn, pathlib, pickle; "
    "minicnn.save(pickle.loads(pathlib.Path({old}).read_bytes()), {new})",
    formats.HDF5: "convert it with: import h5py, minicnn; arrays = {{}}; "
    "h5py.File({old}).visititems("
    "lambda k, v: arrays.update({{k: v[()]}} if hasattr(v, 'dtype') else {{}})); "
    "minicnn.save(arrays, {new}) (Keras's kernels are (KH, KW, C, O): transpose(3, 2, 0, 1))",
    formats.KERAS: "unpack it (a zip archive) and convert its model.weights.h5",
    formats.ZIP: "unpack it",
    formats.GZIP: "unpack it",
    formats.HTML: "download the file itself, not the page that shows it",
    formats.LFS: "fetch the file: git lfs pull",
}  # fmt: skip


def save(obj: Module | Mapping[str, Any], path: str | Path) -> None:
    """Write a net's parameters and buffers, or a mapping of names to tensors, to a file.

    ``safetensors.torch.load_file`` reads it too; ``torch.load`` does not, so a name like net.pt
    gives a warning. An interruption leaves the old file: see ``write_whole``.

    Raises:
        TypeError: neither a module nor a mapping.
        OSError: it cannot be written; see ``write_whole``.

    Warns:
        UserWarning: the name has the suffix of another format.
    """
    from safetensors.numpy import save as serialize

    state = obj.state_dict() if isinstance(obj, Module) else obj
    if not isinstance(state, Mapping):
        raise TypeError(
            f"save: obj is of type {type(obj).__name__}; wanted a Module or a state_dict"
        )
    # safetensors writes an array's memory as it is: it has to be in C order
    arrays = {name: Tensor(value).numpy().copy(order="C") for name, value in state.items()}
    path = expand(path)
    write_whole(path, serialize(arrays))
    reader = OTHERS.get(path.suffix.lower())
    if reader:
        warnings.warn(
            f"{path} is a safetensors file, which {reader} does not read; wanted a name like "
            f"{path.with_suffix('.safetensors').name} (PyTorch: safetensors.torch.load_file)",
            stacklevel=2,
        )


def load(path: str | Path) -> dict[str, Tensor]:
    """Read a file that ``save`` (or PyTorch's safetensors) wrote, for ``net.load_state_dict``.

    Returns:
        The tensors in the file's order. float16 and bfloat16 become float32, which holds all of
        their values.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a safetensors file (the message says what it is, if that is known, and what
            converts it), a damaged one, or one with a dtype that minicnn does not have.
    """
    from safetensors import SafetensorError, deserialize

    if expand(path).is_dir():
        raise IsADirectoryError(f"{path} is a folder; wanted a file (of a run: minicnn.load_run)")
    content = expand(path).read_bytes()
    try:
        parts = dict(deserialize(content))
    except SafetensorError as error:
        raise ValueError(_complaint(path, content, error)) from None
    return {name: Tensor(_array(path, name, parts[name])) for name in _names(content)}


def _names(content: bytes) -> list[str]:
    """The names in an undamaged file, in its order. Its header is a length and a JSON object."""
    size = int.from_bytes(content[:8], "little")
    return [name for name in json.loads(content[8 : 8 + size]) if name != "__metadata__"]


def _array(path: str | Path, name: str, part: Mapping[str, Any]) -> np.ndarray:
    dtype = part["dtype"]
    if dtype not in DTYPES:
        raise ValueError(f"{path} holds a dtype that minicnn does not have: {name} is {dtype}")
    array = np.frombuffer(part["data"], DTYPES[dtype]).reshape(part["shape"])
    if dtype == "BF16":  # the upper half of a float32
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32) if dtype == "F16" else array


def _complaint(path: str | Path, content: bytes, error: Exception) -> str:
    """Why this is no safetensors file: what it is instead, or what is damaged."""
    if not content:
        return f"{path} is not a safetensors file, it is empty"
    # a header of 0x280 bytes starts with 80 02, as a pickle does; but a header goes on with a brace
    kind = None if content[8:9] == b"{" else formats.kind_of(content)
    if kind is None:
        return f"{path} is not a safetensors file, or damaged: {formats.in_short(error)}"
    old, new = str(path), str(Path(path).with_suffix(".safetensors"))
    cure = CURES.get(kind, "wanted one that minicnn.save wrote").format(
        old=repr(old), new=repr(new)
    )
    return f"{path} is not a safetensors file but {kind}; {cure}"
