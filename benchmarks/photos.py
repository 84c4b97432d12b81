"""Photos of handwriting, simulated from MNIST's test digits: what does preparing them bring?

    python -m benchmarks.photos --run DIR [--data-dir DIR] [--digits 1000]

Each digit is written on a sheet and photographed, as the rows of ``PHOTOS`` say. The run's net
(trained on MNIST) sees it stretched to 28 x 28, as ``--raw`` does, and as ``minicnn.predict``
prepares it. Writes the table of docs/predict.md.
"""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PAGE = Path(__file__).parent.parent / "docs" / "predict.md"
WIDTH, HEIGHT = 400, 300  # of a photo


class Photo(NamedTuple):
    """How a digit is written and photographed.

    Attributes:
        size: of the digit's longer side, from and to, in pixels; the photo has 400 x 300.
        ink: how much of the paper's light it takes.
        noise: the standard deviation that the camera adds to each pixel.
        shadow: how much darker the darkest corner is than the brightest.
        thin: written with a thin pen.
        light: white on black.
    """

    size: tuple[int, int] = (180, 220)
    ink: float = 0.85
    noise: float = 0.01
    shadow: float = 0.0
    thin: bool = False
    light: bool = False

    def taken(self, digit: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """The photo of a digit, uint8 (28, 28): uint8 (300, 400), at a random place."""
        written = _written(digit, int(rng.integers(*self.size, endpoint=True)), self.thin)
        h, w = written.shape
        top, left = rng.integers(6, HEIGHT - h - 5), rng.integers(6, WIDTH - w - 5)
        ink = np.zeros((HEIGHT, WIDTH), np.float32)
        ink[top : top + h, left : left + w] = written
        paper = rng.uniform(0.8, 0.95)
        seen = paper * (1 - self.ink * ink) * _light(rng, self.shadow)
        seen = (1 - seen if self.light else seen) + rng.normal(0, self.noise, ink.shape)
        return _through_jpeg((255 * seen.clip(0, 1)).round().astype(np.uint8))


PHOTOS = {
    "dark on white paper": Photo(),
    "white on a black board": Photo(light=True),
    "large, off the centre": Photo(size=(240, 280)),
    "small, anywhere": Photo(size=(40, 70)),
    "pale pencil": Photo(ink=0.25),
    "a camera's noise": Photo(noise=0.12),
    "a shadow over the page": Photo(shadow=0.7),
    "a thin pen": Photo(thin=True),
    "all of it": Photo((70, 200), 0.5, 0.06, 0.6, True),
}


def _written(digit: NDArray[np.uint8], longest: int, thin: bool) -> NDArray[np.float32]:
    """Ink from 0 to 1 with sharp edges, its longer side ``longest`` pixels."""
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    part = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if thin:
        part = np.pad(skeleton(_resized(part, 80) > 127).astype(np.uint8) * np.uint8(255), 1)
    return _sharp(_resized(part, longest), longest / max(part.shape))


def _resized(pixels: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    from PIL import Image

    h, w = (max(1, round(longest * n / max(pixels.shape))) for n in pixels.shape)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((w, h), Image.Resampling.BICUBIC))


def _sharp(soft: NDArray[np.uint8], scale: float) -> NDArray[np.float32]:
    return ((soft / np.float32(255) - 0.5) * max(1, scale / 2) + 0.5).clip(0, 1)


def skeleton(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Strokes thinned to one pixel: T. Y. Zhang, C. Y. Suen, 1984."""
    while True:
        before = mask.sum()
        for one, other in (((0, 2, 4), (2, 4, 6)), ((0, 2, 6), (0, 4, 6))):
            framed = np.pad(mask, 1)
            at = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))  # from the north
            h, w = mask.shape
            near = np.stack([framed[y : y + h, x : x + w] for y, x in at])
            count, turns = near.sum(axis=0), (~near & np.roll(near, -1, axis=0)).sum(axis=0)
            ends = near[list(one)].all(axis=0) | near[list(other)].all(axis=0)
            mask = mask & ~((count >= 2) & (count <= 6) & (turns == 1) & ~ends)
        if mask.sum() == before:
            return mask


def _light(rng: np.random.Generator, shadow: float) -> NDArray[np.float32]:
    """The light on the page: from 1 down to 1 - shadow, in a smooth slope of any direction."""
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    slope = 1 / (1 + np.exp(-2.5 * along))
    slope = (slope - slope.min()) / (slope.max() - slope.min())
    return (1 - shadow * slope).astype(np.float32)


def _through_jpeg(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return np.asarray(Image.open(buffer))


def accuracies(
    classifier: Any, pictures: list[Any], labels: NDArray[np.int64]
) -> tuple[float, float]:
    """Of the pictures stretched, and prepared."""
    raw, prepared = (
        [prediction.label for prediction in classifier.predict(pictures, raw=raw)]
        for raw in (True, False)
    )
    return float((raw == labels).mean()), float((prepared == labels).mean())


def rows_of(classifier: Any, digits: Any) -> list[tuple[str, float, float]]:
    """Each row's name and both accuracies."""
    stored = list(digits.images)
    rows = [
        ("as stored, 28 x 28", *accuracies(classifier, stored, digits.labels)),
        ("stored, inverted", *accuracies(classifier, [255 - x for x in stored], digits.labels)),
    ]
    for name, photo in PHOTOS.items():
        rng = np.random.default_rng(0)
        taken = [photo.taken(digit, rng) for digit in stored]
        rows.append((name, *accuracies(classifier, taken, digits.labels)))
        print("{}: {:.3f} {:.3f}".format(*rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photos")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--digits", type=int, default=1000)
    options = parser.parse_args()

    from minicnn import data
    from minicnn.predict import Classifier

    classifier = Classifier.from_run(options.run, options.data_dir)
    digits = data.load("mnist", options.data_dir)[1][: options.digits]
    rows = rows_of(classifier, digits)
    table = ["| | stretched (`--raw`) | prepared |", "|---|---|---|"]
    table += [f"| {name} | {raw:.3f} | {prepared:.3f} |" for name, raw, prepared in rows]
    write_table("photos", table)


def write_table(name: str, lines: Sequence[str]) -> None:
    """Write a table into docs/predict.md, between the marks of this name."""
    inside = re.compile(f"(?<=<!-- {name} -->\n).*?(?=<!-- end of {name} -->)", re.DOTALL)
    text = inside.sub("\n".join([*lines, ""]), PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
