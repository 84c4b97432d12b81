"""Which losses and optimisers a compiled step accepts.

A plan computes the loss and takes the optimiser's step itself: it calls neither. So it refuses
whatever is not exactly what it was written for.
"""

from __future__ import annotations

from collections.abc import Container
from functools import cache
from typing import Any

from minicnn import nn, optim
from minicnn.formats import shown
from minicnn.nn.functional import cross_entropy

from .record import CompileError

OPTIMIZERS = (optim.SGD, optim.Adam, optim.AdamW, optim.Adadelta)


def check_optimizer(optimizer: Any) -> None:
    """Refuse an optimiser whose step may differ from that of a known class.

    Raises:
        CompileError: another class (a subclass is one), or an optimiser with a method of its own.
    """
    kind = type(optimizer)
    if kind not in OPTIMIZERS or replaced_methods(optimizer):
        known = ", ".join(f"optim.{k.__name__}" for k in OPTIMIZERS)
        raise CompileError(
            f"compile: optimizer {_what_differs(optimizer, OPTIMIZERS)}; wanted {known} as it is, "
            "because a compiled step calls none of its methods"
        )


def settings_of(loss: Any) -> nn.CrossEntropyLoss:
    """The layer whose settings say what the loss is.

    Raises:
        CompileError: anything but ``nn.CrossEntropyLoss`` or ``F.cross_entropy`` as they are.
    """
    if loss is cross_entropy:  # the function: its defaults are the layer's
        return nn.CrossEntropyLoss()
    if type(loss) is not nn.CrossEntropyLoss or replaced_methods(loss):
        what = _what_differs(loss, (nn.CrossEntropyLoss,))
        raise CompileError(
            f"compile: loss {what}; wanted nn.CrossEntropyLoss or F.cross_entropy as it is, "
            "because a compiled step does not call it"
        )
    if loss._forward_hooks:
        raise CompileError(
            "compile: the loss has a forward hook, which a compiled step would not call; remove it"
        )
    if loss.reduction not in ("mean", "sum"):
        raise CompileError(
            f"compile: the loss's reduction is {shown(loss.reduction)}; wanted 'mean' or 'sum'"
        )
    return loss


def learned_by(optimizer: optim.Optimizer, known: Container[int]) -> list[int]:
    """The numbers, in ``optimizer.params``, of the parameters that a step updates.

    known: the ids of the parameters that the step computes a gradient for.
    """
    return [i for i, p in enumerate(optimizer.params) if p.requires_grad and id(p) in known]


def replaced_methods(thing: Any) -> list[str]:
    """The methods of its class that an object has replaced by its own (``sgd.step = mine``)."""
    kind: type = type(thing)
    methods = _methods(kind)
    if methods.isdisjoint(vars(thing)):  # almost always, and quickly found out
        return []
    return sorted(methods & vars(thing).keys())


@cache
def _methods(kind: type) -> frozenset[str]:
    return frozenset(name for name in dir(kind) if callable(getattr(kind, name)))


def _what_differs(thing: Any, known: tuple[type, ...]) -> str:
    kind = type(thing)
    if kind in known:
        return f"has its own {', '.join(replaced_methods(thing))}"
    plain = next((base for base in kind.__mro__ if base in known), None)  # what it derives from
    if plain is None:
        return f"is {getattr(thing, '__name__', kind.__name__)}, a {kind.__name__}"
    # the classes between it and the known one, and the methods that they define
    own = [base for base in kind.__mro__ if not issubclass(plain, base)]
    names = sorted({n for base in own for n in vars(base) if callable(vars(base)[n])})
    names = [name for name in names if name != "__init__"]
    return f"is {kind.__name__}, a subclass of {plain.__name__}" + (
        f" with its own {', '.join(names)}" if names else ""
    )
