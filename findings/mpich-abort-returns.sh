#!/usr/bin/env bash
# mpi4py: COMM_WORLD.Abort() in one of two ranks, while the program that started them does not
# answer: it is stopped here, as it would be behind a cable that was cut.
#
# One would guess: Abort ends at least the process that calls it. mpi4py declares it NoReturn.
# What is so: MPICH's writes a message to the process that started the rank and returns. The program
#   goes on with the next line, for as long as that one does not come and kill it. With one rank
#   alone it does not return.
# Why it matters to a CNN engine: the watchdog of a data-parallel training ends it by Abort. On a
#   node that was cut off the rank goes on: it computes, keeps its core and GPU, and writes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q mpi4py==4.1.2 mpich==5.0.2
cat > "$folder/rank.py" <<'PROGRAM'
import os
import signal
import sys
import time
from pathlib import Path

from mpi4py import MPI

folder = Path(sys.argv[1])
if MPI.COMM_WORLD.rank == 1:
    time.sleep(5)
    os._exit(0)
(folder / "ids").write_text(f"{os.getpid()} {os.getppid()}")
os.kill(os.getppid(), signal.SIGSTOP)
MPI.COMM_WORLD.Abort(1)
began = time.monotonic()
while time.monotonic() < began + 4:
    (folder / "after").write_text(f"{time.monotonic() - began:.1f}")
    time.sleep(0.1)
os._exit(0)
PROGRAM
cat > "$folder/look.py" <<'PROGRAM'
import os
import platform
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

folder = Path(sys.argv[1])
mpiexec = Path(sys.executable).with_name("mpiexec")
print(f"mpi4py {version('mpi4py')}, mpich {version('mpich')}, Python {platform.python_version()}")


def seconds_after_abort(ranks):
    """How long rank 0 ran on; None if Abort did not return."""
    for file in folder.glob("[ai]*"):
        file.unlink()
    words = [mpiexec, "-n", str(ranks), sys.executable, folder / "rank.py", folder]
    job = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    time.sleep(10)
    _, parent = map(int, (folder / "ids").read_text().split())
    os.kill(parent, signal.SIGKILL)
    job.terminate()
    job.wait()
    after = folder / "after"
    return float(after.read_text()) if after.exists() else None


found = {ranks: seconds_after_abort(ranks) for ranks in (1, 2)}
for ranks, seconds in found.items():
    told = "did not return" if seconds is None else f"returned; {seconds} s later rank 0 still ran"
    print(f"{ranks} rank{'s' * (ranks > 1)}: Abort {told}")
assert found[1] is None
assert found[2] > 3
PROGRAM
"$folder/venv/bin/python" "$folder/look.py" "$folder"
