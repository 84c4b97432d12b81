"""Other people's libraries, imported when a function needs them."""

from __future__ import annotations

import importlib
from typing import Any

INSTALL = {"torch": "pip install torch", "onnx": "pip install '.[onnx]' in minicnn's folder"}


def library(name: str) -> Any:
    """The module ``name``, a key of ``INSTALL``.

    Raises:
        ImportError: it is not installed; or ``torch`` means minicnn (``d2l.install``).
    """
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name or name not in INSTALL:
            raise
        raise ModuleNotFoundError(
            f"the package {name} is not installed: {INSTALL[name]}", name=name
        ) from None
    if module.__spec__ is not None and module.__spec__.origin == "minicnn.d2l":
        raise ImportError(
            f"{name} means minicnn here, since minicnn.d2l.install; call minicnn.d2l.uninstall() "
            f"first",
            name=name,
        )
    return module
