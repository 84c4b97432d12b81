"""What MXNet's two arrays share: ``nd.NDArray`` (first edition), ``np.ndarray`` (second)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import EllipsisType
from typing import Any, Self

import numpy as np

from minicnn.d2l.facades.arrays import Wrapped, plain
from minicnn.tensor import Tensor

from . import autograd
from .context import Context, MXNetError, context_of, device_of
from .functions import own
from .mistakes import OF_ARRAYS, Count, complain

NUMBERS_AND_SLICES = (int, np.integer, slice, EllipsisType, type(None))


class Array(Wrapped):
    """An array of MXNet over a tensor of the engine.

    What is computed from it is recorded inside ``autograd.record()`` alone.
    """

    __slots__ = ()

    kind: str  # what messages call it
    others: dict[str, str]  # names that it does not have, and what to write instead

    def __getattr__(self, name: str) -> Any:
        raise complain(self.kind, name, self.others, OF_ARRAYS)

    # Computing ------------------------------------------------------------------------------------

    def _of(self, tensor: Tensor) -> Self:
        return type(self)(tensor)

    def _compute(self, function: Callable[..., Tensor], *operands: Any) -> Self:
        self._check_operands(function, operands)
        return self._recorded(function, *operands)

    def _unrecorded(self, name: str, function: Callable[..., Any], *others: Any) -> Self:
        """NumPy's ``function`` of arrays, of which the engine has no gradient.

        Raises:
            MXNetError: the gradient would be wanted.
        """
        if autograd.is_recording() and self.tensor.requires_grad:
            raise MXNetError(f"{name}: no gradient of it is here; use it outside of the record")
        found = function(self.asnumpy(), *as_numpy(others))
        cells = np.asarray(found, self.tensor.dtype)
        return self._of(Tensor(cells, device=self.tensor.device))

    def _recorded(self, function: Callable[..., Tensor], *operands: Any) -> Self:
        with autograd.as_recorded():
            return self._of(function(*map(plain, operands)))

    def _check_operands(self, function: Callable[..., Any], operands: tuple[Any, ...]) -> None:
        """Refuse operands that MXNet does not compute together, or not as one would think."""
        for other in operands:
            if isinstance(other, Array) and type(other) is not type(self):
                raise TypeError(
                    f"{function.__name__}: the operands are {self.kind} and {other.kind}; wanted "
                    "two of one kind: npx.set_np() and np.array(...), or nd.array(...) throughout"
                )
            if isinstance(other, float) and self.tensor.dtype.kind in "iu":
                raise TypeError(
                    f"{function.__name__}: {other} with {self.tensor.dtype} cells, where MXNet "
                    "cuts the fraction off; write X.astype('float32') first"
                )

    # What it is -----------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.tensor.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.tensor.ndim

    @property
    def size(self) -> int:
        """The number of cells."""
        return Count(int(self.tensor.size))

    @property
    def context(self) -> Context:
        """Where it lies."""
        return context_of(self.tensor.device)

    @property
    def T(self) -> Self:  # noqa: N802 (MXNet's name)
        """The axes reversed, as a copy."""
        return self.transpose()

    def __rpow__(self, other: Any) -> Self:
        return self._compute(operator.pow, other, self)

    def __mod__(self, other: Any) -> Self:
        return self._unrecorded("%", np.mod, other)

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        """NumPy's functions, which libraries call, receive and return NumPy's arrays."""
        return function(*as_numpy(inputs), **as_numpy(options))

    def __bool__(self) -> bool:
        if self.tensor.size != 1:
            raise ValueError(
                f"the truth value of an array of shape {self.shape} is ambiguous; wanted one cell"
            )
        return bool(self.tensor.item())

    # Getting at the numbers -----------------------------------------------------------------------

    def asnumpy(self) -> np.ndarray:
        """A copy, as NumPy's array."""
        return np.array(self.tensor.numpy())

    def astype(self, dtype: Any, copy: bool = True) -> Self:
        """The same numbers in another dtype, a copy also where nothing changes."""
        same = self.tensor.dtype == np.dtype(dtype)
        if same and not copy:
            return self
        return self._recorded(lambda x: own(x) if same else x.to(dtype), self)

    def copy(self) -> Self:
        """The same numbers in memory of their own."""
        return self._recorded(lambda x: own(x), self)

    def copyto(self, other: Context | Self) -> Self:
        """A copy in a context; or the numbers written into another array."""
        if isinstance(other, Context):
            return self.copy().as_in_context(other)
        other[...] = self.as_in_context(other.context)
        return other

    def as_in_context(self, context: Context) -> Self:
        """The same numbers in a context; itself if it is there already.

        Raises:
            MXNetError: a GPU that cannot be used here.
        """
        device = device_of(context)
        return (
            self if device == self.tensor.device else self._recorded(lambda x: x.to(device), self)
        )

    def wait_to_read(self) -> None:
        """Nothing to wait for: what is computed is there."""

    # Writing --------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Self:
        """The cells at ``key``: a view where they lie one after another, otherwise a copy."""
        key = plain(indices(key))
        if lie_apart(key, self.shape):
            return self._recorded(lambda x: own(x[key]), self)
        return self._recorded(operator.getitem, self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        value = plain(np.asarray(value) if isinstance(value, list) else value)
        if isinstance(value, np.ndarray):
            value = Tensor(value.astype(self.tensor.dtype), device=self.tensor.device)
        if isinstance(value, Tensor) and value.size == 1:  # of any shape, as MXNet takes it
            value = value.reshape(())
        self._write("X[...] =", operator.setitem, plain(indices(key)), value)

    def __iadd__(self, other: Any) -> Self:
        return self._write("+=", Tensor.add_, other)

    def __isub__(self, other: Any) -> Self:
        return self._write("-=", Tensor.sub_, other)

    def __imul__(self, other: Any) -> Self:
        return self._write("*=", Tensor.mul_, other)

    def __itruediv__(self, other: Any) -> Self:
        return self._write("/=", Tensor.div_, other)

    def _write(self, what: str, function: Callable[..., Any], *arguments: Any) -> Self:
        """Write into this array: always in place, as MXNet does.

        Raises:
            MXNetError: it is part of what is recorded, or what is written is.
        """
        try:
            with autograd.as_recorded():
                function(self.tensor, *map(plain, arguments))
        except RuntimeError:
            raise MXNetError(autograd.IN_PLACE.format(what=what)) from None
        return self

    # Gradients ------------------------------------------------------------------------------------

    def attach_grad(self, grad_req: str = "write") -> None:
        """Make this array a variable: ``grad`` is zeros until ``backward`` writes it.

        What it was computed from receives no gradient through it any more.

        Args:
            grad_req: ``'write'``: each backward writes a new gradient; ``'add'`` adds to it;
                ``'null'``: none.

        Raises:
            ValueError: another ``grad_req``.
            TypeError: an array of integers.
        """
        if self.tensor.dtype.kind != "f":
            raise TypeError(
                f"attach_grad: {self.tensor.dtype} cells have no gradients; write "
                "X = X.astype('float32') first"
            )
        self.tensor = autograd.Variable(self.tensor.data, grad_req)

    @property
    def grad(self) -> Self | None:
        """The gradient, or None for an array that is no variable."""
        variable = isinstance(self.tensor, autograd.Variable)
        return self._of(self.tensor.gradient) if variable else None  # type: ignore[attr-defined]

    def detach(self) -> Self:
        """The same numbers, through which no gradient flows."""
        return self._of(self.tensor.detach())

    def backward(
        self, out_grad: Self | None = None, retain_graph: bool = False, train_mode: bool = True
    ) -> None:
        """Write the gradients of sum(self * out_grad) into all variables; out_grad is ones.

        Raises:
            MXNetError: nothing recorded leads here, or what was recorded has been written to.
            ValueError: ``train_mode`` is false.
        """
        autograd.check_mode(train_mode)
        gradient = None if out_grad is None else out_grad.tensor
        autograd.run_backward([self.tensor], [gradient], retain_graph)

    # Shapes ---------------------------------------------------------------------------------------

    def transpose(self, *axes: Any) -> Self:
        """The axes in another order, reversed by default; a copy, as the three below."""
        return self._recorded(lambda x: own(x.transpose(*axes)), self)

    def swapaxes(self, dim1: int, dim2: int) -> Self:
        """Two axes exchanged."""
        order = list(range(self.ndim))
        order[dim1], order[dim2] = order[dim2], order[dim1]
        return self.transpose(order)

    def expand_dims(self, axis: int) -> Self:
        """With one more axis, of length 1, which becomes ``axis``."""
        return self._recorded(lambda x: own(x.unsqueeze(axis)), self)

    def squeeze(self, axis: int | None = None) -> Self:
        """Without the axes of length 1, or without this one."""
        return self._recorded(lambda x: own(x.squeeze(axis)), self)


def as_numpy(value: Any) -> Any:
    """Arrays as NumPy's, also in lists, tuples and dicts."""
    if isinstance(value, Array):
        return value.asnumpy()
    if isinstance(value, list | tuple):
        return type(value)(as_numpy(part) for part in value)
    return {k: as_numpy(v) for k, v in value.items()} if isinstance(value, dict) else value


def indices(key: Any) -> Any:
    """An index whose arrays hold integers or booleans: MXNet indexes with 1.0 as with 1."""
    if isinstance(key, tuple):
        return tuple(indices(part) for part in key)
    if isinstance(key, Wrapped) and key.tensor.dtype.kind == "f":
        return key.tensor.detach().to("int64")
    return list(key) if isinstance(key, range) else key


def lie_apart(key: Any, shape: tuple[int, ...]) -> bool:
    """Whether ``key``, of numbers and slices, takes cells that do not lie one after another."""
    parts = key if isinstance(key, tuple) else (key,)
    if not all(isinstance(part, NUMBERS_AND_SLICES) for part in parts):
        return False  # arrays of indices, which make a copy by themselves
    return not np.empty(shape, np.int8)[key].flags.c_contiguous


def corr2d(X: Array, K: Array) -> Array:  # noqa: N803 (the book's names)
    """Y[i, j] = the sum of K times the window of X at (i, j): the loops of the definition."""
    h, w = K.shape
    cells = np.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1), np.float32)
    Y = X._of(Tensor(cells, device=X.tensor.device))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y
