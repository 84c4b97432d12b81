"""``tf.keras.layers.Layer``: names, weights and when they are made."""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from minicnn.d2l.facades.keras import mistakes, neural
from minicnn.d2l.facades.keras.arrays import Order, Tensor, as_tensor
from minicnn.d2l.facades.keras.devices import present_device
from minicnn.d2l.facades.keras.dtypes import TensorShape
from minicnn.d2l.facades.keras.gradients import Variable
from minicnn.d2l.facades.keras.making import sizes
from minicnn.d2l.facades.keras.naming import snake
from minicnn.d2l.facades.keras.taping import recorded_or_not
from minicnn.nn import Parameter

_names: Counter[str] = Counter()  # how many layers of each name there are


class _Phase(threading.local):
    """What holds while a net is called."""

    def __init__(self) -> None:
        self.training = False  # what the outermost call was told
        self.path: list[str] = []  # the layers that are being called, from the outermost on


_phase = _Phase()


def clear_session() -> None:
    """``tf.keras.backend.clear_session``: the names of layers count from the beginning again."""
    _names.clear()


def unique_name(kind: str) -> str:
    """``conv2d``, ``conv2d_1``... for the layers of a class, as they are made."""
    name = snake(kind)
    _names[name] += 1
    return name if _names[name] == 1 else f"{name}_{_names[name] - 1}"


class Layer:
    """A layer: ``build(input_shape)`` makes its weights at the first call, ``call`` computes.

    Args:
        trainable: whether training changes its weights.
        name: by default that of the class, counted.
        dtype: ``"float32"``, in which all layers compute.
        input_shape: for the first layer of a Sequential: the shape of one sample.
    """

    trainable: bool
    scope = True  # whether its name begins the names of the weights of the layers in it

    def __init__(
        self,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
        input_shape: Any = None,
        **options: Any,
    ):
        mistakes.refuse(type(self).__name__, options)
        if dtype not in (None, "float32"):
            raise TypeError(f"{type(self).__name__}: dtype is {dtype!r}; wanted 'float32'")
        self.trainable, self.built = trainable, False
        self.name = name or unique_name(type(self).__name__)
        self._sample = None if input_shape is None else sizes(input_shape)
        self._own: list[Variable] = []
        self._device = present_device()

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of this shape."""

    def call(self, inputs: Any) -> Any:
        """What the layer computes."""
        raise NotImplementedError(f"{type(self).__name__} has no call(self, inputs)")

    def __call__(
        self, inputs: Any, *others: Any, training: bool | None = None, **options: Any
    ) -> Any:
        if "_own" not in vars(self):
            kind = type(self).__name__
            raise RuntimeError(f"{kind}: call super().__init__() in __init__ before anything else")
        inputs = self._received(inputs)
        before, path = _phase.training, _phase.path
        if training is not None:
            _phase.training = bool(training)
        if self.scope:
            _phase.path = [*path, self.name]
        try:
            if self._call_takes_training:
                options["training"] = _phase.training
            with recorded_or_not():
                self._build_once(inputs)
                return self.call(inputs, *others, **options)
        finally:
            _phase.training, _phase.path = before, path

    def _received(self, inputs: Any) -> Any:
        if isinstance(inputs, InputLayer):
            raise TypeError(
                f"{type(self).__name__}: nets of Inputs (the functional API) are not in minicnn; "
                "write tf.keras.Sequential([...]), or a class of tf.keras.Model with call(self, X)"
            )
        if isinstance(inputs, list | tuple) and any(isinstance(x, Tensor) for x in inputs):
            return inputs
        x = as_tensor(inputs)
        if x._held.dtype == np.float64:  # NumPy's: all layers compute in float32
            return x.each(lambda t: t.to(np.float32))
        return x

    def _build_once(self, inputs: Any) -> None:
        if self.built:
            return
        shape = inputs.shape if isinstance(inputs, Tensor) else [x.shape for x in inputs]
        self.build(shape)
        self.built = True

    @property
    def _call_takes_training(self) -> bool:
        kind = type(self)
        if "_training_taken" not in vars(kind):
            parameters = inspect.signature(kind.call).parameters
            kind._training_taken = "training" in parameters  # type: ignore[attr-defined]
        return bool(kind._training_taken)  # type: ignore[attr-defined]

    # Weights --------------------------------------------------------------------------------------

    def add_weight(
        self,
        name: str | None = None,
        shape: Any = (),
        dtype: Any = "float32",
        initializer: Any = None,
        trainable: bool = True,
        **options: Any,
    ) -> Variable:
        """A new weight of this layer."""
        mistakes.refuse("add_weight", options, "name, shape, dtype, initializer, trainable")
        start = neural.initializer(initializer or "glorot_uniform")(sizes(shape), dtype)
        return self._weight(Parameter(start.tensor.data), None, name or "weight", trainable)

    def _weight(
        self, tensor: Any, order: Order | None, name: str, trainable: bool = True
    ) -> Variable:
        """A weight over an engine's tensor, moved to where the layer was made."""
        if self._device is not None:
            tensor.data = tensor.detach().to(self._device).data
        path = _phase.path if self.name in _phase.path[-1:] else [*_phase.path, self.name]
        variable = Variable.of(tensor, order, "/".join([*path, name]), trainable)
        self._own.append(variable)
        return variable

    def _parts(self) -> Iterator[Layer]:
        """The layers that are attributes of this one, also in lists, in their order."""
        return _layers_in(vars(self).values())

    def _within(self) -> Iterator[Layer]:
        """This layer and all inside it."""
        yield self
        for part in self._parts():
            yield from part._within()

    def _variables(self) -> Iterator[Variable]:
        """The layer's own weights and the variables that are its attributes, each once."""
        yield from self._own
        known = {id(v) for v in self._own}
        attributes = [value for value in vars(self).values() if isinstance(value, Variable)]
        yield from (v for v in attributes if id(v) not in known)

    @property
    def trainable_weights(self) -> list[Variable]:
        """What training changes; nothing where ``trainable`` is False."""
        if not self.trainable:
            return []
        own = [v for v in self._variables() if v.trainable]
        return self._in_order(own, [v for part in self._parts() for v in part.trainable_weights])

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """What training leaves as it is, or moves without a gradient."""
        trained = {id(v) for v in self.trainable_weights}
        own, parts = self._variables(), (v for part in self._parts() for v in part.weights)
        return [v for v in self._in_order(own, parts) if id(v) not in trained]

    def _in_order(self, own: Iterable[Variable], parts: Iterable[Variable]) -> list[Variable]:
        """Each once: a layer's own come before those of the layers in it."""
        return list({id(v): v for v in (*own, *parts)}.values())

    @property
    def weights(self) -> list[Variable]:
        """All weights, those that are trained first."""
        return self.trainable_weights + self.non_trainable_weights

    @property
    def variables(self) -> list[Variable]:
        """``weights``."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Variable]:
        """``trainable_weights``."""
        return self.trainable_weights

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all weights, NumPy arrays."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Take these numbers, in the order of ``get_weights``.

        Raises:
            ValueError: another number of arrays, or another shape.
        """
        variables = self.weights
        if len(weights) != len(variables):
            hint = "" if variables or self.built else f"; {mistakes.NOT_BUILT}"
            raise ValueError(
                f"You called `set_weights(weights)` on layer {self.name!r} with a weight list of "
                f"length {len(weights)}, but the layer was expecting {len(variables)} weights{hint}"
            )
        for variable, value in zip(variables, weights, strict=True):
            if tuple(np.shape(value)) != tuple(variable.shape):
                raise ValueError(
                    f"Layer {self.name!r} weight shape {variable.shape} is not compatible with "
                    f"provided weight shape {tuple(np.shape(value))}."
                )
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(np.asarray(value, np.dtype(variable.dtype.as_numpy_dtype)))

    def count_params(self) -> int:
        """The number of cells of all weights.

        Raises:
            ValueError: before the layer is built.
        """
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer {self.name!r}, but the layer isn't "
                "built; call it with a batch first"
            )
        return sum(int(v._held.size) for v in self.weights)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The shape of the output for an input of this shape; None stands for any batch size."""
        shape = tuple(1 if n is None else int(n) for n in input_shape)
        out = self(as_tensor(np.zeros(shape, np.float32)), training=False).shape
        return TensorShape([None, *out[1:]]) if input_shape[0] is None else out

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(mistakes.of_layer(self, name), name=name, obj=self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


class InputLayer(Layer):
    """The shape of a net's input, for the first place of a Sequential."""

    def __init__(self, input_shape: Any = None, shape: Any = None, name: str | None = None):
        super().__init__(name=name, input_shape=shape if input_shape is None else input_shape)

    def call(self, inputs: Any) -> Any:
        return inputs


def Input(shape: Any = None, batch_size: int | None = None, name: str | None = None) -> InputLayer:  # noqa: N802 (Keras')
    """``tf.keras.Input``, for the first place of a Sequential; ``batch_size`` fixes nothing."""
    mistakes.refuse("Input", {"batch_size": batch_size}, "shape, name")
    return InputLayer(shape, name=name)


def _layers_in(values: Iterable[Any]) -> Iterator[Layer]:
    """The layers among these, also in lists, tuples and dicts."""
    for value in values:
        if isinstance(value, Layer):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _layers_in(value)
        elif isinstance(value, dict):
            yield from _layers_in(value.values())
