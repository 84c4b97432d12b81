"""Fixtures of the random programs, and how many there are."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings

from tests.programs.machine import done

# by hand: python -m pytest -s -n 0 -m long tests/programs --hypothesis-profile=programs
settings.register_profile(
    "programs",
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True, scope="module")
def only_what_is_new() -> Iterator[None]:
    """The programs free what is unreachable after each step: look at nothing that is there now."""
    if find_spec("torch"):
        import_module("torch")
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    print(f"\n{done['programs']:,} programs, {done['rules']:,} rules")


@pytest.fixture(autouse=True)
def share_the_least_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small nets are computed by several threads."""
    monkeypatch.setattr("minicnn.compiler.cpu.engine.WORTH_A_THREAD", 1)
    monkeypatch.setattr("minicnn.kernels.cpu.threads.WORTH_SHARING", 1)
