"""install() and uninstall(): whose module ``import torch`` finds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

from minicnn.checks import check_one_of
from minicnn.d2l.facades.modules import Facade, as_tree
from minicnn.language import notice
from minicnn.terminal import say

# A framework's name in the book: the package that builds its modules. Each has ``modules()``.
FRAMEWORKS = {
    "mxnet": "minicnn.d2l.facades.gluon",
    "pytorch": "minicnn.d2l.facades.pytorch",
    "tensorflow": "minicnn.d2l.facades.keras",
}


class _Finder:
    """Asked for a module under a facade's that is not there, it says what there is.

    Python asks the finders only for modules that are not in ``sys.modules``; the facades are.
    """

    def __init__(self) -> None:
        self.modules: dict[str, Facade] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in self.modules:  # importlib.util.find_spec, after somebody emptied sys.modules
            return self.modules[name].__spec__
        parent, _, child = name.rpartition(".")
        if parent in self.modules:
            raise ModuleNotFoundError(self.modules[parent].complaint(child), name=parent)
        return None


_finder = _Finder()


def install(framework: str) -> None:
    """Let a framework's modules mean this engine, from the next ``import`` on; says so in a line.

    ``install("mxnet")``: ``mxnet``, ``d2lzh``, ``d2l.mxnet``. ``install("pytorch")``: ``torch``,
    ``d2l.torch``. ``install("tensorflow")``: ``tensorflow``, ``d2l.tensorflow``. Several may be
    installed. ``uninstall()`` puts all back.

    Raises:
        ValueError: not one of the three.
        RuntimeError: a real package of one of these names is already imported; call this first.
    """
    check_one_of("install: framework", framework, FRAMEWORKS)
    modules = as_tree(import_module(FRAMEWORKS[framework]).modules())
    _refuse_real_ones(framework, modules)
    if modules.keys() <= _finder.modules.keys():
        return
    _finder.modules |= modules
    _finder.modules["d2l"] = _d2l(_finder.modules)
    sys.modules.update(_finder.modules)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    names = sorted({n for n in modules if "." not in n} | {n for n in modules if "d2l." in n})
    say(notice("installed", names=", ".join(names)))


def uninstall() -> None:
    """Take all facades out again: ``import torch`` finds what is installed, or nothing.

    What a program has imported already keeps its meaning.
    """
    for name, module in _finder.modules.items():
        if sys.modules.get(name) is module:
            del sys.modules[name]
    _finder.modules = {}
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def _d2l(modules: dict[str, Facade]) -> Facade:
    """The book's package, with the module of each framework that is installed.

    Of a single one it has the helpers too: in 2019, with one framework, the book wrote
    ``import d2l``.
    """
    own = {name.partition(".")[2]: m for name, m in modules.items() if name.startswith("d2l.")}
    (only, *more) = own.values()
    helpers = (
        {} if more else {name: vars(only)[name] for name in only.__all__ if name in vars(only)}
    )
    later = {} if more else only.later
    tabs = {"mxnet": "mxnet", "torch": "pytorch", "tensorflow": "tensorflow"}
    others = {tab: f'call minicnn.d2l.install("{tabs[tab]}") first' for tab in tabs}
    doc = "Dive into Deep Learning's helpers, on minicnn."
    return Facade("d2l", doc, {**helpers, **own}, others, later)


def _refuse_real_ones(framework: str, modules: dict[str, Facade]) -> None:
    for name in [*modules, "d2l"]:
        there = sys.modules.get(name)
        if there is not None and not isinstance(there, Facade):
            version = getattr(there, "__version__", "")
            raise RuntimeError(
                f'install("{framework}"): the real {name} {version}'.rstrip()
                + f" is already imported; call minicnn.d2l.install before anything imports {name}"
            )
