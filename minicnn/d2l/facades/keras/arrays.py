"""``tf.Tensor``: what TensorFlow computes with. It cannot be changed.

TensorFlow's pictures have their channels last, (N, H, W, C), the engine's come first. A tensor may
hold the engine's array with the axes in another order than it shows: what a convolution returns is
passed on to the next layer as it is, and transposed only for those who look at it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicnn.d2l.facades.arrays import Wrapped
from minicnn.d2l.facades.keras import mistakes
from minicnn.d2l.facades.keras.dtypes import DType, TensorShape, as_dtype
from minicnn.d2l.facades.keras.taping import recording
from minicnn.functions import stack
from minicnn.kernels import array_module
from minicnn.tensor import Tensor as EngineTensor

Order = tuple[int, ...]
PICTURES: Order = (0, 2, 3, 1)
"""How pictures are shown, (N, H, W, C), that are held as (N, C, H, W)."""


class Tensor(Wrapped):
    """An array of one dtype, whose shape is shown as TensorFlow's.

    Args:
        tensor: the engine's.
        order: the axes of ``tensor`` in the order in which they are shown; None: as they are.
    """

    __slots__ = ("_held", "_order", "_time")

    def __init__(self, tensor: EngineTensor, order: Order | None = None):
        self._held, self._order = tensor, order
        self._time = recording.now

    def _now(self) -> EngineTensor:
        """What is held; without its past if that belongs to another time of recording."""
        if self._held.requires_grad and self._time != recording.now:
            return self._held.detach()
        return self._held

    @property
    def tensor(self) -> EngineTensor:  # type: ignore[override]
        """The engine's tensor with its axes as they are shown."""
        held = self._now()
        return held if self._order is None else held.transpose(self._order)

    def held(self, order: Order | None) -> EngineTensor:
        """The engine's tensor whose axes, taken in ``order``, are those that are shown."""
        if self._order == order:
            return self._now()
        return self.tensor if order is None else self.tensor.transpose(_back(order))

    def _of(self, tensor: EngineTensor) -> Tensor:
        return Tensor(tensor)

    def each(self, function: Callable[[EngineTensor], EngineTensor]) -> Tensor:
        """``function``, which computes every cell by itself."""
        return Tensor(function(self._now()), self._order)

    def _compute(self, function: Callable[..., Any], *operands: Any) -> Tensor:
        if function is operator.getitem:
            return Tensor(self.tensor[_plain_key(operands[1])])
        if len(operands) == 1:
            return self.each(function)
        a, b = operands_of(*operands)
        if function is operator.truediv and not a.dtype.is_floating:
            small = np.dtype(a.dtype.as_numpy_dtype).itemsize < 4
            to = "float32" if small else "float64"  # as TensorFlow divides whole numbers
            return Tensor(a.tensor.to(to) / b.tensor.to(to))
        if function is operator.matmul:
            return Tensor(a.tensor @ b.tensor)
        return both(function, a, b)

    def _compare(self, relation: Callable[..., Any], other: Any) -> Any:
        if other is None or isinstance(other, str):
            return relation is operator.ne
        return self._compute(relation, self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return self._compute(operator.matmul, other, self)

    def __rpow__(self, other: Any) -> Tensor:
        return self._compute(operator.pow, other, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return self._compute(_as_constants(operator.floordiv), self, other)

    def __mod__(self, other: Any) -> Tensor:
        return self._compute(_as_constants(operator.mod), self, other)

    def __abs__(self) -> Tensor:
        return self.each(absolute)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(mistakes.NO_ASSIGNMENT)

    def __hash__(self) -> int:
        raise TypeError(
            f"{type(self).__name__} is unhashable. Instead, use tensor.ref() as the key."
        )

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(mistakes.of_tensor(self, name), name=name, obj=self)

    # What it is -----------------------------------------------------------------------------------

    @property
    def shape(self) -> TensorShape:
        """The length of each axis."""
        shape = self._held.shape
        return TensorShape(shape if self._order is None else [shape[i] for i in self._order])

    def get_shape(self) -> TensorShape:
        """``shape``."""
        return self.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._held.ndim

    @property
    def dtype(self) -> DType:
        """``tf.float32``..."""
        return as_dtype(self._held.dtype)

    @property
    def device(self) -> str:
        """Where the cells are, in TensorFlow's full form."""
        kind, _, number = self._held.device.partition(":")
        return f"/job:localhost/replica:0/task:0/device:{kind.upper()}:{number or 0}"

    def numpy(self) -> Any:
        """The cells as a NumPy array; the only one as a NumPy number."""
        array = self.tensor.numpy()
        return array.copy() if array.ndim else array[()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.tensor.numpy(), dtype=dtype, copy=copy)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("Cannot iterate over a scalar tensor.")
        return (self[i] for i in range(len(self)))

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("Scalar tensor has no `len()`")
        return int(self.shape[0])

    def __bool__(self) -> bool:
        return bool(self.tensor.numpy())

    def __format__(self, spec: str) -> str:
        return format(self.numpy(), spec)

    def __str__(self) -> str:
        cells = str(self.tensor.numpy())
        start = "\n" if "\n" in cells else ""
        return f"tf.Tensor({start}{cells}, shape={self.shape}, dtype={self.dtype.name})"

    def __repr__(self) -> str:
        return f"<tf.Tensor: shape={self.shape}, dtype={self.dtype.name}, numpy={_numpy(self)}>"


def _numpy(x: Tensor) -> str:
    """The cells, as TensorFlow's representations end."""
    array = x.tensor.numpy()
    cells = repr(array) if array.ndim else str(array)
    return f"\n{cells}" if "\n" in cells else cells


def _as_constants(function: Callable[..., Any]) -> Callable[..., EngineTensor]:
    """An operator that the engine has no gradient of: for numbers that want none."""

    def of(a: EngineTensor, b: EngineTensor) -> EngineTensor:
        if a.requires_grad or b.requires_grad:
            raise NotImplementedError(
                f"{function.__name__}: minicnn has no gradient of it; write tf.stop_gradient(x)"
            )
        return EngineTensor(function(a.data, b.data))

    return of


def _back(order: Order) -> Order:
    return tuple(order.index(i) for i in range(len(order)))


def _plain_key(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(map(_plain_key, key))
    if isinstance(key, slice):
        return slice(*(_plain_key(part) for part in (key.start, key.stop, key.step)))
    if isinstance(key, Tensor) and not key.ndim:
        return int(key)
    if isinstance(key, list | np.ndarray | Tensor):
        mask = as_tensor(key)
        if mask.dtype.name != "bool":
            raise TypeError(mistakes.NO_LIST_INDEX)
        return mask.tensor
    return key


def both(function: Callable[..., EngineTensor], a: Tensor, b: Tensor) -> Tensor:
    """``function`` of two tensors, cell by cell, with NumPy's broadcasting."""
    orders = {x._order for x in (a, b) if x.ndim}
    order = orders.pop() if len(orders) == 1 else None
    x, y = on_one_device(*(t.held(order if t.ndim else None) for t in (a, b)))
    return Tensor(function(x, y), order)


def on_one_device(*tensors: EngineTensor) -> list[EngineTensor]:
    """The tensors on a GPU if one of them is there; TensorFlow copies them by itself too."""
    device = max(t.device for t in tensors)  # "gpu:0" comes after "cpu"
    return [moved(t, device) for t in tensors]


def moved(tensor: EngineTensor, device: str) -> EngineTensor:
    """The tensor on this device: itself if it is there."""
    return tensor if tensor.device == device else tensor.to(device)


def operands_of(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Two operands of one dtype; what is not a tensor yet takes the other's.

    Raises:
        InvalidArgumentError: two tensors of different dtypes.
        TypeError: a fraction with whole numbers.
    """
    if not isinstance(a, Tensor):
        b = as_tensor(b)
        return as_tensor_like(a, b), b
    if not isinstance(b, Tensor):
        return a, as_tensor_like(b, a)
    if a._held.dtype != b._held.dtype:
        raise mistakes.InvalidArgumentError(mistakes.two_dtypes(a, b))
    return a, b


def as_tensor_like(value: Any, like: Tensor) -> Tensor:
    """A number, list or array in the dtype of the tensor with which it is computed.

    Raises:
        TypeError: a fraction with whole numbers.
    """
    if isinstance(value, list | tuple) and _holds_tensors(value):
        return operands_of(as_tensor(value), like)[0]
    array = np.asarray(value)
    if array.dtype.kind == "f" and not like.dtype.is_floating:
        raise TypeError(
            f"Cannot convert {value!r} to EagerTensor of dtype {like.dtype.name}; "
            "write tf.cast(x, tf.float32) first"
        )
    if array.dtype.kind not in "iubf":
        raise TypeError(f"wanted numbers, received {type(value).__name__}: {value!r:.80}")
    return Tensor(EngineTensor(array.astype(like._held.dtype), device=like._held.device))


def as_tensor(value: Any, dtype: Any = None) -> Tensor:
    """A tensor of a tensor, number, array or nested list; Python's are float32, int32 and bool.

    Raises:
        ValueError: a tensor of another dtype than ``dtype``, or lists of different lengths.
        TypeError: no numbers.
    """
    wanted = None if dtype is None else as_dtype(dtype)
    if isinstance(value, Tensor):
        if wanted is not None and value.dtype is not wanted:
            raise ValueError(
                f"Tensor conversion requested dtype {wanted.name} for Tensor with dtype "
                f"{value.dtype.name}: {value!r:.200}; write tf.cast(x, tf.{wanted.name})"
            )
        return value
    if isinstance(value, list | tuple) and _holds_tensors(value):
        first = next(as_tensor(part, dtype) for part in value if not np.isscalar(part))
        parts = [operands_of(first, part)[1].tensor for part in value]
        return Tensor(stack(on_one_device(*parts)))
    return Tensor(EngineTensor(_as_numpy(value, wanted)))


def _holds_tensors(value: list[Any] | tuple[Any, ...]) -> bool:
    return any(
        isinstance(part, Tensor) or (isinstance(part, list | tuple) and _holds_tensors(part))
        for part in value
    )


def _as_numpy(value: Any, wanted: DType | None) -> np.ndarray:
    array = np.array(value)  # a copy: nobody can change a tensor
    if array.dtype.kind not in "iubf":
        raise TypeError(f"wanted numbers, received {type(value).__name__}: {value!r:.80}")
    if wanted is None and not hasattr(value, "dtype"):
        wanted = as_dtype({"f": "float32", "b": "bool"}.get(array.dtype.kind, "int32"))
    if wanted is None:
        return array
    if array.dtype.kind == "f" and not wanted.is_floating:
        raise TypeError(
            f"Cannot convert {value!r:.80} to EagerTensor of dtype {wanted.name}; "
            f"write tf.cast(x, tf.{wanted.name})"
        )
    return array.astype(wanted.as_numpy_dtype)


def absolute(x: EngineTensor) -> EngineTensor:
    """|x|: x times its sign, which is a constant."""
    return x * EngineTensor(array_module(x.data).sign(x.data))
