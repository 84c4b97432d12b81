"""mxnet.gluon.nn.BatchNorm."""

from __future__ import annotations

from typing import Any

from minicnn import ops
from minicnn.kernels import Array
from minicnn.nn import functional as F
from minicnn.nn.arguments import check_eps
from minicnn.tensor import Tensor, apply

from . import autograd
from .blocks import Layer
from .context import MXNetError
from .mistakes import check_options


class _Moving(ops.BatchNorm):
    """Batch norm whose backward moves the running statistics, as MXNet's does.

    running = momentum * running + (1 - momentum) * batch's, with the biased variance.
    """

    def __init__(self, eps: float, mean: Tensor, var: Tensor, momentum: float):
        super().__init__(eps)
        self.running, self.momentum = (mean, var), momentum

    def backward(self, dy: Array) -> Array | tuple[Array, ...]:
        for running, now in zip(self.running, (self.mean, self.var), strict=True):
            running.data = self.momentum * running.data + (1 - self.momentum) * now
        return super().backward(dy)


class BatchNorm(Layer):
    """Normalise each channel, (N, C, ...) -> the same: in training with the batch's statistics.

    gamma (ones), beta (zeros), running_mean, running_var: (C,). MXNet's ``momentum`` is the share
    that the running statistics keep (0.9), the rest is what PyTorch calls momentum (0.1).

    Raises:
        ValueError: another ``axis`` than 1.
    """

    __module__ = "mxnet.gluon.nn.basic_layers"

    def __init__(
        self,
        axis: int = 1,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        use_global_stats: bool = False,
        in_channels: int = 0,
        **options: Any,
    ):
        check_options("BatchNorm", options)
        if axis != 1:
            raise ValueError(f"BatchNorm: axis is {axis}; wanted 1, the channels of (N, C, H, W)")
        check_eps("BatchNorm", epsilon)
        super().__init__(**options)
        self._momentum, self._epsilon = momentum, epsilon
        self._scale, self._use_global_stats = scale, use_global_stats
        for name, init, learnt in (
            ("gamma", "ones", scale),
            ("beta", "zeros", center),
            ("running_mean", "zeros", False),
            ("running_var", "ones", False),
        ):
            parameter = self.params.get(
                name,
                shape=(in_channels,),
                init=init,
                grad_req="write" if learnt else "null",
                allow_deferred_init=True,
            )
            setattr(self, name, parameter)

    def compute(self, x: Tensor) -> Tensor:
        if x.ndim < 2:
            raise MXNetError(f"{self.name}: input has shape {x.shape}; wanted (N, C, ...)")
        shape = x.shape[1:2]
        names = ("gamma", "beta", "running_mean", "running_var")
        gamma, beta, mean, var = self.parameters_for(x, **dict.fromkeys(names, shape))
        if not autograd.is_training() or self._use_global_stats:
            return F.batch_norm(x, mean, var, gamma, beta, eps=self._epsilon)
        return apply(_Moving(self._epsilon, mean, var, self._momentum), x, gamma, beta)

    def __repr__(self) -> str:
        channels = self.gamma.shape[0]
        return (
            f"BatchNorm(axis=1, eps={self._epsilon}, momentum={self._momentum}, "
            f"fix_gamma={not self._scale}, use_global_stats={self._use_global_stats}, "
            f"in_channels={None if channels == 0 else channels})"
        )
