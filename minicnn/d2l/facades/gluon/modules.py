"""The table of mxnet's modules."""

from __future__ import annotations

from typing import Any

from minicnn.d2l.facades.modules import Facade
from minicnn.plots import pyplot
from minicnn.random import manual_seed

from . import (
    autograd,
    blocks,
    context,
    data,
    first_edition,
    init,
    layers,
    losses,
    mistakes,
    names,
    nd,
    norm,
    np,
    npx,
    optimizers,
    parameters,
    pooling,
    second_edition,
    trainer,
)

VERSION = "1.9.1"  # of the MXNet whose behaviour this has

CONTEXT = {
    name: getattr(context, name)
    for name in ("Context", "cpu", "gpu", "num_gpus", "current_context")
}
NN = {
    "Block": blocks.Block,
    "HybridBlock": blocks.HybridBlock,
    "Sequential": blocks.Sequential,
    "HybridSequential": blocks.HybridSequential,
    "Activation": layers.Activation,
    "Dense": layers.Dense,
    "Conv2D": layers.Conv2D,
    "Flatten": layers.Flatten,
    "Dropout": layers.Dropout,
    "Lambda": layers.Lambda,
    "BatchNorm": norm.BatchNorm,
    "MaxPool2D": pooling.MaxPool2D,
    "AvgPool2D": pooling.AvgPool2D,
    "GlobalMaxPool2D": pooling.GlobalMaxPool2D,
    "GlobalAvgPool2D": pooling.GlobalAvgPool2D,
}
AUTOGRAD = {
    f.__name__: f
    for f in (
        autograd.record,
        autograd.pause,
        autograd.train_mode,
        autograd.predict_mode,
        autograd.is_recording,
        autograd.is_training,
        autograd.backward,
        autograd.grad,
    )
}
GLUON = {
    "Block": blocks.Block,
    "HybridBlock": blocks.HybridBlock,
    "Parameter": parameters.Parameter,
    "ParameterDict": parameters.ParameterDict,
    "Trainer": trainer.Trainer,
}
OPTIMIZERS = {kind.__name__: kind for kind in optimizers.OPTIMIZERS.values()}
SEED = {"seed": manual_seed}


def _module(name: str, names: dict[str, Any], instead: dict[str, str] | None = None) -> Facade:
    return Facade(name, "MXNet on minicnn.", names, instead)


def modules() -> list[Facade]:
    """The modules that ``install`` puts into place; all begins as in a new process:
    layers are counted from 0, arrays are the first edition's, nothing is recorded.
    """
    names.names.counts.clear()
    npx.reset_np()
    autograd.reset()
    nds = [_module(f"mxnet.{n}", nd.NAMES) for n in ("nd", "ndarray")]
    inits = [_module(f"mxnet.{n}", init.NAMES) for n in ("init", "initializer")]
    npx_modules = [_module(f"mxnet.{n}", {**npx.NAMES, **CONTEXT}) for n in _NPX]
    np_modules = [_module(f"mxnet.{n}", np.NAMES) for n in _NP]
    random = {**nd.RANDOM, **SEED}
    return [
        _module(
            "mxnet",
            {**CONTEXT, "__version__": VERSION, "MXNetError": context.MXNetError},
            {"sym": "graphs of symbols are not here; write nd or gluon"},
        ),
        _module("mxnet.base", {"MXNetError": context.MXNetError}),
        _module("mxnet.context", CONTEXT),
        _module("mxnet.autograd", AUTOGRAD),
        _module("mxnet.random", random),
        _module("mxnet.optimizer", OPTIMIZERS),
        *nds,
        *(_module(f"{m.__name__}.random", nd.RANDOM, _SEED_ND) for m in nds),
        *inits,
        *np_modules,
        *(_module(f"{m.__name__}.random", np.RANDOM, _SEED_NP) for m in np_modules),
        *(_module(f"{m.__name__}.linalg", np.LINALG) for m in np_modules),
        *npx_modules,
        *(_module(f"{m.__name__}.random", SEED) for m in npx_modules),
        _module("mxnet.gluon", GLUON),
        _module("mxnet.gluon.nn", NN, mistakes.OF_NN),
        _module("mxnet.gluon.loss", losses.NAMES),
        _module("mxnet.gluon.data", data.NAMES),
        _module("mxnet.gluon.data.vision", data.VISION),
        _module("mxnet.gluon.data.vision.transforms", data.TRANSFORMS),
        _module(
            "mxnet.gluon.parameter",
            {
                name: getattr(parameters, name)
                for name in ("Parameter", "ParameterDict", "DeferredInitializationError")
            },
        ),
        Facade(
            "d2lzh",
            "The first edition's helpers, on minicnn.",
            first_edition.NAMES,
            first_edition.INSTEAD,
            {"plt": pyplot},
        ),
        Facade(
            "d2l.mxnet",
            "The second edition's helpers, on minicnn.",
            second_edition.NAMES,
            second_edition.INSTEAD,
            {"plt": pyplot},
        ),
    ]


_NP, _NPX = ("np", "numpy"), ("npx", "numpy_extension")
_SEED_ND = {"seed": "write mx.random.seed(1)"}
_SEED_NP = {"seed": "write mx.random.seed(1), or npx.random.seed(1)"}
