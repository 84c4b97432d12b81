"""The small bugs of ``python -m tests.mutants``: what is changed, and how one is tried."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutants import compiled
from tests.mutants.__main__ import draw, main, options, tell
from tests.mutants.cuda import of_cuda
from tests.mutants.operators import Mutant, Place, of_python, places
from tests.mutants.record import Entry, Noticed, Record, catalogue, stale
from tests.mutants.rooms import ROOMS, ROOT, mutants_of
from tests.mutants.trying import (
    DIED,
    TIME,
    all_functions,
    apart,
    can_be_exchanged,
    exchange,
    first_to_notice,
    in_child,
    put_in,
)

pytestmark = pytest.mark.long

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
        while what := what[1:]: pass
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
while what := what[1:]: pass | while (not (what := what[1:])): pass
what := what[1:]: | what := what[2:]:
what := what[1:]: | what := what[:]:
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


CUDA = b"""
#define MOST 7  // 3 + 4
__device__ real half(real x) { return x / 2; }
extern "C" __global__ void count(const real* x, int n) {
    for (int k = 0; k < n && x[k] != 1.5f; k += 32) /* 1 + 1 */ add(-x[k]);
}
"""


def test_operators_and_numbers_of_cuda_are_changed() -> None:
    found = [(m.function, m.lines, m.of(CUDA).splitlines()) for m in of_cuda("a.cu", CUDA)]
    lines = CUDA.splitlines()
    changed = [
        (function, line.decode())
        for function, (number, _), text in found
        for line in [text[number - 1]]
        if text[: number - 1] + text[number:] == lines[: number - 1] + lines[number:]
    ]
    head = "    for (int k = 0; k < n && x[k] != 1.5f; k += 32) /* 1 + 1 */ add(-x[k]);"
    assert changed == [
        ("half", "__device__ real half(real x) { return x * 2; }"),
        ("half", "__device__ real half(real x) { return x / 3; }"),
        ("count", head.replace("k = 0", "k = 1")),
        ("count", head.replace("<", "<=")),
        ("count", head.replace("&&", "||")),
        ("count", head.replace("!=", "==")),
        ("count", head.replace("+=", "-=")),
        ("count", head.replace("32", "33")),
    ]


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
    mutants = [mutant for file in {entry.file for entry in entries} for mutant in mutants_of(file)]
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


def test_a_sample_of_rooms_together_stays_when_others_are_gone() -> None:
    line = ["--room", "tape", "--room", "optim", "--together", "--sample", "40", "--seed", "5"]
    drawn = draw(options().parse_args(line))
    assert sum(map(len, drawn.values())) == 40
    assert all(drawn.values())
    files = [argument for file in ROOMS["optim"].paths()[1:] for argument in ("--file", file)]
    fewer = draw(options().parse_args([*line, *files]))
    kept = {m for m in drawn["optim"] if m.file in files}
    assert kept <= {*fewer["optim"]}
    assert not fewer["tape"]


def test_a_kernel_is_compiled_again_where_a_changed_file_is_part_of_it() -> None:
    parts = compiled.parts("kernels/tiles/pool.py")
    assert {"kernels/tiles/move.py", "kernels/tiles/lanes.py", "kernels/arrays.py"} <= parts
    assert "kernels/cpu/random.py" in parts  # of dropout, which stands where slopes do
    assert not {"kernels/tiles/product.py", "kernels/cpu/jit.py"} & parts
    assert "kernels/tiles/pool.py" not in compiled.parts("kernels/tiles/step.py")


def test_files_that_are_compiled_for_a_mutant_have_tests_that_exist() -> None:
    rooms = [room for room in ROOMS.values() if room.way == "compiled"]
    files = {path for room in rooms for path in room.paths() if room.mutants()}
    files -= {path for path in files if path.endswith("__init__.py")}
    assert files == compiled.OWN.keys()
    for test in {test for tests in compiled.OWN.values() for test in tests}:
        file, _, function = test.partition("::")
        assert (ROOT / file).exists(), test
        assert not function or function.partition("[")[0] in functions_in(file), test


def test_the_tests_and_functions_that_have_noticed_mutants_exist() -> None:
    noticed = Noticed()
    names = {test.partition("[")[0] for test in noticed.tests}
    there = {f"{file}::{test}" for file in noticed.files() for test in functions_in(file)}
    assert len(names) > 100
    assert names - there == set()
    for file, functions in noticed.functions.items():
        assert functions.keys() - functions_in(file) <= {""}, file


def functions_in(file: str) -> set[str]:
    """The functions and classes of a file, such as ``Tensor.backward``."""
    tree = ast.parse((ROOT / file).read_bytes())
    return {place.function for _, place in places(tree, Place()) if place.function}


def test_what_was_noticed_stays_where_the_records_have_nothing(tmp_path: Path) -> None:
    path = tmp_path / "noticed.json"
    known = {"a.py": {"windows": [1], "Counter.see": [0], "gone": [0]}}
    path.write_text(json.dumps({"tests": ["a.py::test_a", "a.py::test_b"], "functions": known}))
    mutants = of_python("a.py", SOURCE.encode())
    record = Record(tmp_path / "room.jsonl")
    record.add("room", next(m for m in mutants if m.function == "windows"), "a.py::test_c")
    Noticed.write(((m, record) for m in mutants), path)
    found = Noticed(path)
    tests_of = {m.function: found.tests_of(m) for m in mutants}
    assert tests_of["windows"] == ["a.py::test_c"]
    assert tests_of["Counter.see"] == ["a.py::test_a"]
    assert "gone" not in found.functions["a.py"]


def test_a_survivor_is_named_with_its_cure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mutants = ROOMS["whole"].mutants()
    alive = next(m for m in mutants if m.file == "minicnn/optim/sgd.py")
    record = Record(tmp_path / "whole.jsonl")
    record.add("whole", alive, "")
    assert tell("whole", [alive], record) == 1
    *_, cure, counts = capsys.readouterr().out.splitlines()
    assert "--room optim --file minicnn/optim/sgd.py --write;" in cure
    assert counts == "whole: 1 mutants, 1 tried, 0 killed, 0 equivalent, 1 alive"


def test_fewer_tried_than_asked_for_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--room", "tape", "--keep", str(tmp_path), "--file", "minicnn/gone.py"]
    assert main(line) == 1
    assert capsys.readouterr().out.endswith("tape: 1 were asked for, 0 tried\n")
    assert main([*line, "--sample", "7"]) == 1
    assert capsys.readouterr().out.endswith("tape: 7 were asked for, 0 tried\n")
    assert main([*line, "--report"]) == 0


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


def wrong() -> str:
    raise ValueError("no such code")


def test_an_error_of_the_harness_kills_no_mutant() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)\(error\).*in wrong.*no such code"):
        in_child(wrong)


def test_pytest_that_ends_before_its_tests_do_is_not_passed_over(
    capfd: pytest.CaptureFixture[str],
) -> None:
    apart(lambda: pytest.ExitCode.OK)
    apart(lambda: pytest.ExitCode.TESTS_FAILED)
    for status in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
        with pytest.raises(RuntimeError, match=f"ended with status {status}:"):
            apart(lambda status=status: status)  # type: ignore[misc]
    with pytest.raises(RuntimeError, match="ended with status 3:"):
        apart(lambda: int(wrong()))
    assert "no such code" in capfd.readouterr().err


def first_of(*failing: str) -> Callable[..., str]:
    """Tests as they run: which of those named fails first; or what is said of all of them."""

    def ran(*names: str) -> str:
        said = [name for name in failing if name.startswith("(")]
        return next((name for name in names if name in failing), *said or [""])

    return ran


@pytest.mark.parametrize(
    ("mutated", "unmutated", "found"),
    [
        ([], [], ""),
        (["::b"], [], "::b"),
        (["::a", "::b"], ["::a"], "::b"),  # the first one fails anyway
        (["::a"], ["::a"], ""),
        ([DIED], [], DIED),
        ([DIED], ["::a"], DIED),  # without it the others are tried again
        ([TIME, "::b"], ["::b"], TIME),
    ],
)
def test_a_mutant_is_killed_by_what_does_not_happen_without_it(
    mutated: list[str], unmutated: list[str], found: str
) -> None:
    tried = first_of(*mutated)
    names = ["::a", "::b"]
    assert first_to_notice(lambda names: tried(*names), first_of(*unmutated), names) == found


@pytest.mark.parametrize("said", [DIED, TIME, "(pytest ended with status 5)"])
def test_who_dies_without_a_mutant_too_has_not_noticed_it(said: str) -> None:
    with pytest.raises(RuntimeError, match=re.escape(f"with nothing mutated: {said}, of ::a ::b")):
        first_to_notice(lambda names: said, lambda *names: said, ["::a", "::b"])


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
    functions = all_functions()[Path(module.__file__ or "").resolve()]
    exchange(functions, MODULE.replace(old, new).encode())
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
