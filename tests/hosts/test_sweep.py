"""A sweep on Dask workers of several hosts, one of which is cut off in the middle."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import minicnn.train
from minicnn import kernels

from .network import Host, Network, wait_until
from .trainings import epochs_of, write_pictures

if importlib.util.find_spec("distributed") is None:
    pytest.skip("needs Dask, from the extra 'dask'", allow_module_level=True)

PORT, EPOCHS = 8786, 15
SETTINGS = {
    "MINICNN_KERNELS": "reference",  # nothing to compile: no worker is silent for long
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "3s",  # silence after which one counts as lost
    "MPLBACKEND": "agg",
}
OPTIONS = [
    *("--model", "mlp", "--epochs", f"{EPOCHS}", "--batch-size", "32"),
    *("--no-compile", "--threads", "1"),
]


class Sweep:
    """Two runs: the command and the scheduler in host a, a worker each in b and c."""

    def __init__(self, network: Network, place: Path) -> None:
        self.a, self.b = network["a"], network["b"]
        self.place, self.out = place, place / "sweep.out"
        self.folder, self.data = place / "runs", write_pictures(place / "data")
        self.environment = {**os.environ, **SETTINGS, "DASK_TEMPORARY_DIRECTORY": str(place)}
        address = f"tcp://{self.a.address}:{PORT}"
        self.start(self.a, "distributed.cli.dask_scheduler", "--host", self.a.address)
        # a worker with a nanny comes back when it was silent for a moment; one that is cut off
        # counts as lost half a minute later, for the scheduler asks its nanny first
        self.start_worker(self.b, address, "--no-nanny")
        self.start_worker(network["c"], address, "--nanny")
        for name in "bc":  # so that each gets one of the runs
            self.wait_for("Registered to", place / f"{name}.out")
        self.process = self.a.start(
            *(sys.executable, "-m", "minicnn.sweep", "--grid", "lr=0.1,0.2", *OPTIONS),
            *("--scheduler", address, "--data-dir", str(self.data), "--out", str(self.folder)),
            out=self.out,
            env=self.environment,
        )

    def start(self, host: Host, *module: str) -> None:
        """Start one of Dask's programs."""
        host.start(
            *(sys.executable, "-m", *module, "--no-dashboard"),
            out=self.place / f"{host.name}.out",
            env=self.environment,
        )

    def start_worker(self, host: Host, scheduler: str, nanny: str) -> None:
        """Start a worker that does one run at a time."""
        where = [scheduler, "--host", host.address, "--name", host.name]
        self.start(host, "distributed.cli.dask_worker", *where, "--nthreads", "1", nanny)

    def run_of(self, host: Host) -> Path | None:
        """The folder of the run that a host's worker is doing: it has it open, and locked."""
        return next((path for path in host.opened() if path.parent == self.folder), None)

    def wait_for(self, pattern: str, out: Path | None = None) -> None:
        """Wait until this has been printed, by the command if no other file is given."""
        file = out or self.out
        wait_until(lambda: re.search(pattern, file.read_text()), 60, file)

    def is_on_the_way(self, host: Host) -> bool:
        """Whether a host's worker is in the middle of a run."""
        run = self.run_of(host)
        return run is not None and 2 <= len(epochs_of(run)) < EPOCHS


@pytest.fixture
def reference_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Here, too, as in the hosts."""
    monkeypatch.setenv("MINICNN_KERNELS", "reference")
    kernels.host_kernels.cache_clear()
    yield
    kernels.host_kernels.cache_clear()


def undisturbed(run: Path, data: Path, place: Path) -> bytes:
    """The weights of a run with the same settings that nobody disturbs."""
    rate = run.name.partition("lr=")[2].partition(",")[0]
    options = [*OPTIONS, "--lr", rate, "--data-dir", str(data), "--out", str(place), "--quiet"]
    assert minicnn.train.main(options) == 0
    return (place / "model.safetensors").read_bytes()


def test_a_sweep_ends_well_though_a_worker_is_cut_off(
    network: Network, tmp_path: Path, reference_kernels: None
) -> None:
    """The worker lives on, slowly, and has its run's folder: nobody else may write there."""
    sweep = Sweep(network, tmp_path)
    b = sweep.b
    wait_until(lambda: sweep.is_on_the_way(b), 60, sweep.out)
    run = sweep.run_of(b)
    assert run is not None
    b.cut()
    b.signal(signal.SIGSTOP)
    sweep.wait_for(rf"tcp://{b.address}:\d+ is gone")
    done = epochs_of(run)
    assert len(done) < EPOCHS
    sweep.wait_for(r"\n1/2")
    time.sleep(2)
    assert epochs_of(run) == done, "c waits for the folder"
    assert sweep.process.poll() is None
    b.signal(signal.SIGCONT)
    assert sweep.process.wait(60) == 0, sweep.out.read_text()
    for folder in (run for run in sweep.folder.iterdir() if run.is_dir()):
        assert epochs_of(folder) == [*range(1, EPOCHS + 1)]
        assert not [*folder.glob(".*")], "nothing half-written"
    weights = (run / "model.safetensors").read_bytes()
    assert weights == undisturbed(run, sweep.data, tmp_path / "alone")
