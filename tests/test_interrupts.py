"""Ctrl-C: never lost, never waited for in vain, never between two halves of something."""

# ruff: noqa: PT012 (what is raised is raised at the end of several statements)

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest
from numba.core import config

import minicnn
from minicnn import files
from minicnn.kernels.cpu import blas, jit, linear, threads
from minicnn.kernels.interrupts import held


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def ctrl_c_raises() -> Iterator[None]:
    """As in a terminal (some shells ignore it); whatever hangs ends after a minute."""

    def give_up(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    alarm = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, alarm)
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_is_answered_at_the_end() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt):
        with held():
            interrupt()
            reached.append("the end")
        reached.append("too far")
    assert reached == ["the end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_is_answered_at_once() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), held():
        interrupt()
        reached.append("after the first")
        interrupt()
        reached.append("after the second")
    assert reached == ["after the first"]


def test_without_an_interrupt_nothing_is_raised_and_an_error_stays_what_it_is() -> None:
    with held():
        pass
    with pytest.raises(ZeroDivisionError), held():
        raise ZeroDivisionError


def test_an_interrupt_goes_before_the_error_that_it_may_have_caused() -> None:
    with pytest.raises(KeyboardInterrupt) as raised, held():
        interrupt()
        raise ZeroDivisionError
    assert isinstance(raised.value.__context__, ZeroDivisionError)


def test_the_end_of_an_inner_one_is_not_the_end() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), held():
        with held():
            interrupt()
        reached.append("after the inner one")
    assert reached == ["after the inner one"]


def test_somebody_elses_handler_is_called_instead() -> None:
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    with held():
        interrupt()
        assert came == []
    assert came == [signal.SIGINT]


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_an_interrupt_that_python_does_not_get_is_left_alone(handler: signal.Handlers) -> None:
    signal.signal(signal.SIGINT, handler)
    with held():
        assert signal.getsignal(signal.SIGINT) is handler
        if handler is signal.SIG_IGN:
            interrupt()


def test_another_thread_holds_nothing() -> None:
    def elsewhere() -> None:
        with held():
            seen.append(signal.getsignal(signal.SIGINT))

    seen: list[Any] = []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


# A team's reports -------------------------------------------------------------------------------


class Untimely(SimpleQueue[Any]):
    """A queue whose first report is followed by Ctrl-C, before anybody else can go on."""

    came = False

    def put(self, item: Any, *_: Any) -> None:
        super().put(item)
        if not self.came:
            self.came = True
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_an_interrupt_between_a_report_and_its_reader_loses_no_report(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    minicnn.set_num_threads(count)
    threads._team(count - 1)  # with a queue of its own for the calls
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1.0)  # the reporter keeps Python to itself until it has interrupted
    monkeypatch.setattr(threads, "SimpleQueue", Untimely)
    try:
        for _ in range(20):
            done: list[int] = []
            with pytest.raises(KeyboardInterrupt):
                threads.together([partial(done.append, number) for number in range(count)])
            assert sorted(done) == list(range(count))
    finally:
        sys.setswitchinterval(interval)


def test_an_interrupt_while_calls_are_handed_over_waits_for_them() -> None:
    """As a step does: with Ctrl-C at every line of ``together`` in turn."""
    minicnn.set_num_threads(3)
    raised = 0
    for line in range(40):
        done: list[int] = []
        with interrupted_at(line, threads.together.__code__):
            try:
                threads.together([partial(done.append, number) for number in range(3)])
            except KeyboardInterrupt:
                raised += 1
                assert sorted(done) in ([], [0, 1, 2]), line
            else:
                assert sorted(done) == [0, 1, 2]
    assert raised > 5


def test_an_interrupt_while_turns_are_taken_waits_for_what_is_begun() -> None:
    """With Ctrl-C at every line of ``take_turns`` in turn."""
    minicnn.set_num_threads(3)
    raised = 0
    for line in range(40):
        left, done = SimpleQueue[int](), list[int]()
        for piece in range(6):
            left.put(piece)
        with interrupted_at(line, threads.take_turns.__code__):
            try:
                threads.take_turns(partial(take_pieces, left, done), 3)
            except KeyboardInterrupt:
                raised += 1
                assert sorted(done) in ([], list(range(6))), line
            else:
                assert sorted(done) == list(range(6))
    assert raised > 5


def take_pieces(left: SimpleQueue[int], done: list[int], thread: int) -> bool:
    with contextlib.suppress(Empty):
        while True:
            done.append(left.get_nowait())
    return len(done) == 6


class interrupted_at:  # noqa: N801
    """Ctrl-C before line number ``line`` (from 0) that is executed of a function."""

    def __init__(self, line: int, code: Any):
        self.left, self.code = line, code

    def __enter__(self) -> None:
        self.before = sys.gettrace()
        sys.settrace(self.trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.before)

    def trace(self, frame: Any, what: str, _: Any) -> Any:
        if frame.f_code is not self.code:
            return None
        if what == "line":
            self.left -= 1
            if self.left == -1:
                interrupt()
        return self.trace


def test_blas_gets_its_threads_back_after_an_interrupt() -> None:
    rng = minicnn.randn(40, 50).numpy()
    limit = blas.one_blas_thread
    for line in range(12):
        for code in (f.__code__ for f in (limit.__enter__, limit.__exit__, linear.matmul)):
            with interrupted_at(line, code), contextlib.suppress(KeyboardInterrupt):
                linear.matmul(rng, rng.T)
            assert limit.inside == 0, line


# Compiling ----------------------------------------------------------------------------------------


class interrupted_in:  # noqa: N801
    """Ctrl-C when a function of this name is called, once."""

    def __init__(self, name: str):
        self.name, self.came = name, False

    def __enter__(self) -> interrupted_in:
        sys.setprofile(self.profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def profile(self, frame: Any, what: str, _: Any) -> None:
        if what == "call" and frame.f_code.co_name == self.name and not self.came:
            self.came = True
            interrupt()


@pytest.fixture
def nothing_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    jit.folder.cache_clear()
    yield
    jit.folder.cache_clear()


# two of Numba's passes; LLVM's calls back into Python, which lose what is raised in them
COMPILING = ["type_inference_stage", "lower_normal_function", "_object_compiled_hook"]
LOADING = ["load_overload", "_rebuild", "_object_getbuffer_hook"]


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("where", COMPILING)
def test_an_interrupt_while_a_kernel_compiles_is_answered(where: str) -> None:
    kernel: Any = jit.jit(_triple)
    with interrupted_in(where) as interrupted, pytest.raises(KeyboardInterrupt):
        kernel(2)
    assert interrupted.came
    assert kernel.signatures == []  # answered before the next pass
    assert kernel(2) == 6


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("where", LOADING)
def test_an_interrupt_while_a_kernel_is_loaded_is_answered_after_it(where: str) -> None:
    jit.jit(_triple)(2)
    kernel: Any = jit.jit(_triple)
    with interrupted_in(where) as interrupted, pytest.raises(KeyboardInterrupt):
        kernel(2)
    assert interrupted.came
    assert sum(kernel.stats.cache_hits.values()) == 1
    assert kernel(2) == 6


def _triple(x: Any) -> Any:
    return 3 * x


# Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [(Path, "open"), (os, "chmod"), (os, "replace")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_while_a_file_is_written_leaves_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: tuple[Any, str], when: str
) -> None:
    path = tmp_path / "weights"
    files.write_whole(path, "old")
    real: Callable[..., Any] = getattr(*step)

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if when == "before":
            interrupt()
        result = real(*arguments, **options)
        if when == "after":
            interrupt()
        return result

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(*step, interrupted)
        files.write_whole(path, "new")
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["weights"]


def test_a_second_interrupt_after_the_rename_is_no_error_of_the_clean_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def interrupted(*arguments: Any) -> None:
        replace(*arguments)
        interrupt()
        interrupt()

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write_whole(tmp_path / "weights", "new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("weights", "new")]


# A command as a process ---------------------------------------------------------------------------

PROCESS = """
import signal, sys, time, weakref
from minicnn import command, terminal
signal.signal(signal.SIGINT, signal.default_int_handler)
interrupt = lambda *_: signal.raise_signal(signal.SIGINT)

class Last:
    def __del__(self):
        interrupt()

def in_a_finaliser():
    Last()
    time.sleep(1)
    return 0

def in_a_callback():
    last = type("Last", (), {})()
    gone = weakref.ref(last, interrupt)
    del last
    time.sleep(1)
    return 0

def at_once():
    interrupt()
    return 0

def in_a_text():
    try:
        exec("interrupt()")
    except KeyboardInterrupt:
        return 5

def when_done():
    import atexit
    atexit.register(interrupt)
    return 3

"""


@pytest.mark.parametrize(
    ("where", "status"),
    [
        ("in_a_finaliser", 130),
        ("in_a_callback", 130),
        ("at_once", 130),
        ("in_a_text", 5),
        ("when_done", 3),
    ],
)
def test_no_interrupt_of_a_command_is_lost(where: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(f"{PROCESS}command.process({where})")
    ended = subprocess.run(
        [sys.executable, "-m", "program"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(minicnn.__file__).parent.parent)},
        capture_output=True,
        timeout=60,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (status, "")


def test_an_interrupt_before_a_command_has_begun_is_a_line() -> None:
    code = f"{PROCESS}terminal.answer_interrupts(); in_a_finaliser()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, text=True)
    assert ended.stderr == "interrupted\n"
    assert ended.returncode != 0


def test_drawing_is_not_interrupted_while_matplotlib_is_loaded() -> None:
    """Once it has begun, an interrupt comes when all of it is there."""
    code = """
import importlib.abc, signal, sys
from minicnn import plots
signal.signal(signal.SIGINT, signal.default_int_handler)

class Interrupt(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "matplotlib.ft2font":
            sys.meta_path.remove(self)
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
try:
    plots.curves([])
except KeyboardInterrupt:
    print("matplotlib.backends.backend_agg" in sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "True\n", "")
