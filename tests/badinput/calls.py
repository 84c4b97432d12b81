"""Every public function and class, and a call of it that is right."""

from __future__ import annotations

import atexit
import functools
import inspect
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

import minicnn
from minicnn import data, models, nn, optim
from minicnn.nn import functional as F
from tests.hostile import makers

ROOMS: dict[str, ModuleType] = {
    "": minicnn,
    "nn.": nn,
    "F.": F,
    "init.": nn.init,
    "optim.": optim,
    "data.": data,
    "models.": models,
}
NO_CALLS = {  # names that are no functions of a user's values
    "Training": "made by fit, for callbacks",
    "apply": "for whoever writes an operation: it computes what it is given",
    "Tensor.cuda": "takes nothing",
    "History": "made by fit",
    "GradientError": "raised by gradcheck",
    "CompileError": "raised",
    "DeviceError": "raised",
    "data.DatasetError": "raised",
    "data.DatasetNotFoundError": "raised",
    "data.IdxError": "raised",
    **dict.fromkeys(["double", "float32", "float64", "int32", "int64", "long", "uint8"], "NumPy's"),
    "nn.Identity": "takes anything, as in PyTorch",
    "optim.Optimizer": "a base class: its checks are those of SGD",
    "optim.LRScheduler": "a base class: its checks are those of StepLR",
}


class Parameter(NamedTuple):
    """A parameter of a public function."""

    function: str
    name: str
    annotation: str


def functions() -> dict[str, Callable[..., Any]]:
    """All public functions and classes, by name."""
    found = {}
    for prefix, room in ROOMS.items():
        for name in _names(room):
            thing = getattr(room, name)
            if callable(thing) and not isinstance(thing, ModuleType):
                found[prefix + name] = thing
    methods = {f"Tensor.{name}": getattr(minicnn.Tensor, name) for name in _methods(minicnn.Tensor)}
    return {name: f for name, f in {**found, **methods}.items() if name not in NO_CALLS}


def _names(room: ModuleType) -> list[str]:
    """Of a module without ``__all__`` what it defines itself."""
    own = [
        n for n, thing in vars(room).items() if getattr(thing, "__module__", "") == room.__name__
    ]
    return list(getattr(room, "__all__", [n for n in own if not n.startswith("_")]))


def _methods(kind: type) -> list[str]:
    return [
        name
        for name in dir(kind)
        if not name.startswith("_")
        and not isinstance(inspect.getattr_static(kind, name), property)
        and callable(getattr(kind, name))
    ]


def parameters(function: str, thing: Callable[..., Any]) -> Iterator[Parameter]:
    """The parameters of a function; those after ``*`` and ``**`` are not looked at."""
    for p in inspect.signature(thing).parameters.values():
        if p.name == "self" or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        said = p.annotation
        yield Parameter(
            function, p.name, said if isinstance(said, str) else inspect.formatannotation(said)
        )


def tensor(*shape: int) -> minicnn.Tensor:
    return minicnn.Tensor(np.random.default_rng(0).random(shape, np.float32))


def _dataset() -> data.Dataset:
    return data.Dataset(np.zeros((6, 4, 5), np.uint8), np.arange(6) % 2, 2)


def _net() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(20, 2))


def _optimizer() -> optim.Optimizer:
    return optim.SGD([nn.Parameter(np.ones(3, np.float32))], lr=0.1)


@functools.cache
def _trained() -> nn.Sequential:
    return _net()


# right values of parameters without a default, by name; and of a function's own
USUAL: dict[str, Callable[[], Any]] = {
    "input": lambda: tensor(2, 3, 6, 5),
    "weight": lambda: tensor(4, 3, 3, 2),
    "tensor": lambda: tensor(4, 3),
    "tensors": lambda: [tensor(2, 3), tensor(2, 3)],
    "kernel_size": lambda: 2,
    **dict.fromkeys(["in_channels", "out_channels", "in_features", "out_features"], lambda: 4),
    "num_features": lambda: 4,
    "dim": lambda: 1,
    "padding": lambda: 1,
    "data": lambda: [1.0, 2.0],
    "params": lambda: [nn.Parameter(np.ones(3, np.float32))],
    "optimizer": _optimizer,
    "net": _net,
    "dataset": _dataset,
    "loader": _dataset,
    "train": _dataset,
    "array": lambda: np.ones(3, np.float32),
    "fn": lambda: lambda x: x * x,
    "inputs": lambda: [minicnn.Tensor(np.ones(3), requires_grad=True)],
    "gamma": lambda: 0.5,
    "T_max": lambda: 3,
    "step_size": lambda: 2,
    "milestones": lambda: [2, 3],
    "lr_lambda": lambda: lambda epoch: 1.0,
    "seed": lambda: 1,
    "threads": lambda: 1,
    "start": lambda: 3,
    "type": lambda: "cpu",
    "nonlinearity": lambda: "relu",
    "val": lambda: 2.0,
    "images": lambda: np.zeros((6, 4, 5), np.uint8),
    "labels": lambda: np.arange(6) % 2,
    "classes": lambda: 2,
    "number": lambda: 2,
    "target": lambda: np.array([0, 2]),
    "pad": lambda: [1, 0],
    "operation": lambda: minicnn.ops.Exp(),
    "other": lambda: 2.0,
    "value": lambda: 1.5,
    "source": lambda: np.ones((2, 3, 6, 5), np.float32),
}
FILES = {  # of the folder that ``files`` fills
    "Checkpoint": "state",
    "save": "saved.safetensors",
    "load": "model.safetensors",
    "load_run": "",
    "data.from_csv": "x.csv",
    "data.from_folder": "x.csv",
    "data.from_idx": "idx",
    "data.from_npz": "x.npz",
    "data.from_pictures": "pictures",
    "data.read_idx": "idx/train-images-idx3-ubyte",
    "data.read_picture": "pictures/a/1.png",
}


@functools.cache
def files() -> Path:
    """A folder with a file of every kind."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    makers.run(folder)
    makers.csv(folder / "x.csv")
    makers.npz(folder / "x.npz")
    (folder / "idx").mkdir()
    makers.idx_files(folder / "idx", "")
    for name in "ab":
        (folder / "pictures" / name).mkdir(parents=True)
        for i in range(2):
            makers.picture(folder / "pictures" / name / f"{i}.png", "L")
    return folder


OWN: dict[tuple[str, str], Callable[[], Any]] = {
    ("data.from_csv", "size"): lambda: makers.SIDE,
    ("data.from_folder", "size"): lambda: makers.SIDE,
    ("data.mean_and_std", "dataset"): lambda: data.Dataset(makers.images(4), [0, 1, 0, 1], 2),
    ("fit", "net"): _trained,
    ("fit", "optimizer"): lambda: optim.SGD(_trained().parameters(), lr=0.1),
    ("fit", "epochs"): lambda: 1,
    ("fit", "quiet"): lambda: True,
    ("F.linear", "input"): lambda: tensor(2, 3),
    ("F.linear", "weight"): lambda: tensor(4, 3),
    ("F.cross_entropy", "input"): lambda: tensor(2, 3),
    ("F.nll_loss", "input"): lambda: tensor(2, 3),
    ("F.batch_norm", "running_mean"): lambda: None,
    ("F.batch_norm", "running_var"): lambda: None,
    ("F.batch_norm", "training"): lambda: True,
    ("Tensor.to", "target"): lambda: "float64",
    ("Tensor.view_as", "other"): lambda: tensor(6, 30),
    ("Tensor.backward", "gradient"): lambda: np.ones((2, 3, 6, 5), np.float32),
    ("models.build", "name"): lambda: "mlp",
    ("models.defaults", "name"): lambda: "mlp",
    ("models.initializer", "name"): lambda: "normal",
    ("data.load", "name"): lambda: "fashion-mnist-sample",
    ("save", "obj"): _net,
    ("minicnn.compile", "loss"): nn.CrossEntropyLoss,
}
