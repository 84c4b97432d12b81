"""The names of ``tf`` itself, and of ``tf.math``."""

from __future__ import annotations

from typing import Any

from minicnn.d2l.facades.keras import functions, making, shaping
from minicnn.d2l.facades.keras.arrays import Tensor, as_tensor
from minicnn.d2l.facades.keras.dtypes import DType, TensorShape


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is a tensor or a variable."""
    return isinstance(x, Tensor)


def print_(*inputs: Any, sep: str = " ", end: str = "\n") -> None:
    """``tf.print``: prints the numbers alone."""
    print(*(str(x.numpy()) if isinstance(x, Tensor) else x for x in inputs), sep=sep, end=end)


def function(func: Any = None) -> Any:
    """``@tf.function``: the function as it is, computed line by line. Its results are the same."""
    return func if func is not None else (lambda decorated: decorated)


NAMES: dict[str, Any] = {
    "Tensor": Tensor,
    "TensorShape": TensorShape,
    "DType": DType,
    "abs": functions.absolute,
    "add": functions.binary("__add__"),
    "argmax": functions.argmax,
    "boolean_mask": shaping.boolean_mask,
    "cast": functions.cast,
    "clip_by_value": functions.clip_by_value,
    "concat": shaping.concat,
    "constant": making.constant,
    "convert_to_tensor": making.convert_to_tensor,
    "cos": functions.constant_of("cos"),
    "cosh": functions.constant_of("cosh"),
    "divide": functions.binary("__truediv__"),
    "equal": functions.binary("__eq__"),
    "exp": functions.exp,
    "expand_dims": shaping.expand_dims,
    "eye": making.eye,
    "fill": making.fill,
    "function": function,
    "gather": shaping.gather,
    "greater": functions.binary("__gt__"),
    "greater_equal": functions.binary("__ge__"),
    "is_tensor": is_tensor,
    "less": functions.binary("__lt__"),
    "less_equal": functions.binary("__le__"),
    "linspace": making.linspace,
    "matmul": functions.matmul,
    "maximum": functions.maximum,
    "meshgrid": making.meshgrid,
    "minimum": functions.minimum,
    "multiply": functions.binary("__mul__"),
    "negative": lambda x: -as_tensor(x),
    "newaxis": None,
    "not_equal": functions.binary("__ne__"),
    "one_hot": making.one_hot,
    "ones": making.ones,
    "ones_like": making.ones_like,
    "pad": shaping.pad,
    "pow": functions.binary("__pow__"),
    "print": print_,
    "range": making.arange,
    "rank": functions.rank,
    "reduce_max": functions.reduce_max,
    "reduce_mean": functions.reduce_mean,
    "reduce_min": functions.reduce_min,
    "reduce_sum": functions.reduce_sum,
    "reshape": shaping.reshape,
    "round": functions.constant_of("round"),
    "shape": functions.shape,
    "sigmoid": functions.sigmoid,
    "sign": functions.constant_of("sign"),
    "sin": functions.constant_of("sin"),
    "sinh": functions.constant_of("sinh"),
    "size": functions.size,
    "split": shaping.split,
    "sqrt": functions.sqrt,
    "square": functions.square,
    "squeeze": shaping.squeeze,
    "stack": shaping.stack,
    "subtract": functions.binary("__sub__"),
    "tanh": functions.tanh,
    "tensordot": functions.tensordot,
    "transpose": shaping.transpose,
    "where": functions.where,
    "zeros": making.zeros,
    "zeros_like": making.zeros_like,
}
MATH = (
    "abs", "add", "argmax", "cos", "cosh", "divide", "equal", "exp", "greater", "less", "maximum",
    "minimum", "multiply", "negative", "pow", "reduce_max", "reduce_mean", "reduce_min",
    "reduce_sum", "round", "sigmoid", "sign", "sin", "sinh", "sqrt", "square", "subtract", "tanh",
)  # fmt: skip
"""The names that ``tf.math`` has too; it calls the logarithm ``log``."""
