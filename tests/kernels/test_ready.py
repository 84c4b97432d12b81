"""Kernels that two processes compile, and what may become of the second one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from numba.core import config

from minicnn.kernels.cpu import jit, ready
from minicnn.kernels.cpu.jit import jit as kernel

# Two steps of training: the second loss shows the first one's update.
STEPS = """
import numpy as np, minicnn
from minicnn import nn, optim
minicnn.manual_seed(0)
net = nn.Sequential(nn.Flatten(), nn.Linear(15, 4))
step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.1))
x, y = np.arange(20 * 15, dtype=np.uint8).reshape(20, 1, 3, 5), np.arange(20) % 4
print(*(step(x, y)[0].item() for _ in range(2)))
"""


@kernel
def plus_one(x: Any) -> Any:
    return x + 1


@kernel
def plus_two(x: Any) -> Any:
    return x + 2


@kernel
def plus_three(x: Any) -> Any:
    return x + 3


ADDED: dict[Any, int] = {plus_one: 1, plus_two: 2, plus_three: 3}
Forms = list[ready.Form]


@pytest.fixture
def forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forms]:
    """Six that this process has not compiled; here and in a helper, kernels lie in a new folder."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(ready, "get_num_threads", lambda: 2)
    jit.folder.cache_clear()
    assert jit.folder() is not None
    new: list[Any] = [kernel(k.py_func) for k in ADDED]
    yield [ready.form_of(k, number) for number in (1, 0.5) for k in new]
    jit.folder.cache_clear()


@pytest.fixture
def helpers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The helpers that are started."""
    started: list[Any] = []

    class Watched(subprocess.Popen):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Watched)
    return started


def compiled_here(forms: Forms) -> int:
    return sum(form.types in form.kernel.overloads for form in forms)


def take_nothing(queue: int, missing: Sequence[ready.Form]) -> None:
    """What this process does when it leaves everything to the helper."""


def test_what_a_helper_compiled_is_loaded(
    forms: Forms, helpers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "_compile_from", take_nothing)
    ready.make_ready(forms)
    assert [helper.returncode for helper in helpers] == [0]
    assert compiled_here(forms) == 0
    assert all(jit.is_there(*form) for form in forms)
    for (form, _), added in zip(forms, [*ADDED.values()] * 2, strict=True):
        assert (form(4), form(0.25)) == (4 + added, 0.25 + added)
        assert sum(form.stats.cache_hits.values()) == 2

    # all are there, so nobody is asked again
    fresh = [ready.Form(kernel(form.kernel.py_func), form.types) for form in forms]
    ready.make_ready(fresh)
    assert len(helpers) == 1


def test_each_is_compiled_once(forms: Forms, helpers: list[Any]) -> None:
    """By the first process or by the helper: the files are whole, and there is one for each."""
    ready.make_ready(forms)
    assert [helper.returncode for helper in helpers] == [0]
    assert all(jit.is_there(*form) for form in forms)
    folder = jit.folder()
    assert folder is not None
    assert len(list(folder.glob("*.nbc"))) == len(forms)


def called_python(folder: Path, command: str) -> str:
    """A program of that name that does something else."""
    program = folder / "python3"
    program.write_text(f"#!/bin/sh\nexec {command}\n")
    program.chmod(0o755)
    return str(program)


BROKEN: dict[str, Callable[[pytest.MonkeyPatch, Path], None]] = {
    "it cannot be started": lambda patch, _: patch.setattr(sys, "executable", "/no/such/python"),
    "it fails at once": lambda patch, folder: patch.setattr(
        sys, "executable", called_python(folder, "false")
    ),
    "it never ends": lambda patch, folder: patch.setattr(
        sys, "executable", called_python(folder, "sleep 600")
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_without_a_helper_all_are_compiled_here(
    forms: Forms, what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ready, "PATIENCE", 0.1 if what == "it never ends" else 60)
    BROKEN[what](monkeypatch, tmp_path)
    ready.make_ready(forms)
    assert compiled_here(forms) == len(forms)


def test_a_helper_with_another_folder_compiles_nothing(
    forms: Forms, helpers: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As when a source has changed since this process read it."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "another"))
    monkeypatch.setattr(ready, "_compile_from", take_nothing)
    ready.make_ready(forms)
    assert [helper.returncode for helper in helpers] == [0]
    assert not [*tmp_path.rglob("*.nbc")]


def test_a_helper_does_not_outlive_an_interrupt(
    forms: Forms, helpers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(queue: int, missing: Sequence[ready.Form]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ready, "_compile_from", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ready.make_ready(forms)
    assert [helper.returncode for helper in helpers] == [-9]


ALONE: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "one thread": lambda patch: patch.setattr(ready, "get_num_threads", lambda: 1),
    "no folder": lambda patch: patch.setattr(jit, "folder", lambda: None),
    "a folder to read": lambda patch: patch.setattr(jit, "_can_be_written", lambda place: False),
    "a program that Python is part of": lambda patch: patch.setattr(sys, "executable", "/bin/sh"),
    "an executable that Python does not know": lambda patch: patch.setattr(sys, "executable", ""),
    "one that is None": lambda patch: patch.setattr(sys, "executable", None),
    "a frozen program": lambda patch: patch.setattr(sys, "frozen", True, raising=False),
}


@pytest.mark.parametrize("why", ALONE)
def test_there_is_no_helper_where_it_would_not_help(
    forms: Forms, helpers: list[Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        ALONE[why](patch)
        ready.make_ready(forms)
    ready.make_ready(forms[: ready.WORTH_A_HELPER - 1])
    assert helpers == []
    assert forms[0].kernel(4) == 5  # compiled where it is called


def test_a_cold_step_has_the_bits_of_a_warm_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run as a script that has no ``if __name__ == '__main__'``: a helper does not run it again."""
    script = tmp_path / "script.py"
    script.write_text(STEPS)
    exec(STEPS, {})
    warm = capsys.readouterr().out
    path = os.pathsep.join(sys.path)
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cold"), "OMP_NUM_THREADS": "2"}
    cold = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert cold.returncode == 0, cold.stderr
    assert cold.stdout == warm
    assert len(list(tmp_path.glob("cold/*/*/*.nbc"))) > 8
