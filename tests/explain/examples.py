"""Convolutions to explain."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from minicnn import Tensor, nn
from tests import oracle

Arrays = dict[str, np.ndarray]

CASES: dict[str, dict[str, Any]] = {
    "the default": {"size": (5, 6), "kernel": (3, 3), "stride": (2, 2), "padding": (1, 0)},
    "plain": {"size": (4, 5), "kernel": (2, 3)},
    "everything": {
        "size": (8, 9), "kernel": (3, 2), "stride": (2, 3), "padding": (1, 2),
        "dilation": (2, 3), "batch": 2, "channels": 3, "outs": 4,
    },
    "more padding than kernel": {"size": (3, 2), "kernel": (2, 1), "padding": (3, 2)},
    "stride larger than the kernel": {"size": (7, 8), "kernel": (1, 2), "stride": (3, 4)},
    "groups": {
        "size": (5, 6), "kernel": (2, 3), "stride": (1, 2), "padding": (0, 1), "batch": 2,
        "channels": 4, "outs": 6, "groups": 2,
    },
    "no bias": {"size": (4, 4), "kernel": (3, 3), "bias": False},
}  # fmt: skip


def example(
    rng: np.random.Generator,
    size: tuple[int, int],
    kernel: tuple[int, int],
    batch: int = 1,
    channels: int = 2,
    outs: int = 2,
    **options: Any,
) -> tuple[nn.Conv2d, np.ndarray, np.ndarray]:
    """A layer, pictures, and a gradient with respect to its output."""
    pairs = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}  # as ``by_loops`` reads them
    conv = nn.Conv2d(channels, outs, kernel, **{**pairs, **options}).to("float64")
    x = rng.standard_normal((batch, channels, *size))
    shape = conv(Tensor(x)).shape
    return conv, x, rng.standard_normal(shape)


def by_loops(conv: nn.Conv2d, x: np.ndarray, dy: np.ndarray) -> Arrays:
    """Every array of a convolution, from the definition."""
    stride: Any = conv.stride
    padding: Any = conv.padding
    dilation: Any = conv.dilation
    w = conv.weight.numpy()
    b = None if conv.bias is None else conv.bias.numpy()
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    oh, ow = dy.shape[2:]
    kh, kw = w.shape[2:]
    found: Arrays = {
        "y": oracle.conv2d(x, w, b, (sh, sw), (ph, pw), (dh, dw), conv.groups),
        "dx": np.zeros_like(x),
        "dweight": np.zeros_like(w),
        "dbias": dy.sum(axis=(0, 2, 3)),
        "columns": np.zeros((len(x), conv.groups * w[0].size, oh * ow)),
        "dcolumns": np.zeros((len(x), conv.groups * w[0].size, oh * ow)),
    }
    for n, o, p, q in np.ndindex(dy.shape):
        for c, i, j in np.ndindex(w.shape[1:]):
            h, v = p * sh + i * dh - ph, q * sw + j * dw - pw
            k = o // (len(w) // conv.groups) * w.shape[1] + c  # the channel of x
            place = n, (k * kh + i) * kw + j, p * ow + q
            found["dcolumns"][place] += w[o, c, i, j] * dy[n, o, p, q]
            if 0 <= h < x.shape[2] and 0 <= v < x.shape[3]:
                found["columns"][place] = x[n, k, h, v]
                found["dx"][n, k, h, v] += w[o, c, i, j] * dy[n, o, p, q]
                found["dweight"][o, c, i, j] += dy[n, o, p, q] * x[n, k, h, v]
    return found


def data_of(html: str) -> Any:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', html, re.S)
    assert found
    return json.loads(found[1])
