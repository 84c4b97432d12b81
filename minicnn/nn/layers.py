"""The layers: names, arguments, defaults and initial weights of torch.nn."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

from minicnn.device import beside
from minicnn.tensor import Tensor

from . import arguments, init
from . import functional as F
from .arguments import IntOrPair
from .module import Module, Parameter


class Sequential(Module):
    """Modules one after the other. Iterates, indexes, slices (into a Sequential) and nests."""

    def __init__(self, *modules: Module):
        super().__init__()
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> Sequential:
        """Add ``module`` at the end."""
        if not isinstance(module, Module):
            raise TypeError(f"Sequential: wanted modules, received {type(module).__name__}")
        setattr(self, str(len(self)), module)
        return self

    def _check_replacement(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_modules", ()) and not isinstance(value, Module):
            raise TypeError(
                f"Sequential: {name} is a layer; wanted a Module, received {type(value).__name__}"
            )
        super()._check_replacement(name, value)

    def forward(self, input: Tensor) -> Tensor:
        for module in self:
            input = module(input)
        return input

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module:
        modules = list(self)[index]
        return Sequential(*modules) if isinstance(modules, list) else modules

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, list(self._modules)[operator.index(index)], module)


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
        _check_sizes(self, out_channels=out_channels, groups=groups)
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
        _check_sizes(self, in_channels=in_channels)
        self._check_groups(in_channels=in_channels)
        self.in_channels = in_channels
        shape = (self.out_channels, in_channels // self.groups, *self.kernel_size)
        self.weight, self.bias = _default_weights(shape, self.has_bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def multiply_adds(self, inputs: tuple[Any, ...], output: Tensor) -> int:
        return output.size * math.prod(self.weight.shape[1:])

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        defaults = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        given = {name: getattr(self, name) for name in defaults}
        text += "".join(f", {k}={v!r}" for k, v in given.items() if v != defaults[k])
        return text + ("" if self.has_bias else ", bias=False")


class Linear(Module):
    """The dense layer y = x Wᵀ + b: see ``F.linear``; the formula stands in ``minicnn.ops.linear``.

    (..., in_features) -> (..., out_features). weight: (O, K), bias: (O,), both uniform in
    ±1 / sqrt(K).
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        super().__init__()
        self.out_features, self.has_bias = out_features, bias
        _check_sizes(self, out_features=out_features)
        self._set_in_features(in_features)

    def _set_in_features(self, in_features: int) -> None:
        _check_sizes(self, in_features=in_features)
        self.in_features = in_features
        self.weight, self.bias = _default_weights((self.out_features, in_features), self.has_bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def multiply_adds(self, inputs: tuple[Any, ...], output: Tensor) -> int:
        return output.size * self.in_features

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + (
            "" if self.has_bias else ", bias=False"
        )


class _Lazy(Module):
    """A layer that learns its input size from its first input (or from a loaded state).

    From then on it is a layer of the plain class, ``type(layer)`` included.
    """

    def _own_parameters(self) -> Iterator[tuple[str, Parameter]]:
        raise RuntimeError(
            f"{type(self).__name__} has no parameters before its first input: "
            "send a batch through the net first, for example by net.summary(input_shape)"
        )


class LazyConv2d(_Lazy, Conv2d):
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


class LazyLinear(_Lazy, Linear):
    """Takes ``in_features`` from its first input, and is a plain ``Linear`` from then on."""

    def __init__(self, out_features: int, bias: bool = True):
        Module.__init__(self)
        _check_sizes(self, out_features=out_features)
        self.out_features, self.has_bias = out_features, bias

    def _become(self, in_features: int) -> None:
        self._set_in_features(in_features)
        self.__class__ = Linear  # type: ignore[assignment]

    def forward(self, input: Tensor) -> Tensor:
        input = arguments.as_input("LazyLinear", input)
        arguments.check_floating("LazyLinear", input)
        if input.ndim == 0:
            raise ValueError("LazyLinear: input has shape (); wanted (..., in_features)")
        self._become(input.shape[-1])
        self.to(input.dtype).to(input.device)
        return self.forward(input)  # of the plain class: hooks run once

    def _prepare_for_state(self, prefix: str, state: Mapping[str, Any]) -> None:
        weight = state.get(f"{prefix}weight")
        if weight is not None and weight.ndim == 2:
            self._become(weight.shape[1])

    def extra_repr(self) -> str:
        return f"{self.out_features}"


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


class Flatten(Module):
    """The axes from ``start_dim`` to ``end_dim`` made one: (N, C, H, W) -> (N, C·H·W)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return arguments.as_input("Flatten", input).flatten(self.start_dim, self.end_dim)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class ReLU(Module):
    """max(x, 0), any shape. ``inplace`` is taken, as PyTorch's; the input stays as it is."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Tanh(Module):
    """The hyperbolic tangent, any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Softmax(Module):
    """exp(x) / sum(exp(x)) over the axis ``dim``, any shape."""

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """x - log(sum(exp(x))) over the axis ``dim``, any shape: for ``NLLLoss``."""

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Identity(Module):
    """Its input, as it is; all arguments are ignored. It holds the place of another layer."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Dropout(Module):
    """In training, zero each cell with probability ``p``: see ``F.dropout``. Any shape.

    ``inplace`` is taken, as PyTorch's; the input stays as it is.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        arguments.check_number("Dropout: p", p)
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is {p}; wanted a probability from 0 to 1")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class BatchNorm2d(Module):
    """Normalise each channel: see ``F.batch_norm``; the formula stands in ``minicnn.ops.norm``.

    (N, C, H, W) -> the same. weight (ones) and bias (zeros): (C,), none without ``affine``;
    buffers running_mean, running_var: (C,) and num_batches_tracked, none without
    ``track_running_stats``. ``momentum`` None averages over all batches.
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
        _check_sizes(self, num_features=num_features)
        arguments.check_eps("BatchNorm2d", eps)
        if momentum is not None:
            arguments.check_number("BatchNorm2d: momentum", momentum)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
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
            with beside(self.num_batches_tracked.data):
                self.num_batches_tracked.data += 1

    num_batches_tracked: Tensor

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class CrossEntropyLoss(Module):
    """Softmax cross-entropy of logits: see ``F.cross_entropy``."""

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__()
        arguments.check_loss_settings("CrossEntropyLoss", reduction, label_smoothing)
        self.weight = None
        if weight is not None:
            self.register_buffer("weight", weight)
        self.ignore_index, self.reduction = ignore_index, reduction
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class NLLLoss(Module):
    """Negative log-likelihood of log-probabilities: see ``F.nll_loss``."""

    weight: Tensor | None

    def __init__(
        self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
    ):
        super().__init__()
        arguments.check_loss_settings("NLLLoss", reduction)
        self.weight = None
        if weight is not None:
            self.register_buffer("weight", weight)
        self.ignore_index, self.reduction = ignore_index, reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


def _default_weights(shape: Sequence[int], bias: bool) -> tuple[Parameter, Parameter | None]:
    """PyTorch's default: weight and bias uniform in ±1 / sqrt(fan_in)."""
    weight = Parameter(np.empty(shape, np.float32))
    bound = 1 / math.sqrt(init.fans(weight)[0])
    init.uniform_(weight, -bound, bound)
    if not bias:
        return weight, None
    return weight, init.uniform_(Parameter(np.empty(shape[0], np.float32)), -bound, bound)  # type: ignore[return-value]


def _check_sizes(layer: Module, **sizes: int) -> None:
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or size < 1:
            kind = type(layer).__name__
            raise ValueError(f"{kind}: {name} is {size!r}; wanted an integer of at least 1")
