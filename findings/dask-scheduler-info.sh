#!/usr/bin/env bash
# Asking a Dask client, in a loop, which workers its cluster has.
#
# One would guess: all of them, each time. scheduler_info(n_workers=-1) is documented to fetch all.
# What is so: now and then there are none. The call stores its answer in an attribute of the client
#   and returns that attribute. Every two seconds the client asks for itself, on its own thread, for no
#   workers at all (n_workers=0), and stores that answer in the same place. If it comes in between, the
#   caller gets it: a cluster without workers, and no error.
# Why it matters to a CNN engine: a sweep that watches its workers takes all of them for dead while they
#   train. client.nthreads() asks the scheduler and returns its answer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q distributed==2026.8.0 dask==2026.8.0
cat > "$folder/program.py" <<'PROGRAM'
import logging
import time

import dask
import distributed
from distributed import Client, LocalCluster


def without_workers(ask, client, seconds):
    """(calls, calls that were answered with no worker)"""
    calls = empty = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        calls, empty = calls + 1, empty + (not ask(client))
    return calls, empty


ASKS = {
    "client.scheduler_info(-1)['workers']": lambda client: client.scheduler_info(-1)["workers"],
    "client.nthreads()": lambda client: client.nthreads(),
}

if __name__ == "__main__":
    print(f"distributed {distributed.__version__}; a cluster of two workers, which nothing happens to")
    with LocalCluster(2, processes=False, dashboard_address=":0", silence_logs=logging.ERROR) as cluster:
        for interval, seconds in (("2s", 60), ("5ms", 10)):  # the first one is the default
            with dask.config.set({"distributed.client.scheduler-info-interval": interval}):
                with Client(cluster) as client:
                    for name, ask in ASKS.items():
                        calls, empty = without_workers(ask, client, seconds)
                        print(f"the client looks every {interval:4}{name}: "
                              f"{empty} of {calls} answers without a worker")
                        assert (empty == 0) == ("nthreads" in name) or interval == "2s"
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
