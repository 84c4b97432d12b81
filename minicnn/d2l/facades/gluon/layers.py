"""mxnet.gluon.nn: the layers, with MXNet's arguments and defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.nn import functional as F
from minicnn.nn.arguments import IntOrPair, pair
from minicnn.tensor import Tensor

from . import autograd
from .blocks import Block, Layer
from .context import MXNetError
from .mistakes import check_layout, check_options
from .parameters import Parameter

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
}


class Activation(Layer):
    """relu, sigmoid or tanh.

    Raises:
        ValueError: another activation.
    """

    __module__ = "mxnet.gluon.nn.activations"

    def __init__(self, activation: str, **options: Any):
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation is {activation!r}; wanted one of {', '.join(ACTIVATIONS)}"
            )
        self.hint = activation
        super().__init__(**options)
        self.activation = activation

    def compute(self, x: Tensor) -> Tensor:
        return ACTIVATIONS[self.activation](x)

    def __repr__(self) -> str:
        return f"Activation({self.activation})"


class _Weighted(Layer):
    """A layer with a weight, a bias if it is wanted, and perhaps an activation."""

    weight: Parameter
    bias: Parameter | None
    act: Activation | None

    def _set_weights(
        self,
        shape: tuple[int, ...],
        use_bias: bool,
        activation: str | None,
        initializers: tuple[Any, Any],
        dtype: Any,
    ) -> None:
        options = {"dtype": dtype, "allow_deferred_init": True}
        self.weight = self.params.get("weight", shape=shape, init=initializers[0], **options)
        if use_bias:
            self.bias = self.params.get("bias", shape=shape[:1], init=initializers[1], **options)
        else:
            self.bias = None
        self.act = None
        if activation is not None:
            with self.name_scope():
                self.act = Activation(activation, prefix=f"{activation}_")

    def _activated(self, y: Tensor) -> Tensor:
        return y if self.act is None else self.act.compute(y)

    def _in_size(self) -> int:
        """in_units, or in_channels / groups; below 1 where it is not known yet."""
        return (self.weight.shape or (0, 0))[1]

    def _inputs(self) -> str:
        count = self._in_size()
        return str(None if count == 0 else count)


class Dense(_Weighted):
    """y = x Wᵀ + b, (N, ...) -> (N, units): all axes but the first are made one, by default.

    weight: (units, in_units), bias: (units,).

    Args:
        flatten: otherwise over the last axis, (..., in_units) -> (..., units).
        in_units: by default from the first batch.
    """

    __module__ = "mxnet.gluon.nn.basic_layers"

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        flatten: bool = True,
        dtype: Any = "float32",
        weight_initializer: Any = None,
        bias_initializer: Any = "zeros",
        in_units: int = 0,
        **options: Any,
    ):
        check_options("Dense", options)
        super().__init__(**options)
        self._units, self._flatten = _size("Dense: units", units), flatten
        inits = weight_initializer, bias_initializer
        self._set_weights((units, in_units), use_bias, activation, inits, dtype)

    def compute(self, x: Tensor) -> Tensor:
        if self._flatten and x.ndim != 2:
            x = x.reshape(len(x), -1)
        known = self._in_size()
        if known > 0 and x.shape[-1] != known:
            raise MXNetError(
                f"{self.name}: input has {x.shape[-1]} cells an example; wanted {known}, the "
                "number of the first batch; for other pictures make a new net"
            )
        sizes = {"weight": (self._units, x.shape[-1]), "bias": (self._units,)}
        return self._activated(F.linear(x, *self.parameters_for(x, **sizes)))

    def __repr__(self) -> str:
        end = "linear" if self.act is None else repr(self.act)
        return f"Dense({self._inputs()} -> {self._units}, {end})"


class Conv2D(_Weighted):
    """2-D convolution, (N, C, H, W) -> (N, channels, OH, OW).

    weight: (channels, in_channels / groups, KH, KW), bias: (channels,).

    Args:
        padding: zeros on each side.
        in_channels: by default from the first batch.

    Raises:
        ValueError: sizes that are no sizes; another ``layout`` than NCHW.
    """

    __module__ = "mxnet.gluon.nn.conv_layers"
    hint = "conv"

    def __init__(
        self,
        channels: int,
        kernel_size: IntOrPair,
        strides: IntOrPair = (1, 1),
        padding: IntOrPair = (0, 0),
        dilation: IntOrPair = (1, 1),
        groups: int = 1,
        layout: str = "NCHW",
        activation: str | None = None,
        **options: Any,
    ):
        names = ("use_bias", "weight_initializer", "bias_initializer", "in_channels")
        own = {name: options.pop(name) for name in names if name in options}
        check_options("Conv2D", options)
        check_layout("Conv2D", layout)
        super().__init__(**options)
        self._channels = _size("Conv2D: channels", channels)
        self._kernel = pair("Conv2D: kernel_size", kernel_size)
        self._window = (
            pair("Conv2D: strides", strides),
            pair("Conv2D: padding", padding, least=0),
            pair("Conv2D: dilation", dilation),
            groups,
        )
        shape = (channels, own.get("in_channels", 0) // groups, *self._kernel)
        inits = own.get("weight_initializer"), own.get("bias_initializer", "zeros")
        self._set_weights(shape, own.get("use_bias", True), activation, inits, np.float32)

    def compute(self, x: Tensor) -> Tensor:
        self._check_pictures(x)
        groups = self._window[3]
        shape = (self._channels, x.shape[1] // groups, *self._kernel)
        weights = self.parameters_for(x, weight=shape, bias=shape[:1])
        return self._activated(F.conv2d(x, weights[0], weights[1], *self._window))

    def _check_pictures(self, x: Tensor) -> None:
        if x.ndim != 4:
            cures = {
                2: "; for one picture of one channel write X.reshape((1, 1) + X.shape)",
                3: "; for pictures of one channel write X.expand_dims(axis=1)",
            }
            raise MXNetError(
                f"{self.name}: input has shape {x.shape}; wanted (N, C, H, W)"
                + cures.get(x.ndim, "")
            )
        known, groups = self._in_size(), self._window[3]
        looks_last = x.shape[3] in (1, 3) and x.shape[1] not in (1, 3)
        if (known > 0 and x.shape[1] != known * groups) or (known < 1 and looks_last):
            cure = "; it looks like (N, H, W, C): write X.transpose((0, 3, 1, 2))"
            raise MXNetError(
                f"{self.name}: input has shape {x.shape}, {x.shape[1]} channels"
                + (f"; wanted {known * groups}" if known > 0 else "")
                + (cure if looks_last or x.shape[3] == known * groups else "")
            )

    def __repr__(self) -> str:
        strides, padding, dilation, groups = self._window
        parts = [f"{self._inputs()} -> {self._channels}", f"kernel_size={self._kernel}"]
        parts.append(f"stride={strides}")
        parts += [f"padding={padding}"] if padding != (0, 0) else []
        parts += [f"dilation={dilation}"] if dilation != (1, 1) else []
        parts += [f"groups={groups}"] if groups != 1 else []
        parts += ["bias=False"] if self.bias is None else []
        parts += [repr(self.act)] if self.act is not None else []
        return f"Conv2D({', '.join(parts)})"


class Flatten(Layer):
    """(N, ...) -> (N, all the rest)."""

    __module__ = "mxnet.gluon.nn.basic_layers"

    def compute(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), -1)

    def __repr__(self) -> str:
        return "Flatten"


class Dropout(Layer):
    """While training, zero each cell with probability ``rate`` and scale the others up.

    Raises:
        ValueError: no probability, or 1, of which MXNet makes nan; ``axes``, along which MXNet
            would share the mask.
    """

    __module__ = "mxnet.gluon.nn.basic_layers"

    def __init__(self, rate: float, axes: tuple[int, ...] = (), **options: Any):
        if tuple(axes):
            raise ValueError(f"Dropout: axes is {axes}; wanted (): each cell by itself")
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout: rate is {rate}; wanted a probability from 0 to below 1")
        super().__init__(**options)
        self._rate = rate

    def compute(self, x: Tensor) -> Tensor:
        return F.dropout(x, self._rate, autograd.is_training())

    def __repr__(self) -> str:
        return f"Dropout(p = {self._rate}, axes=())"


class Lambda(Block):
    """A function as a layer: ``nn.Lambda(lambda x: x.reshape((-1, 1, 28, 28)))``."""

    __module__ = "mxnet.gluon.nn.basic_layers"

    def __init__(self, function: Callable[..., Any], prefix: str | None = None):
        if not callable(function):
            raise TypeError(f"Lambda: function is {function!r}; wanted a function")
        super().__init__(prefix)
        self._function = function

    def forward(self, *inputs: Any) -> Any:
        """What the function returns."""
        return self._function(*inputs)

    def __repr__(self) -> str:
        return f"Lambda({getattr(self._function, '__name__', 'function')})"


def _size(name: str, value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}; wanted an integer of at least 1")
    return value
