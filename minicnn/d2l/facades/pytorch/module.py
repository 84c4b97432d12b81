"""``nn.Module``: a layer or a net, the readers' own ones too."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from minicnn.nn.module import RemovableHandle
from minicnn.nn.state import IncompatibleKeys, load_state
from minicnn.tensor import Tensor as EngineTensor

from .kinds import DTYPES
from .mistakes import call, in_torch_words, missing
from .tensor import Parameter, Tensor, destination, wrap

REGISTERS = ("_parameters", "_buffers", "_modules")


class Module:
    """Write ``__init__`` (layers and parameters as attributes) and ``forward``; call the module."""

    __module__ = "torch.nn.modules.module"

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def __init__(self) -> None:
        for name in REGISTERS:
            object.__setattr__(self, name, {})
        object.__setattr__(self, "_hooks", [])
        self.training = True

    # Its attributes -------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        home = self._home(name, value)
        if home is None:
            object.__setattr__(self, name, value)
            return
        if home not in vars(self):
            raise AttributeError(
                f"{type(self).__name__}: call super().__init__() before assigning {name}"
            )
        self._forget(name, but=home)
        vars(self)[home][name] = value

    def _home(self, name: str, value: Any) -> str | None:
        """The register where an attribute belongs; None for a plain one."""
        for home, kind in (("_parameters", Parameter), ("_modules", Module)):
            if isinstance(value, kind):
                return home
            if name in vars(self).get(home, ()):
                if value is None:
                    return home
                wanted = f"a {'nn.Parameter' if kind is Parameter else 'module'} or None"
                raise TypeError(
                    f"{type(self).__name__}: {name} is one of its {home[1:]}; wanted {wanted}, "
                    f"received {type(value).__name__}"
                )
        is_buffer = name in vars(self).get("_buffers", ()) and (
            value is None or isinstance(value, Tensor)
        )
        return "_buffers" if is_buffer else None

    def _forget(self, name: str, but: str = "") -> None:
        """Drop what has this name, but not its place in the register where it is set again."""
        vars(self).pop(name, None)
        for home in REGISTERS:
            if home != but:
                vars(self)[home].pop(name, None)

    def __getattr__(self, name: str) -> Any:
        for home in REGISTERS:
            register = self.__dict__.get(home, {})
            if name in register:
                return register[name]
        missing("Module", name, self)

    def __delattr__(self, name: str) -> None:
        getattr(self, name)
        self._forget(name)

    def __dir__(self) -> list[str]:
        own = [name for home in REGISTERS for name in self.__dict__.get(home, ())]
        return sorted({*super().__dir__(), *own})

    def register_buffer(self, name: str, tensor: Tensor | None) -> None:
        """Keep ``tensor`` as an attribute that is saved and moved with the module, not learnt."""
        self._forget(name)
        self._buffers[name] = tensor

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """The same as an attribute of this name."""
        self._forget(name)
        self._parameters[name] = param

    def add_module(self, name: str, module: Module | None) -> None:
        """The same as an attribute of this name, which may be any text without dots.

        Raises:
            TypeError: no module.
            KeyError: a name with a dot, an empty one, or that of another attribute.
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(
                f"add_module: {name} is of type {type(module).__name__}; wanted a module"
            )
        if not name or "." in name or (hasattr(self, name) and name not in self._modules):
            raise KeyError(f"add_module: name is {name!r}; wanted a new one without dots")
        self._modules[name] = module

    register_module = add_module

    # Calling it -----------------------------------------------------------------------------------

    def forward(self, *inputs: Any) -> Any:
        """What the module computes."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(self, X)")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        try:
            output = self.forward(*inputs, **options)
        except (RuntimeError, TypeError) as error:
            _name_layer(error, self)
            raise
        for hook in tuple(self._hooks):
            changed = hook(self, inputs, output)
            output = output if changed is None else changed
        return output

    def register_forward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, inputs, output)`` after every forward pass, until removed.

        What it returns, if anything, takes the output's place.
        """
        self._hooks.append(hook)
        return RemovableHandle(self._hooks, hook)

    # Walking through the parts --------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside this one with their names, each once."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly inside this one, each once."""
        return (module for _, module in self.named_children())

    def named_modules(
        self, memo: set[int] | None = None, prefix: str = ""
    ) -> Iterator[tuple[str, Module]]:
        """This module and all inside it, with their names; each once."""
        seen = set() if memo is None else memo
        if id(self) in seen:
            return
        seen.add(id(self))
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(seen, f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        """This module and all inside it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their names; one that two modules share, once."""
        return self._named(lambda module: module._own_parameters(), prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, as an optimizer wants them."""
        return (parameter for _, parameter in self.named_parameters("", recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their names."""
        return self._named(lambda module: module._buffers, prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        return (buffer for _, buffer in self.named_buffers("", recurse))

    def _named(
        self, register: Callable[[Module], Mapping[str, Any]], prefix: str, recurse: bool
    ) -> Iterator[tuple[str, Any]]:
        modules = self.named_modules(prefix=prefix) if recurse else [(prefix, self)]
        seen: set[int] = set()
        for name, module in modules:
            for key, value in register(module).items():
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{name}.{key}" if name else key, value

    def _own_parameters(self) -> Mapping[str, Parameter | None]:
        return self._parameters

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn`` on every module inside and then on this one; returns this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # Saving and loading ---------------------------------------------------------------------------

    def state_dict(self) -> OrderedDict[str, Tensor]:
        """Parameters and buffers by name. They share memory with the module."""
        return OrderedDict((name, wrap(tensor)) for name, tensor in self._named_state(""))

    def _named_state(self, prefix: str) -> Iterator[tuple[str, EngineTensor]]:
        for name, value in (*self._own_parameters().items(), *self._buffers.items()):
            if value is not None:
                yield prefix + name, value.tensor.detach()
        for name, module in self._modules.items():
            if module is not None:
                yield from module._named_state(f"{prefix}{name}.")

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> Any:
        """Copy ``state_dict`` into the parameters and buffers of the same names.

        Raises:
            RuntimeError: names missing or unknown (unless ``strict`` is False), or other shapes.
        """
        try:
            return load_state(self, _plain_state(state_dict), strict)
        except (KeyError, ValueError) as error:
            raise RuntimeError(in_torch_words(str(error.args[0]))) from None

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

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Whether the parameters are learnt."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or make them 0."""
        for parameter in self.parameters():
            if set_to_none or parameter.grad is None:
                parameter.grad = None
            else:
                parameter.grad.zero_()

    def to(self, *target: Any, dtype: Any = None, device: Any = None) -> Self:
        """Move to a device, or convert what has fractions to a dtype, in place.

        Raises:
            TypeError: a dtype of integers or booleans.
        """
        place, kind = destination(target, dtype, device)
        if kind is not None and kind.kind != "f":
            raise TypeError(f"to: dtype is torch.{kind}; a net is in torch.float32 or float64")
        registers = (r for m in self.modules() for r in (m._parameters, m._buffers))
        for value in (v for register in registers for v in register.values() if v is not None):
            tensor = value.tensor
            moved = tensor.detach() if place is None else call(tensor.detach().to, place)
            moved = moved if kind is None or tensor.dtype.kind != "f" else moved.to(kind)
            tensor.data, gradient = moved.data, tensor.grad
            if gradient is not None:
                tensor.grad = gradient.detach().to(moved.device).to(moved.dtype)
        return self

    def cpu(self) -> Self:
        """Move to the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Self:
        """Move to a GPU, by default the first."""
        return self.to("cuda" if device is None else device)

    def double(self) -> Self:
        """Convert to float64."""
        return self.to(dtype=DTYPES["float64"])

    def float(self) -> Self:
        """Convert to float32."""
        return self.to(dtype=DTYPES["float32"])

    # What it looks like ---------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """The arguments that ``repr`` shows."""
        return ""

    def __repr__(self) -> str:
        kind, extra = type(self).__name__, self.extra_repr()
        if not self._modules:
            return f"{kind}({extra})"
        parts = [f"({name}): {module!r}" for name, module in self._modules.items()]
        lines = [*filter(None, extra.split("\n")), *parts]
        return f"{kind}(\n" + "".join("  " + x.replace("\n", "\n  ") + "\n" for x in lines) + ")"


def _plain_state(state: Any) -> Any:
    if not isinstance(state, Mapping):
        raise TypeError(
            f"load_state_dict: state_dict is of type {type(state).__name__}; wanted "
            "net.state_dict(), names with their tensors"
        )
    return {k: v.tensor if isinstance(v, Tensor) else v for k, v in state.items()}


def _name_layer(error: RuntimeError | TypeError, module: Module) -> None:
    """Put the name that a layer has in ``module`` into the message of what it refuses.

    Called by each module that the error passes through, from the layer that refused its input up.
    """
    if type(error) not in (RuntimeError, TypeError) or not error.args:
        return
    if not hasattr(error, "refused_by"):
        error.refused_by, error.reason = module, str(error)  # type: ignore[union-attr]
        return
    layer, reason = error.refused_by, error.reason  # type: ignore[union-attr]
    name = next((name for name, part in module.named_modules() if part is layer), "")
    if name:
        error.args = (f"layer {name} ({type(layer).__name__}): {reason}",)


__all__ = ["IncompatibleKeys", "Module"]
