"""The small bugs of ``python -m tests.mutants``: what is changed, and how one is tried."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutants.operators import Mutant, of_python
from tests.mutants.record import Entry, Record, catalogue, stale
from tests.mutants.rooms import ROOT
from tests.mutants.trying import DIED, TIME, can_be_exchanged, exchange, in_child, put_in

SOURCE = '''
"""1 + 1 in a docstring stays."""
import functools
LIMIT = 3

@functools.lru_cache(maxsize=None)
def windows(size: int, step: int = 2) -> "list[int]":
    if size < 1 and step:
        raise ValueError(f"{size + 1}: at least " + str(1))
    size -= step
    return sorted(range(size)[1:-1], reverse=True)


class Counter:
    def __init__(self):
        self.seen = ["é"] * 0

    def see(self, what):
        self.seen.append(what) if not self.seen else None
        for one in self.seen: break
        what = str(what)
        return what is not None
'''
WANTED = """
LIMIT = 3 | LIMIT = 4
@functools.lru_cache(maxsize=None) | @functools.lru_cache()
step: int = 2) | step: int = 3)
size < 1 | size <= 1
< 1 and | < 2 and
size < 1 and step | size < 1 or step
raise ValueError(f"{size + 1}: at least " + str(1)) | pass
size -= step | pass
size -= step | size = step
size -= step | size += step
return sorted(range(size)[1:-1], reverse=True) | return None
[1:-1] | [2:-1]
[1:-1] | [1:]
[1:-1] | [1:1]
[1:-1] | [1:0]
[1:-1] | [:-1]
, reverse=True) | , )
=True) | =False)
self.seen = ["é"] * 0 | pass
"é"] * 0 | "é"] / 0
* 0 | * 1
self.seen.append(what) if not self.seen else None | pass
if not self.seen else | if self.seen else
break | pass
what = str(what) | pass
return what is not None | return None
what is not None | what is None
"""


def test_every_operator_changes_what_it_should_and_nothing_else() -> None:
    text = SOURCE.encode()
    found = [(m.before, m.after, m.nth) for m in of_python("a.py", text)]
    lines = {" ".join(line.split()): None for line in SOURCE.splitlines()}
    wanted = []
    for pair in WANTED.strip().splitlines():
        old, new = pair.split(" | ")
        before = next(line for line in lines if old in line)
        wanted.append((before, before.replace(old, new), 0))
    assert sorted(found) == sorted(wanted)


def test_functions_of_a_mutant_begin_on_the_same_lines() -> None:
    file = "minicnn/nn/functional/loss.py"
    text = (ROOT / file).read_bytes()
    mutants = of_python(file, text)
    assert len(mutants) > 100
    for mutant in mutants[::7]:
        changed = mutant.of(text)
        assert changed != text
        assert changed.count(b"\n") == text.count(b"\n"), mutant
        compile(changed, file, "exec")


def test_the_catalogue_names_mutants_that_exist() -> None:
    entries = catalogue()
    mutants = [
        mutant
        for file in {entry.file for entry in entries}
        for mutant in of_python(file, (ROOT / file).read_bytes())
    ]
    assert stale(mutants, entries) == []
    assert all(entry.why.strip() for entry in entries)


def test_an_entry_about_lines_that_are_gone_is_stale() -> None:
    mutants = of_python("a.py", SOURCE.encode())
    there = Entry("a.py", "", "LIMIT = 3", "LIMIT = 4", "")
    gone = there._replace(before="LIMIT = 2")
    assert stale(mutants, [there, gone]) == [gone]


def test_a_record_goes_on_where_it_was(tmp_path: Path) -> None:
    first, second, third, *_ = of_python("a.py", SOURCE.encode())
    record = Record(tmp_path / "room.jsonl")
    record.add("room", first, "")
    record.add("room", first, "tests/a.py::test_a")  # tried again
    record.add("room", second, "")
    record = Record(tmp_path / "room.jsonl")
    assert [record.verdict(m) for m in (first, second, third)] == ["killed", "alive", ""]


# In a child process -------------------------------------------------------------------------------


def ended() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def asleep() -> str:
    time.sleep(9)
    return ""


def forever() -> str:
    while True:
        pass


def test_a_child_that_dies_or_never_ends_is_told_from_one_that_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.mutants.trying.SECONDS", 0)
    monkeypatch.setattr("tests.mutants.trying.WAIT", 3)
    assert in_child(lambda: "tests/a.py::test_a") == "tests/a.py::test_a"
    assert in_child(lambda: "") == ""
    assert in_child(ended) == DIED
    assert in_child(forever) == TIME
    monkeypatch.setattr("tests.mutants.trying.WAIT", 0.2)
    assert in_child(asleep) == TIME


MODULE = """
import functools

def twice(function):
    @functools.wraps(function)
    def called(x):
        return function(function(x))
    return called

@twice
def more(x):
    return x + 1

class Part:
    @property
    def size(self):
        return super().__init__() or 5 - 2
"""


@pytest.fixture
def module(tmp_path: Path) -> ModuleType:
    path = tmp_path / "mutated_here.py"
    path.write_text(MODULE)
    spec = importlib.util.spec_from_file_location("mutated_here", path)
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def mutant_of(after: str) -> Mutant:
    return next(m for m in of_python("mutated_here.py", MODULE.encode()) if after in m.after)


@pytest.mark.parametrize(
    ("old", "new", "more", "size"),
    [
        ("x + 1", "x - 1", -2, 3),
        ("5 - 2", "5 + 2", 2, 7),
        ("function(function(x))", "function(function(x) + 4)", 6, 3),  # a closure that exists
    ],
)
def test_functions_that_exist_get_the_mutated_code(
    module: ModuleType, old: str, new: str, more: int, size: int
) -> None:
    exchange(Path(module.__file__ or ""), MODULE.replace(old, new).encode())
    assert (module.more(0), module.Part().size) == (more, size)


def test_a_function_that_would_keep_other_variables_is_not_exchanged() -> None:
    of_tape = of_python("minicnn/tape.py", (ROOT / "minicnn/tape.py").read_bytes())
    without_super = next(m for m in of_tape if m.function == "BackwardError.__init__")
    assert without_super.before == "super().__init__(message)"  # needs a variable __class__
    assert not can_be_exchanged(without_super)
    assert can_be_exchanged(next(m for m in of_tape if m.function == "backward"))


def test_a_mutated_file_is_there_for_a_while(module: ModuleType) -> None:
    path = Path(module.__file__ or "")
    sys.path.insert(0, str(path.parent))
    try:
        for after, wanted in [("x - 1", "-2"), ("x + 2", "4")]:  # of one size, in one second
            with put_in(path.parent, mutant_of(after)):
                more = in_child(lambda: str(importlib.import_module("mutated_here").more(0)))
            assert more == wanted
    finally:
        sys.path.remove(str(path.parent))
    assert path.read_text() == MODULE
