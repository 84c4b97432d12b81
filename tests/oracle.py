"""What the tests hold the engine against: loops written from the definitions, and PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn import Tensor
from minicnn.nn import functional

Pair = tuple[int, int]

# Loops from the definitions -----------------------------------------------------------------------


def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """Each output cell is the sum over its window, cells outside the picture counting as 0."""
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    height, width = x.shape[2:]
    out_channels, channels, kh, kw = weight.shape
    rows = window_starts(height, kh, sh, ph, dh)
    cols = window_starts(width, kw, sw, pw, dw)
    y = np.zeros((len(x), out_channels, len(rows), len(cols)))
    for n, o, r, q in np.ndindex(y.shape):
        first_channel = o // (out_channels // groups) * channels
        total = 0.0 if bias is None else bias[o]
        for c, i, j in np.ndindex(channels, kh, kw):
            h, w = rows[r] + i * dh, cols[q] + j * dw
            if 0 <= h < height and 0 <= w < width:
                total += weight[o, c, i, j] * x[n, first_channel + c, h, w]
        y[n, o, r, q] = total
    return y


def max_pool2d(
    x: np.ndarray,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    ceil_mode: bool = False,
) -> np.ndarray:
    """The largest of the cells of each window that lie in the picture."""
    (kh, kw), (dh, dw) = kernel_size, dilation
    height, width = x.shape[2:]
    rows = window_starts(height, kh, stride[0], padding[0], dh, ceil_mode)
    cols = window_starts(width, kw, stride[1], padding[1], dw, ceil_mode)
    y = np.full((*x.shape[:2], len(rows), len(cols)), -math.inf)
    for n, c, r, q in np.ndindex(y.shape):
        for i, j in np.ndindex(kh, kw):
            h, w = rows[r] + i * dh, cols[q] + j * dw
            if 0 <= h < height and 0 <= w < width:
                y[n, c, r, q] = max(y[n, c, r, q], x[n, c, h, w])
    return y


def avg_pool2d(
    x: np.ndarray,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    """The mean of each window: over the cells in the picture, or in its frame of zeros too."""
    (kh, kw), (ph, pw) = kernel_size, padding
    height, width = x.shape[2:]
    rows = window_starts(height, kh, stride[0], ph, 1, ceil_mode)
    cols = window_starts(width, kw, stride[1], pw, 1, ceil_mode)
    y = np.zeros((*x.shape[:2], len(rows), len(cols)))
    for n, c, r, q in np.ndindex(y.shape):
        total, count = 0.0, 0
        for i, j in np.ndindex(kh, kw):
            h, w = rows[r] + i, cols[q] + j
            if 0 <= h < height and 0 <= w < width:
                total += x[n, c, h, w]
                count += 1
            elif count_include_pad and -ph <= h < height + ph and -pw <= w < width + pw:
                count += 1
        y[n, c, r, q] = total / (count if divisor_override is None else divisor_override)
    return y


def window_starts(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool = False
) -> list[int]:
    """Where the windows along an axis begin; the picture's first cell is number 0.

    The windows that fit into the frame; with ``ceil_mode`` one more if cells are left over after
    the last and it begins before the end of the picture.
    """
    starts, start = [], -padding
    reach, last_cell = dilation * (kernel - 1), size + padding - 1
    while start + reach <= last_cell:
        starts.append(start)
        start += stride
    if ceil_mode and start - stride + reach < last_cell and start < size:
        starts.append(start)
    return starts


def cross_entropy(
    logits: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> np.ndarray:
    """-sum_c w[c] q[c] log p[c] of every row; logits (N, C), target (N,) or probabilities (N, C).

    q is the target's distribution, ``label_smoothing`` of it spread evenly over the classes.
    """
    rows, classes = logits.shape
    weights = [1.0] * classes if weight is None else weight.tolist()
    losses, divisor = np.zeros(rows), 0.0
    for m in range(rows):
        if target.ndim == 1 and target[m] == ignore_index:
            continue
        q = [float(c == target[m]) for c in range(classes)] if target.ndim == 1 else target[m]
        total = math.fsum(math.exp(logits[m, c]) for c in range(classes))
        for c in range(classes):
            smoothed = (1 - label_smoothing) * q[c] + label_smoothing / classes
            losses[m] -= weights[c] * smoothed * math.log(math.exp(logits[m, c]) / total)
        divisor += weights[target[m]] if target.ndim == 1 else 1.0
    if reduction == "none":
        return losses
    return np.array(losses.sum() / (divisor if reduction == "mean" else 1.0))


# PyTorch ------------------------------------------------------------------------------------------


def assert_agrees_with_torch(
    ours: Callable[..., Tensor], *arrays: np.ndarray, theirs: Callable[..., Any] | None = None
) -> None:
    """``ours(*arrays)`` is PyTorch's value to 1e-10; gradients for a random cotangent to 1e-9.

    ``theirs``: the same in PyTorch's words, where those differ. Arrays of float64 receive
    gradients, others are passed as they are.
    """
    torch = pytest.importorskip("torch")
    learnt = [array.dtype.kind == "f" for array in arrays]
    xs = [Tensor(array.copy(), grad) for array, grad in zip(arrays, learnt, strict=True)]
    zs = [
        torch.from_numpy(array.copy()).requires_grad_(grad)
        for array, grad in zip(arrays, learnt, strict=True)
    ]
    y, expected = ours(*xs), (theirs or ours)(*zs)
    assert y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=1e-10, atol=1e-10)

    u = np.random.default_rng(99).standard_normal(y.shape)
    y.backward(Tensor(u))
    expected.backward(torch.from_numpy(u))
    for i, (x, z) in enumerate(zip(xs, zs, strict=True)):
        if learnt[i]:
            assert x.grad is not None, f"input {i} received no gradient"
            np.testing.assert_allclose(
                x.grad.numpy(), z.grad.numpy(), rtol=1e-9, atol=1e-9, err_msg=f"gradient {i}"
            )


def assert_functional_agrees(function: str, *arrays: np.ndarray, **options: Any) -> None:
    """The function of this name in ``minicnn.nn.functional`` is ``torch.nn.functional``'s."""
    torch = pytest.importorskip("torch")
    assert_agrees_with_torch(
        lambda *xs: getattr(functional, function)(*xs, **options),
        *arrays,
        theirs=lambda *zs: getattr(torch.nn.functional, function)(*zs, **options),
    )
