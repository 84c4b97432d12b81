"""The functions of ``tf`` that compute: arithmetic and reductions."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from minicnn.d2l.facades.choosing import Choose
from minicnn.d2l.facades.keras import mistakes
from minicnn.d2l.facades.keras.arrays import Tensor, as_tensor, on_one_device, operands_of
from minicnn.d2l.facades.keras.dtypes import as_dtype
from minicnn.d2l.facades.keras.making import constant
from minicnn.d2l.facades.keras.shaping import Axes, axes_of, reshape, transpose
from minicnn.kernels import array_module
from minicnn.tensor import Tensor as EngineTensor
from minicnn.tensor import apply

# Arithmetic ---------------------------------------------------------------------------------------


def binary(name: str) -> Callable[[Any, Any], Tensor]:
    """The function of an operator: ``binary("__add__")`` is ``tf.add``."""

    def function(x: Any, y: Any) -> Tensor:
        a, b = operands_of(as_tensor(x) if not isinstance(y, Tensor) else x, y)
        return getattr(a, name)(b)

    return function


def unary(function: Callable[[EngineTensor], EngineTensor]) -> Callable[[Any], Tensor]:
    """A function of each cell, which wants fractions; gradients flow."""

    def of(x: Any) -> Tensor:
        x = as_tensor(x)
        if not x.dtype.is_floating:
            raise mistakes.InvalidArgumentError(
                f"x is a {x.dtype.name} tensor; wanted tf.float32: write tf.cast(x, tf.float32)"
            )
        return x.each(function)

    return of


exp = unary(EngineTensor.exp)
log = unary(EngineTensor.log)
sqrt = unary(EngineTensor.sqrt)
rsqrt = unary(lambda x: 1 / x.sqrt())
tanh = unary(EngineTensor.tanh)
sigmoid = unary(EngineTensor.sigmoid)


def absolute(x: Any) -> Tensor:
    """``tf.abs``."""
    return builtins.abs(as_tensor(x))


def square(x: Any) -> Tensor:
    """x², cell by cell."""
    x = as_tensor(x)
    return x * x


def constant_of(function: str) -> Callable[[Any], Tensor]:
    """NumPy's function of each cell, for what needs no gradient: sin, cos, sign..."""

    def of(x: Any) -> Tensor:
        x = as_tensor(x)
        if x._now().requires_grad:
            raise NotImplementedError(
                f"tf.{function}: minicnn has no gradient of it; write tf.stop_gradient(x)"
            )
        return x.each(lambda t: EngineTensor(getattr(array_module(t.data), function)(t.data)))

    return of


def maximum(x: Any, y: Any) -> Tensor:
    """The larger of two, cell by cell; of equal ones the first has the gradient."""
    a, b = operands_of(as_tensor(x) if not isinstance(y, Tensor) else x, y)
    return where(a >= b, a, b)


def minimum(x: Any, y: Any) -> Tensor:
    """The smaller of two, cell by cell; of equal ones the first has the gradient."""
    a, b = operands_of(as_tensor(x) if not isinstance(y, Tensor) else x, y)
    return where(a <= b, a, b)


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any) -> Tensor:
    """Each cell, but not below the one limit nor above the other."""
    return minimum(maximum(t, clip_value_min), clip_value_max)


def nonnegative(x: Any) -> Tensor:
    """max(x, 0), cell by cell."""
    return as_tensor(x).each(EngineTensor.relu)


def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """The matrix product over the last two axes."""
    first, second = operands_of(as_tensor(a) if not isinstance(b, Tensor) else a, b)
    if first.ndim < 2 or second.ndim < 2:
        raise mistakes.InvalidArgumentError(
            f"matmul: shapes {first.shape} and {second.shape}; wanted matrices: write "
            "tf.reshape(x, (-1, 1)), or tf.tensordot(a, b, axes=1) for vectors"
        )
    first = _swapped(first) if transpose_a else first
    second = _swapped(second) if transpose_b else second
    return first @ second


def _swapped(x: Tensor) -> Tensor:
    *others, last, before = range(x.ndim)
    return transpose(x, [*others, before, last])


def tensordot(a: Any, b: Any, axes: int) -> Tensor:
    """For ``axes=1``: the products of a's last and b's first axis, added up.

    a: (..., N), b: (N, ...); the result has a's other axes, then b's.
    """
    if axes != 1:
        raise ValueError(f"tensordot: axes is {axes!r}; minicnn has 1")
    first, second = operands_of(as_tensor(a) if not isinstance(b, Tensor) else a, b)
    before, after = first.shape[:-1], second.shape[1:]
    if first.shape[-1:] != second.shape[:1] or not first.ndim:
        raise mistakes.InvalidArgumentError(
            f"tensordot: shapes {first.shape} and {second.shape}; wanted a's last axis as long as "
            "b's first"
        )
    n = first.shape[-1]
    return reshape(reshape(first, (-1, n)) @ reshape(second, (n, -1)), before + after)


def cast(x: Any, dtype: Any) -> Tensor:
    """In another dtype; towards whole numbers the fractions are cut off."""
    x = as_tensor(x)
    return x.each(lambda t: t.to(as_dtype(dtype).as_numpy_dtype))


# Reductions ---------------------------------------------------------------------------------------


def reduce_sum(input_tensor: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The sum over ``axis`` (one, several or all), in the same dtype."""
    x = as_tensor(input_tensor)
    _check_number("reduce_sum", x)
    total = x.tensor.sum(axes_of(axis), keepdims)
    return Tensor(total if total.dtype == x._held.dtype else total.to(x._held.dtype))


def reduce_mean(input_tensor: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The mean over ``axis``; of whole numbers a whole number, as in TensorFlow."""
    x = as_tensor(input_tensor)
    _check_number("reduce_mean", x)
    return Tensor(x.tensor.mean(axes_of(axis), keepdims).to(x._held.dtype))


def reduce_max(input_tensor: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The largest over ``axis``."""
    return Tensor(as_tensor(input_tensor).tensor.max(axes_of(axis), keepdims))


def reduce_min(input_tensor: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The smallest over ``axis``."""
    x, axes = as_tensor(input_tensor).tensor, axes_of(axis)
    if x.dtype.kind != "f":
        return Tensor(EngineTensor(x.data.min(axis=axes, keepdims=keepdims)))
    return Tensor(-(-x).max(axes, keepdims))


def argmax(input: Any, axis: int | None = None, output_type: Any = "int64") -> Tensor:
    """Where the largest is along ``axis``, which is 0 by default; of equal ones the first."""
    found = as_tensor(input).tensor.argmax(0 if axis is None else int(axis))
    return Tensor(found.to(as_dtype(output_type).as_numpy_dtype))


def size(input: Any, out_type: Any = "int32") -> Tensor:
    """The number of cells."""
    return constant(int(as_tensor(input)._held.size), out_type)


def shape(input: Any) -> Tensor:
    """The shape, as an int32 tensor."""
    return constant(list(as_tensor(input).shape), "int32")


def rank(input: Any) -> Tensor:
    """The number of axes."""
    return constant(as_tensor(input).ndim)


def _check_number(function: str, x: Tensor) -> None:
    if x.dtype.name == "bool":
        raise mistakes.InvalidArgumentError(
            f"{function}: input is a bool tensor; write tf.cast(x, tf.float32)"
        )


# Choosing -----------------------------------------------------------------------------------------


def where(condition: Any, x: Any, y: Any) -> Tensor:
    """``x`` where the condition holds, ``y`` elsewhere."""
    a, b = operands_of(as_tensor(x) if not isinstance(y, Tensor) else x, y)
    chosen, a_held, b_held = on_one_device(as_tensor(condition).tensor, a.tensor, b.tensor)
    return Tensor(apply(Choose(chosen.data), a_held, b_held))
