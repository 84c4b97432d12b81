"""The cases that an answer is tried on: random numbers, and sizes of which no two agree.

The first case of an exercise has all that is difficult; the others leave one thing out each (one
image, one channel, stride 1), so that an answer that fits no slip can be told where it goes wrong.
In the last one rows and columns agree: an answer that exchanges them runs there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from minicnn.slips.sums import Window

Arguments = tuple[Any, ...]
Sizes = dict[str, int]
SQUARE = "square"


class Case(NamedTuple):
    """The arguments of a call.

    Attributes:
        name: what is simpler than in the first case: the key of its words; "" for the first.
        made_of: what the arguments were computed from, where they were; its page shows it.
    """

    name: str
    arguments: Arguments
    made_of: Arguments = ()


def numbers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random numbers of two decimals."""
    return rng.standard_normal(shape).round(2)


BASE: Sizes = {
    **{"N": 2, "C": 3, "O": 4, "H": 8, "W": 6, "KH": 3, "KW": 2},
    **{"SH": 1, "SW": 1, "PH": 0, "PW": 0, "DH": 1, "DW": 1},
}
SIMPLER: Mapping[str, Sizes] = {
    "one_image": {"N": 1},
    "one_channel": {"C": 1},
    "one_kernel": {"O": 1},
    "one_cell": {"KH": 1, "KW": 1},
    "stride_1": {"SH": 1, "SW": 1},
    "no_padding": {"PH": 0, "PW": 0},
    "dilation_1": {"DH": 1, "DW": 1},
}


def cases(
    make: Callable[[np.random.Generator, Sizes], Arguments], sizes: Sizes, square: Sizes, *left: str
) -> list[Case]:
    """The first case, those that leave something out, and the square one.

    Args:
        make: the arguments, from the sizes.
        sizes, square: what differs from ``BASE`` in all cases, and in the square one.
        left: sizes that the operation does not have: no case leaves them out.
    """
    found: list[tuple[str, Sizes]] = [("", {})]
    for name, change in SIMPLER.items():
        if any({**BASE, **sizes}[k] != v for k, v in change.items()) and name not in left:
            found.append((name, change))
    found.append((SQUARE, square))
    rng = np.random.default_rng(0)
    return [Case(name, make(rng, {**BASE, **sizes, **change})) for name, change in found]


def window(s: Sizes) -> Window:
    """Kernel, stride, padding and dilation."""
    pairs = ((s[f"{letter}H"], s[f"{letter}W"]) for letter in "KSPD")
    return Window(*pairs)


def output(s: Sizes) -> tuple[int, int]:
    """OH and OW."""
    return window(s).output(s["H"], s["W"])


def picture(rng: np.random.Generator, s: Sizes) -> np.ndarray:
    return numbers(rng, s["N"], s["C"], s["H"], s["W"])


def kernels(rng: np.random.Generator, s: Sizes) -> np.ndarray:
    return numbers(rng, s["O"], s["C"], s["KH"], s["KW"])


def gradient(rng: np.random.Generator, s: Sizes, channels: str = "O") -> np.ndarray:
    return numbers(rng, s["N"], s[channels], *output(s))


# The exercises ------------------------------------------------------------------------------------

SAME_SIDES: Sizes = {"H": 7, "W": 7, "KH": 3, "KW": 3}
STRIDES: Sizes = {"H": 10, "W": 13, "KW": 5, "SH": 2, "SW": 3}  # a row, two columns left over
FRAMED: Sizes = {
    **{"H": 12, "W": 11, "KW": 4, "SH": 2, "SW": 3},
    **{"PH": 1, "PW": 2, "DH": 3, "DW": 2},
}
SAME_STRIDES: Sizes = {**SAME_SIDES, "H": 8, "W": 8, "SH": 2, "SW": 2}
SAME_FRAMES: Sizes = {"H": 8, "W": 8, "KH": 3, "KW": 3} | dict.fromkeys(
    ("SH", "SW", "PH", "PW", "DH", "DW"), 2
)


def forward() -> list[Case]:
    return cases(
        lambda rng, s: (picture(rng, s), kernels(rng, s), numbers(rng, s["O"])), {}, SAME_SIDES
    )


def dbias() -> list[Case]:
    sizes = {"KH": 3}
    return cases(lambda rng, s: (gradient(rng, s),), sizes, SAME_SIDES, "one_channel", "one_cell")


def dweight() -> list[Case]:
    return cases(lambda rng, s: (gradient(rng, s), picture(rng, s)), {}, SAME_SIDES)


def dx() -> list[Case]:
    return cases(lambda rng, s: (gradient(rng, s), kernels(rng, s)), {}, SAME_SIDES)


def _shape(s: Sizes) -> tuple[int, ...]:
    return s["N"], s["C"], s["H"], s["W"]


def stride() -> list[Case]:
    def make(rng: np.random.Generator, s: Sizes) -> Arguments:
        return gradient(rng, s), kernels(rng, s), _shape(s), window(s).stride

    return cases(make, STRIDES, SAME_STRIDES)


def im2col() -> list[Case]:
    def make(rng: np.random.Generator, s: Sizes) -> Arguments:
        return picture(rng, s), *window(s)

    return cases(make, FRAMED, SAME_FRAMES, "one_kernel")


def col2im() -> list[Case]:
    def make(rng: np.random.Generator, s: Sizes) -> Arguments:
        return kernels(rng, s), gradient(rng, s), _shape(s), *window(s)

    return [_with_columns(case) for case in cases(make, FRAMED, SAME_FRAMES, "one_kernel")]


def _with_columns(case: Case) -> Case:
    """The gradient of the columns, Wᵀ dy, in the place of the two."""
    weight, dy, *others = case.arguments
    columns = weight.reshape(len(weight), -1).T @ dy.reshape(*dy.shape[:2], -1)
    return Case(case.name, (columns, *others), (weight, dy))


POOLED: Sizes = {"H": 7, "W": 8, "KH": 3, "KW": 4, "SH": 2, "SW": 3}  # windows overlap
SAME_POOLS: Sizes = {"H": 7, "W": 7, "KH": 3, "KW": 3, "SH": 2, "SW": 2}


def max_pool() -> list[Case]:
    def make(rng: np.random.Generator, s: Sizes) -> Arguments:
        x = rng.integers(-9, 6, _shape(s)).astype(np.float64)  # with ties
        return gradient(rng, s, "C"), x, *window(s)[:2]

    return [*cases(make, POOLED, SAME_POOLS, "one_kernel", "one_cell"), _without_ties()]


def _without_ties() -> Case:
    rng, s = np.random.default_rng(1), {**BASE, **POOLED}
    x = rng.permutation(np.arange(np.prod(_shape(s)), dtype=np.float64)).reshape(_shape(s))
    return Case("no_ties", (gradient(rng, s, "C"), x, *window(s)[:2]))


def avg_pool() -> list[Case]:
    def make(rng: np.random.Generator, s: Sizes) -> Arguments:
        return gradient(rng, s, "C"), _shape(s), *window(s)[:2]

    return cases(make, POOLED, SAME_POOLS, "one_kernel", "one_cell")


ROWS: Sizes = {"N": 3, "C": 5, "O": 4}


def dense() -> list[Case]:
    def make(rng: np.random.Generator, s: Sizes) -> Arguments:
        dy, x = numbers(rng, s["N"], s["O"]), numbers(rng, s["N"], s["C"])
        return dy, x, numbers(rng, s["O"], s["C"])

    return cases(make, ROWS, {"C": 4}, "one_cell")


def cross_entropy() -> list[Case]:
    rng = np.random.default_rng(0)
    small, labels = numbers(rng, 3, 5), np.array([4, 0, 2])
    return [
        Case("", (small, labels)),
        Case("one_row", (small[1:2], labels[1:2])),
        Case("large", (np.array([[1000.0, 0, -3], [2, -1000, 4]]), np.array([1, 2]))),
        Case(SQUARE, (numbers(rng, 4, 4), np.array([3, 1, 1, 0]))),
    ]


def sigmoid() -> list[Case]:
    rng = np.random.default_rng(0)
    x, dy = 2 * numbers(rng, 3, 4), numbers(rng, 3, 4)
    large = np.array([-1000.0, -30, 0.5, 800])
    return [Case("", (x, dy)), Case("large", (large, numbers(rng, 4)))]


def sgd() -> list[Case]:
    rng = np.random.default_rng(0)
    w, g, v = (numbers(rng, 3, 4) for _ in range(3))
    return [
        Case("", (w, g, v, 0.3, 0.8)),
        Case("first_step", (w, g, np.zeros_like(w), 0.3, 0.8)),
        Case("no_momentum", (w, g, v, 0.3, 0.0)),
    ]
