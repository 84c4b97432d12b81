"""The slips of softmax and cross-entropy: the mean loss, and its gradient."""

from __future__ import annotations

import numpy as np

from .conv import Catalogue
from .sums import Array

# All are functions of logits (N, K) and labels (N,), whole numbers from 0 to K - 1.


def log_softmax(logits: Array, axis: int = 1) -> Array:
    """log p, the largest logit subtracted first, so that no exp overflows."""
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def softmax(logits: Array, axis: int = 1) -> Array:
    return np.exp(log_softmax(logits, axis))


def targets(logits: Array, labels: Array) -> Array:
    """1 at each row's label, 0 elsewhere."""
    return np.eye(logits.shape[1])[labels]


def picked(values: Array, labels: Array) -> Array:
    """Each row's value at its label."""
    return values[np.arange(len(labels)), labels]


def plain_softmax(logits: Array) -> Array:
    """As the formula is written: exp overflows at large logits."""
    e = np.exp(logits)
    return e / e.sum(axis=1, keepdims=True)


def _guarded(logits: Array, labels: Array, epsilon: float) -> Array:
    """log(p + epsilon), in the place of a log that does not go through p."""
    return -np.log(picked(softmax(logits), labels) + epsilon).mean()


LOSS: Catalogue = {
    "unstable": (
        lambda z, t: -np.log(picked(plain_softmax(z), t)).mean(),
        lambda z, t: (np.log(np.exp(z).sum(1)) - picked(z, t)).mean(),
        lambda z, t: -np.log(picked(softmax(z), t)).mean(),
        lambda z, t: -(targets(z, t) * np.log(softmax(z))).sum(1).mean(),
        lambda z, t: -(targets(z, t) * np.log(plain_softmax(z))).sum(1).mean(),
    ),
    "epsilon": tuple(
        lambda z, t, epsilon=epsilon: _guarded(z, t, epsilon)
        for epsilon in (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16)
    ),
    "sum_for_mean": (lambda z, t: -picked(log_softmax(z), t).sum(),),
    "minus_forgotten": (lambda z, t: picked(log_softmax(z), t).mean(),),
    "mean_over_classes": (lambda z, t: -(targets(z, t) * log_softmax(z)).mean(),),
    "softmax_of_columns": (lambda z, t: -picked(log_softmax(z, 0), t).mean(),),
    "log_forgotten": (
        lambda z, t: -picked(softmax(z), t).mean(),
        lambda z, t: 1 - picked(softmax(z), t).mean(),
    ),
    "softmax_forgotten": (lambda z, t: -picked(z, t).mean(),),
    "most_likely_class": (lambda z, t: -log_softmax(z).max(axis=1).mean(),),
    "other_base": (
        lambda z, t: -picked(log_softmax(z), t).mean() / np.log(2),
        lambda z, t: -picked(log_softmax(z), t).mean() / np.log(10),
    ),
    "images_first": (lambda z, t: -picked(log_softmax(z), t)[0],),
    "overwritten": (lambda z, t: -picked(log_softmax(z), t)[-1],),
    "all_classes": (lambda z, t: -log_softmax(z).sum(1).mean(),),
    "not_summed": (lambda z, t: -picked(log_softmax(z), t),),
}
DLOGITS: Catalogue = {
    "not_divided": (lambda z, t: softmax(z) - targets(z, t),),
    "divided_twice": (lambda z, t: (softmax(z) - targets(z, t)) / len(z) ** 2,),
    "divided_by_classes": (
        lambda z, t: (softmax(z) - targets(z, t)) / z.size,
        lambda z, t: (softmax(z) - targets(z, t)) / z.shape[1],
    ),
    "targets_minus_p": (
        lambda z, t: (targets(z, t) - softmax(z)) / len(z),
        lambda z, t: targets(z, t) - softmax(z),
    ),
    "targets_forgotten": (
        lambda z, t: softmax(z) / len(z),
        lambda z, t: softmax(z),
    ),
    "targets_not_divided": (lambda z, t: softmax(z) / len(z) - targets(z, t),),
    "gradient_of_p": (
        lambda z, t: -targets(z, t) / softmax(z) / len(z),
        lambda z, t: np.where(targets(z, t), -1 / softmax(z), 0) / len(z),
        lambda z, t: np.where(targets(z, t), -1 / softmax(z), 0),
        lambda z, t: -targets(z, t) / softmax(z),
    ),
    "softmax_forgotten": (
        lambda z, t: (z - targets(z, t)) / len(z),
        lambda z, t: (log_softmax(z) - targets(z, t)) / len(z),
    ),
    "softmax_of_columns": (lambda z, t: (softmax(z, 0) - targets(z, t)) / len(z),),
    "label_only": (
        lambda z, t: targets(z, t) * (softmax(z) - 1) / len(z),
    ),
    "softmax_twice": (lambda z, t: (softmax(softmax(z)) - targets(z, t)) / len(z),),
    "times_sigmoid": (
        lambda z, t: (softmax(z) - targets(z, t)) * softmax(z) * (1 - softmax(z)) / len(z),
    ),
    "images_first": (
        lambda z, t: (softmax(z) - targets(z, t)) / len(z) * (np.arange(len(z)) == 0)[:, None],
    ),
    "first_label": (
        lambda z, t: (softmax(z) - targets(z, np.full_like(t, t[0]))) / len(z),
    ),
    "label_off_by_one": (
        lambda z, t: (softmax(z) - np.roll(targets(z, t), -1, 1)) / len(z),
        lambda z, t: (softmax(z) - np.roll(targets(z, t), 1, 1)) / len(z),
    ),
    "unstable": (lambda z, t: (plain_softmax(z) - targets(z, t)) / len(z),),
}  # fmt: skip
