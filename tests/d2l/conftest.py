"""Fixtures of the tests of the book's helpers."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from minicnn import d2l, data
from minicnn.d2l.facades import helpers
from tests.d2l.few import SAMPLE


@pytest.fixture
def few() -> data.Dataset:
    return data.load(SAMPLE)[0][:300]


@pytest.fixture(autouse=True)
def _no_pictures_at_the_end() -> Iterator[None]:
    yield
    helpers._left.clear()


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pretend to run in a notebook; lists what is displayed or updated there."""
    events: list[str] = []

    class Handle:
        def update(self, picture: Any) -> None:
            events.append("update")

    def display(picture: Any, display_id: bool) -> Handle:
        assert picture.png.startswith(b"\x89PNG")
        events.append("display")
        return Handle()

    class Picture:
        def __init__(self, png: bytes, retina: bool):
            self.png = png

    fake = types.ModuleType("IPython.display")
    fake.Image, fake.display = Picture, display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    for module in (d2l.curves, d2l.pictures, d2l.training, helpers):
        monkeypatch.setattr(module, "in_notebook", lambda: True)
    return events


@pytest.fixture
def tf() -> Iterator[Any]:
    """The facade's ``tensorflow``, installed for a test."""
    d2l.install("tensorflow")
    yield sys.modules["tensorflow"]
    d2l.uninstall()


@pytest.fixture(scope="module")
def torch() -> Iterator[Any]:
    """The real one, on one thread: several that spin take the processors from the other tests."""
    real = pytest.importorskip("torch")
    threads = real.get_num_threads()
    real.set_num_threads(1)
    yield real
    real.set_num_threads(threads)
