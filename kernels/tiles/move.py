"""Moving cells: pictures into tiles, into frames of zeros and out; tiles to a matrix and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from ..arrays import LANES, Array
from ..cpu.windows import at
from .instruction import Group, Place, inner, kernel
from .lanes import fill, gather, gather_bytes, load, store
from .transpose import transpose, transpose_bytes


class Framed(NamedTuple):
    """A picture (channels, height, width) in a frame of zeros, its columns sorted by the stride.

    A line of the framed picture is not h's columns 0, 1, 2, ... but, with a stride of 2, first the
    even ones and then the odd ones: the columns that neighbouring windows see at one offset are
    then neighbours too. ``minicnn.compiler.cpu.conv`` has a picture of it.
    """

    channels: int
    height: int  # of the picture
    width: int
    top: int  # lines of zeros above it
    left: int  # columns of zeros before it
    stride: int  # along a line
    lines: int  # of a framed channel
    columns: int  # of a framed line that are alike modulo the stride; it has stride * columns


@inner()
def _cell(framed: Framed, c: int, h: int, w: int) -> int:
    """Where cell (c, h, w) stands in the framed picture, counted in cells."""
    column = w + framed.left
    line = (c * framed.lines + h + framed.top) * framed.stride
    if framed.stride == 1:  # no division
        return line * framed.columns + column
    return (line + column % framed.stride) * framed.columns + column // framed.stride


@inner(inline="always")
def _columns(framed: Framed, remainder: int) -> tuple[int, int, int]:
    """Of a framed line's columns with this remainder the first that is the picture's, the one after
    the last, and which of the picture's columns the first one is."""
    first = max(0, (framed.left - remainder + framed.stride - 1) // framed.stride)
    last = (framed.left + framed.width - remainder + framed.stride - 1) // framed.stride
    return first, last, first * framed.stride + remainder - framed.left


class SetZero(NamedTuple):
    """Zeros in a result of every tile."""

    out: Place
    size: int  # places a tile, a multiple of 16


@kernel
def set_zeros(op: SetZero, group: Group) -> None:
    """All tiles at once: they lie one after the other."""
    set_zero(group.memory, op.out, op.size * group.tiles)


@inner()
def set_zero(memory: Array, start: int, size: int) -> None:
    """``size`` (a multiple of 16) zeros from ``start`` on."""
    zero = fill(16, memory.dtype.type(0))
    for m in range(start, start + size, 16):
        store(memory, m, zero)


@inner()
def _set_margin(memory: Array, out: int, framed: Framed) -> None:
    """Zeros around the framed picture at ``out``."""
    line, part = framed.stride * framed.columns * LANES, framed.columns * LANES
    for _ in range(framed.channels):
        for h in range(-framed.top, framed.lines - framed.top):
            if 0 <= h < framed.height:
                for remainder in range(framed.stride):
                    first, last, _ = _columns(framed, remainder)
                    place = out + remainder * part
                    set_zero(memory, place, first * LANES)
                    set_zero(memory, place + last * LANES, part - last * LANES)
            else:
                set_zero(memory, out, line)
            out += line


class LoadPixels(NamedTuple):
    """The batch's pictures of bytes, (image, c, h, w), over 255, into tiles in a frame of zeros."""

    out: Place
    tile: int  # places of a framed picture's tile
    framed: Framed


class LoadNumbers(NamedTuple):
    """The batch's pictures of numbers, (image, c, h, w), into tiles in a frame of zeros."""

    out: Place
    tile: int  # places of a framed picture's tile
    framed: Framed


LoadLine: TypeAlias = Callable[[Array, Array, Framed, int, int, int, int, int, int], None]


def _for_lines(load_line: LoadLine) -> Callable[[LoadPixels | LoadNumbers, Group], None]:
    """A walk over the lines of pictures, those of 16 images at a time.

    ``load_line(memory, pictures, framed, out, c, h, start, cells, lanes)`` takes line h of channel
    c of ``lanes`` images: it begins at ``start`` of the first one's picture, and the next image is
    ``cells`` further on. Places of a tile without an image get zeros.
    """

    @inner(inline="always")
    def walk(op: LoadPixels | LoadNumbers, group: Group) -> None:
        framed = op.framed
        cells = framed.channels * framed.height * framed.width
        for t in range(group.tiles):
            image, out = group.first + t * LANES, op.out + t * op.tile
            lanes = min(LANES, group.images - image)
            if lanes == LANES:
                _set_margin(group.memory, out, framed)
            else:
                set_zero(group.memory, out, op.tile)
            for c in range(framed.channels):
                for h in range(framed.height):
                    start = image * cells + (c * framed.height + h) * framed.width
                    load_line(group.memory, group.pictures, framed, out, c, h, start, cells, lanes)

    return walk


@_for_lines
@inner(inline="always")
def _load_pixels(
    memory: Array,
    pictures: Array,
    framed: Framed,
    out: int,
    c: int,
    h: int,
    start: int,
    cells: int,
    lanes: int,
) -> None:
    width, white = framed.width, memory.dtype.type(255)
    if width >= 16 and framed.stride == 1 and lanes == LANES:
        for block in range(0, width, 16):
            w = min(block, width - 16)  # the last block reaches back into the one before
            place = out + _cell(framed, c, h, w) * LANES
            transpose_bytes(memory, place, LANES, pictures, start + w, cells, white)
        return
    for w in range(width):
        place = out + _cell(framed, c, h, w) * LANES
        if lanes == LANES:
            pixels = gather_bytes(16, memory, pictures, start + w, cells)
            store(memory, place, pixels / fill(16, white))
        else:
            for lane in range(lanes):
                pixel = gather_bytes(1, memory, pictures, start + w + lane * cells, 0)
                store(memory, place + lane, pixel / fill(1, white))


@kernel
def load_pixels(op: LoadPixels, group: Group) -> None:
    """16 pixels of 16 images at a time, where a line is that long."""
    _load_pixels(op, group)


@_for_lines
@inner(inline="always")
def _load_numbers(
    memory: Array,
    pictures: Array,
    framed: Framed,
    out: int,
    c: int,
    h: int,
    start: int,
    cells: int,
    lanes: int,
) -> None:
    for w in range(framed.width):
        place = out + _cell(framed, c, h, w) * LANES
        if lanes == LANES:
            store(memory, place, gather(16, memory, pictures, start + w, cells))
        else:
            for lane in range(lanes):
                number = gather(1, memory, pictures, start + w + lane * cells, 0)
                store(memory, place + lane, number)


@kernel
def load_numbers(op: LoadNumbers, group: Group) -> None:
    """A cell of 16 images at a time."""
    _load_numbers(op, group)


class Frame(NamedTuple):
    """Pictures into a frame of zeros (padding), columns sorted by the stride."""

    inp: Place
    out: Place
    inp_tile: int  # from one tile to the next
    out_tile: int
    framed: Framed  # how a picture of ``inp`` lies in ``out``


@kernel
def frame(op: Frame, group: Group) -> None:
    """Line by line, those columns together that have the same remainder."""
    memory, framed = group.memory, op.framed
    step = framed.stride * LANES  # in the picture, from one of these columns to the next
    for t in range(group.tiles):
        inp, out = op.inp + t * op.inp_tile, op.out + t * op.out_tile
        _set_margin(memory, out, framed)
        for c in range(framed.channels):
            for h in range(framed.height):
                line = out + (c * framed.lines + h + framed.top) * framed.columns * step
                for remainder in range(framed.stride):
                    first, last, column = _columns(framed, remainder)
                    place, start = line + remainder * framed.columns * LANES, inp + column * LANES
                    for k in range(first, last):
                        store(memory, place + k * LANES, load(16, memory, start))
                        start += step
                inp += framed.width * LANES


class Unframe(NamedTuple):
    """The opposite of ``Frame``: pictures out of their frames."""

    inp: Place
    out: Place
    inp_tile: int  # from one tile to the next
    out_tile: int
    framed: Framed  # how a picture of ``out`` lies in ``inp``


@kernel
def unframe(op: Unframe, group: Group) -> None:
    """As in ``frame``."""
    memory, framed = group.memory, op.framed
    step = framed.stride * LANES
    for t in range(group.tiles):
        inp, out = op.inp + t * op.inp_tile, op.out + t * op.out_tile
        for c in range(framed.channels):
            for h in range(framed.height):
                line = inp + (c * framed.lines + h + framed.top) * framed.columns * step
                for remainder in range(framed.stride):
                    first, last, column = _columns(framed, remainder)
                    place, start = line + remainder * framed.columns * LANES, out + column * LANES
                    for k in range(first, last):
                        store(memory, start, load(16, memory, place + k * LANES))
                        start += step
                out += framed.width * LANES


class Picked(NamedTuple):
    """Pictures (channels, height, width), and every ``down``-th line and ``along``-th column."""

    channels: int
    height: int
    width: int
    lines: int  # that are picked
    columns: int
    down: int
    along: int


class Pick(NamedTuple):
    """These lines and columns of pictures: all that a 1 x 1 kernel with a stride sees."""

    inp: Place
    out: Place
    picked: Picked


@kernel
def pick(op: Pick, group: Group) -> None:
    """Cell by cell of 16 images."""
    memory, of = group.memory, op.picked
    inp, out = op.inp, op.out
    for _ in range(group.tiles * of.channels):
        for h in range(of.lines):
            start = inp + h * of.down * of.width * LANES
            for _ in range(of.columns):
                store(memory, out, load(16, memory, start))
                start += of.along * LANES
                out += LANES
        inp += of.height * of.width * LANES


class Spread(NamedTuple):
    """The opposite of ``Pick``, with zeros where nothing was picked."""

    inp: Place
    out: Place
    picked: Picked


@kernel
def spread(op: Spread, group: Group) -> None:
    """Channel by channel: zeros, and then the cells."""
    memory, of = group.memory, op.picked
    inp, out = op.inp, op.out
    for _ in range(group.tiles * of.channels):
        set_zero(memory, out, of.height * of.width * LANES)
        for h in range(of.lines):
            start = out + h * of.down * of.width * LANES
            for _ in range(of.columns):
                store(memory, start, load(16, memory, inp))
                start += of.along * LANES
                inp += LANES
        out += of.height * of.width * LANES


class Flatten(NamedTuple):
    """Tiles (tile, feature, 16) to the matrix (feature, image)."""

    inp: Place
    out: Place
    features: int
    pitch: int  # from one feature to the next in the matrix: the images of a group


@kernel
def flatten(op: Flatten, group: Group) -> None:
    """Feature by feature of 16 images."""
    memory = group.memory
    for t in range(group.tiles):
        for f in range(op.features):
            cells = load(16, memory, op.inp + (t * op.features + f) * LANES)
            store(memory, op.out + f * op.pitch + t * LANES, cells)


class Unflatten(NamedTuple):
    """The opposite of ``Flatten``: the matrix (feature, image) to tiles (tile, feature, 16)."""

    inp: Place
    out: Place
    features: int
    pitch: int  # from one feature to the next in the matrix: the images of a group


@kernel
def unflatten(op: Unflatten, group: Group) -> None:
    """Feature by feature of 16 images."""
    memory = group.memory
    for t in range(group.tiles):
        for f in range(op.features):
            cells = load(16, memory, op.inp + f * op.pitch + t * LANES)
            store(memory, op.out + (t * op.features + f) * LANES, cells)


class Turn(NamedTuple):
    """The matrix (feature, image) turned: (image, feature), zeros after an image's last feature."""

    inp: Place
    out: Place
    features: int
    pitch: int  # from one feature to the next in ``inp``: the images of a group
    length: int  # from one image to the next in ``out``: ``features``, up to a multiple of 16


@kernel
def turn(op: Turn, group: Group) -> None:
    """Squares of 16 features by 16 images; the last features cell by cell."""
    memory, length = group.memory, op.length
    whole = op.features // 16 * 16
    for first in range(0, group.tiles * LANES, LANES):
        inp, out = op.inp + first, op.out + first * length
        for k in range(0, whole, 16):
            transpose(memory, out + k, length, memory, inp + k * op.pitch, op.pitch)
        for k in range(whole, length):
            for lane in range(LANES):
                cell = memory[at(inp + k * op.pitch + lane)] if k < op.features else 0
                memory[at(out + lane * length + k)] = cell
