"""``tf.GradientTape`` and ``tf.Variable``."""

from __future__ import annotations

import operator
from typing import Any, Self

import numpy as np

from minicnn.d2l.facades.keras.arrays import Order, Tensor, _numpy, as_tensor
from minicnn.d2l.facades.keras.devices import present_device
from minicnn.d2l.facades.keras.taping import recording
from minicnn.tensor import Tensor as EngineTensor
from minicnn.tensor import no_grad


class Variable(Tensor):
    """``tf.Variable``: a tensor that may be assigned to, and that tapes watch.

    Args:
        initial_value: numbers, or a function that returns them.
        trainable: whether tapes watch it by themselves.
        name: by default ``Variable:0``.
        dtype: converts to this dtype.
    """

    __slots__ = ("name", "trainable")

    def __init__(
        self,
        initial_value: Any,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
    ):
        start = initial_value() if callable(initial_value) else initial_value
        value = as_tensor(start, dtype).tensor.detach()
        copy = EngineTensor(value.data.copy(), device=present_device() or value.device)
        self._keep(copy, None, trainable, name or "Variable")

    @classmethod
    def of(cls, tensor: EngineTensor, order: Order | None, name: str, trainable: bool) -> Variable:
        """A variable over an engine's tensor, a layer's weight."""
        self = cls.__new__(cls)
        self._keep(tensor, order, trainable, name)
        return self

    def _keep(self, tensor: EngineTensor, order: Order | None, trainable: bool, name: str) -> None:
        if tensor.dtype.kind == "f":
            tensor.requires_grad = True
        super().__init__(tensor, order)
        self.trainable = trainable
        self.name = f"{name}:0"

    def _now(self) -> EngineTensor:
        """A copy: what was computed from a variable stays when it is assigned to."""
        return (self._held if _is_watched(self) else self._held.detach()).clone()

    def assign(self, value: Any) -> Variable:
        """Take other numbers, of the same shape.

        Raises:
            ValueError: another shape.
        """
        return self._written(None, self._as_value(value, self.shape))

    def assign_add(self, delta: Any) -> Variable:
        """Add ``delta``."""
        return self._changed(operator.add, delta)

    def assign_sub(self, delta: Any) -> Variable:
        """Subtract ``delta``."""
        return self._changed(operator.sub, delta)

    def _changed(self, function: Any, delta: Any) -> Variable:
        with no_grad():
            return self.assign(self._compute(function, self, as_tensor(delta, self.dtype)))

    def _as_value(self, value: Any, shape: Any) -> EngineTensor:
        given = as_tensor(value, self.dtype)
        if given.shape != shape:
            raise ValueError(
                f"Cannot assign value to variable '{self.name}': Shape mismatch. The variable "
                f"shape {shape}, and the assigned value shape {given.shape} are incompatible."
            )
        held = given.held(self._order if given.ndim == self.ndim else None)
        return held.detach().to(self._held.device)

    def _written(self, key: Any, value: EngineTensor) -> Variable:
        whole = self._held.detach()  # the same memory
        if key is not None and self._order is not None:
            whole = whole.transpose(self._order)
        whole[... if key is None else key] = value
        self._held.increment_version()
        return self

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        return Slice(part, self, key)

    def value(self) -> Tensor:
        """The present numbers, as a tensor."""
        return Tensor(self._now(), self._order)

    read_value = value

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return (
            f"<tf.Variable '{self.name}' shape={self.shape} dtype={self.dtype.name}, "
            f"numpy={_numpy(self)}>"
        )


class Slice(Tensor):
    """A part of a variable: a tensor that can be assigned to."""

    __slots__ = ("_key", "_variable")

    def __init__(self, part: Tensor, variable: Variable, key: Any):
        super().__init__(part._held, part._order)
        self._variable, self._key = variable, key

    def assign(self, value: Any) -> Variable:
        """Write into the variable; a number is written into each cell of the part.

        Raises:
            ValueError: another shape.
        """
        given = as_tensor(value, self._variable.dtype)
        shape = self.shape if given.ndim else given.shape
        return self._variable._written(self._key, self._variable._as_value(given, shape))


def _is_watched(variable: Variable) -> bool:
    return any(tape.watches(variable) for tape in recording.tapes)


class GradientTape:
    """``with tf.GradientTape() as tape:`` records what is computed with variables.

    Args:
        persistent: whether ``gradient`` may be called more than once.
        watch_accessed_variables: whether trainable variables are watched by themselves.
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True):
        self._persistent, self._all = persistent, watch_accessed_variables
        self._watched: list[Tensor] = []
        self._spent = False
        self._shares = False  # with another tape, which may go back the same way

    def __enter__(self) -> Self:
        if self in recording.tapes:
            raise ValueError("Tape is already recording.")
        if not recording.tapes:
            recording.time += 1
        self._shares = bool(recording.tapes)
        for tape in recording.tapes:
            tape._shares = True
        recording.tapes.append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        recording.tapes.remove(self)

    def watches(self, variable: Variable) -> bool:
        """Whether what is computed with this variable is recorded."""
        return (self._all and variable.trainable) or any(variable is x for x in self._watched)

    def watch(self, tensor: Any) -> None:
        """Record what is computed with these tensors too.

        Raises:
            TypeError: whole numbers, which have no gradients.
        """
        for x in tensor if isinstance(tensor, list | tuple) else [tensor]:
            if not isinstance(x, Tensor) or not x.dtype.is_floating:
                what = x.dtype.name if isinstance(x, Tensor) else type(x).__name__
                raise TypeError(f"watch: wanted tensors of tf.float32 or tf.float64, not {what}")
            self._watched.append(x)
            if not isinstance(x, Variable) and not x._now().requires_grad:
                x._held, x._time = x._held.detach(), recording.now
                x._held.requires_grad = True

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = "none",
    ) -> Any:
        """The gradient of ``target``'s sum with respect to each source; None where there is none.

        Args:
            target: a tensor of any shape, or a list of them.
            sources: a tensor or variable, or nested lists: the gradients have the same structure.
            output_gradients: where to begin, instead of ones: of ``target``'s shape.
            unconnected_gradients: ``"zero"`` gives zeros instead of None.

        Raises:
            RuntimeError: a second call without ``persistent=True``.
            NotImplementedError: inside another tape, which would want second derivatives.
        """
        if self._spent and not self._persistent:
            raise RuntimeError(
                "A non-persistent GradientTape can only be used to compute one set of gradients; "
                "write tf.GradientTape(persistent=True)"
            )
        if any(tape is not self for tape in recording.tapes):
            raise NotImplementedError(
                "gradient: called inside another tape, for derivatives of derivatives; minicnn "
                "has first derivatives only"
            )
        self._spent = True
        flat = _flat(sources)
        for x in flat:
            x._held.grad = None
            if not x._held.is_leaf:
                x._held.retain_grad()
        targets = _flat(target)
        starts = [None] * len(targets) if output_gradients is None else _flat(output_gradients)
        keep = self._persistent or self._shares
        for i, (y, start) in enumerate(zip(targets, starts, strict=True)):
            self._go_back(y, start, keep or i < len(targets) - 1)
        zero = unconnected_gradients in ("zero", UnconnectedGradients.ZERO)
        found = iter([self._taken(x, zero) for x in flat])
        return _as_nested(sources, found)

    def _go_back(self, y: Tensor, start: Any, keep: bool) -> None:
        if not y._held.requires_grad or (isinstance(y, Variable) and not self.watches(y)):
            return
        ones = np.ones(y._held.shape, y._held.dtype)
        dy = EngineTensor(ones, device=y._held.device)
        if start is not None:
            dy = as_tensor(start, y.dtype).held(y._order).detach()
        y._held.backward(dy, retain_graph=keep)

    def _taken(self, x: Tensor, zero: bool) -> Tensor | None:
        grad, x._held.grad = x._held.grad, None
        if isinstance(x, Variable) and not self.watches(x):
            grad = None
        if grad is None and zero:
            grad = x._held.detach() * 0
        return None if grad is None else Tensor(grad, x._order)

    def stop_recording(self) -> Any:
        """A context in which nothing is recorded."""
        return no_grad()

    def reset(self) -> None:
        """Forget what was recorded."""
        self._watched, self._spent = [], False

    def watched_variables(self) -> tuple[Tensor, ...]:
        """The variables that ``watch`` named."""
        return tuple(x for x in self._watched if isinstance(x, Variable))


class UnconnectedGradients:
    """``tf.UnconnectedGradients``."""

    NONE, ZERO = "none", "zero"


def stop_gradient(input: Any) -> Tensor:
    """The same numbers, as a constant."""
    x = as_tensor(input)
    return Tensor(x._now().detach(), x._order)


def _flat(nested: Any) -> list[Tensor]:
    if isinstance(nested, list | tuple):
        return [x for part in nested for x in _flat(part)]
    if not isinstance(nested, Tensor):
        raise TypeError(
            f"gradient: wanted tensors and variables, received {type(nested).__name__}; for a net "
            "write net.trainable_variables"
        )
    return [nested]


def _as_nested(like: Any, found: Any) -> Any:
    return (
        [_as_nested(part, found) for part in like]
        if isinstance(like, list | tuple)
        else next(found)
    )
