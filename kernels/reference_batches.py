"""What happens to a batch before the net, and its loss: a part of ``reference``."""

from __future__ import annotations

from typing import Any

from .arrays import Array, array_module


def load_batch(images: Array, labels: Array, rows: Any, scale: Array | None) -> tuple[Array, Array]:
    """Some pictures as float32 numbers, and their labels.

    images: uint8 (M, C, H, W), labels: (M,), rows: a slice or int64 (N,). scale: a factor and what
    is then added, each float32 (C, 1, 1); None: the pixels are divided by 255. Returns (N, C, H, W)
    and (N,); of a slice the labels are a view.
    """
    if isinstance(rows, slice):
        pixels, y = images[rows], labels[rows]
    else:
        pixels, y = images.take(rows, axis=0), labels.take(rows, axis=0)
    x = pixels.astype("float32")
    if scale is None:
        x /= 255
    else:
        x *= scale[0]
        x += scale[1]
    return x, y


def class_indices(
    labels: Array, weight: Array | None, classes: int, ignore_index: int, dtype: Any
) -> tuple[Array, Array]:
    """The class of each row for a loss, and how much the row counts, without looking at a label.

    labels: int64 (M,), weight: (classes,) or None for ones. Returns the labels, -1 instead of
    ``ignore_index``, and the rows' weights (M,) of ``dtype``: 0 for those, NaN for a label that is
    no class (as if it were 0).
    """
    xp = array_module(labels)
    ignored = labels == ignore_index
    outside = ((labels < 0) | (labels >= classes)) & ~ignored
    indices = xp.where(outside, 0, xp.where(ignored, -1, labels))
    weights = xp.ones(max(classes, 1), dtype) if weight is None else weight
    weights = xp.where(ignored, 0, xp.where(outside, float("nan"), weights[indices]))
    return indices, weights.astype(dtype, copy=False)


def softmax_cross_entropy(logits: Array, target: Array) -> tuple[Array, Array]:
    """losses[m] = log(sum_c exp(logits[m, c])) - logits[m, target[m]], and the softmax.

    logits: (M, C), target: (M,) integers in 0..C-1, or -1 for a row that does not count
    (its loss is 0). Returns losses (M,) and probabilities (M, C).
    """
    xp = array_module(logits)
    shifted = logits - logits.max(axis=1, keepdims=True)
    probabilities = xp.exp(shifted)
    total = probabilities.sum(axis=1, keepdims=True)
    probabilities /= total
    # target -1 picks the last class here; the row is masked below
    picked = shifted[xp.arange(len(target)), target]
    losses = xp.where(target >= 0, xp.log(total[:, 0]) - picked, 0).astype(logits.dtype)
    return losses, probabilities


def softmax_cross_entropy_backward(p: Array, target: Array, dlosses: Array) -> Array:
    """dlogits[m] = dlosses[m] (p[m] - onehot(target[m])), or zeros where target[m] is -1.

    p: (M, C), the softmax; target, dlosses: (M,).
    """
    xp = array_module(p)
    dlogits = p.copy()
    dlogits[xp.arange(len(p)), target] -= 1  # target -1 picks the last class: zeroed below
    dlogits *= dlosses[:, None]
    return xp.where(target[:, None] < 0, p.dtype.type(0), dlogits)


def reduce_losses(losses: Array, weight: Array, is_mean: bool) -> tuple[Array, Array]:
    """sum_m weight[m] losses[m] / divisor, and the divisor: sum_m weight[m], or 1 for a sum.

    losses, weight: (M,); returns two ().
    """
    divisor = weight.sum() if is_mean else losses.dtype.type(1)
    return (losses * weight).sum() / divisor, divisor


def count_batch(total: Array, correct: Array, loss: Array, logits: Array, target: Array) -> None:
    """total += loss * N, correct += the number of correct predictions, in place.

    total: (), correct: () int64; loss: (), the mean over N images; logits: (N, C, ...), target:
    (N, ...) class indices. The largest logit is the prediction, of equal ones the first.
    """
    total += loss.astype(total.dtype) * len(target)
    correct += (logits.argmax(axis=1) == target).sum()
