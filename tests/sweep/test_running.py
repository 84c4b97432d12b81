"""The command's side of Dask, with a client that is made up: refusals, deaths, versions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from minicnn.sweep import running
from minicnn.sweep.outcome import FAILED, FINISHED, Outcome
from minicnn.sweep.plan import Run
from minicnn.sweep.running import Runs
from minicnn.sweep.work import REFUSED, Reply, versions

distributed = pytest.importorskip("distributed")

ONE, TWO, THREE = "tcp://10.0.0.1:4001", "tcp://10.0.0.2:4002", "tcp://10.0.0.3:4003"
RUN = Run("lr=0.1", {"lr": 0.1}, {"lr": 0.1})
DONE = Outcome(FINISHED, {"loss": 1.0})


class Future:
    """A task that has ended."""

    def __init__(self, answer: Any):
        self.answer, self.key = answer, str(id(self))

    def result(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Client:
    """In the place of Dask's: answers come in this order, whoever is asked."""

    def __init__(self, answers: Sequence[Any], workers: Sequence[str] = (ONE, TWO)):
        self.answers, self.workers = [*answers], [*workers]
        self.asked: list[Any] = []  # the machines that each run was restricted to
        self.cancelled: list[Future] = []
        self.busy: list[str] = []  # the keys of the tasks that workers do
        self.versions: dict[str, Any] = {worker: versions() for worker in workers}

    def map(self, function: Any, *columns: Any, pure: bool, workers: Any) -> list[Future]:
        self.asked.append(workers)
        return [Future(self.answers.pop(0)) for _ in columns[0]]

    def cancel(self, futures: Sequence[Future], force: bool) -> None:
        self.cancelled += futures

    def call_stack(self) -> dict[str, dict[str, Any]]:
        return {ONE: dict.fromkeys(self.busy)}

    def nthreads(self) -> dict[str, int]:
        return dict.fromkeys(self.workers, 1)

    def run(self, function: Any, on_error: str) -> dict[str, Any]:
        return self.versions


def ended(
    client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Outcome], list[str]]:
    """The outcomes of one run, and what was said."""
    said: list[str] = []
    runs = Runs(client, (folder, "token"), said.append, lambda: None)
    monkeypatch.setattr(runs, "_next", lambda: [*runs.pending][:1])
    runs.greet()
    runs.begin([RUN])
    return [outcome for _, outcome in runs.ended()], said


def reply(worker: str, outcome: Outcome, **other_versions: str) -> Reply:
    return Reply(worker, {**versions(), **other_versions}, outcome)


def test_a_run_that_a_machine_refuses_goes_to_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_data = Outcome(REFUSED, {}, "mnist is not in /cache")
    client = Client([reply(ONE, no_data), reply(TWO, DONE)])
    assert ended(client, tmp_path, monkeypatch) == (
        [DONE],
        ["10.0.0.1 is left out: mnist is not in /cache"],
    )
    assert client.asked == [None, ["10.0.0.2"]]


def test_a_run_that_all_machines_refuse_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_data = Outcome(REFUSED, {}, "mnist is not in /cache")
    client = Client([reply(ONE, no_data), reply(TWO, no_data)])
    (failed,), _ = ended(client, tmp_path, monkeypatch)
    assert failed == Outcome(FAILED, {}, "10.0.0.2: mnist is not in /cache")


def test_workers_that_lack_minicnn_are_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client([reply(TWO, DONE)])
    client.versions[ONE] = ModuleNotFoundError("No module named 'minicnn'")
    assert ended(client, tmp_path, monkeypatch) == (
        [DONE],
        ["10.0.0.1 is left out: No module named 'minicnn'"],
    )
    assert client.asked == [["10.0.0.2"]]
    client.versions[TWO] = client.versions[ONE]
    with pytest.raises(ConnectionError, match="no worker can do a run: No module named 'minicnn'"):
        ended(client, tmp_path, monkeypatch)


def test_a_late_worker_without_minicnn_is_left_out_and_its_run_goes_to_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacks = ModuleNotFoundError("No module named 'minicnn'")
    client = Client([lacks, reply(TWO, DONE)])
    answers = iter([client.versions, {**client.versions, ONE: lacks}])
    monkeypatch.setattr(client, "run", lambda *_, on_error: next(answers))
    assert ended(client, tmp_path, monkeypatch) == (
        [DONE],
        ["10.0.0.1 is left out: No module named 'minicnn'"],
    )
    assert client.asked == [None, ["10.0.0.2"]]


def test_an_import_that_fails_though_all_workers_have_minicnn_is_the_runs_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (failed,), _ = ended(Client([ImportError("no such name")]), tmp_path, monkeypatch)
    assert failed == Outcome(FAILED, {}, "no such name")


def test_runs_whose_machines_are_gone_wait_and_go_to_one_that_comes(tmp_path: Path) -> None:
    client, said = Client([None, None, None], [ONE, TWO]), list[str]()
    client.versions[ONE] = ImportError("no minicnn")
    runs = Runs(client, (tmp_path, "token"), said.append, lambda: None)
    runs.greet()
    runs.begin([RUN])
    (first,) = runs.pending
    client.workers = [ONE]
    runs._look_at_workers()
    assert (client.cancelled, runs.pending, runs.waiting) == ([first], {}, [RUN])
    assert said[-1] == "runs wait for a machine that can do them: none is there"
    client.workers = [ONE, THREE]
    runs._look_at_workers()
    assert client.asked == [["10.0.0.2"], ["10.0.0.3"]]
    assert [*runs.pending.values()] == [RUN]


def test_a_machine_that_comes_late_gets_the_runs_that_are_not_under_way(tmp_path: Path) -> None:
    client = Client([None] * 4, [ONE, TWO])
    client.versions[ONE] = ImportError("no minicnn")
    runs = Runs(client, (tmp_path, "token"), print, lambda: None)
    runs.greet()
    other = RUN._replace(name="lr=0.5")
    runs.begin([RUN, other])
    busy, queued = runs.pending
    client.busy, client.workers = [busy.key], [ONE, TWO, THREE]
    runs._look_at_workers()
    assert client.cancelled == [queued]
    assert client.asked == [["10.0.0.2"], ["10.0.0.2", "10.0.0.3"]]
    assert [*runs.pending.values()] == [RUN, other]
    client.workers = [ONE, THREE]  # the one that does the first run goes
    runs._look_at_workers()
    assert client.cancelled == [queued, busy]
    assert client.asked[2:] == [["10.0.0.3"]]
    assert ([*runs.pending.values()], runs.waiting) == ([other, RUN], [])


def test_versions_that_differ_are_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client([reply(TWO, DONE, numpy="1.0")])
    client.versions[TWO] = {**versions(), "numpy": "1.0"}
    _, said = ended(client, tmp_path, monkeypatch)
    mine = versions()["numpy"]
    assert said == [f"{TWO} has other versions: numpy 1.0 (here {mine}); figures may differ"]


def test_a_run_that_got_on_before_its_workers_died_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = distributed.KilledWorker("work", type("Worker", (), {"address": ONE}), 3)
    shares = iter([0.0, 0.2, 0.2])  # how far it is at each time
    monkeypatch.setattr(running, "progress", lambda folder: next(shares))
    (failed,), _ = ended(Client([killed] * 3), tmp_path, monkeypatch)
    assert failed.message.startswith("workers died while they had it, again and again")
    shares = iter([0.0, 0.2])
    assert ended(Client([killed, killed, reply(ONE, DONE)]), tmp_path, monkeypatch)[0] == [DONE]


def test_workers_that_go_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client, said = Client([]), list[str]()
    runs = Runs(client, (tmp_path, "token"), said.append, lambda: None)
    runs.pending = {Future(None): RUN}
    for there in ([ONE, TWO], [TWO], [TWO], []):
        client.workers = there
        runs._look_at_workers()
    assert said == [
        f"{ONE} is gone; its run goes on elsewhere",
        f"{TWO} is gone; its run goes on elsewhere",
        "there are no workers; waiting for one",
    ]


def test_a_scheduler_that_is_gone_is_an_error_that_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled(*_: Any) -> None:
        raise distributed.CancelledError

    monkeypatch.setattr(distributed, "wait", cancelled)
    runs = Runs(Client([None]), (tmp_path, "token"), print, lambda: None)
    runs.begin([RUN])
    with pytest.raises(ConnectionError, match="with another one the same command goes on"):
        next(runs.ended())
