"""``--show``: a picture as it came, as the net saw it, and the training pictures nearest to it."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from numpy.typing import NDArray

from minicnn.plots import GRID, INK, as_written
from minicnn.predict.classifier import NEIGHBOURS, Classifier, Prediction
from minicnn.predict.reading import Picture, channels_last
from minicnn.visualize.draw.board import FAINT, RIGHT, WRONG, empty_axes, empty_figure, write
from minicnn.visualize.draw.mistakes import percent

MOST = 12  # pictures drawn
TOP, HIGH, TILE, SMALL = 1.25, 2.2, 1.4, 0.8  # inches: above the rows, a row, its pictures
CAME, SAW, SAYS, NEAR = 0.3, 2.5, 5.0, 6.6  # inches from the left edge: the four columns
LINE = 150  # characters of a line below a row


def draw(classifier: Classifier, pictures: Sequence[Picture], found: Sequence[Prediction]) -> Any:
    """A matplotlib figure with a row for each of the first 12 pictures."""
    found = found[:MOST]
    wide = NEAR + NEIGHBOURS * (SMALL + 0.1) + 0.2
    below = "orange: unlike the training pictures, or odd; the net looks at the second column alone"
    figure = empty_figure(wide, TOP + len(found) * HIGH, "What the net saw", below)
    heads = empty_axes(figure, 0, TOP - 0.25, wide, 0.2)
    heads.set(xlim=(0, wide), ylim=(0, 1), xticks=[], yticks=[])
    for left, head in (
        (CAME, "as it came"),
        (SAW, "what the net saw"),
        (SAYS - 0.55, "what it says"),
        (NEAR, "the training pictures nearest to it"),
    ):
        write(heads, left, 0.5, head, ha="left", color=FAINT)
    for row, (picture, prediction) in enumerate(zip(pictures, found, strict=False)):
        _draw_row(figure, TOP + row * HIGH, classifier, picture, prediction)
    return figure


def _draw_row(
    figure: Any, top: float, classifier: Classifier, picture: Picture, prediction: Prediction
) -> None:
    text = empty_axes(figure, CAME, top, figure.get_size_inches()[0] - 2 * CAME, HIGH)
    text.set(xlim=(0, 1), ylim=(HIGH, 0), xticks=[], yticks=[])
    write(text, 0, 0.12, _shortened(prediction.source), ha="left", weight="bold")
    notes = [(line, FAINT) for line in wrap("; ".join(prediction.facts), LINE)]
    notes += [(line, WRONG) for words in prediction.warnings for line in wrap(words, LINE)]
    for number, (line, colour) in enumerate(notes[:4]):
        write(text, 0, TILE + 0.42 + 0.16 * number, line, ha="left", color=colour, size=8)
    top += 0.26
    _draw_picture(figure, CAME, top, 1.9, TILE, picture.pixels)
    _draw_picture(figure, SAW, top, TILE, TILE, channels_last(prediction.picture) / 255)
    _draw_bars(empty_axes(figure, SAYS, top + 0.2, 0.8, 1.0), prediction)
    if classifier.neighbours is not None:
        train = classifier.neighbours.train
        for column, place in enumerate(prediction.nearest):
            left, near = NEAR + column * (SMALL + 0.1), channels_last(train.images[place]) / 255
            axes = _draw_picture(figure, left, top + 0.2, SMALL, SMALL, near)
            name = train.classes[train.labels[place]]
            axes.set_xlabel(as_written(name), fontsize=8, color=INK)


def _draw_picture(
    figure: Any, left: float, top: float, wide: float, high: float, pixels: NDArray[Any]
) -> Any:
    """A picture in [0, 1], (h, w) or (h, w, 3), as large as fits, at the left."""
    axes = empty_axes(figure, left, top, wide, high)
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
    axes.set(xticks=[], yticks=[], anchor="NW")
    axes.spines[:].set(visible=True, color=GRID)
    return axes


def _draw_bars(axes: Any, prediction: Prediction) -> None:
    """The three most probable classes."""
    top = prediction.top(3)
    colours = [WRONG if prediction.warnings else RIGHT, GRID, GRID]
    places = range(len(top))
    axes.barh(places, [p for _, p in top], 0.62, color=colours[: len(top)])
    axes.set(xlim=(0, 1), ylim=(2.5, -0.5), xticks=[], yticks=places)
    names = [as_written(_shortened(name, 12)) for name, _ in top]
    axes.set_yticklabels(names, fontsize=9)
    for row, (_, p) in enumerate(top):
        write(axes, p + 0.06, row, percent(p), ha="left", size=8)


def _shortened(name: str, most: int = 60) -> str:
    return name if len(name) <= most else "…" + name[1 - most :]
