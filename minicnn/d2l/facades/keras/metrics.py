"""Keras' metrics: what grows over the batches of an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.d2l.facades.keras.arrays import Tensor, as_tensor
from minicnn.d2l.facades.keras.losses import class_numbers
from minicnn.d2l.facades.keras.naming import snake
from minicnn.tensor import Tensor as EngineTensor


class Metric:
    """A mean over samples: ``update_state``, ``result``, ``reset_state``.

    Attributes:
        count: how many samples so far.
    """

    def __init__(self, name: str | None = None):
        self.name = name or snake(type(self).__name__)
        self.reset_state()

    def reset_state(self) -> None:
        """Begin again."""
        self._total: Any = 0.0
        self.count = 0.0

    reset_states = reset_state

    def add(self, total: Any, count: float) -> None:
        """Add a sum over ``count`` samples; on a GPU it stays there until it is read."""
        self._total = self._total + total
        self.count += count

    def value(self) -> float:
        """The mean so far; 0 before the first sample, as in Keras."""
        return float(self._total) / self.count if self.count else 0.0

    def result(self) -> Tensor:
        """The mean so far, as a tensor."""
        return Tensor(EngineTensor(np.float32(self.value())))

    def update_state(self, *values: Any) -> None:
        """Take in a batch."""
        raise NotImplementedError(f"{type(self).__name__} has no update_state(y_true, y_pred)")

    def __call__(self, *values: Any) -> Tensor:
        self.update_state(*values)
        return self.result()


class Mean(Metric):
    """The mean of all numbers that it is given."""

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        x = np.asarray(as_tensor(values).tensor.numpy(), np.float64)
        weight = 1.0 if sample_weight is None else np.broadcast_to(sample_weight, x.shape)
        self.add(float((x * weight).sum()), float(np.sum(weight * np.ones(x.shape))))


class Accuracy(Metric):
    """How often y_pred equals y_true."""

    def update_state(self, y_true: Any, y_pred: Any) -> None:
        true, found = as_tensor(y_true).tensor, as_tensor(y_pred).tensor
        self.add((found.data == true.to(found.device).data).sum(), found.size)


class SparseCategoricalAccuracy(Metric):
    """How often the largest of y_pred stands where y_true, a class number, says."""

    def update_state(self, y_true: Any, y_pred: Any) -> None:
        scores = as_tensor(y_pred)
        labels = class_numbers(as_tensor(y_true), scores)
        found = scores.tensor.data.argmax(axis=-1)
        self.add((found == labels.to(scores._held.device).data).sum(), labels.size)


class CategoricalAccuracy(Metric):
    """How often the largest of y_pred stands where the largest of y_true does."""

    def update_state(self, y_true: Any, y_pred: Any) -> None:
        scores = as_tensor(y_pred).tensor
        labels = as_tensor(y_true).tensor.to(scores.device).data.argmax(axis=-1)
        self.add((scores.data.argmax(axis=-1) == labels).sum(), labels.size)


class BinaryAccuracy(Metric):
    """How often y_pred is on y_true's side of ``threshold``."""

    def __init__(self, name: str | None = None, threshold: float = 0.5):
        super().__init__(name)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any) -> None:
        scores = as_tensor(y_pred).tensor
        labels = as_tensor(y_true).tensor.to(scores.device).data.reshape(scores.shape)
        self.add(((scores.data > self.threshold) == (labels > 0.5)).sum(), scores.size)


class _OfCells(Metric):
    """The mean of a function of the distances, over all cells."""

    def update_state(self, y_true: Any, y_pred: Any) -> None:
        scores = as_tensor(y_pred).tensor
        labels = as_tensor(y_true).tensor.to(scores.device).data.reshape(scores.shape)
        self.add(self.of(scores.data - labels).sum(), scores.size)

    def of(self, distance: Any) -> Any:
        """What counts of a distance."""
        raise NotImplementedError


class MeanSquaredError(_OfCells):
    """The mean of the squares."""

    def of(self, distance: Any) -> Any:
        return distance * distance


class MeanAbsoluteError(_OfCells):
    """The mean of the distances."""

    def of(self, distance: Any) -> Any:
        return abs(distance)


METRICS: dict[str, type[Metric]] = {
    "binary_accuracy": BinaryAccuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "mae": MeanAbsoluteError,
    "mean_absolute_error": MeanAbsoluteError,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
}


def metric_of(identifier: Any, y_true: Tensor, y_pred: Tensor) -> Metric:
    """A metric by name or object; ``"accuracy"`` is the one that fits labels and outputs.

    Raises:
        ValueError: an unknown name.
    """
    if isinstance(identifier, Metric):
        return identifier
    if identifier in ("accuracy", "acc"):
        if y_pred.shape[-1] == 1:
            return BinaryAccuracy(identifier)
        sparse = y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1
        return (SparseCategoricalAccuracy if sparse else CategoricalAccuracy)(identifier)
    if isinstance(identifier, str) and identifier in METRICS:
        return METRICS[identifier](identifier)
    raise ValueError(
        f"Unknown metric: {identifier!r}; wanted 'accuracy', {', '.join(METRICS)}, or an object of "
        "tf.keras.metrics"
    )
