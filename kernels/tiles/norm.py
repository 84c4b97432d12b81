"""Batch normalisation over tiles: four passes, between which all groups wait for each other.

In ``weights`` at ``numbers`` stand six numbers a channel, C of each: mean, 1 / s, gamma, beta and,
for the way back, mean(dz) and mean(dz z). See ``minicnn.ops.norm`` for the formulas.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arrays import LANES
from ..cpu.windows import at
from .instruction import Group, Place, kernel


class Moments(NamedTuple):
    """For each channel the sums of x - k and of (x - k)² over the group's images, in float64.

    k is the first x that this thread sees of the channel (if it is finite): without it, the
    variance of numbers far from 0 would be a small difference of two large ones.
    """

    x: Place
    sums: int  # in ``sums``, C of each: k, both sums, the number of summands
    channels: int
    cells: int  # of a channel


@kernel
def moments(op: Moments, group: Group) -> None:
    """Image by image, since a tile may have places without one."""
    memory, sums, channels = group.memory, group.sums, op.channels
    for t in range(group.tiles):
        lanes = min(LANES, group.images - group.first - t * LANES)
        for c in range(channels):
            start, place = op.x + (t * channels + c) * op.cells * LANES, op.sums + c
            if sums[at(place + 3 * channels)] == 0:
                x = np.float64(memory[at(start)])
                sums[at(place)] = x if x - x == 0 else 0  # inf - inf and nan - nan are not 0
            k = sums[at(place)]
            s = q = np.float64(0)
            for cell in range(op.cells):
                for lane in range(lanes):
                    x = np.float64(memory[at(start + cell * LANES + lane)]) - k
                    s += x
                    q += x * x
            sums[at(place + channels)] += s
            sums[at(place + 2 * channels)] += q
            sums[at(place + 3 * channels)] += op.cells * lanes


class Normalise(NamedTuple):
    """y = gamma z + beta, z = (x - mean) / s."""

    x: Place
    y: Place
    numbers: Place
    channels: int
    cells: int  # of a channel


@kernel
def normalise(op: Normalise, group: Group) -> None:
    """Cell by cell: LLVM makes vectors of this by itself."""
    memory, weights, plane = group.memory, group.weights, op.cells * LANES
    for t in range(group.tiles):
        for c in range(op.channels):
            place = op.numbers + c
            mean, scale = weights[at(place)], weights[at(place + op.channels)]
            gamma = weights[at(place + 2 * op.channels)]
            beta = weights[at(place + 3 * op.channels)]
            start = (t * op.channels + c) * plane
            for m in range(plane):
                z = (memory[at(op.x + start + m)] - mean) * scale
                memory[at(op.y + start + m)] = z * gamma + beta


class NormaliseMoments(NamedTuple):
    """For each channel the sums of dy and of dy z: dbeta and dgamma."""

    dy: Place
    x: Place
    sums: int  # in ``sums``, C of each
    numbers: Place
    channels: int
    cells: int  # of a channel


@kernel
def normalise_moments(op: NormaliseMoments, group: Group) -> None:
    """In float64. Where a tile has no image dy is 0 and adds nothing."""
    memory, weights, sums, plane = group.memory, group.weights, group.sums, op.cells * LANES
    for t in range(group.tiles):
        for c in range(op.channels):
            mean, scale = weights[at(op.numbers + c)], weights[at(op.numbers + op.channels + c)]
            start = (t * op.channels + c) * plane
            s = q = np.float64(0)
            for m in range(plane):
                dy = memory[at(op.dy + start + m)]
                s += np.float64(dy)
                q += np.float64(dy * ((memory[at(op.x + start + m)] - mean) * scale))
            sums[at(op.sums + c)] += s
            sums[at(op.sums + op.channels + c)] += q


class NormaliseBackward(NamedTuple):
    """dx = (gamma dy - mean(dz) - z mean(dz z)) / s."""

    dy: Place
    dx: Place  # may be dy
    x: Place
    numbers: Place
    channels: int
    cells: int  # of a channel


@kernel
def normalise_backward(op: NormaliseBackward, group: Group) -> None:
    """0 where a tile has no image: the formula gives those a gradient, too."""
    memory, weights, zero = group.memory, group.weights, group.memory.dtype.type(0)
    for t in range(group.tiles):
        lanes = min(LANES, group.images - group.first - t * LANES)
        for c in range(op.channels):
            place = op.numbers + c
            mean, scale = weights[at(place)], weights[at(place + op.channels)]
            gamma = weights[at(place + 2 * op.channels)]
            mean_dz = weights[at(place + 4 * op.channels)]
            mean_dzz = weights[at(place + 5 * op.channels)]
            start = (t * op.channels + c) * op.cells * LANES
            for cell in range(op.cells):
                for lane in range(LANES):
                    m = start + cell * LANES + lane
                    z = (memory[at(op.x + m)] - mean) * scale
                    dx = (memory[at(op.dy + m)] * gamma - mean_dz - z * mean_dzz) * scale
                    memory[at(op.dx + m)] = dx if lane < lanes else zero
