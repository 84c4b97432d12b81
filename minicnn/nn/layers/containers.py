"""Nets of layers: one after the other; and a layer that does nothing."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, overload

from minicnn.nn.module import Module
from minicnn.tensor import Tensor


class Sequential(Module):
    """Modules one after the other. Iterates, indexes, slices (into a Sequential) and nests."""

    def __init__(self, *modules: Module):
        super().__init__()
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> Sequential:
        """Add ``module`` at the end."""
        if not isinstance(module, Module):
            raise TypeError(f"Sequential: wanted modules, received {type(module).__name__}")
        setattr(self, str(len(self)), module)
        return self

    def _check_replacement(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_modules", ()) and not isinstance(value, Module):
            raise TypeError(
                f"Sequential: {name} is a layer; wanted a Module, received {type(value).__name__}"
            )
        super()._check_replacement(name, value)

    def forward(self, input: Tensor) -> Tensor:
        for module in self:
            input = module(input)
        return input

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module:
        modules = list(self)[index]
        return Sequential(*modules) if isinstance(modules, list) else modules

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, list(self._modules)[operator.index(index)], module)


class Identity(Module):
    """Its input, as it is; all arguments are ignored. It holds the place of another layer."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input
