"""The slips of a dense layer's backward pass: dx, dW and db."""

from __future__ import annotations

import numpy as np

from .conv import Catalogue
from .sums import Array

# All are functions of dy (M, O), x (M, K) and weight (O, K).


def dx(dy: Array, weight: Array) -> Array:
    """dx[m, k] = sum over o of dy[m, o] W[o, k]."""
    return dy @ weight


def dweight(dy: Array, x: Array) -> Array:
    """dW[o, k] = sum over m of dy[m, o] x[m, k]."""
    return dy.T @ x


def _first(size: int, array: Array) -> Array:
    """The array with all rows after the first ones 0."""
    return np.where(np.arange(len(array))[:, None] < size, array, 0)


DX: Catalogue = {
    "weight_transposed": (
        lambda dy, x, w: dy @ w.T if w.shape[0] == w.shape[1] else np.full(x.shape, np.inf),
    ),
    "kernels_first": (
        lambda dy, x, w: dx(dy[:, :1], w[:1]),
        lambda dy, x, w: np.outer(dy.sum(1), w[0]),
    ),
    "kernels_last": (lambda dy, x, w: dx(dy[:, -1:], w[-1:]),),
    "kernels_mixed": (lambda dy, x, w: np.outer(dy.sum(1), w.sum(0)),),
    "images_first": (
        lambda dy, x, w: _first(1, dx(dy, w)),
        lambda dy, x, w: dx(dy[:1], w) + 0 * x,
    ),
    "images_mixed": (lambda dy, x, w: dx(dy.sum(0, keepdims=True), w) + 0 * x,),
    "mean": (lambda dy, x, w: dx(dy, w) / dy.shape[1],),
    "mean_of_images": (lambda dy, x, w: dx(dy, w) / len(dy),),
    "dy_forgotten": (lambda dy, x, w: dx(np.ones_like(dy), w),),
    "weight_forgotten": (lambda dy, x, w: dx(dy, np.ones_like(w)),),
    "times_x": (lambda dy, x, w: dx(dy, w) * x,),
    "outputs_short": (lambda dy, x, w: dx(dy[:, :-1], w[:-1]),),
}
DWEIGHT: Catalogue = {
    "overwritten": (
        lambda dy, x, w: dweight(dy[-1:], x[-1:]),
    ),
    "images_first": (
        lambda dy, x, w: dweight(dy[:1], x[:1]),
        lambda dy, x, w: np.outer(dy.sum(0), x[0]),
        lambda dy, x, w: np.outer(dy[0], x.sum(0)),
    ),
    "images_mixed": (lambda dy, x, w: np.outer(dy.sum(0), x.sum(0)),),
    "mean_of_images": (lambda dy, x, w: dweight(dy, x) / len(dy),),
    "all_kernels": (lambda dy, x, w: dweight(dy.sum(1, keepdims=True), x) + 0 * w,),
    "dy_forgotten": (lambda dy, x, w: dweight(np.ones_like(dy), x),),
    "x_forgotten": (lambda dy, x, w: dweight(dy, np.ones_like(x)),),
    "other_way_round": (lambda dy, x, w: dweight(dy, x).T,),
    "times_weight": (lambda dy, x, w: dweight(dy, x) * w,),
}  # fmt: skip
DBIAS: Catalogue = {
    "mean_of_images": (lambda dy, x, w: dy.mean(0),),
    "images_first": (lambda dy, x, w: dy[0],),
    "overwritten": (lambda dy, x, w: dy[-1],),
    "all_kernels": (
        lambda dy, x, w: np.full(dy.shape[1], dy.sum()),
        lambda dy, x, w: np.asarray(dy.sum()),
    ),
    "other_axes": (lambda dy, x, w: dy.sum(1),),
    "not_summed": (lambda dy, x, w: dy,),
    "dy_forgotten": (lambda dy, x, w: np.full(dy.shape[1], float(len(dy))),),
}
