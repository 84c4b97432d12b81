"""The LeNet chapter's exercises, every answer a run: writes docs/exercises.md.

    python -m benchmarks.exercises [--seeds 3] [--only TITLE] [--mnist DIR]
    python -m benchmarks.exercises --from-json

Each row is ``python -m minicnn.train`` with the options that stand in it, once a seed, on the whole
of Fashion-MNIST; ``--mnist`` names the folder with MNIST's four files (without it that table is
left out). Results are kept in benchmarks/results/exercises/exercises.json as they come, and a run
that is in there is not trained again; ``--from-json`` trains nothing.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import time
from typing import Any

from benchmarks.common import RESULTS, as_markdown, versions
from benchmarks.results import PAGE, trained
from minicnn.files import write_whole

FILE = RESULTS / "exercises" / "exercises.json"
MODERN = "--pool max --activation relu --lr 0.1"
MOMENTUM = "--pool max --activation relu --lr 0.03 --momentum 0.9"

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
        f"{MODERN} --channels 32,64",
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
        f"{MODERN} --lr 0.01",
        f"{MODERN} --lr 0.03",
        MODERN,
        f"{MODERN} --lr 0.3",
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
        "--epochs 40",
        f"{MODERN} --epochs 5",
        MODERN,
        f"{MODERN} --epochs 20",
        f"{MODERN} --epochs 40",
    ],
    "What else helps": [
        MODERN,
        MOMENTUM,
        f"{MOMENTUM} --schedule cosine",
        f"{MOMENTUM} --schedule cosine --weight-decay 0.0005",
        f"{MOMENTUM} --schedule cosine --batch-norm",
        f"{MOMENTUM} --schedule cosine --dropout 0.3",
        f"{MOMENTUM} --schedule cosine --channels 32,64",
        f"{MOMENTUM} --schedule cosine --channels 32,64 --dropout 0.5",
        "--model lenet-plus",
    ],
}
MNIST = "MNIST"
ON_MNIST = ["", MODERN, "--model lenet-plus"]

HEAD = """\
# The chapter's exercises, measured

Made by `python -m benchmarks.exercises` on {date}: {versions}. Every row is a command,
`python -m minicnn.train` followed by what stands in the row, with `--seed 0` to `--seed {last}`;
medians over the seeds, and the lowest and the highest test accuracy. Loss and train accuracy are
means over the last epoch as it was trained, test accuracy is measured after it. Seconds are those
of training and evaluation, compiled, on this machine. [lenet.md](lenet.md) says what they teach.
"""

Runs = dict[str, dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exercises")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", metavar="TITLE", help="one table's runs")
    parser.add_argument("--mnist", metavar="DIR", help="the folder with MNIST's files")
    parser.add_argument("--from-json", action="store_true", help="do not train")
    options = parser.parse_args()
    runs: Runs = json.loads(FILE.read_text()) if FILE.is_file() else {}
    if not options.from_json:
        for title, rows in EXERCISES.items():
            if options.only in (None, title):
                train_all(rows, options.seeds, [], runs)
        if options.mnist and options.only in (None, MNIST):
            where = ["--dataset", "mnist", "--data-dir", options.mnist]
            train_all(ON_MNIST, options.seeds, where, runs, of_mnist)
    write(runs)


def of_mnist(row: str) -> str:
    return f"{row} --dataset mnist".strip()


def train_all(
    rows: list[str], seeds: int, where: list[str], runs: Runs, key: Any = lambda row: row
) -> None:
    """Train what is not in ``runs`` yet, and put it there."""
    for seed in range(seeds):
        for row in rows:
            name = f"{key(row)} --seed {seed}".strip()
            if name not in runs:
                print(f"== {name}", flush=True)
                epochs, _ = trained([*shlex.split(row), "--seed", str(seed), *where])
                seconds = sum(epoch["seconds"] + epoch["eval_seconds"] for epoch in epochs)
                runs[name] = {**epochs[-1], "seconds": seconds, "date": time.strftime("%Y-%m-%d")}
                FILE.parent.mkdir(parents=True, exist_ok=True)
                write_whole(FILE, json.dumps(runs, indent=1) + "\n")


def write(runs: Runs) -> None:
    """The page with a table for each exercise."""
    seeds = {int(name.rsplit(" ", 1)[1]) for name in runs}
    dates = sorted({run["date"] for run in runs.values()})
    head = HEAD.format(
        date=" and ".join(dict.fromkeys([dates[0], dates[-1]])),
        versions=versions(),
        last=max(seeds),
    )
    tables = {**EXERCISES, MNIST: [of_mnist(row) for row in ON_MNIST]}
    sections = [section(title, rows, runs) for title, rows in tables.items()]
    write_whole(PAGE.parent / "exercises.md", "\n".join([head, *filter(None, sections)]))


def section(title: str, rows: list[str], runs: Runs) -> str:
    """A table with a row for each command that was run."""
    cells = [line for row in rows if (line := cells_of(row, runs))]
    if not cells:
        return ""
    head = ["command", "epochs", "loss", "train acc", "test acc", "lowest", "highest", "seconds"]
    return f"## {title}\n\n{as_markdown([head, *cells])}\n"


def cells_of(row: str, runs: Runs) -> list[str]:
    """Medians of a command over its seeds."""
    prefix = f"{row} --seed ".lstrip()
    of_row = [run for name, run in runs.items() if name.rpartition(" ")[0] + " " == prefix]
    if not of_row:
        return []
    accuracies = [run["test_acc"] for run in of_row]
    medians = [statistics.median(run[key] for run in of_row) for key in ("loss", "train_acc")]
    numbers = [*medians, statistics.median(accuracies), min(accuracies), max(accuracies)]
    seconds = statistics.median(run["seconds"] for run in of_row)
    command = f"`{row}`" if row else "(nothing: the chapter's net)"
    return [
        command, str(of_row[0]["epoch"]), *(f"{number:.3f}" for number in numbers), f"{seconds:.0f}"
    ]  # fmt: skip


if __name__ == "__main__":
    main()
