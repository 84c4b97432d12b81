"""Run a module with another text in the place of one of ours, in a process of its own.

python -m tests.gpu.planted minicnn.compiler.gpu.told tests.gpu.late < text
"""

from __future__ import annotations

import importlib.machinery
import runpy
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a text instead of the file."""

    text = ""

    def get_code(self, fullname: str) -> CodeType:
        """The text, compiled; its lines are those of the file."""
        return compile(self.text, self.path, "exec")


class _Finder:
    """Finds the module whose text is another one."""

    def __init__(self, name: str, text: str):
        self.name, self.text = name, text

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Where it lies, if it is the one."""
        if name != self.name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(name, spec.origin)
        spec.loader.text = self.text
        return spec


if __name__ == "__main__":
    planted, wanted = sys.argv[1:]
    sys.meta_path.insert(0, _Finder(planted, sys.stdin.read()))
    runpy.run_module(wanted, run_name="__main__")
