"""The kernels as whole-array statements: the executable specification of ``cpu`` and ``gpu``.

Works on NumPy and CuPy arrays alike. A window of KH x KW cells slides over a picture; the only
loops here run over the *offsets* (i, j) inside that window. For one offset, the cells that all
windows see there form a strided slice of the padded picture, of the size of the output:

    x_padded[:, :, i*DH : i*DH + SH*OH : SH,  j*DW : j*DW + SW*OW : SW]

Notation: N images, C channels, H x W picture, KH x KW kernel, stride (SH, SW), padding (PH, PW),
dilation (DH, DW), OH x OW output.
"""

from __future__ import annotations

from collections.abc import Iterator

from .arrays import (
    Array,
    Pair,
    Shape,
    array_module,
    framed_by,
    output_sizes,
    reach,
)

# Parts of this module, in files of their own
from .numpy_threads import get_num_threads as get_num_threads
from .numpy_threads import set_num_threads as set_num_threads
from .philox import philox as philox
from .reference_batches import class_indices as class_indices
from .reference_batches import count_batch as count_batch
from .reference_batches import load_batch as load_batch
from .reference_batches import reduce_losses as reduce_losses
from .reference_batches import softmax_cross_entropy as softmax_cross_entropy
from .reference_batches import softmax_cross_entropy_backward as softmax_cross_entropy_backward
from .reference_sums import moments as moments
from .reference_sums import norm_backward as norm_backward
from .reference_sums import norm_sums as norm_sums
from .reference_sums import normalise as normalise
from .reference_sums import sum_over as sum_over


def window_offsets(
    kernel_size: Pair, stride: Pair, dilation: Pair, output: Pair
) -> Iterator[tuple[int, int, slice, slice]]:
    """For each offset (i, j) in the window, the rows and columns that the windows see there."""
    for i in range(kernel_size[0]):
        for j in range(kernel_size[1]):
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + stride[0] * (output[0] - 1) + 1, stride[0])
            cols = slice(left, left + stride[1] * (output[1] - 1) + 1, stride[1])
            yield i, j, rows, cols


def im2col(x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """Lay every window of ``x`` out as a column.

    columns[n, (c*KH + i)*KW + j, oh*OW + ow] = x_padded[n, c, oh*SH + i*DH, ow*SW + j*DW]

    x: (N, C, H, W); returns (N, C*KH*KW, OH*OW).
    """
    n, c = x.shape[:2]
    kh, kw = kernel_size
    oh, ow = output_sizes(x.shape[2:], kernel_size, stride, padding, dilation)
    framed = framed_by(x, padding, 0)
    columns = array_module(x).empty((n, c, kh, kw, oh, ow), dtype=x.dtype)
    for i, j, rows, cols in window_offsets(kernel_size, stride, dilation, (oh, ow)):
        columns[:, :, i, j] = framed[:, :, rows, cols]
    return columns.reshape(n, c * kh * kw, oh * ow)


def col2im(
    columns: Array,
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> Array:
    """Add every column back to the window it came from: the transpose of ``im2col``.

    A pixel in several windows was copied several times, so its gradient is a sum over the copies:
    that is the ``+=``. <im2col(x), c> = <x, col2im(c)> for all x and c.

    columns: (N, C*KH*KW, OH*OW); returns (N, C, H, W) = input_shape.
    """
    n, c, h, w = input_shape
    oh, ow = output_sizes((h, w), kernel_size, stride, padding, dilation)
    columns = columns.reshape(n, c, *kernel_size, oh, ow)
    (ph, pw), xp = padding, array_module(columns)
    framed = xp.zeros((n, c, h + 2 * ph, w + 2 * pw), dtype=columns.dtype)
    for i, j, rows, cols in window_offsets(kernel_size, stride, dilation, (oh, ow)):
        framed[:, :, rows, cols] += columns[:, :, i, j]
    return xp.ascontiguousarray(framed[:, :, ph : ph + h, pw : pw + w])


def conv2d(
    x: Array, weight: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """y[n] = W X[n] + b, X = im2col(x) being laid out for one image at a time.

    x: (N, C, H, W), weight: (O, C, KH, KW), bias: (O,); returns (N, O, OH, OW).
    """
    kernel_size, w = weight.shape[2:], weight.reshape(len(weight), -1)
    output = output_sizes(x.shape[2:], kernel_size, stride, padding, dilation)
    y = array_module(x).empty((len(x), len(weight), *output), x.dtype)
    for n in range(len(x)):
        columns = im2col(x[n : n + 1], kernel_size, stride, padding, dilation)
        b = None if bias is None else bias[:, None]
        y[n] = matmul(w, columns[0], plus=b).reshape(y.shape[1:])
    return y


def conv2d_dx(
    dy: Array, weight: Array, input_shape: Shape, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """dx[n] = col2im(Wᵀ dy[n]).

    dy: (N, O, OH, OW), weight: (O, C, KH, KW); returns (N, C, H, W) = input_shape.
    """
    w, window = weight.reshape(len(weight), -1), (weight.shape[2:], stride, padding, dilation)
    dx = array_module(dy).empty(input_shape, dy.dtype)
    for n in range(len(dy)):
        dcolumns = matmul(w.T, dy[n].reshape(len(w), -1))
        dx[n] = col2im(dcolumns, (1, *input_shape[1:]), *window)[0]
    return dx


def conv2d_dweight(
    x: Array, dy: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[Array, Array]:
    """dW = sum_n dy[n] im2col(x)[n]ᵀ, and db = sum_n dy[n] 1.

    x: (N, C, H, W), dy: (N, O, OH, OW); returns (O, C, KH, KW) and (O,).
    """
    channels, out_channels = x.shape[1], dy.shape[1]
    dweight = array_module(dy).zeros((out_channels, channels, *kernel_size), dy.dtype)
    for n in range(len(x)):
        columns = im2col(x[n : n + 1], kernel_size, stride, padding, dilation)
        dw = matmul(dy[n].reshape(out_channels, -1), columns[0].T)
        dweight += dw.reshape(dweight.shape)
    return dweight, sum_over(dy, (0, 2, 3))


def matmul(a: Array, b: Array, plus: Array | None = None) -> Array:
    """The matrix product a @ b, stacked and broadcast as in NumPy; ``plus`` is added to it.

    a: (..., M, K), b: (..., K, N), plus: whatever broadcasts to the product, of its dtype.
    """
    product = a @ b
    if plus is not None:
        product += plus
    return product


def max_pool(
    x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, output: Pair
) -> tuple[Array, Array]:
    """The largest value in each window, and where it stands.

    Padding never wins. Of equal values the first in row order wins; a NaN beats every number.

    x: (N, C, H, W); returns y and index, both (N, C, OH, OW) = (..., *output). index (int64) is
    h*W + w of the winner, -1 for a window that lies wholly in the padding (y is -inf there).
    """
    xp = array_module(x)
    h, w = x.shape[2:]
    whole = reach(kernel_size, stride, dilation, output)
    framed = framed_by(x, padding, -float("inf"), whole)
    place = xp.arange(h * w).reshape(1, 1, h, w)
    place = framed_by(place, padding, -1, whole)  # h*W + w of each cell; -1 in the padding

    y = xp.full((*x.shape[:2], *output), -float("inf"), dtype=x.dtype)
    index = xp.full(y.shape, -1, dtype=xp.int64)
    for _, _, rows, cols in window_offsets(kernel_size, stride, dilation, output):
        candidate, at = framed[:, :, rows, cols], place[:, :, rows, cols]
        larger = (candidate > y) | (xp.isnan(candidate) & ~xp.isnan(y))
        wins = (at >= 0) & (larger | (index < 0))
        y = xp.where(wins, candidate, y)
        index = xp.where(wins, at, index)
    return y, index


def max_pool_backward(dy: Array, index: Array, input_shape: Shape) -> Array:
    """Send each gradient to the cell that won its window; a cell that won several adds them up.

    dy, index: (N, C, OH, OW); returns (N, C, H, W) = input_shape.
    """
    xp = array_module(dy)
    n, c, h, w = input_shape
    dx = xp.zeros((n * c, h * w), dtype=dy.dtype)
    planes = (n * c, dy.shape[2] * dy.shape[3])
    dy, index = dy.reshape(planes), index.reshape(planes)
    plane, window = xp.nonzero(index >= 0)
    xp.add.at(dx, (plane, index[plane, window]), dy[plane, window])
    return dx.reshape(input_shape)


def avg_pool(x: Array, divisor: Array, kernel_size: Pair, stride: Pair, padding: Pair) -> Array:
    """The sum of each window by its divisor: y[n, c, oh, ow] = sum(window) / divisor[oh, ow].

    x: (N, C, H, W), divisor: (OH, OW); returns (N, C, OH, OW).
    """
    output = divisor.shape
    framed = framed_by(x, padding, 0, reach(kernel_size, stride, (1, 1), output))
    y = array_module(x).zeros((*x.shape[:2], *output), dtype=x.dtype)
    for _, _, rows, cols in window_offsets(kernel_size, stride, (1, 1), output):
        y += framed[:, :, rows, cols]
    y /= divisor
    return y


def avg_pool_backward(
    dy: Array,
    divisor: Array,
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
) -> Array:
    """Give every cell of a window the same share of its gradient, dy / divisor.

    dy: (N, C, OH, OW), divisor: (OH, OW); returns (N, C, H, W) = input_shape.
    """
    n, c, h, w = input_shape
    (ph, pw), output = padding, divisor.shape
    whole = reach(kernel_size, stride, (1, 1), output)
    xp = array_module(dy)
    framed = xp.zeros((n, c, max(h + 2 * ph, whole[0]), max(w + 2 * pw, whole[1])), dy.dtype)
    share = dy / divisor
    for _, _, rows, cols in window_offsets(kernel_size, stride, (1, 1), output):
        framed[:, :, rows, cols] += share
    return xp.ascontiguousarray(framed[:, :, ph : ph + h, pw : pw + w])


def sigmoid(x: Array) -> Array:
    """s = 1 / (1 + exp(-x)), any shape, computed from exp(-|x|), which cannot overflow."""
    xp = array_module(x)
    e = xp.exp(-xp.abs(x))
    return xp.where(x < 0, e, xp.ones_like(e)) / (1 + e)


def sigmoid_backward(dy: Array, s: Array) -> Array:
    """dx = dy * s * (1 - s), any shape."""
    return dy * s * (1 - s)


def tanh(x: Array) -> Array:
    """t = (exp(x) - exp(-x)) / (exp(x) + exp(-x)), any shape."""
    t: Array = array_module(x).tanh(x)
    return t


def tanh_backward(dy: Array, t: Array) -> Array:
    """dx = dy * (1 - t**2), any shape."""
    return dy * (1 - t * t)


def relu(x: Array) -> Array:
    """y = max(x, 0), NaN stays NaN; any shape."""
    return array_module(x).maximum(x, x.dtype.type(0))


def relu_backward(dy: Array, y: Array) -> Array:
    """dx = 0 where y <= 0, and dy elsewhere, y being the result of relu; any shape."""
    # not dy * (y > 0): dy may be infinite, and 0 times infinity is NaN
    return array_module(dy).where(y <= 0, dy.dtype.type(0), dy)


def sgd(
    p: Array,
    g: Array,
    v: Array | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """One step of gradient descent, p and v changed in place; the formula is in ``optim.SGD``.

    p, g, v: any one shape; v is None where momentum is 0, and zeros at the first step.
    """
    g = -g if maximize else g
    if weight_decay:
        g = g + weight_decay * p
    if v is not None:
        v *= momentum
        v += (1 - dampening) * g
        g = g + momentum * v if nesterov else v
    p -= lr * g


def adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    largest: Array | None,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """One step of Adam, p, m, v and largest changed in place; the formula is in ``optim.Adam``.

    p, g, m, v, largest: any one shape, m, v and largest zeros at the first step; largest is None
    without amsgrad. step: counted from 1. decoupled: decay p by itself, as AdamW does.
    """
    xp = array_module(p)
    g = -g if maximize else g
    if weight_decay and decoupled:
        p *= 1 - lr * weight_decay
    elif weight_decay:
        g = g + weight_decay * p
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * g * g
    if largest is not None:
        xp.maximum(largest, v, out=largest)
        v = largest
    p -= lr / (1 - beta1**step) * m / (xp.sqrt(v / (1 - beta2**step)) + eps)


def adadelta(
    p: Array,
    g: Array,
    v: Array,
    u: Array,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step of Adadelta, p, v and u changed in place; the formula is in ``optim.Adadelta``.

    p, g, v, u: any one shape, v and u zeros at the first step.
    """
    xp = array_module(p)
    g = -g if maximize else g
    if weight_decay:
        g = g + weight_decay * p
    v *= rho
    v += (1 - rho) * g * g
    d = xp.sqrt(u + eps) / xp.sqrt(v + eps) * g
    u *= rho
    u += (1 - rho) * d * d
    p -= lr * d


def random_uniform(like: Array, seed: int, draw: int, first: int = 0) -> Array:
    """float32 numbers in [0, 1) of the shape of ``like``: the ``draw``-th set of ``seed``.

    A counter-based generator: number k is a pure function of (seed, draw, k), so every kernel
    set and every device draws the same, in any order. Philox4x32 with 10 rounds (Salmon et al.,
    "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the counter (k // 4, 0, draw) under
    the key ``seed`` gives four 32-bit words; number k takes the upper 24 bits of word k % 4.

    first: the k of the first number, where ``like`` is a part of the set.
    """
    xp = array_module(like)
    begin, end = first // 4, (first + like.size + 3) // 4
    words = philox(xp.arange(begin, end, dtype=xp.uint64), draw, seed).reshape(-1)
    # the first number may lie in the middle of a block
    chosen = words[first - 4 * begin : first - 4 * begin + like.size]
    return ((chosen >> 8).astype(xp.float32) * 2.0**-24).reshape(like.shape)
