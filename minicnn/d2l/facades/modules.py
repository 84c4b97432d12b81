"""Modules of a facade: plain modules whose missing names say what there is instead."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOST = 12  # names that a message lists, the nearest first


class Facade(ModuleType):
    """A module ``name`` with exactly the names it is given.

    Args:
        name: its full name, ``"torch.nn.functional"``.
        doc: a sentence.
        names: what it holds.
        instead: for names that readers will look for in vain, what to write.
        later: names whose value takes long to load, each with the function that loads it.
    """

    def __init__(
        self,
        name: str,
        doc: str,
        names: Mapping[str, Any],
        instead: Mapping[str, str] | None = None,
        later: Mapping[str, Callable[[], Any]] | None = None,
    ):
        super().__init__(name, doc)
        # a package: so that ``from torch import x`` asks the finder for torch.x, which can explain
        self.__path__: list[str] = []
        self.__spec__ = ModuleSpec(name, None, origin="minicnn.d2l", is_package=True)
        self._instead, self._later = dict(instead or {}), dict(later or {})
        self.__all__ = [*names, *self._later]
        vars(self).update(names)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python and libraries ask any module for
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if name in self._later:
            setattr(self, name, self._later[name]())
            return vars(self)[name]
        raise AttributeError(self.complaint(name), name=name, obj=self)

    def __dir__(self) -> list[str]:
        return sorted(n for n in {*vars(self), *self._later} if not n.startswith("_"))

    @property
    def later(self) -> Mapping[str, Callable[[], Any]]:
        """See the class."""
        return self._later

    def complaint(self, name: str) -> str:
        """The message for a name that is not here: what to write instead, or what there is."""
        module, there = self.__name__, dir(self)
        missing = f"{module}.{name} is not in minicnn's {module}"
        if name in self._instead:
            return f"{missing}; {self._instead[name]}"
        near = difflib.get_close_matches(name, there, 3)
        shown = [*near, *(other for other in there if other not in near)][:MOST]
        more = f"... dir({module}) lists all {len(there)}" if len(there) > MOST else ""
        return f"{missing}; it has " + ", ".join([*shown, more] if more else shown)


def as_tree(modules: Iterable[Facade]) -> dict[str, Facade]:
    """The modules by their full names; each is an attribute of its parent, as after an import."""
    tree = {module.__name__: module for module in modules}
    for name, module in tree.items():
        parent, _, child = name.rpartition(".")
        if parent in tree:
            setattr(tree[parent], child, module)
    return tree


def by_name(things: Iterable[Any]) -> dict[str, Any]:
    """Functions and classes by their own names, as a module holds them."""
    return {thing.__name__: thing for thing in things}
