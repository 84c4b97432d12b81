"""mxnet.gluon.Parameter: a tensor to be learnt, whose shape may become known later."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from minicnn.tensor import Tensor

from . import init as initializers
from .arrays import Array
from .autograd import Variable, checked, pause
from .context import Context, MXNetError, context_of, device_of
from .npx import array_type, is_np_array


class DeferredInitializationError(MXNetError):
    """A parameter that was initialised, but whose shape follows from the first batch."""

    __module__ = "mxnet.gluon.parameter"


class Parameter:
    """A parameter of a block.

    Args:
        shape: lengths; one of 0 (or -1) is taken from the first batch.
        init: its own initialiser, which that of ``initialize`` does not replace.
        grad_req: as for ``attach_grad``.
        lr_mult, wd_mult: a trainer multiplies learning rate and weight decay by them.
    """

    __module__ = "mxnet.gluon.parameter"

    def __init__(
        self,
        name: str,
        grad_req: str = "write",
        shape: Any = None,
        dtype: Any = np.float32,
        lr_mult: float = 1.0,
        wd_mult: float = 1.0,
        init: Any = None,
        allow_deferred_init: bool = False,
    ):
        self.name, self.dtype, self.init = name, dtype, init
        self._shape = (shape,) if isinstance(shape, int) else shape
        self.lr_mult, self.wd_mult = lr_mult, wd_mult
        self.allow_deferred_init = allow_deferred_init
        self._grad_req = checked(grad_req)
        self._variable: Variable | None = None
        self._waiting: tuple[initializers.Initializer, str] | None = None  # for its shape

    def __repr__(self) -> str:
        return f"Parameter {self.name} (shape={self.shape}, dtype={self.dtype})"

    # Shape and gradient ---------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The lengths; 0, after ``npx.set_np()`` -1, is not known yet."""
        if self._shape is None:
            return None
        return tuple(n if n > 0 else -1 if is_np_array() else 0 for n in self._shape)

    @property
    def grad_req(self) -> str:
        """What ``backward`` does with the gradient; may be set."""
        return self._grad_req

    @grad_req.setter
    def grad_req(self, wanted: str) -> None:
        if checked(wanted) != self._grad_req:
            self._grad_req = wanted
            if self._variable is not None:
                self._variable = Variable(self._variable.data, wanted)

    def complete(self, shape: tuple[int, ...]) -> None:
        """Take the lengths that were not known, and begin with numbers if some are awaited.

        Raises:
            ValueError: a length that was known is another.
        """
        known = self._shape or shape
        fits = len(known) == len(shape) and all(
            a in (b, 0, -1) for a, b in zip(known, shape, strict=True)
        )
        if not fits:
            raise ValueError(f"{self.name} has shape {self.shape}; it would have to be {shape}")
        self._shape = shape
        if self._waiting is not None:
            self._fill(*self._waiting)

    # Beginning ------------------------------------------------------------------------------------

    def initialize(
        self,
        init: Any = None,
        ctx: Any = None,
        default_init: Any = None,
        force_reinit: bool = False,
    ) -> None:
        """Give it numbers, now or when its shape is known.

        Where it has some already, a warning says so and they stay, unless ``force_reinit``.

        Raises:
            MXNetError: a GPU that cannot be used here.
            ValueError: a shape that is not known and will not be.
        """
        if self._variable is not None and not force_reinit:
            warnings.warn(
                f"Parameter '{self.name}' is already initialized, ignoring; for new numbers write "
                "initialize(force_reinit=True)",
                stacklevel=3,
            )
            return
        chosen = init or self.init or default_init or initializers.Uniform()
        self._variable = None
        self._waiting = initializers.create(chosen), device_of(ctx)
        if self._shape is not None and all(n > 0 for n in self._shape):
            self._fill(*self._waiting)
        elif not self.allow_deferred_init:
            raise ValueError(f"{self.name}: shape is {self.shape}; wanted lengths of at least 1")

    def _fill(self, initializer: initializers.Initializer, device: str) -> None:
        data = Tensor(np.zeros(self._shape, np.dtype(self.dtype)), device=device)
        with pause():
            initializer(self.name, array_type()(data))
        self._variable, self._waiting = Variable(data.data, self._grad_req), None

    @property
    def has_numbers(self) -> bool:
        """Whether it was initialised and its shape is known."""
        return self._variable is not None

    @property
    def is_waiting(self) -> bool:
        """Whether it was initialised and has no numbers, because its shape is not known."""
        return self._waiting is not None

    @property
    def variable(self) -> Variable:
        """The engine's tensor.

        Raises:
            DeferredInitializationError: its shape is not known yet.
            RuntimeError: ``initialize`` was not called.
        """
        if self._variable is not None:
            return self._variable
        if self._waiting is not None:
            raise DeferredInitializationError(
                f"Parameter '{self.name}' has no numbers yet: its shape {self.shape} follows from "
                "the first batch; send one through the net first, net(X), or name the input's "
                "size: in_units, in_channels"
            )
        raise RuntimeError(
            f"Parameter '{self.name}' has not been initialized; call net.initialize() before"
        )

    # Numbers --------------------------------------------------------------------------------------

    def data(self, ctx: Context | None = None) -> Array:
        """The numbers; writing into the array changes the parameter."""
        self._check_context(ctx)
        return array_type()(self.variable)

    def grad(self, ctx: Context | None = None) -> Array:
        """The gradient.

        Raises:
            RuntimeError: ``grad_req`` is ``'null'``.
        """
        self._check_context(ctx)
        if self._grad_req == "null":
            raise RuntimeError(f"Parameter '{self.name}' has no gradient: its grad_req is 'null'")
        return array_type()(self.variable.gradient)

    def _check_context(self, ctx: Context | None) -> None:
        here = context_of(self.variable.device)
        if ctx is not None and ctx != here:
            raise RuntimeError(
                f"Parameter '{self.name}' is on {here}, not on {ctx}; move it with "
                f"net.collect_params().reset_ctx({ctx})"
            )

    def list_data(self) -> list[Array]:
        """The numbers, in a list: on one context."""
        return [self.data()]

    def list_grad(self) -> list[Array]:
        """The gradient, in a list: on one context."""
        return [self.grad()]

    def list_ctx(self) -> list[Context]:
        """Where it is, in a list."""
        if self._variable is None and self._waiting is not None:
            return [context_of(self._waiting[1])]
        return [context_of(self.variable.device)]

    def set_data(self, data: Array) -> None:
        """Other numbers, of the same shape.

        Raises:
            ValueError: another shape.
        """
        self.complete(data.shape)
        self.data()[...] = data.as_in_context(context_of(self.variable.device))

    def zero_grad(self) -> None:
        """Make the gradient 0."""
        if self._grad_req != "null":
            self.variable.gradient.zero_()

    def reset_ctx(self, ctx: Any) -> None:
        """Move it to another context."""
        moved = self.variable.detach().to(device_of(ctx))
        self._variable = Variable(moved.data, self._grad_req)

    def cast(self, dtype: Any) -> None:
        """Convert it to another dtype."""
        self.dtype = dtype
        if self._variable is not None:
            converted = self._variable.detach().to(dtype)
            self._variable = Variable(converted.data, self._grad_req)


class ParameterDict(dict[str, Parameter]):
    """Parameters by their full names: what ``net.collect_params()`` gives, and ``self.params``."""

    def __init__(self, prefix: str = "", parameters: Iterable[Parameter] = ()):
        super().__init__((p.name, p) for p in parameters)
        self.prefix = prefix

    def __repr__(self) -> str:
        return "\n".join([f"{self.prefix} (", *(f"  {p}" for p in self.values()), ")"])

    def get(self, name: str, default: Any = None, **options: Any) -> Parameter:
        """The parameter prefix + ``name``, made with these options where there is none yet."""
        full = self.prefix + name
        if full not in self:
            self[full] = Parameter(full, **options)
        return self[full]

    def initialize(
        self,
        init: Any = None,
        ctx: Any = None,
        verbose: bool = False,
        force_reinit: bool = False,
    ) -> None:
        """Give all of them numbers: see ``Parameter.initialize``; ``init`` is the default."""
        default = initializers.create(initializers.Uniform() if init is None else init)
        device_of(ctx)  # refused before anything is changed
        for parameter in self.values():
            parameter.initialize(None, ctx, default, force_reinit)

    def list_ctx(self) -> list[Context]:
        """The contexts that any of them is on."""
        return list(dict.fromkeys(ctx for p in self.values() for ctx in p.list_ctx()))

    def setattr(self, name: str, value: Any) -> None:
        """Set an attribute of all of them: ``setattr('grad_req', 'null')``."""
        for parameter in self.values():
            setattr(parameter, name, value)

    def zero_grad(self) -> None:
        """Make all gradients 0."""
        for parameter in self.values():
            parameter.zero_grad()

    def reset_ctx(self, ctx: Any) -> None:
        """Move all of them to another context."""
        for parameter in self.values():
            parameter.reset_ctx(ctx)

    def matching(self, pattern: str) -> ParameterDict:
        """Those whose names begin with a match of ``pattern``."""
        return ParameterDict(self.prefix, (p for p in self.values() if re.match(pattern, p.name)))
