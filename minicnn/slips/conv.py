"""The slips of a convolution: its output, its three gradients, im2col and col2im.

Each table has, by name, the wrong results: functions of the same arguments as the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .sums import Array, Pair, Slip, Sum, Window, convolution
from .windows import (
    GEOMETRY,
    KERNEL,
    LATE,
    SHORT,
    STRIDE,
    Slips,
    always,
    any_of,
    divide,
    last,
    only,
    right,
    shift,
)

Way = Callable[..., Array]  # the wrong result, from the arguments of the right function
Catalogue = Mapping[str, tuple[Way, ...]]


def table(compute: Callable[..., Array], slips: Slips) -> dict[str, tuple[Way, ...]]:
    """``compute(slip, *arguments)`` for every slip."""
    return {name: tuple(partial(compute, slip) for slip in ways) for name, ways in slips.items()}


# Forward ------------------------------------------------------------------------------------------


def forward(slip: Slip, x: Array, weight: Array, bias: Array, times: float = 1) -> Array:
    """y of a convolution of stride 1; the bias is added ``times`` times."""
    s = convolution(x.shape, len(weight), Window(_size(weight)))
    shape = len(x), len(weight), s["OH"], s["OW"]
    s = replace(s, into="nopq", shape=shape, reads=((x, "mdhw"), (weight, "bekl")))
    return slip(s).total() + times * bias[:, None, None]


def _size(weight: Array) -> Pair:
    """KH and KW."""
    return weight.shape[2], weight.shape[3]


def _bias(times: Callable[[Array], float]) -> tuple[Way, ...]:
    return (lambda x, weight, bias: forward(right, x, weight, bias, times(weight)),)


OVERWRITTEN = last("ij", "cij", "ijc")
FORWARD: Catalogue = {
    **table(forward, {**KERNEL, **LATE, **SHORT}),
    **table(
        forward,
        {
            "channels_first": (only("c"), always("d"), always("e")),
            "channels_last": (only("c", -1),),
            "channels_mixed": (any_of("d", "C"),),
            "images_first": (always("m"), only("n")),
            "kernels_first": (always("b"), only("o")),
            "mean": (divide("C", "KH", "KW"), divide("KH", "KW"), divide("C")),
        },
    ),
    "overwritten": (  # a bias that was there before is lost
        *(partial(forward, way, times=times) for way in OVERWRITTEN for times in (0, 1)),
    ),
    "bias_forgotten": _bias(lambda weight: 0),
    "bias_too_often": (
        *_bias(lambda weight: weight.shape[1]),
        *_bias(lambda weight: weight[0].size),
        *_bias(lambda weight: weight[0, 0].size),
    ),
    "output_small": (lambda x, weight, bias: forward(right, x, weight, bias)[..., :-1, :-1],),
}


# Backward -----------------------------------------------------------------------------------------


def dbias(dy: Array) -> Array:
    """The bias's gradient."""
    return dy.sum(axis=(0, 2, 3))


DBIAS: Catalogue = {
    "images_first": (lambda dy: dbias(dy[:1]),),
    "images_last": (lambda dy: dbias(dy[-1:]),),
    "overwritten": (
        lambda dy: dbias(dy[-1:, :, -1:, -1:]),
        lambda dy: dbias(dy[:, :, -1:, -1:]),
        lambda dy: dbias(dy[:, :, -1:]),
        lambda dy: dbias(dy[:, :, :, -1:]),
    ),
    "first_place": (lambda dy: dbias(dy[:, :, :1, :1]), lambda dy: dbias(dy[:1, :, :1, :1])),
    "mean": (lambda dy: dy.mean(axis=(0, 2, 3)),),
    "mean_of_images": (lambda dy: dbias(dy) / len(dy),),
    "mean_of_places": (lambda dy: dbias(dy) / dy[0, 0].size,),
    "all_kernels": (lambda dy: np.full(dy.shape[1], dy.sum()), lambda dy: np.asarray(dy.sum())),
    "other_axes": tuple(
        partial(np.sum, axis=axes) for axes in ((1, 2, 3), (0, 1, 3), (0, 1, 2))
    ),
    "outputs_short": (
        lambda dy: dbias(dy[:, :, :-1, :-1]),
        lambda dy: dbias(dy[:, :, :-1]),
        lambda dy: dbias(dy[..., :-1]),
    ),
}  # fmt: skip


def dweight(slip: Slip, dy: Array, x: Array, window: Window | None = None) -> Array:
    """The weights' gradient; for stride 1, where no window is named."""
    if window is None:
        window = Window((x.shape[2] - dy.shape[2] + 1, x.shape[3] - dy.shape[3] + 1))
    s = convolution(x.shape, dy.shape[1], window)
    shape = dy.shape[1], x.shape[1], *window.kernel
    return slip(replace(s, into="bekl", shape=shape, reads=((dy, "nopq"), (x, "mdhw")))).total()


def without(number: int) -> Slip:
    """One of the two factors is forgotten."""
    return lambda s: replace(s, reads=(s.reads[1 - number],))


DWEIGHT_SLIPS: Slips = {
    **KERNEL,
    **LATE,
    "outputs_short": SHORT["outputs_short"],
    "overwritten": last("pq", "npq", "pqn"),
    "images_first": (only("n"), always("m")),
    "images_last": last("n"),
    "mean": (divide("N", "OH", "OW"),),
    "mean_of_images": (divide("N"),),
    "mean_of_places": (divide("OH", "OW"),),
    "channels_first": (always("d"), only("c")),
    "channels_mixed": (any_of("d", "C"),),
    "all_kernels": (any_of("o", "O"),),
    "kernels_first": (always("o"), only("o")),
    "dy_forgotten": (without(0),),
    "x_forgotten": (without(1),),
}
DWEIGHT: Catalogue = table(dweight, DWEIGHT_SLIPS)


def dx(slip: Slip, dy: Array, weight: Array, x_shape: tuple[int, ...], *strides: Pair) -> Array:
    """The picture's gradient; ``strides``: the stride, padding and dilation, or some of them."""
    s = convolution(x_shape, len(weight), Window(_size(weight), *strides))
    reads = (dy, "nopq"), (weight, "bekl")
    return slip(replace(s, into="mdhw", shape=x_shape, reads=reads)).total()


def dx_of_stride_1(slip: Slip, dy: Array, weight: Array) -> Array:
    """The picture's gradient, for stride 1."""
    kh, kw = _size(weight)
    shape = len(dy), weight.shape[1], dy.shape[2] + kh - 1, dy.shape[3] + kw - 1
    return dx(slip, dy, weight, shape)


def covered(s: Sum) -> Array:
    """For each product, how many windows lie over its pixel."""
    inside = s.keep(s.inside("hw", (s["H"], s["W"])))
    over = np.unique([inside[letter] for letter in "hwpq"], axis=1)  # each window once
    counts = np.zeros((s["H"], s["W"]))
    np.add.at(counts, (over[0], over[1]), 1)
    h, w = np.clip(s["h"], 0, s["H"] - 1), np.clip(s["w"], 0, s["W"] - 1)
    return np.maximum(counts[h, w], 1)


def averaged(s: Sum) -> Sum:
    return s.times(1 / covered(s))


def wrapped(s: Sum) -> Sum:
    """Without the question whether an index is below 0: Python counts such a one from the end."""
    twice = s.every("rows", 2).every("columns", 2)
    return twice.put(
        h=twice["h"] - twice["rows"] * s["OH"] * s["SH"],
        w=twice["w"] - twice["columns"] * s["OW"] * s["SW"],
    )


def other_side(s: Sum) -> Sum:
    """Read dy below and to the right of the pixel, where no window over it begins."""
    return s.put(h=s["p"] * s["SH"] - s["i"], w=s["q"] * s["SW"] - s["j"])


DX_SLIPS: Slips = {
    **KERNEL,
    **LATE,
    **SHORT,
    "overwritten": last("pq", "opq", "pqo", "ij", "oij", "ijo"),
    "averaged": (averaged,),
    "kernels_first": (only("o"), always("b"), always("o")),
    "kernels_last": last("o"),
    "kernels_mixed": (any_of("b", "O"),),
    "channels_first": (always("e"), only("c")),
    "channels_mixed": (any_of("e", "C"),),
    "images_first": (only("n"), always("n")),
    "mean": (divide("O", "KH", "KW"), divide("O"), divide("KH", "KW")),
    "negative_index": (wrapped,),
    "other_side": (other_side,),
    "dy_forgotten": (without(0),),
    "weight_forgotten": (without(1),),
}
DX: Catalogue = {
    **table(dx_of_stride_1, DX_SLIPS),
    "no_frame": (lambda dy, weight: _without_frame(dx_of_stride_1(right, dy, weight), weight),),
}


def _without_frame(gradient: Array, weight: Array) -> Array:
    """The cells that have all their windows: dy convolved without a frame of zeros."""
    kh, kw = _size(weight)
    rows, columns = gradient.shape[2] - kh + 1, gradient.shape[3] - kw + 1
    return gradient[:, :, kh - 1 : rows, kw - 1 : columns]


def no_remainder(s: Sum) -> Sum:
    """(h - i) / SH rounded down, also where it leaves a remainder."""
    every = s.every("rows", s["SH"]).every("columns", s["SW"])
    return every.put(h=every["h"] + every["rows"], w=every["w"] + every["columns"])


def left_over_first(s: Sum) -> Sum:
    """The cells that the stride leaves over are those at the start."""
    rows = (s["H"] - s["KH"]) % s["SH"]
    columns = (s["W"] - s["KW"]) % s["SW"]
    return shift(rows, columns)(s)


def one_too_far(s: Sum) -> Sum:
    """SH zeros between two rows of dy, where SH - 1 belong."""
    return s.put(h=s["p"] * (s["SH"] + 1) + s["i"], w=s["q"] * (s["SW"] + 1) + s["j"])


DX_STRIDE: Catalogue = {
    **table(
        dx,
        {
            **DX_SLIPS,
            **STRIDE,
            "remainder_ignored": (no_remainder,),
            "left_over_first": (left_over_first,),
            "one_zero_too_many": (one_too_far,),
        },
    ),
    "left_over_missing": (
        lambda dy, weight, x_shape, stride: _reached(dy, weight, x_shape, stride),
    ),
}


def _reached(dy: Array, weight: Array, x_shape: tuple[int, ...], stride: Pair) -> Array:
    """dx as far as the last window reaches."""
    kernel = _size(weight)
    rows, columns = (
        (count - 1) * s + k for count, s, k in zip(dy.shape[2:], stride, kernel, strict=True)
    )
    return dx(right, dy, weight, x_shape, stride)[:, :, :rows, :columns]


# im2col and col2im --------------------------------------------------------------------------------


def im2col(slip: Slip, x: Array, *window: Any, axes: str = "neklpq") -> Array:
    """The windows as columns; ``axes``: another order of the letters (n, channel, row, column of
    the window, row and column of the output)."""
    s = convolution(x.shape, 1, Window(*window))
    shape = _columns_shape(s)
    columns = slip(replace(s, into="neklpq", shape=shape, reads=((x, "mdhw"),))).total()
    return _as_matrices(columns, axes)


def _columns_shape(s: Sum) -> tuple[int, ...]:
    return s["N"], s["C"], s["KH"], s["KW"], s["OH"], s["OW"]


def _as_matrices(columns: Array, axes: str) -> Array:
    """(n, e, k, l, p, q) as (n, rows, columns), the letters in another order."""
    n, c, kh, kw, oh, ow = columns.shape
    turned = columns.transpose(*("neklpq".index(letter) for letter in axes))
    return turned.reshape(n, c * kh * kw, oh * ow)


def edge(s: Sum) -> Sum:
    """The picture's edge repeated, in the place of zeros."""
    return s.put(h=np.clip(s["h"], 0, s["H"] - 1), w=np.clip(s["w"], 0, s["W"] - 1))


def _one_matrix(x: Array, *window: Any) -> Array:
    """The columns of all images next to each other."""
    return np.concatenate(list(im2col(right, x, *window)), axis=1)


def _without_padding(x: Array, kernel: Pair, stride: Pair, _: Pair, dilation: Pair) -> Array:
    return im2col(right, x, kernel, stride, (0, 0), dilation)


def _without_dilation(x: Array, kernel: Pair, stride: Pair, padding: Pair, _: Pair) -> Array:
    return im2col(right, x, kernel, stride, padding, (1, 1))


def _frame_once(s: Sum) -> Sum:
    """All of the frame's 2 PH rows at the start."""
    return shift(-s["PH"], -s["PW"])(s)


IM2COL: Catalogue = {
    **table(
        im2col,
        {
            **KERNEL,
            **GEOMETRY,
            "frame_at_start": (_frame_once,),
            "outputs_short": SHORT["outputs_short"],
            "window_short": SHORT["window_short"],
            "images_first": (always("m"), only("n")),
            "channels_first": (always("d"), only("c")),
            "edge": (edge,),
        },
    ),
    "row_order": (
        partial(im2col, right, axes="nklepq"),
        partial(im2col, right, axes="nlkepq"),
    ),
    "rows_for_columns": (partial(im2col, right, axes="nelkpq"),),
    "column_order": (partial(im2col, right, axes="neklqp"),),
    "rows_for_windows": (lambda x, *window: im2col(right, x, *window).swapaxes(1, 2),),
    "one_matrix": (_one_matrix,),
    # with an output of the right size, and of the one that comes out then
    "padding_ignored": (partial(im2col, GEOMETRY["padding_ignored"][0]), _without_padding),
    "dilation_ignored": (partial(im2col, GEOMETRY["dilation_ignored"][0]), _without_dilation),
}


def col2im(
    slip: Slip, columns: Array, x_shape: tuple[int, ...], *window: Any, axes: str = "neklpq"
) -> Array:
    """Every column added to the window that it came from."""
    s = convolution(x_shape, 1, Window(*window))
    sizes = dict(zip("neklpq", _columns_shape(s), strict=True))
    grid = columns.reshape([sizes[letter] for letter in axes])
    return slip(replace(s, into="mdhw", shape=x_shape, reads=((grid, axes),))).total()


def _framed(columns: Array, x_shape: tuple[int, ...], *window: Any) -> Array:
    """The frame's gradient too."""
    ph, pw = window[2]
    n, c, height, width = x_shape
    shape = n, c, height + 2 * ph, width + 2 * pw
    return col2im(right, columns, shape, window[0], window[1], (0, 0), window[3])


COL2IM: Catalogue = {
    **table(
        col2im,
        {
            **KERNEL,
            **GEOMETRY,
            "outputs_short": SHORT["outputs_short"],
            "window_short": SHORT["window_short"],
            "overwritten": last("ij", "pq"),
            "averaged": (averaged,),
            "mean": (divide("KH", "KW"), divide("OH", "OW")),
            "images_first": (only("n"), always("n")),
            "channels_first": (always("e"), only("c")),
            "frame_cut_at_end": (_frame_once,),
        },
    ),
    "row_order": (
        partial(col2im, right, axes="nklepq"),
        partial(col2im, right, axes="nlkepq"),
    ),
    "rows_for_columns": (partial(col2im, right, axes="nelkpq"),),
    "column_order": (partial(col2im, right, axes="neklqp"),),
    "frame_kept": (_framed,),
}
