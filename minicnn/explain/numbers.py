"""Numbers as the pages read and write them."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

from minicnn.formats import shown
from minicnn.tensor import Tensor

Pair = tuple[int, int]


def as_numbers(function: str, name: str, value: Any, ndim: int) -> np.ndarray:
    """A copy of the argument ``name`` in float64, of ``ndim`` axes; with one less, a batch of one.

    Raises:
        TypeError: no real numbers.
        ValueError: another number of axes, no cells, nan or inf.
    """
    try:
        array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
        real = array.dtype.kind in "biuf" or all(isinstance(cell, Real) for cell in array.flat)
    except ValueError:  # rows of unlike lengths
        real = False
    if not real:
        raise TypeError(f"explain.{function}: {name} is {shown(value)}; wanted real numbers")
    try:
        array = array.astype(np.float64)
    except OverflowError:
        array = np.full(array.shape, np.inf)
    if array.ndim == ndim - 1:
        array = array[None]
    if array.ndim != ndim or array.size == 0:
        raise ValueError(
            f"explain.{function}: {name} has shape {array.shape}; wanted {ndim} axes, none empty"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"explain.{function}: {name} holds nan or inf; wanted finite numbers")
    return array


def as_pair(value: Any) -> Pair:
    """A number (or a sequence of one) for both axes, or a pair."""
    numbers = (value,) if isinstance(value, int | np.integer) else value
    return int(numbers[0]), int(numbers[-1])


def digits(values: np.ndarray) -> tuple[int, int]:
    """(exponent, decimals) for all numbers of a grid, so that they can be compared."""
    largest = float(np.abs(values).max())
    if not (values % 1).any() and largest < 1e5:
        return 0, 0
    exponent = 0 if 1e-2 <= largest < 1e4 else math.floor(math.log10(largest))
    scaled = largest / 10.0**exponent
    return exponent, 3 if scaled < 1 else 2 if scaled < 100 else 1


def power_of_ten(exponent: int) -> str:
    """10⁻⁴ for -4."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def in_digits(value: float, exponent: int, decimals: int) -> str:
    """A number of a grid as text: see ``digits``."""
    text = f"{value / 10.0**exponent:.{decimals}f}"
    return (text.lstrip("-") if float(text) == 0 else text).replace("-", "−")


def written(value: float, digits: int = 4) -> str:
    """A number of a sum as text: whole numbers in full, others with this many digits."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value)).replace("-", "−")
    if 1e-3 <= abs(value) < 1e6:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        return f"{value:.{decimals}f}".replace("-", "−")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa.replace('-', '−')}·{power_of_ten(int(exponent))}"


def small_number(value: float) -> str:
    """A difference as text: 0, or two digits and a power of ten."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × {power_of_ten(int(exponent))}"


def numbers(values: np.ndarray) -> list[float]:
    """The numbers as a list, whole ones as integers: the page gets smaller."""
    return [int(v) if v == int(v) and abs(v) < 1e15 else v for v in values.ravel().tolist()]
