"""The gradients of a convolution in three other ways: loops, convolutions, finite differences.

Each computes them on its own, to be compared with what the engine's operation says.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from minicnn import kernels
from minicnn.nn import functional as F
from minicnn.tensor import Tensor, no_grad

from .numbers import Convolution, Gradients

STEP = 1e-3  # of the finite differences; a convolution is linear, so any step will do
CHUNK = 128  # pictures at a time


class ComparedConvolution(Convolution):
    """A convolution whose gradients are computed in three more ways."""

    @functools.cached_property
    def by_loops(self) -> Gradients:
        """By loops over the definition: every product W·x̄ of the forward pass, differentiated."""
        dx, dweight = np.zeros_like(self.x), np.zeros_like(self.weight)
        for n, o, h, w in np.ndindex(self.dy.shape):
            for c, i, j in np.ndindex(self.weight.shape[1:]):
                row, col = self.pixel(h, w, i, j)
                if self.in_picture(row, col):
                    k = self.channel(o, c)
                    dx[n, k, row, col] += self.weight[o, c, i, j] * self.dy[n, o, h, w]
                    dweight[o, c, i, j] += self.dy[n, o, h, w] * self.x[n, k, row, col]
        if self.bias is None:
            return {"dx": dx, "dweight": dweight}
        dbias = np.array([sum(self.dbias_terms(o)) for o in range(len(self.weight))])
        return {"dx": dx, "dweight": dweight, "dbias": dbias}

    @functools.cached_property
    def by_convolution(self) -> Gradients:
        """As convolutions, which both gradients are.

        dx: dy with zeros between its cells where the stride skipped windows, and the kernel flipped
        (the transposed convolution). dweight: x with dy as the kernel; stride and dilation change
        places.
        """
        (sh, sw), (ph, pw), (dh, dw) = self.stride, self.padding, self.dilation
        kh, kw = self.kernel_size
        dx = self.transposed[:, :, ph : ph + self.x.shape[2], pw : pw + self.x.shape[3]]

        # dW[o, c, i, j] sums over n, p, q: images take the place of channels, and from one i to the
        # next the products move by DH, from one p to the next by SH
        pictures, outputs = self.x.swapaxes(0, 1), self.dy.swapaxes(0, 1)
        options = {"stride": (dh, dw), "padding": (ph, pw), "dilation": (sh, sw)}
        parts = [
            _convolve(pictures[self.channels_of(g)], outputs[self.kernels_of(g)], **options)
            for g in range(self.groups)
        ]
        dweight = np.concatenate(parts, axis=1).swapaxes(0, 1)
        dweight = dweight[:, :, :kh, :kw]  # cells that the stride leaves over would add more rows
        return {"dx": dx, "dweight": dweight}

    @functools.cached_property
    def spread(self) -> np.ndarray:
        """dy[p, q] at the cell where its window begins, 0 at the windows that the stride skipped.

        Framed with zeros, so that each pixel has all its windows: (N, O, rows, columns).
        """
        (sh, sw), (dh, dw), (kh, kw) = self.stride, self.dilation, self.kernel_size
        top, left = dh * (kh - 1), dw * (kw - 1)
        rows, columns = ((size - 1) * s + 1 for size, s in zip(self.output, (sh, sw), strict=True))
        spread = np.zeros((*self.dy.shape[:2], rows + 2 * top, columns + 2 * left))
        spread[:, :, top : top + rows : sh, left : left + columns : sw] = self.dy
        return spread

    @functools.cached_property
    def flipped(self) -> np.ndarray:
        """The kernels, turned by 180 degrees, of the shape of weight."""
        return np.ascontiguousarray(self.weight[:, :, ::-1, ::-1])

    @functools.cached_property
    def transposed(self) -> np.ndarray:
        """dx, framed, as a convolution of ``spread`` with ``flipped``."""
        groups = [self.kernels_of(g) for g in range(self.groups)]
        parts = [
            _convolve(self.spread[:, g], self.flipped[g].swapaxes(0, 1), dilation=self.dilation)
            for g in groups
        ]
        reached = np.concatenate(parts, axis=1)
        framed = np.zeros_like(self.dx_framed)  # what no window reaches stays 0
        framed[:, :, : reached.shape[2], : reached.shape[3]] = reached
        return framed

    @functools.cached_property
    def by_differences(self) -> Gradients:
        """By finite differences: (L(v + h) - L(v - h)) / 2h for every cell v, with L = Σ dy·y."""
        dx, dweight = self._dx_by_differences(), self._dweight_by_differences()
        if self.bias is None:
            return {"dx": dx, "dweight": dweight}
        return {"dx": dx, "dweight": dweight, "dbias": self._dbias_by_differences()}

    def _dx_by_differences(self) -> np.ndarray:
        """A batch of copies of a picture, each with another cell moved, is convolved at once."""
        dx = np.zeros_like(self.x)
        size = self.x[0].size
        for n in range(len(self.x)):
            for first in range(0, size, CHUNK):
                cells = np.arange(first, min(first + CHUNK, size))
                moves = np.zeros((len(cells), size))
                moves[np.arange(len(cells)), cells] = STEP
                moves = moves.reshape(-1, *self.x.shape[1:])
                up, down = (self._forward(self.x[n] + m, self.weight) for m in (moves, -moves))
                change = ((up - down) * self.dy[n]).sum(axis=(1, 2, 3))
                dx[n].reshape(-1)[cells] = change / (2 * STEP)
        return dx

    def _dweight_by_differences(self) -> np.ndarray:
        """Copies of a kernel, each with another cell moved, are the output channels of one call."""
        dweight = np.zeros_like(self.weight)
        kernel = self.weight.shape[1:]
        moves = (STEP * np.eye(self.weight[0].size)).reshape(-1, *kernel)
        for o in range(len(self.weight)):
            seen = self.x[:, self.channels_of(o // self.outs)]
            up, down = (self._forward(seen, self.weight[o] + m) for m in (moves, -moves))
            change = ((up - down) * self.dy[:, o : o + 1]).sum(axis=(0, 2, 3))
            dweight[o] = (change / (2 * STEP)).reshape(kernel)
        return dweight

    def _dbias_by_differences(self) -> np.ndarray:
        assert self.bias is not None
        up, down = (self._forward(self.x, self.weight, self.bias + h) for h in (STEP, -STEP))
        return ((up - down) * self.dy).sum(axis=(0, 2, 3)) / (2 * STEP)

    def _forward(self, *arrays: np.ndarray) -> np.ndarray:
        options = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        x, weight = arrays[:2]
        return _convolve(*arrays, groups=x.shape[1] // weight.shape[1], **options)

    def largest_difference(self, other: Gradients, name: str) -> float:
        """The largest difference of gradient ``name`` between the engine's and ``other``."""
        return float(np.abs(self.gradients[name] - other[name]).max())


def _convolve(*arrays: np.ndarray, **options: Any) -> np.ndarray:
    with no_grad(), kernels.by_reference():
        tensors: Any = (Tensor(np.ascontiguousarray(a)) for a in arrays)
        return F.conv2d(*tensors, **options).numpy()
