"""Tensors: arrays that remember how they were computed.

A ``Tensor`` is an array and, if a gradient may be asked for, its place on the tape (``tape``): the
operation and the inputs that it was computed from. ``apply`` is the only function that puts a
tensor there. This file says what a tensor is; what it does, it inherits:

    arithmetic.py       operators, comparisons, functions of each cell, reductions
    shape.py            shape, index, dtype and device
    inplace.py          writing into a tensor
    names.py            PyTorch's names for the same
    numpy_calls.py      NumPy's functions called with tensors
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from minicnn import names, tape
from minicnn.arithmetic import Arithmetic
from minicnn.device import Device, device_of, on_device_of, to_device, to_host
from minicnn.dtypes import DType, as_array, check_may_require_grad, check_same_device, is_array
from minicnn.inplace import InPlace
from minicnn.kernels import Array, array_module, is_host
from minicnn.names import Names
from minicnn.numpy_calls import NumPyCalls
from minicnn.ops import Operation
from minicnn.shape import Shape
from minicnn.tape import Node, enable_grad, is_grad_enabled, no_grad

__all__ = [
    "Tensor",
    "apply",
    "as_tensor",
    "enable_grad",
    "from_dlpack",
    "is_grad_enabled",
    "no_grad",
]


class Tensor(Arithmetic, Shape, InPlace, Names, NumPyCalls):
    """An array of float32, float64, integers or booleans that remembers how it was computed.

    Methods have NumPy's names; many of PyTorch's for the same are inherited from ``Names``.

    Args:
        data: an array (kept as it is, neither copied nor converted), a number or nested list of
            numbers (which become float32), or a tensor (whose array is shared).
        requires_grad: whether ``backward`` leaves a gradient in ``grad``.
        dtype: converts to this dtype.
        device: moves to ``"cpu"``, ``"gpu"`` or ``"gpu:<number>"``.

    Attributes:
        requires_grad: whether gradients flow to this tensor.
        node: the operation and inputs it was computed from; None for a leaf.

    Raises:
        TypeError: data of any other kind or dtype.
        RuntimeError: integers or booleans that require a gradient.
    """

    __slots__ = ("_data", "_freed", "_grad", "_keeps_grad", "_requires_grad", "_written", "node")

    _data: Array
    # One number: when (by the tape's clock) the numbers changed. Tensors that share them share it.
    _written: list[int]
    node: Node | None

    def __init__(
        self,
        data: Any,
        requires_grad: bool = False,
        dtype: DType = None,
        device: Device | None = None,
    ):
        source = data._data if isinstance(data, Tensor) else data
        array = as_array(source, dtype)
        if device is not None:
            array = to_device(array, device)
        self._data = array
        is_shared = array is source and isinstance(data, Tensor)
        self._written = data._written if is_shared else [0]
        self.requires_grad = requires_grad
        self.node = None
        self._grad: Tensor | None = None
        self._keeps_grad = False
        self._freed = False

    # What it is -----------------------------------------------------------------------------------

    @property
    def data(self) -> Array:
        """The NumPy or CuPy array. May be set, to an array or to that of another tensor.

        As in PyTorch the new array may have another shape, dtype and device, and is shared, not
        copied; a ``backward`` that would have to read the old numbers is refused from then on.

        Raises:
            TypeError: neither an array nor a tensor, or a dtype that tensors do not have.
            RuntimeError: integers or booleans where a gradient is required.
        """
        return self._data

    @data.setter
    def data(self, new: Array | Tensor) -> None:
        if not isinstance(new, Tensor) and not is_array(new):
            raise TypeError(
                f"data: received {_name_of(type(new))}; wanted an array or a tensor, "
                "as Tensor(...) makes one"
            )
        array = as_array(new._data if isinstance(new, Tensor) else new)
        if self._requires_grad:
            check_may_require_grad(array.dtype)
        self._data = array
        self.increment_version()

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(self._data.shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return int(self._data.ndim)

    @property
    def size(self) -> names.Size:
        """The number of cells, an int. May be called, as in PyTorch: ``size()`` is the shape."""
        return names.Size.of(self.shape, self._data.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the cells."""
        return self._data.dtype

    @property
    def device(self) -> Device:
        """Where the array lies: ``"cpu"`` or ``"gpu:<number>"``."""
        return device_of(self._data)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor; may be set, for what is computed from then on."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted:
            check_may_require_grad(self._data.dtype)
        self._requires_grad = bool(wanted)

    def _is_recorded(self) -> bool:
        """Whether what is computed from this goes on the tape."""
        return self._requires_grad and is_grad_enabled()

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made, not computed from others that require gradients."""
        return self.node is None and not self._freed

    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward`` added up for this tensor, or None."""
        return self._grad

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if gradient is not None:
            if not isinstance(gradient, Tensor):
                raise TypeError(
                    f"grad: wanted a Tensor or None, received {type(gradient).__name__}"
                )
            _check_gradient("grad", gradient._data, self)
        self._grad = gradient

    def __repr__(self) -> str:
        values = np.array2string(self.numpy(), separator=", ", prefix="Tensor(", threshold=200)
        notes = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        notes += "" if self.device == "cpu" else f", device={self.device!r}"
        if self.node is not None:
            notes += f", from={self.node.operation.name}"
        elif self.requires_grad:
            notes += ", requires_grad=True"
        return f"Tensor({values}{notes})"

    # Getting at the numbers -----------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """The cells as a NumPy array; on the CPU it shares memory with the tensor."""
        if tape.mode.looked_at is not None:
            tape.mode.looked_at.append(self)
        return to_host(self._data)

    def item(self) -> float | int | bool:
        """The only cell, as a Python number.

        Raises:
            ValueError: more than one cell, or none.
        """
        if self._data.size != 1:
            raise ValueError(f"item(): wanted one cell, this tensor has shape {self.shape}")
        if tape.mode.looked_at is not None:
            tape.mode.looked_at.append(self)
        return self._data.item()

    def __array__(self, dtype: DType = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        return self._data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._data.__dlpack_device__()

    # Copies and pickles ---------------------------------------------------------------------------

    def __copy__(self) -> Self:
        """A leaf over the same numbers, with the same gradient."""
        again = type(self).__new__(type(self))
        again.__setstate__(self.__getstate__())
        again._written = self._written
        return again

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A leaf with its gradient.

        Raises:
            RuntimeError: a tensor that was computed, as in PyTorch.
        """
        if not self.is_leaf:
            raise RuntimeError(
                "deepcopy: this tensor was computed from others, and the copy would have to take "
                "the whole tape with it; copy its .detach()"
            )
        again = type(self).__new__(type(self))
        memo[id(self)] = again
        again.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return again

    def __getstate__(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """What a pickle keeps: not the past, as in PyTorch, so that the result is a leaf."""
        return getattr(self, "__dict__", None), {
            "data": self._data,
            "node": None,
            "_requires_grad": self._requires_grad,
            "_grad": self._grad,
            "_keeps_grad": self._keeps_grad,
            "_freed": False,
        }

    def __setstate__(self, state: tuple[dict[str, Any] | None, dict[str, Any]]) -> None:
        attributes, slots = state
        self._data, self._written = slots.pop("data"), [0]
        for name, value in {**slots, **(attributes or {})}.items():
            setattr(self, name, value)

    # As a sequence and as a number ----------------------------------------------------------------

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ValueError(
                f"the truth value of a tensor of shape {self.shape} is ambiguous; "
                "wanted one cell (reduce it first)"
            )
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind == "f":
            raise TypeError(f"a {self.dtype} tensor cannot be an index; wanted integers")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item() if self._data.size == 1 and spec else str(self), spec)

    # Gradients ------------------------------------------------------------------------------------

    def detach(self) -> Tensor:
        """The same array in a tensor without a past."""
        return Tensor(self)

    def retain_grad(self) -> None:
        """Let ``backward`` leave a gradient in ``grad`` although this tensor was computed."""
        self._keeps_grad = True

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Add to ``grad`` of every leaf its gradient: d(sum(self * gradient)) / d(leaf).

        The tape holds the arrays themselves, not copies. Changes made since the forward pass by an
        optimiser, an initialiser, ``load_state_dict``, arithmetic in place or ``data = ...`` are
        noticed. Writing into an array through NumPy (``x.data[0] = 1``, a batch's buffer filled
        again) is not: do that after ``backward``, or say so with ``increment_version``.

        Args:
            gradient: the loss's gradient with respect to this tensor, of its shape; 1 by default,
                for a scalar.
            retain_graph: keep the tape, so that ``backward`` can run through it again.

        Raises:
            RuntimeError: nothing recorded leads here, the tape was freed by an earlier
                ``backward``, ``gradient`` is missing for a tensor that is not a scalar, numbers
                that are needed were changed after the forward pass, or an operation's ``backward``
                does not return an array for each input that needs one, of its shape and dtype.
            ValueError, TypeError: a gradient of another shape, or of another dtype.
        """
        if not (self.requires_grad or self._freed):
            raise RuntimeError(
                "backward(): this tensor does not require a gradient: no input had "
                "requires_grad=True, or it was computed under no_grad()"
            )
        with on_device_of(self._data):
            tape.backward(self, self._first_gradient(gradient), retain_graph)

    def _first_gradient(self, gradient: Any) -> Array:
        if gradient is None:
            if self._data.size != 1:
                raise RuntimeError(
                    f"backward(): a tensor of shape {self.shape} is not a scalar; pass its "
                    "gradient, backward(gradient), or reduce it first, for example .sum()"
                )
            return array_module(self._data).ones_like(self._data)
        if isinstance(gradient, int | float) and self.ndim == 0:
            return array_module(self._data).full_like(self._data, gradient)
        array = as_tensor(gradient, like=self).data
        _check_gradient("gradient", array, self)
        return array

    def _accumulate(self, dy: Array, is_new: bool = False) -> None:
        # the old gradient, and dy unless it is new, may be someone else's array
        if self._grad is not None:
            self._grad = Tensor(self._grad._data + dy)
        else:
            self._grad = Tensor(dy if is_new and dy.flags.c_contiguous else dy.copy())

    # What its base classes compute with -----------------------------------------------------------

    def _apply(self, operation: Operation, *others: Tensor) -> Tensor:
        return apply(operation, self, *others)

    def _operand(self, value: Any) -> Tensor:
        return as_tensor(value, like=self)

    def _of_array(self, array: Array) -> Tensor:
        return Tensor(array)


def apply(operation: Operation, *inputs: Any) -> Tensor:
    """Compute ``operation`` on tensors (or arrays); record it if a gradient may be asked for.

    An operation that was applied before keeps what its ``backward`` needs: a copy is applied.

    Raises:
        RuntimeError: inputs on different devices.
    """
    tensors = tuple(x if isinstance(x, Tensor) else Tensor(x) for x in inputs)
    if len(tensors) > 1:
        check_same_device(operation, tensors)
    if operation.needs_gradient:
        operation = copy.copy(operation)
    recording = is_grad_enabled()
    operation.needs_gradient = tuple(x.requires_grad and recording for x in tensors)
    with on_device_of(tensors[0]._data):
        result = Tensor(operation.forward(*(x._data for x in tensors)))
    array = result._data
    if array.base is not None or array is tensors[0]._data:
        tape.share_clock(result, tensors)
    if any(operation.needs_gradient) and result.dtype.kind == "f":
        result._requires_grad = True
        result.node = Node(operation, tensors, tape.clock.now, next(tape.numbers))
    return result


def as_tensor(value: Any, like: Tensor | None = None) -> Tensor:
    """``value`` as a tensor; a tensor is returned as it is.

    Numbers take dtype and device from ``like``: 2 * x has the dtype of x. (But a floating-point
    number with an integer tensor becomes float32.)
    """
    if isinstance(value, Tensor):
        return value
    if like is None:
        return Tensor(value)
    if hasattr(value, "dtype") and not isinstance(value, np.generic):
        return Tensor(value)
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, int | float) and like.dtype.kind == "f" and not is_host(like._data):
        with on_device_of(like._data):  # written there, not copied to it
            return Tensor(array_module(like._data).full((), value, like.dtype))
    kind = np.asarray(value).dtype.kind
    if like.dtype.kind == "f" or kind == "b":
        return Tensor(value, dtype=like.dtype, device=like.device)
    if kind == "f":
        return Tensor(value, dtype=np.float32, device=like.device)
    dtype = np.int64 if like.dtype.kind == "b" else like.dtype
    return Tensor(np.asarray(value, dtype=dtype), device=like.device)


def from_dlpack(array: Any) -> Tensor:
    """A tensor over the memory of any array that speaks DLPack (NumPy, CuPy, PyTorch, JAX).

    Raises:
        TypeError: ``array`` does not speak DLPack, or has an unsupported dtype.
    """
    if not hasattr(array, "__dlpack_device__"):
        raise TypeError(f"from_dlpack: {type(array).__name__} has no __dlpack__")
    on_gpu = array.__dlpack_device__()[0] == 2  # kDLCUDA
    module = array_module(to_device(np.zeros(1), "gpu")) if on_gpu else np
    return Tensor(module.from_dlpack(array))


def _name_of(kind: type) -> str:
    """list, torch.Tensor."""
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _check_gradient(name: str, gradient: Array, tensor: Tensor) -> None:
    if tuple(gradient.shape) != tensor.shape:
        raise ValueError(f"{name} has shape {tuple(gradient.shape)}, its tensor {tensor.shape}")
    if gradient.dtype != tensor.dtype:
        raise TypeError(f"{name} is {gradient.dtype}, its tensor {tensor.dtype}")
