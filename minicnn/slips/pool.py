"""The slips of the backward passes of max and average pooling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .conv import Catalogue, averaged, table
from .sums import Array, Pair, Slip, Sum, Window, convolution, then
from .windows import LATE, SHORT, STRIDE, Slips, always, last, only, right, transpose

Share = Callable[[Array], Array]  # of a window's cells (windows, cells): how much each gets of dy


# Max pooling --------------------------------------------------------------------------------------


def first(cells: Array) -> Array:
    """All to the largest cell, the first of equal ones."""
    return np.arange(cells.shape[1]) == cells.argmax(1)[:, None]


def last_one(cells: Array) -> Array:
    return first(cells[:, ::-1])[:, ::-1]


def every_one(cells: Array) -> Array:
    return cells == cells.max(1, keepdims=True)


def split(cells: Array) -> Array:
    return every_one(cells) / every_one(cells).sum(1, keepdims=True)


def smallest(cells: Array) -> Array:
    return first(-cells)


def largest_size(cells: Array) -> Array:
    return first(np.abs(cells))


def all_cells(cells: Array) -> Array:
    return np.ones(cells.shape)


def shared(cells: Array) -> Array:
    return np.full(cells.shape, 1 / cells.shape[1])


def corner(cells: Array) -> Array:
    return np.arange(cells.shape[1]) + 0 * cells == 0


def max_pool(
    slip: Slip,
    dy: Array,
    x: Array,
    kernel: Pair,
    stride: Pair,
    share: Share = first,
    windows: Slip = right,
) -> Array:
    """dx of max pooling; ``share`` says which cells get dy, ``windows`` where each one lies."""
    s = windows(convolution(x.shape, 1, Window(kernel, stride)))
    s = replace(s, into="mdhw", shape=x.shape, reads=((dy, "ncpq"),))
    return slip(s.times(share(_cells(s, x)).ravel())).total()


def _cells(s: Sum, x: Array) -> Array:
    """The cells of each window, a row a window; outside of the picture -inf."""
    found = s.inside("ndhw", x.shape)
    index = tuple(np.where(found, s[letter], 0) for letter in "ndhw")
    return np.where(found, x[index], -np.inf).reshape(-1, s["KH"] * s["KW"])


def winner_transposed(s: Sum) -> Sum:
    """The winner's row and column in its window, taken for each other."""
    return s.put(
        h=s["p"] * s["SH"] + s["j"],
        w=s["q"] * s["SW"] + s["i"],
    )


def _of_channel_0(dy: Array, x: Array, kernel: Pair, stride: Pair) -> Array:
    """Every channel's gradient goes where channel 0 has its largest cell."""
    return max_pool(right, dy, np.repeat(x[:, :1], x.shape[1], axis=1), kernel, stride)


def _without_dy(dy: Array, x: Array, kernel: Pair, stride: Pair) -> Array:
    return max_pool(right, np.ones_like(dy), x, kernel, stride)


def _times_x(dy: Array, x: Array, kernel: Pair, stride: Pair) -> Array:
    return max_pool(right, dy, x, kernel, stride) * x


def sharing(s: Sum) -> Sum:
    """The products with the cells that get something."""
    return s.keep(np.broadcast_to(s.factor, s["n"].shape) != 0)


PLACES: Slips = {**STRIDE, **LATE}
PRODUCTS: Slips = {
    "outputs_short": SHORT["outputs_short"],
    "overwritten": (*last("pq", "ij"), then(sharing, *last("pq"))),
    "images_first": (only("n"), always("n")),
    "channels_first": (only("c"), always("c")),
}
SHARES = {
    "ties_last": last_one,
    "ties_all": every_one,
    "ties_split": split,
    "smallest": smallest,
    "largest_size": largest_size,
    "all_cells": all_cells,
    "shared": shared,
    "corner": corner,
}
MAX_POOL: Catalogue = {
    **table(max_pool, {**PRODUCTS, "winner_transposed": (winner_transposed,)}),
    **{
        name: tuple(partial(max_pool, right, windows=windows) for windows in ways)
        for name, ways in PLACES.items()
    },
    **{name: (partial(max_pool, right, share=share),) for name, share in SHARES.items()},
    "winner_of_channel_0": (_of_channel_0,),
    "dy_forgotten": (_without_dy,),
    "times_x": (_times_x,),
}


# Average pooling ----------------------------------------------------------------------------------


def avg_pool(
    slip: Slip,
    dy: Array,
    x_shape: tuple[int, ...],
    kernel: Pair,
    stride: Pair,
    divisor: Callable[[Sum], Any] = lambda s: s["KH"] * s["KW"],
) -> Array:
    """dx of average pooling."""
    s = convolution(x_shape, 1, Window(kernel, stride))
    s = replace(s, into="mdhw", shape=x_shape, reads=((dy, "ncpq"),))
    return slip(s.times(1 / np.asarray(divisor(s)))).total()


def _divided(*divisors: Callable[[Sum], Any]) -> tuple[partial[Array], ...]:
    return tuple(partial(avg_pool, right, divisor=divisor) for divisor in divisors)


AVG_POOL: Catalogue = {
    **table(
        avg_pool,
        {
            **PLACES,
            **PRODUCTS,
            "window_short": SHORT["window_short"],
            "averaged": (averaged,),
            "corner": (lambda s: only("j")(only("i")(s)),),
            "rows_for_columns": (lambda s: transpose(winner_transposed(s)),),
        },
    ),
    "not_divided": _divided(lambda s: 1),
    "divided_twice": _divided(lambda s: (s["KH"] * s["KW"]) ** 2),
    "divided_by_a_side": _divided(lambda s: s["KH"], lambda s: s["KW"]),
    "divided_by_outputs": _divided(
        lambda s: s["OH"] * s["OW"], lambda s: s["H"] * s["W"], lambda s: s["SH"] * s["SW"]
    ),
}
