"""The numbers of one convolution, forward and backward, and the products they are sums of.

``minicnn.ops.conv`` derives the formulas. Here its operation runs on one example, and every number
on the way is kept.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn import kernels, ops
from minicnn.checks import check_integer
from minicnn.kernels import reference

from ..numbers import Pair
from .terms import Factor, Product

Gradients = dict[str, np.ndarray]  # "dx", "dweight" and, with a bias, "dbias"


class Convolution:
    """One convolution, forward and backward, cell by cell.

    Computed in float64 with the reference kernels. Axes and letters as in ``minicnn.ops.conv``.

    Attributes:
        x, weight, bias, dy: the arguments, arrays of float64; bias may be None.
        ins, outs: the input channels and the kernels of one group.
        y: (N, O, OH, OW).
        columns: the windows as columns, (N, C·KH·KW, OH·OW).
        dcolumns: their gradient Wᵀ dy, of the same shape.
        dx, dweight, dbias: the gradients.
        dx_framed: dx and around it the gradients of the padding, which the engine drops.
    """

    def __init__(
        self,
        x: np.ndarray,
        weight: np.ndarray,
        bias: np.ndarray | None,
        dy: np.ndarray,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        groups: int = 1,
    ):
        self.x, self.weight, self.bias, self.dy = x, weight, bias, dy
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.kernel_size: Pair = weight.shape[2:]
        self.output: Pair = dy.shape[2:]

        # channels are cut into groups, each convolved by itself
        self.groups, self.ins, self.outs = groups, weight.shape[1], len(weight) // groups
        parts = [self._computed(group) for group in range(groups)]

        def joined(name: str, axis: int) -> np.ndarray:
            return np.concatenate([part[name] for part in parts], axis)

        self.y, self.dx = joined("y", 1), joined("dx", 1)
        self.columns, self.dcolumns = joined("columns", 1), joined("dcolumns", 1)
        self.dweight = joined("dweight", 0)
        self.dbias: np.ndarray | None = None if bias is None else joined("dbias", 0)
        self.dx_framed = self._add_back(self.dcolumns)

    def _computed(self, group: int) -> dict[str, np.ndarray]:
        """What the engine's operation says of one group."""
        ins, outs = self.channels_of(group), self.kernels_of(group)
        weight, dy = self.weight[outs], self.dy[:, outs]
        inputs = [np.ascontiguousarray(self.x[:, ins]), weight]
        inputs += [] if self.bias is None else [self.bias[outs]]
        operation = ops.Conv2d(self.stride, self.padding, self.dilation, self.output)
        operation.needs_gradient = (True,) * len(inputs)
        with kernels.by_reference():
            y = operation.forward(*inputs)
            gradients: Any = operation.backward(np.ascontiguousarray(dy))
        flat = dy.reshape(len(dy), self.outs, -1)
        dcolumns = reference.matmul(weight.reshape(self.outs, -1).T, flat)
        found = {"y": y, "columns": operation.columns, "dcolumns": dcolumns}
        return found | dict(zip(("dx", "dweight", "dbias"), gradients, strict=False))

    def channels_of(self, group: int) -> slice:
        """The input channels of a group."""
        return slice(group * self.ins, (group + 1) * self.ins)

    def kernels_of(self, group: int) -> slice:
        """The kernels, and output channels, of a group."""
        return slice(group * self.outs, (group + 1) * self.outs)

    def channel(self, o: int, c: int) -> int:
        """The input channel that slice ``c`` of kernel ``o`` is multiplied with."""
        return o // self.outs * self.ins + c

    def over_channel(self, c: int) -> range:
        """The kernels that see an input channel: those of its group."""
        return range(len(self.weight))[self.kernels_of(c // self.ins)]

    # The products of each sum ---------------------------------------------------------------------

    def y_terms(self, n: int, o: int, h: int, w: int) -> list[Product]:
        """The products that y[n, o, h, w] sums: the bias (times 1), then W·x̄ for every c, i, j."""
        _check_index("y_terms", (n, o, h, w), self.y.shape)
        terms = []
        if self.bias is not None:
            one = Factor("one", (), 1.0)
            terms.append(Product(Factor("bias", (o,), float(self.bias[o])), one))
        for c, i, j in np.ndindex(self.weight.shape[1:]):
            pixel = self.channel(o, c), *self.pixel(h, w, i, j)
            terms.append(Product(self._w(o, c, i, j), self._x(n, *pixel)))
        return terms

    def dx_terms(self, n: int, c: int, i: int, j: int) -> list[Product]:
        """The products that dx[n, c, i, j] sums: W·dy for every output that the pixel fed.

        In the order of the outputs. The weights then run backwards: the kernel looks flipped.
        """
        _check_index("dx_terms", (n, c, i, j), self.x.shape)
        return [
            Product(self._w(o, c % self.ins, a, b), self._dy(n, o, h, w))
            for o in self.over_channel(c)
            for h, w, a, b in self.windows_over(i, j)
        ]

    def dweight_terms(self, o: int, c: int, i: int, j: int) -> list[Product]:
        """The products that dweight[o, c, i, j] sums: dy·x̄ for every image and window."""
        _check_index("dweight_terms", (o, c, i, j), self.weight.shape)
        channel = self.channel(o, c)
        return [
            Product(self._dy(n, o, h, w), self._x(n, channel, *self.pixel(h, w, i, j)))
            for n in range(len(self.x))
            for h, w in np.ndindex(self.output)
        ]

    def dbias_terms(self, o: int) -> list[Product]:
        """The products that dbias[o] sums: dy (times 1) of every image and window."""
        _check_index("dbias_terms", (o,), self.weight.shape[:1])
        one = Factor("one", (), 1.0)
        places = ((n, h, w) for n in range(len(self.x)) for h, w in np.ndindex(self.output))
        return [Product(self._dy(n, o, h, w), one) for n, h, w in places]

    def dcolumns_terms(self, n: int, row: int, column: int) -> list[Product]:
        """The products that dcolumns[n, row, column] sums: W·dy for every output channel."""
        _check_index("dcolumns_terms", (n, row, column), self.dcolumns.shape)
        c, i, j = self.tap(row)
        h, w = divmod(column, self.output[1])
        products = ((self._w(o, c % self.ins, i, j), o) for o in self.over_channel(c))
        return [Product(weight, self._dy(n, o, h, w)) for weight, o in products]

    def tap(self, row: int) -> tuple[int, int, int]:
        """The channel of x and the cell (i, j) of a window that a row of columns holds."""
        c, i, j = np.unravel_index(row, (self.x.shape[1], *self.kernel_size))
        return int(c), int(i), int(j)

    def pixel(self, h: int, w: int, i: int, j: int) -> Pair:
        """The row and column of x that cell (i, j) of the window of output (h, w) lies on."""
        (sh, sw), (ph, pw), (dh, dw) = self.stride, self.padding, self.dilation
        return h * sh + i * dh - ph, w * sw + j * dw - pw

    def windows_over(self, row: int, col: int) -> Iterator[tuple[int, int, int, int]]:
        """(h, w, i, j): the outputs (h, w) whose window covers a pixel, with its cell (i, j)."""
        for h, w in np.ndindex(self.output):
            top, left = self.pixel(h, w, 0, 0)
            i, remainder_i = divmod(row - top, self.dilation[0])
            j, remainder_j = divmod(col - left, self.dilation[1])
            if (
                remainder_i == remainder_j == 0  # not between two cells of a dilated window
                and 0 <= i < self.kernel_size[0]
                and 0 <= j < self.kernel_size[1]
            ):
                yield h, w, i, j

    def in_picture(self, row: int, col: int) -> bool:
        """Whether a cell lies in the picture, not in the padding."""
        return 0 <= row < self.x.shape[2] and 0 <= col < self.x.shape[3]

    def _w(self, *index: int) -> Factor:
        return Factor("weight", index, float(self.weight[index]))

    def _dy(self, *index: int) -> Factor:
        return Factor("dy", index, float(self.dy[index]))

    def _x(self, n: int, c: int, row: int, col: int) -> Factor:
        if not self.in_picture(row, col):
            return Factor("x", None, 0.0)
        return Factor("x", (n, c, row, col), float(self.x[n, c, row, col]))

    @property
    def gradients(self) -> Gradients:
        """As the engine computes them: im2col, two matrix products, col2im."""
        bias = {} if self.dbias is None else {"dbias": self.dbias}
        return {"dx": self.dx, "dweight": self.dweight, **bias}

    # col2im, column by column ---------------------------------------------------------------------

    def _add_back(self, columns: np.ndarray) -> np.ndarray:
        """col2im into the framed picture."""
        (_, c, h, w), (ph, pw) = self.x.shape, self.padding
        shape = (len(columns), c, h + 2 * ph, w + 2 * pw)
        window = self.kernel_size, self.stride, (0, 0), self.dilation
        return reference.col2im(columns, shape, *window)

    @functools.cached_property
    def additions(self) -> np.ndarray:
        """The sums of col2im on the way, of the shape of ``columns``.

        [n, row, column] is the sum in the cell of the framed picture that this entry is added to,
        after this column and all before it.
        """
        after = np.zeros_like(self.dcolumns)
        window = self.kernel_size, self.stride, (0, 0), self.dilation
        for n in range(len(after)):
            added = np.zeros_like(self.dcolumns[:1])
            for column in range(after.shape[2]):
                added[0, :, column] = self.dcolumns[n, :, column]
                # im2col of the sums: each entry of columns sees the cell that it is added to
                so_far = reference.im2col(self._add_back(added), *window)
                after[n, :, column] = so_far[0, :, column]
        return after

    def __repr__(self) -> str:
        return f"<convolution explained: {self.describe()}, x {self.x.shape}, y {self.y.shape}>"

    def describe(self) -> str:
        """The layer in one line."""
        o, c = self.weight.shape[:2]
        options = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
        said = "".join(
            f", {name}={getattr(self, name)}"
            for name, value in options.items()
            if getattr(self, name) != value
        )
        return f"Conv2d({c * self.groups}, {o}, kernel_size={self.kernel_size}{said})"


def _check_index(function: str, index: tuple[int, ...], shape: tuple[int, ...]) -> None:
    for k in index:
        check_integer(f"{function}: a part of the index", k)
    if any(not 0 <= k < size for k, size in zip(index, shape, strict=True)):
        raise IndexError(f"{function}: index is {index}; wanted one below {shape}, from 0")
