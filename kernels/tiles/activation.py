"""Sigmoid, tanh and relu over tiles; dropout."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.extending import overload

from ..arrays import LANES, NONE, RELU, SIGMOID, TANH, Array
from ..cpu.activation import TANH_ENDS, TANH_P, TANH_Q
from ..cpu.jit import intrinsic
from ..cpu.random import philox
from ..cpu.windows import at
from .instruction import UNCOUNTED, Fixed, Group, Place, inner, kernel
from .lanes import (
    CONTRACT,
    WHOLE,
    Vector,
    fill,
    has_avx512,
    larger,
    limited,
    load,
    power_of_two,
    reciprocal,
    store,
    winner,
)

WIDE = 64 if has_avx512() else 16  # cells computed together


@inner()
def _sigmoid(x: Vector) -> Vector:
    """1 / (1 + exp(-x)), float32; 0 below -87, as in ``cpu/activation.py``.

    exp(x) is 2**n exp(r) with |r| <= log(2) / 2.
    """
    f = np.float32
    unlimited, x = x, limited(x, f(-87), f(87))
    # n = -x / log(2), rounded: a float32 as large as WHOLE has no digits after the point
    z = f(WHOLE) + f(-1 / math.log(2)) * x
    n = f(-WHOLE) + z
    r = f(-math.log(2)) * n - x
    # the Taylor series up to r**7 / 7!, in pairs: shorter to wait for than one term after the other
    r2 = r * r
    e01 = f(1) + r
    e23 = f(1 / 2) + f(1 / 6) * r
    e45 = f(1 / 24) + f(1 / 120) * r
    e67 = f(1 / 720) + f(1 / 5040) * r
    e = (e67 * r2 + e45) * (r2 * r2) + (e23 * r2 + e01)
    s = reciprocal(f(1) + e * power_of_two(z))
    return larger(x, unlimited, x - x, s)  # 0 where x was below -87, and was raised


@inner()
def _tanh(x: Vector) -> Vector:
    """tanh for float32: see ``cpu/activation.py``."""
    f = np.float32
    x = limited(x, f(-TANH_ENDS), f(TANH_ENDS))
    u = x * x
    p = f(TANH_P[1]) + f(TANH_P[0]) * u
    p = f(TANH_P[2]) + p * u
    p = f(TANH_P[3]) + p * u
    p = f(TANH_P[4]) + p * u
    p = f(TANH_P[5]) + p * u
    p = f(TANH_P[6]) + p * u
    q = f(TANH_Q[1]) + f(TANH_Q[0]) * u
    q = f(TANH_Q[2]) + q * u
    q = f(TANH_Q[3]) + q * u
    return limited(x * p * reciprocal(q), f(-1), f(1))


class Sigmoid(NamedTuple):
    """y = 1 / (1 + exp(-x)), cell by cell."""

    x: Place
    y: Place  # may be x
    size: int  # places: of a tile, or of the group's matrix
    by_tile: int  # 1: ``size`` is that of one tile


class Tanh(NamedTuple):
    """y = tanh(x), cell by cell."""

    x: Place
    y: Place  # may be x
    size: int  # places: of a tile, or of the group's matrix
    by_tile: int  # 1: ``size`` is that of one tile


class ReLU(NamedTuple):
    """y = max(x, 0), cell by cell; NaN stays NaN."""

    x: Place
    y: Place  # may be x
    size: int  # places: of a tile, or of the group's matrix
    by_tile: int  # 1: ``size`` is that of one tile


def _for_cells(
    of_vector: Callable[[Vector], Vector], of_number: Callable[[float], float]
) -> Callable[[Any, Group], None]:
    """A walk over the cells: float32 a vector at a time by ``of_vector``, float64 one by one."""

    def cells32(width: int, memory: Array, place: int, result: int) -> None:
        store(memory, result, of_vector(load(width, memory, place)))

    def cells64(width: int, memory: Array, place: int, result: int) -> None:
        for k in range(width):
            memory[at(result + k)] = of_number(memory[at(place + k)])

    def cells(width: int, memory: Array, place: int, result: int) -> None:
        raise NotImplementedError("only inside compiled code")

    @overload(cells, jit_options=UNCOUNTED, prefer_literal=True)
    def cells_of(width: int, memory: Array, place: int, result: int) -> Any:
        return cells32 if memory.dtype == numba.types.float32 else cells64

    @inner(inline="always")
    def walk(op: Sigmoid | Tanh, group: Group) -> None:
        memory = group.memory
        size = op.size * group.tiles if op.by_tile else op.size
        x_from_y = op.x - op.y
        end, whole = op.y + size, op.y + size // WIDE * WIDE
        for k in range(op.y, whole, WIDE):
            cells(WIDE, memory, k + x_from_y, k)
        for k in range(whole, end, 16):
            cells(16, memory, k + x_from_y, k)

    return walk


@inner()
def _sigmoid64(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@inner()
def _tanh64(x: float) -> float:
    return math.tanh(x)


_sigmoid_cells, _tanh_cells = _for_cells(_sigmoid, _sigmoid64), _for_cells(_tanh, _tanh64)


@kernel
def sigmoid(op: Sigmoid, group: Group) -> None:
    """64 cells at a time, 16 at the end."""
    _sigmoid_cells(op, group)


@kernel
def tanh(op: Tanh, group: Group) -> None:
    """64 cells at a time, 16 at the end."""
    _tanh_cells(op, group)


@kernel
def relu(op: ReLU, group: Group) -> None:
    """16 cells at a time."""
    memory = group.memory
    size = op.size * group.tiles if op.by_tile else op.size
    zero, x_from_y = fill(16, memory.dtype.type(0)), op.x - op.y
    for k in range(op.y, op.y + size, 16):
        x = load(16, memory, k + x_from_y)
        store(memory, k, winner(x, zero, x, zero))


class ActivateBackward(NamedTuple):
    """dx = dy times the activation's slope, or times dropout's mask."""

    dy: Place
    dx: Place  # may be dy
    y: Place  # the activation's result, or the mask
    kind: Fixed  # SIGMOID, TANH, RELU or MASK
    size: int  # places: of a tile, or of the group's matrix
    by_tile: int  # 1: ``size`` is that of one tile


@intrinsic(prefer_literal=True)
def slope_times(typing: Any, dy: Any, y: Any, kind: Any) -> Any:
    """dy times the slope of an activation with result y: s (1 - s), 1 - t²; or times a mask y.

    kind: a constant; of NONE the slope is 1. ReLU's slope is chosen, not multiplied: where y is 0,
    not even an infinite dy goes through.
    """
    number = kind.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        dy, y, _ = arguments
        zero, one = (ir.Constant(y.type, [n] * y.type.count) for n in (0.0, 1.0))
        if number == RELU:
            return builder.select(builder.fcmp_ordered("==", y, zero), zero, dy)
        if number in (SIGMOID, TANH):
            square = builder.fmul(y, y, flags=CONTRACT)
            y = builder.fsub(y if number == SIGMOID else one, square, flags=CONTRACT)
        return dy if number == NONE else builder.fmul(dy, y, flags=CONTRACT)

    return dy(dy, y, kind), generate


@kernel
def activate_backward(op: ActivateBackward, group: Group) -> None:
    """16 cells at a time."""
    memory = group.memory
    size = op.size * group.tiles if op.by_tile else op.size
    y_from_dy, dx_from_dy = op.y - op.dy, op.dx - op.dy
    for k in range(op.dy, op.dy + size, 16):
        dy, y = load(16, memory, k), load(16, memory, k + y_from_dy)
        store(memory, k + dx_from_dy, slope_times(dy, y, op.kind))


class Dropout(NamedTuple):
    """y = x * mask, the mask 0 or 1 / (1 - p)."""

    x: Place
    y: Place
    mask: Place  # kept for the way back
    features: int  # of an image
    pitch: int  # from one feature to the next
    tile: int  # from one tile to the next
    key: int  # the number of this dropout in the net: seed, draw, first image at keys[3 key]
    settings: Place  # in ``weights``: p and 1 / (1 - p)


@kernel
def dropout(op: Dropout, group: Group) -> None:
    """The mask of ``random_uniform`` for the batch's matrix (image, feature).

    Its number k = image * features + feature is word k % 4 of Philox's block k // 4. The batch may
    be a part of a larger one: then image 0 is that one's ``first``.
    """
    memory, images = group.memory, group.images
    seed, draw = group.keys[at(3 * op.key)], group.keys[at(3 * op.key + 1)]
    first = np.int64(group.keys[at(3 * op.key + 2)]) + group.first
    p, scale = group.weights[at(op.settings)], group.weights[at(op.settings + 1)]
    for t in range(group.tiles):
        lanes = min(LANES, images - group.first - t * LANES)
        for f in range(op.features):
            for lane in range(lanes, LANES):  # no image there: zeros, not what stood there before
                place = t * op.tile + f * op.pitch + lane
                memory[at(op.mask + place)] = memory[at(op.y + place)] = 0
        for lane in range(lanes):
            begin = (first + t * LANES + lane) * op.features
            for block in range(begin // 4, (begin + op.features + 3) // 4):
                words = philox(np.uint64(block), draw, seed)
                for k in range(4):
                    feature = 4 * block + k - begin  # an image may begin in a block's middle
                    if 0 <= feature < op.features:
                        u = np.float32(words[k] >> np.uint64(8)) * np.float32(2.0**-24)
                        cell = t * op.tile + feature * op.pitch + lane
                        mask = scale if u >= p else memory.dtype.type(0)
                        memory[at(op.mask + cell)] = mask
                        memory[at(op.y + cell)] = memory[at(op.x + cell)] * mask
