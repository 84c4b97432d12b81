"""The last instructions forward, which give the scores to the caller, and the loss."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..arrays import LANES
from ..cpu.windows import at
from .instruction import Group, Place, kernel


class GiveLogits(NamedTuple):
    """The group's scores (class, image) into the batch's ``logits`` (image, class)."""

    inp: Place
    classes: int
    pitch: int  # from one class to the next: the images of a group


@kernel
def give_logits(op: GiveLogits, group: Group) -> None:
    """Image by image."""
    for image in range(min(group.tiles * LANES, group.images - group.first)):
        for c in range(op.classes):
            score = group.memory[at(op.inp + c * op.pitch + image)]
            group.logits[at((group.first + image) * op.classes + c)] = score


class CrossEntropy(NamedTuple):
    """Softmax cross-entropy with class weights w and label smoothing s, and its gradient.

        loss = sum_c q_c w_c (-log p_c),   q_c = (1 - s) [c = label] + s / C
        dlogits_c = scale (p_c sum_k q_k w_k - q_c w_c)

    A label that is no class, or the ignored one, does not count.
    """

    logits: Place
    dlogits: Place
    classes: int
    pitch: int  # from one class to the next: the images of a group
    settings: Place  # in ``weights``: s, scale, the ignored class, w
    sums: int  # in ``sums``: the losses; then the correct predictions


@kernel
def cross_entropy(op: CrossEntropy, group: Group) -> None:
    """Of equal scores the first is the prediction, and a NaN beats all: as ``numpy.argmax``."""
    memory, weights, classes, pitch = group.memory, group.weights, op.classes, op.pitch
    zero, one = memory.dtype.type(0), memory.dtype.type(1)
    smoothing, scale = weights[at(op.settings)], weights[at(op.settings + 1)]
    ignored, w0 = np.int64(weights[at(op.settings + 2)]), op.settings + 3
    spread = smoothing / memory.dtype.type(classes)
    losses, correct = np.float64(0), 0
    for image in range(group.tiles * LANES):
        x, dx, number = op.logits + image, op.dlogits + image, group.first + image
        label = group.labels[at(number)] if number < group.images else -1
        counts = 0 <= label < classes and label != ignored
        largest, best = memory[at(x)], 0
        for c in range(1, classes):
            score = memory[at(x + c * pitch)]
            if not (score <= largest) and largest == largest:
                largest, best = score, c
        correct += best == label
        sum_e = sum_qw = sum_loss = zero
        for c in range(classes):
            e = math.exp(memory[at(x + c * pitch)] - largest)
            sum_e += e
            memory[at(dx + c * pitch)] = e
        log_sum = math.log(sum_e)
        for c in range(classes):
            q = spread + (one - smoothing if c == label else zero)
            qw = q * weights[at(w0 + c)]
            sum_qw += qw
            if qw != zero:
                sum_loss += qw * (log_sum - (memory[at(x + c * pitch)] - largest))
        for c in range(classes):
            q = spread + (one - smoothing if c == label else zero)
            p = memory[at(dx + c * pitch)] / sum_e
            d = scale * (p * sum_qw - q * weights[at(w0 + c)])
            memory[at(dx + c * pitch)] = d if counts else zero
        losses += np.float64(sum_loss) if counts else np.float64(0)
    group.sums[at(op.sums)] += losses
    group.sums[at(op.sums + 1)] += correct
