"""What all optimisers share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from numbers import Real
from typing import Any

import numpy as np

from minicnn.checks import check_number
from minicnn.device import device_of, on_device_of, to_device
from minicnn.formats import shown
from minicnn.kernels import Array, array_module, is_host
from minicnn.tensor import Tensor

State = list[Array | None]
"""An array for each parameter; None until its first step."""


class Optimizer:
    """What all optimisers share: the parameters, the learning rate, the loop of a step.

    An optimiser is two methods: ``descend`` changes one parameter, ``state_of`` returns the arrays
    that it keeps for this parameter from step to step.

    Args:
        params: the tensors to be learnt; they are changed in place.
        lr: the learning rate; the attribute ``lr`` may be changed between steps.

    Attributes:
        kernel: the name of its step in ``minicnn.kernels``.
        initial_lr: ``lr`` as the first schedule found it.

    Raises:
        ValueError: no parameters, one that is there twice, the result of an operation among them,
            or a setting out of range.
        TypeError: something that is not a tensor, or a setting that is no number.
    """

    kernel: str
    initial_lr: float | None = None

    def __init__(self, params: Iterable[Tensor], lr: float):
        self.params = self._checked(params)
        if isinstance(lr, Mapping):
            raise TypeError(
                f"{self.name}: lr is {shown(lr)}; wanted a number: super().__init__(params, lr), "
                "and the other settings as attributes"
            )
        self._check(lr=lr)
        self.lr = lr

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, str) and isinstance(getattr(self, name, None), Real):
            raise TypeError(f"{self.name}: {name} is {shown(value)}; wanted a number")
        super().__setattr__(name, value)

    def step(self) -> None:
        """Take one step down the gradients; parameters without one stay."""
        for i, p in enumerate(self.params):
            if p.grad is not None:
                self.update(i, p.grad.data)

    def update(self, i: int, g: Array) -> None:
        """Take the step for parameter number ``i`` with gradient ``g``, of its shape and dtype.

        Raises:
            ValueError: a gradient of another shape, or a parameter that cannot be written to.
        """
        with on_device_of(g):
            p = self.params[i].data
            if g.shape != p.shape:
                raise ValueError(
                    f"{self.name}: the gradient of parameter {i} has shape {g.shape}; wanted "
                    f"{p.shape}"
                )
            if is_host(p) and not p.flags.writeable:
                raise ValueError(
                    f"{self.name}: the array of parameter {i} is read-only; wanted one to change"
                )
            state, step = self.state_of(i)
            self.descend(p, g, state, step)
        self.params[i].increment_version()

    def descend(self, p: Array, g: Array, state: list[Array], step: int) -> None:
        """Change p, whose gradient is g, and its ``state``: the formula of the class."""
        raise NotImplementedError(f"{self.name} has neither step() nor descend(p, g, state, step)")

    def state_of(self, i: int) -> tuple[list[Array], int]:
        """The state of parameter number ``i`` for the step to come, and the number of that step.

        Compiled steps do not call ``descend``: they take these and ``settings()``. The arrays are
        on the parameter's device, C-contiguous and of its dtype.

        Raises:
            ValueError: a state of another shape than the parameter.
        """
        raise NotImplementedError(f"{self.name} has neither step() nor state_of(i)")

    @property
    def keeps_state(self) -> bool:
        """Whether ``state_of`` has to be called at all."""
        return True

    def kept(self, i: int) -> State:
        """What is kept for parameter number ``i``, as it lies there; None before its first step.

        A compiled step on a GPU compares it with what ``state_of`` returned at the last step.
        """
        raise NotImplementedError

    def settings(self) -> tuple[float, ...]:
        """The numbers that are the same for all parameters, in the kernel's order."""
        raise NotImplementedError

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or with ``set_to_none=False`` make them 0."""
        for p in self.params:
            if set_to_none or p.grad is None:
                p.grad = None
            else:
                p.grad = Tensor(array_module(p.grad.data).zeros_like(p.grad.data))

    @property
    def param_groups(self) -> list[ParamGroup]:
        """The one group of all parameters: ``optimizer.param_groups[0]["lr"]`` is ``lr``."""
        return [ParamGroup(self)]

    @property
    def name(self) -> str:
        """What messages call the optimiser."""
        return type(self).__name__

    def _checked(self, params: Any) -> list[Tensor]:
        if isinstance(params, Tensor):
            raise TypeError(f"{self.name}: params is a tensor; wanted a list of tensors")
        if hasattr(params, "parameters"):
            raise TypeError(
                f"{self.name}: params is a net ({type(params).__name__}); wanted its tensors: "
                "net.parameters()"
            )
        if not isinstance(params, Iterable):
            raise TypeError(
                f"{self.name}: params is of type {type(params).__name__}; wanted a list of tensors"
            )
        tensors = list(params)
        if not tensors:
            raise ValueError(f"{self.name}: params is empty; wanted the tensors to be learnt")
        places: dict[int, int] = {}
        for i, p in enumerate(tensors):
            if places.setdefault(id(p), i) != i:
                raise ValueError(
                    f"{self.name}: params[{places[id(p)]}] and params[{i}] are one tensor, which "
                    "would take two steps at once; wanted each once"
                )
            if isinstance(p, dict):
                raise TypeError(
                    f"{self.name}: params holds a dict; wanted tensors. Groups with settings of "
                    "their own are not supported: make an optimiser for each"
                )
            if not isinstance(p, Tensor):
                raise TypeError(f"{self.name}: params holds a {type(p).__name__}; wanted tensors")
            if not p.is_leaf:
                raise ValueError(
                    f"{self.name}: params[{i}] is the result of an operation; wanted a leaf, whose "
                    "gradient is kept"
                )
        return tensors

    def _check(self, at_least: float = 0.0, **settings: Any) -> None:
        for name, value in settings.items():
            check_number(f"{self.name}: {name}", value, at_least)

    def _check_shares(self, **settings: Any) -> None:
        self._check(**settings)
        for name, value in settings.items():
            if not value < 1:
                raise ValueError(f"{self.name}: {name} is {value}; wanted less than 1")

    def _no_state(self) -> State:
        return [None] * len(self.params)

    def _kept(self, name: str, i: int) -> Array:
        """What the attribute ``name`` keeps for parameter number ``i``: zeros at the first step.

        It follows the parameter, which may have been moved or converted since.
        """
        p, arrays = self.params[i].data, getattr(self, name)
        kept = arrays[i]
        if kept is None:
            kept = array_module(p).zeros(p.shape, p.dtype)
        elif kept.shape != p.shape:
            raise ValueError(
                f"{self.name}: {name} of parameter {i} has shape {kept.shape}; wanted {p.shape}"
            )
        kept = to_device(kept, device_of(p)).astype(p.dtype, order="C", copy=False)
        if is_host(kept) and not kept.flags.carray:  # read-only, say
            kept = np.array(kept)
        arrays[i] = kept
        return kept


class ParamGroup(MutableMapping[str, Any]):
    """An optimiser's settings by name, as PyTorch keeps them: a view of its attributes."""

    def __init__(self, optimizer: Optimizer):
        self.optimizer = optimizer

    def __getitem__(self, name: str) -> Any:
        return vars(self.optimizer)[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in vars(self.optimizer):
            raise KeyError(f"{self.optimizer.name} has no {name}; it has {', '.join(self)}")
        setattr(self.optimizer, name, value)

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"{self.optimizer.name}: a setting cannot be deleted")

    def __iter__(self) -> Iterator[str]:
        return iter(vars(self.optimizer))

    def __len__(self) -> int:
        return len(vars(self.optimizer))
