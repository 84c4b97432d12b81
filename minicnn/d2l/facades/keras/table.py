"""Which module has which name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from minicnn.d2l.facades.helpers import of_other_editions
from minicnn.d2l.facades.keras import (
    callbacks,
    devices,
    draws,
    functions,
    gradients,
    helpers,
    layer,
    layers,
    losses,
    making,
    metrics,
    mistakes,
    models,
    names,
    neural,
    optimizers,
    pictures,
    pipelines,
)
from minicnn.d2l.facades.keras.dtypes import DTYPES, as_dtype
from minicnn.d2l.facades.modules import Facade
from minicnn.plots import pyplot

GRAPHS = "minicnn computes line by line; leave it out"
INSTEAD = {
    "Session": GRAPHS,
    "placeholder": GRAPHS,
    "compat": "minicnn has TensorFlow 2's names alone",
    "saved_model": "np.savez('net.npz', *net.get_weights()) keeps a net",
    "train": "np.savez('net.npz', *net.get_weights()) keeps a net",
    "log": "write tf.math.log(x)",
    "sum": "write tf.reduce_sum(x)",
    "mean": "write tf.reduce_mean(x)",
    "max": "write tf.reduce_max(x)",
    "arange": "write tf.range(n)",
    "tensor": "write tf.constant(x)",
    "array": "write tf.constant(x)",
    "cat": "write tf.concat(values, axis)",
    "unsqueeze": "write tf.expand_dims(x, axis)",
    "rand": "write tf.random.uniform(shape)",
    "randn": "write tf.random.normal(shape)",
    "manual_seed": "write tf.random.set_seed(seed)",
    "float16": "minicnn has float32 and float64",
    "bfloat16": "minicnn has float32 and float64",
}


def modules() -> list[Facade]:
    """The modules that ``install`` puts into place; the names of layers begin at 0."""
    layer.clear_session()
    return [
        Facade("tensorflow", "TensorFlow on minicnn.", _tensorflow(), INSTEAD),
        Facade("tensorflow.math", "Arithmetic.", _math()),
        Facade("tensorflow.linalg", "Products.", {"matmul": functions.matmul}),
        Facade("tensorflow.nn", "Functions of nets.", neural.NN),
        Facade(
            "tensorflow.random", "Draws.", _of(draws, "uniform", "normal", "shuffle", "set_seed")
        ),
        Facade(
            "tensorflow.image", "Sizes of pictures.", _of(pictures, "resize", "resize_with_pad")
        ),
        Facade("tensorflow.data", "Data sets.", {"Dataset": pipelines.Dataset, "AUTOTUNE": -1}),
        Facade(
            "tensorflow.data.experimental",
            "Data sets.",
            {"cardinality": pipelines.cardinality, "AUTOTUNE": -1},
        ),
        Facade(
            "tensorflow.config",
            "This machine's devices.",
            _of(devices, "list_physical_devices"),
        ),
        Facade(
            "tensorflow.config.experimental",
            "This machine's devices.",
            _of(devices, "list_physical_devices"),
        ),
        Facade("tensorflow.distribute", "Strategies.", _of(devices, "OneDeviceStrategy")),
        Facade(
            "tensorflow.errors",
            "Errors.",
            {"InvalidArgumentError": mistakes.InvalidArgumentError},
        ),
        *_keras(),
        Facade(
            "d2l.tensorflow",
            "The second edition's helpers, on minicnn.",
            _d2l(),
            of_other_editions("a function that makes a net"),
            {"plt": pyplot},
        ),
    ]


def _tensorflow() -> dict[str, Any]:
    return {
        **names.NAMES,
        **DTYPES,
        **_of(gradients, "GradientTape", "Variable", "UnconnectedGradients", "stop_gradient"),
        "as_dtype": as_dtype,
        "device": devices.device,
        "constant_initializer": neural.Constant,
        "random_normal_initializer": neural.RandomNormal,
        "random_uniform_initializer": neural.RandomUniform,
        "zeros_initializer": neural.Zeros,
        "ones_initializer": neural.Ones,
        "__version__": "2.8.0",
    }


def _math() -> dict[str, Any]:
    own = {"log": functions.log, "rsqrt": functions.rsqrt}
    return {name: names.NAMES[name] for name in names.MATH} | own


def _keras() -> list[Facade]:
    kinds = _classes(layers, layer.Layer)
    aliases = {
        "AvgPool2D": layers.AveragePooling2D,
        "Convolution2D": layers.Conv2D,
        "GlobalAvgPool2D": layers.GlobalAveragePooling2D,
        "MaxPool2D": layers.MaxPooling2D,
    }
    nets = {"Model": models.Model, "Sequential": models.Sequential}
    named = {kind.__name__: kind for kind in neural.INITIALIZERS.values()}
    tables: dict[str, dict[str, Any]] = {
        "": {**nets, "Input": layer.Input},
        "layers": {
            **kinds,
            **aliases,
            "Layer": layer.Layer,
            "InputLayer": layer.InputLayer,
            "Input": layer.Input,
        },
        "models": nets,
        "activations": {**neural.ACTIVATIONS, "get": neural.activation},
        "initializers": {
            **named,
            **neural.INITIALIZERS,
            "Initializer": neural.Initializer,
            "get": neural.initializer,
        },
        "losses": {
            **_classes(losses, losses.Loss),
            "Reduction": losses.Reduction,
            "Loss": losses.Loss,
            "get": losses.loss_of,
            **_of(
                losses,
                "sparse_categorical_crossentropy",
                "categorical_crossentropy",
                "mean_squared_error",
            ),
        },
        "metrics": {**_classes(metrics, metrics.Metric), "Metric": metrics.Metric},
        "optimizers": {
            **_classes(optimizers, optimizers.Optimizer),
            "Optimizer": optimizers.Optimizer,
            "get": optimizers.optimizer_of,
        },
        "callbacks": _classes(callbacks, callbacks.Callback) | {"Callback": callbacks.Callback},
        "datasets": {
            "fashion_mnist": SimpleNamespace(load_data=pictures.fashion_mnist),
            "mnist": SimpleNamespace(load_data=pictures.mnist),
        },
        "backend": {"clear_session": layer.clear_session},
        "utils": {
            "set_random_seed": draws.set_random_seed,
            "to_categorical": pictures.to_categorical,
        },
    }
    old = ("initializers", "losses", "metrics", "optimizers")  # of tf itself, the same
    return [
        *(Facade(f"tensorflow.{name}", "Keras on minicnn.", tables[name]) for name in old),
        *(
            Facade(f"tensorflow.keras.{name}".rstrip("."), "Keras on minicnn.", names)
            for name, names in tables.items()
        ),
    ]


def _d2l() -> dict[str, Any]:
    tf = names.NAMES
    return {
        **{name: tf[name] for name in helpers.SAME},
        **{own.__name__: own for own in helpers.OWN},
        "arange": making.arange,
        "astype": functions.cast,
        "float32": DTYPES["float32"],
        "int32": DTYPES["int32"],
        "normal": draws.normal,
        "rand": draws.uniform,
        "tensor": making.constant,
    }


def _of(module: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(module, name) for name in names}


def _classes(module: Any, kind: type) -> dict[str, Any]:
    """The public classes of a kind that a module defines."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, kind)
        and value is not kind
        and not name.startswith("_")
        and value.__module__ == module.__name__
    }
