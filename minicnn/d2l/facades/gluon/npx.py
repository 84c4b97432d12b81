"""mxnet.npx: the second edition's switch, and its functions that NumPy does not have."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from minicnn.tensor import Tensor

from . import functions
from .nd import waitall
from .nd_arrays import NDArray
from .np import of_cells
from .np_arrays import ndarray


class _Mode(threading.local):
    is_np = False


_mode = _Mode()


def set_np(shape: bool = True, array: bool = True, dtype: bool = False) -> None:
    """Let nets give and take np's arrays, as the second edition's cells do.

    Raises:
        ValueError: one half of it alone, or float64 as the default.
    """
    if not (shape and array) or dtype:
        raise ValueError("npx.set_np: wanted no arguments; write npx.set_np()")
    _mode.is_np = True


def reset_np() -> None:
    """Let nets give and take nd's arrays again."""
    _mode.is_np = False


def is_np_array() -> bool:
    """Whether ``set_np`` was called."""
    return _mode.is_np


def array_type() -> type[NDArray] | type[ndarray]:
    """The arrays that parameters are now."""
    return ndarray if _mode.is_np else NDArray


CELLS: dict[str, Callable[..., Tensor]] = {
    "relu": Tensor.relu,
    "sigmoid": Tensor.sigmoid,
    "softmax": Tensor.softmax,
    "log_softmax": functions.log_softmax,
    "pick": functions.pick,
    "one_hot": functions.one_hot,
    "batch_flatten": lambda x: functions.own(x.flatten(1)),
}
NAMES: dict[str, Any] = {
    name: of_cells(f"npx.{name}", function) for name, function in CELLS.items()
} | {f.__name__: f for f in (set_np, reset_np, is_np_array, waitall)}
