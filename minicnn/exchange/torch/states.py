"""Weights that PyTorch saved: ``.pt`` and ``.pth`` files of ``torch.save``."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from minicnn import formats
from minicnn.checks import check_text
from minicnn.exchange.libraries import library
from minicnn.files import expand
from minicnn.formats import shown
from minicnn.tensor import Tensor

from .tensors import HALVES, from_torch_tensor, tell_of_widened

WANTED = "wanted what torch.save(net.state_dict(), path) writes"


def load_state_dict(
    path: str | Path, key: str | None = None, strip_prefix: str = ""
) -> dict[str, Tensor]:
    """Read what ``torch.save(net.state_dict(), path)`` wrote, for ``net.load_state_dict``.

    PyTorch reads it with ``weights_only=True``: no code of the file is run. The checksums of the
    file, which PyTorch does not look at, are compared.

    Args:
        key: for a file of several parts, which of them has the weights:
            ``key="state_dict"`` for ``{"state_dict": ..., "epoch": ...}``.
        strip_prefix: what to take off all names: ``"module."`` of ``DataParallel``,
            ``"_orig_mod."`` of ``torch.compile``.

    Returns:
        The tensors in the file's order, on the CPU; float16 and bfloat16 as float32.

    Raises:
        ImportError: PyTorch is missing.
        FileNotFoundError: no such file.
        ValueError: another kind of file, a damaged one, one with more than tensors; a part has to
            be named; names without the prefix; a dtype that minicnn does not have.

    Warns:
        UserWarning: weights in float16 or bfloat16.
    """
    check_text("load_state_dict: strip_prefix", strip_prefix)
    if key is not None:
        check_text("load_state_dict: key", key)
    state = _part(path, _content(path), key)
    others = [name for name in state if not name.startswith(strip_prefix)]
    if others:
        raise ValueError(
            f"load_state_dict: strip_prefix is {shown(strip_prefix)}, and {path} has names without "
            f"it: {_listed(others)}"
        )
    tensors = {}
    for name, tensor in state.items():
        try:
            tensors[name.removeprefix(strip_prefix)] = from_torch_tensor(tensor)
        except TypeError as error:
            raise ValueError(
                f"{path} holds what minicnn does not have: {name} is {error}"
            ) from None
    dtypes = [str(tensor.dtype) for tensor in state.values()]
    tell_of_widened(f"load_state_dict: {path}", [d for d in dtypes if d in HALVES])
    return tensors


def _content(path: str | Path) -> Any:
    """What the file holds, read without running code from it."""
    torch = library("torch")
    content = expand(path).read_bytes()
    _check_kind(path, content)
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+) was not an allowed", str(error))
        raise ValueError(
            f"{path} holds more than tensors{f' ({found[1]})' if found else ', or is damaged'}; "
            f"{WANTED}"
        ) from None
    except Exception as error:  # a damaged file raises what it happens to lead to
        reason = (str(error) or type(error).__name__).split(". ")[0]
        raise ValueError(f"{path} is damaged: {' '.join(reason.split())}") from None


def _check_kind(path: str | Path, content: bytes) -> None:
    """Refuse what is no file of ``torch.save``, and one that does not have its checksums."""
    if content[8:9] == b"{":
        raise ValueError(f"{path} is a safetensors file; read it with minicnn.load")
    kind = formats.kind_of(content)
    if kind not in (formats.PYTORCH, formats.ZIP):
        what = kind or ("empty" if not content else "something else")
        raise ValueError(f"{path} is not a PyTorch file (torch.save), it is {what}")
    if not content.startswith(b"PK"):  # as PyTorch wrote before 1.6
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names, damaged = archive.namelist(), archive.testzip()
    except Exception as error:  # a damaged directory raises what it happens to lead to
        raise ValueError(f"{path} is damaged: {error}") from None
    if damaged:
        raise ValueError(f"{path} is damaged: {damaged} does not have its checksum")
    if any("/code/" in name for name in names):
        raise ValueError(f"{path} is a TorchScript archive; {WANTED}")


def _part(path: str | Path, content: Any, key: str | None) -> Mapping[str, Any]:
    """The mapping of names to tensors: the content, or its part ``key``."""
    where = path if key is None else f"{path}: {key!r}"
    if key is not None:
        if not isinstance(content, Mapping) or key not in content:
            raise ValueError(f"load_state_dict: key is {shown(key)}; {path} holds {_told(content)}")
        content = content[key]
    if _is_state(content):
        return content
    parts = content.items() if isinstance(content, Mapping) and key is None else ()
    states = [f"key={name!r}" for name, part in parts if _is_state(part) and part]
    advice = f"say which has the weights: {' or '.join(states)}" if states else WANTED
    raise ValueError(f"{where} holds {_told(content)}; {advice}")


def _is_state(content: Any) -> bool:
    tensor = library("torch").Tensor
    return isinstance(content, Mapping) and all(isinstance(t, tensor) for t in content.values())


def _told(content: Any) -> str:
    """What was found instead of a state."""
    if not isinstance(content, Mapping):
        return f"an object of type {type(content).__name__}"
    return _listed([f"{name!r} ({type(value).__name__})" for name, value in content.items()])


def _listed(names: list[str]) -> str:
    """The first names, and how many there are."""
    return ", ".join(names[:6]) + (f"... ({len(names)} in all)" if len(names) > 6 else "")
