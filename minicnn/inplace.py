"""Writing into a tensor: ``t += 1``, ``t.add_(1)``, ``t[i] = 1``.

``Tensor`` inherits ``InPlace``. The tape keeps arrays, not copies, so that what it still needs must
not be written to:

- ``t += 1`` makes a new tensor, which the tape can follow; under ``no_grad`` it writes into ``t``;
- ``t.add_(1)``, ``t.zero_()`` and ``t[i] = 1`` always write into ``t``;
- a tensor that was computed and is on the tape is never written to, nor is a leaf that requires a
  gradient, outside ``no_grad``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from minicnn import tape
from minicnn.checks import check_is
from minicnn.device import on_device_of
from minicnn.dtypes import check_same_device
from minicnn.kernels import is_host
from minicnn.shape import plain_key

if TYPE_CHECKING:
    from minicnn.tensor import Tensor


class InPlace:
    """The methods that ``Tensor`` inherits: ``self`` is always one."""

    __slots__ = ()

    _written: list[int]

    def increment_version(self) -> None:
        """Say that this tensor's numbers have changed, which a later ``backward`` may have to know.

        After ``torch.autograd.graph.increment_version``. Whatever changes numbers here calls it;
        call it yourself after writing into ``data`` through NumPy.
        """
        tape.clock.now += 1
        self._written[0] = tape.clock.now

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

    def _replaced(self: Any, sign: str, operation: Callable[[Any, Any], Any], other: Any) -> Any:
        """A new tensor; under ``no_grad`` this one with the new numbers.

        Raises:
            RuntimeError: a leaf that requires a gradient, outside ``no_grad``; under it, a tensor
                on the tape.
            ValueError, TypeError: a result that this tensor cannot hold.
        """
        if not tape.is_grad_enabled():
            return self._updated(sign, operation, other)
        if self.is_leaf:
            self._check_tape(sign)
        return operation(self, other)

    def _updated(self: Any, what: str, operation: Callable[[Any, Any], Tensor], other: Any) -> Any:
        """This tensor, with the result of ``operation(self, other)`` written into it."""
        self._check_writable(what)
        result = operation(self.detach(), other)
        if result.shape != self.shape:
            raise ValueError(
                f"{what}: the result has shape {result.shape}; this tensor's is {self.shape}"
            )
        return self._write(what, ..., result)

    def add_(self, other: Any, alpha: float = 1) -> Self:
        """Add ``alpha * other`` to this tensor's own numbers. As all methods whose names end in _:

        Raises:
            RuntimeError: this tensor is on the tape, or a leaf that requires a gradient outside
                ``no_grad``; or the new numbers require a gradient, and would lose it.
            ValueError: a shape that this tensor cannot hold, or a read-only array.
            TypeError: numbers of a kind that this tensor cannot hold: fractions in one of integers.
        """
        return self._updated("add_", operator.add, self._scaled(other, alpha))

    def sub_(self, other: Any, alpha: float = 1) -> Self:
        """Subtract ``alpha * other``, in place: see ``add_``."""
        return self._updated("sub_", operator.sub, self._scaled(other, alpha))

    def _scaled(self: Any, other: Any, alpha: float) -> Any:
        check_is("alpha", alpha, Real, "a number")
        return other if alpha == 1 else self._operand(other) * alpha

    def mul_(self, other: Any) -> Self:
        """Multiply by ``other``, in place: see ``add_``."""
        return self._updated("mul_", operator.mul, other)

    def div_(self, other: Any) -> Self:
        """Divide by ``other``, in place: see ``add_``."""
        return self._updated("div_", operator.truediv, other)

    def copy_(self: Any, source: Any) -> Tensor:
        """Take the numbers of ``source``, broadcast and converted, in place: see ``add_``."""
        return self._write("copy_", ..., self._operand(source))

    def fill_(self: Any, value: float) -> Tensor:
        """Make every cell ``value``, in place: see ``add_``."""
        return self._write("fill_", ..., self._operand(value))

    def zero_(self: Any) -> Tensor:
        """Make every cell 0, in place: see ``add_``."""
        return self._write("zero_", ..., self._operand(0))

    def __setitem__(self: Any, key: Any, value: Any) -> None:
        self._write("[...] =", plain_key(key), self._operand(value))

    def _check_tape(self: Any, what: str) -> None:
        if self.node is not None:
            raise RuntimeError(
                f"{what}: this tensor was computed by {self.node.operation.name} and is on the "
                "tape, which needs its numbers as they are; wanted a new tensor (y = y + 1)"
            )
        if self._is_recorded():
            raise RuntimeError(
                f"{what}: this tensor requires a gradient, and the tape may need its numbers as "
                "they are; write it inside 'with minicnn.no_grad():'"
            )

    def _check_writable(self: Any, what: str) -> None:
        self._check_tape(what)
        if is_host(self.data) and not self.data.flags.writeable:
            raise ValueError(f"{what}: the array is read-only; wanted one to change")

    def _write(self: Any, what: str, key: Any, values: Tensor) -> Any:
        self._check_writable(what)
        if values._is_recorded():
            raise RuntimeError(
                f"{what}: the new numbers require a gradient, which would be lost; write their "
                ".detach(), or put a new tensor together"
            )
        check_same_device(what, (self, values))
        counts = self.dtype.kind == "b" and values.dtype.kind in "iu"  # 0 or 1 for a boolean
        if not counts and not np.can_cast(values.dtype, self.dtype, "same_kind"):
            raise TypeError(
                f"{what}: the new numbers are {values.dtype}, this tensor is {self.dtype}; convert "
                f"them with .to('{self.dtype}')"
            )
        with on_device_of(self.data):
            self.data[key] = values.data
        self.increment_version()
        return self
