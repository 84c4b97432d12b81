"""The layers of ``torch.nn``: each holds a layer of the engine, and calls it.

The parameters are the engine layer's own tensors under PyTorch's names, default values included:
weights and biases uniform in ±1 / sqrt(fan_in).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minicnn import nn
from minicnn.nn.arguments import pair

from ..arrays import plain
from . import functional
from .functional import window
from .mistakes import call, made, refuse
from .module import Module
from .tensor import Parameter, Tensor, engine_tensor, wrap

Engine = nn.Module


class Layer(Module):
    """A layer that holds one of the engine's. What is set on it is set on that too."""

    past: str | None = None  # what grad_fn is called, if not by the engine's operation
    shown: tuple[str, ...] = ()  # the attributes that repr shows, with their names

    def __init__(self, engine: Engine):
        super().__init__()
        self._hold(engine)

    def _hold(self, engine: Engine) -> None:
        object.__setattr__(self, "_engine", engine)
        for name, tensor in vars(engine).items():
            if isinstance(tensor, nn.Parameter):
                self._parameters[name] = Parameter.around(tensor)
            elif name in engine._buffers:
                self._buffers[name] = wrap(engine._buffers[name])
            elif tensor is None and name in ("weight", "bias"):
                self._parameters[name] = None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        engine = vars(self).get("_engine")
        if engine is not None and hasattr(engine, name):
            setattr(engine, name, plain(value))

    def _has_bias(self) -> bool:
        return self._parameters.get("bias", self._engine.has_bias or None) is not None

    def forward(self, input: Tensor) -> Tensor:
        """What the engine's layer computes."""
        tensor = engine_tensor(type(self).__name__, "input", input)
        return wrap(call(self._engine, tensor), self.past)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.shown)


class Lazy(Layer):
    """A layer that learns its input size from its first input, and is of the plain class then."""

    plain_class: type[Layer]

    def _own_parameters(self) -> Mapping[str, Parameter | None]:
        raise RuntimeError(
            f"{type(self).__name__} has no parameters before its first input: send a batch through "
            "the net first, net(X)"
        )

    def forward(self, input: Tensor) -> Tensor:
        output = super().forward(input)
        self._become()
        return output

    def _become(self) -> None:
        object.__setattr__(self, "__class__", self.plain_class)
        self._hold(self._engine)
        for name in ("in_channels", "in_features"):
            if hasattr(self._engine, name):
                object.__setattr__(self, name, getattr(self._engine, name))

    def _prepare_for_state(self, prefix: str, state: Mapping[str, Any]) -> None:
        self._engine._prepare_for_state(prefix, state)
        if f"{prefix}weight" in state:
            self._become()


class Conv2d(Layer):
    """2-D convolution: see the engine's ``nn.Conv2d``. (N, C, H, W) -> (N, O, OH, OW)."""

    __module__ = "torch.nn.modules.conv"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        sizes = (kernel_size, stride, padding, dilation, groups, bias)
        engine = made(nn.Conv2d, in_channels, out_channels, *sizes)
        self._set_up(engine, in_channels, padding_mode, device, dtype)

    def _set_up(
        self, engine: Any, in_channels: int, padding_mode: str, device: Any, dtype: Any
    ) -> None:
        kind = type(self).__name__
        refuse(kind, padding_mode=(padding_mode, "zeros"))
        for name in ("stride", "padding", "dilation"):
            if not isinstance(getattr(engine, name), str):
                setattr(engine, name, pair(f"{kind}: {name}", getattr(engine, name), least=0))
        Layer.__init__(self, engine)
        self.in_channels, self.out_channels = in_channels, engine.out_channels
        self.kernel_size, self.stride, self.padding = window(engine)
        self.dilation, self.groups = engine.dilation, engine.groups
        self.padding_mode = padding_mode
        self.to(device=device, dtype=dtype)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        for name, default in (("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1)):
            value = getattr(self, name)
            text += "" if value == default else f", {name}={value}"
        return text + ("" if self._has_bias() else ", bias=False")


class LazyConv2d(Lazy, Conv2d):
    """Takes ``in_channels`` from its first input, and is a ``Conv2d`` from then on."""

    __module__ = "torch.nn.modules.conv"
    plain_class = Conv2d

    def __init__(
        self,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
    ):
        sizes = (kernel_size, stride, padding, dilation, groups, bias)
        engine = made(nn.LazyConv2d, out_channels, *sizes)
        self._set_up(engine, 0, padding_mode, None, None)


class Linear(Layer):
    """The dense layer y = x Wᵀ + b. (..., in_features) -> (..., out_features)."""

    __module__ = "torch.nn.modules.linear"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(made(nn.Linear, in_features, out_features, bias))
        self.in_features, self.out_features = in_features, out_features
        self.to(device=device, dtype=dtype)

    def forward(self, input: Tensor) -> Tensor:
        """y.

        Raises:
            RuntimeError: another number of features than ``in_features``.
        """
        try:
            return super().forward(input)
        except RuntimeError as error:
            shape = tuple(getattr(input, "shape", ()))
            if len(shape) == 2 and shape[1] != self.in_features:
                cure = f"write nn.Linear({shape[1]}, {self.out_features})"
                raise RuntimeError(f"{error}; {cure}") from None
            raise

    def extra_repr(self) -> str:
        sizes = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self._has_bias()}"


class LazyLinear(Lazy, Linear):
    """Takes ``in_features`` from its first input, and is a ``Linear`` from then on."""

    __module__ = "torch.nn.modules.linear"
    plain_class = Linear

    def __init__(self, out_features: int, bias: bool = True):
        Layer.__init__(self, made(nn.LazyLinear, out_features, bias))
        self.in_features, self.out_features = 0, out_features


class MaxPool2d(Layer):
    """The largest value of each window. (N, C, H, W) -> (N, C, OH, OW)."""

    __module__ = "torch.nn.modules.pooling"
    shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        refuse("MaxPool2d", return_indices=(return_indices, False))
        engine = made(nn.MaxPool2d, kernel_size, stride, padding, dilation, ceil_mode)
        super().__init__(engine)
        self.kernel_size, self.stride, self.padding = window(engine)
        self.dilation, self.ceil_mode = dilation, ceil_mode


class AvgPool2d(Layer):
    """The mean of each window. (N, C, H, W) -> (N, C, OH, OW)."""

    __module__ = "torch.nn.modules.pooling"
    shown = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        how = (ceil_mode, count_include_pad, divisor_override)
        engine = made(nn.AvgPool2d, kernel_size, stride, padding, *how)
        super().__init__(engine)
        self.kernel_size, self.stride, self.padding = window(engine)
        self.ceil_mode, self.count_include_pad, self.divisor_override = how


class Flatten(Layer):
    """The axes from ``start_dim`` to ``end_dim`` made one: (N, C, H, W) -> (N, C·H·W)."""

    __module__ = "torch.nn.modules.flatten"
    shown = ("start_dim", "end_dim")

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__(nn.Flatten(start_dim, end_dim))
        self.start_dim, self.end_dim = start_dim, end_dim


class Sigmoid(Layer):
    """1 / (1 + exp(-x)), any shape."""

    __module__ = "torch.nn.modules.activation"

    def __init__(self) -> None:
        super().__init__(nn.Sigmoid())


class Tanh(Layer):
    """The hyperbolic tangent, any shape."""

    __module__ = "torch.nn.modules.activation"

    def __init__(self) -> None:
        super().__init__(nn.Tanh())


class ReLU(Layer):
    """max(x, 0), any shape; with ``inplace`` the input is changed, and is the output."""

    __module__ = "torch.nn.modules.activation"

    def __init__(self, inplace: bool = False):
        super().__init__(nn.ReLU())
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return input.relu_() if self.inplace else super().forward(input)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Softmax(Layer):
    """exp(x) / sum(exp(x)) over the axis ``dim``."""

    __module__ = "torch.nn.modules.activation"
    shown = ("dim",)
    engine: Any = nn.Softmax

    def __init__(self, dim: int | None = None):
        if dim is None:
            kind = type(self).__name__
            raise TypeError(
                f"{kind}: dim is missing; wanted the axis of the classes: {kind}(dim=1)"
            )
        super().__init__(self.engine(dim))
        self.dim = dim


class LogSoftmax(Softmax):
    """x - log(sum(exp(x))) over the axis ``dim``: for ``NLLLoss``."""

    __module__ = "torch.nn.modules.activation"
    engine = nn.LogSoftmax


class Dropout(Layer):
    """In training, zero each cell with probability ``p`` and scale the others by 1 / (1 - p)."""

    __module__ = "torch.nn.modules.dropout"
    shown = ("p", "inplace")

    def __init__(self, p: float = 0.5, inplace: bool = False):
        refuse("Dropout", inplace=(inplace, False))
        super().__init__(made(nn.Dropout, p))
        self.p, self.inplace = p, inplace


class BatchNorm2d(Layer):
    """Normalise each channel of (N, C, H, W)."""

    __module__ = "torch.nn.modules.batchnorm"

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        how = (eps, momentum, affine, track_running_stats)
        super().__init__(made(nn.BatchNorm2d, num_features, *how))
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.to(device=device, dtype=dtype)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.affine}, track_running_stats={self.track_running_stats}"
        )


class AdaptiveAvgPool2d(Module):
    """Means of windows, ``output_size`` of them: (N, C, H, W) -> (N, C, OH, OW)."""

    __module__ = "torch.nn.modules.pooling"

    def __init__(self, output_size: Any):
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """See the class.

        Raises:
            ValueError: H or W is no multiple of the output's: windows would differ in size.
        """
        return functional.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
