"""Nets from PyTorch's layers to minicnn's, and back.

The layers of both have the same names, arguments and attributes: one table serves both ways.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import nn
from minicnn.exchange.libraries import library
from minicnn.formats import shown
from minicnn.random import Draws, drawing_from
from minicnn.tensor import Tensor

from .tensors import from_torch_tensor, tell_of_widened

WINDOW = ("kernel_size", "stride", "padding")
CONV = ("out_channels", *WINDOW, "dilation", "groups")
# Each layer, and those of its arguments that are attributes of the same name in both libraries.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "Conv2d": ("in_channels", *CONV),
    "LazyConv2d": CONV,
    "Linear": ("in_features", "out_features"),
    "LazyLinear": ("out_features",),
    "MaxPool2d": (*WINDOW, "dilation", "ceil_mode"),
    "AvgPool2d": (*WINDOW, "ceil_mode", "count_include_pad", "divisor_override"),
    "BatchNorm2d": ("num_features", "eps", "momentum", "affine", "track_running_stats"),
    "Flatten": ("start_dim", "end_dim"),
    "ZeroPad2d": ("padding",),
    "ReLU": ("inplace",),
    "Sigmoid": (),
    "Tanh": (),
    "Softmax": ("dim",),
    "LogSoftmax": ("dim",),
    "Dropout": ("p", "inplace"),
    "Identity": (),
    "CrossEntropyLoss": ("weight", "ignore_index", "reduction", "label_smoothing"),
    "NLLLoss": ("weight", "ignore_index", "reduction"),
}
WITH_BIAS = ("Conv2d", "LazyConv2d", "Linear", "LazyLinear")
# What PyTorch's layers can do and minicnn's cannot: an attribute, and the value that both have.
PYTORCHS_OWN = {"padding_mode": "zeros", "return_indices": False}
WRAPPERS = {
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "OptimizedModule": "_orig_mod",  # of torch.compile
}


def from_torch(module: Any) -> Any:
    """A net of minicnn that computes what PyTorch's ``module`` computes.

    Weights and buffers are copied, to the CPU, with their names, dtypes and ``requires_grad``
    (float16 and bfloat16 become float32, which holds all their numbers, with a warning). Each
    layer keeps its mode, training or evaluation. Layers and parameters that stand in several
    places are shared here too.

    Args:
        module: a layer that minicnn has, or a ``torch.nn.Sequential`` of such, nested or not; a
            class derived from ``Sequential`` too, if it has no ``forward`` of its own.

    Raises:
        ImportError: PyTorch is missing.
        TypeError: not a module of PyTorch.
        ValueError: parts that do not convert; all are named, each with its reason.

    Warns:
        UserWarning: weights in float16 or bfloat16.
    """
    torch = library("torch")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(
            f"from_torch: module is of type {type(module).__name__}; wanted a torch.nn.Module"
        )
    way = _FromTorch(torch.nn, nn)
    with drawing_from(Draws(0)):  # weights are drawn, and replaced
        net = way.converted(module, "")
    way.check("from_torch")
    tell_of_widened("from_torch", way.widened)
    return net


def to_torch(net: nn.Module) -> Any:
    """A ``torch.nn.Module`` that computes what ``net`` computes: ``from_torch`` the other way.

    It is on the CPU, whatever the device of ``net``. Forward hooks stay behind.

    Raises:
        ImportError: PyTorch is missing.
        TypeError: not a module of minicnn.
        ValueError: parts that do not convert; all are named, each with its reason.
    """
    torch = library("torch")
    if not isinstance(net, nn.Module):
        raise TypeError(
            f"to_torch: net is of type {type(net).__name__}; wanted a module of minicnn"
        )
    way = _ToTorch(nn, torch.nn)
    with torch.random.fork_rng(devices=[]):
        module = way.converted(net, "")
    way.check("to_torch")
    return module


class _Way:
    """A conversion of modules of ``source`` into modules of ``target``: two ``nn`` packages.

    The modules of both keep ``_modules``, ``_parameters``, ``_buffers`` and ``training``.
    """

    def __init__(self, source: Any, target: Any):
        self.source, self.target = source, target
        self.done: dict[int, Any] = {}  # by id: what stands in several places is converted once
        self.refused: list[str] = []

    def converted(self, module: Any, path: str) -> Any:
        """The module ``path`` of the net, converted; None, and a line in ``refused``, if not."""
        if id(module) not in self.done:
            reason = self.reason_against(module)
            if reason is None:
                is_chain = isinstance(module, self.source.Sequential)
                self.done[id(module)] = (self._chain if is_chain else self._layer)(module, path)
            else:
                self._refuse(module, path, reason)
                self.done[id(module)] = None
        return self.done[id(module)]

    def reason_against(self, module: Any) -> str | None:
        """Why a module cannot be converted; None if it can."""
        kind = type(module)
        own = "forward" in vars(module)
        if isinstance(module, self.source.Sequential):
            own = own or kind.forward is not self.source.Sequential.forward
        elif kind.__name__ not in ARGUMENTS or kind is not getattr(self.source, kind.__name__):
            return self.reason_against_kind(module)
        return "it has a forward() of its own, which is not read" if own else None

    def reason_against_kind(self, module: Any) -> str:
        raise NotImplementedError

    def tensor(self, tensor: Any) -> Any:
        """A copy in the other library; a parameter of a parameter."""
        raise NotImplementedError

    def sequential(self, children: dict[str, Any]) -> Any:
        """A ``Sequential`` whose layers have these names."""
        raise NotImplementedError

    def _chain(self, module: Any, path: str) -> Any:
        children = {
            name: self.converted(child, f"{path}.{name}" if path else name)
            for name, child in module._modules.items()
        }
        if None in children.values():
            return None
        chain = self.sequential(children)
        chain.training = module.training
        return chain

    def _layer(self, module: Any, path: str) -> Any:
        kind = type(module).__name__
        options = {name: getattr(module, name) for name in ARGUMENTS[kind]}
        if options.get("weight") is not None:  # of a loss
            options["weight"] = self.tensor(options["weight"])
        if kind in WITH_BIAS:
            options["bias"] = self.has_bias(module)
        layer = getattr(self.target, kind)(**options)
        layer.training = module.training
        if not kind.startswith("Lazy"):
            self._copy_tensors(module, layer, path)
        return layer

    def has_bias(self, module: Any) -> bool:
        raise NotImplementedError

    def _copy_tensors(self, module: Any, layer: Any, path: str) -> None:
        names = {**module._parameters, **module._buffers, **module._modules}
        known = layer._parameters.keys() | layer._buffers.keys()
        for name, tensor in names.items():
            if tensor is None:
                continue
            if name not in known:
                self._refuse(module, path, f"it has {name}, which the layer does not know")
                continue
            try:
                setattr(layer, name, self.tensor(tensor))
            except TypeError as error:
                self._refuse(module, path, f"its {name} is {error}")

    def _refuse(self, module: Any, path: str, reason: str) -> None:
        kind = type(module).__name__
        self.refused.append(f"layer {path} ({kind}): {reason}" if path else f"{kind}: {reason}")

    def check(self, function: str) -> None:
        """Raise one error for all that was refused."""
        if self.refused:
            raise ValueError(f"{function}: {'; '.join(self.refused)}")


class _FromTorch(_Way):
    def __init__(self, source: Any, target: Any):
        super().__init__(source, target)
        self.widened: list[str] = []

    def reason_against(self, module: Any) -> str | None:
        is_lazy = type(module).__name__.startswith("Lazy")  # its first input comes through a hook
        if not is_lazy and (module._forward_hooks or module._forward_pre_hooks):
            return "it has forward hooks, which may change what it computes; remove them first"
        for name, common in PYTORCHS_OWN.items():
            if getattr(module, name, common) != common:
                return f"{name} is {shown(getattr(module, name))}; minicnn has {common!r} only"
        if getattr(module, "dim", 0) is None:
            return "dim is None, and PyTorch guesses the axis; name it"
        return super().reason_against(module)

    def reason_against_kind(self, module: Any) -> str:
        kind = type(module)
        if kind.__name__ in WRAPPERS:
            return f"it wraps the net; convert its .{WRAPPERS[kind.__name__]}"
        if kind.__module__.startswith("torch."):
            return "minicnn has no such layer"
        return (
            "its forward() is not read; write it as a torch.nn.Sequential, or go by a file: "
            "torch.onnx.export, then minicnn.onnx.load"
        )

    def tensor(self, tensor: Any) -> Any:
        if id(tensor) not in self.done:
            ours = from_torch_tensor(tensor)
            if str(tensor.dtype).removeprefix("torch.") != str(ours.dtype):
                self.widened.append(str(tensor.dtype))
            is_parameter = isinstance(tensor, self.source.Parameter)
            self.done[id(tensor)] = (
                nn.Parameter(ours, tensor.requires_grad) if is_parameter else ours
            )
        return self.done[id(tensor)]

    def sequential(self, children: dict[str, Any]) -> nn.Sequential:
        chain = nn.Sequential()
        for name, child in children.items():
            setattr(chain, name, child)
        return chain

    def has_bias(self, module: Any) -> bool:
        return module.bias is not None


class _ToTorch(_Way):
    def reason_against_kind(self, module: Any) -> str:
        return "it is none of minicnn's layers; write it as a nn.Sequential of them"

    def tensor(self, tensor: Tensor) -> Any:
        if id(tensor) not in self.done:
            torch = library("torch")
            theirs = torch.tensor(np.array(tensor.numpy(), order="C"))
            is_parameter = isinstance(tensor, nn.Parameter)
            self.done[id(tensor)] = (
                torch.nn.Parameter(theirs, tensor.requires_grad) if is_parameter else theirs
            )
        return self.done[id(tensor)]

    def sequential(self, children: dict[str, Any]) -> Any:
        chain = self.target.Sequential()
        for name, child in children.items():
            chain.add_module(name, child)
        return chain

    def has_bias(self, module: Any) -> bool:
        return module.has_bias
