"""Ranks as they are: processes that ``mpiexec`` starts. Few jobs, each of which checks much."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from minicnn import data

pytest.importorskip("mpi4py", reason="no mpi4py: the extra mpi")
MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
pytestmark = pytest.mark.skipif(MPIEXEC is None, reason="no mpiexec: the extra mpi")
LIMIT = 240  # seconds, for a machine that has much else to do
TRAIN = (*("-m", "minicnn.train"), *("--model", "mlp", "--hidden", "20", "--batch-size", "64"))
DISTRIBUTED = ("--distributed", "--threads", "1")

BEGIN = """
import os, signal, sys, time
import numpy as np
from minicnn.distributed import Ranks
with Ranks(timeout={timeout}) as ranks:
    numbers = np.ones(3, np.float32)
    ranks.sum(numbers, "a first sum")
    assert (numbers == ranks.size).all()
    if ranks.rank == 1:
        {in_rank_1}
    ranks.sum(numbers, "a second sum")
"""


def mpiexec(ranks: int, *arguments: str) -> subprocess.Popen[str]:
    """A job, begun."""
    assert MPIEXEC is not None
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [MPIEXEC, "-n", str(ranks), sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment,
    )


def ended(job: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Its status, stdout and stderr; a job that goes on too long is killed."""
    try:
        out, err = job.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        job.terminate()
        raise
    return job.returncode, out, err


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A few pictures of the sample, as a file: batches of 64 leave 3 for the last."""
    train, test = data.load("fashion-mnist-sample")
    path = tmp_path_factory.mktemp("few") / "few.npz"
    x, y = train.images[:195], train.labels[:195]
    np.savez(path, x_train=x, y_train=y, x_test=test.images[:50], y_test=test.labels[:50])
    return str(path)


def losses(folder: Path) -> list[float]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def command(pictures: str, out: Path, *more: str) -> Sequence[str]:
    return *TRAIN, "--data-dir", pictures, "--epochs", "2", "--out", str(out), *more


def test_the_command_on_two_ranks_and_then_on_three(pictures: str, tmp_path: Path) -> None:
    """One rank's losses; printed and written once; three ranks go on with what two have left."""
    one, two = tmp_path / "one", tmp_path / "two"
    alone = subprocess.run(
        [sys.executable, *command(pictures, one, "--threads", "1", "--dropout", "0.2")],
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert alone.returncode == 0, alone.stderr
    shared = command(pictures, two, "--dropout", "0.2", "--distributed", "--threads", "2")
    status, out, err = ended(mpiexec(2, *shared))
    assert status == 0, err
    assert out.count("written to") == out.count("test acc  seconds") == 1
    assert "2 threads, compiled, 2 ranks\n" in out
    np.testing.assert_allclose(losses(two), losses(one), rtol=1e-5)

    resume = "-m", "minicnn.train", "--resume", str(two), "--epochs", "3", "--distributed"
    status, out, err = ended(mpiexec(3, *resume, "--json"))
    assert status == 0, err
    assert [json.loads(line)["epoch"] for line in out.splitlines()] == [3]
    config = json.loads((two / "config.json").read_text())
    place = {"epoch": 2, "batch": 4}
    assert config["resumes"] == [{**place, "epochs": 3, "ranks": 3, "threads": 1}]
    assert config["ranks"] == 3
    assert not config["options"].keys() & {"ranks", "distributed", "rank_timeout"}


@pytest.mark.parametrize(
    ("in_rank_1", "timeout", "status", "told"),
    [
        ("raise RuntimeError('boom')", 300, 1, "RuntimeError: boom"),
        ("sys.exit(3)", 300, 3, "rank 1 of 2: exit status 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 300, 9, "Killed"),
        ("time.sleep(300)", 8, 1, "rank 0 of 2: waited 8 seconds for the other ranks, for a seco"),
    ],
    ids=["raises", "exits", "is killed", "hangs"],
)
def test_a_rank_that_fails_ends_the_job(
    in_rank_1: str, timeout: int, status: int, told: str
) -> None:
    began = time.monotonic()
    job = mpiexec(2, "-c", BEGIN.format(in_rank_1=in_rank_1, timeout=timeout))
    code, out, err = ended(job)
    assert told in out + err
    assert code == status
    assert time.monotonic() - began < 60


def test_a_first_rank_that_hangs_is_told_of(pictures: str, tmp_path: Path) -> None:
    """By another one, all else of which nobody hears."""
    own = "import os, sys, time; from minicnn.train import job, main\n"
    own += "if os.environ['PMI_RANK'] == '0': job.check_jobs_alike = lambda *_: time.sleep(300)\n"
    own += "sys.exit(main(sys.argv[1:]))"
    arguments = command(pictures, tmp_path / "new", *DISTRIBUTED, "--rank-timeout", "5")[2:]
    status, _, err = ended(mpiexec(2, "-c", own, *arguments))
    assert status == 1
    assert "rank 1 of 2: waited 5 seconds for the other ranks, for the comparison of data" in err


def test_ranks_that_disagree_are_refused_before_anything_is_written(
    pictures: str, tmp_path: Path
) -> None:
    """In one job: settings; one line, though both ranks know of it."""
    own = "import os, sys; from minicnn.train import main; rank = os.environ['PMI_RANK']\n"
    own += "sys.exit(main([*sys.argv[1:], '--lr', f'0.{1 + int(rank)}']))"
    arguments = command(pictures, tmp_path / "new", *DISTRIBUTED)[2:]
    status, out, err = ended(mpiexec(2, "-c", own, *arguments))
    assert status == 2
    told = "error: the ranks disagree: lr is 0.1 on rank 0, 0.2 on rank 1"
    assert (out + err).count("error:") == 1
    assert f"rank 0 of 2: python -m minicnn.train: {told}" in err
    assert not (tmp_path / "new").exists()


def test_a_ctrl_c_keeps_what_was_learnt(pictures: str, tmp_path: Path) -> None:
    out = tmp_path / "new"
    job = mpiexec(2, *command(pictures, out, "--epochs", "1000000", "--lr", "0", *DISTRIBUTED))
    began = time.monotonic()
    while not (out / "metrics.jsonl").exists() or not losses(out):
        assert time.monotonic() - began < LIMIT
        assert job.poll() is None
        time.sleep(0.1)
    job.send_signal(signal.SIGINT)
    status, _, err = ended(job)
    assert status == 130
    assert err.count("interrupted after") == 1
    assert (out / "curves.png").exists()


def test_an_option_that_ranks_cannot_share(pictures: str, tmp_path: Path) -> None:
    arguments = command(pictures, tmp_path / "new", "--batch-norm", *DISTRIBUTED)
    ran = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=LIMIT
    )
    assert ran.returncode == 2
    assert "error: --batch-norm: its mean is that of the whole batch" in ran.stderr
