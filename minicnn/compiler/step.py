"""What ``minicnn.compile`` returns, as far as it is the same on CPU and GPU.

What a call does with its arrays stands in ``cpu/step.py`` and ``gpu/step.py``.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from minicnn import nn, optim
from minicnn.kernels import Array, array_module
from minicnn.tensor import Tensor

from .accepted import check_optimizer, settings_of
from .engines import Compiled


class Counts:
    """The sums of an epoch, on the net's device: of the losses and of the correct predictions.

    Args:
        loss: an array without axes, for the sum of the losses.
    """

    def __init__(self, loss: Array):
        self.loss, self.hits = loss, array_module(loss).zeros((), np.int64)

    def __copy__(self) -> Counts:
        other = Counts(self.loss)
        other.loss, other.hits = self.now()
        return other

    def reset(self) -> None:
        """Begin again at 0."""
        self.loss.fill(0)
        self.hits.fill(0)

    def now(self) -> tuple[Array, Array]:
        """Both sums as they stand now: copies on the device. To read those of a GPU is to wait."""
        return self.loss.copy(), self.hits.copy()


class Predictor(Compiled):
    """``predict(x)``: see ``minicnn.compile``. Threads may share it."""

    training = False

    def __call__(self, x: Any) -> Tensor:
        """``net(x)`` in evaluation mode and without recording; the net's own mode stays.

        x: (N, C, H, W) in the net's dtype, or uint8 (pixels, divided by 255). Returns (N, classes).
        """
        (pixels,) = self._arrays(x)
        with self._alone():
            return Tensor(self._predict(pixels))

    def _predict(self, pixels: Array) -> Array:
        """The result of the chain for a batch: an array of its own."""
        raise NotImplementedError


class CompiledStep(Compiled):
    """``loss, logits = step(x, y)``: see ``minicnn.compile``.

    Attributes:
        counts: the sums of losses and correct predictions since their last reset.
    """

    loss: nn.CrossEntropyLoss
    optimizer: optim.Optimizer
    counts: Counts

    def __init__(
        self, net: nn.Module, loss: nn.CrossEntropyLoss, optimizer: optim.Optimizer, profile: bool
    ):
        super().__init__(net, profile)
        self.loss, self.optimizer = loss, optimizer

    def __getstate__(self) -> dict[str, Any]:
        """A copy counts for itself."""
        return {**super().__getstate__(), "counts": copy.copy(self.counts)}

    def __call__(self, x: Any, y: Any, gradient: float = 1.0) -> tuple[Tensor, Tensor]:
        """One step of training.

        Args:
            x: (N, C, H, W) in the net's dtype, or uint8 (pixels, divided by 255).
            y: (N,) class indices.
            gradient: what would be passed to ``loss.backward``.

        Returns:
            The loss and the logits (N, classes) from before the update, not on the tape; both are
            valid until the next call.

        A step of another thread waits until this one has ended, and is the next call.
        """
        pixels, labels = self._arrays(x, y)
        if labels.dtype.kind not in "biu":
            raise TypeError(
                f"compile: y is {labels.dtype}; wanted class indices, integers: "
                "minicnn.Tensor(y).to('int64')"
            )
        with self._alone():
            check_optimizer(self.optimizer)  # it may have got a method of its own since
            return self._step(pixels, labels, gradient)

    def _step(self, pixels: Array, labels: Array, gradient: float) -> tuple[Tensor, Tensor]:
        """Compute, count and update. Returns loss and logits."""
        raise NotImplementedError

    def gradients(self) -> dict[str, Tensor]:
        """The gradients of the last step, by the parameters' names; valid until the next."""
        engine = self._engine_of_last_call()
        return {
            name: Tensor(gradient)
            for name, p in self.net.named_parameters()
            if p.requires_grad and (gradient := engine.gradient_of(p)) is not None
        }

    def _check(self) -> None:
        super()._check()
        settings_of(self.loss)
