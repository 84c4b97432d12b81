"""``Ranks``, without MPI: sums, comparisons, what ends a job."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import distributed
from minicnn.distributed import Ranks
from minicnn.train.together import _check, _has_threads, heard_if

from .threads import Aborted, Comm, Meeting, on_ranks


def test_sums_are_those_of_all_ranks() -> None:
    def work(ranks: Ranks) -> list[float]:
        numbers = np.array([1.0, ranks.rank])
        ranks.sum(numbers, "a sum")
        return numbers.tolist()

    assert on_ranks(3, work) == [[3, 3]] * 3


@pytest.mark.parametrize("count", [0, 1, 5, 6, 256])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_shares_are_all_rows_in_order(count: int, size: int) -> None:
    shares = on_ranks(size, lambda ranks: ranks.share(count))
    assert [row for share in shares for row in range(*share)] == list(range(count))
    assert max(b - a for a, b in shares) - min(b - a for a, b in shares) <= 1


def test_ranks_that_differ_are_told_what_and_who() -> None:
    def work(ranks: Ranks) -> str:
        facts = {"numpy": "2.4" if ranks.rank else "2.3", "epochs": 3, "lr": 0.1 * ranks.rank}
        with pytest.raises(ValueError, match="disagree") as error:
            ranks.check_alike(facts, "the comparison")
        return str(error.value)

    wanted = (
        'the ranks disagree: numpy is "2.3" on rank 0, "2.4" on ranks 1, 2; '
        "lr is 0.0 on rank 0, 0.1 on rank 1, 0.2 on rank 2"
    )
    assert on_ranks(3, work) == [wanted] * 3


def test_each_rank_of_a_machine_gets_its_part_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    minicnn.set_num_threads(8)
    assert on_ranks(3, Ranks.threads) == [2] * 3
    minicnn.set_num_threads(1)
    assert on_ranks(2, Ranks.threads) == [1] * 2


def test_a_rank_that_does_not_come_ends_the_job(capsys: pytest.CaptureFixture) -> None:
    ranks = Ranks(0.05, Comm(Meeting(2), 0))
    ranks.place = "(epoch 2, batch 7)"
    with pytest.raises(Aborted, match="1"):
        ranks.sum(np.zeros(1), "the sum of the gradients")
    assert capsys.readouterr().err == (
        "rank 0 of 2: waited 0.05 seconds for the other ranks, for the sum of the gradients "
        "(epoch 2, batch 7): one of them hangs, or they need more time\n"
    )


def test_a_rank_that_leaves_in_the_middle_of_a_gathering_ends_the_job() -> None:
    meeting = Meeting(2)
    Comm(meeting, 1).Iallreduce(None, np.array([0, 5]))  # how many bytes it has, and no bytes
    with pytest.raises(Aborted):
        Ranks(0.05, Comm(meeting, 0)).gather("a thing", "a comparison")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (RuntimeError("boom"), 1, "RuntimeError: boom"),
        (KeyboardInterrupt(), 130, ""),
        (SystemExit(3), 3, "rank 0 of 2: exit status 3\n"),
        (SystemExit("no pictures"), 1, "rank 0 of 2: no pictures\n"),
    ],
)
def test_an_exception_ends_the_job(
    error: BaseException, status: int, said: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(Aborted, match=f"^{status}$"), Ranks(1, Comm(Meeting(2), 0)):
        raise error
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("error", [None, SystemExit(), SystemExit(0)])
def test_the_end_is_waited_for(error: SystemExit | None) -> None:
    ranks = Ranks(0.05, Comm(Meeting(2), 0))
    with pytest.raises(Aborted, match="1"):
        ranks.__exit__(None if error is None else SystemExit, error, None)


def test_the_last_words_are_heard_where_nothing_else_is(capsys: pytest.CaptureFixture) -> None:
    ranks = Ranks(1, Comm(Meeting(2), 0))
    with pytest.raises(Aborted), heard_if(False):
        ranks.end("waited")
    assert capsys.readouterr().err == "rank 0 of 2: waited\n"


def test_after_a_ctrl_c_the_first_rank_has_the_time_to_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept = list[float]()
    monkeypatch.setattr("time.sleep", slept.append)
    for rank in (0, 1):
        with pytest.raises(Aborted, match="130"):
            Ranks(70, Comm(Meeting(2), rank)).end_interrupted()
    assert [seconds for seconds in slept if seconds > distributed.PAUSE] == [70]


@pytest.mark.parametrize(
    ("threads", "ranks_before", "resumes", "wanted"),
    [(None, 2, False, False), (3, 2, False, True), (3, 2, True, True), (3, 4, True, False)],
    ids=["none", "typed", "of as many ranks", "of another number of ranks"],
)
def test_a_run_s_threads_stay_with_its_number_of_ranks(
    threads: int | None, ranks_before: int, resumes: bool, wanted: bool, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"model": "lenet", "model_args": {}, "ranks": ranks_before})
    )
    options = argparse.Namespace(threads=threads, resume=tmp_path if resumes else None)
    assert _has_threads(options, Ranks(1, Comm(Meeting(2), 0))) is wanted


def test_untyped_threads_of_a_run_are_not_asked_for(tmp_path: Path) -> None:
    options = argparse.Namespace(threads=None, resume=tmp_path / "gone")
    assert _has_threads(options, Ranks(1, Comm(Meeting(2), 0))) is False


@pytest.mark.parametrize("device", ["gpu", "gpu:1"])
def test_ranks_train_on_cpus(device: str) -> None:
    with pytest.raises(ValueError, match=rf"^--device: {device}; with --distributed wanted cpu$"):
        _check(argparse.Namespace(device=device, batch_norm=False))


def test_a_ctrl_c_waits_a_moment_for_the_other_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "PATIENCE", 0.05)
    monkeypatch.setattr(distributed, "is_waiting", lambda: True)

    def answer() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(distributed, "answer_now", answer)
    with pytest.raises(KeyboardInterrupt):
        Ranks(10, Comm(Meeting(2), 0)).sum(np.zeros(1), "a sum")


@pytest.mark.parametrize(
    ("told", "is_refused"),
    [
        ({"OMPI_COMM_WORLD_SIZE": "4"}, True),
        ({"PMI_SIZE": "2"}, True),
        ({"SLURM_NTASKS": "2"}, True),
        ({"PMI_SIZE": "1"}, False),
        ({}, False),
    ],
)
def test_a_process_that_is_alone_by_mistake(
    told: dict[str, str], is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in distributed.SIZES:
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    distributed._check_not_alone(2, "MPICH")
    if is_refused:
        with pytest.raises(ValueError, match=f"{next(iter(told))} says .* wanted that of MPICH"):
            distributed._check_not_alone(1, "MPICH")
    else:
        distributed._check_not_alone(1, "MPICH")


def test_without_mpi4py_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    modules: Any = {"mpi4py": None}
    monkeypatch.setitem(__import__("sys").modules, *modules.popitem())
    with pytest.raises(ImportError, match="pip install mpi4py mpich"):
        Ranks()
