"""minicnn: a convolutional network engine from scratch, to be read."""

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minicnn.terminal import answer_interrupts

# python -m minicnn.train, which is not running yet
if sys.argv[:1] == ["-m"] and " -m minicnn" in " ".join(sys.orig_argv):
    answer_interrupts()

# The hot loops lie in the top-level folder kernels/ and are installed as minicnn.kernels. In a
# checkout minicnn/kernels is a link to that folder. Where the link is missing (git on Windows makes
# a text file of it), the folder is loaded from where it lies.
if not (Path(__file__).parent / "kernels").is_dir():
    _spec = PathFinder.find_spec("minicnn.kernels", [str(Path(__file__).parents[1])])
    if _spec and _spec.loader:
        sys.modules["minicnn.kernels"] = module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules["minicnn.kernels"])
        from minicnn import kernels as kernels  # so that minicnn.kernels is a name

from numpy import float32, float64, int32, int64, uint8

from minicnn import cuda, data, models, nn, optim
from minicnn.checkpoint import load, save
from minicnn.compiler import CompileError, compile
from minicnn.device import DeviceError, try_gpu
from minicnn.functions import (
    arange,
    cat,
    device,
    flatten,
    from_numpy,
    ones,
    ones_like,
    stack,
    tensor,
    zeros,
    zeros_like,
)
from minicnn.gradient_check import GradientError, gradcheck
from minicnn.random import manual_seed, rand, randn
from minicnn.tensor import Tensor, apply, from_dlpack, is_grad_enabled, no_grad
from minicnn.threads import get_num_threads, set_num_threads
from minicnn.train.callbacks import Callback, Training
from minicnn.train.loop import evaluate, fit
from minicnn.train.measure import History
from minicnn.train.run import load_run
from minicnn.train.state import Checkpoint

__version__ = "0.1.0"

if TYPE_CHECKING:
    from minicnn.predict import Classifier as Classifier
else:  # a type checker would take it for any name

    def __getattr__(name: str) -> Any:
        """A room that is loaded when it is first named.

        PyTorch has most methods as functions too: say what to write for ``minicnn.exp(x)``.
        """
        if name in ("interop", "onnx"):
            return import_module(f"minicnn.{name}")
        if name == "Classifier":
            return import_module("minicnn.predict").Classifier
        hint = f"; write x.{name}(...)" if callable(getattr(Tensor, name, None)) else ""
        raise AttributeError(f"module 'minicnn' has no attribute {name!r}{hint}")


float, double, int, long = float32, float64, int32, int64  # PyTorch's names

__all__ = [
    "Callback",
    "Checkpoint",
    "CompileError",
    "DeviceError",
    "GradientError",
    "History",
    "Tensor",
    "Training",
    "apply",
    "arange",
    "cat",
    "compile",
    "cuda",
    "data",
    "device",
    "double",
    "evaluate",
    "fit",
    "flatten",
    "float32",
    "float64",
    "from_dlpack",
    "from_numpy",
    "get_num_threads",
    "gradcheck",
    "int32",
    "int64",
    "is_grad_enabled",
    "load",
    "load_run",
    "long",
    "manual_seed",
    "models",
    "nn",
    "no_grad",
    "ones",
    "ones_like",
    "optim",
    "rand",
    "randn",
    "save",
    "set_num_threads",
    "stack",
    "tensor",
    "try_gpu",
    "uint8",
    "zeros",
    "zeros_like",
]
