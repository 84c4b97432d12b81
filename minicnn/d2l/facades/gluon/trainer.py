"""mxnet.gluon.Trainer: takes the steps of a net's parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minicnn.checks import check_number

from . import mistakes
from .optimizers import OPTIMIZERS, Optimizer
from .parameters import Parameter


class Trainer:
    """Takes the steps of a net's parameters.

    Args:
        params: ``net.collect_params()``, or a list of parameters.
        optimizer: ``'sgd'``, ``'nag'``, ``'adam'``, ``'adadelta'``, or one of ``mx.optimizer``.
        optimizer_params: its settings by name: ``{'learning_rate': 0.9}``.
        kvstore: how MXNet shares gradients between devices; with one there is nothing to share.

    Raises:
        ValueError: something else than parameters, or an optimiser that is not here.
        TypeError: a setting that the optimiser does not have, or one outside of the dict.
    """

    __module__ = "mxnet.gluon.trainer"

    def __init__(
        self,
        params: Any,
        optimizer: str | Optimizer,
        optimizer_params: dict[str, Any] | None = None,
        kvstore: str | None = "device",
        **settings: Any,
    ):
        for name in settings:
            raise TypeError(
                f"Trainer: no argument {name}; settings are a dict: Trainer(params, 'sgd', "
                "{'learning_rate': 0.9})"
            )
        self._params = _parameters(params)
        self._optimizer = _optimizer(optimizer, optimizer_params)

    def __getattr__(self, name: str) -> Any:
        raise mistakes.complain("Trainer", name, mistakes.OF_TRAINERS)

    @property
    def optimizer(self) -> Optimizer:
        """What computes the steps."""
        return self._optimizer

    @property
    def learning_rate(self) -> float:
        """The learning rate now."""
        return self._optimizer.learning_rate

    def set_learning_rate(self, lr: float) -> None:
        """Another learning rate from the next step on."""
        check_number("set_learning_rate: lr", lr, 0.0)
        self._optimizer.learning_rate = lr

    def step(self, batch_size: float | None = None, ignore_stale_grad: bool = False) -> None:
        """Take a step with the gradients of the last ``backward``, divided by ``batch_size``.

        Losses are one an example and ``backward`` adds them up, so this makes them their mean.

        Args:
            ignore_stale_grad: leave parameters alone whose gradient is still that of the last step.

        Raises:
            TypeError, ValueError: no batch size, or none above 0.
            DeferredInitializationError, RuntimeError: parameters without numbers.
            UserWarning: a gradient that no ``backward`` has written since the last step.
        """
        if batch_size is None:
            raise TypeError(
                "step: batch_size is missing, by which the summed gradients are divided; write "
                "trainer.step(batch_size), or trainer.step(1) for a loss that is a mean"
            )
        if not batch_size > 0:
            raise ValueError(f"step: batch_size is {batch_size}; wanted a number above 0")
        learnt = [(i, p) for i, p in enumerate(self._params) if p.grad_req != "null"]
        for _, parameter in learnt:
            if not parameter.variable.is_fresh and not ignore_stale_grad:
                raise UserWarning(
                    f"step: no backward() has written the gradient of '{parameter.name}' since the "
                    "last step; call loss.backward() before each step, or write "
                    "step(batch_size, ignore_stale_grad=True) where the loss leaves it out"
                )
        for i, parameter in learnt:
            if parameter.variable.is_fresh:
                self._optimizer.update(i, parameter, 1 / batch_size)
                parameter.variable.is_fresh = False


def _parameters(params: Any) -> list[Parameter]:
    values = list(params.values()) if isinstance(params, dict) else params
    if not isinstance(values, Iterable) or hasattr(values, "collect_params"):
        raise ValueError(f"Trainer: params is {type(params).__name__}; wanted net.collect_params()")
    found = list(values)
    for p in found:
        if not isinstance(p, Parameter):
            raise ValueError(
                f"Trainer: params holds {type(p).__name__}; wanted parameters: net.collect_params()"
            )
    return found


def _optimizer(optimizer: Any, settings: dict[str, Any] | None) -> Optimizer:
    if isinstance(optimizer, Optimizer):
        return optimizer
    if not isinstance(optimizer, str) or optimizer.lower() not in OPTIMIZERS:
        known = ", ".join(map(repr, OPTIMIZERS))
        raise ValueError(f"Trainer: optimizer is {optimizer!r}; wanted one of {known}")
    if not isinstance(settings, dict | None):
        raise TypeError(
            f"Trainer: optimizer_params is {settings!r}; wanted a dict: {{'learning_rate': 0.9}}"
        )
    for other in ("lr", "weight_decay", "betas", "eps"):
        if other in (settings or {}):
            mine = {"lr": "learning_rate", "weight_decay": "wd", "betas": "beta1, beta2"}
            raise TypeError(f"Trainer: no setting {other}; write {mine.get(other, 'epsilon')}")
    return OPTIMIZERS[optimizer.lower()](**(settings or {}))
