"""``tf.keras.Model`` and ``Sequential``: layers put together, trained by ``fit``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minicnn.d2l.facades.keras import mistakes, summaries
from minicnn.d2l.facades.keras.arrays import Tensor, as_tensor
from minicnn.d2l.facades.keras.gradients import Variable
from minicnn.d2l.facades.keras.layer import InputLayer, Layer
from minicnn.d2l.facades.keras.training import Training
from minicnn.terminal import say


class Model(Training, Layer):
    """A net: write ``__init__`` with layers as attributes, and ``call(self, inputs)``."""

    def __init__(self, *layers: Any, name: str | None = None, **options: Any):
        if layers or options.keys() & {"inputs", "outputs"}:
            raise TypeError(
                "Model: nets of inputs and outputs (the functional API) are not in minicnn; write "
                "tf.keras.Sequential([...]), or a class of tf.keras.Model with call(self, X)"
            )
        Layer.__init__(self, name=name, **options)
        self._begin()

    @property
    def weights(self) -> list[Variable]:
        """All weights, layer by layer."""
        parts = (v for part in self._parts() for v in part.weights)
        return self._in_order(self._variables(), parts)

    def _in_order(self, own: Iterable[Variable], parts: Iterable[Variable]) -> list[Variable]:
        """A net's own come last."""
        return super()._in_order(parts, own)

    @property
    def layers(self) -> list[Layer]:
        """The layers of the net, in the order in which they became its attributes."""
        return list({id(part): part for part in self._parts()}.values())

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or number.

        Raises:
            ValueError: there is none.
        """
        layers = self.layers
        if index is not None:
            return layers[index]
        found = [layer for layer in layers if layer.name == name]
        if not found:
            names = [layer.name for layer in layers]
            raise ValueError(f"No such layer: {name}. Existing layers are: {names}.")
        return found[0]

    def __call__(
        self, inputs: Any, *others: Any, training: bool | None = None, **options: Any
    ) -> Any:
        new = (
            [] if self.built else [(one, len(one._own)) for one in self._within() if not one.built]
        )
        try:
            return super().__call__(inputs, *others, training=training, **options)
        except ValueError as error:
            for one, weights in new:  # made for a batch that does not fit; the next one may
                one.built = False
                del one._own[weights:]
            if new and mistakes.channels_first(getattr(inputs, "shape", ())):
                error.args = (f"{error}{mistakes.CHANNELS_LAST}",)
            raise

    def build(self, input_shape: Any = None) -> None:
        """Make all weights, for inputs of this shape: None stands for any batch size."""
        shape = tuple(1 if n is None else int(n) for n in input_shape)
        self(as_tensor(np.zeros(shape, np.float32)), training=False)

    def _build_once(self, inputs: Any) -> None:
        """The layers build themselves when they are called."""
        if self.built:
            return
        if type(self).build is not Model.build:  # a class of somebody's own
            self.build(inputs.shape)
        self._input_sample = tuple(inputs.shape[1:]) if isinstance(inputs, Tensor) else None
        self.built = True

    def summary(self) -> None:
        """Print the layers, their outputs' shapes and numbers of weights.

        Raises:
            ValueError: before the net is built.
        """
        if not self.built:
            raise ValueError(mistakes.NOT_BUILT)
        say(summaries.table(self))

    def save(self, *arguments: Any, **options: Any) -> None:
        """Not in minicnn: keep ``get_weights()``."""
        raise NotImplementedError(
            "save: minicnn writes no Keras files; np.savez('net.npz', *net.get_weights()) keeps "
            "the weights, net.set_weights(arrays) puts them back"
        )


class Sequential(Model):
    """Layers one after the other."""

    scope = False

    def __init__(self, layers: Sequence[Layer] | None = None, name: str | None = None):
        super().__init__(name=name)
        self._stack: list[Layer] = []
        for layer in layers or ():
            self._append(layer)
        self._build_if_known()

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the first place's Input."""
        return [layer for layer in self._stack if not isinstance(layer, InputLayer)]

    def add(self, layer: Any) -> None:
        """Put a layer at the end.

        Raises:
            TypeError: something else.
        """
        self._append(layer)
        self._build_if_known()

    def _append(self, layer: Any) -> None:
        if not isinstance(layer, Layer):
            kind = layer.__name__ if isinstance(layer, type) else type(layer).__name__
            hint = f"; write {kind}(...)" if isinstance(layer, type) else ""
            raise TypeError(
                f"The added layer must be an instance of class Layer. Received: {layer!r:.80} of "
                f"type {type(layer)}{hint}"
            )
        self._stack.append(layer)

    def _build_if_known(self) -> None:
        """Do not wait for a batch where the first layer tells the shape."""
        sample = self._stack[0]._sample if self._stack else None
        if sample is not None:
            self.built = False
            self.build((None, *sample))

    def pop(self) -> None:
        """Take the last layer away."""
        self._stack.pop()

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:  # type: ignore[override]
        return super().__call__(inputs, training=training)

    def call(self, inputs: Any) -> Any:
        for layer in self._stack:
            inputs = layer(inputs)
        return inputs

    @property
    def output_shape(self) -> Any:
        """The shape of the last layer's output."""
        return summaries.shapes(self)[-1]
