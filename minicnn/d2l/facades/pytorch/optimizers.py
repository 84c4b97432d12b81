"""``torch.optim``: optimizers that hold the engine's, one for each group of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any, ClassVar

from minicnn import optim
from minicnn.optim import lr_scheduler

from .mistakes import SETTINGS, TRAINER, made, missing
from .module import Module
from .tensor import Tensor


class Optimizer:
    """What all optimizers share: groups of parameters, each with settings of its own.

    Args:
        params: tensors, or dicts ``{"params": tensors, "lr": ...}`` for groups.
        settings: the engine's, for groups that name none.
    """

    __module__ = "torch.optim.optimizer"

    engine: Any
    not_here: ClassVar[dict[str, Any]] = {"foreach": None, "fused": None, "differentiable": False}
    """Settings of PyTorch's that the engine has no choice of, with what it does."""

    def __init__(self, params: Any, settings: dict[str, Any], **others: Any):
        kind = type(self).__name__
        for name, value in others.items():
            if name not in self.not_here:
                cure = f"; write {SETTINGS[name]}" if name in SETTINGS else ""
                raise TypeError(f"{kind}: argument {name} is not in minicnn's torch.optim{cure}")
            if value != self.not_here[name]:
                raise ValueError(
                    f"{kind}: {name} is {value!r}; minicnn has no such choice, leave it out"
                )
        self._settings = settings
        self._engines: list[Any] = []
        self.param_groups: list[Group] = []
        for group in self._groups(params):
            self.add_param_group(group)
        if not self.param_groups:
            raise ValueError(f"{kind}: params is empty; wanted net.parameters()")

    def _groups(self, params: Any) -> list[dict[str, Any]]:
        kind = type(self).__name__
        if isinstance(params, Tensor | Module):
            what, cure = ("a net", "net.parameters()") if isinstance(params, Module) else (
                "a tensor", "a list, [w]")  # fmt: skip
            raise TypeError(f"{kind}: params is {what}; wanted {cure}")
        given = list(params)
        if given and all(isinstance(part, dict) for part in given):
            return given
        return [{"params": given}] if given else []

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Let more parameters be learnt, with settings of their own."""
        settings = dict(self._settings, **param_group)
        params = settings.pop("params")
        tensors = [params] if isinstance(params, Tensor) else list(params)
        for p in tensors:
            if not isinstance(p, Tensor):
                kind = type(self).__name__
                raise TypeError(f"{kind}: params holds a {type(p).__name__}; wanted tensors")
        engine = made(self.engine, [p.tensor for p in tensors], **settings)
        self._engines.append(engine)
        self.param_groups.append(Group(engine, tensors, settings))

    def step(self, closure: Any = None) -> None:
        """Take one step down the gradients; parameters without one stay."""
        if closure is not None:
            if isinstance(closure, int | float):
                raise TypeError(TRAINER.format(closure))
            raise TypeError(
                "step: a closure is not in minicnn's torch.optim; call backward() before"
            )
        for engine in self._engines:
            engine.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or make them 0."""
        for engine in self._engines:
            engine.zero_grad(set_to_none)

    def __getattr__(self, name: str) -> Any:
        missing("Optimizer", name, self)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            shown = {k: v for k, v in group.items() if k != "params"} | self.not_here
            lines.append("\n" * (number > 0) + f"Parameter Group {number}")
            lines += [f"    {name}: {shown[name]}" for name in sorted(shown)]
        return "\n".join([*lines, ")"])


class Group(MutableMapping[str, Any]):
    """The parameters and settings of one group; what is set here counts from the next step."""

    def __init__(self, engine: Any, params: list[Tensor], settings: Iterable[str]):
        self._engine, self._params, self._names = engine, params, tuple(settings)

    def __getitem__(self, name: str) -> Any:
        if name == "params":
            return self._params
        if name not in self._names:
            raise KeyError(f"{name}; the group has {', '.join(self)}")
        return getattr(self._engine, name)

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self._names:
            raise KeyError(f"{name} cannot be set; the group has {', '.join(self._names)}")
        setattr(self._engine, name, value)

    def __delitem__(self, name: str) -> None:
        raise TypeError("a setting cannot be deleted")

    def __iter__(self) -> Iterator[str]:
        return iter(("params", *self._names))

    def __len__(self) -> int:
        return 1 + len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum, weight decay and Nesterov's variant."""

    __module__ = "torch.optim.sgd"
    engine = optim.SGD

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        **others: Any,
    ):
        settings = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, settings, **others)


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015)."""

    __module__ = "torch.optim.adam"
    engine: Any = optim.Adam
    not_here = Optimizer.not_here | {"capturable": False, "decoupled_weight_decay": False}

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **others: Any,
    ):
        settings = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, settings, **others)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    __module__ = "torch.optim.adamw"
    engine = optim.AdamW
    not_here = Adam.not_here | {"decoupled_weight_decay": True}

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **others: Any,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, **others)


class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012)."""

    __module__ = "torch.optim.adadelta"
    engine = optim.Adadelta
    not_here = Optimizer.not_here | {"capturable": False}

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        **others: Any,
    ):
        settings = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize
        }  # fmt: skip
        super().__init__(params, settings, **others)


# Schedules ----------------------------------------------------------------------------------------


class LRScheduler:
    """What all schedules share: call ``step()`` at the end of each epoch."""

    __module__ = "torch.optim.lr_scheduler"
    engine: Any = None

    def __init__(self, optimizer: Optimizer, *arguments: Any, **options: Any):
        kind = type(self).__name__
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{kind}: optimizer is of type {type(optimizer).__name__}; wanted torch.optim's"
            )
        self.optimizer = optimizer
        self._engines = [made(self.engine, e, *arguments, **options) for e in optimizer._engines]

    @property
    def last_epoch(self) -> int:
        """The number of the present epoch, counted from 0."""
        return self._engines[0].last_epoch

    def step(self) -> None:
        """Go to the next epoch."""
        for engine in self._engines:
            engine.step()

    def get_last_lr(self) -> list[float]:
        """The present rate of each group."""
        return [rate for engine in self._engines for rate in engine.get_last_lr()]


def _schedule(name: str) -> type[LRScheduler]:
    """The engine's schedule of this name, for PyTorch's optimizers."""
    engine = getattr(lr_scheduler, name)
    names = {"engine": engine, "__module__": LRScheduler.__module__, "__doc__": engine.__doc__}
    return type(name, (LRScheduler,), names)


SCHEDULES = [
    LRScheduler,
    *map(_schedule, ("LambdaLR", "StepLR", "MultiStepLR", "ExponentialLR", "CosineAnnealingLR")),
]
OPTIMIZERS = (SGD, Adam, AdamW, Adadelta, Optimizer)
