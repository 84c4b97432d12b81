"""Max and average pooling as layers."""

from __future__ import annotations

from minicnn.nn import arguments
from minicnn.nn import functional as F
from minicnn.nn.arguments import IntOrPair
from minicnn.nn.module import Module
from minicnn.tensor import Tensor


class MaxPool2d(Module):
    """The largest value of each window: see ``F.max_pool2d``. (N, C, H, W) -> (N, C, OH, OW)."""

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: IntOrPair = 0,
        dilation: IntOrPair = 1,
        ceil_mode: bool = False,
    ):
        super().__init__()
        arguments.pooling_window("MaxPool2d", kernel_size, stride, padding, dilation)
        self.kernel_size, self.stride = kernel_size, arguments.pooling_stride(kernel_size, stride)
        self.padding, self.dilation, self.ceil_mode = padding, dilation, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        window = (self.kernel_size, self.stride, self.padding, self.dilation)
        return F.max_pool2d(input, *window, self.ceil_mode)

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(Module):
    """The mean of each window: see ``F.avg_pool2d``. (N, C, H, W) -> (N, C, OH, OW)."""

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: IntOrPair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        super().__init__()
        arguments.pooling_window("AvgPool2d", kernel_size, stride, padding)
        arguments.check_divisor("AvgPool2d", divisor_override)
        self.kernel_size, self.stride = kernel_size, arguments.pooling_stride(kernel_size, stride)
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input: Tensor) -> Tensor:
        window = (self.kernel_size, self.stride, self.padding, self.ceil_mode)
        return F.avg_pool2d(input, *window, self.count_include_pad, self.divisor_override)

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, stride={self.stride}, padding={self.padding}"
