"""The convolution as a layer, and one that learns its input channels from its first input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minicnn.nn import arguments
from minicnn.nn import functional as F
from minicnn.nn.arguments import IntOrPair
from minicnn.nn.module import Module
from minicnn.tensor import Tensor

from .weights import Lazy, check_sizes, default_weights


class Conv2d(Module):
    """2-D convolution: see ``F.conv2d``; the formula stands in ``minicnn.ops.conv``.

    (N, C, H, W) -> (N, O, OH, OW). weight: (O, C / groups, KH, KW), bias: (O,), both uniform in
    ±1 / sqrt(fan_in).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair | str = 0,
        dilation: IntOrPair = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        super().__init__()
        self._set_arguments(out_channels, kernel_size, stride, padding, dilation, groups, bias)
        self._set_in_channels(in_channels)

    def _set_arguments(
        self,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair,
        padding: IntOrPair | str,
        dilation: IntOrPair,
        groups: int,
        bias: bool,
    ) -> None:
        kind = type(self).__name__
        check_sizes(self, out_channels=out_channels, groups=groups)
        arguments.convolution_window(kind, stride, padding, dilation)
        self.out_channels = out_channels
        self.kernel_size = arguments.pair(f"{kind}: kernel_size", kernel_size)
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.groups, self.has_bias = groups, bias
        self._check_groups(out_channels=out_channels)

    def _check_groups(self, **channels: int) -> None:
        for name, count in channels.items():
            if count % self.groups:
                raise ValueError(
                    f"{type(self).__name__}: groups is {self.groups}; wanted a divisor of {name} "
                    f"{count}"
                )

    def _set_in_channels(self, in_channels: int) -> None:
        check_sizes(self, in_channels=in_channels)
        self._check_groups(in_channels=in_channels)
        self.in_channels = in_channels
        shape = (self.out_channels, in_channels // self.groups, *self.kernel_size)
        self.weight, self.bias = default_weights(shape, self.has_bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def multiply_adds(self, inputs: tuple[Any, ...], output: Tensor) -> int:
        return output.size * math.prod(self.weight.shape[1:])

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        defaults = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        values = {name: getattr(self, name) for name in defaults}
        text += "".join(f", {k}={v!r}" for k, v in values.items() if v != defaults[k])
        return text + ("" if self.has_bias else ", bias=False")


class LazyConv2d(Lazy, Conv2d):
    """Takes ``in_channels`` from its first input, and is a plain ``Conv2d`` from then on."""

    def __init__(
        self,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair | str = 0,
        dilation: IntOrPair = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        Module.__init__(self)
        self._set_arguments(out_channels, kernel_size, stride, padding, dilation, groups, bias)

    def _become(self, in_channels: int) -> None:
        self._set_in_channels(in_channels)
        self.__class__ = Conv2d  # type: ignore[assignment]

    def forward(self, input: Tensor) -> Tensor:
        input = arguments.as_input("LazyConv2d", input)
        arguments.check_pictures("LazyConv2d", input)
        arguments.check_floating("LazyConv2d", input)
        self._become(input.shape[-3])
        self.to(input.dtype).to(input.device)
        return self.forward(input)  # of the plain class: hooks run once

    def _prepare_for_state(self, prefix: str, state: Mapping[str, Any]) -> None:
        weight = state.get(f"{prefix}weight")
        if weight is not None and weight.ndim == 4:
            self._become(weight.shape[1] * self.groups)

    def extra_repr(self) -> str:
        return f"{self.out_channels}, kernel_size={self.kernel_size}"
