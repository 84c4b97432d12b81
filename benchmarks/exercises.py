"""The LeNet chapter's exercises, every answer a run: writes docs/exercises.md.

    python -m benchmarks.exercises [--seeds 3] [--jobs 2] [--mnist DIR]
    python -m benchmarks.exercises --from-json

Each row is ``python -m minicnn.train`` with the options that stand in it, once a seed, on the whole
of Fashion-MNIST; ``--mnist`` names the folder with MNIST's four files (without it that table is
left out). ``--jobs`` runs go on at the same time, on one thread each. Results are kept in
benchmarks/results/exercises/exercises.json as they come, and a run that is in there is not trained
again (if you change a preset, delete its runs there); ``--from-json`` trains nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import RESULTS
from benchmarks.results import PAGE
from benchmarks.tables import as_markdown, versions
from minicnn.files import write_whole
from minicnn.train.run import read_jsonl

FILE = RESULTS / "exercises" / "exercises.json"
RELU = "--pool max --activation relu"
MODERN = f"{RELU} --lr 0.1"
MOMENTUM = f"{RELU} --lr 0.03 --momentum 0.9"

EXERCISES: dict[str, list[str]] = {
    "Max for average pooling, ReLU for sigmoid": [
        "",
        "--pool max",
        "--activation relu --lr 0.1",
        "--activation tanh --lr 0.3",
        MODERN,
        "--model mlp",
    ],
    "The window": [
        f"{MODERN} --kernel-size 3",
        MODERN,
        f"{MODERN} --kernel-size 7 --padding 3",
    ],
    "Output channels": [
        f"{MODERN} --channels 3,8",
        MODERN,
        f"{MODERN} --channels 12,32",
    ],
    "How many convolutions": [
        f"{MODERN} --channels 16",
        MODERN,
        f"{MODERN} --kernel-size 3 --channels 6,16,32",
    ],
    "How many dense layers": [
        f"{MODERN} --hidden ''",
        f"{MODERN} --hidden 84",
        MODERN,
        f"{MODERN} --hidden 120,84,60",
        f"{MODERN} --hidden 512,256",
    ],
    "Learning rate": [
        "--lr 0.1",
        "--lr 0.3",
        "",
        "--lr 1.5",
        f"{RELU} --lr 0.01",
        f"{RELU} --lr 0.03",
        MODERN,
        f"{RELU} --lr 0.3",
    ],
    "Initial weights": [
        "",
        "--init xavier_normal",
        "--init kaiming_uniform",
        "--init normal",
        "--init default",
        MODERN,
        f"{MODERN} --init kaiming_uniform",
        f"{MODERN} --init normal",
        f"{MODERN} --init default",
    ],
    "Epochs": [
        "",
        "--epochs 20",
        f"{MODERN} --epochs 5",
        MODERN,
        f"{MODERN} --epochs 20",
    ],
    "What else helps": [
        MODERN,
        MOMENTUM,
        f"{MOMENTUM} --schedule cosine",
        f"{MOMENTUM} --schedule cosine --weight-decay 0.0005",
        f"{MOMENTUM} --schedule cosine --batch-norm",
        f"{MOMENTUM} --schedule cosine --dropout 0.3",
        "--model lenet-plus",
    ],
}
MNIST = "--dataset mnist"
ON_MNIST = [MNIST, f"{MODERN} {MNIST}", f"--model lenet-plus {MNIST}"]

HEAD = """\
# The chapter's exercises, measured

Made by `python -m benchmarks.exercises` on {date}: {versions}. Every row is a command,
`python -m minicnn.train --threads 1` followed by the options in the row and by `--seed 0`,
`--seed 1` and so on. The figures are medians over the seeds, and the lowest and the highest test
accuracy. Loss and train accuracy are means over the last epoch while it was trained; test
accuracy is measured after it. [lenet.md](lenet.md) says what the figures teach.
"""

Runs = dict[str, dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exercises")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--mnist", metavar="DIR", help="the folder with MNIST's files")
    parser.add_argument("--from-json", action="store_true", help="do not train")
    options = parser.parse_args()
    runs: Runs = json.loads(FILE.read_text()) if FILE.is_file() else {}
    if options.from_json and not runs:
        parser.error(f"there is no {FILE}: run without --from-json")
    if not options.from_json:
        rows = list(dict.fromkeys(row for table in EXERCISES.values() for row in table))
        rows += ON_MNIST if options.mnist else []
        train_all(rows, options, runs)
    write(runs)


def train_all(rows: list[str], options: argparse.Namespace, runs: Runs) -> None:
    """Train what is not in ``runs`` yet, and put it there."""
    names = [f"{row} --seed {seed}".strip() for seed in range(options.seeds) for row in rows]
    missing = [name for name in names if name not in runs]
    with ThreadPoolExecutor(options.jobs) as pool:
        jobs = {pool.submit(last_epoch, name, options.mnist): name for name in missing}
        try:
            for job in as_completed(jobs):
                runs[jobs[job]] = {**job.result(), "date": time.strftime("%Y-%m-%d")}
                print(f"{jobs[job]}: {job.result()['test_acc']:.3f}", flush=True)
                FILE.parent.mkdir(parents=True, exist_ok=True)
                write_whole(FILE, json.dumps(runs, indent=1) + "\n")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def last_epoch(arguments: str, mnist: str) -> dict[str, Any]:
    """What ``python -m minicnn.train`` with these arguments measured in its last epoch.

    Raises:
        CalledProcessError: it failed.
    """
    where = ["--data-dir", mnist] if MNIST in arguments else ["--dataset", "fashion-mnist"]
    with TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "minicnn.train", "--threads", "1", "--device", "cpu"]
        command += [*shlex.split(arguments), *where, "--out", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return read_jsonl(out / "metrics.jsonl")[-1]


def write(runs: Runs) -> None:
    """The page with a table for each exercise."""
    dates = sorted({run["date"] for run in runs.values()})
    head = HEAD.format(date=" and ".join(dict.fromkeys([dates[0], dates[-1]])), versions=versions())
    tables = {**EXERCISES, "On MNIST": ON_MNIST}
    sections = [section(title, rows, runs) for title, rows in tables.items()]
    write_whole(PAGE.parent / "exercises.md", "\n".join([head, *filter(None, sections)]))


def section(title: str, rows: list[str], runs: Runs) -> str:
    """A table with a row for each command that was run."""
    cells = [line for row in rows if (line := cells_of(row, runs))]
    if not cells:
        return ""
    head = ["command", "epochs", "seeds", "loss", "train acc", "test acc", "lowest", "highest"]
    return f"## {title}\n\n{as_markdown([head, *cells])}\n"


def cells_of(row: str, runs: Runs) -> list[str]:
    """Medians of a command over its seeds."""
    of_row = [run for name, run in runs.items() if name.rpartition("--seed")[0].strip() == row]
    if not of_row:
        return []
    accuracies = [run["test_acc"] for run in of_row]
    medians = [statistics.median(run[key] for run in of_row) for key in ("loss", "train_acc")]
    numbers = [*medians, statistics.median(accuracies), min(accuracies), max(accuracies)]
    command = f"`{row}`" if row else "(nothing: the chapter's net)"
    counts = [str(of_row[0]["epoch"]), str(len(of_row))]
    return [command, *counts, *(f"{number:.3f}" for number in numbers)]


if __name__ == "__main__":
    main()
