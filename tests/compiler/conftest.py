"""Fixtures of the tests of compiled nets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# With the reference kernels nothing can be compiled (and a skipped test counts as failed).
if os.environ.get("MINICNN_KERNELS") == "reference":
    stay = {"test_reference_kernels.py", "test_threads.py"}
    here = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    collect_ignore = sorted(here - stay)


@pytest.fixture
def share_the_least_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small nets are computed by several threads."""
    monkeypatch.setattr("minicnn.compiler.cpu.engine.WORTH_A_THREAD", 1)
