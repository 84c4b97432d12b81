"""What a tensor is besides its numbers: its dtype, its device, its shape, as PyTorch names them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from minicnn.device import Device


class dtype:  # noqa: N801 (PyTorch's name)
    """A type of numbers, ``torch.float32``; NumPy's is ``numpy``."""

    __module__ = "torch"

    def __init__(self, name: str):
        self.name, self.numpy = name, np.dtype(name)

    @property
    def is_floating_point(self) -> bool:
        """Whether it has fractions."""
        return self.numpy.kind == "f"

    @property
    def itemsize(self) -> int:
        """Bytes a number."""
        return self.numpy.itemsize

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> Any:
        return dtype.of, (self.numpy,)

    def __deepcopy__(self, memo: Any) -> dtype:
        return self

    @staticmethod
    def of(known: np.dtype[Any]) -> dtype:
        """PyTorch's name for a dtype of the engine."""
        return BY_NUMPY[np.dtype(known)]


NAMES = ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")
DTYPES = {name: dtype(name) for name in NAMES}
BY_NUMPY = {known.numpy: known for known in DTYPES.values()} | {
    np.dtype(name): dtype(name) for name in ("uint16", "uint32", "uint64")
}
ALIASES = {"float": "float32", "double": "float64", "short": "int16", "int": "int32"}
PYTHONS = {float: DTYPES["float64"], int: DTYPES["int64"], bool: DTYPES["bool"]}
PUBLIC = DTYPES | {a: DTYPES[b] for a, b in (*ALIASES.items(), ("long", "int64"))}
"""Those that the facade has, by their names in ``torch``."""


def numpy_dtype(wanted: Any) -> np.dtype[Any] | None:
    """NumPy's dtype for one of ``torch``; None for None.

    Raises:
        TypeError: anything else.
    """
    if wanted is None:
        return None
    if wanted in PYTHONS:
        return PYTHONS[wanted].numpy
    if not isinstance(wanted, dtype):
        raise TypeError(f"dtype is {wanted!r}; wanted one of torch: torch.float32, torch.int64...")
    return wanted.numpy


class device:  # noqa: N801 (PyTorch's name)
    """Where tensors lie: ``torch.device("cpu")``, ``torch.device("cuda", 0)``.

    Args:
        type: "cpu", "cuda", "cuda:1"; another device; or the number of a GPU.
        index: the number of the GPU.

    Raises:
        RuntimeError: another kind of device.
    """

    __module__ = "torch"

    def __init__(self, type: Any, index: int | None = None):
        if isinstance(type, device):
            type, index = type.type, type.index
        text = f"cuda:{type}" if isinstance(type, int) else str(type)
        match = re.fullmatch(r"(cpu|cuda)(?::(\d+))?", text)
        if match is None or (match[2] and index is not None):
            raise RuntimeError(f"torch.device: received {type!r}; wanted 'cpu', 'cuda' or 'cuda:0'")
        self.type: str = match[1]
        self.index: int | None = int(match[2]) if match[2] else index

    @property
    def engine(self) -> Device:
        """The engine's name for it: "cpu", "gpu:0"."""
        return "cpu" if self.type == "cpu" else f"gpu:{self.index or 0}"

    @staticmethod
    def of(name: Device) -> device:
        """PyTorch's name for a device of the engine."""
        return device(name.replace("gpu", "cuda"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        number = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{number})"


def engine_device(wanted: Any) -> Device | None:
    """The engine's name for what PyTorch's programs write as a device; None for None."""
    return None if wanted is None else device(wanted).engine


class Size(tuple[int, ...]):
    """The shape of a tensor: a tuple that prints as ``torch.Size([2, 3])``."""

    __module__ = "torch"
    __slots__ = ()

    def numel(self) -> int:
        """The number of cells."""
        return int(np.prod(self, dtype=np.int64))

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        return Size(part) if isinstance(key, slice) else part

    def __add__(self, other: Any) -> Size:
        return Size(super().__add__(tuple(other)))

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"
