"""A training that two hosts share through MPI, one of which is cut off in the middle."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

import minicnn
from minicnn.train import state

from .network import Network, wait_until
from .trainings import COUNTS, epochs_of, write_pictures

pytest.importorskip("mpi4py", reason="no mpi4py: the extra mpi")
MPIEXEC = shutil.which("mpiexec", path=Path(sys.executable).parent)
pytestmark = pytest.mark.skipif(MPIEXEC is None, reason="no mpiexec: the extra mpi")

# MPICH's mpiexec calls this as it would call ssh: with -x, the host's name and a command line.
LAUNCHER = """#!/bin/sh
host=$2
shift 2
exec ip netns exec {tag}-$host unshare --uts sh -c "hostname $host && exec $*"
"""
TIMEOUT, EPOCHS, BATCH = 8, 10_000, 32
OPTIONS = [
    *("--model", "mlp", "--epochs", f"{EPOCHS}", "--batch-size", f"{BATCH}", "--threads", "1"),
    *("--no-compile", "--distributed", "--rank-timeout", f"{TIMEOUT}"),
]
SETTINGS = {
    "MINICNN_KERNELS": "reference",
    # UCX, by which MPICH's ranks talk, sees that these hosts share a memory, and would use it
    "UCX_TLS": "tcp",
}


def mpiexec(network: Network, place: Path) -> list[str]:
    """The words that start a rank in host a and one in host b."""
    launcher = place / "launcher"
    launcher.write_text(LAUNCHER.format(tag=network.tag))
    launcher.chmod(0o755)
    hydra = ["-launcher", "ssh", "-launcher-exec", str(launcher), "-iface", "eth0"]
    return [str(MPIEXEC), *hydra, "-hosts", "a,b", "-n", "2"]


def test_a_training_ends_when_one_of_its_hosts_is_cut_off(network: Network, tmp_path: Path) -> None:
    a, b = network["a"], network["b"]
    run, out = tmp_path / "run", tmp_path / "out"
    before = b.received()
    job = a.start(
        *mpiexec(network, tmp_path),
        *(sys.executable, "-m", "minicnn.train", *OPTIONS),
        *("--data-dir", str(write_pictures(tmp_path / "data")), "--out", str(run)),
        out=out,
        env={**os.environ, **SETTINGS},
    )
    wait_until(lambda: len(epochs_of(run)) >= 2 or job.poll() is not None, 60, out)
    assert job.poll() is None, out.read_text()
    steps = 2 * -(-COUNTS["train"] // BATCH)
    parameters = sum(value.size for value in minicnn.load(run / "model.safetensors").values())
    assert b.received() - before > 4 * steps * parameters, "the sums went through the cable"
    b.cut()
    began = time.monotonic()
    assert job.wait(TIMEOUT + 30) == 1
    assert time.monotonic() - began > TIMEOUT - 1
    said = out.read_text()
    assert f"rank 0 of 2: waited {TIMEOUT} seconds for the other ranks" in said
    assert "Traceback" not in said
    wait_until(lambda: not b.processes(), 30, out)

    done = epochs_of(run)
    assert done == [*range(1, len(done) + 1)]
    assert not [*run.glob(".*")], "nothing half-written"
    _, config = minicnn.load_run(run)
    assert config["epochs"] == EPOCHS
    assert state.load(run / "state.safetensors").epochs_done == len(done)
