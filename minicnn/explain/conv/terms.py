"""The summands of a cell: each a number that knows the two cells it is the product of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Factor:
    """One of the two cells of a product.

    Attributes:
        grid: the array it stands in: ``"x"``, ``"weight"``, ``"dy"``... (``"one"``: the number 1).
        index: where; None for a cell of the padding, which is 0.
        value: its number.
    """

    grid: str
    index: tuple[int, ...] | None
    value: float

    def __str__(self) -> str:
        place = "padding" if self.index is None else f"{self.grid}{list(self.index)}"
        return f"{place} {self.value:g}"


class Product(float):
    """One summand of a cell: a number with its two factors.

    ``sum(products)`` is the cell; ``left, right = product`` gives the factors' numbers.
    """

    left: Factor
    right: Factor

    def __new__(cls, left: Factor, right: Factor) -> Self:
        product = super().__new__(cls, left.value * right.value)
        product.left, product.right = left, right
        return product

    def __iter__(self) -> Iterator[float]:
        return iter((self.left.value, self.right.value))

    def __repr__(self) -> str:
        return f"<{self.left} · {self.right} = {float(self):g}>"
