"""``torch.save`` and ``torch.load``: tensors in a safetensors file. (PyTorch's own is a pickle.)"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minicnn import checkpoint

from .mistakes import made
from .module import Module
from .tensor import Tensor, destination, wrap

ONE, NUMBERED = "<tensor>", "<{}>"  # names in the file for what has none: a tensor, a list's parts


def save(obj: Any, f: str | Path) -> None:
    """Write a tensor, a list of tensors, or a mapping of names to tensors: ``net.state_dict()``.

    Raises:
        TypeError: anything else, a net for example.
    """
    if isinstance(obj, Module):
        raise TypeError(
            "save: obj is a net; wanted its numbers: torch.save(net.state_dict(), path)"
        )
    named = {ONE: obj} if isinstance(obj, Tensor) else obj
    if isinstance(obj, list | tuple):
        named = {NUMBERED.format(i): part for i, part in enumerate(obj)}
    if not isinstance(named, Mapping) or not all(isinstance(v, Tensor) for v in named.values()):
        raise TypeError(
            f"save: obj is of type {type(obj).__name__}; wanted a tensor, a list of tensors, or "
            "names with tensors, as net.state_dict() has them"
        )
    checkpoint.save({name: value.tensor.detach() for name, value in named.items()}, f)


def load(f: str | Path, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """Read what ``save`` wrote, onto a device if one is named.

    ``weights_only`` is as True whatever it says: there are no pickles here.

    Raises:
        ValueError: another file; the message says which, PyTorch's for example.
    """
    place, _ = destination((map_location,), None, None)
    tensors = OrderedDict(
        (name, wrap(tensor if place is None else tensor.to(place)))
        for name, tensor in made(checkpoint.load, f).items()
    )
    if list(tensors) == [ONE]:
        return tensors[ONE]
    numbers = [NUMBERED.format(i) for i in range(len(tensors))]
    return [tensors[name] for name in numbers] if set(tensors) == set(numbers) else tensors
