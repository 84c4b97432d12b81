"""``torch.Tensor``: one of the engine's tensors under the names that PyTorch's have.

computing.py    what it computes, and its shape
inplace.py      writing into it
history.py      grad_fn
printing.py     what it looks like
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicnn import nn
from minicnn.tensor import Tensor as EngineTensor

from ..arrays import Wrapped, plain
from .history import GradFn, name_of
from .inplace import InPlace
from .kinds import Size, device, dtype, engine_device, numpy_dtype
from .mistakes import call, missing
from .printing import text_of

TYPES = {"float32": "Float", "float64": "Double", "int64": "Long", "int32": "Int",
         "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool"}  # fmt: skip


class Tensor(InPlace):
    """A tensor as PyTorch's, which computes with ``tensor``, one of the engine's.

    ``torch.Tensor([1, 2])`` has float32 numbers, ``torch.Tensor(2, 3)`` this shape and any numbers
    (zeros here).
    """

    __module__ = "torch"
    __slots__ = ()

    def __init__(self, *data: Any):
        sizes = data if len(data) != 1 or isinstance(data[0], int) else None
        numbers = plain(data[0]) if sizes is None else np.zeros(sizes, np.float32)
        super().__init__(call(EngineTensor, numbers, dtype=np.float32))
        self._past = None

    def _of(self, tensor: EngineTensor, past: str | None = None) -> Tensor:
        return wrap(tensor, past)

    def _compute(self, function: Callable[..., EngineTensor], *operands: Any) -> Any:
        return wrap(call(function, *_promoted(*map(plain, operands))))

    def _compare(self, relation: Callable[..., EngineTensor], other: Any) -> Any:
        if other is None or isinstance(other, str):
            return NotImplemented
        return self._compute(relation, self, other)

    def __getattr__(self, name: str) -> Any:
        missing("Tensor", name, self)

    # What it is -----------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The length of each axis."""
        return Size(self.tensor.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of one axis."""
        return self.shape if dim is None else call(self.tensor.size, dim)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.tensor.ndim

    def dim(self) -> int:
        """The number of axes."""
        return self.tensor.ndim

    def numel(self) -> int:
        """The number of cells."""
        return int(self.tensor.size)

    nelement = numel

    @property
    def dtype(self) -> dtype:
        """The type of the cells: ``torch.float32``."""
        return dtype.of(self.tensor.dtype)

    @property
    def device(self) -> device:
        """Where the cells lie: ``cpu``, ``cuda:0``."""
        return device.of(self.tensor.device)

    @property
    def is_cuda(self) -> bool:
        """Whether the cells lie on a GPU."""
        return self.tensor.device != "cpu"

    def is_floating_point(self) -> bool:
        """Whether the cells have fractions."""
        return self.tensor.dtype.kind == "f"

    @property
    def data(self) -> Tensor:
        """The same numbers without a past; may be set."""
        return wrap(self.tensor.detach())

    @data.setter
    def data(self, new: Any) -> None:
        def put() -> None:
            self.tensor.data = plain(new)

        call(put)

    def __repr__(self) -> str:
        past = name_of(self.tensor, self._past)
        note = f"grad_fn=<{past}>" if past else "requires_grad=True" * self.tensor.requires_grad
        return text_of(self.tensor.numpy(), self.tensor.device, note)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return (wrap(self.tensor[i], "UnbindBackward0") for i in range(len(self)))

    def __bool__(self) -> bool:
        return call(self.tensor.__bool__)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.ndim == 0 else format(str(self), spec)

    # Getting at the numbers -----------------------------------------------------------------------

    def item(self) -> Any:
        """The only cell, as a Python number."""
        return call(self.tensor.item)

    def tolist(self) -> Any:
        """The cells as Python numbers, in nested lists."""
        return self.tensor.tolist()

    def numpy(self) -> np.ndarray:
        """The cells as a NumPy array, which shares their memory.

        Raises:
            RuntimeError: this tensor requires a gradient, which would be lost.
            TypeError: it is on a GPU.
        """
        if self.tensor.requires_grad:
            raise RuntimeError(
                "numpy(): this tensor requires a gradient, which an array cannot; write "
                "tensor.detach().numpy()"
            )
        if self.is_cuda:
            raise TypeError(f"numpy(): this tensor is on {self.device}; write tensor.cpu().numpy()")
        return self.tensor.numpy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    # Dtype and device -----------------------------------------------------------------------------

    def to(
        self,
        *target: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: bool = False,
        copy: bool = False,
    ) -> Tensor:
        """On another device, or in another dtype, or both; itself if there is nothing to do.

        ``target``: a device, a dtype, a device and a dtype, or a tensor that is like it.
        ``non_blocking`` is without effect, as in PyTorch where memory is not pinned.
        """
        place, kind = destination(target, dtype, device)
        moved = self.tensor if place is None else call(self.tensor.to, place)
        moved = moved if kind is None else moved.to(kind)
        if moved is self.tensor:
            return self.clone() if copy else self
        return wrap(moved)

    def type(self, dtype: Any = None) -> Any:
        """In another dtype; without one the name of this tensor's type: ``torch.FloatTensor``."""
        if dtype is None:
            prefix = "torch.cuda." if self.is_cuda else "torch."
            return f"{prefix}{TYPES[self.tensor.dtype.name]}Tensor"
        return self.to(dtype=dtype)

    def cpu(self) -> Tensor:
        """On the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Tensor:
        """On a GPU, by default the first."""
        return self.to("cuda" if device is None else device)

    def double(self) -> Tensor:
        """In float64."""
        return self._as(np.float64)

    def long(self) -> Tensor:
        """In int64."""
        return self._as(np.int64)

    def _as(self, kind: Any) -> Tensor:
        return self if self.tensor.dtype == kind else wrap(self.tensor.to(kind))

    # Gradients ------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor; may be set."""
        return self.tensor.requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        call(self.tensor.requires_grad_, wanted)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set ``requires_grad``, and return this tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made, not computed from others that require gradients."""
        return self.tensor.is_leaf

    @property
    def grad_fn(self) -> GradFn | None:
        """The operation that this tensor was computed by."""
        name = name_of(self.tensor, self._past)
        return None if name is None else GradFn(name)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward`` added up, or None; may be set."""
        return None if self.tensor.grad is None else wrap(self.tensor.grad)

    @grad.setter
    def grad(self, gradient: Any) -> None:
        def put() -> None:
            self.tensor.grad = plain(gradient)

        call(put)

    def retain_grad(self) -> None:
        """Let ``backward`` leave a gradient here although this tensor was computed."""
        self.tensor.retain_grad()

    def backward(self, gradient: Any = None, retain_graph: bool | None = None) -> None:
        """Add to ``grad`` of every leaf its gradient.

        Raises:
            RuntimeError: nothing recorded leads here, ``backward`` went through it already, or a
                tensor of several cells without a ``gradient`` for each.
        """
        past = name_of(self.tensor, self._past)
        call(self.tensor.backward, plain(gradient), bool(retain_graph))
        self._past = past  # the tape is freed, the name is not

    # Last: from here on, float, int and bool mean these methods in the class.

    def float(self) -> Tensor:
        """In float32."""
        return self._as(np.float32)

    def int(self) -> Tensor:
        """In int32."""
        return self._as(np.int32)

    def bool(self) -> Tensor:
        """Whether each cell differs from 0."""
        return self._as(np.bool_)


class Parameter(Tensor):
    """A tensor that a module learns; it shares the numbers of ``data``."""

    __module__ = "torch.nn.parameter"
    __slots__ = ()

    def __init__(self, data: Any = None, requires_grad: bool = True):
        if not isinstance(data, Tensor):
            raise TypeError(
                f"Parameter: data is of type {type(data).__name__}; wanted a tensor, for example "
                "torch.zeros(2, 3)"
            )
        Wrapped.__init__(self, call(nn.Parameter, data.tensor, requires_grad))
        self._past = None

    @staticmethod
    def around(tensor: EngineTensor) -> Parameter:
        """The parameter that computes with the engine's ``tensor`` itself."""
        made = Parameter.__new__(Parameter)
        made.tensor, made._past = tensor, None
        return made

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


def wrap(tensor: EngineTensor, past: str | None = None) -> Tensor:
    """The engine's ``tensor`` as PyTorch's; ``past``: see ``history.name_of``."""
    made = Tensor.__new__(Tensor)
    made.tensor, made._past = tensor, past
    return made


def engine_tensor(function: str, name: str, value: Any) -> EngineTensor:
    """The engine's tensor inside a tensor.

    Raises:
        TypeError: something else, for example an array: its dtype would be a guess.
    """
    if isinstance(value, Tensor):
        return value.tensor
    kind = type(value).__name__
    cure = "torch.tensor" if kind in ("list", "tuple", "int", "float") else "torch.from_numpy"
    raise TypeError(f"{function}: {name} is of type {kind}; wanted a tensor: {cure}({name})")


def destination(target: tuple[Any, ...], kind: Any, place: Any) -> tuple[Any, Any]:
    """What ``.to(...)`` means: the engine's device and NumPy's dtype, each None for no change."""
    for wanted in target:
        if isinstance(wanted, Tensor):
            place, kind = wanted.device, wanted.dtype
        elif isinstance(wanted, dtype):
            kind = wanted
        elif wanted is not None:
            place = wanted
    return engine_device(place), numpy_dtype(kind)


def _promoted(*operands: Any) -> Any:
    """Two floating-point operands in one dtype: the wider; that of the one with axes before.

    So PyTorch's arithmetic converts; the engine's refuses.
    """
    if len(operands) != 2:
        return operands
    a, b = (EngineTensor(x) if isinstance(x, np.ndarray) else x for x in operands)
    both = isinstance(a, EngineTensor) and isinstance(b, EngineTensor)
    if not both or a.dtype == b.dtype or not a.dtype.kind == b.dtype.kind == "f":
        return a, b
    wanted: Any = np.float64
    if (a.ndim == 0) != (b.ndim == 0):
        wanted = a.dtype if a.ndim else b.dtype
    return a.to(wanted), b.to(wanted)
