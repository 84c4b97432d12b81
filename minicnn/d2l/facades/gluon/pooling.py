"""mxnet.gluon.nn: pooling, with MXNet's arguments and defaults."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.nn import functional as F
from minicnn.nn.arguments import IntOrPair, Pair, pair
from minicnn.tensor import Tensor

from .blocks import Layer
from .context import MXNetError
from .mistakes import check_layout, check_options


class _Pooling(Layer):
    """What both kinds share: (N, C, H, W) -> (N, C, OH, OW)."""

    __module__ = "mxnet.gluon.nn.conv_layers"
    hint = "pool"
    pool_type: str
    frame: float  # what surrounds the picture
    is_global = False

    def __init__(
        self,
        pool_size: IntOrPair = (2, 2),
        strides: IntOrPair | None = None,
        padding: IntOrPair = 0,
        layout: str = "NCHW",
        ceil_mode: bool = False,
        **options: Any,
    ):
        kind = type(self).__name__
        check_options(kind, options)
        check_layout(kind, layout)
        super().__init__(**options)
        self._size = pair(f"{kind}: pool_size", pool_size)
        self._strides = self._size if strides is None else pair(f"{kind}: strides", strides)
        self._padding = pair(f"{kind}: padding", padding, least=0)
        self._ceil_mode = ceil_mode

    def compute(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise MXNetError(f"{self.name}: input has shape {x.shape}; wanted (N, C, H, W)")
        size = (x.shape[2], x.shape[3]) if self.is_global else self._size
        padding = self._padding
        if any(2 * p > k for p, k in zip(padding, size, strict=True)):
            rows, columns = padding  # the engine's own frame is half a window at most
            x, padding = F.pad(x, (columns, columns, rows, rows), value=self.frame), (0, 0)
        y = self._pooled(x, size, padding)
        self._check_size(x, y, size, padding)
        return y

    def _pooled(self, x: Tensor, size: Pair, padding: Pair) -> Tensor:
        raise NotImplementedError

    def _check_size(self, x: Tensor, y: Tensor, size: Pair, padding: Pair) -> None:
        """MXNet's ``ceil_mode`` keeps a window that begins in the frame; the engine does not."""
        if not self._ceil_mode or self.is_global:
            return
        axes = zip(x.shape[2:], size, self._strides, padding, strict=True)
        wanted = tuple(1 - (-(n + 2 * p - k) // s) for n, k, s, p in axes)
        if wanted != y.shape[2:]:
            raise MXNetError(
                f"{self.name}: with ceil_mode a window would begin behind input {x.shape}; choose "
                "another padding"
            )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self._size}, stride={self._strides}, "
            f"padding={self._padding}, ceil_mode={self._ceil_mode}, "
            f"global_pool={self.is_global}, pool_type={self.pool_type}, layout=NCHW)"
        )


class MaxPool2D(_Pooling):
    """The largest cell of each window; strides are by default the window's size."""

    pool_type, frame = "max", float(np.finfo(np.float32).min)

    def _pooled(self, x: Tensor, size: Pair, padding: Pair) -> Tensor:
        strides = size if self.is_global else self._strides
        return F.max_pool2d(x, size, strides, padding, ceil_mode=self._ceil_mode)


class AvgPool2D(_Pooling):
    """The mean of each window; strides are by default the window's size.

    Args:
        count_include_pad: whether the zeros of the padding count in the mean.
    """

    pool_type, frame = "avg", 0.0

    def __init__(
        self,
        pool_size: IntOrPair = (2, 2),
        strides: IntOrPair | None = None,
        padding: IntOrPair = 0,
        ceil_mode: bool = False,
        layout: str = "NCHW",
        count_include_pad: bool = True,
        **options: Any,
    ):
        super().__init__(pool_size, strides, padding, layout, ceil_mode, **options)
        is_wide = any(2 * p > k for p, k in zip(self._padding, self._size, strict=True))
        if is_wide and not count_include_pad:
            raise ValueError(
                f"AvgPool2D: padding {self._padding} is over half the window {self._size}; wanted "
                "less with count_include_pad=False"
            )
        self._count_include_pad = count_include_pad

    def _pooled(self, x: Tensor, size: Pair, padding: Pair) -> Tensor:
        strides = size if self.is_global else self._strides
        return F.avg_pool2d(x, size, strides, padding, self._ceil_mode, self._count_include_pad)


class GlobalMaxPool2D(MaxPool2D):
    """The largest cell of each picture: (N, C, H, W) -> (N, C, 1, 1)."""

    is_global = True

    def __init__(self, layout: str = "NCHW", **options: Any):
        super().__init__((1, 1), None, 0, layout, True, **options)


class GlobalAvgPool2D(AvgPool2D):
    """The mean of each picture: (N, C, H, W) -> (N, C, 1, 1)."""

    is_global = True

    def __init__(self, layout: str = "NCHW", **options: Any):
        super().__init__((1, 1), None, 0, True, layout, **options)
