"""Keras' layers: each holds one of the engine, in whose words it puts names, shapes, defaults."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn import nn
from minicnn.d2l.facades.keras import mistakes, neural, shaping, windows
from minicnn.d2l.facades.keras.arrays import PICTURES, Tensor, moved
from minicnn.d2l.facades.keras.layer import Layer
from minicnn.nn import functional as F
from minicnn.tensor import Tensor as EngineTensor


def check_pictures(layer: Layer, shape: Any) -> None:
    """Refuse what is no batch of pictures (ValueError)."""
    if len(shape) != 4:
        cure = "tf.reshape(X, (-1, 28, 28, 1)) makes pictures of one channel"
        one = "one picture: write X[tf.newaxis]; " if len(shape) == 3 else ""
        raise ValueError(
            f'Input 0 of layer "{layer.name}" is incompatible with the layer: expected '
            f"min_ndim=4, found ndim={len(shape)}. Full shape received: {shape}; wanted "
            f"(batch, height, width, channels): {one}{cure}"
        )


def check_last(layer: Layer, shape: Any, wanted: int) -> None:
    """Refuse another number of channels, or features, than the weights were made for."""
    if shape[-1] != wanted:
        cure = ""
        if len(shape) == 4:
            first = shape[1] == wanted < shape[-1]
            earlier = f"; an earlier batch had {wanted} channels: for others make a new net"
            cure = mistakes.CHANNELS_LAST if first else earlier
        raise ValueError(
            f'Input 0 of layer "{layer.name}" is incompatible with the layer: expected axis -1 of '
            f"input shape to have value {wanted}, but received input with shape {shape}{cure}"
        )


class Conv2D(Layer):
    """Convolution of pictures, (N, H, W, C) -> (N, OH, OW, filters).

    kernel: (KH, KW, C, filters), ``glorot_uniform``; bias: (filters,), zeros.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **options: Any,
    ):
        super().__init__(**options)
        channels_last("Conv2D", data_format)
        self.filters = windows.pair("Conv2D: filters", filters)[0]
        self.kernel_size = windows.pair("Conv2D: kernel_size", kernel_size)
        self.strides = windows.pair("Conv2D: strides", strides)
        self.padding = windows.padding("Conv2D", padding)
        self.dilation_rate = windows.pair("Conv2D: dilation_rate", dilation_rate)
        self.groups, self.use_bias = groups, use_bias
        self.activation = neural.activation(activation)
        self.kernel_initializer = neural.initializer(kernel_initializer)
        self.bias_initializer = neural.initializer(bias_initializer)

    def build(self, input_shape: Any) -> None:
        check_pictures(self, input_shape)
        channels, size = input_shape[-1], self.kernel_size
        self._engine = nn.Conv2d(
            channels,
            self.filters,
            size,
            self.strides,
            0,
            self.dilation_rate,
            self.groups,
            self.use_bias,
        )
        shape = (*size, channels // self.groups, self.filters)
        self.kernel = self._weight(self._engine.weight, (2, 3, 1, 0), "kernel")
        self.kernel.assign(self.kernel_initializer(shape))
        self.bias = None
        if self.use_bias:
            self.bias = self._weight(self._engine.bias, None, "bias")
            self.bias.assign(self.bias_initializer((self.filters,)))
        self._channels = channels

    def call(self, inputs: Tensor) -> Tensor:
        check_pictures(self, inputs.shape)
        check_last(self, inputs.shape, self._channels)
        x = moved(inputs.held(PICTURES), self._engine.weight.device)
        reach = [(k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation_rate, strict=True)]
        around = windows.frame(x.shape[2:], (reach[0], reach[1]), self.strides, self.padding)
        x, zeros = windows.framed(x, around, (reach[0], reach[1]))
        self._engine.padding = zeros
        return self.activation(Tensor(self._engine(x), PICTURES))


class Dense(Layer):
    """y = x kernel + bias over the last axis. kernel: (in, units), ``glorot_uniform``."""

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **options: Any,
    ):
        super().__init__(**options)
        self.units, self.use_bias = windows.pair("Dense: units", units)[0], use_bias
        self.activation = neural.activation(activation)
        self.kernel_initializer = neural.initializer(kernel_initializer)
        self.bias_initializer = neural.initializer(bias_initializer)

    def build(self, input_shape: Any) -> None:
        if len(input_shape) < 2:
            raise ValueError(
                f'Input 0 of layer "{self.name}" is incompatible with the layer: expected '
                f"min_ndim=2, found ndim={len(input_shape)}. Full shape received: {input_shape}; "
                "for one sample write X[tf.newaxis]"
            )
        self._engine = nn.Linear(input_shape[-1], self.units, self.use_bias)
        self.kernel = self._weight(self._engine.weight, (1, 0), "kernel")
        self.kernel.assign(self.kernel_initializer((input_shape[-1], self.units)))
        self.bias = None
        if self.use_bias:
            self.bias = self._weight(self._engine.bias, None, "bias")
            self.bias.assign(self.bias_initializer((self.units,)))

    def call(self, inputs: Tensor) -> Tensor:
        check_last(self, inputs.shape, self._engine.in_features)
        x = moved(inputs.tensor, self._engine.weight.device)
        if x.dtype != np.float32:
            x = x.to(np.float32)
        return self.activation(Tensor(self._engine(x)))


class _Pooling(Layer):
    """What both kinds of pooling share: a window, its steps, a frame."""

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **options: Any,
    ):
        super().__init__(**options)
        kind = type(self).__name__
        channels_last(kind, data_format)
        self.pool_size = windows.pair(f"{kind}: pool_size", pool_size)
        self.strides = (
            self.pool_size if strides is None else windows.pair(f"{kind}: strides", strides)
        )
        self.padding = windows.padding(kind, padding)

    def call(self, inputs: Tensor) -> Tensor:
        check_pictures(self, inputs.shape)
        x = inputs.held(PICTURES)
        return Tensor(self._pool(x, self.pool_size, self.strides, self.padding), PICTURES)

    def _pool(self, x: EngineTensor, *window: Any) -> EngineTensor:
        raise NotImplementedError


class AveragePooling2D(_Pooling):
    """The mean of each window, over the cells inside the picture."""

    def _pool(self, x: EngineTensor, *window: Any) -> EngineTensor:
        return windows.avg_pool(x, *window)


class MaxPooling2D(_Pooling):
    """The largest of each window."""

    def _pool(self, x: EngineTensor, *window: Any) -> EngineTensor:
        return windows.max_pool(x, *window)


class GlobalAveragePooling2D(Layer):
    """The mean of each channel, (N, H, W, C) -> (N, C)."""

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **options: Any):
        super().__init__(**options)
        channels_last("GlobalAveragePooling2D", data_format)
        self.keepdims = keepdims

    def call(self, inputs: Tensor) -> Tensor:
        check_pictures(self, inputs.shape)
        means = inputs.held(PICTURES).mean((2, 3), self.keepdims)
        return Tensor(means, PICTURES if self.keepdims else None)


class ZeroPadding2D(Layer):
    """A frame of zeros: a number, (rows, columns), or ((top, bottom), (left, right))."""

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **options: Any):
        super().__init__(**options)
        channels_last("ZeroPadding2D", data_format)
        both = (padding, padding) if isinstance(padding, int) else padding
        rows, cols = ((p, p) if isinstance(p, int) else p for p in both)
        self._widths = (*cols, *rows)

    def call(self, inputs: Tensor) -> Tensor:
        check_pictures(self, inputs.shape)
        return Tensor(F.pad(inputs.held(PICTURES), self._widths), PICTURES)


class Flatten(Layer):
    """A row for each sample; of pictures the channels of a pixel stand side by side."""

    def __init__(self, data_format: str | None = None, **options: Any):
        super().__init__(**options)
        channels_last("Flatten", data_format)

    def call(self, inputs: Tensor) -> Tensor:
        x = inputs.tensor
        return Tensor(x.reshape(len(x), math.prod(x.shape[1:])))


class Concatenate(Layer):
    """A list of inputs joined along ``axis``, by default the channels."""

    def __init__(self, axis: int = -1, **options: Any):
        super().__init__(**options)
        self.axis = axis

    def call(self, inputs: Any) -> Tensor:
        return shaping.concat(inputs, self.axis)


class Reshape(Layer):
    """Each sample in another shape, of which one length may be -1."""

    def __init__(self, target_shape: Any, **options: Any):
        super().__init__(**options)
        self.target_shape = tuple(target_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return Tensor(inputs.tensor.reshape(inputs.shape[0], *self.target_shape))


class Activation(Layer):
    """An activation by name or function."""

    def __init__(self, activation: Any, **options: Any):
        super().__init__(**options)
        self.activation = neural.activation(activation)

    def call(self, inputs: Tensor) -> Tensor:
        return self.activation(inputs)


class ReLU(Layer):
    """max(x, 0)."""

    def call(self, inputs: Tensor) -> Tensor:
        return neural.relu(inputs)


class Softmax(Layer):
    """exp(x) / sum(exp(x)) over ``axis``."""

    def __init__(self, axis: int = -1, **options: Any):
        super().__init__(**options)
        self.axis = axis

    def call(self, inputs: Tensor) -> Tensor:
        return neural.softmax(inputs, self.axis)


class Dropout(Layer):
    """In training each cell is 0 with probability ``rate``, the others times 1 / (1 - rate)."""

    def __init__(self, rate: float, seed: int | None = None, **options: Any):
        super().__init__(**options)
        mistakes.refuse("Dropout", {"seed": seed}, "rate; write tf.random.set_seed(seed)")
        if not 0 <= rate <= 1:
            raise ValueError(f"Dropout: rate is {rate}; wanted a probability from 0 to 1")
        self.rate = rate

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        return inputs.each(lambda x: F.dropout(x, self.rate, training))


class BatchNormalization(Layer):
    """Each channel (the last axis) normalised: with the batch's statistics in training.

    The moving ones go ``moving * momentum + batch's * (1 - momentum)``, the other way round than
    PyTorch's. Of pictures the batch's variance is the unbiased one there, as in Keras 2.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **options: Any,
    ):
        super().__init__(**options)
        self.axis, self.momentum, self.epsilon = axis, momentum, epsilon
        self.center, self.scale = center, scale

    def build(self, input_shape: Any) -> None:
        if self.axis not in (-1, len(input_shape) - 1):
            raise ValueError(f"BatchNormalization: axis is {self.axis}; wanted -1, the channels")
        ones, zeros = (
            lambda: nn.Parameter(np.ones(input_shape[-1], np.float32)),
            lambda: nn.Parameter(np.zeros(input_shape[-1], np.float32)),
        )
        self.gamma = self._weight(ones(), None, "gamma") if self.scale else None
        self.beta = self._weight(zeros(), None, "beta") if self.center else None
        self.moving_mean = self._weight(zeros(), None, "moving_mean", trainable=False)
        self.moving_variance = self._weight(ones(), None, "moving_variance", trainable=False)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        check_last(self, inputs.shape, self.moving_mean.shape[0])
        training = training and self.trainable  # as Keras: a frozen layer keeps its statistics
        pictures = inputs.ndim == 4
        x = inputs.held(PICTURES) if pictures else inputs.tensor
        x = x.to(self.moving_mean._held.device)
        mean, var = self.moving_mean._held.detach(), self.moving_variance._held.detach()
        if training and not pictures:  # Keras' unfused form keeps the biased variance
            var = EngineTensor(var.data.copy())
        weight, bias = (None if v is None else v._held for v in (self.gamma, self.beta))
        momentum = 1 - self.momentum if training else 0.0
        y = F.batch_norm(x, mean, var, weight, bias, training, momentum, self.epsilon)
        if training and not pictures:
            self._move_biased(var, len(x))
        return Tensor(y, PICTURES if pictures else None)

    def _move_biased(self, moved: EngineTensor, count: int) -> None:
        before = self.moving_variance._held
        step = (moved.data - before.data * self.momentum) * ((count - 1) / count)
        before.data[...] = before.data * self.momentum + step
        before.increment_version()


def channels_last(layer: str, data_format: str | None) -> None:
    """Refuse pictures (N, C, H, W), as TensorFlow's convolutions do on a CPU."""
    if data_format not in (None, "channels_last"):
        raise ValueError(
            f"{layer}: data_format is {data_format!r}; wanted 'channels_last': pictures "
            "(N, H, W, C), as tf.transpose(X, [0, 2, 3, 1]) makes them"
        )
