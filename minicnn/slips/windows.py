"""Slips in how a window lies on a picture, and in which products are added: for every sum."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .sums import Slip, Sum, then

Slips = Mapping[str, tuple[Slip, ...]]  # by name; several where the same slip has several results


def right(s: Sum) -> Sum:
    """No slip."""
    return s


# The kernel ---------------------------------------------------------------------------------------


def flip_rows(s: Sum) -> Sum:
    return s.put(k=s["KH"] - 1 - s["i"])


def flip_columns(s: Sum) -> Sum:
    return s.put(l=s["KW"] - 1 - s["j"])


def transpose(s: Sum) -> Sum:
    return s.put(k=s["j"], l=s["i"])


KERNEL: Slips = {
    "flipped": (then(flip_rows, flip_columns),),
    "flipped_rows": (flip_rows,),
    "flipped_columns": (flip_columns,),
    "rows_for_columns": (transpose,),
}


# Where a window lies ------------------------------------------------------------------------------


def place(s: Sum, stride: str = "S", dilation: str = "D", padding: str = "P") -> Sum:
    """Windows that lie by other sizes: ``stride="D"`` steps by the dilation, ``"1"`` by one cell.

    A size with an ``x``, as ``"Sx"``, is that of the other axis; one with ``h`` or ``w``, as
    ``"Sh"``, that of the rows or of the columns for both.
    """

    def size(kind: str, axis: str) -> int:
        other = "W" if axis == "H" else "H"
        axes = {"": axis, "x": other, "h": "H", "w": "W"}
        return 1 if kind == "1" else s[kind[0] + axes[kind[1:]]]

    def begins(axis: str) -> int:
        return 0 if padding == "0" else size(padding, axis)

    h = s["p"] * size(stride, "H") + s["i"] * size(dilation, "H") - begins("H")
    w = s["q"] * size(stride, "W") + s["j"] * size(dilation, "W") - begins("W")
    return s.put(h=h, w=w)


def shift(rows: int, columns: int) -> Slip:
    """Every pixel this many rows and columns further."""
    return lambda s: s.put(h=s["h"] + rows, w=s["w"] + columns)


STRIDE: Slips = {
    "stride_ignored": (lambda s: place(s, stride="1"),),
    "strides_exchanged": (lambda s: place(s, stride="Sx"),),
    "stride_of_one_axis": (lambda s: place(s, stride="Sh"), lambda s: place(s, stride="Sw")),
    "stride_of_kernel": (lambda s: place(s, stride="K"),),
}
GEOMETRY: Slips = {
    **STRIDE,
    "stride_for_dilation": (lambda s: place(s, stride="D", dilation="S"),),
    "dilation_ignored": (lambda s: place(s, dilation="1"),),
    "dilations_exchanged": (lambda s: place(s, dilation="Dx"),),
    "dilation_of_one_axis": (
        lambda s: place(s, dilation="Dh"),
        lambda s: place(s, dilation="Dw"),
    ),
    "padding_of_one_axis": (
        lambda s: place(s, padding="Ph"),
        lambda s: place(s, padding="Pw"),
    ),
    "padding_ignored": (lambda s: place(s, padding="0"),),
    "paddings_exchanged": (lambda s: place(s, padding="Px"),),
    "stride_for_padding": (lambda s: place(s, stride="P", padding="S"),),
}
LATE: Slips = {
    "window_late": (shift(1, 1), shift(1, 0), shift(0, 1)),
    "window_early": (shift(-1, -1), shift(-1, 0), shift(0, -1)),
}


# Which products are added -------------------------------------------------------------------------


def short(*letters: tuple[str, str]) -> Slip:
    """Loops over these letters that end one too early; each letter with the name of its size."""

    def without_the_last(s: Sum) -> Sum:
        ends = [s[letter] < s[size] - 1 for letter, size in letters]
        return s.keep(np.logical_and.reduce(ends))

    return without_the_last


def only(letter: str, index: int = 0) -> Slip:
    """The products of one index of a letter alone; -1: of its last one."""
    return lambda s: s.keep(s[letter] == (index if index >= 0 else s[letter].max(initial=0)))


def always(letter: str) -> Slip:
    """Index 0 in the place of this letter."""
    return lambda s: s.put(**{letter: 0})


def any_of(letter: str, size: str) -> Slip:
    """A letter that should follow another one runs on its own."""
    return lambda s: s.every(letter, s[size])


def last(*loops: str) -> tuple[Slip, ...]:
    """``=`` for ``+=`` in these loops; several, because the loops may be ordered otherwise."""
    return tuple(lambda s, each=each: s.last(each) for each in loops)


def divide(*sizes: str) -> Slip:
    """A mean in the place of a sum: divided by the product of these sizes."""
    return lambda s: s.times(1 / np.prod([s[size] for size in sizes]))


SHORT: Slips = {
    "window_short": (
        short(("i", "KH"), ("j", "KW")),
        short(("i", "KH")),
        short(("j", "KW")),
    ),
    "outputs_short": (
        short(("p", "OH"), ("q", "OW")),
        short(("p", "OH")),
        short(("q", "OW")),
    ),
}
