"""What ``minicnn.compile`` returns, as far as it is the same on CPU and GPU.

What a call does with its arrays stands in ``cpu/step.py`` and ``gpu/step.py``.
"""

from __future__ import annotations

from typing import Any

from minicnn import nn, optim
from minicnn.kernels import Array
from minicnn.tensor import Tensor

from .accepted import check_optimizer, settings_of
from .engines import Compiled
from .means import Exchange, Means


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
        """The result of the graph for a batch: an array of its own."""
        raise NotImplementedError


class CompiledStep(Compiled):
    """``loss, logits = step(x, y)``: see ``minicnn.compile``.

    Attributes:
        means: of loss and correct predictions over the batches since their last reset.
        exchange: called before the update, on each of the ranks that share a batch.
        gathers: whether it can gather batches from a data set on its device: ``GpuStep.read_from``.
    """

    loss: nn.CrossEntropyLoss
    optimizer: optim.Optimizer
    means: Means
    exchange: Exchange | None = None
    gathers = False

    def __init__(
        self, net: nn.Module, loss: nn.CrossEntropyLoss, optimizer: optim.Optimizer, profile: bool
    ):
        super().__init__(net, profile)
        self.loss, self.optimizer = loss, optimizer

    def __getstate__(self) -> dict[str, Any]:
        """A copy has means of its own."""
        return {**super().__getstate__(), "means": self.means.copy()}

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
