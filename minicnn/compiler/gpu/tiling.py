"""How a convolution's work is cut up: what a thread, a block and a chunk of shared memory take.

The kernels of ``kernels/gpu/conv.cu`` and ``conv_backward.cu`` compute the same whatever is chosen
here. A large tile of sums reads little for each product, but leaves few threads; a large block
reads the picture and the weights less often, but there are fewer of them. So every way that fits
is judged by what it costs (``ways``), and the cheapest is taken.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import product
from typing import TypeVar

from .ways import Dinput, Dweight, Forward, Geometry, phases, pieces, tiles

__all__ = ["Geometry", "dinput", "dweight", "forward"]

ROOM = 6144  # cells of shared memory of a block: 24 KB of float, 48 KB of double
BANKS = 32  # of shared memory
THREADS = 256  # of a block, at most
MOST_CHANNELS, MOST_PLACES = 8, 16  # of a tile, as in conv.cu
MOST_SUMS_FORWARD = 64  # of a thread: of double they take half of its registers
MOST_SUMS = 40  # of a thread for a gradient with respect to weights, which keeps them twice
LONGEST = 1024  # products that are written out one after the other
LOOKED_AT_AGAIN = 24  # ways

W = TypeVar("W", Forward, Dinput, Dweight)
T = TypeVar("T", Forward, Dinput)


@cache
def forward(size: Geometry, pool: tuple[int, int] | None = None) -> Forward | None:
    """The cheapest way; None where a pooling's windows need too many registers or cells.

    pool: rows and columns of the windows of the pooling that follows, which a thread takes whole.
    """

    def cost(way: Forward, *cycles: float) -> float:
        return way.cost(size, pool is not None, *cycles)

    return _cheapest(_forwards(size, pool), size, cost)


@cache
def dinput(size: Geometry) -> Dinput:
    """The cheapest way."""
    found = _cheapest(_dinputs(size), size, lambda way, *cycles: way.cost(size, *cycles))
    assert found is not None
    return found


@cache
def dweight(size: Geometry) -> Dweight:
    """The cheapest way, with as many columns of the kernel as fit, at best in wide strips."""
    for cj, tiles_of_strip in product(_shares(size.kw, MOST_CHANNELS - 1), (4, 1)):
        ways = _dweights(size, cj, tiles_of_strip)
        found = _cheapest(ways, size, lambda way, *cycles: way.cost(size, *cycles))
        if found is not None:
            return found
    raise AssertionError("one cell and one weight always fit")


def _cheapest(ways: Iterable[W], size: Geometry, cost: Callable[..., float]) -> W | None:
    """Those that seem cheap are looked at again, with the conflicts of their reads."""
    fitting = (way for way in ways if way.threads <= THREADS and way.shared(size) <= ROOM)
    cheap = heapq.nsmallest(LOOKED_AT_AGAIN, fitting, key=cost)
    spread = (_spread(way, size) for way in cheap)
    return min(spread, key=lambda way: cost(way, _cycles(*way.reads(size))), default=None)


def _spread(way: W, size: Geometry) -> W:
    """With lines so far apart that a warp's threads find their cells in different banks."""
    _, columns = way.copied(size)
    longer = [way._replace(line=columns + more) for more in range(0, BANKS, 4)]
    fitting = [one for one in longer if one.shared(size) <= ROOM]
    return min(fitting, key=lambda one: _cycles(*one.reads(size)))


def _cycles(begins: Sequence[int], cells: int) -> float:
    """How long the banks are busy for a cell of each thread of a warp, in the mean.

    A thread reads ``cells`` neighbours from its begin on. A bank answers one word a cycle, for all
    threads that want it.
    """
    cycles, warps = 0, range(0, len(begins), 32)
    for first in warps:
        wanted = {begin + k for begin in begins[first : first + 32] for k in range(cells)}
        cycles += max(Counter(word % BANKS for word in wanted).values())
    return cycles / (len(warps) * cells)


def _forwards(size: Geometry, pool: tuple[int, int] | None) -> Iterator[Forward]:
    shapes = [(1, tw) for tw in _shares(size.ow, MOST_CHANNELS)] if pool is None else [pool]
    for (th, tw), q in product(shapes, _shares(size.o, MOST_CHANNELS)):
        if th * tw > MOST_PLACES or q * th * tw > MOST_SUMS_FORWARD:
            continue
        rows, columns = tiles(size, th, tw, pool is not None)
        for tc, to in product(_shares(columns, 64), _shares(pieces(size.o, q), THREADS)):
            for tr in _shares(rows, THREADS // min(THREADS, tc * to)):
                for g in (1, 2, 4):  # small pictures share the weights that a block has copied
                    way = Forward(q, th, tw, to, tr, tc, g, 1, size.kh, size.kw)
                    if way.threads <= THREADS:
                        yield _in_chunks(way, size, size.c, q * th * tw)


def _dinputs(size: Geometry) -> Iterator[Dinput]:
    rows, columns = phases(size)
    for tw, q in product(_shares(columns, MOST_PLACES), _shares(size.c, MOST_CHANNELS)):
        if q * tw > 2 * MOST_PLACES:
            continue
        across, deep = pieces(columns, tw), pieces(size.c, q)
        for tc, to in product(_shares(across, 64), _shares(deep, THREADS)):
            for tr in _shares(rows, THREADS // min(THREADS, tc * to)):
                for g in (1, 2, 4):
                    way = Dinput(q, tw, to, tr, tc, g, 1, size.kh, size.kw)
                    if way.threads <= THREADS:
                        yield _in_chunks(way, size, size.o, q * tw)


def _dweights(size: Geometry, cj: int, tiles_of_strip: int) -> Iterator[Dweight]:
    for q, tw in product(_shares(size.o, MOST_CHANNELS), _shares(size.ow, MOST_PLACES)):
        if q * cj > MOST_SUMS or q * cj * tw > LONGEST:
            continue
        for to, ci in product(_shares(pieces(size.o, q), THREADS), _shares(size.kh, THREADS)):
            for cc in _shares(size.c, THREADS // min(THREADS, to * ci)) if ci == size.kh else [1]:
                for tc in _strips(size.ow, tw, tiles_of_strip):
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


def _in_chunks(way: T, size: Geometry, channels: int, sums: int) -> T:
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


def _even(a: int, most: int) -> int:
    """How large are the pieces, if there are as few as possible of at most ``most``?"""
    return pieces(a, pieces(a, min(a, most)))


def _shares(a: int, most: int) -> list[int]:
    """The sizes of equal pieces of ``a``, of at most ``most``; the largest first."""
    sizes = dict.fromkeys(pieces(a, number) for number in range(pieces(a, most), a + 1))
    # more would not be better, and each is tried with all others
    few = [size for size in sizes if size > 1][:7]
    return [*few, 1]


def _strips(columns: int, tw: int, fewest: int) -> list[int]:
    """All columns, or a number of them: of 16 tiles, or the fewest."""
    return [columns, *(tw * n for n in (16, fewest) if tw * n < columns)]
