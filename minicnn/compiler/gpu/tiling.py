"""How a convolution's work is cut up: what a thread, a block and a chunk of shared memory take.

The kernels of ``kernels/gpu/conv.cu`` compute the same whatever is chosen here. A large tile of
sums reads little for each product, but leaves few threads; a large block reads the picture and the
weights less often, but there are fewer of them. So each way of cutting is judged by what it costs,
counted in instructions and in reads of shared memory, and the cheapest is taken. The number of
images is left out of it, so that a smaller last batch is cut in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product
from math import ceil, inf
from typing import Any, NamedTuple

ROOM = 6144  # cells of shared memory of a block: 24 KB of float, 48 KB of double
THREADS = 256  # of a block, at most
MOST_CHANNELS, MOST_PLACES = 8, 16  # of a tile, as in conv.cu
MOST_SUMS = 40  # of a thread for a gradient with respect to weights, which keeps them twice
LONGEST = 1024  # products that are written out one after the other
IMAGES = 256  # of the batch that a choice is made for
MULTIPROCESSORS, SCHEDULERS = 132, 4  # of the GPU that it is made for
BLOCKS = 2 * MULTIPROCESSORS  # among which the images are shared out
# instructions that a thread spends on copying 4 neighbouring cells, and on a sum of its tile
COPY_PICTURE, COPY_GRADIENT, COPY_WEIGHTS, FINISH = 50, 90, 40, 25


class Geometry(NamedTuple):
    """The sizes of a convolution, in the order in which its kernels take them."""

    o: int
    c: int
    h: int
    w: int
    kh: int
    kw: int
    sh: int
    sw: int
    ph: int
    pw: int
    dh: int
    dw: int
    oh: int
    ow: int


class Forward(NamedTuple):
    """What conv_forward takes: tiles of q x th x tw, to x tr x tc of them of g images, chunks."""

    q: int
    th: int
    tw: int
    to: int
    tr: int
    tc: int
    g: int
    cc: int
    ci: int
    cj: int

    @property
    def threads(self) -> int:
        return _warps(self.to * self.tr * self.tc * self.g) * 32

    def blocks(self, size: Geometry, images: int, is_pooled: bool) -> int:
        """Of the grid."""
        rows, columns = _tiles(size, self.th, self.tw, is_pooled)
        places = _pieces(rows, self.tr) * _pieces(columns, self.tc)
        return _pieces(images, self.g) * places * _pieces(size.o, self.to * self.q)

    def picture(self, size: Geometry) -> int:
        """Cells of a channel's picture in shared memory."""
        # what the windows of all its tiles see, in lines of whole vectors
        rows = (self.tr * self.th - 1) * size.sh + (self.ci - 1) * size.dh + 1
        columns = (self.tc * self.tw - 1) * size.sw + (self.cj - 1) * size.dw + 1
        return self.g * rows * _up(columns, 4)

    def shared(self, size: Geometry) -> int:
        """Cells of shared memory of a block."""
        weights = self.ci * self.cj * (_up(self.to * self.q, 8) + 4)
        return self.cc * (self.picture(size) + weights)

    def cost(self, size: Geometry, is_pooled: bool) -> float:
        """Of the whole batch."""
        span = (self.tw - 1) * size.sw + (self.cj - 1) * size.dw + 1
        # for a row of the kernel in a channel: cells of the picture, and weights, that are read
        cells = self.th * min(self.tw * self.cj, span)
        weights = self.cj * _pieces(self.q, 4)
        vector = _vector(self.tw * size.sw)
        taps = size.c * size.kh * _pieces(size.kw, self.cj)
        products = self.cj * self.q * self.th * self.tw
        issued = taps * (products + cells / vector + weights + 5)
        read = taps * (cells + weights)
        chunks = taps / (self.cc * self.ci)
        copied = (
            self.picture(size) * COPY_PICTURE + self.ci * self.cj * self.to * self.q * COPY_WEIGHTS
        )
        issued += chunks * (self.cc * copied / 4 / self.threads + 20)
        issued += self.q * self.th * self.tw * FINISH
        return _time(self.blocks(size, IMAGES, is_pooled), self.threads, issued, read)


class Dinput(NamedTuple):
    """What conv_dinput takes: tiles of q x 1 x tw, to x tr x tc of them of g images, chunks."""

    q: int
    tw: int
    to: int
    tr: int
    tc: int
    g: int
    cc: int
    ci: int
    cj: int

    @property
    def threads(self) -> int:
        return _warps(self.to * self.tr * self.tc * self.g) * 32

    def blocks(self, size: Geometry, images: int) -> int:
        """Of the grid."""
        rows, columns = _phases(size)
        places = _pieces(rows, self.tr) * _pieces(_pieces(columns, self.tw), self.tc)
        phases = size.sh * size.sw
        return _pieces(images, self.g) * phases * places * _pieces(size.c, self.to * self.q)

    def is_whole(self, size: Geometry) -> bool:
        """Whether a tile is a whole row, so that nothing is multiplied with the frame."""
        return size.sw == 1 and _phases(size)[1] <= self.tw and self.cj == size.kw

    def gradient(self, size: Geometry) -> int:
        """Cells of a channel of dy in shared memory."""
        above = ((self.ci - 1) * size.dh + 2 * size.sh - 2) // size.sh
        left = ((self.cj - 1) * size.dw + 2 * size.sw - 2) // size.sw
        columns = size.ow if self.is_whole(size) else self.tc * self.tw + left
        return self.g * min(self.tr + above, size.oh) * _up(columns, 4)

    def shared(self, size: Geometry) -> int:
        """Cells of shared memory of a block."""
        weights = self.ci * self.cj * (_up(self.to * self.q, 8) + 4)
        return self.cc * (self.gradient(size) + weights)

    def cost(self, size: Geometry) -> float:
        """Of the whole batch."""
        whole = self.is_whole(size)
        # of the taps, a phase of the picture meets one in sh sw
        cells = size.ow if whole else self.tw + (self.cj - 1) * size.dw / size.sw
        weights = self.cj / size.sw * _pieces(self.q, 4)
        taps = size.o * size.kh * _pieces(size.kw, self.cj)
        products = self.q * self.cj * (size.ow if whole else self.tw) / size.sw
        vector = 4 if whole else _vector(self.tw)
        issued = taps / size.sh * (products + cells / vector + weights + 15)
        read = taps / size.sh * (cells + weights)
        chunks = taps / (self.cc * self.ci)
        copied = self.gradient(size) * COPY_GRADIENT
        copied += self.ci * self.cj * self.to * self.q * COPY_WEIGHTS
        issued += chunks * (self.cc * copied / 4 / self.threads + 20)
        issued += self.q * self.tw * FINISH / 2
        return _time(self.blocks(size, IMAGES), self.threads, issued, read)


class Dweight(NamedTuple):
    """What conv_dweight takes: tiles of q x cj weights, to x cc x ci of them, in slices of rows."""

    q: int
    tw: int
    to: int
    tr: int
    tc: int
    slices: int
    cc: int
    ci: int
    cj: int

    @property
    def threads(self) -> int:
        # one for each tile, and one at least for each bias
        return _warps(max(self.to * self.cc * self.ci * self.slices, self.to * self.q)) * 32

    def groups(self, size: Geometry) -> int:
        """How many blocks it takes to have all weights once."""
        of_weights = _pieces(size.o, self.to * self.q) * _pieces(size.c, self.cc)
        return of_weights * _pieces(size.kh, self.ci) * _pieces(size.kw, self.cj)

    def parts(self, size: Geometry, images: int) -> int:
        """How many sums of parts of the batch there are."""
        pieces = images * _pieces(size.oh, self.tr) * _pieces(size.ow, self.tc)
        # a block takes pieces until there are two blocks for each multiprocessor
        each = max(1, _pieces(pieces * self.groups(size), BLOCKS))
        return max(1, _pieces(pieces, each))

    def picture(self, size: Geometry) -> int:
        """Cells of a channel's picture in shared memory."""
        rows = (self.tr - 1) * size.sh + (self.ci - 1) * size.dh + 1
        columns = (_up(self.tc, self.tw) - 1) * size.sw + (self.cj - 1) * size.dw + 1
        return rows * _up(columns, 4)

    def gradient(self) -> int:
        """Cells of dy in shared memory."""
        return self.to * self.q * self.tr * _up(_up(self.tc, self.tw), 4)

    def shared(self, size: Geometry) -> int:
        """Cells of shared memory of a block."""
        copies = self.cc * self.picture(size) + self.gradient()
        # at the end the slices' sums meet there, and every thread's share of the biases
        sums = self.to * self.cc * self.ci * self.q * self.cj * self.slices
        return max(copies, self.threads, sums if self.slices > 1 else 0)

    def cost(self, size: Geometry) -> float:
        """Of the whole batch."""
        along = _pieces(self.tc, self.tw)
        cells = min(self.tw * self.cj, (self.tw - 1) * size.sw + (self.cj - 1) * size.dw + 1)
        vector = 4 if along == 1 else _vector(self.tw * size.sw)
        weights = self.q * self.tw / _vector(self.tw)
        rows = _pieces(self.tr, self.slices)
        # a row of dy at a time: each of its cells is multiplied with cj of the picture's
        issued = rows * (along * (self.tw * self.q * self.cj + cells / vector + weights + 3) + 6)
        read = rows * along * (cells + weights)
        copied = self.cc * self.picture(size) * COPY_PICTURE + self.gradient() * COPY_GRADIENT
        issued += copied / 4 / self.threads + 60 + self.q * self.cj
        pieces = _pieces(size.oh, self.tr) * _pieces(size.ow, self.tc)
        parts = self.parts(size, IMAGES)
        each = IMAGES * pieces / parts
        last = (
            self.to * self.cc * self.ci * self.q * self.cj / self.threads * (30 + 3 * self.slices)
        )
        # a part is written, and read again by the kernel that adds them up
        weight = each * issued + last + 100 + 4 * self.q * self.cj
        return _time(parts * self.groups(size), self.threads, weight, each * read)


# The choices --------------------------------------------------------------------------------------


@cache
def forward(size: Geometry, pool: tuple[int, int] | None = None) -> Forward | None:
    """The cheapest way; None where a pooling's windows need too many registers or cells.

    pool: rows and columns of the windows of the pooling that follows, which a thread takes whole.
    """
    return _cheapest(_forwards(size, pool), size, lambda way: way.cost(size, pool is not None))


@cache
def dinput(size: Geometry) -> Dinput:
    """The cheapest way."""
    found = _cheapest(_dinputs(size), size, lambda way: way.cost(size))
    assert found is not None
    return found


@cache
def dweight(size: Geometry) -> Dweight:
    """The cheapest way."""
    found = _cheapest(_dweights(size), size, lambda way: way.cost(size))
    assert found is not None
    return found


def _cheapest(ways: Iterable[Any], size: Geometry, cost: Any) -> Any:
    fitting = (way for way in ways if way.threads <= THREADS and way.shared(size) <= ROOM)
    return min(fitting, key=cost, default=None)


def _forwards(size: Geometry, pool: tuple[int, int] | None) -> Iterator[Forward]:
    tiles = [(1, tw) for tw in _shares(size.ow, MOST_CHANNELS)] if pool is None else [pool]
    for (th, tw), q in product(tiles, _shares(size.o, MOST_CHANNELS)):
        if th * tw > MOST_PLACES:
            continue
        rows, columns = _tiles(size, th, tw, pool is not None)
        for tc, to in product(_shares(columns, 64), _shares(_pieces(size.o, q), THREADS)):
            for tr in _shares(rows, THREADS // min(THREADS, tc * to)):
                for g in (1, 2, 4):  # small pictures share the weights that a block has copied
                    way = Forward(q, th, tw, to, tr, tc, g, 1, size.kh, size.kw)
                    if way.threads <= THREADS:
                        yield _in_chunks(way, size, size.c, q * th * tw)


def _dinputs(size: Geometry) -> Iterator[Dinput]:
    rows, columns = _phases(size)
    for tw, q in product(_shares(columns, MOST_PLACES), _shares(size.c, MOST_CHANNELS)):
        if q * tw > 2 * MOST_PLACES:
            continue
        across, deep = _pieces(columns, tw), _pieces(size.c, q)
        for tc, to in product(_shares(across, 64), _shares(deep, THREADS)):
            for tr in _shares(rows, THREADS // min(THREADS, tc * to)):
                for g in (1, 2, 4):
                    way = Dinput(q, tw, to, tr, tc, g, 1, size.kh, size.kw)
                    if way.threads <= THREADS:
                        yield _in_chunks(way, size, size.o, q * tw)


def _dweights(size: Geometry) -> Iterator[Dweight]:
    cj = max(_shares(size.kw, MOST_CHANNELS - 1))
    for q, tw in product(_shares(size.o, MOST_CHANNELS), _shares(size.ow, MOST_PLACES)):
        if q * cj > MOST_SUMS or q * cj * tw > LONGEST:
            continue
        for to, ci in product(_shares(_pieces(size.o, q), THREADS), _shares(size.kh, THREADS)):
            for cc in _shares(size.c, THREADS // min(THREADS, to * ci)) if ci == size.kh else [1]:
                for tc in _strips(size.ow, tw):
                    way = Dweight(q, tw, to, 1, tc, 1, cc, ci, cj)
                    if way.threads <= THREADS:
                        yield from _in_slices(way, size)


def _in_slices(way: Dweight, size: Geometry) -> Iterator[Dweight]:
    """With as many rows as fit, shared out among as many threads as there are."""
    for tr in _shares(size.oh, size.oh):
        taller = way._replace(tr=tr)
        if taller.shared(size) <= ROOM:
            most = min(tr, THREADS // (way.to * way.cc * way.ci))
            yield from (taller._replace(slices=slices) for slices in {1, max(_shares(tr, most))})
            return


def _in_chunks(way: Any, size: Geometry, channels: int, sums: int) -> Any:
    """With as many channels as fit into shared memory, or a part of the kernel if none does."""
    for ci in [size.kh] if way.shared(size) <= ROOM else _shares(size.kh, size.kh):
        whole = way._replace(ci=ci)
        if whole.shared(size) <= ROOM:
            break
    for cj in _shares(size.kw, max(1, LONGEST // sums)):
        part = whole._replace(cj=cj)
        if part.shared(size) <= ROOM:
            if ci < size.kh or cj < size.kw:
                return part
            return part._replace(cc=_even(channels, ROOM // part.shared(size)))
    return whole  # too large


# Arithmetic ---------------------------------------------------------------------------------------


def _pieces(a: int, of: int) -> int:
    return -(-a // of)


def _up(a: int, to: int) -> int:
    return -(-a // to) * to


def _warps(threads: int) -> int:
    return _pieces(threads, 32)


def _vector(cells: int) -> int:
    """How many cells are read at once where threads begin ``cells`` apart."""
    return next(n for n in (4, 2, 1) if cells % n == 0)


def _even(a: int, most: int) -> int:
    """Into as few pieces of at most ``most`` as possible: how large is each?"""
    return _pieces(a, _pieces(a, min(a, most)))


def _shares(a: int, most: int) -> list[int]:
    """The sizes of equal pieces of ``a``, of at most ``most``; the largest first."""
    sizes = dict.fromkeys(_pieces(a, number) for number in range(_pieces(a, most), a + 1))
    # more would not be better, and each is tried with all others
    few = [size for size in sizes if size > 1][:7]
    return [*few, 1]


def _strips(columns: int, tw: int) -> list[int]:
    """All columns, or a number of them that tiles and vectors divide."""
    return [columns, *(tw * 4 * n for n in (4, 1) if tw * 4 * n < columns)]


def _tiles(size: Geometry, th: int, tw: int, is_pooled: bool) -> tuple[int, int]:
    """Rows and columns of tiles of a picture; what no window of a pooling reaches is left out."""
    if is_pooled:
        return size.oh // th, size.ow // tw
    return _pieces(size.oh, th), _pieces(size.ow, tw)


def _phases(size: Geometry) -> tuple[int, int]:
    """Rows and columns of x that meet the same taps: all of them where the stride is 1."""
    rows = (size.ph + size.h - 1) // size.sh - size.ph // size.sh + 1
    columns = (size.pw + size.w - 1) // size.sw - size.pw // size.sw + 1
    return rows, columns


def _time(blocks: int, threads: int, issued: float, read: float) -> float:
    """Cycles of a multiprocessor whose blocks issue and read so much in each of their warps.

    A scheduler issues one instruction a cycle, and needs two warps to do so all the time; shared
    memory answers one warp a cycle.
    """
    # the last blocks leave some multiprocessors without work
    warps = ceil(blocks / MULTIPROCESSORS) * _warps(threads)
    if not warps:
        return inf
    busy = min(1.0, warps / (2 * SCHEDULERS))
    return max(warps * issued / SCHEDULERS / busy, warps * read)
