"""What a test run does where a package is missing: it says so, and goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFTEST = """
from tests.conftest import pytest_make_collect_report, pytest_runtest_makereport
"""
WHOLE = """
import no_such_package.part

def test_never_runs():
    pass
"""
SOME = """
import importlib

def test_of_others():
    import no_such_package

def test_of_ours():
    importlib.import_module("minicnn.no_such_module")

def test_of_nobody():
    raise ImportError("cannot import name 'x' from 'numpy'")

def test_that_passes():
    pass
"""


@pytest.mark.parametrize(
    ("allowed", "counts"),
    [(True, "2 failed, 1 passed, 2 skipped"), (False, "3 failed, 1 passed, 1 error")],
)
def test_a_missing_package_is_a_skip_and_nothing_else_is(
    tmp_path: Path, allowed: bool, counts: str
) -> None:
    for name, text in {"conftest": CONFTEST, "test_whole": WHOLE, "test_some": SOME}.items():
        (tmp_path / f"{name}.py").write_text(text)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MINICNN_NO_SKIPS": "0" if allowed else "1"}
    line = [sys.executable, "-m", "pytest", "-q", "-rs", "--continue-on-collection-errors"]
    line += ["-p", "no:cacheprovider", "-n0", str(tmp_path)]
    done = subprocess.run(line, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1].startswith(counts), done.stdout
    assert done.stdout.count("no_such_package is not installed") == (2 if allowed else 0)
