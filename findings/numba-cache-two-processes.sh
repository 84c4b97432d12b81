#!/usr/bin/env bash
# Two processes that compile one @njit(cache=True) function at the same time, for other types.
#
# One would guess: what both have saved is there afterwards. At worst one of the two is lost, and is
#   compiled again.
# What is so: Numba reads the function's index, adds an entry and writes it back, without a lock. Who
#   finds no index calls its file of machine code number 1. So both processes write the same file, and
#   the index that stays is of whoever wrote it last. If that is not the one whose file stays, the entry
#   for one type leads to the machine code for the other. From then on every process that calls the
#   function with floats runs the code for whole numbers: 1.5 + 1.5 is 2, and the sum of two floats
#   in an array is that of their bits. There is no error and no warning; delete the cache to be rid of it.
# Why it matters to a CNN engine: several trainings that are started together on a new machine compile
#   the same kernels, float32 and float64. Give each a NUMBA_CACHE_DIR, or run one of them first.
set -euo pipefail
unset NUMBA_CACHE_DIR
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numba==0.68.1 numpy==2.4.6
cat > "$folder/kernels.py" <<'PROGRAM'
import numba


@numba.njit(cache=True)
def double(x):
    return x + x


@numba.njit(cache=True)
def total(x):
    sum = x[0]
    for k in range(1, x.size):
        sum += x[k]
    return sum
PROGRAM
cat > "$folder/both.py" <<'PROGRAM'
"""Two processes, each with a type of its own; the order in which they save is fixed."""

import multiprocessing
import sys

import numpy as np
from numba.core.caching import IndexDataCacheFile

# Both have read the index before either writes it: "0i" is process 0 writing the index, "0d" its data.
ORDERS = {"mixed up": "0i 1i 1d 0d", "lost": "0i 0d 1i 1d"}


def compile_for(number, name, x, order, both, done):
    """Call the function ``name`` with x. Numba's two steps of saving wait for their turn."""

    def in_turn(step, save):
        def saved(*arguments):
            if step == "i":
                both.wait(60)
            k = order.index(f"{number}{step}")
            assert k == 0 or done[k - 1].wait(60)
            save(*arguments)
            done[k].set()

        return saved

    for step, method in (("i", "_save_index"), ("d", "_save_data")):
        setattr(IndexDataCacheFile, method, in_turn(step, getattr(IndexDataCacheFile, method)))
    import kernels

    getattr(kernels, name)(x)


if __name__ == "__main__":
    name, order = sys.argv[1], ORDERS[sys.argv[2]].split()
    inputs = {"double": (1, 1.5), "total": (np.array([1, 2]), np.array([1.5, 2.5]))}[name]
    start = multiprocessing.get_context("spawn")
    both, done = start.Barrier(2), [start.Event() for _ in order]
    processes = [
        start.Process(target=compile_for, args=(number, name, x, order, both, done))
        for number, x in enumerate(inputs)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
PROGRAM
cat > "$folder/later.py" <<'PROGRAM'
"""Any later process."""

import sys

import kernels
import numpy as np

function = getattr(kernels, sys.argv[1])
x = {"double": 1.5, "total": np.array([1.5, 2.5])}[sys.argv[1]]
if sys.argv[2] == "lost":
    whole = {"double": 1, "total": np.array([1, 2])}[sys.argv[1]]
    function(whole)
y = function(x)
stats = function.stats
print(y, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
PROGRAM
cat > "$folder/compare.py" <<'PROGRAM'
import platform
import shutil
import subprocess
import sys

import numba
import numpy as np

folder = sys.argv[1]


def run(program, *arguments):
    command = [sys.executable, program, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


print(f"numba {numba.__version__}, Python {platform.python_version()}, {platform.machine()}")
print("two processes save double(1) and double(1.5), total of two integers and of two floats")
bits = np.array([1.5, 2.5]).view(np.int64).sum()
for how, name, expected in (
    ("lost", "double", ["3.0", "1", "1"]),
    ("mixed up", "double", ["2", "1", "0"]),
    ("mixed up", "total", [str(bits), "1", "0"]),
):
    shutil.rmtree(f"{folder}/__pycache__", ignore_errors=True)
    run("both.py", name, how)
    call = {"double": "double(1.5)", "total": "total([1.5, 2.5])"}[name]
    for _ in range(2 if how == "mixed up" else 1):  # every later process
        y, hits, misses = received = run("later.py", name, how).split()
        print(f"  {how:9} later {call} = {y}; {hits} from the cache, {misses} compiled again")
        assert received == expected, (received, expected)
PROGRAM
"$folder/venv/bin/python" "$folder/compare.py" "$folder"
