"""Every public function, class and method, and its parameters."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple

ROOMS = {  # and the package that a room needs
    "": ("minicnn", ""),
    "nn.": ("minicnn.nn", ""),
    "F.": ("minicnn.nn.functional", ""),
    "init.": ("minicnn.nn.init", ""),
    "optim.": ("minicnn.optim", ""),
    "data.": ("minicnn.data", ""),
    "models.": ("minicnn.models", ""),
    "visualize.": ("minicnn.visualize", "matplotlib"),
    "d2l.": ("minicnn.d2l", "matplotlib"),
    "explain.": ("minicnn.explain", ""),
    "export.": ("minicnn.export", ""),
    "interop.": ("minicnn.interop", "torch"),
    "onnx.": ("minicnn.onnx", "onnx"),
    "predict.": ("minicnn.predict", "PIL"),
    "sklearn.": ("minicnn.sklearn", "sklearn"),
    "learn.": ("minicnn.learn", ""),
}

COMMANDS = (  # which have tests of their own
    *("visualize.main", "visualize.parser", "export.main", "export.parser", "predict.main"),
)
MADE = (  # by functions, not by users; their methods are asked all the same
    *("Training", "History", "export.Exported", "visualize.Layer", "visualize.Predictions"),
    *("explain.Explained", "explain.ExplainedConvolution", "explain.Factor", "explain.Product"),
    *("explain.Followed", "explain.Tape", "predict.Prediction"),
    *("learn.Diagnosis", "learn.Exercise"),
)
RAISED = (
    *("GradientError", "CompileError", "DeviceError", "predict.PictureError"),
    *("data.DatasetError", "data.DatasetNotFoundError", "data.IdxError"),
)
INNER = {  # methods that the engine calls, not a user
    "Callback": "on_batch on_end on_epoch on_interrupt",
    "Checkpoint": "on_batch on_end on_epoch on_interrupt",
    "History": "add_epoch",
    "data.DataLoader": "images_in",
    "explain.ExplainedConvolution": "channel channels_of in_picture kernels_of over_channel pixel"
    " tap windows_over largest_difference",
    "learn.Exercise": "with_hole",
    "predict.Classifier": "features prepare",
    **dict.fromkeys(["nn.AvgPool2d", "nn.Conv2d", "nn.Linear", "nn.Module"], "multiply_adds"),
    **dict.fromkeys(["nn.LazyConv2d", "nn.LazyLinear", "nn.MaxPool2d"], "multiply_adds"),
    **{
        f"optim.{kind}": "descend kept state_of update"
        for kind in ("Adadelta", "Adam", "AdamW", "Optimizer", "SGD")
    },
}
NO_CALLS = {  # names that are no functions of a user's values
    **dict.fromkeys(COMMANDS, "a command"),
    **dict.fromkeys(MADE, "made by a function"),
    **dict.fromkeys(RAISED, "raised"),
    **{f"{kind}.{name}": "called by the engine" for kind, n in INNER.items() for name in n.split()},
    "apply": "for whoever writes an operation: it computes what it is given",
    **dict.fromkeys(["double", "float32", "float64", "int32", "int64", "long", "uint8"], "NumPy's"),
    "nn.Identity": "takes anything, as in PyTorch",
    "nn.Identity.forward": "likewise",
    "optim.Optimizer": "a base class: its checks are those of SGD",
    "optim.LRScheduler": "a base class: its checks are those of StepLR",
}


class Parameter(NamedTuple):
    """A parameter of a public function."""

    function: str
    name: str
    annotation: str


@functools.cache
def functions() -> dict[str, Callable[..., Any]]:
    """All public functions and classes, by name, and the methods that have parameters."""
    found: dict[str, Callable[..., Any]] = {}
    for name, kind in things().items():
        found[name] = kind
        if inspect.isclass(kind):
            found.update({f"{name}.{key}": f for key, f in methods(kind).items()})
    first: dict[int, str] = {}  # a method that a class has of another one is asked there
    for name, f in found.items():
        first.setdefault(id(f), name)
    return {name: f for name, f in found.items() if first[id(f)] == name not in NO_CALLS}


@functools.cache
def things() -> dict[str, Callable[..., Any]]:
    """The public functions and classes; base classes first."""
    found = {}
    for prefix, (module, package) in ROOMS.items():
        if package and find_spec(package) is None:
            continue
        room = import_module(module)
        for name in _names(room):
            thing = getattr(room, name)
            if callable(thing) and not isinstance(thing, ModuleType):
                found[prefix + name] = thing
    return dict(sorted(found.items(), key=lambda item: len(getattr(item[1], "__mro__", ()))))


def _names(room: ModuleType) -> list[str]:
    """Of a module without ``__all__`` what it defines itself."""
    own = [
        n for n, thing in vars(room).items() if getattr(thing, "__module__", "") == room.__name__
    ]
    return list(getattr(room, "__all__", [n for n in own if not n.startswith("_")]))


def methods(kind: type) -> dict[str, Callable[..., Any]]:
    """Those of minicnn's that have parameters; of a class method with its class."""
    found: dict[str, Callable[..., Any]] = {}
    for name in dir(kind):
        method = getattr(kind, name)
        own = str(getattr(method, "__module__", "")).startswith("minicnn")
        if name.startswith("_") or not own or not (inspect.isroutine(method) and callable(method)):
            continue
        if list(parameters("", method)):
            found[name] = method
    return found


def owner(function: str) -> str | None:
    """The class that a method needs an object of; None for a function or a class method."""
    kind, _, name = function.rpartition(".")
    found = things().get(kind)
    if not inspect.isclass(found) or inspect.ismethod(getattr(found, name)):
        return None
    return kind


def parameters(function: str, thing: Callable[..., Any]) -> Iterator[Parameter]:
    """The parameters of a function; those after ``*`` and ``**`` are not looked at."""
    for p in inspect.signature(thing).parameters.values():
        if p.name == "self" or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        said = p.annotation
        yield Parameter(
            function, p.name, said if isinstance(said, str) else inspect.formatannotation(said)
        )
