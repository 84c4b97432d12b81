"""Activations (activation.cu)."""

from __future__ import annotations

import cupy

from ..arrays import SIGMOID, Array
from .launch import I32, I64, launch


def sigmoid(x: Array) -> Array:
    """See ``reference.sigmoid``."""
    x = cupy.ascontiguousarray(x)
    s = cupy.empty_like(x)
    launch("activate", x.dtype, x.size, x, s, I64(x.size), I32(SIGMOID))
    return s


def sigmoid_backward(dy: Array, s: Array) -> Array:
    """See ``reference.sigmoid_backward``."""
    dy, s = cupy.ascontiguousarray(dy), cupy.ascontiguousarray(s)
    dx = cupy.empty_like(dy)
    launch("activate_backward", dy.dtype, dy.size, dy, s, dx, I64(dy.size), I32(SIGMOID))
    return dx
