"""What a layer becomes: a C function, and the same computation here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from string import Template
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from minicnn.kernels import Array
from minicnn.tensor import Tensor

from . import text

Shape = tuple[int, ...]


class Place(NamedTuple):
    """A layer and what goes through it, for one picture.

    Attributes:
        title: the layer, as the net prints it.
        input_shape, output_shape: (C, H, W) or (features,).
        x_type, y_type: the C types of the cells.
    """

    title: str
    input_shape: Shape
    output_shape: Shape
    x_type: str = "float"
    y_type: str = "float"


@dataclass(frozen=True)
class Step:
    """A layer of the net, for one picture. Each kind of layer is a subclass.

    A step computes with floats or, once it is ``quantised``, with integers of 8 bits.

    Attributes: as of ``Place``.

    What a subclass says:
        word: the function's name is the word and a number: ``conv_1``.
        what: a sentence or two for the reader of the C file.
        template: the function; ``$name``, ``$x`` and ``$y`` (the types) and ``parts()`` fill it in.
        cell_by_cell: whether the output may be written over the input.
        keeps_scale: whether an int8 output means the same numbers as an int8 input.
        limit: a larger input has no other output (to 8 bits).
    """

    title: str
    input_shape: Shape
    output_shape: Shape
    x_type: str = "float"
    y_type: str = "float"

    word: ClassVar[str]
    what: ClassVar[str]
    template: ClassVar[str]
    cell_by_cell: ClassVar[bool] = False
    keeps_scale: ClassVar[bool] = False
    limit: ClassVar[float] = np.inf

    def constants(self) -> dict[str, Array]:
        """Its weights and other constants, by name: float32 or int8."""
        return {}

    def parts(self, number: int) -> dict[str, Any]:
        """What stands in the template's places."""
        raise NotImplementedError

    def compute(self, x: Array) -> Array:
        """What the C function computes, for a batch: x and the result are float32 or int8."""
        raise NotImplementedError

    def quantised(self, x_step: float, y_step: float) -> Self:
        """The step for int8: an input q stands for ``q * x_step``, an output for ``q * y_step``."""
        return replace(self, x_type="int8_t", y_type="int8_t")

    def function(self, number: int) -> str:
        """The C function, under a comment."""
        name = f"{self.word}_{number}"
        head = f"{self.title}: {shape_text(self.input_shape)} -> {shape_text(self.output_shape)}"
        kinds = {"name": name, "x": self.x_type, "y": self.y_type}
        body = Template(self.template).substitute(kinds, **self.parts(number))
        return text.comment(f"{head}\n{self.what}") + body.lstrip("\n")


@dataclass(frozen=True)
class Weighted(Step):
    """A layer that adds up products of inputs and weights.

    Attributes:
        weight: float32, or int8 with one scale for each output channel.
        bias: float32, (O,).
        scale: float32, (O,), of int8 alone: what 1 in a sum of products stands for, in units of
            the output.
    """

    weight: Array = None
    bias: Array = None
    scale: Array | None = None

    def constants(self) -> dict[str, Array]:
        scale = {} if self.scale is None else {"scale": self.scale}
        return {"weight": self.weight, "bias": self.bias, **scale}

    def quantised(self, x_step: float, y_step: float) -> Self:
        """Symmetric int8 weights, a scale for each output channel.

        Raises:
            ValueError: a sum of products of all inputs might not fit in 32 bits.
        """
        if (terms := self.weight[0].size) * 127**2 >= 2**31:
            raise ValueError(
                f"export: {self.title} adds up {terms:,} products; int8 has int32 sums"
            )
        rows = np.abs(self.weight.reshape(len(self.weight), -1)).max(axis=1).astype(float)
        steps = np.where(rows > 0, rows, 1) / 127
        weight = np.rint(self.weight / steps.reshape(-1, *[1] * (self.weight.ndim - 1)))
        return replace(
            self,
            x_type="int8_t",
            y_type="int8_t",
            weight=weight.astype(np.int8),
            bias=(self.bias / y_step).astype(np.float32),
            scale=(steps * x_step / y_step).astype(np.float32),
        )

    def with_float_output(self, x_step: float) -> Self:
        """The step for int8 inputs and float outputs."""
        return replace(self.quantised(x_step, 1.0), y_type="float")

    def sum_parts(self, number: int) -> dict[str, str]:
        """How the sum begins, and what becomes of it."""
        if self.scale is None:
            return {"sum": "float", "start": f"bias_{number}[o]", "result": "sum"}
        result = f"(float)sum * scale_{number}[o] + bias_{number}[o]"
        result = f"to_int8({result})" if self.y_type == "int8_t" else result
        return {"sum": "int32_t", "start": "0", "result": result}

    def of_sums(self, sums: Array) -> Array:
        """The output of sums of products, (N, O, ...): without the bias yet."""
        along = (1, -1, *[1] * (sums.ndim - 2))
        scale = np.float32(1) if self.scale is None else self.scale.reshape(along)
        y = sums.astype(np.float32) * scale + self.bias.reshape(along)
        return to_int8(y) if self.y_type == "int8_t" else y


TO_INT8 = """
/* The nearest integer from -127 to 127. */
static int8_t to_int8(float value)
{
    value = value > -127.0f ? value : -127.0f;
    value = value < 127.0f ? value : 127.0f;
    return (int8_t)lrintf(value);
}
"""


def to_int8(y: Array) -> Array:
    """The nearest integers from -127 to 127; of two that are as near the even one."""
    return np.rint(np.clip(y, -127, 127)).astype(np.int8)


def floats(weight: Tensor, bias: Tensor | None) -> tuple[Array, Array]:
    """A layer's weight and bias as float32; no bias is zeros."""
    w = weight.numpy().astype(np.float32)
    b = np.zeros(len(w), np.float32) if bias is None else bias.numpy().astype(np.float32)
    return w, b


def summands(x: Array, terms: int) -> Array:
    """Int8 as floats in which a sum of ``terms`` products is exact; floats as they are.

    float32 holds all integers up to 2**24.
    """
    if x.dtype != np.int8:
        return x
    return x.astype(np.float32 if terms * 127**2 <= 2**24 else np.float64)


def shape_text(shape: Shape) -> str:
    """6 x 28 x 28."""
    return " x ".join(map(str, shape))
