#!/usr/bin/env bash
# Dask: a worker falls silent, and its nanny with it, as when their host is cut off or hangs. How
# long does its task wait? distributed.scheduler.worker-ttl is 5 seconds.
#
# One would guess: some 5 seconds, at most twice that; then the task begins again on the other
#   worker. A nanny, which every `dask worker` has unless told otherwise, makes nothing worse.
# What is so: without a nanny it is so. With one the scheduler first asks the nanny to start the
#   worker again, and waits 30 seconds for an answer, a number that no setting changes; the task
#   stays with the silent worker until then, and the scheduler's log gets a traceback.
# Why it matters to a CNN engine: a sweep's training begins again half a minute later than worker-ttl
#   says, however short that is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q distributed==2026.8.0
cat > "$folder/program.py" <<'PROGRAM'
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import distributed
from distributed import Client, get_worker

folder = Path(sys.argv[1])
settings = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s"}
print(f"distributed {distributed.__version__}, Python {platform.python_version()}")


def start(kind, *words):
    """A scheduler or worker in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", *words],
        env=os.environ | settings,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def task():
    time.sleep(2)
    return get_worker().name


def seconds_until_elsewhere(nanny):
    """From the moment a worker falls silent until its task has been done by the other one."""
    file = folder / f"address{nanny}"
    started = [start("scheduler", "--port", "0", "--scheduler-file", str(file))]
    try:
        for name in ("silent", "other"):
            words = ("--scheduler-file", str(file), "--nthreads", "1", "--name", name, nanny)
            started.append(start("worker", *words))
        while not file.exists():
            time.sleep(0.1)
        with Client(scheduler_file=str(file)) as client:
            client.wait_for_workers(2)
            future = client.submit(task, workers="silent", allow_other_workers=True)
            time.sleep(1)
            os.killpg(started[1].pid, signal.SIGSTOP)
            began = time.monotonic()
            assert future.result(timeout=120) == "other"
            return time.monotonic() - began
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    found = {nanny: seconds_until_elsewhere(nanny) for nanny in ("--no-nanny", "--nanny")}
    for nanny, seconds in found.items():
        print(f"dask worker {nanny}: the task of 2 s was done elsewhere after {seconds:.0f} s")
    assert found["--no-nanny"] < 20
    assert found["--nanny"] > 30
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" "$folder"
