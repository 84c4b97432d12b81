"""The kernels as compiled loops (Numba, see ``jit``), shared among threads.

Same names and signatures as ``reference``, which says what each one means. A public function makes
its arguments C-contiguous, allocates the result and shares a loop named ``_like_it`` among the
threads: each gets a run of pictures, planes or cells, ``first`` to before ``last``, and writes only
there, so no two of them ever meet.

The threads are our own (``share``), not Numba's or BLAS's: those keep their idle workers spinning
for milliseconds after every call, and two such pools side by side starve each other.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import pairwise
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from threadpoolctl import ThreadpoolController

from . import reference
from .arrays import Array, Axes, Pair, output_sizes
from .interrupts import held
from .jit import jit

at = np.uintp  # an index that is known not to be negative: spares the test for wrapping around


@cache
def _keep_freed_memory() -> None:
    """Ask the C library (glibc) to keep freed memory for the next array.

    A training step frees and takes some 100 MB. By default the system gets them back each time and
    hands them out again page by page, zeroed: a quarter of the step's time.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
        libc.mallopt(mmap_threshold, 32 << 20)
        libc.mallopt(trim_threshold, 256 << 20)


# Threads ------------------------------------------------------------------------------------------


def _most_threads() -> int:
    """NUMBA_NUM_THREADS or OMP_NUM_THREADS, otherwise the cores this process may use."""
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        if os.environ.get(name, "").isdigit():
            return max(1, int(os.environ[name]))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_threads = _most_threads()


def set_num_threads(threads: int) -> None:
    """Run every kernel on so many threads.

    Raises:
        ValueError: fewer than 1.
    """
    global _threads
    if threads < 1:
        raise ValueError(f"threads is {threads}; wanted at least 1")
    _threads = threads
    with held():  # an interrupt in a finaliser is lost
        _team.cache_clear()


def get_num_threads() -> int:
    """How many threads the kernels run on."""
    return _threads


class Team:
    """Threads that wait for calls, and end when nobody holds the team any more.

    ``concurrent.futures`` would serve as well, but takes 0.2 ms longer to hand a call over and the
    result back, and a training step does that dozens of times.
    """

    def __init__(self, workers: int):
        self.workers, self.calls = workers, SimpleQueue[Any]()
        for number in range(workers):
            name = f"minicnn-{number}"
            threading.Thread(target=_work, args=(self.calls,), name=name, daemon=True).start()

    def __del__(self) -> None:
        for _ in range(self.workers):
            self.calls.put(None)


def _work(calls: SimpleQueue[Any]) -> None:
    """What a thread of a team does: make the calls, and report what each raised (or None)."""
    while (given := calls.get()) is not None:
        call, reports = given
        reports.put(_error_of(call))
        del given, call, reports  # and with them the arrays: the next call may be long in coming


def _error_of(call: Callable[[], None]) -> BaseException | None:
    try:
        call()
    except BaseException as error:
        return error
    return None


@cache
def _team(workers: int) -> Team:
    return Team(workers)


if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=_team.cache_clear)

# With less work than so many cells, waking a thread costs more than it saves.
WORTH_SHARING = 1 << 16


def share(loop: Callable[..., None], count: int, work: int, *arguments: Any) -> None:
    """Call loop(first, last, *arguments) on pieces of 0..count-1, one for each thread.

    This thread takes the first piece. ``work``: about how many cells are computed in all.
    """
    pieces = min(_threads, count) if work >= WORTH_SHARING else 1
    if pieces <= 1:
        loop(0, count, *arguments)
        return
    edges = [count * i // pieces for i in range(pieces + 1)]
    together([partial(loop, first, last, *arguments) for first, last in pairwise(edges)])


def together(calls: Sequence[Callable[[], None]]) -> None:
    """Make all calls at the same time: the first on this thread, the others on the team's.

    What a call raises is raised here, once all have ended; so is an interrupt (Ctrl-C). A single
    call is simply made.
    """
    first, *others = calls
    if not others:
        first()
        return
    reports = SimpleQueue[BaseException | None]()
    with held():  # a report that an interrupt loses would be waited for in vain
        for call in others:
            _team(max(1, _threads - 1)).calls.put((call, reports))
        errors = [_error_of(first), *(reports.get() for _ in others)]
    for error in errors:
        if error is not None:
            raise error


class _OneBlasThread:
    """Keeps BLAS on one thread while anybody is inside; counts, since threads may overlap.

    ``ThreadpoolController.limit`` does the same, but looks every library over at each call, and a
    training step comes by a dozen times. Either way OpenBLAS (but for OpenMP builds of it) heeds
    only the first Python thread that asks, as long as it lives.
    """

    def __init__(self) -> None:
        self.lock, self.inside = threading.Lock(), 0
        self.libraries = ThreadpoolController().select(user_api="blas").lib_controllers

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.before = [library.get_num_threads() for library in self.libraries]
                for library in self.libraries:
                    library.set_num_threads(1)

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                for library, threads in zip(self.libraries, self.before, strict=True):
                    library.set_num_threads(threads)


_one_blas_thread = _OneBlasThread()


def matmul(a: Array, b: Array, plus: Array | None = None) -> Array:
    """See ``reference.matmul``. Threads share the first axis of the result, BLAS has one."""
    with held(), _one_blas_thread:
        if min(a.ndim, b.ndim) < 2 or not a.size or not b.size:
            return reference.matmul(a, b, plus)
        shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        product = np.empty(shape, np.result_type(a, b))
        plus = None if plus is None else np.broadcast_to(plus, shape)
        work = product.size * a.shape[-1] // 16  # BLAS does many multiply-adds a cell's time
        share(_matmul, shape[0], work, a, b, plus, product)
        return product


def _matmul(first: int, last: int, a: Array, b: Array, plus: Array | None, product: Array) -> None:
    stacked = product.ndim > 2  # of two plain matrices only the first has the rows of the result
    rows = slice(first, last)
    a = a[rows] if a.ndim == product.ndim and len(a) == len(product) else a
    b = b[rows] if b.ndim == product.ndim and len(b) == len(product) and stacked else b
    with np.errstate(all="ignore"):  # as silent as the loops: an overflow is an infinity
        np.matmul(a, b, out=product[rows])
        if plus is not None:
            product[rows] += plus[rows]


# Sums ---------------------------------------------------------------------------------------------


# With fewer cells to add up, to call a loop of ours takes longer than to add.
WORTH_A_LOOP = 1 << 12


def sum_over(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """See ``reference.sum_over``, to which small and scattered arrays are left.

    Over the last axis in memory NumPy's own sum is right: it adds in pairs.
    """
    if x.dtype != np.float32 or axis in (None, ()):
        return x.sum(axis=axis, keepdims=keepdims)
    if x.size < WORTH_A_LOOP or not x.flags.c_contiguous:
        with np.errstate(all="ignore"):  # as silent as the loops: an overflow is an infinity
            return reference.sum_over(x, axis, keepdims)
    axes, y = normalize_axis_tuple(axis, x.ndim), x
    for i in sorted(axes, reverse=True):
        y = _sum_over(y, i)
    return y if keepdims else y.squeeze(axes)


def _sum_over(x: Array, i: int) -> Array:
    """The sum over one axis, kept with length 1."""
    shape = (*x.shape[:i], 1, *x.shape[i + 1 :])
    outer, inner = math.prod(x.shape[:i]), math.prod(x.shape[i + 1 :])
    if inner == 1:
        return x.sum(axis=i, keepdims=True)
    y = np.empty(shape, x.dtype)
    arrays = x.reshape(outer, x.shape[i], inner), y.reshape(outer, inner)
    share(_sum_rows, inner, x.size, *arrays)
    return y


@jit
def _sum_rows(first, last, x, y):
    """y[o, k] = sum_r x[o, r, k], in float64."""
    for o in range(x.shape[0]):
        for begin in range(first, last, 512):  # so many columns at a time: they stay in the cache
            columns = slice(begin, min(begin + 512, last))
            totals = np.zeros(columns.stop - begin)
            for r in range(x.shape[1]):
                row = x[o, r, columns]
                for k in range(row.size):
                    totals[k] += row[k]
            y[o, columns] = totals


# Convolution --------------------------------------------------------------------------------------


def im2col(x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """See ``reference.im2col``."""
    _keep_freed_memory()
    n, c, h, w = x.shape
    kh, kw = kernel_size
    oh, ow = output_sizes((h, w), kernel_size, stride, padding, dilation)
    columns = np.empty((n, c, kh, kw, oh, ow), x.dtype)
    window = (*stride, *padding, *dilation)
    share(_im2col, n * c, columns.size, np.ascontiguousarray(x), columns, *window)
    return columns.reshape(n, c * kh * kw, oh * ow)


@jit
def _im2col(first, last, x, columns, sh, sw, ph, pw, dh, dw):
    channels, height, width = x.shape[1:]
    for plane in range(first, last):
        n, c = plane // channels, plane % channels
        framed = _framed(x[n, c], ph, pw, height + 2 * ph, width + 2 * pw)
        _im2col_plane(framed, columns[n, c], sh, sw, dh, dw)


@jit
def _im2col_plane(framed, columns, sh, sw, dh, dw):
    kh, kw, oh, ow = columns.shape
    for i in range(kh):
        for j in range(kw):
            for r in range(oh):
                for o in range(ow):
                    columns[i, j, r, o] = framed[at(r * sh + i * dh), at(o * sw + j * dw)]


@jit
def _framed(x, ph, pw, rows, cols):
    """The picture in a frame of zeros, rows x cols large; itself if it has that size."""
    height, width = x.shape
    if rows == height and cols == width:
        return x
    framed = np.zeros((rows, cols), x.dtype)
    for h in range(height):
        for w in range(width):
            framed[at(ph + h), at(pw + w)] = x[h, w]
    return framed


@jit
def _empty_frame(x, rows, cols):
    """Zeros, rows x cols; in the place of the picture itself if it has that size."""
    if x.shape[0] == rows and x.shape[1] == cols:
        x[:] = 0
        return x
    return np.zeros((rows, cols), x.dtype)


@jit
def _unframe(framed, x, ph, pw):
    """The picture without its frame, written to x; nothing to do where there is no frame."""
    if framed.shape == x.shape:
        return
    for h in range(x.shape[0]):
        for w in range(x.shape[1]):
            x[h, w] = framed[at(ph + h), at(pw + w)]


def col2im(
    columns: Array,
    input_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> Array:
    """See ``reference.col2im``."""
    n, c, h, w = input_shape
    kh, kw = kernel_size
    oh, ow = output_sizes((h, w), kernel_size, stride, padding, dilation)
    x = np.empty(input_shape, columns.dtype)
    columns = np.ascontiguousarray(columns).reshape(n, c, kh, kw, oh, ow)
    window = (*stride, *padding, *dilation)
    share(_col2im, n * c, columns.size, columns, x, *window)
    return x


@jit
def _col2im(first, last, columns, x, sh, sw, ph, pw, dh, dw):
    channels, height, width = x.shape[1:]
    for plane in range(first, last):
        n, c = plane // channels, plane % channels
        framed = _empty_frame(x[n, c], height + 2 * ph, width + 2 * pw)
        _col2im_plane(columns[n, c], framed, sh, sw, dh, dw)
        _unframe(framed, x[n, c], ph, pw)


@jit
def _col2im_plane(columns, framed, sh, sw, dh, dw):
    kh, kw, oh, ow = columns.shape
    for i in range(kh):
        for j in range(kw):
            for r in range(oh):
                for o in range(ow):
                    framed[at(r * sh + i * dh), at(o * sw + j * dw)] += columns[i, j, r, o]


# Pooling ------------------------------------------------------------------------------------------


def max_pool(
    x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, output: Pair
) -> tuple[Array, Array]:
    """See ``reference.max_pool``."""
    n, c, h, w = x.shape
    y = np.empty((n * c, *output), x.dtype)
    index = np.empty((n * c, *output), np.int64)
    planes = np.ascontiguousarray(x).reshape(n * c, h * w)
    window = (*kernel_size, *stride, *padding, *dilation)
    share(_max_pool, n * c, x.size, planes, y, index, h, w, *window)
    return y.reshape(n, c, *output), index.reshape(n, c, *output)


@jit
def _max_pool(first, last, x, y, index, height, width, kh, kw, sh, sw, ph, pw, dh, dw):
    # of a window that lies wholly inside, as most do, and of one that the edge cuts
    whole, part = np.empty(kh * kw, np.int64), np.empty(kh * kw, np.int64)
    _taps(whole, 0, kh, 0, kw, dh * width, dw)
    for plane in range(first, last):
        for r in range(y.shape[1]):
            top = r * sh - ph
            i0, i1 = inside(top, dh, height, kh)
            for o in range(y.shape[2]):
                left = o * sw - pw
                j0, j1 = inside(left, dw, width, kw)
                corner, count = top * width + left, (i1 - i0) * (j1 - j0)
                if count == kh * kw:
                    best, place = _largest(x, plane, corner, whole, count)
                else:
                    _taps(part, i0, i1, j0, j1, dh * width, dw)
                    best, place = _largest(x, plane, corner, part, count)
                y[plane, r, o], index[plane, r, o] = best, place


@jit
def _taps(taps, i0, i1, j0, j1, down, right):
    """Where the cells of a window lie, counted from its corner, in row order."""
    count = 0
    for i in range(i0, i1):
        for j in range(j0, j1):
            taps[count] = i * down + j * right
            count += 1


@jit
def _largest(x, plane, corner, taps, count):
    """The largest cell of a window, and its place in the plane."""
    if count == 0:
        return x.dtype.type(-np.inf), -1
    place = corner + taps[0]
    best = x[plane, at(place)]
    for k in range(1, count):
        value = x[plane, at(corner + taps[k])]
        # larger, or the first NaN: a NaN is not <= anything, nor equal to itself
        if not (value <= best) and best == best:
            best, place = value, corner + taps[k]
    return best, place


@jit
def inside(start, step, size, count):
    """The k, from the first to before the last, of 0..count-1 with 0 <= start + k * step < size."""
    if start >= 0 and start + (count - 1) * step < size:  # all of them, and no division
        return 0, count
    first = min(count, max(0, (-start + step - 1) // step))
    last = min(count, max(first, (size - start + step - 1) // step))
    return first, last


def max_pool_backward(dy: Array, index: Array, input_shape: tuple[int, int, int, int]) -> Array:
    """See ``reference.max_pool_backward``."""
    n, c, h, w = input_shape
    dx = np.empty((n * c, h * w), dy.dtype)
    planes = (n * c, dy.shape[2] * dy.shape[3])
    dy, index = np.ascontiguousarray(dy).reshape(planes), index.reshape(planes)
    share(_max_pool_backward, n * c, dx.size, dy, index, dx)
    return dx.reshape(input_shape)


@jit
def _max_pool_backward(first, last, dy, index, dx):
    for plane in range(first, last):
        _max_pool_backward_plane(dy[plane], index[plane], dx[plane])


@jit
def _max_pool_backward_plane(dy, index, dx):
    dx[:] = 0
    for window in range(dy.size):
        if index[window] >= 0:
            dx[index[window]] += dy[window]


def avg_pool(x: Array, divisor: Array, kernel_size: Pair, stride: Pair, padding: Pair) -> Array:
    """See ``reference.avg_pool``."""
    y = np.empty((*x.shape[:2], *divisor.shape), x.dtype)
    n, c = x.shape[:2]
    window = (*kernel_size, *stride, *padding)
    share(_avg_pool, n * c, x.size, np.ascontiguousarray(x), divisor, y, *window)
    return y


@jit
def _avg_pool(first, last, x, divisor, y, kh, kw, sh, sw, ph, pw):
    channels, height, width = x.shape[1:]
    rows, cols = _reach(height, ph, kh, sh, y.shape[2]), _reach(width, pw, kw, sw, y.shape[3])
    for plane in range(first, last):
        n, c = plane // channels, plane % channels
        framed = _framed(x[n, c], ph, pw, rows, cols)
        _avg_pool_plane(framed, divisor, y[n, c], kh, kw, sh, sw)


@jit
def _reach(size, padding, kernel, stride, output):
    """Rows of the picture in its frame, or of all windows if (``ceil_mode``) they reach further."""
    return max(size + 2 * padding, (output - 1) * stride + kernel)


@jit
def _avg_pool_plane(framed, divisor, y, kh, kw, sh, sw):
    for r in range(y.shape[0]):
        for o in range(y.shape[1]):
            total = y.dtype.type(0)
            for i in range(kh):
                for j in range(kw):
                    total += framed[at(r * sh + i), at(o * sw + j)]
            y[r, o] = total / divisor[r, o]


def avg_pool_backward(
    dy: Array,
    divisor: Array,
    input_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
) -> Array:
    """See ``reference.avg_pool_backward``."""
    dx = np.empty(input_shape, dy.dtype)
    n, c = input_shape[:2]
    window = (*kernel_size, *stride, *padding)
    share(_avg_pool_backward, n * c, dx.size, np.ascontiguousarray(dy), divisor, dx, *window)
    return dx


@jit
def _avg_pool_backward(first, last, dy, divisor, dx, kh, kw, sh, sw, ph, pw):
    channels, height, width = dx.shape[1:]
    rows, cols = _reach(height, ph, kh, sh, dy.shape[2]), _reach(width, pw, kw, sw, dy.shape[3])
    for plane in range(first, last):
        n, c = plane // channels, plane % channels
        framed = _empty_frame(dx[n, c], rows, cols)
        _avg_pool_backward_plane(dy[n, c], divisor, framed, kh, kw, sh, sw)
        _unframe(framed, dx[n, c], ph, pw)


@jit
def _avg_pool_backward_plane(dy, divisor, framed, kh, kw, sh, sw):
    for r in range(dy.shape[0]):
        for o in range(dy.shape[1]):
            share = dy[r, o] / divisor[r, o]
            for i in range(kh):
                for j in range(kw):
                    framed[at(r * sh + i), at(o * sw + j)] += share


# Activation and loss ------------------------------------------------------------------------------


@jit
def _exp(t):
    """exp(t) for float32 -87 <= t <= 0, in multiplications that the CPU does 8 or 16 at a time.

    t = n log 2 + r with |r| <= log(2) / 2, so exp(t) = 2**n exp(r): the Taylor series of exp(r)
    up to r**7 / 7! is right to a float32, and 2**n is written straight into the exponent bits
    (23 bits above the fraction, 127 stands for 2**0).
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
    """See ``reference.sigmoid``. In float32 good to 4e-7, relative; 0 below -87."""
    x = np.asarray(x, order="C")  # ascontiguousarray would give a single number an axis
    s = np.empty_like(x)
    loop = _sigmoid_float32 if x.dtype == np.float32 else _sigmoid
    share(loop, x.size, x.size, x.reshape(-1), s.reshape(-1))
    return s


@jit
def _sigmoid_float32(first, last, x, s):
    zero, one = np.float32(0), np.float32(1)
    x, s = x[first:last], s[first:last]
    for k in range(x.size):
        t = -abs(x[k])
        e = zero if t < -87 else _exp(t)  # exp(-87) = 2e-38: float32 ends there
        s[k] = (e if x[k] < 0 else one) / (one + e)


@jit
def _sigmoid(first, last, x, s):
    x, s = x[first:last], s[first:last]
    for k in range(x.size):
        e = math.exp(-abs(x[k]))
        s[k] = (e if x[k] < 0 else 1) / (1 + e)


def sigmoid_backward(dy: Array, s: Array) -> Array:
    """See ``reference.sigmoid_backward``."""
    dy, s = np.asarray(dy, order="C"), np.asarray(s, order="C")
    dx = np.empty_like(s)
    share(_sigmoid_backward, s.size, s.size, dy.reshape(-1), s.reshape(-1), dx.reshape(-1))
    return dx


@jit
def _sigmoid_backward(first, last, dy, s, dx):
    one = s.dtype.type(1)
    dy, s, dx = dy[first:last], s[first:last], dx[first:last]
    for k in range(s.size):
        dx[k] = dy[k] * s[k] * (one - s[k])


def relu_backward(dy: Array, y: Array) -> Array:
    """See ``reference.relu_backward``."""
    dy, y = np.asarray(dy, order="C"), np.asarray(y, order="C")
    dx = np.empty_like(dy)
    share(_relu_backward, y.size, y.size, dy.reshape(-1), y.reshape(-1), dx.reshape(-1))
    return dx


@jit
def _relu_backward(first, last, dy, y, dx):
    zero = y.dtype.type(0)
    dy, y, dx = dy[first:last], y[first:last], dx[first:last]
    for k in range(y.size):
        dx[k] = zero if y[k] <= zero else dy[k]


def softmax_cross_entropy(logits: Array, target: Array) -> tuple[Array, Array]:
    """See ``reference.softmax_cross_entropy``."""
    losses = np.empty(len(logits), logits.dtype)
    probabilities = np.empty(logits.shape, logits.dtype)
    target = np.ascontiguousarray(target, np.int64)
    logits = np.ascontiguousarray(logits)
    arrays = (logits, target, losses, probabilities)
    share(_softmax_cross_entropy, len(logits), 8 * logits.size, *arrays)
    return losses, probabilities


@jit
def _softmax_cross_entropy(first, last, logits, target, losses, probabilities):
    for m in range(first, last):
        row, p = logits[m], probabilities[m]
        largest = row[0]
        for c in range(1, row.size):
            largest = max(largest, row[c])
        total = logits.dtype.type(0)
        for c in range(row.size):
            p[c] = math.exp(row[c] - largest)
            total += p[c]
        for c in range(row.size):
            p[c] /= total
        counts = target[m] >= 0
        losses[m] = math.log(total) - (row[target[m]] - largest) if counts else 0


# Gradient descent ---------------------------------------------------------------------------------


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
    """See ``reference.sgd``."""
    settings = (lr, momentum, dampening, weight_decay, nesterov, maximize)
    if not (p.flags.c_contiguous and (v is None or v.flags.c_contiguous)):
        reference.sgd(p, g, v, *settings)  # a transposed parameter, say
        return
    g = np.ascontiguousarray(g).reshape(-1)
    velocity = g if v is None else v.reshape(-1)
    share(sgd_cells, p.size, p.size, p.reshape(-1), g, velocity, *map(float, settings))


@jit
def sgd_cells(first, last, p, g, v, lr, momentum, dampening, decay, nesterov, maximize):
    """``sgd`` for the cells from ``first`` to before ``last`` of flat arrays."""
    number = p.dtype.type
    lr, momentum, decay = number(lr), number(momentum), number(decay)
    undamped, sign = number(1 - dampening), number(-1 if maximize else 1)
    p, g, v = p[first:last], g[first:last], v[first:last]
    for k in range(p.size):
        d = sign * g[k]
        if decay:  # 0 times an infinite p would be NaN
            d += decay * p[k]
        if momentum:
            v[k] = momentum * v[k] + undamped * d
            d = d + momentum * v[k] if nesterov else v[k]
        p[k] -= lr * d


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
    """See ``reference.adam``."""
    settings = (step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize)
    if not all(a.flags.c_contiguous for a in (p, m, v, v if largest is None else largest)):
        reference.adam(p, g, m, v, largest, *settings)
        return
    amsgrad, most = largest is not None, v if largest is None else largest
    arrays = [a.reshape(-1) for a in (p, np.ascontiguousarray(g), m, v, most)]
    share(adam_cells, p.size, 4 * p.size, *arrays, *map(float, (amsgrad, *settings)))


@jit
def adam_cells(first, last, p, g, m, v, largest, amsgrad, step, lr, beta1, beta2, eps, decay,
               decoupled, maximize):  # fmt: skip
    """``adam`` for the cells from ``first`` to before ``last`` of flat arrays."""
    number = p.dtype.type
    size, root = number(lr / (1 - beta1**step)), number(1 / math.sqrt(1 - beta2**step))
    part1, part2, eps = number(1 - beta1), number(1 - beta2), number(eps)
    beta1, beta2, sign = number(beta1), number(beta2), number(-1 if maximize else 1)
    kept, decay = number(1 - lr * decay if decoupled else 1), number(0 if decoupled else decay)
    p, g, m, v, largest = (
        p[first:last], g[first:last], m[first:last], v[first:last], largest[first:last]
    )  # fmt: skip
    for k in range(p.size):
        d = sign * g[k]
        if decay:  # 0 times an infinite p would be NaN
            d += decay * p[k]
        m[k] = beta1 * m[k] + part1 * d
        v[k] = beta2 * v[k] + part2 * (d * d)
        w = v[k]
        if amsgrad:
            w = w if not (w <= largest[k]) else largest[k]  # a NaN is larger
            largest[k] = w
        p[k] = kept * p[k] - size * m[k] / (root * math.sqrt(w) + eps)


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
    """See ``reference.adadelta``."""
    settings = (lr, rho, eps, weight_decay, maximize)
    if not all(a.flags.c_contiguous for a in (p, v, u)):
        reference.adadelta(p, g, v, u, *settings)
        return
    arrays = [a.reshape(-1) for a in (p, np.ascontiguousarray(g), v, u)]
    share(adadelta_cells, p.size, 4 * p.size, *arrays, *map(float, settings))


@jit
def adadelta_cells(first, last, p, g, v, u, lr, rho, eps, decay, maximize):
    """``adadelta`` for the cells from ``first`` to before ``last`` of flat arrays."""
    number = p.dtype.type
    lr, part, rho, eps = number(lr), number(1 - rho), number(rho), number(eps)
    decay, sign = number(decay), number(-1 if maximize else 1)
    p, g, v, u = p[first:last], g[first:last], v[first:last], u[first:last]
    for k in range(p.size):
        d = sign * g[k]
        if decay:
            d += decay * p[k]
        v[k] = rho * v[k] + part * (d * d)
        d = math.sqrt(u[k] + eps) / math.sqrt(v[k] + eps) * d
        u[k] = rho * u[k] + part * (d * d)
        p[k] -= lr * d


# Random numbers -----------------------------------------------------------------------------------


def random_uniform(like: Array, seed: int, draw: int) -> Array:
    """See ``reference.random_uniform``."""
    numbers = np.empty(like.shape, np.float32)
    blocks = (numbers.size + 3) // 4
    key = np.uint64(seed), np.uint64(draw)
    share(_random_uniform, blocks, 8 * numbers.size, numbers.reshape(-1), *key)
    return numbers


@jit
def _random_uniform(first, last, numbers, seed, draw):
    for block in range(first, last):
        words = philox(np.uint64(block), draw, seed)
        for k in range(min(4, numbers.size - 4 * block)):
            numbers[4 * block + k] = np.float32(words[k] >> np.uint64(8)) * np.float32(2.0**-24)


@jit
def philox(block, draw, seed):
    """See ``reference.philox``: the four words of one block."""
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    c0, c1 = block & low, block >> shift
    c2, c3 = draw & low, draw >> shift
    k0, k1 = seed & low, seed >> shift
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (
            (p1 >> shift) ^ c1 ^ k0,
            p1 & low,
            (p0 >> shift) ^ c3 ^ k1,
            p0 & low,
        )
        k0 = (k0 + np.uint64(0x9E3779B9)) & low
        k1 = (k1 + np.uint64(0xBB67AE85)) & low
    return c0, c1, c2, c3
