"""An instruction's operands: which are results, sources, carries."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from .assembly import Instruction, Operand
from .values import Value

if TYPE_CHECKING:
    from .warps import Warps

Meaning = Callable[["Warps", Instruction], None]
COMPARISONS = {
    "LT": np.less, "LE": np.less_equal, "GT": np.greater, "GE": np.greater_equal,
    "EQ": np.equal, "NE": np.not_equal,
}  # fmt: skip
JOINS = {"AND": np.logical_and, "OR": np.logical_or, "XOR": np.logical_xor}
WIDTHS = {"64": 2, "128": 4}  # registers


def unknown(warps: Warps, i: Instruction) -> None:
    """Forget the result: the first operand, and the second where one of them is a predicate."""
    if not i.operands:
        return
    for high in range(width(i)):
        warps.write(i.operands[0], None, high)
    if len(i.operands) > 1 and any("P" in o.kind for o in i.operands[:2]):
        for high in range(width(i)):
            warps.write(i.operands[1], None, high)


def width(i: Instruction) -> int:
    """How many registers a result takes."""
    if i.op.startswith("D") or i.modifiers[:1] == ("F64",):
        return 2
    return max([WIDTHS.get(m, 1) for m in i.modifiers], default=1)


def parts(i: Instruction) -> tuple[list[Operand], list[Operand], list[Operand]]:
    """Of ``IADD3.X R2, P0, R4, R5, R6, P1, !PT``: the carries out, the sources, the carries in."""
    rest = list(i.operands[1:])
    out = list(takewhile(is_predicate, rest))
    sources = [o for o in rest if not is_predicate(o)]
    return out, sources, [o for o in rest[len(out) :] if is_predicate(o)]


def is_predicate(o: Operand) -> bool:
    """Whether an operand is one."""
    return o.kind in ("P", "UP")


def pair_or_one(warps: Warps, o: Operand, pair: bool) -> Value | None:
    """An operand as 64 bits or as 32."""
    return warps.pair(o) if pair else warps.read(o)
