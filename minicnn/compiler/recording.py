"""Records a net's graph of operations together with a guard that tells how long it holds."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

import numpy as np

from minicnn import nn
from minicnn.kernels import Array, array_module
from minicnn.tape import looks_noted

from .guards import COLLECTIONS, MOST_CELLS, Guard, is_ours
from .record import CompileError, Stage, graph_of, one_at_a_time, record

# attributes that are no settings: hooks are refused, the mode is compared by itself
REGISTERS = frozenset({"_parameters", "_buffers", "_modules", "_forward_hooks", "training"})
SAMPLE = 2  # pictures for our own layers: the statistics of a batch need two values
FEW = 3  # pictures that show whether a forward decides by what it sees
MANY = 1024  # from this size of batch on, a forward is taken to do the same for all sizes


class Recording(NamedTuple):
    """A graph, and the guard that tells how long it holds.

    Attributes:
        images: the batch size it was recorded with; None if it is the graph of every size.
    """

    stages: list[Stage]
    guard: Guard
    images: int | None


def parts_of(net: nn.Module) -> list[nn.Module]:
    """The net and all modules inside it, also those in plain lists and dicts, each once."""
    # net.modules() does not know the modules in a plain list, which a forward may call all the same
    found: dict[int, nn.Module] = {}
    waiting: list[Any] = [net]
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, nn.Module) and id(thing) not in found:
            found[id(thing)] = thing
            waiting += [*thing._modules.values(), *vars(thing).values()]
        elif isinstance(thing, COLLECTIONS) and len(thing) < MOST_CELLS:
            waiting += thing
        elif isinstance(thing, dict) and len(thing) < MOST_CELLS:
            waiting += thing.values()
    return list(found.values())


def follow(net: nn.Module, x: Array, dtype: np.dtype, training: bool | None = None) -> Recording:
    """Record what ``net`` does with batches like ``x`` (see ``record``), with a guard.

    A net of our own layers runs once, on two black pictures. A forward of the user's own also runs
    on others, among them the first of ``x``, and on as many black ones as ``x`` has pictures.

    Raises:
        CompileError: as ``record``; a forward that decides by the numbers it sees, or that does
            more than compute its result, or reads what a guard cannot compare.
    """
    with one_at_a_time:
        return _follow(net, x, dtype, training)


def _follow(net: nn.Module, x: Array, dtype: np.dtype, training: bool | None) -> Recording:
    stages = _stages(net, x, dtype, training)
    parts = parts_of(net)  # lazy layers have become plain ones
    own = [module for module in parts if not is_ours(module)]
    settings = [(module, name) for module in parts if is_ours(module) for name in _settings(module)]
    if training is None:
        settings += [(module, "training") for module in parts]
    if not own:
        return Recording(stages, Guard(settings), None)
    stages, read = _follow_own(net, own, x, dtype, training)
    guard = Guard([*settings, *read])
    record(net, _black(x, FEW, dtype), training)  # once more, to see whether that changes anything
    if guard.changed():
        raise CompileError(
            f"compile: a forward changes {guard.changed()}, which a plan would not; wanted one "
            "that only computes its result"
        )
    return Recording(stages, guard, images_that_count(x))


def images_that_count(x: Array) -> int:
    """The batch size, as far as a recording distinguishes sizes."""
    # an empty batch has nothing to record, and counts as one of SAMPLE pictures
    return min(len(x), MANY) or SAMPLE


def _settings(module: nn.Module) -> list[str]:
    names = [name for name in vars(module) if name not in REGISTERS]
    # "forward": somebody may set a method of its own; "_modules": a layer may be appended
    return [*names, "forward", *["_modules"] * bool(module._modules)]


def _stages(net: nn.Module, x: Array, dtype: np.dtype, training: bool | None) -> list[Stage]:
    """The graph. The error about pictures that do not fit names the shape that was passed."""
    with contextlib.suppress(ValueError):
        return record(net, _black(x, SAMPLE, dtype), training)
    return record(net, _black(x, len(x), dtype), training)


def _black(x: Array, images: int, dtype: np.dtype) -> Array:
    return array_module(x).zeros((images, *x.shape[1:]), dtype)


def _follow_own(
    net: nn.Module, own: list[nn.Module], x: Array, dtype: np.dtype, training: bool | None
) -> tuple[list[Stage], list[tuple[nn.Module, str]]]:
    """The graph of a net with modules of the user's own, and which of their attributes it reads.

    The graph has to be the same for black, ordinary, negative and far too bright pictures.
    """
    few = (x[:FEW] / (255 if x.dtype == np.uint8 else 1)).astype(dtype)
    few = few if len(few) else _black(x, SAMPLE, dtype)
    whose = " and ".join(sorted({type(module).__name__ for module in own}))
    not_the_same = f"the forward of {whose} is not the same for all pictures"
    with _Watch(own) as watch, looks_noted() as looked_at, np.errstate(all="ignore"):
        graphs = [record(net, pictures, training) for pictures in (few * 0, few)]
        try:  # an error that the ordinary pictures did not raise is a decision by numbers, too
            graphs += [record(net, pictures, training) for pictures in (-few, few * 256)]
        except (ArithmeticError, AssertionError, IndexError, ValueError) as error:
            raise CompileError(f"compile: {not_the_same}: {error}") from error
        stages = record(net, _black(x, images_that_count(x), dtype), training)
    # our own batch normalisation reads its buffers; that decides nothing
    counters = {id(b) for m in net.modules() if is_ours(m) for b in m._buffers.values()}
    if any(id(tensor) not in counters for tensor in looked_at):
        raise CompileError(
            f"compile: the forward of {whose} looks at the numbers of a tensor (item, numpy, if); "
            "a plan is made once, whatever the numbers are"
        )
    if watch.written:
        raise CompileError(
            f"compile: the forward of {whose} sets {', '.join(sorted(watch.written))}, which a "
            "plan would not; wanted one that only computes its result"
        )
    if any(graph_of(one) != graph_of(graphs[0]) for one in graphs):
        raise CompileError(
            f"compile: {not_the_same}: it decides by numbers or by chance, or makes a weight on "
            "the way"
        )
    return stages, [*watch.read.values()]


class _Quiet(nn.Module):
    """In front of the user's class, keeps its ``__init_subclass__`` from seeing ours."""

    def __init_subclass__(cls, **options: Any) -> None:
        pass


class _Watch:
    """Inside ``with``, notes which attributes of these modules are read and which are set.

    For this time each module has another class, derived from its own.

    Attributes:
        read: (module, name) pairs, by the module's id and the name.
        written: what was set, in words.
    """

    def __init__(self, modules: list[nn.Module]):
        self.kinds = [(module, type(module)) for module in modules]
        self.read: dict[tuple[int, str], tuple[nn.Module, str]] = {}
        self.written: set[str] = set()

    def __enter__(self) -> _Watch:
        # not through Module.__setattr__, which counts changes
        for module, kind in self.kinds:
            object.__setattr__(module, "__class__", self._watched(kind))
        return self

    def __exit__(self, *exception: object) -> None:
        for module, kind in self.kinds:
            object.__setattr__(module, "__class__", kind)

    def _watched(self, kind: Any) -> type:
        def get(module: Any, name: str) -> Any:
            # hooks and mode are looked at for all modules anyway
            if not name.startswith("__") and name not in ("_forward_hooks", "training"):
                self.read[id(module), name] = module, name
            return kind.__getattribute__(module, name)

        def set(module: Any, name: str, value: Any) -> None:
            self.written.add(f"its attribute {name}")
            kind.__setattr__(module, name, value)

        methods = {"__getattribute__": get, "__setattr__": set}
        # type(kind): the user's class may have a metaclass
        return type(kind)(kind.__name__, (_Quiet, kind), {"__module__": kind.__module__, **methods})
