"""A plugin of pytest: kernels for a GPU have their sizes as arguments.

Else each plan's kernels would be compiled, and those of a mutant's plans are others.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.gpu.general import general_form
from tests.gpu.pretend import standin_for_cupy


@contextmanager
def in_general_form() -> Iterator[Any]:
    """``standin_for_cupy``, and the general form inside."""
    with standin_for_cupy() as cupy, general_form():
        yield cupy


def pytest_collection_finish() -> None:
    """The fixture is there: exchange what it takes."""
    conftest: Any = importlib.import_module("tests.gpu.conftest")
    conftest.standin_for_cupy = in_general_form
