"""Nets of layers: one after the other, or in a list; and a layer that does nothing."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import Any, Self

from .module import Module
from .tensor import Tensor


class _Numbered(Module):
    """Modules with numbers for names."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._of(dict(list(self._modules.items())[index]))
        return self._modules[self._name(index)]

    def _of(self, modules: dict[str, Any]) -> Module:
        raise NotImplementedError

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name(index), module)

    def __delitem__(self, index: int) -> None:
        del self._modules[self._name(index)]
        if all(name.isdigit() for name in self._modules):  # numbered from 0 again
            modules = list(self._modules.values())
            self._modules.clear()
            self._modules.update({str(i): module for i, module in enumerate(modules)})

    def _name(self, index: int) -> str:
        names, i = list(self._modules), operator.index(index)
        if not -len(names) <= i < len(names):
            raise IndexError(
                f"{type(self).__name__}: index {i} is out of range; it has {len(self)}"
            )
        return names[i]

    def append(self, module: Module) -> Self:
        """Add ``module`` at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add ``modules`` at the end."""
        for module in modules:
            self.append(module)
        return self


class Sequential(_Numbered):
    """Modules one after the other. Iterates, indexes, slices (into a Sequential) and nests.

    ``Sequential(layer, layer)``, or with names: ``Sequential(OrderedDict(conv=layer))``.
    """

    __module__ = "torch.nn.modules.container"

    def __init__(self, *args: Any):
        super().__init__()
        named = args[0] if len(args) == 1 and isinstance(args[0], dict) else None
        for name, module in (named or {str(i): m for i, m in enumerate(args)}).items():
            if not isinstance(module, Module):
                raise TypeError(
                    f"Sequential: received {type(module).__name__}; wanted modules: "
                    "nn.Sequential(nn.Flatten(), nn.Linear(784, 10))"
                )
            self.add_module(name, module)

    def _of(self, modules: dict[str, Any]) -> Module:
        return Sequential(modules)

    def forward(self, input: Tensor) -> Tensor:
        """What the last module makes of what the one before makes of..."""
        for module in self:
            input = module(input)
        return input


class ModuleList(_Numbered):
    """A list whose modules belong to the net; it is not called itself."""

    __module__ = "torch.nn.modules.container"

    def __init__(self, modules: Iterable[Module] = ()):
        super().__init__()
        self.extend(modules)

    def _of(self, modules: dict[str, Any]) -> Module:
        return ModuleList(modules.values())


class Identity(Module):
    """Its input, as it is; all arguments are ignored, as in PyTorch."""

    __module__ = "torch.nn.modules.linear"

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input
