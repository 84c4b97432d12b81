"""Batch normalisation as a layer."""

from __future__ import annotations

import numpy as np

from minicnn.checks import check_number
from minicnn.device import on_device_of
from minicnn.nn import arguments
from minicnn.nn import functional as F
from minicnn.nn.module import Module, Parameter
from minicnn.tensor import Tensor

from .weights import check_sizes


class BatchNorm2d(Module):
    """Normalise each channel: see ``F.batch_norm``; the formula stands in ``minicnn.ops.norm``.

    (N, C, H, W) -> the same. weight (ones) and bias (zeros): (C,), none without ``affine``;
    buffers running_mean, running_var: (C,) and num_batches_tracked, none without
    ``track_running_stats``. With ``momentum`` None they average over all batches.
    """

    running_mean: Tensor | None
    running_var: Tensor | None
    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ):
        super().__init__()
        check_sizes(self, num_features=num_features)
        arguments.check_eps("BatchNorm2d", eps)
        if momentum is not None:
            check_number("BatchNorm2d: momentum", momentum)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = self.bias = self.running_mean = self.running_var = None
        if affine:
            self.weight = Parameter(np.ones(num_features, np.float32))
            self.bias = Parameter(np.zeros(num_features, np.float32))
        if track_running_stats:
            self.register_buffer("running_mean", Tensor(np.zeros(num_features, np.float32)))
            self.register_buffer("running_var", Tensor(np.ones(num_features, np.float32)))
            self.register_buffer("num_batches_tracked", Tensor(np.zeros((), np.int64)))

    def forward(self, input: Tensor) -> Tensor:
        input = arguments.as_input("BatchNorm2d", input)
        if input.ndim != 4:
            one = "; for one picture pass x[None]" if input.ndim == 3 else ""
            raise ValueError(
                f"BatchNorm2d: input has shape {input.shape}; wanted (N, C, H, W){one}"
            )
        output = F.batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.next_momentum() if self.training else 0.0,
            self.eps,
        )
        if self.training:  # and not before: a batch that is refused is not counted
            self.count_batch()
        return output

    def next_momentum(self) -> float:
        """How far the next training batch moves the running statistics."""
        if self.running_mean is None:
            return 0.0
        return 1 / (float(self.num_batches_tracked) + 1) if self.momentum is None else self.momentum

    def count_batch(self) -> None:
        """Count one more training batch."""
        if self.running_mean is not None:
            with on_device_of(self.num_batches_tracked.data):
                self.num_batches_tracked.data += 1

    num_batches_tracked: Tensor

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"
