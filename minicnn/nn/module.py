"""Modules: functions of tensors that own parameters."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from minicnn.checks import check_callable, check_is, check_text
from minicnn.formats import shown
from minicnn.tensor import Tensor

from . import summary
from .state import IncompatibleKeys, load_state

Hook = Callable[["Module", tuple[Any, ...], Tensor], None]


class Parameter(Tensor):
    """A tensor that a module learns. It requires a gradient, and a module that has one as an
    attribute lists it among its ``parameters()``.

    Args:
        data: as for ``Tensor``.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True):
        super().__init__(data, requires_grad=requires_grad)


class RemovableHandle:
    """Takes a hook away again."""

    def __init__(self, hooks: list[Hook], hook: Hook):
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Stop calling the hook."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)


def device_of_net(net: Module) -> str:
    """Where its parameters are; the CPU for a net without any. TypeError: no net."""
    check_is("net", net, Module, "an nn.Module")
    return next((p.device for p in net.parameters()), "cpu")


_changes = itertools.count(1)


class Module:
    """A layer or a net: write ``__init__`` (parameters and layers as attributes) and ``forward``.

    Attributes that are parameters, modules or (by ``register_buffer``) buffers are found by name:
    ``state_dict`` names them as PyTorch does, ``"0.weight"``, ``"block.conv.bias"``.
    """

    training: bool
    # Another number whenever an attribute of any module was set or deleted: a compiled step then
    # checks its net again. (A change inside ``_modules`` itself is not noticed.)
    changes = 0

    def __init__(self) -> None:
        self.training = True
        self._parameters: dict[str, Parameter] = {}
        self._buffers: dict[str, Tensor] = {}
        self._modules: dict[str, Module] = {}
        self._forward_hooks: list[Hook] = []

    def __setattr__(self, name: str, value: Any) -> None:
        self._check_replacement(name, value)
        homes = {Parameter: "_parameters", Module: "_modules"}
        home = next((home for kind, home in homes.items() if isinstance(value, kind)), None)
        if home is None and isinstance(value, Tensor) and name in self.__dict__.get("_buffers", ()):
            home = "_buffers"
        if home is not None and home not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__}: call super().__init__() before assigning {name}"
            )
        for register in ("_parameters", "_modules", "_buffers"):
            if register != home and name in self.__dict__.get(register, ()):
                del self.__dict__[register][name]
        if home is not None:
            self.__dict__[home][name] = value
        super().__setattr__(name, value)
        Module.changes = next(_changes)

    def _check_replacement(self, name: str, value: Any) -> None:
        """Refuse what would drop a parameter, layer or buffer without a word, as PyTorch does."""
        for register, what, wanted, kinds in (
            ("_parameters", "a parameter", "a Parameter or None", Parameter),
            ("_modules", "a layer", "a Module or None", (Module, Parameter)),
            ("_buffers", "a buffer", "a Tensor or None", (Tensor, Module)),
        ):
            is_there = name in self.__dict__.get(register, ())
            if is_there and value is not None and not isinstance(value, kinds):
                raise TypeError(
                    f"{type(self).__name__}: {name} is {what}; wanted {wanted}, received "
                    f"{type(value).__name__}"
                )

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        for register in (self._parameters, self._modules, self._buffers):
            register.pop(name, None)
        Module.changes = next(_changes)

    def register_buffer(self, name: str, tensor: Tensor) -> None:
        """Keep ``tensor`` as an attribute that is saved and moved with the module, not learnt.

        Raises:
            TypeError: something that is not a tensor, or a name that is none.
        """
        check_text("register_buffer: name", name)
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"register_buffer: {shown(name, str)} is a {type(tensor).__name__}; wanted a Tensor"
            )
        self._buffers[name] = tensor
        setattr(self, name, tensor)

    def forward(self, *inputs: Any, **options: Any) -> Tensor:
        """What the module computes."""
        raise NotImplementedError(f"{type(self).__name__} has no forward()")

    def __call__(self, *inputs: Any, **options: Any) -> Tensor:
        try:
            output = self.forward(*inputs, **options)
        except (TypeError, ValueError) as error:
            _name_layer(error, self, inputs)
            raise
        for hook in tuple(self._forward_hooks):
            hook(self, inputs, output)
        return output

    def register_forward_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(module, inputs, output)`` after every forward pass, until removed."""
        check_callable("register_forward_hook: hook", hook, "a function")
        self._forward_hooks.append(hook)
        Module.changes = next(_changes)
        return RemovableHandle(self._forward_hooks, hook)

    # Walking through the parts --------------------------------------------------------------------

    def children(self) -> Iterator[Module]:
        """The modules directly inside this one, each once."""
        yield from dict.fromkeys(self._modules.values())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all inside it, with their names; each once."""
        check_text("named_modules: prefix", prefix)
        return self._walk(prefix)

    def _walk(self, prefix: str) -> Iterator[tuple[str, Module]]:
        seen: set[int] = set()

        def walk(name: str, module: Module) -> Iterator[tuple[str, Module]]:
            if id(module) in seen:
                return
            seen.add(id(module))
            yield name, module
            for child_name, child in module._modules.items():
                yield from walk(f"{name}.{child_name}" if name else child_name, child)

        yield from walk(prefix, self)

    def modules(self) -> Iterator[Module]:
        """This module and all inside it, each once."""
        seen: set[int] = set()
        waiting: list[Module] = [self]
        while waiting:
            module = waiting.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield module
                if module._modules:
                    waiting.extend(reversed(module._modules.values()))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their names; one that two modules share, once."""
        seen: set[int] = set()
        for name, module in self.named_modules():
            for key, parameter in module._own_parameters():
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield f"{name}.{key}" if name else key, parameter

    def _own_parameters(self) -> Iterator[tuple[str, Parameter]]:
        yield from self._parameters.items()

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, as an optimiser wants them."""
        return (parameter for _, parameter in self.named_parameters())

    def apply(self, function: Callable[[Module], Any]) -> Self:
        """Call ``function`` on every module inside and then on this one; returns this one."""
        check_callable("apply: function", function, "a function of a module")
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    # Saving and loading ---------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers by name, in PyTorch's order. They share memory with the module."""
        return dict(self._named_state(""))

    def _named_state(self, prefix: str) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in (*self._own_parameters(), *self._buffers.items()):
            yield prefix + name, tensor.detach()
        for name, child in self._modules.items():
            yield from child._named_state(f"{prefix}{name}.")

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy ``state`` into the parameters and buffers of the same names.

        ``state`` maps names to tensors or arrays (PyTorch's too; float16 and bfloat16 become
        float32, which holds all their numbers); lazy layers take their sizes from it. Batch norm's
        ``num_batches_tracked`` may be missing, as in old files. No number is changed unless
        everything fits.

        Returns:
            ``missing_keys`` and ``unexpected_keys``, as in PyTorch; both empty where ``strict``.

        Raises:
            KeyError: names missing or unknown, unless ``strict`` is False.
            ValueError: a shape that does not fit.
            TypeError: ``state`` is no mapping, or a dtype that tensors do not have.
        """
        return load_state(self, state, strict)

    def _prepare_for_state(self, prefix: str, state: Mapping[str, Any]) -> None:
        """A hook for layers whose parameters do not exist yet."""

    # Modes, devices, gradients --------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Set training mode (dropout drops, batch norm uses the batch) here and inside."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Leave training mode, here and inside."""
        return self.train(False)

    def to(self, target: Any) -> Self:
        """Move to a device, or convert the floating-point numbers to a dtype, in place.

        The parameters stay the same objects, so an optimiser that holds them goes on working.

        Raises:
            TypeError: a dtype of integers or booleans.
        """
        for module in self.modules():
            for tensor in (*module._parameters.values(), *module._buffers.values()):
                moved = tensor.detach().to(target)
                if tensor.dtype.kind == "f" != moved.dtype.kind:
                    raise TypeError(f"to: a net in {moved.dtype}; wanted float32 or float64")
                if moved.dtype == tensor.dtype or tensor.dtype.kind == "f":
                    tensor.data = moved.data
                    tensor.grad = None if tensor.grad is None else tensor.grad.detach().to(target)
        return self

    def cpu(self) -> Self:
        """Move to the CPU."""
        return self.to("cpu")

    def cuda(self) -> Self:
        """Move to the first GPU."""
        return self.to("gpu")

    def float(self) -> Self:
        """Convert to float32."""
        return self.to(np.float32)

    def double(self) -> Self:
        """Convert to float64."""
        return self.to(np.float64)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    # What it looks like ---------------------------------------------------------------------------

    def summary(self, input_shape: tuple[int, ...]) -> None:
        """Print each layer's output shape, parameters and multiply-adds for such an input.

        A batch of zeros of ``input_shape``, for example (1, 1, 28, 28), goes through the net in
        evaluation mode; lazy layers take their sizes from it.
        """
        print(summary.table(self, input_shape))

    def multiply_adds(self, inputs: tuple[Any, ...], output: Tensor) -> int:
        """Multiply-adds of the products in one forward pass; 0 where there are none."""
        return 0

    def extra_repr(self) -> str:
        """The arguments that ``repr`` shows."""
        return ""

    def __repr__(self) -> str:
        head = f"{type(self).__name__}({self.extra_repr()}"
        if not self._modules:
            return f"{head})"
        lines = [
            f"  ({name}): " + repr(child).replace("\n", "\n  ")
            for name, child in self._modules.items()
        ]
        return "\n".join([head, *lines, ")"])


def _name_layer(error: TypeError | ValueError, module: Module, inputs: tuple[Any, ...]) -> None:
    """Put the name that a layer has in ``module``, and the net's input, into its message.

    Called by each module that the error passes through, from the layer that refused its input up.
    """
    if type(error) not in (TypeError, ValueError):
        return
    if not hasattr(error, "refused_by"):
        error.refused_by, error.reason = module, str(error)  # type: ignore[union-attr]
        return
    layer, reason = error.refused_by, error.reason  # type: ignore[union-attr]
    name = next((name for name, part in module.named_modules() if part is layer), "")
    shape = getattr(inputs[0], "shape", None) if inputs else None
    if name and shape is not None and str(shape) not in reason:
        reason = f"{reason}; the net received {tuple(shape)}"
    if name:
        error.args = (f"layer {name} ({type(layer).__name__}): {reason}",)
