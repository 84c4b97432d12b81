"""minicnn: a convolutional network engine from scratch, small enough to read in an evening."""

from pathlib import Path

# The hot loops live in the top-level folder kernels/ and are installed as minicnn.kernels.
# In a checkout they are still beside this package: look there too.
if not (Path(__file__).parent / "kernels").is_dir():
    __path__.append(str(Path(__file__).parent.parent))

from numpy import float32, float64

from minicnn import data, models, nn, optim
from minicnn.checkpoint import load, save
from minicnn.compiler import CompileError, compile
from minicnn.device import DeviceError, try_gpu
from minicnn.gradient_check import GradientError, gradcheck
from minicnn.random import manual_seed, rand, randn
from minicnn.runs import load_run
from minicnn.tensor import Tensor, apply, from_dlpack, is_grad_enabled, no_grad
from minicnn.threads import get_num_threads, set_num_threads
from minicnn.training import History, evaluate, fit

__version__ = "0.1.0"

__all__ = [
    "CompileError",
    "DeviceError",
    "GradientError",
    "History",
    "Tensor",
    "apply",
    "compile",
    "data",
    "evaluate",
    "fit",
    "float32",
    "float64",
    "from_dlpack",
    "get_num_threads",
    "gradcheck",
    "is_grad_enabled",
    "load",
    "load_run",
    "manual_seed",
    "models",
    "nn",
    "no_grad",
    "optim",
    "rand",
    "randn",
    "save",
    "set_num_threads",
    "try_gpu",
]
