"""Int8: which integer stands for which number, at each step of a net.

An integer q of a layer's output stands for the number q s. The step size s is the largest magnitude
that the layer reaches on training pictures, divided by 127. Sums of products are exact, in int32;
multiplied by a float and rounded they are int8 again. (After B. Jacob et al., "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018, without its zero
points and its fixed-point multiplication.)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from minicnn.kernels import Array

from . import norm
from .step import Step, Weighted

PIECE = 250  # pictures that are computed at a time


def compute(steps: Sequence[Step], pixels: Array) -> Array:
    """What the C file computes of pictures (N, C, H, W), float32 in [0, 1]: (N, outputs)."""
    pieces = [_compute(steps, pixels[i : i + PIECE]) for i in range(0, len(pixels), PIECE)]
    return np.concatenate(pieces)


def _compute(steps: Sequence[Step], x: Array) -> Array:
    for step in steps:
        x = step.compute(x.reshape(-1, *step.input_shape))
    return x.reshape(len(x), -1)


def quantised(steps: Sequence[Step], pixels: Array) -> list[Step]:
    """The steps with int8 weights and activations.

    What follows the last layer with weights stays float.

    Args:
        steps: of floats.
        pixels: training pictures (N, C, H, W), float32 in [0, 1]: the scales are measured on them.

    Raises:
        ValueError: no layer has weights, or a softmax stands before the last one.
    """
    weighted = [k for k, step in enumerate(steps) if isinstance(step, Weighted)]
    if not weighted:
        raise ValueError("export: no layer of the net has weights; int8 has nothing to do")
    before, last, after = steps[: weighted[-1]], steps[weighted[-1]], steps[weighted[-1] + 1 :]
    assert isinstance(last, Weighted)
    if before and isinstance(before[0], norm.Scale):
        first, *middle = before
    else:
        shape = steps[0].input_shape
        first, middle = norm.of_pixels(shape, 0, 1, "the pixels as int8"), list(before)
    assert isinstance(first, norm.Scale)
    size = [peak / 127 for peak in _peaks([first, *middle], pixels)]
    integers = [step.quantised(*pair) for step, pair in zip(middle, pairwise(size), strict=True)]
    return [first.of_pixels(size[0]), *integers, last.with_float_output(size[-1]), *after]


def _peaks(steps: Sequence[Step], pixels: Array) -> list[float]:
    """The largest magnitude of each step's output that its int8 has to stand for.

    What the next step cuts off need not be told apart: negative numbers before a ReLU, large ones
    before a sigmoid, which is 1 there to 8 bits.
    """
    peaks = []
    for step in steps:
        pixels = compute([step], pixels)
        peaks.append(float(np.abs(pixels).max()) or 1.0)
    for k in reversed(range(len(steps) - 1)):
        after = steps[k + 1]
        peaks[k] = min(peaks[k + 1] if after.keeps_scale else peaks[k], after.limit)
    return peaks
