"""Has an epoch, or ``import minicnn``, become slower since another revision?

    python -m benchmarks.against REVISION [--rounds 15] [--threads 2] [--images 20480]

The revision is checked out into a temporary folder. It and this checkout take turns, each round in
a process of its own: an import, and then for each preset, compiled and eager, an epoch of training
on the first images of Fashion-MNIST, the second time it is trained. This checkout takes part twice:
how far its two sides differ is noise. Every side runs once before anything is counted, so that all
have their kernels on disk.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import common
from benchmarks.tables import Row

HERE = Path(__file__).parents[1]
PROGRAM = """
import json, sys, time
began = time.perf_counter()
import minicnn
seconds = {"import minicnn": time.perf_counter() - began}
from minicnn import data, models, optim

images, threads = map(int, sys.argv[1:])
minicnn.set_num_threads(threads)
train = data.load("fashion-mnist")[0][:images]
for model in ("lenet", "lenet-max"):
    for how in ("compiled", "eager"):
        minicnn.manual_seed(0)
        net = models.build(model)
        batches = data.DataLoader(train, 256, True, 0, raw=how == "compiled")
        history = minicnn.fit(
            net, batches, optimizer=optim.SGD(net.parameters(), 0.1), epochs=2, quiet=True,
            compile=how == "compiled",
        )
        seconds[f"{model}, {how}"] = history.epochs[-1]["seconds"]
print(json.dumps(seconds))
"""


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A folder with the revision's files; it is removed again."""
    with TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        git("worktree", "add", "--detach", str(tree), revision)
        try:
            yield tree
        finally:
            git("worktree", "remove", "--force", str(tree))


def git(*arguments: str) -> None:
    done = subprocess.run(["git", "-C", str(HERE), *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"git {' '.join(arguments)}: {common.last_line(done.stderr)}")


def measure(tree: Path, options: argparse.Namespace) -> dict[str, float]:
    """Seconds of one round of the checkout in ``tree``, by what was done."""
    command = [sys.executable, "-c", PROGRAM, str(options.images), str(options.threads)]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tree, env=environment)
    if done.returncode:
        sys.exit(f"{tree}: {common.last_line(done.stderr)}")
    return json.loads(done.stdout)


def rows(runs: common.Runs, reference: str) -> list[Row]:
    """A row for each side of each case; its ratio is the median of the rounds' ratios."""
    return [
        Row(
            "An import, an epoch of training",
            case,
            side,
            "ms",
            common.column(runs[side], case, 1000),
            {"by round": median_ratio(runs[side], runs[reference], case)},
        )
        for case in runs[reference][0]
        for side in runs
    ]


def median_ratio(
    rounds: list[dict[str, float]], others: list[dict[str, float]], case: str
) -> float:
    return statistics.median(
        one[case] / other[case] for one, other in zip(rounds, others, strict=True)
    )


def main() -> None:
    parser = common.parser("against")
    parser.set_defaults(rounds=15)
    parser.add_argument("revision")
    parser.add_argument("--images", type=int, default=20_480)
    options = parser.parse_args()
    report = common.start("against", f"against {options.revision}", options.revision, options)
    with checkout(options.revision) as tree:
        sides = {options.revision: tree, "this checkout": HERE, "this checkout again": HERE}
        for tree in sides.values():
            measure(tree, options)
        runs: common.Runs = {name: [] for name in sides}
        for _ in range(options.rounds):
            for name, tree in sides.items():
                runs[name].append(measure(tree, options))
    report.add(rows(runs, options.revision))
    common.finish(report, options)


if __name__ == "__main__":
    main()
