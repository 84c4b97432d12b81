"""The ways in which a convolution's work can be cut up, and what each costs.

A way is what the kernels of ``kernels/gpu/conv.cu`` take besides the sizes, in their order:

    q, th, tw    a thread's tile: channels, rows and columns
    to, tr, tc   a block's tiles along channels, rows and columns; g: images
    cc, ci, cj   what is in shared memory at a time: channels, rows and columns of the kernel
    line         how far apart the rows of a picture lie there

Costs are counted in instructions and in reads of shared memory, for an H200.
"""

from __future__ import annotations

from itertools import product
from math import ceil, inf
from typing import NamedTuple

MULTIPROCESSORS, SCHEDULERS = 132, 4
BLOCKS = 2 * MULTIPROCESSORS  # among which the images are shared out
IMAGES = 256  # of the batch that costs are counted for: a smaller last one is cut in the same way
# instructions that a thread spends on copying 4 neighbouring cells, and on a sum of its tile
COPY_PICTURE, COPY_GRADIENT, COPY_WEIGHTS, FINISH = 50, 90, 40, 25
CHUNK = 100  # instructions that a thread spends on getting ready for a chunk


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
    """What conv_forward takes."""

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
    line: int = 0

    @property
    def threads(self) -> int:
        return whole_warps(self.to * self.tr * self.tc * self.g)

    def blocks(self, size: Geometry, images: int, is_pooled: bool) -> int:
        """Of the grid."""
        rows, columns = tiles(size, self.th, self.tw, is_pooled)
        places = pieces(rows, self.tr) * pieces(columns, self.tc)
        return pieces(images, self.g) * places * pieces(size.o, self.to * self.q)

    def copied(self, size: Geometry) -> tuple[int, int]:
        """Rows and columns of a picture in shared memory: what all windows of its tiles see."""
        rows = (self.tr * self.th - 1) * size.sh + (self.ci - 1) * size.dh + 1
        columns = (self.tc * self.tw - 1) * size.sw + (self.cj - 1) * size.dw + 1
        return rows, up(columns, 4)

    def shared(self, size: Geometry) -> int:
        """Cells of shared memory of a block."""
        rows, columns = self.copied(size)
        weights = self.ci * self.cj * width_of_weights(self.to * self.q)
        return self.cc * (self.g * rows * max(self.line, columns) + weights)

    def reads(self, size: Geometry) -> tuple[list[int], int]:
        """Where each thread's tile begins in shared memory; how many cells it reads at once."""
        plane = self.cc * self.copied(size)[0] * self.line
        down, along = self.th * size.sh * self.line, self.tw * size.sw
        places = product(range(self.to), range(self.g), range(self.tr), range(self.tc))
        return [g * plane + r * down + s * along for _, g, r, s in places], vector_of(along)

    def cost(self, size: Geometry, is_pooled: bool, cycles: float = 1.0) -> float:
        """Of the whole batch. cycles: that the banks need for a cell of the picture, for a warp."""
        span = (self.tw - 1) * size.sw + (self.cj - 1) * size.dw + 1
        # for a row of the kernel in a channel: cells of the picture, and weights, that are read
        cells = self.th * min(self.tw * self.cj, span)
        weights = self.cj * reads_of(self.q, self.to)
        taps = up(size.c, self.cc) * size.kh * pieces(size.kw, self.cj)
        products = self.cj * self.q * self.th * self.tw
        issued = taps * (products + cells / vector_of(self.tw * size.sw) + weights + 5)
        rows, columns = self.copied(size)
        copied = self.g * rows * columns * COPY_PICTURE
        copied += self.ci * self.cj * self.to * self.q * COPY_WEIGHTS
        chunks = taps / (self.cc * self.ci)
        issued += chunks * (self.cc * copied / 4 / self.threads + CHUNK)
        issued += self.q * self.th * self.tw * FINISH
        blocks = self.blocks(size, IMAGES, is_pooled)
        return time_of(blocks, self.threads, issued, taps * (cells * cycles + weights))


class Dinput(NamedTuple):
    """What conv_dinput takes; a tile has one row."""

    q: int
    tw: int
    to: int
    tr: int
    tc: int
    g: int
    cc: int
    ci: int
    cj: int
    line: int = 0

    @property
    def threads(self) -> int:
        return whole_warps(self.to * self.tr * self.tc * self.g)

    def blocks(self, size: Geometry, images: int) -> int:
        """Of the grid."""
        rows, columns = phases(size)
        places = pieces(rows, self.tr) * pieces(pieces(columns, self.tw), self.tc)
        parts = size.sh * size.sw * pieces(size.c, self.to * self.q)
        return pieces(images, self.g) * places * parts

    def is_whole(self, size: Geometry) -> bool:
        """Whether a tile is a whole row, so that nothing is multiplied with the frame."""
        return size.sw == 1 and phases(size)[1] <= self.tw and self.cj == size.kw

    def copied(self, size: Geometry) -> tuple[int, int]:
        """Rows and columns of dy in shared memory: all that its tiles were seen by."""
        above = ((self.ci - 1) * size.dh + 2 * size.sh - 2) // size.sh
        left = ((self.cj - 1) * size.dw + 2 * size.sw - 2) // size.sw
        columns = size.ow if self.is_whole(size) else self.tc * self.tw + left
        return min(self.tr + above, size.oh), up(columns, 4)

    def shared(self, size: Geometry) -> int:
        """Cells of shared memory of a block."""
        rows, columns = self.copied(size)
        weights = self.ci * self.cj * width_of_weights(self.to * self.q)
        return self.cc * (self.g * rows * max(self.line, columns) + weights)

    def reads(self, size: Geometry) -> tuple[list[int], int]:
        """Where each thread's tile begins in shared memory; how many cells it reads at once."""
        plane, along = self.cc * self.copied(size)[0] * self.line, self.tw
        places = product(range(self.g), range(self.tr), range(self.tc), range(self.to))
        begins = [g * plane + r * self.line + s * along for g, r, s, _ in places]
        return begins, 4 if self.is_whole(size) else vector_of(along)

    def cost(self, size: Geometry, cycles: float = 1.0) -> float:
        """Of the whole batch. cycles: as in ``Forward.cost``."""
        whole = self.is_whole(size)
        # of the taps, a phase of the picture meets one in sh sw
        cells = size.ow if whole else self.tw + (self.cj - 1) * size.dw / size.sw
        weights = self.cj / size.sw * reads_of(self.q, self.to)
        taps = up(size.o, self.cc) * size.kh * pieces(size.kw, self.cj)
        products = self.q * self.cj * (size.ow if whole else self.tw) / size.sw
        vector = 4 if whole else vector_of(self.tw)
        issued = taps / size.sh * (products + cells / vector + weights + 15)
        rows, columns = self.copied(size)
        copied = self.g * rows * columns * COPY_GRADIENT
        copied += self.ci * self.cj * self.to * self.q * COPY_WEIGHTS
        chunks = taps / (self.cc * self.ci)
        issued += chunks * (self.cc * copied / 4 / self.threads + CHUNK)
        issued += self.q * self.tw * FINISH / 2
        read = taps / size.sh * (cells * cycles + weights)
        return time_of(self.blocks(size, IMAGES), self.threads, issued, read)


class Dweight(NamedTuple):
    """What conv_dweight takes; a tile has q x cj weights.

    Of dy a block copies tr rows and tc columns at a time; a thread reads every ``slices``-th row.
    """

    q: int
    tw: int
    to: int
    tr: int
    tc: int
    slices: int
    cc: int
    ci: int
    cj: int
    line: int = 0

    @property
    def threads(self) -> int:
        # one for each tile, and one at least for each bias
        return whole_warps(max(self.to * self.cc * self.ci * self.slices, self.to * self.q))

    def groups(self, size: Geometry) -> int:
        """How many blocks it takes to have all weights once."""
        of_weights = pieces(size.o, self.to * self.q) * pieces(size.c, self.cc)
        return of_weights * pieces(size.kh, self.ci) * pieces(size.kw, self.cj)

    def parts(self, size: Geometry, images: int) -> int:
        """How many sums of parts of the batch there are."""
        count = images * pieces(size.oh, self.tr) * pieces(size.ow, self.tc)
        # a block takes pieces until there are two blocks for each multiprocessor
        each = max(1, pieces(count * self.groups(size), BLOCKS))
        return max(1, pieces(count, each))

    def copied(self, size: Geometry) -> tuple[int, int]:
        """Rows and columns of a picture in shared memory."""
        rows = (self.tr - 1) * size.sh + (self.ci - 1) * size.dh + 1
        columns = (up(self.tc, self.tw) - 1) * size.sw + (self.cj - 1) * size.dw + 1
        return rows, up(columns, 4)

    def gradient(self) -> int:
        """Cells of dy in shared memory."""
        return self.to * self.q * self.tr * up(up(self.tc, self.tw), 4)

    def shared(self, size: Geometry) -> int:
        """Cells of shared memory of a block."""
        rows, columns = self.copied(size)
        copied = self.cc * rows * max(self.line, columns) + self.gradient()
        # at the end the slices' sums meet there, and every thread's share of the biases
        sums = self.to * self.cc * self.ci * self.q * self.cj * self.slices
        return max(copied, self.threads, sums if self.slices > 1 else 0)

    def reads(self, size: Geometry) -> tuple[list[int], int]:
        """Where each thread begins in a picture; how many cells it reads at once."""
        plane, vector = self.copied(size)[0] * self.line, self._vector(size)
        places = product(range(self.slices), range(self.to), range(self.cc), range(self.ci))
        rows = ((c * plane, r * size.sh + i * size.dh) for r, _, c, i in places)
        return [begin + row * self.line for begin, row in rows], vector

    def cost(self, size: Geometry, cycles: float = 1.0) -> float:
        """Of the whole batch. cycles: as in ``Forward.cost``."""
        along = pieces(self.tc, self.tw)
        cells = min(self.tw * self.cj, (self.tw - 1) * size.sw + (self.cj - 1) * size.dw + 1)
        weights = self.q * reads_of(self.tw, along)
        lines = pieces(self.tr, self.slices)
        # a row of dy at a time: each of its cells is multiplied with cj of the picture's
        turn = self.tw * self.q * self.cj + cells / self._vector(size) + weights + 3
        issued, read = lines * (along * turn + 6), lines * along * (cells * cycles + weights)
        rows, columns = self.copied(size)
        copied = self.cc * rows * columns * COPY_PICTURE + self.gradient() * COPY_GRADIENT
        issued += copied / 4 / self.threads + 60 + self.q * self.cj
        count, parts = pieces(size.oh, self.tr) * pieces(size.ow, self.tc), self.parts(size, IMAGES)
        each, sums = IMAGES * count / parts, self.to * self.cc * self.ci * self.q * self.cj
        last = sums / self.threads * (30 + 3 * self.slices) if self.slices > 1 else 0
        # a part is written, and read again by the kernel that adds them up
        issued = each * issued + last + 100 + 4 * self.q * self.cj
        return time_of(parts * self.groups(size), self.threads, issued, each * read)

    def _vector(self, size: Geometry) -> int:
        """How many cells of a picture are read at once."""
        return 4 if pieces(self.tc, self.tw) == 1 else vector_of(self.tw * size.sw)


def pieces(a: int, of: int) -> int:
    """How many it takes to cover ``a``."""
    return -(-a // of)


def up(a: int, to: int) -> int:
    """To the next multiple."""
    return -(-a // to) * to


def whole_warps(threads: int) -> int:
    """As many threads or some more."""
    return up(threads, 32)


def vector_of(cells: int) -> int:
    """How many cells are read at once where threads begin ``cells`` apart."""
    return next(n for n in (4, 2, 1) if cells % n == 0)


def reads_of(cells: int, runs: int) -> int:
    """How many reads a run of cells takes; the first is aligned, the next follow without a gap."""
    return pieces(cells, 4 if runs == 1 else vector_of(cells))


def width_of_weights(channels: int) -> int:
    """Cells between the weights of a tap and those of the next, as in conv.cu."""
    return up(channels, 8) + 4


def tiles(size: Geometry, th: int, tw: int, is_pooled: bool) -> tuple[int, int]:
    """Rows and columns of tiles of a picture; what no window of a pooling reaches is left out."""
    if is_pooled:
        return size.oh // th, size.ow // tw
    return pieces(size.oh, th), pieces(size.ow, tw)


def phases(size: Geometry) -> tuple[int, int]:
    """Rows and columns of x that meet the same taps: all of them where the stride is 1."""
    rows = (size.ph + size.h - 1) // size.sh - size.ph // size.sh + 1
    columns = (size.pw + size.w - 1) // size.sw - size.pw // size.sw + 1
    return rows, columns


def time_of(blocks: int, threads: int, issued: float, read: float) -> float:
    """Cycles of a multiprocessor whose blocks issue and read this much in each of their warps.

    A scheduler issues one instruction a cycle, and needs two warps to do so all the time; shared
    memory answers one warp a cycle.
    """
    # the last blocks leave some multiprocessors without work
    warps = ceil(blocks / MULTIPROCESSORS) * (threads // 32)
    if not warps:
        return inf
    busy = min(1.0, warps / (2 * SCHEDULERS))
    one, other = warps * issued / SCHEDULERS / busy, warps * read
    return max(one, other) + min(one, other) / 5  # they overlap, but not always
