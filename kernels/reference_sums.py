"""Sums, and batch normalisation, which is made of them: a part of ``reference``."""

from __future__ import annotations

from .arrays import Array, Axes


def sum_over(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """NumPy's ``x.sum(axis, keepdims=keepdims)``, with float32 added up in float64.

    NumPy adds the rows along a leading axis one after the other; for a million of them, the float32
    sum is wrong by a percent. x: any shape; ``axis``: one, several, or None for all.
    """
    if x.dtype != "float32":
        return x.sum(axis=axis, keepdims=keepdims)
    return x.sum(axis=axis, keepdims=keepdims, dtype="float64").astype(x.dtype)


def moments(x: Array) -> tuple[Array, Array]:
    """Mean and variance (the mean square of what is left) of each channel.

    x: (N, C, ...); returns two (C,).
    """
    axes, m = _all_but_channels(x), x.size // x.shape[1]
    mean = sum_over(x, axes, keepdims=True) / m
    return mean.reshape(-1), sum_over((x - mean) ** 2, axes) / m


def normalise(x: Array, mean: Array, scale: Array, shift: Array) -> Array:
    """y = (x - mean) * scale + shift, with numbers for each channel.

    x: (N, C, ...), others: (C,).
    """
    mean, scale, shift = _along_channels(x, mean, scale, shift)
    return (x - mean) * scale + shift


def norm_sums(dy: Array, x: Array, mean: Array) -> tuple[Array, Array]:
    """sum(dy) and sum(dy * (x - mean)) of each channel. dy, x: (N, C, ...), others: (C,)."""
    axes, (along,) = _all_but_channels(x), _along_channels(x, mean)
    return sum_over(dy, axes), sum_over(dy * (x - along), axes)


def norm_backward(
    dy: Array, x: Array, mean: Array, scale: Array, through_mean: Array, through_var: Array
) -> Array:
    """dx = scale * (dy - through_mean - (x - mean) * through_var), with numbers for each channel.

    dy, x: (N, C, ...), others: (C,); ``ops.norm`` says which they are.
    """
    mean, scale = _along_channels(x, mean, scale)
    through_mean, through_var = _along_channels(x, through_mean, through_var)
    return scale * (dy - through_mean - (x - mean) * through_var)


def _all_but_channels(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _along_channels(x: Array, *numbers: Array) -> list[Array]:
    """Each (C,) laid along axis 1 of x."""
    return [a.reshape(1, -1, *[1] * (x.ndim - 2)) for a in numbers]
