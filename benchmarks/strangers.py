"""Which distance tells that a picture is unlike the training pictures? Writes into docs/predict.md.

    python -m benchmarks.strangers --run DIR [--data-dir DIR]

For a run on MNIST: pictures of other things, and digits that are spoilt, each compared with 10,000
training digits by three distances. The threshold is what 99 % of 1,000 test digits have at most.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.photos import write_table

MANY = 500  # pictures of each kind


def strangers(digits: NDArray[np.uint8], clothes: NDArray[np.uint8]) -> dict[str, Any]:
    """Kinds of pictures, uint8 (N, 28, 28); of 1,000 digits the second half is spoilt."""
    rng = np.random.default_rng(0)
    first, second = digits[:MANY], digits[MANY : 2 * MANY]
    small = np.pad(second[:, ::2, ::2], ((0, 0), (7, 7), (7, 7)))
    return {
        "MNIST's own test digits": digits,
        "clothes of Fashion-MNIST": clothes[:MANY],
        "noise": rng.integers(0, 256, (MANY, 28, 28), dtype=np.uint8),
        "digits, inverted": 255 - second,
        "digits, turned by 90 degrees": np.rot90(second, axes=(1, 2)),
        "digits of half the size": small,
        "all black": np.zeros((1, 28, 28), np.uint8),
        "two digits on top of each other": np.maximum(first, second),
    }


def nearest(pictures: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """The Euclidean distance of each row to the nearest of the other rows."""
    squares = (others**2).sum(axis=1)
    parts = [
        (part**2).sum(axis=1) + (squares[:, None] - 2 * others @ part.T).min(axis=0)
        for part in np.array_split(pictures, max(1, len(pictures) // 100))
    ]
    return np.sqrt(np.maximum(np.concatenate(parts), 0))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.strangers")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()

    from minicnn import data
    from minicnn.predict import Classifier

    classifier = Classifier.from_run(options.run, options.data_dir)
    assert classifier.neighbours is not None
    assert classifier.test is not None
    train, clothes = classifier.neighbours.train.images, data.load("fashion-mnist-sample")[1]
    kinds = strangers(classifier.test.images[: 2 * MANY], clothes.images)

    def pixels(images: NDArray[np.uint8]) -> NDArray[Any]:
        return images.reshape(len(images), -1).astype(np.float32) / 255

    def activations(images: NDArray[np.uint8]) -> NDArray[Any]:
        return classifier.features(np.ascontiguousarray(images[:, None]))

    def directions(images: NDArray[np.uint8]) -> NDArray[Any]:
        found = activations(images)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-30)

    columns = []
    for rows_of in (pixels, activations, directions):
        others = rows_of(train)
        found = [nearest(rows_of(images), others) for images in kinds.values()]
        threshold = np.quantile(found[0], 0.99)
        columns.append([float((distances > threshold).mean()) for distances in found])
    table = [
        "| pictures | pixels | activations, distance | activations, angle |",
        "|---|---|---|---|",
    ]
    for name, *shares in zip(kinds, *columns, strict=True):
        table.append(f"| {name} | {' | '.join(f'{share:.2f}' for share in shares)} |")
    write_table("strangers", table)
    print("\n".join(table))


if __name__ == "__main__":
    main()
