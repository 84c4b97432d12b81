"""torch and d2l.torch, on this engine.

kinds.py          dtype, device, Size
tensor.py         Tensor and Parameter; computing.py, inplace.py, history.py, printing.py
functions.py      the functions of torch itself
functional.py     torch.nn.functional
module.py         nn.Module; layers.py, losses.py, containers.py, init.py
optimizers.py     torch.optim and its schedules
data.py           torch.utils.data
helpers.py        d2l.torch
mistakes.py       what readers write by mistake, and what the engine says in PyTorch's words
"""

from __future__ import annotations

from minicnn import cuda
from minicnn.d2l.facades.modules import Facade, by_name
from minicnn.random import manual_seed
from minicnn.tensor import enable_grad, no_grad
from minicnn.threads import get_num_threads, set_num_threads

from . import (
    containers,
    data,
    functional,
    functions,
    helpers,
    init,
    layers,
    losses,
    optimizers,
    saving,
)
from .kinds import PUBLIC, Size, device, dtype
from .module import Module
from .tensor import Parameter, Tensor

LAYERS = (
    Module, Parameter, containers.Identity, containers.ModuleList, containers.Sequential,
    layers.AdaptiveAvgPool2d, layers.AvgPool2d, layers.BatchNorm2d, layers.Conv2d,
    layers.Dropout, layers.Flatten, layers.LazyConv2d, layers.LazyLinear, layers.Linear,
    layers.LogSoftmax, layers.MaxPool2d, layers.ReLU, layers.Sigmoid, layers.Softmax,
    layers.Tanh, losses.CrossEntropyLoss, losses.L1Loss, losses.MSELoss, losses.NLLLoss,
)  # fmt: skip
TORCH = {
    "Size": Size, "Tensor": Tensor, "FloatTensor": Tensor, "save": saving.save, "load": saving.load,
    "device": device, "dtype": dtype, "no_grad": no_grad,
    "enable_grad": enable_grad, "get_num_threads": get_num_threads,
    "set_num_threads": set_num_threads, "__version__": "2+minicnn",
}  # fmt: skip
CUDA = {
    "is_available": cuda.is_available,
    "device_count": helpers.count_gpus,
    "manual_seed": manual_seed,
}
INSTEAD = {
    "compile": "leave it out: minicnn.fit(..., compile=True) compiles minicnn's own nets",
    "float16": "minicnn computes in torch.float32 and torch.float64",
    "bfloat16": "minicnn computes in torch.float32 and torch.float64",
    "half": "minicnn computes in torch.float32 and torch.float64",
}


def modules() -> list[Facade]:
    """The modules that ``install`` puts into place."""
    return [
        Facade("torch", "PyTorch's names.", TORCH | PUBLIC | functions.FUNCTIONS, INSTEAD),
        Facade("torch.nn", "Layers, losses and containers.", by_name(LAYERS)),
        Facade("torch.nn.functional", "Their functions.", by_name(functional.FUNCTIONS)),
        Facade("torch.nn.init", "Initial weights.", init.FUNCTIONS),
        Facade("torch.nn.parameter", "Parameters.", {"Parameter": Parameter}),
        Facade("torch.optim", "Optimizers.", by_name(optimizers.OPTIMIZERS)),
        Facade(
            "torch.optim.lr_scheduler", "Learning-rate schedules.", by_name(optimizers.SCHEDULES)
        ),
        Facade("torch.cuda", "GPUs.", CUDA),
        Facade("torch.utils", "Data.", {}),
        Facade("torch.utils.data", "Data sets and batches.", by_name(data.CLASSES)),
        Facade(
            "d2l.torch",
            "The second edition's helpers.",
            helpers.NAMES,
            helpers.INSTEAD,
            helpers.LATER,
        ),
    ]
