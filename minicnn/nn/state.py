"""Loading a state, tensors by name, into a net: what fits, what is missing, what is unknown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from minicnn.device import on_device_of
from minicnn.tensor import Tensor


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict`` could not match: the net's names, and the state's."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not (self.missing_keys or self.unexpected_keys):
            return "<All keys matched successfully>"
        return f"IncompatibleKeys({self.missing_keys}, {self.unexpected_keys})"


def load_state(net: Any, state: Mapping[str, Any], strict: bool) -> IncompatibleKeys:
    """See ``Module.load_state_dict``."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"load_state_dict: state is of type {type(state).__name__}; wanted a mapping of "
            "names to tensors, for example minicnn.load(path)"
        )
    if strict:
        _check_wrapper(net, state)
    for name, module in net.named_modules():
        module._prepare_for_state(f"{name}." if name else "", state)
    own = dict(net._named_state(""))
    missing = [name for name in own if name not in state and not name.endswith(_COUNTER)]
    unknown = [name for name in state if name not in own]
    if strict and (missing or unknown):
        raise KeyError(f"state_dict does not fit: missing {missing}, unknown {unknown}")
    new = {
        name: Tensor(_widened(state[name]), device=target.device)
        for name, target in own.items()
        if name in state
    }
    for name, tensor in new.items():
        if tensor.shape != own[name].shape:
            raise ValueError(
                f"state_dict: {name} has shape {tensor.shape}, this net's has {own[name].shape}"
            )
    for name, tensor in new.items():  # and not before all fit
        with on_device_of(tensor.data):
            own[name].data[...] = tensor.data
        own[name].increment_version()
    return IncompatibleKeys(missing, unknown)


_COUNTER = "num_batches_tracked"  # of batch norm, since PyTorch 0.4.1; used for momentum=None alone


def _check_wrapper(net: Any, names: Iterable[str]) -> None:
    prefix = _wrapper(names)
    if prefix and prefix.partition(".")[0] not in net._modules:
        raise KeyError(
            f"state_dict does not fit: all its names begin with {prefix!r}, put there by a "
            f"wrapper; read the file with minicnn.interop.load_state_dict(path, "
            f"strip_prefix={prefix!r}), or "
            f"load {{name.removeprefix({prefix!r}): t for name, t in state.items()}}"
        )


def _wrapper(names: Iterable[str]) -> str:
    """What DataParallel ('module.') or torch.compile ('_orig_mod.') put before all names."""
    prefixes = {re.match(r"(module\.|_orig_mod\.)*", str(name)).group() for name in names}  # type: ignore[union-attr]
    return prefixes.pop() if len(prefixes) == 1 else ""


def _widened(value: Any) -> np.ndarray:
    """As an array without a past; float16 and bfloat16 as float32."""
    value = value.detach() if hasattr(value, "detach") else value
    if str(getattr(value, "dtype", "")).removeprefix("torch.") in ("float16", "bfloat16"):
        value = value.astype(np.float32) if hasattr(value, "astype") else value.float()
    return np.asarray(value)
