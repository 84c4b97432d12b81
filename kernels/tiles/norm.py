"""Batch normalisation over tiles: four passes, between which all groups wait for each other.

In ``weights`` at ``numbers`` stand six numbers a channel, C of each: mean, 1 / s, gamma, beta and,
for the way back, mean(dz) and mean(dz z). See ``minicnn.ops.norm`` for the formulas.

A ReLU that follows is part of the passes (``kind``). The way back finds its slope by computing its
result again: x has to be read anyway, so that the result need not be kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arrays import LANES, RELU, Array
from ..cpu.windows import at
from .activation import slope_times
from .instruction import Group, Place, inner, kernel
from .lanes import Vector, fill, load, store, total, winner
from .sums import first_of, in_float64


class Moments(NamedTuple):
    """For each channel the sums of x - k and of (x - k)² over the group's images, in float64.

    k is the first x that this share has of the channel (if it is finite): without it, the
    variance of numbers far from 0 would be a small difference of two large ones.
    """

    x: Place
    sums: int  # in ``sums``, C of each: k, both sums, the number of summands
    channels: int
    cells: int  # of a channel


@kernel
def moments(op: Moments, group: Group) -> None:
    """A sum for each of a tile's 16 places; those without an image are left out at the end."""
    memory, sums, channels = group.memory, group.sums, op.channels
    for t in range(group.tiles):
        lanes = min(LANES, group.images - group.first - t * LANES)
        for c in range(channels):
            start, place = op.x + (t * channels + c) * op.cells * LANES, op.sums + c
            if sums[at(place + 3 * channels)] == 0:
                x = np.float64(memory[at(start)])
                sums[at(place)] = x if x - x == 0 else 0  # inf - inf and nan - nan are not 0
            k = fill(16, sums[at(place)])
            s = q = fill(16, np.float64(0))
            for m in range(start, start + op.cells * LANES, 16):
                x_from_k = in_float64(load(16, memory, m)) - k
                s = s + x_from_k
                q = q + x_from_k * x_from_k
            sums[at(place + channels)] += total(first_of(s, lanes))
            sums[at(place + 2 * channels)] += total(first_of(q, lanes))
            sums[at(place + 3 * channels)] += op.cells * lanes


class Normalise(NamedTuple):
    """y = gamma z + beta, z = (x - mean) / s; or the ReLU of it."""

    x: Place
    y: Place
    numbers: Place
    channels: int
    cells: int  # of a channel
    kind: int  # RELU or NONE: what follows


@inner(forceinline=True)
def _result(memory: Array, z: Vector, gamma: float, beta: Vector, kind: int) -> Vector:
    """gamma z + beta, or the ReLU of it: the same bits on the way back as on the way forward."""
    y = gamma * z + beta
    if kind == RELU:
        zero = fill(16, memory.dtype.type(0))
        return winner(y, zero, y, zero)
    return y


@kernel
def normalise(op: Normalise, group: Group) -> None:
    """16 cells at a time."""
    memory, weights, plane = group.memory, group.weights, op.cells * LANES
    for t in range(group.tiles):
        for c in range(op.channels):
            place, start = op.numbers + c, (t * op.channels + c) * plane
            mean, scale = fill(16, weights[at(place)]), weights[at(place + op.channels)]
            gamma = weights[at(place + 2 * op.channels)]
            beta = fill(16, weights[at(place + 3 * op.channels)])
            for m in range(start, start + plane, 16):
                z = scale * (load(16, memory, op.x + m) - mean)
                store(memory, op.y + m, _result(memory, z, gamma, beta, op.kind))


class NormaliseMoments(NamedTuple):
    """For each channel the sums of dy and of dy z: dbeta and dgamma."""

    dy: Place
    x: Place
    sums: int  # in ``sums``, C of each
    numbers: Place
    channels: int
    cells: int  # of a channel
    kind: int  # RELU or NONE: dy is that of its result


@kernel
def normalise_moments(op: NormaliseMoments, group: Group) -> None:
    """In float64, a sum for each of a tile's places. Without an image dy is 0 and adds nothing."""
    memory, weights, sums, plane = group.memory, group.weights, group.sums, op.cells * LANES
    for t in range(group.tiles):
        for c in range(op.channels):
            place, start = op.numbers + c, (t * op.channels + c) * plane
            mean, scale = fill(16, weights[at(place)]), weights[at(place + op.channels)]
            gamma = weights[at(place + 2 * op.channels)]
            beta = fill(16, weights[at(place + 3 * op.channels)])
            s = q = fill(16, np.float64(0))
            for m in range(start, start + plane, 16):
                z = scale * (load(16, memory, op.x + m) - mean)
                y = _result(memory, z, gamma, beta, op.kind)
                dy = slope_times(16, memory, load(16, memory, op.dy + m), y, op.kind)
                s = s + in_float64(dy)
                q = q + in_float64(dy * z)
            sums[at(op.sums + c)] += total(s)
            sums[at(op.sums + op.channels + c)] += total(q)


class NormaliseBackward(NamedTuple):
    """dx = (gamma dy - mean(dz) - z mean(dz z)) / s."""

    dy: Place
    dx: Place  # may be dy
    x: Place
    numbers: Place
    channels: int
    cells: int  # of a channel
    kind: int  # RELU or NONE: dy is that of its result


@kernel
def normalise_backward(op: NormaliseBackward, group: Group) -> None:
    """0 where a tile has no image: the formula gives those a gradient, too."""
    memory, weights, plane = group.memory, group.weights, op.cells * LANES
    for t in range(group.tiles):
        lanes = min(LANES, group.images - group.first - t * LANES)
        for c in range(op.channels):
            place, start = op.numbers + c, (t * op.channels + c) * plane
            mean, scale = fill(16, weights[at(place)]), weights[at(place + op.channels)]
            gamma = weights[at(place + 2 * op.channels)]
            beta = fill(16, weights[at(place + 3 * op.channels)])
            mean_dz = fill(16, weights[at(place + 4 * op.channels)])
            mean_dzz = weights[at(place + 5 * op.channels)]
            for m in range(start, start + plane, 16):
                z = scale * (load(16, memory, op.x + m) - mean)
                y = _result(memory, z, gamma, beta, op.kind)
                dz = gamma * slope_times(16, memory, load(16, memory, op.dy + m), y, op.kind)
                dx = scale * (dz - mean_dz - mean_dzz * z)
                store(memory, op.dx + m, first_of(dx, lanes))
