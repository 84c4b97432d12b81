"""The numbers of one convolution, forward and backward, and where each of them comes from.

``minicnn.ops.conv`` derives the formulas; here its operation runs on one example, and every number
on the way is kept. The gradients are computed twice more, from the definition and as convolutions,
and once by finite differences, so that they can be laid side by side.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn import kernels, nn, ops
from minicnn.kernels import reference
from minicnn.kernels.arrays import output_sizes
from minicnn.nn import functional as F
from minicnn.tensor import Tensor, no_grad

from .terms import Factor, Product

Pair = tuple[int, int]
Gradients = dict[str, np.ndarray]  # "dx", "dweight" and, with a bias, "dbias"

STEP = 1e-3  # of the finite differences; a convolution is linear: any step will do
CHUNK = 128  # pictures at a time


def example_of(conv: nn.Conv2d, x: Any, dy: Any = None) -> tuple[Any, ...]:
    """What ``Convolution`` takes, for the layer ``conv``, pictures ``x`` and the gradient ``dy``.

    Args:
        conv: a layer with one group.
        x: a tensor or array (N, C, H, W), or one picture (C, H, W).
        dy: of the output's shape; ones without it, the gradient of ``y.sum()``.

    Raises:
        TypeError: ``conv`` is no ``nn.Conv2d``.
        ValueError: shapes that do not fit, numbers that are not finite, groups, or a padding that
            is not the same on both sides.
    """
    if not isinstance(conv, nn.Conv2d):
        raise TypeError(f"explain.conv2d: conv is {type(conv).__name__}; wanted an nn.Conv2d")
    picture = as_numbers("conv2d", "x", x, 4)
    if isinstance(conv, nn.LazyConv2d):
        with no_grad(), kernels.by_reference():
            conv(Tensor(picture.astype(np.float32)))
    if conv.groups != 1:
        raise ValueError(f"explain.conv2d: groups is {conv.groups}; wanted a layer of one group")
    if picture.shape[1] != conv.in_channels:
        raise ValueError(
            f"explain.conv2d: x has {picture.shape[1]} channels; wanted {conv.in_channels}"
        )
    stride, dilation = as_pair(conv.stride), as_pair(conv.dilation)
    padding = _padding(conv, dilation)
    output = output_sizes(picture.shape[2:], conv.kernel_size, stride, padding, dilation)
    if min(output) < 1:
        raise ValueError(
            f"explain.conv2d: kernel {conv.kernel_size} with dilation {dilation} is larger than "
            f"the padded picture: x {picture.shape}, padding {padding}"
        )
    shape = (len(picture), conv.out_channels, *output)
    cotangent = np.ones(shape) if dy is None else as_numbers("conv2d", "dy", dy, 4)
    if cotangent.shape != shape:
        raise ValueError(f"explain.conv2d: dy has shape {cotangent.shape}; wanted {shape}")
    weight = as_numbers("conv2d", "weight", conv.weight, 4)
    bias = None if conv.bias is None else as_numbers("conv2d", "bias", conv.bias, 1)
    return picture, weight, bias, cotangent, stride, padding, dilation


def as_numbers(function: str, name: str, given: Any, ndim: int) -> np.ndarray:
    """A copy in float64 with ``ndim`` axes; one axis less is a batch of one."""
    array = given.numpy() if isinstance(given, Tensor) else np.asarray(given)
    array = array.astype(np.float64)
    if array.ndim == ndim - 1:
        array = array[None]
    if array.ndim != ndim or array.size == 0:
        raise ValueError(
            f"explain.{function}: {name} has shape {array.shape}; wanted {ndim} axes, none empty"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"explain.{function}: {name} holds nan or inf; wanted finite numbers")
    return array


def as_pair(value: Any) -> Pair:
    """A number (or a sequence of one) for both axes, or a pair."""
    numbers = (value,) if isinstance(value, int | np.integer) else value
    return int(numbers[0]), int(numbers[-1])


def _padding(conv: nn.Conv2d, dilation: Pair) -> Pair:
    if conv.padding == "valid":
        return (0, 0)
    if conv.padding != "same":
        return as_pair(conv.padding)
    zeros = [d * (k - 1) for d, k in zip(dilation, conv.kernel_size, strict=True)]
    if zeros[0] % 2 or zeros[1] % 2:
        raise ValueError(
            f"explain.conv2d: padding is 'same' with kernel {conv.kernel_size}, an odd number of "
            "zeros; wanted as many on both sides"
        )
    return zeros[0] // 2, zeros[1] // 2


class Convolution:
    """One convolution, forward and backward, cell by cell.

    Computed in float64 with the reference kernels. Axes and letters as in ``minicnn.ops.conv``.

    Attributes:
        x, weight, bias, dy: what was given; bias may be None.
        y: (N, O, OH, OW).
        columns: the windows as columns, (N, C·KH·KW, OH·OW).
        dcolumns: Wᵀ dy, of the same shape.
        dx, dweight, dbias: the gradients.
        dx_framed: dx with the gradients of the padding around it, which are dropped.
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
    ):
        self.x, self.weight, self.bias, self.dy = x, weight, bias, dy
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.kernel_size: Pair = weight.shape[2:]
        self.output: Pair = dy.shape[2:]

        inputs = (x, weight) if bias is None else (x, weight, bias)
        operation = ops.Conv2d(stride, padding, dilation, self.output)
        operation.needs_gradient = (True,) * len(inputs)
        with kernels.by_reference():
            self.y: np.ndarray = operation.forward(*inputs)
            gradients: Any = operation.backward(dy)
        self.columns: np.ndarray = operation.columns
        self.dx: np.ndarray = gradients[0]
        self.dweight: np.ndarray = gradients[1]
        self.dbias: np.ndarray | None = None if bias is None else gradients[2]

        rows = self.columns.shape[1]
        flat = dy.reshape(len(dy), len(weight), -1)
        self.dcolumns = reference.matmul(weight.reshape(-1, rows).T, flat)
        self.dx_framed = self._add_back(self.dcolumns)

    # The sums, product by product -----------------------------------------------------------------

    def y_terms(self, n: int, o: int, h: int, w: int) -> list[Product]:
        """What y[n, o, h, w] is the sum of: the bias (times 1), then W·x̄ for every c, i, j."""
        _check_index("y_terms", (n, o, h, w), self.y.shape)
        terms = []
        if self.bias is not None:
            one = Factor("one", (), 1.0)
            terms.append(Product(Factor("bias", (o,), float(self.bias[o])), one))
        for c, i, j in np.ndindex(self.weight.shape[1:]):
            terms.append(Product(self._w(o, c, i, j), self._x(n, c, *self.pixel(h, w, i, j))))
        return terms

    def dx_terms(self, n: int, c: int, i: int, j: int) -> list[Product]:
        """What dx[n, c, i, j] is the sum of: W·dy for every output that the pixel fed.

        In the order of the outputs; the weights then run backwards: the kernel is turned.
        """
        _check_index("dx_terms", (n, c, i, j), self.x.shape)
        return [
            Product(self._w(o, c, a, b), self._dy(n, o, h, w))
            for o in range(len(self.weight))
            for h, w, a, b in self.windows_over(i, j)
        ]

    def dweight_terms(self, o: int, c: int, i: int, j: int) -> list[Product]:
        """What dweight[o, c, i, j] is the sum of: dy·x̄ for every image and every window."""
        _check_index("dweight_terms", (o, c, i, j), self.weight.shape)
        return [
            Product(self._dy(n, o, h, w), self._x(n, c, *self.pixel(h, w, i, j)))
            for n in range(len(self.x))
            for h, w in np.ndindex(self.output)
        ]

    def dbias_terms(self, o: int) -> list[Product]:
        """What dbias[o] is the sum of: dy (times 1) of every image and every place."""
        _check_index("dbias_terms", (o,), self.weight.shape[:1])
        one = Factor("one", (), 1.0)
        places = ((n, h, w) for n in range(len(self.x)) for h, w in np.ndindex(self.output))
        return [Product(self._dy(n, o, h, w), one) for n, h, w in places]

    def dcolumns_terms(self, n: int, row: int, column: int) -> list[Product]:
        """What dcolumns[n, row, column] is the sum of: W·dy for every output channel."""
        _check_index("dcolumns_terms", (n, row, column), self.dcolumns.shape)
        c, i, j = (int(k) for k in np.unravel_index(row, self.weight.shape[1:]))
        h, w = divmod(column, self.output[1])
        outs = range(len(self.weight))
        return [Product(self._w(o, c, i, j), self._dy(n, o, h, w)) for o in outs]

    def pixel(self, h: int, w: int, i: int, j: int) -> Pair:
        """The row and column of x that cell (i, j) of the window of output (h, w) lies on."""
        (sh, sw), (ph, pw), (dh, dw) = self.stride, self.padding, self.dilation
        return h * sh + i * dh - ph, w * sw + j * dw - pw

    def windows_over(self, row: int, col: int) -> Iterator[tuple[int, int, int, int]]:
        """(h, w, i, j): the outputs whose window covers a pixel, and the window's cell there."""
        for h, w in np.ndindex(self.output):
            top, left = self.pixel(h, w, 0, 0)
            i, rest_i = divmod(row - top, self.dilation[0])
            j, rest_j = divmod(col - left, self.dilation[1])
            if (
                rest_i == rest_j == 0
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

    # The gradients again, in other ways -----------------------------------------------------------

    @property
    def gradients(self) -> Gradients:
        """As the engine computes them: im2col, two matrix products, col2im."""
        bias = {} if self.dbias is None else {"dbias": self.dbias}
        return {"dx": self.dx, "dweight": self.dweight, **bias}

    @functools.cached_property
    def by_loops(self) -> Gradients:
        """From the definition: every product W·x̄ of the forward pass, differentiated."""
        dx, dweight = np.zeros_like(self.x), np.zeros_like(self.weight)
        for n, o, h, w in np.ndindex(self.dy.shape):
            for c, i, j in np.ndindex(self.weight.shape[1:]):
                row, col = self.pixel(h, w, i, j)
                if self.in_picture(row, col):
                    dx[n, c, row, col] += self.weight[o, c, i, j] * self.dy[n, o, h, w]
                    dweight[o, c, i, j] += self.dy[n, o, h, w] * self.x[n, c, row, col]
        if self.bias is None:
            return {"dx": dx, "dweight": dweight}
        dbias = np.array([sum(self.dbias_terms(o)) for o in range(len(self.weight))])
        return {"dx": dx, "dweight": dweight, "dbias": dbias}

    @functools.cached_property
    def by_convolution(self) -> Gradients:
        """Both gradients are convolutions themselves.

        dx: dy, its cells drawn apart by the stride, with the kernel turned by 180 degrees (the
        transposed convolution). dweight: x with dy as the kernel, stride and dilation exchanged.
        """
        (sh, sw), (ph, pw), (dh, dw) = self.stride, self.padding, self.dilation
        (kh, kw), (oh, ow) = self.kernel_size, self.output
        apart = np.zeros((*self.dy.shape[:2], (oh - 1) * sh + 1, (ow - 1) * sw + 1))
        apart[:, :, ::sh, ::sw] = self.dy
        turned = self.weight[:, :, ::-1, ::-1].swapaxes(0, 1)
        reached = _convolve(
            apart, turned, padding=(dh * (kh - 1), dw * (kw - 1)), dilation=(dh, dw)
        )
        framed = np.zeros_like(self.dx_framed)  # what no window reaches stays 0
        framed[:, :, : reached.shape[2], : reached.shape[3]] = reached
        dx = framed[:, :, ph : ph + self.x.shape[2], pw : pw + self.x.shape[3]]

        pictures, outputs = self.x.swapaxes(0, 1), self.dy.swapaxes(0, 1)
        dweight = _convolve(pictures, outputs, stride=(dh, dw), padding=(ph, pw), dilation=(sh, sw))
        return {"dx": dx, "dweight": dweight[:, :, :kh, :kw].swapaxes(0, 1)}

    @functools.cached_property
    def by_differences(self) -> Gradients:
        """(L(v + h) - L(v - h)) / 2h for every cell v, with L = sum(dy · y)."""
        dx, dweight = self._dx_by_differences(), self._dweight_by_differences()
        if self.bias is None:
            return {"dx": dx, "dweight": dweight}
        return {"dx": dx, "dweight": dweight, "dbias": self._dbias_by_differences()}

    def _dx_by_differences(self) -> np.ndarray:
        """Many pictures with one cell moved each go through the convolution as a batch."""
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
        """Kernels with one cell moved each go through it as output channels."""
        dweight = np.zeros_like(self.weight)
        kernel = self.weight.shape[1:]
        moves = (STEP * np.eye(self.weight[0].size)).reshape(-1, *kernel)
        for o in range(len(self.weight)):
            up, down = (self._forward(self.x, self.weight[o] + m) for m in (moves, -moves))
            change = ((up - down) * self.dy[:, o : o + 1]).sum(axis=(0, 2, 3))
            dweight[o] = (change / (2 * STEP)).reshape(kernel)
        return dweight

    def _dbias_by_differences(self) -> np.ndarray:
        assert self.bias is not None
        up, down = (self._forward(self.x, self.weight, self.bias + h) for h in (STEP, -STEP))
        return ((up - down) * self.dy).sum(axis=(0, 2, 3)) / (2 * STEP)

    def _forward(self, *arrays: np.ndarray) -> np.ndarray:
        options = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        return _convolve(*arrays, **options)

    def largest_difference(self, other: Gradients, name: str) -> float:
        """Between the engine's gradient ``name`` and the same computed in another way."""
        return float(np.abs(self.gradients[name] - other[name]).max())

    # col2im, one column after the other -----------------------------------------------------------

    def _add_back(self, columns: np.ndarray) -> np.ndarray:
        """col2im into the framed picture."""
        (_, c, h, w), (ph, pw) = self.x.shape, self.padding
        shape = (len(columns), c, h + 2 * ph, w + 2 * pw)
        window = self.kernel_size, self.stride, (0, 0), self.dilation
        return reference.col2im(columns, shape, *window)

    @functools.cached_property
    def additions(self) -> np.ndarray:
        """[n, row, column]: the cell's sum so far, once this column and those before are added.

        Of the framed picture, of the shape of ``columns``.
        """
        after = np.zeros_like(self.dcolumns)
        window = self.kernel_size, self.stride, (0, 0), self.dilation
        for n in range(len(after)):
            added = np.zeros_like(self.dcolumns[:1])
            for column in range(after.shape[2]):
                added[0, :, column] = self.dcolumns[n, :, column]
                so_far = reference.im2col(self._add_back(added), *window)
                after[n, :, column] = so_far[0, :, column]
        return after

    def __repr__(self) -> str:
        return f"<convolution explained: {self.describe()}, x {self.x.shape}, y {self.y.shape}>"

    def describe(self) -> str:
        """The layer in one line."""
        o, c = self.weight.shape[:2]
        options = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
        said = "".join(
            f", {name}={getattr(self, name)}" for name, value in options.items()
            if getattr(self, name) != value
        )  # fmt: skip
        return f"Conv2d({c}, {o}, kernel_size={self.kernel_size}{said})"


def _convolve(*arrays: np.ndarray, **options: Any) -> np.ndarray:
    with no_grad(), kernels.by_reference():
        tensors: Any = (Tensor(np.ascontiguousarray(a)) for a in arrays)
        return F.conv2d(*tensors, **options).numpy()


def _check_index(function: str, index: tuple[int, ...], shape: tuple[int, ...]) -> None:
    if any(not 0 <= k < size for k, size in zip(index, shape, strict=True)):
        raise IndexError(f"{function}: index is {index}; wanted one below {shape}, from 0")
