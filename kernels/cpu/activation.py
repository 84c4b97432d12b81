"""Activations, cell by cell."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from ..arrays import Array
from .jit import jit
from .threads import share

LIGHT = 16  # cells in the time of one: no more than a multiplication or two each


@jit
def exp(t: np.float32) -> np.float32:
    """exp(t) for float32 -87 <= t <= 0, in multiplications that the CPU does 8 or 16 at a time.

    t = n log 2 + r with |r| <= log(2) / 2, so exp(t) = 2**n exp(r). The Taylor series of exp(r) up
    to r**7 / 7! is as exact as float32. 2**n is written into the exponent of a float32: its bits
    above the 23 of the fraction, in which 127 stands for 2**0.
    """
    f = np.float32
    n = np.floor(t * f(1 / math.log(2)) + f(0.5))
    r = t - n * f(math.log(2))
    series = f(1 / 5040)
    series = series * r + f(1 / 720)
    series = series * r + f(1 / 120)
    series = series * r + f(1 / 24)
    series = series * r + f(1 / 6)
    series = series * r + f(1 / 2)
    series = series * r + f(1)
    series = series * r + f(1)
    return series * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


def sigmoid(x: Array) -> Array:
    """See ``reference.sigmoid``. In float32 the relative error is at most 4e-7; 0 below -87."""
    x = np.asarray(x, order="C")  # ascontiguousarray would give a single number an axis
    s = np.empty_like(x)
    loop = _sigmoid_float32 if x.dtype == np.float32 else _sigmoid
    share(loop, x.size, x.size // 8, x.reshape(-1), s.reshape(-1))
    return s


@jit
def _sigmoid_float32(first: int, last: int, x: Array, s: Array) -> None:
    zero, one = np.float32(0), np.float32(1)
    x, s = x[first:last], s[first:last]
    for k in range(x.size):
        t = -abs(x[k])
        e = zero if t < -87 else exp(t)  # exp(-87) = 2e-38: float32 ends there
        s[k] = (e if x[k] < 0 else one) / (one + e)


@jit
def _sigmoid(first: int, last: int, x: Array, s: Array) -> None:
    x, s = x[first:last], s[first:last]
    for k in range(x.size):
        e = math.exp(-abs(x[k]))
        s[k] = (e if x[k] < 0 else 1) / (1 + e)


def sigmoid_backward(dy: Array, s: Array) -> Array:
    """See ``reference.sigmoid_backward``."""
    dy, s = np.asarray(dy, order="C"), np.asarray(s, order="C")
    dx = np.empty_like(s)
    share(_sigmoid_backward, s.size, s.size // LIGHT, dy.reshape(-1), s.reshape(-1), dx.reshape(-1))
    return dx


@jit
def _sigmoid_backward(first: int, last: int, dy: Array, s: Array, dx: Array) -> None:
    one = s.dtype.type(1)
    dy, s, dx = dy[first:last], s[first:last], dx[first:last]
    for k in range(s.size):
        dx[k] = dy[k] * s[k] * (one - s[k])


# tanh(x) = x P(x²) / Q(x²), the rational function of Eigen (MPL2; fast tanh) for float32: the
# coefficients from the highest power down. It passes 1 beyond +-9.1, where a float32 tanh is 1 to
# half a unit of the last place.
TANH_P = (
    *(-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08),
    *(1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03),
)
TANH_Q = 1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03
TANH_ENDS = 9.25


def tanh(x: Array) -> Array:
    """See ``reference.tanh``. In float32 the relative error is at most 4e-7 from 1e-30 on."""
    if x.dtype != np.float32:
        return np.asarray(np.tanh(x))
    x = np.asarray(x, order="C")
    t = np.empty_like(x)
    share(_tanh_float32, x.size, x.size // 8, x.reshape(-1), t.reshape(-1))
    return t


# only contracted, as in compiled steps, so that both are flat at the same x (but for AVX-512's own
# reciprocal, which may differ in the last place)
@partial(jit, fastmath={"contract"})
def _tanh_float32(first: int, last: int, x: Array, t: Array) -> None:
    f, end = np.float32, np.float32(TANH_ENDS)
    x, t = x[first:last], t[first:last]
    for k in range(x.size):
        z = min(max(x[k], -end), end)
        u, p, q = z * z, f(TANH_P[0]), f(TANH_Q[0])
        for c in TANH_P[1:]:
            p = p * u + f(c)
        for c in TANH_Q[1:]:
            q = q * u + f(c)
        t[k] = min(max(z * p * (f(1) / q), f(-1)), f(1))


def tanh_backward(dy: Array, t: Array) -> Array:
    """See ``reference.tanh_backward``."""
    dy, t = np.asarray(dy, order="C"), np.asarray(t, order="C")
    dx = np.empty_like(t)
    share(_tanh_backward, t.size, t.size // LIGHT, dy.reshape(-1), t.reshape(-1), dx.reshape(-1))
    return dx


@jit
def _tanh_backward(first: int, last: int, dy: Array, t: Array, dx: Array) -> None:
    one = t.dtype.type(1)
    dy, t, dx = dy[first:last], t[first:last], dx[first:last]
    for k in range(t.size):
        dx[k] = dy[k] * (one - t[k] * t[k])


def relu(x: Array) -> Array:
    """See ``reference.relu``."""
    x = np.asarray(x, order="C")
    y = np.empty_like(x)
    share(_relu, x.size, x.size // LIGHT, x.reshape(-1), y.reshape(-1))
    return y


@jit
def _relu(first: int, last: int, x: Array, y: Array) -> None:
    zero = x.dtype.type(0)
    x, y = x[first:last], y[first:last]
    for k in range(x.size):
        y[k] = zero if x[k] <= zero else x[k]  # NaN is not <= 0


def relu_backward(dy: Array, y: Array) -> Array:
    """See ``reference.relu_backward``."""
    dy, y = np.asarray(dy, order="C"), np.asarray(y, order="C")
    dx = np.empty_like(dy)
    share(_relu_backward, y.size, y.size // LIGHT, dy.reshape(-1), y.reshape(-1), dx.reshape(-1))
    return dx


@jit
def _relu_backward(first: int, last: int, dy: Array, y: Array, dx: Array) -> None:
    zero = y.dtype.type(0)
    dy, y, dx = dy[first:last], y[first:last], dx[first:last]
    for k in range(y.size):
        dx[k] = zero if y[k] <= zero else dy[k]
