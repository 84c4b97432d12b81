"""Saving and loading parameters: safetensors files with PyTorch's names and layouts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minicnn.files import expand, write_whole
from minicnn.nn import Module
from minicnn.tensor import Tensor


def save(obj: Module | Mapping[str, Any], path: str | Path) -> None:
    """Write a net's parameters and buffers, or a mapping of names to tensors, to a file.

    ``safetensors.torch.load_file`` reads it too. The file is written beside and renamed: an
    interruption leaves what was there before.

    Raises:
        TypeError: neither a module nor a mapping.
        OSError: it cannot be written; see ``write_whole``.
    """
    from safetensors.numpy import save as serialize

    state = obj.state_dict() if isinstance(obj, Module) else obj
    if not isinstance(state, Mapping):
        raise TypeError(f"save: wanted a Module or a state_dict, received {type(obj).__name__}")
    # safetensors writes the memory of an array as it lies: only C order is right
    arrays = {name: Tensor(value).numpy().copy(order="C") for name, value in state.items()}
    write_whole(path, serialize(arrays))


def load(path: str | Path) -> dict[str, Tensor]:
    """Read a file that ``save`` (or PyTorch's safetensors) wrote, for ``net.load_state_dict``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a safetensors file, or a damaged one.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as deserialize

    content = expand(path).read_bytes()
    try:
        arrays = deserialize(content)
        return {name: Tensor(array) for name, array in arrays.items()}
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file, or damaged: {error}") from None
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} holds a dtype that minicnn does not have: {error}") from None
