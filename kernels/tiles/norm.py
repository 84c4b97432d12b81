"""Batch normalisation over tiles: four passes. After the first and the third all groups wait, while
the batch's sums become what the next pass needs.

In ``weights`` at ``numbers`` stand seven numbers a channel, C of each: mean, 1 / s, gamma, beta,
for the way back mean(dz) and mean(dz z), and the variance. The formulas: ``minicnn.ops.norm``.

A ReLU that follows is part of the passes (``kind``). The way back finds its slope by computing its
result again: x has to be read anyway, so that the result need not be kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arrays import LANES, RELU, Array
from ..cpu.windows import at
from .activation import slope_times
from .instruction import Fixed, Group, Place, inner, kernel
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


class Statistics(NamedTuple):
    """Mean and variance of the batch, once: from what its shares' ``Moments`` are.

    With the shares' parts w, means m and variances v (Chan, Golub and LeVeque, 1979):
    mean = sum w m, var = sum w (v + (m - mean)²).
    """

    sums: int  # in ``sums``: see ``Moments``
    numbers: Place
    gamma: Place  # C of each
    beta: Place
    eps: Place
    channels: int


@kernel
def statistics(op: Statistics, group: Group) -> None:
    """Of a batch without images there are none: any will do."""
    weights, channels = group.weights, op.channels
    for c in range(channels):
        mean, var = 1.0, 1.0
        if group.images:
            mean, var = _moments_of_batch(group, op.sums + c, channels)
        place = op.numbers + c
        weights[at(place)] = mean
        weights[at(place + channels)] = 1 / np.sqrt(var + weights[at(op.eps)])
        weights[at(place + 2 * channels)] = weights[at(op.gamma + c)]
        weights[at(place + 3 * channels)] = weights[at(op.beta + c)]
        weights[at(place + 6 * channels)] = var


@inner()
def _moments_of_batch(group: Group, place: int, channels: int) -> tuple[float, float]:
    """Mean and variance of a channel, whose numbers stand ``channels`` places apart."""
    sums, of_share = group.sums_of_all, group.sums.size
    count = 0.0
    for k in range(place, sums.size, of_share):
        count += sums[at(k + 3 * channels)]
    # counted from the first share's: a sum of parts of large numbers would round
    first = sums[at(place)] + sums[at(place + channels)] / sums[at(place + 3 * channels)]
    away = 0.0
    for k in range(place, sums.size, of_share):
        own = sums[at(k + 3 * channels)]
        away += own / count * (sums[at(k)] + sums[at(k + channels)] / own - first)
    mean, var = first + away, 0.0
    for k in range(place, sums.size, of_share):
        own = sums[at(k + 3 * channels)]
        shifted, square = sums[at(k + channels)] / own, sums[at(k + 2 * channels)] / own
        from_mean = sums[at(k)] + shifted - mean
        var += own / count * (square - shifted * shifted + from_mean * from_mean)
    return mean, var


class Normalise(NamedTuple):
    """y = gamma z + beta, z = (x - mean) / s; or the ReLU of it."""

    x: Place
    y: Place
    numbers: Place
    channels: int
    cells: int  # of a channel
    kind: Fixed  # RELU or NONE: what follows


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
    kind: Fixed  # RELU or NONE: dy is that of its result


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
                dy = slope_times(load(16, memory, op.dy + m), y, op.kind)
                s = s + in_float64(dy)
                q = q + in_float64(dy * z)
            sums[at(op.sums + c)] += total(s)
            sums[at(op.sums + op.channels + c)] += total(q)


class NormaliseGradients(NamedTuple):
    """dgamma and dbeta of the batch, once, and the means that dx takes away.

    dz = gamma dy: the means of dz and dz z are those of dy and dy z, times gamma.
    """

    sums: int  # see ``NormaliseMoments``
    numbers: Place
    dgamma: Place  # in ``gradients``; added to, if ``has_parameters``
    dbeta: Place
    has_parameters: int
    channels: int
    cells: int  # of a channel; 0: mean and variance do not depend on x


@kernel
def normalise_gradients(op: NormaliseGradients, group: Group) -> None:
    """Channel by channel, the shares' sums in their order."""
    weights, gradients, channels = group.weights, group.gradients, op.channels
    count = group.images * op.cells
    for c in range(channels):
        dbeta = dgamma = 0.0
        for k in range(op.sums + c, group.sums_of_all.size, group.sums.size):
            dbeta += group.sums_of_all[at(k)]
            dgamma += group.sums_of_all[at(k + channels)]
        place = op.numbers + c
        gamma = weights[at(place + 2 * channels)]
        if count:
            weights[at(place + 4 * channels)] = gamma * dbeta / count
            weights[at(place + 5 * channels)] = gamma * dgamma / count
        if op.has_parameters:
            gradients[at(op.dgamma + c)] += dgamma
            gradients[at(op.dbeta + c)] += dbeta


class NormaliseBackward(NamedTuple):
    """dx = (gamma dy - mean(dz) - z mean(dz z)) / s."""

    dy: Place
    dx: Place  # may be dy
    x: Place
    numbers: Place
    channels: int
    cells: int  # of a channel
    kind: Fixed  # RELU or NONE: dy is that of its result


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
                dz = gamma * slope_times(load(16, memory, op.dy + m), y, op.kind)
                dx = scale * (dz - mean_dz - mean_dzz * z)
                store(memory, op.dx + m, first_of(dx, lanes))
