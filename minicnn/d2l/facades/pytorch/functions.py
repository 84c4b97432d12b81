"""The functions of ``torch`` itself: making tensors, joining them, methods as functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn import functions, random
from minicnn.names import one_tuple
from minicnn.tensor import Tensor as EngineTensor
from minicnn.tensor import is_grad_enabled

from ..arrays import plain
from ..modules import by_name
from .kinds import engine_device, numpy_dtype
from .mistakes import call
from .tensor import Tensor, engine_tensor, wrap


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor with a copy of ``data``: a number, nested lists, an array, a tensor.

    Integers become int64, numbers with fractions float32; arrays and tensors keep their dtype.
    """
    options = _options(dtype, device, requires_grad)
    return wrap(call(functions.tensor, _numbers(data), **options))


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """``data`` itself if it is such a tensor, an array's memory as a tensor, or a new tensor."""
    if isinstance(data, Tensor):
        return data.to(dtype=dtype, device=device)
    made = from_numpy(data) if isinstance(data, np.ndarray) else tensor(data)
    return made.to(dtype=dtype, device=device)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor over the memory of a NumPy array."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: wanted a NumPy array, received {type(array).__name__}")
    return wrap(call(functions.from_numpy, array))


def _numbers(data: Any) -> Any:
    """Nested lists with tensors in them as lists of numbers."""
    if isinstance(data, list | tuple):
        return [part.tolist() if isinstance(part, Tensor) else _numbers(part) for part in data]
    return plain(data)


def _options(dtype: Any, device: Any, requires_grad: bool) -> dict[str, Any]:
    place, kind = engine_device(device), numpy_dtype(dtype)
    return {"dtype": kind, "device": place, "requires_grad": requires_grad}


def zeros(
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **named: Any,
) -> Tensor:
    """Zeros, by default float32: ``zeros(2, 3)``, ``zeros((2, 3))`` or ``zeros(size=(2, 3))``."""
    return _made(functions.zeros, size, named, _options(dtype, device, requires_grad))


def ones(
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **named: Any,
) -> Tensor:
    """Ones, by default float32; the shape as for ``zeros``."""
    return _made(functions.ones, size, named, _options(dtype, device, requires_grad))


def rand(
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **named: Any,
) -> Tensor:
    """Uniform in [0, 1); the shape as for ``zeros``. The numbers are not PyTorch's."""
    options = _options(dtype, device, requires_grad)
    return _made(random.rand, size, named, {**options, "dtype": options["dtype"] or np.float32})


def randn(
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **named: Any,
) -> Tensor:
    """Normal with mean 0 and variance 1; the shape as for ``zeros``."""
    options = _options(dtype, device, requires_grad)
    return _made(random.randn, size, named, {**options, "dtype": options["dtype"] or np.float32})


def _made(
    function: Callable[..., EngineTensor],
    size: tuple[Any, ...],
    named: dict[str, Any],
    options: dict[str, Any],
) -> Tensor:
    """``function`` with a shape in one of PyTorch's forms."""
    shape = size or named.pop("size", None)
    if named:
        name = next(iter(named))
        raise TypeError(f"{function.__name__}: argument {name} is not in minicnn's torch")
    return wrap(call(function, *plain([*one_tuple(tuple(shape or ()))]), **options))


empty = zeros
"""PyTorch's has any numbers; here they are 0."""


def full(
    size: Sequence[int],
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``fill_value`` in this shape."""
    return tensor(
        np.full(tuple(size), plain(fill_value), tensor(fill_value).tensor.dtype),
        dtype=dtype,
        device=device,
        requires_grad=requires_grad,
    )


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere: (n, m)."""
    array = np.eye(n, m, dtype=np.float32)
    return tensor(array, dtype=dtype, device=device, requires_grad=requires_grad)


def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The numbers from ``start`` to before ``end`` by ``step``; ``arange(n)`` begins at 0."""
    options = _options(dtype, device, requires_grad)
    return wrap(call(functions.arange, start, end, step, **options))


def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``steps`` numbers at equal distances from ``start`` to ``end``."""
    array = np.linspace(start, end, steps, dtype=np.float32)
    return tensor(array, dtype=dtype, device=device, requires_grad=requires_grad)


def normal(
    mean: Any,
    std: Any,
    size: Sequence[int] | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Drawn from the normal distribution: numbers with a ``size``, or a tensor of means."""
    shape = getattr(mean, "shape", getattr(std, "shape", None)) if size is None else size
    if shape is None:
        raise TypeError("normal: wanted a size, for example torch.normal(0, 1, size=(2, 3))")
    drawn = randn(*shape, dtype=dtype, device=device) * std + mean
    return drawn.requires_grad_(requires_grad)


def randint(
    low: int, high: Any, size: Any = None, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """Whole numbers from ``low`` to before ``high``: ``randint(10, (2, 3))`` begins at 0."""
    low, high, size = (0, low, high) if size is None else (low, high, size)
    array = random.default_generator().integers(low, high, tuple(size))
    return tensor(array, dtype=dtype, device=device)


def randperm(n: int) -> Tensor:
    """0 to n - 1 in a random order."""
    return from_numpy(random.default_generator().permutation(n))


def zeros_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Zeros in ``input``'s shape, dtype and device."""
    options = _options(dtype, device, requires_grad)
    return wrap(functions.zeros_like(engine_tensor("zeros_like", "input", input), **options))


def ones_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Ones in ``input``'s shape, dtype and device."""
    options = _options(dtype, device, requires_grad)
    return wrap(functions.ones_like(engine_tensor("ones_like", "input", input), **options))


def rand_like(input: Tensor) -> Tensor:
    """Uniform in [0, 1), of ``input``'s shape, dtype and device."""
    return rand(*input.shape, dtype=input.dtype, device=input.device)


def randn_like(input: Tensor) -> Tensor:
    """Normal with mean 0 and variance 1, of ``input``'s shape, dtype and device."""
    return randn(*input.shape, dtype=input.dtype, device=input.device)


def cat(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """The tensors joined along axis ``dim``."""
    return wrap(call(functions.cat, plain(tensors), dim if axis is None else axis))


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape as the slices of a new axis ``dim``."""
    return wrap(call(functions.stack, plain(tensors), dim), "StackBackward0")


def is_tensor(obj: Any) -> bool:
    """Whether ``obj`` is a tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether ``input``'s cells have fractions."""
    return input.is_floating_point()


def manual_seed(seed: int) -> None:
    """Start all random draws again from ``seed``. The numbers are not PyTorch's."""
    call(random.manual_seed, seed)


def method(name: str) -> Callable[..., Any]:
    """``torch.exp(x)`` for ``x.exp()``."""

    def function(input: Any, *arguments: Any, **options: Any) -> Any:
        engine_tensor(name, "input", input)
        return getattr(input, name)(*arguments, **options)

    function.__name__, function.__doc__ = name, getattr(Tensor, name).__doc__
    return function


METHODS = [
    "abs", "add", "all", "any", "argmax", "argmin", "clone", "div", "dot", "eq", "exp", "flatten",
    "ge", "gt", "le", "log", "log_softmax", "lt", "matmul", "max", "maximum", "mean", "min",
    "minimum", "mm", "mul", "mv", "ne", "neg", "norm", "numel", "permute", "pow", "relu",
    "reshape", "sigmoid", "softmax", "sqrt", "square", "squeeze", "std", "sub", "sum", "t", "tanh",
    "transpose", "unsqueeze", "var",
]  # fmt: skip

_OWN = (
    arange, as_tensor, cat, eye, from_numpy, full, is_floating_point, is_grad_enabled, is_tensor,
    linspace, manual_seed, normal, ones, ones_like, rand, rand_like, randint, randn, randn_like,
    randperm, stack, tensor, zeros, zeros_like,
)  # fmt: skip
FUNCTIONS = by_name([*map(method, METHODS), *_OWN]) | {"concat": cat, "empty": empty}
