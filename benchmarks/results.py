"""Do the two LeNets reach the published figures? Writes docs/results.md.

    python -m benchmarks.results [--seeds 5]

Trains each preset on the whole of Fashion-MNIST once a seed, by ``python -m minicnn.train``, and
compares the medians with the published renders of the chapter.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import minicnn
from benchmarks.tables import versions
from minicnn import plots, train
from minicnn.train.run import read_jsonl

PAGE = Path(__file__).parent.parent / "docs" / "results.md"
KEYS = ("loss", "train_acc", "test_acc")
# Dive into Deep Learning's published renders: first edition (max pooling, 5 epochs) and second
# (average pooling, 10 epochs).
PUBLISHED = {
    "lenet": {"loss": (0.45, 0.49), "train_acc": (0.815, 0.832), "test_acc": (0.77, 0.83)},
    "lenet-max": {"loss": (0.63, 0.68), "train_acc": (0.73, 0.75), "test_acc": (0.74, 0.775)},
}

HEAD = """\
# Results: the two LeNets on Fashion-MNIST

Made by `python -m benchmarks.results` on {date}: minicnn {minicnn}, {versions}, compiled, {threads}
threads. Sigmoid, Xavier-uniform weights, zero biases, plain SGD, learning rate 0.9, batches of 256,
pixels in [0, 1]. A run is
`python -m minicnn.train --dataset fashion-mnist --device cpu --model NAME --seed N`.

Loss and train accuracy are means over the last epoch while it was trained; test accuracy is
measured after it. A single seed's test accuracy swings by 0.03, so medians are compared. The
published range is that of the LeNet chapter's renders in *Dive into Deep Learning* (first edition:
max pooling, no padding, 5 epochs; second edition: average pooling, padding 2, 10 epochs).

60,000 images make 234 batches of 256 and one of 96. The first edition divided the gradient of that
last batch by 256 too; this makes the last step before the test accuracy is measured a small one.
Later editions divide by 96. `lenet-max` follows the first edition, `lenet` the second
(`--divide-by`). It matters: see the last section.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    head = HEAD.format(
        date=time.strftime("%Y-%m-%d"),
        minicnn=minicnn.__version__,
        versions=versions(),
        threads=minicnn.get_num_threads(),
    )
    sections = [
        section("lenet", options.seeds),
        section("lenet-max", options.seeds),
        section("lenet-max", options.seeds, "--divide-by", "images"),
    ]
    PAGE.write_text("\n".join([head, *sections]))


def section(model: str, seeds: int, *extra: str) -> str:
    """Train ``model`` with each seed; the table, and the picture of the first seed's run."""
    title = " ".join([model, *extra])
    picture = "-".join([model, *extra]).replace("---", "-")
    results = []
    for seed in range(seeds):
        with TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            options = ["--dataset", "fashion-mnist", "--device", "cpu", "--out", str(out)]
            status = train.main(["--model", model, "--seed", str(seed), *options, *extra])
            if status:
                raise SystemExit(f"{model}, seed {seed}: training ended with status {status}")
            metrics = read_jsonl(out / "metrics.jsonl")
            results.append(metrics[-1])
            if seed == 0:
                figure = plots.curves(read_jsonl(out / "curve.jsonl"), f"{title}, seed 0")
                (PAGE.parent / "pictures" / f"{picture}-curves.png").write_bytes(plots.png(figure))
    image = f"![Loss and accuracies against the epoch](pictures/{picture}-curves.png)"
    return f"{table(model, title, results)}\n{image}\n"


def table(model: str, title: str, results: list[dict[str, Any]]) -> str:
    published = PUBLISHED[model]
    lines = [
        f"## {title}, {results[0]['epoch']} epochs",
        "",
        "| seed | loss | train acc | test acc |",
        "|---|---|---|---|",
    ]
    lines += [f"| {i} | {cells(row)} |" for i, row in enumerate(results)]
    medians = {key: statistics.median(row[key] for row in results) for key in KEYS}
    lines.append(f"| **median** | {cells(medians)} |")
    ranges = " | ".join(f"{low:.3f} to {high:.3f}" for low, high in published.values())
    lines.append(f"| published | {ranges} |")
    inside = all(low <= medians[key] <= high for key, (low, high) in published.items())
    verdict = "All three medians lie in" if inside else "Not all medians lie in"
    lines += ["", f"{verdict} the published range.", ""]
    return "\n".join(lines)


def cells(row: dict[str, Any]) -> str:
    return " | ".join(f"{row[key]:.3f}" for key in KEYS)


if __name__ == "__main__":
    main()
