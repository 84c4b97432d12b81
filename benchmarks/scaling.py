"""Does the time an image takes depend on how many there are, and on the batch?

    python -m benchmarks.scaling [--rounds 5] [--threads 2]

Microseconds that training lenet takes an image, everything included as in ``benchmarks.lenet``: on
the first 1,000 to 60,000 images of Fashion-MNIST in batches of 256, and on 20,000 images in batches
of 16 to 4,096. A pass is as many epochs as make at least 20,000 images; the first pass warms up,
the faster of the next two is reported.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from benchmarks import common, lenet
from benchmarks.common import Runs, Side
from benchmarks.tables import Report, Row, by_question

SIZES = [1_000, 5_000, 20_000, 60_000]
BATCHES = [16, 64, 256, 1_024, 4_096]
PASS = 20_000  # images


def measure(options: argparse.Namespace, compiled: bool) -> dict[str, float]:
    """Microseconds an image for every size and every batch."""
    import minicnn

    minicnn.set_num_threads(options.threads)
    sizes = {size_case(n): per_image(compiled, n, lenet.BATCH) for n in SIZES}
    batches = {batch_case(n): per_image(compiled, PASS, n) for n in BATCHES}
    return {**sizes, **batches}


def per_image(compiled: bool, images: int, batch: int) -> float:
    """Microseconds that training takes an image."""
    import minicnn
    from minicnn import data, models, nn, optim
    from minicnn.train.loop import EagerStep

    minicnn.manual_seed(0)
    net = models.build("lenet")
    make = minicnn.compile if compiled else EagerStep
    step = make(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=lenet.LR))
    train, _ = data.load("fashion-mnist")
    batches = data.DataLoader(train[:images], batch, shuffle=True, seed=0, raw=compiled)
    epochs = max(1, PASS // images)

    def train_pass() -> None:
        for _ in range(epochs):
            lenet.minicnn_epoch(step, batches)

    return 1e6 * min(lenet.timed(train_pass, 3)[1:]) / (epochs * images)


def size_case(images: int) -> str:
    return f"{images:,} images"


def batch_case(batch: int) -> str:
    return f"batch {batch:,}"


SIDES = {
    lenet.COMPILED: Side(partial(measure, compiled=True)),
    "minicnn eager": Side(partial(measure, compiled=False)),
}
QUESTIONS = {
    f"Training an image, batches of {lenet.BATCH}": [size_case(n) for n in SIZES],
    f"Training an image, {PASS:,} images": [batch_case(n) for n in BATCHES],
}


def rows(runs: Runs) -> list[Row]:
    return [
        Row(question, case, side, "µs", common.column(of_side, case))
        for question, cases in QUESTIONS.items()
        for case in cases
        for side, of_side in runs.items()
    ]


def draw(report: Report) -> Any:
    """Two panels: over the size of the data set, over the size of a batch."""
    from benchmarks import figures

    picture = figures.figure(figures.WIDTH, 3.9, "Training lenet: microseconds an image")
    panels = zip(picture.subplots(1, 2), by_question(report.rows).values(), strict=True)
    labels = [
        (SIZES, "images in the data set", f"batches of {lenet.BATCH}"),
        (BATCHES, "images in a batch", f"{PASS:,} images"),
    ]
    for (axes, of_question), (values, xlabel, title) in zip(panels, labels, strict=True):
        figures.lines(axes, of_question, values, xlabel, title, "µs an image")
    return picture


def main() -> None:
    options = common.parser("scaling").parse_args()
    if options.worker:
        return common.answer(SIDES, options)
    report = common.start("scaling", "scaling", lenet.COMPILED, options)
    report.add(rows(common.alternate("scaling", SIDES, report)))
    common.finish(report, options, draw)


if __name__ == "__main__":
    main()
