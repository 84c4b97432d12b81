"""Tensors and the tape: reverse-mode automatic differentiation.

A ``Tensor`` is an array and, if a gradient may be asked for, the memory of where it came from: a
``Node`` with the operation and its inputs. Together the nodes form the tape. ``backward`` walks it
from the loss towards the leaves, hands each operation the gradient dy by its result, and adds what
comes back to the gradients by its inputs:

    x ── Linear ── Sigmoid ── SoftmaxCrossEntropy ── loss
           w,b                       target

``apply`` is the only place where a node is made. ``Tensor.backward`` walks the nodes; what compiles
or draws a tape reads them.
"""

from __future__ import annotations

import contextlib
import copy
import math
import operator
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Self, overload

import numpy as np

from minicnn import names, ops
from minicnn.device import Device, beside, device_of, resolve, to_device, to_host
from minicnn.kernels import Array, array_module, is_host
from minicnn.names import Axes, Names
from minicnn.numpy_calls import NumPyCalls
from minicnn.ops import Operation

DType = Any  # what numpy.dtype() accepts


class Node(NamedTuple):
    """How a tensor was computed: ``operation.forward(*inputs)``, and when (by ``_clock``)."""

    operation: Operation
    inputs: tuple[Tensor, ...]
    when: int

    def edges(self) -> Iterator[tuple[Tensor, bool]]:
        """The inputs, and whether each needed a gradient when the operation was recorded."""
        return zip(self.inputs, self.operation.needs_gradient, strict=True)


class _Clock:
    """Goes on by one whenever the numbers of a tensor change."""

    now = 0


_clock = _Clock()


class _Mode(threading.local):
    def __init__(self) -> None:
        self.recording = True
        self.before: list[bool] = []  # of every no_grad() and enable_grad() that is open
        self.looked_at: list[Tensor] | None = None  # see ``looks_noted``


_mode = _Mode()


class _Recording(contextlib.ContextDecorator):
    wanted: bool

    def __enter__(self) -> Self:
        _mode.before.append(_mode.recording)
        _mode.recording = self.wanted
        return self

    def __exit__(self, *exception: object) -> None:
        _mode.recording = _mode.before.pop()


class no_grad(_Recording):  # noqa: N801 (PyTorch's name)
    """``with no_grad():`` computes without recording; also a decorator. For this thread only."""

    wanted = False


class enable_grad(_Recording):  # noqa: N801 (PyTorch's name)
    """``with enable_grad():`` records again inside of ``no_grad``."""

    wanted = True


def is_grad_enabled() -> bool:
    """Whether operations are recorded on the tape now."""
    return _mode.recording


@contextlib.contextmanager
def looks_noted() -> Iterator[list[Tensor]]:
    """A list of the tensors whose numbers this thread hands to Python inside (``item``, ``if``)."""
    before, _mode.looked_at = _mode.looked_at, []
    try:
        yield _mode.looked_at
    finally:
        _mode.looked_at = before


class Tensor(Names, NumPyCalls):
    """An array of float32, float64, integers or booleans that remembers how it was computed.

    Methods have NumPy's names; many of PyTorch's for the same are inherited from ``Names``.

    Args:
        data: an array (kept as it is, neither copied nor converted), a number or nested list of
            numbers (which become float32), or a tensor (whose array is shared).
        requires_grad: whether ``backward`` shall leave a gradient in ``grad``.
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
    __hash__ = object.__hash__  # == compares cells, the hash is the object's

    _data: Array
    _written: list[int]  # one number, when (by _clock) the numbers changed; shared as they are
    node: Node | None

    def __init__(
        self,
        data: Any,
        requires_grad: bool = False,
        dtype: DType = None,
        device: Device | None = None,
    ):
        array = _as_array(data, dtype)
        if device is not None:
            array = to_device(array, device)
        self._data = array
        is_shared = isinstance(data, Tensor) and array is data._data
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
        if not isinstance(new, Tensor | np.ndarray | np.generic) and not _is_cupy(new):
            raise TypeError(
                f"data: received {_name_of(type(new))}; wanted an array or a tensor, "
                "as Tensor(...) makes one"
            )
        array = _as_array(new, None)
        if self._requires_grad:
            _check_floating(array.dtype)
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
        """The number of cells, an int; called, as PyTorch's: ``size()`` the shape, ``size(0)``."""
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
            _check_floating(self._data.dtype)
        self._requires_grad = bool(wanted)

    def _is_recorded(self) -> bool:
        """Whether what is computed from this goes on the tape."""
        return self._requires_grad and _mode.recording

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made, not computed from others that require gradients."""
        return self.node is None and not self._freed

    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward`` summed up for this tensor, or None."""
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
        if _mode.looked_at is not None:
            _mode.looked_at.append(self)
        return to_host(self._data)

    def item(self) -> float | int | bool:
        """The only cell, as a Python number.

        Raises:
            ValueError: more than one cell, or none.
        """
        if self._data.size != 1:
            raise ValueError(f"item(): wanted one cell, this tensor has shape {self.shape}")
        if _mode.looked_at is not None:
            _mode.looked_at.append(self)
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

        The tape holds the arrays themselves, no copies. What an optimiser, an initialiser,
        ``load_state_dict``, arithmetic in place or ``data = ...`` has changed since is noticed.
        What was written into an array through NumPy (``x.data[0] = 1``, a batch's buffer filled
        again) is not: do that after ``backward``, or say so with ``increment_version``.

        Args:
            gradient: the gradient by this tensor, of its shape; 1 by default, for a scalar.
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
        with beside(self._data):
            self._backward(gradient, retain_graph)

    def _backward(self, gradient: Any, retain_graph: bool) -> None:
        gradients = {id(self): self._first_gradient(gradient)}
        order = _in_order_of_computation(self)
        while order:  # what is done goes, with its numbers
            tensor = order.pop()
            dy = gradients.pop(id(tensor))
            if tensor.node is None or tensor._keeps_grad:
                tensor._accumulate(dy)
            if tensor.node is None:
                continue
            dinputs = _checked(tensor.node, tensor.node.operation.backward(dy))
            for (x, needed), dx in zip(tensor.node.edges(), dinputs, strict=True):
                if needed:
                    gradients[id(x)] = gradients[id(x)] + dx if id(x) in gradients else dx
            if not retain_graph:
                tensor.node, tensor._freed = None, True

    def _first_gradient(self, gradient: Any) -> Array:
        if gradient is None:
            if self._data.size != 1:
                raise RuntimeError(
                    f"backward(): a tensor of shape {self.shape} is not a scalar; pass the "
                    "gradient by it, backward(gradient), or reduce it first, for example .sum()"
                )
            return array_module(self._data).ones_like(self._data)
        if isinstance(gradient, int | float) and self.ndim == 0:
            return array_module(self._data).full_like(self._data, gradient)
        array = as_tensor(gradient, like=self).data
        _check_gradient("gradient", array, self)
        return array

    def _accumulate(self, dy: Array) -> None:
        # a new array: dy may be a view, and dy or the old gradient someone else's array
        self._grad = Tensor(dy.copy() if self._grad is None else self._grad._data + dy)

    # Arithmetic -----------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Tensor:
        return _binary(ops.Add, self, other)

    def __radd__(self, other: Any) -> Tensor:
        return _binary(ops.Add, other, self)

    def __sub__(self, other: Any) -> Tensor:
        return _binary(ops.Subtract, self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return _binary(ops.Subtract, other, self)

    def __mul__(self, other: Any) -> Tensor:
        return _binary(ops.Multiply, self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return _binary(ops.Multiply, other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return _binary(ops.Divide, self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return _binary(ops.Divide, other, self)

    def __pow__(self, other: Any) -> Tensor:
        return _binary(ops.Power, self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return _binary(ops.Power, other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return _matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return _matmul(other, self)

    def __neg__(self) -> Tensor:
        return apply(ops.Negate(), self)

    # In place -------------------------------------------------------------------------------------

    def increment_version(self) -> None:
        """Say that this tensor's numbers have changed, which a later ``backward`` may have to know.

        After ``torch.autograd.graph.increment_version``. Whatever changes numbers here calls it;
        call it yourself after writing into ``data`` through NumPy.
        """
        _clock.now += 1
        self._written[0] = _clock.now

    def __iadd__(self, other: Any) -> Self:
        return self._replaced("+=", operator.add, other)

    def __isub__(self, other: Any) -> Self:
        return self._replaced("-=", operator.sub, other)

    def __imul__(self, other: Any) -> Self:
        return self._replaced("*=", operator.mul, other)

    def __itruediv__(self, other: Any) -> Self:
        return self._replaced("/=", operator.truediv, other)

    def __ipow__(self, other: Any) -> Self:
        return self._replaced("**=", operator.pow, other)

    def _replaced(self, sign: str, operation: Callable[[Any, Any], Any], other: Any) -> Any:
        """A new tensor; under ``no_grad`` this one with the new numbers.

        Raises:
            RuntimeError: a leaf that requires a gradient, outside of ``no_grad``; under it, a
                tensor on the tape.
            ValueError, TypeError: a result that this tensor cannot hold.
        """
        if not _mode.recording:
            return self._updated(sign, operation, other)
        if self.is_leaf:
            self._check_tape(sign)
        return operation(self, other)

    def _updated(self, what: str, operation: Callable[[Any, Any], Tensor], other: Any) -> Self:
        """This tensor, with the result of ``operation(self, other)`` written into it."""
        self._check_writable(what)
        result = operation(self.detach(), other)
        if result.shape != self.shape:
            raise ValueError(
                f"{what}: the result has shape {result.shape}; this tensor's is {self.shape}"
            )
        return self._write(what, ..., result)

    def add_(self, other: Any, alpha: float = 1) -> Self:
        """Add ``alpha * other`` to this tensor's own numbers. As all methods of such a name:

        Raises:
            RuntimeError: this tensor is on the tape, or a leaf that requires a gradient outside of
                ``no_grad``; or the new numbers require a gradient, and would lose it.
            ValueError: a shape that this tensor cannot hold, or a read-only array.
            TypeError: numbers of a kind that this tensor cannot hold: fractions in one of integers.
        """
        other = other if alpha == 1 else as_tensor(other, like=self) * alpha
        return self._updated("add_", operator.add, other)

    def sub_(self, other: Any, alpha: float = 1) -> Self:
        """Subtract ``alpha * other``, in place: see ``add_``."""
        other = other if alpha == 1 else as_tensor(other, like=self) * alpha
        return self._updated("sub_", operator.sub, other)

    def mul_(self, other: Any) -> Self:
        """Multiply by ``other``, in place: see ``add_``."""
        return self._updated("mul_", operator.mul, other)

    def div_(self, other: Any) -> Self:
        """Divide by ``other``, in place: see ``add_``."""
        return self._updated("div_", operator.truediv, other)

    def copy_(self, source: Any) -> Self:
        """Take the numbers of ``source``, broadcast and converted, in place: see ``add_``."""
        return self._write("copy_", ..., as_tensor(source, like=self))

    def fill_(self, value: float) -> Self:
        """Make every cell ``value``, in place: see ``add_``."""
        return self._write("fill_", ..., as_tensor(value, like=self))

    def zero_(self) -> Self:
        """Make every cell 0, in place: see ``add_``."""
        return self._write("zero_", ..., as_tensor(0, like=self))

    def __setitem__(self, key: Any, value: Any) -> None:
        self._write("[...] =", _plain_key(key), as_tensor(value, like=self))

    def _check_tape(self, what: str) -> None:
        if self.node is not None:
            raise RuntimeError(
                f"{what}: this tensor was computed by {self.node.operation.name} and is on the "
                "tape, which needs its numbers as they are; wanted a new tensor (y = y + 1)"
            )
        if self._is_recorded():
            raise RuntimeError(
                f"{what}: this tensor requires a gradient, and the tape may need its numbers as "
                "they are; write it inside of 'with minicnn.no_grad():'"
            )

    def _check_writable(self, what: str) -> None:
        self._check_tape(what)
        if is_host(self._data) and not self._data.flags.writeable:
            raise ValueError(f"{what}: the array is read-only; wanted one to change")

    def _write(self, what: str, key: Any, values: Tensor) -> Self:
        self._check_writable(what)
        if values._is_recorded():
            raise RuntimeError(
                f"{what}: the new numbers require a gradient, which would be lost; write their "
                ".detach(), or put a new tensor together"
            )
        _check_devices(what, (self, values))
        counts = self.dtype.kind == "b" and values.dtype.kind in "iu"  # 0 or 1 for a boolean
        if not counts and not np.can_cast(values.dtype, self.dtype, "same_kind"):
            raise TypeError(
                f"{what}: the new numbers are {values.dtype}, this tensor is {self.dtype}; convert "
                f"them with .to('{self.dtype}')"
            )
        with beside(self._data):
            self._data[key] = values._data
        self.increment_version()
        return self

    # Comparison -----------------------------------------------------------------------------------

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return _compare(operator.eq, self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return _compare(operator.ne, self, other)

    def __lt__(self, other: Any) -> Tensor:
        return _compare(operator.lt, self, other)

    def __le__(self, other: Any) -> Tensor:
        return _compare(operator.le, self, other)

    def __gt__(self, other: Any) -> Tensor:
        return _compare(operator.gt, self, other)

    def __ge__(self, other: Any) -> Tensor:
        return _compare(operator.ge, self, other)

    def exp(self) -> Tensor:
        """exp(x), cell by cell."""
        return apply(ops.Exp(), self._floating())

    def log(self) -> Tensor:
        """The natural logarithm, cell by cell."""
        return apply(ops.Log(), self._floating())

    def sqrt(self) -> Tensor:
        """The square root, cell by cell."""
        return apply(ops.Sqrt(), self._floating())

    def sum(
        self, axis: Axes = None, keepdims: bool = False, *, dim: Axes = None, keepdim: bool = False
    ) -> Tensor:
        """The sum over ``axis`` (one, several, or all). Booleans are counted."""
        return apply(ops.Sum(names.axes("sum", axis, dim), keepdims or keepdim), self)

    def mean(
        self, axis: Axes = None, keepdims: bool = False, *, dim: Axes = None, keepdim: bool = False
    ) -> Tensor:
        """The mean over ``axis`` (one, several, or all); float32 for integers and booleans."""
        operation = ops.Mean(names.axes("mean", axis, dim), keepdims or keepdim)
        return apply(operation, self._floating())

    @overload
    def max(
        self, axis: Axes = None, keepdims: bool = False, *, keepdim: bool = False
    ) -> Tensor: ...
    @overload
    def max(self, *, dim: int, keepdims: bool = False, keepdim: bool = False) -> names.Largest: ...
    def max(
        self,
        axis: Axes = None,
        keepdims: bool = False,
        *,
        dim: int | None = None,
        keepdim: bool = False,
    ) -> Tensor | names.Largest:
        """The largest values over ``axis``; cells that tie share the gradient equally.

        With ``dim`` instead of ``axis`` as in PyTorch: a pair ``(values, indices)``, and of cells
        that tie the first alone has the gradient.
        """
        axis = names.axes("max", axis, dim)
        if dim is not None:
            return names.largest(self, dim, keepdims or keepdim)
        return apply(ops.Max(axis, keepdims or keepdim), self)

    def argmax(
        self,
        axis: int | None = None,
        keepdims: bool = False,
        *,
        dim: int | None = None,
        keepdim: bool = False,
    ) -> Tensor:
        """Where the largest value stands along ``axis``, int64; the first of equal ones."""
        along = names.axes("argmax", axis, dim)
        with beside(self._data):
            return Tensor(self._data.argmax(axis=along, keepdims=keepdims or keepdim))

    def relu(self) -> Tensor:
        """max(x, 0), cell by cell."""
        return apply(ops.ReLU(), self)

    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-x)), cell by cell."""
        return apply(ops.Sigmoid(), self._floating())

    def tanh(self) -> Tensor:
        """The hyperbolic tangent, cell by cell."""
        return apply(ops.Tanh(), self._floating())

    def softmax(self, axis: int = -1, *, dim: int | None = None) -> Tensor:
        """exp(x) / sum(exp(x)) over ``axis``."""
        return apply(ops.Softmax(axis if dim is None else dim), self._floating())

    # Shape, dtype, device -------------------------------------------------------------------------

    def reshape(self, *shape: Any) -> Tensor:
        """The same cells in another shape, of which one axis may be -1."""
        return apply(ops.Reshape(names.one_tuple(shape)), self)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """The axes from ``start_dim`` to ``end_dim`` made one; without arguments all of them.

        ``x.flatten(1)``: (N, C, H, W) -> (N, C·H·W).

        Raises:
            AxisError (an IndexError and a ValueError): there are no such axes.
        """
        shape = self.shape or (1,)  # PyTorch lets a 0-d tensor have one axis here
        start, end = (d + len(shape) if d < 0 else d for d in (start_dim, end_dim))
        if not 0 <= start <= end < len(shape):
            raise np.exceptions.AxisError(
                f"flatten: shape {self.shape} has no axes from start_dim {start_dim} "
                f"to end_dim {end_dim}"
            )
        one = math.prod(shape[start : end + 1])
        return self.reshape(*shape[:start], one, *shape[end + 1 :])

    def transpose(self, *axes: Any) -> Tensor:
        """The axes in another order, reversed by default, as NumPy's."""
        order = names.one_tuple(axes) or tuple(reversed(range(self.ndim)))
        from_front = tuple(axis + self.ndim if axis < 0 else axis for axis in order)
        if sorted(from_front) != list(range(self.ndim)):
            raise ValueError(
                f"transpose: axes {order} are not an order of the {self.ndim} axes of {self.shape}"
            )
        return apply(ops.Transpose(from_front), self)

    @property
    def T(self) -> Tensor:  # noqa: N802 (NumPy's name)
        """The axes reversed."""
        return self.transpose()

    def __getitem__(self, key: Any) -> Tensor:
        return apply(ops.Index(_plain_key(key)), self)

    def clone(self) -> Tensor:
        """A copy. Gradients flow back to this tensor."""
        return apply(ops.Cast(self.dtype), self)

    def to(self, target: DType) -> Tensor:
        """This tensor on another device (``"cpu"``, ``"gpu:1"``) or in another dtype.

        Itself if there is nothing to do. Gradients flow back through the change.
        """
        if isinstance(target, str) and target.startswith(("cpu", "gpu", "cuda")):
            device = resolve(target)
            return self if device == self.device else apply(ops.Move(device), self)
        dtype = _checked_dtype(target)
        return self if dtype == self.dtype else apply(ops.Cast(dtype), self)

    def _floating(self) -> Tensor:
        """This tensor; in float32 if it holds integers or booleans."""
        return self if self.dtype.kind == "f" else self.to(np.float32)


# The tape -----------------------------------------------------------------------------------------


class BackwardError(RuntimeError):
    """A gradient that cannot be one by its input: an array of another shape or dtype.

    Attributes:
        input: the tensor by which it was to be the gradient.
        gradient: what the operation's ``backward`` returned for it.
    """

    def __init__(self, message: str, input: Tensor, gradient: Array):
        super().__init__(message)
        self.input, self.gradient = input, gradient


def apply(operation: Operation, *inputs: Any) -> Tensor:
    """Compute ``operation`` on tensors (or arrays) and put it on the tape if a gradient may come.

    An instance that was applied before stays as it is, with what it keeps for its ``backward``: a
    copy of it is applied.

    Raises:
        RuntimeError: inputs on different devices.
    """
    tensors = tuple(x if isinstance(x, Tensor) else Tensor(x) for x in inputs)
    if len(tensors) > 1:
        _check_devices(operation, tensors)
    if operation.needs_gradient:
        operation = copy.copy(operation)
    operation.needs_gradient = tuple(x.requires_grad and _mode.recording for x in tensors)
    with beside(tensors[0]._data):
        result = Tensor(operation.forward(*(x._data for x in tensors)))
    array = result._data
    if array.base is not None or array is tensors[0]._data:
        _share_clock(result, tensors)
    if any(operation.needs_gradient) and result.dtype.kind == "f":
        result._requires_grad = True
        result.node = Node(operation, tensors, _clock.now)
    return result


def _share_clock(result: Tensor, inputs: tuple[Tensor, ...]) -> None:
    """Let a view (``w.T``, ``w[0]``) change when that changes which it is a view of."""
    array, owner = result._data, result._data.base
    for x in inputs:
        given = x._data
        if array is given or (owner is not None and (owner is given or owner is given.base)):
            result._written = x._written


def _check_unchanged(node: Node, result: Tensor) -> None:
    """Refuse to go back through numbers that are no longer those of the forward pass."""
    arrays = [*node.inputs, result]
    for i in node.operation.arrays_read():
        if arrays[i]._written[0] > node.when:
            what = "result" if i == ops.RESULT else f"input {i} of shape {node.inputs[i].shape}"
            raise RuntimeError(
                f"backward(): {node.operation.name} needs its {what} as it was in the forward "
                "pass, and it was changed in place since (by an optimiser, an initialiser, "
                "load_state_dict, data = ... or arithmetic); call backward() before that, or "
                "compute the forward pass again"
            )


def _in_order_of_computation(last: Tensor) -> list[Tensor]:
    """All tensors that ``last`` depends on and that need gradients, each once, inputs first.

    Depth first with a stack of our own: Python's would end at a thousand operations. A tensor is
    met twice, on the way in (its inputs are put on the stack) and on the way out (they are done).
    """
    order: list[Tensor] = []
    seen: set[int] = set()
    stack = [(last, False)]
    while stack:
        tensor, inputs_are_done = stack.pop()
        if inputs_are_done:
            order.append(tensor)
            continue
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if tensor._freed:
            raise RuntimeError(
                "backward(): this part of the tape was freed by an earlier backward(); call that "
                "with retain_graph=True, or compute the forward pass anew"
            )
        stack.append((tensor, True))
        if tensor.node is not None:
            if tensor.node.when != _clock.now:
                _check_unchanged(tensor.node, tensor)
            stack.extend((x, False) for x, needed in tensor.node.edges() if needed)
    return order


# Conversions and checks ---------------------------------------------------------------------------


def as_tensor(value: Any, like: Tensor | None = None) -> Tensor:
    """``value`` as a tensor; a tensor is returned as it is.

    Numbers take dtype and device from ``like``: 2 * x has the dtype of x. (But an integer tensor
    and a floating-point number meet in float32.)
    """
    if isinstance(value, Tensor):
        return value
    if like is None:
        return Tensor(value)
    if hasattr(value, "dtype") and not isinstance(value, np.generic):
        return Tensor(value)
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, int | float) and like.dtype.kind == "f" and not is_host(like._data):
        with beside(like._data):  # written there, not copied to it
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


def check_same_dtype(function: str, **tensors: Tensor | None) -> None:
    """Refuse tensors of different dtypes, which products do not convert.

    Raises:
        TypeError: naming both and how to convert.
    """
    given = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    (first, reference), *others = given.items()
    for name, tensor in others:
        if tensor.dtype != reference.dtype:
            raise TypeError(
                f"{function}: {first} is {reference.dtype}, {name} is {tensor.dtype}; "
                f"convert one, for example {first}.to('{tensor.dtype}')"
            )


_USUAL = frozenset(map(np.dtype, ("float32", "float64", "int64", "uint8")))


def _as_array(data: Any, dtype: DType) -> Array:
    if isinstance(data, Tensor):
        data = data._data
    if dtype is None and type(data) is np.ndarray and data.dtype in _USUAL:  # without delay
        return data
    wanted = None if dtype is None else _checked_dtype(dtype)
    if _is_cupy(data):
        return data if wanted is None else data.astype(wanted, copy=False)
    array = np.asarray(data)
    is_array = hasattr(data, "dtype")
    if array.dtype.kind not in "iubf":  # NumPy would convert None to nan, and 1 + 2j to 1
        kind = f"an array of {array.dtype}" if is_array else type(data).__name__
        raise TypeError(f"data: wanted real numbers, received {kind}")
    if wanted is None:
        wanted = _checked_dtype(array.dtype if is_array or array.dtype.kind == "b" else np.float32)
    return array.astype(wanted, copy=False)  # also turns foreign byte order into ours


def _name_of(kind: type) -> str:
    """list, torch.Tensor."""
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _is_cupy(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "cupy"


def _check_floating(dtype: np.dtype[Any]) -> None:
    if dtype.kind != "f":
        raise RuntimeError(
            f"requires_grad: only floating-point tensors have gradients, this one is {dtype}; "
            "convert it with .to('float32')"
        )


def _checked_dtype(dtype: DType) -> np.dtype[Any]:
    try:
        known = np.dtype(dtype if dtype is not None else "None").newbyteorder("=")
    except TypeError:
        raise TypeError(f"{dtype!r} is no dtype or device; wanted 'float32', 'cpu'...") from None
    if known.kind in "iub" or known in (np.float32, np.float64):
        return known
    raise TypeError(f"dtype {known} is not supported; wanted float32, float64, integers or bool")


def _binary(operation: type[Operation], a: Any, b: Any) -> Tensor:
    a, b = _meet(operation.__name__.lower(), a, b)
    if operation is ops.Divide:
        a, b = a._floating(), b._floating()
    return apply(operation(), a, b)


def _meet(name: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Both operands as tensors of one dtype: integers follow, floating-point types must agree."""
    a = as_tensor(a, like=b if isinstance(b, Tensor) else None)
    b = as_tensor(b, like=a)
    if a.dtype == b.dtype:
        return a, b
    if a.dtype.kind == b.dtype.kind == "f":
        raise TypeError(
            f"{name}: the operands are {a.dtype} and {b.dtype}; convert one with .to('{b.dtype}') "
            f"or .to('{a.dtype}')"
        )
    if b.dtype.kind == "f":
        return a.to(b.dtype), b
    if a.dtype.kind == "f":
        return a, b.to(a.dtype)
    both = np.result_type(a.dtype, b.dtype)
    return a.to(both), b.to(both)


def _checked(node: Node, returned: Any) -> Sequence[Array | None]:
    """What an operation's backward returned, which anybody may have written: one for each input."""
    dinputs = [returned] if len(node.inputs) == 1 else returned
    if not isinstance(dinputs, tuple | list) or len(dinputs) != len(node.inputs):
        count = f"{len(dinputs)} gradients" if isinstance(dinputs, tuple | list) else "no tuple"
        raise RuntimeError(
            f"{node.operation.name}.backward: returned {count}; wanted a gradient for each of its "
            f"{len(node.inputs)} inputs"
        )
    for i, ((x, needed), dx) in enumerate(zip(node.edges(), dinputs, strict=True)):
        if needed and (isinstance(dx, Tensor) or not hasattr(dx, "shape")):
            raise RuntimeError(
                f"{node.operation.name}.backward: the gradient by input {i} is a "
                f"{type(dx).__name__}; wanted an array"
            )
        given = x._data
        if needed and (dx.shape != given.shape or dx.dtype != given.dtype):
            raise BackwardError(
                f"{node.operation.name}.backward: the gradient by input {i} is {dx.dtype} of shape "
                f"{dx.shape}; wanted {given.dtype} of shape {given.shape}, as the input",
                x,
                dx,
            )
    return dinputs


def _compare(relation: Callable[[Array, Array], Array], a: Tensor, b: Any) -> Tensor:
    if b is None or isinstance(b, str):
        return NotImplemented
    if isinstance(b, Tensor):
        _check_devices(relation.__name__, (a, b))
        b = b._data
    with beside(a._data):
        return Tensor(relation(a._data, b))


def _matmul(a: Any, b: Any) -> Tensor:
    a = as_tensor(a, like=b if isinstance(b, Tensor) else None)
    b = as_tensor(b, like=a)
    check_same_dtype("matmul", a=a, b=b)
    rows = b.shape[-2 if b.ndim > 1 else -1] if b.ndim else None
    if a.ndim == 0 or a.shape[-1] != rows:
        raise ValueError(
            f"matmul: shapes {a.shape} and {b.shape} do not fit; wanted (..., M, K) @ (..., K, N)"
        )
    return apply(ops.MatMul(), a, b)


def _check_devices(operation: Operation | str, tensors: Sequence[Tensor]) -> None:
    first, *others = (tensor.device for tensor in tensors)
    for device in others:
        if device != first:
            name = operation if isinstance(operation, str) else operation.name
            raise RuntimeError(
                f"{name}: tensors on {first} and {device}; move one with .to('{first}')"
            )


def _check_gradient(name: str, gradient: Array, tensor: Tensor) -> None:
    if tuple(gradient.shape) != tensor.shape:
        raise ValueError(f"{name} has shape {tuple(gradient.shape)}, its tensor {tensor.shape}")
    if gradient.dtype != tensor.dtype:
        raise TypeError(f"{name} is {gradient.dtype}, its tensor {tensor.dtype}")


def _plain_key(key: Any) -> Any:
    """An index with its tensors replaced by their arrays."""
    if isinstance(key, tuple):
        return tuple(_plain_key(part) for part in key)
    return key._data if isinstance(key, Tensor) else key
