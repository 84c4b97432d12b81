"""Children, signals, and the streams that a program may start without."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

import minicnn
from minicnn import train
from minicnn.compiler import record
from minicnn.kernels.cpu import blas
from minicnn.train.run import read_jsonl

from .running import FAST, ROOT, environment, python
from .steps import Trained

pytestmark = pytest.mark.long

HERE = multiprocessing.get_all_start_methods()


def go_on(trained: Trained | None, answers: Connection) -> None:
    """In a child: two steps of the parent's net, or of one of its own."""
    minicnn.set_num_threads(3)
    answers.send((trained or Trained()).two_steps())


def computed_in_a_child(trained: Trained | None) -> str:
    """What ``go_on`` finds in a forked process."""
    context: Any = multiprocessing.get_context("fork")
    mine, childs = context.Pipe()
    child = context.Process(target=go_on, args=(trained, childs), daemon=True)
    child.start()
    try:
        assert mine.poll(60), "the child hangs"
        found: str = mine.recv()
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join()
    return found


@pytest.mark.skipif("fork" not in HERE, reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("compiled_kernels")
def test_a_forked_child_goes_on_with_its_parents_step() -> None:
    """From where the parent stands, without the parent's threads."""
    minicnn.set_num_threads(3)
    trained = Trained()
    begun = trained.two_steps()
    assert computed_in_a_child(trained) == trained.two_steps() != begun


@pytest.mark.skipif("fork" not in HERE, reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("compiled_kernels")
@pytest.mark.parametrize("lock", [blas.one_blas_thread.lock, record.one_at_a_time])
def test_a_child_is_not_left_with_a_lock_that_another_thread_of_its_parent_held(lock: Any) -> None:
    wanted = Trained().two_steps()
    held = threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            time.sleep(0.2)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    assert computed_in_a_child(None) == wanted
    thread.join()


@pytest.mark.skipif("fork" not in HERE, reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("compiled_kernels")
def test_a_child_gets_blas_with_its_threads_while_another_thread_of_its_parent_multiplies() -> None:
    limit = blas.one_blas_thread
    (library, *_) = limit.libraries
    with limit:  # in the child nobody is
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            limit.__exit__()  # as at the end of this thread's own ``with``
            os.write(writer, bytes([limit.inside % 256, library.get_num_threads()]))
            os._exit(0)
        os.waitpid(child, 0)
        found = tuple(os.read(reader, 2))
        assert found == (0, limit.before[0])
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_ended_from_outside_can_be_resumed(
    number: signal.Signals, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a scheduler ends it, or a terminal that is closed: like kill -9, between two updates."""
    run = tmp_path / "run"
    line = [sys.executable, "-m", "minicnn.train", *FAST, "--json", "--no-compile"]
    line += ["--epochs", "999", "--batch-size", "500", "--checkpoint-every", "1", "--out", str(run)]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["epoch"] == 1
        process.send_signal(number)
    assert process.returncode == -number
    minicnn.load_run(run)
    epochs = len(read_jsonl(run / "metrics.jsonl")) + 2
    assert train.main(["--resume", str(run), "--epochs", str(epochs), "--quiet"]) == 0
    assert [row["epoch"] for row in read_jsonl(run / "metrics.jsonl")] == [*range(1, epochs + 1)]


CLOSED = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]


def test_a_run_without_any_stream_or_terminal_is_whole(tmp_path: Path) -> None:
    """With none of the three streams open, the first files that are opened get their numbers."""
    run = tmp_path / "run"
    done = python(
        *("-m", "minicnn.train", *FAST, "--no-compile", "--out", str(run)),
        before=CLOSED,
        cwd=ROOT,
        start_new_session=True,
    )
    assert done.returncode == 0
    minicnn.load_run(run)
    assert len(read_jsonl(run / "metrics.jsonl")) == 2
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_of_two_processes_that_want_one_folder_one_gets_it(tmp_path: Path) -> None:
    """At the same moment: both wait until they are told."""
    code = (
        "import sys; from minicnn import train; print('ready', flush=True); sys.stdin.readline(); "
        "sys.exit(train.main(sys.argv[1:]))"
    )
    line = [sys.executable, "-c", code, *FAST, "--no-compile", "--out", str(tmp_path / "run")]
    pipe = subprocess.PIPE
    programs = [
        subprocess.Popen(
            [*line, "--seed", seed], stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=ROOT
        )
        for seed in "12"
    ]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    ended = []
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
    for program in programs:
        _, errors = program.communicate(timeout=60)
        ended.append((program.returncode, errors.count("\n")))
    assert sorted(ended) == [(0, 0), (2, 1)]
    winner = ended.index((0, 0)) + 1
    assert minicnn.load_run(tmp_path / "run")[1]["seed"] == winner
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
