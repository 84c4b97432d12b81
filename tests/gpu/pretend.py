"""``import cupy`` gives the stand-in."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOLDER = str(Path(__file__).parent / "standin")

_standin: dict[str, Any] = {}  # its modules, loaded once


@contextmanager
def standin_for_cupy() -> Iterator[Any]:
    """Inside, ``cupy`` is the stand-in, with counters at 0; afterwards it is what it was."""
    before = _modules_of_cupy()
    sys.modules.update(_standin)
    sys.path.insert(0, FOLDER)
    try:
        cupy = importlib.import_module("cupy")
        cupy.reset_counters()
        yield cupy
    finally:
        sys.path.remove(FOLDER)
        _standin.update(_modules_of_cupy())
        sys.modules.update(before)


def _modules_of_cupy() -> dict[str, Any]:
    """CuPy's modules, taken out of ``sys.modules``."""
    names = [name for name in sys.modules if name.partition(".")[0] == "cupy"]
    return {name: sys.modules.pop(name) for name in names}
