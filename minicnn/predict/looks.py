"""What the pictures of a data set look like, measured: that is what a picture is prepared for."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minicnn.data.dataset import in_channels

Floats = NDArray[np.float32]

ENOUGH = 2000  # pictures to measure
FAINT = 0.1  # what differs less from the background is the background
PLAIN = 0.8  # the share of a border's pixels that are background, where there is one at all
NONE = 0.0, 0.0, 0.0
FULL = 0.9  # ink that is so strong everywhere has one strength


class Looks(NamedTuple):
    """What the training pictures have in common.

    Attributes:
        shape: of a picture, (C, H, W).
        background: the median brightness of the border's pixels, each channel's; 0 black, 1 white.
        plain: whether the border is background almost everywhere, in grey pictures.
        extent: the longer side of the box around what is no background, in pixels: the 1 %
            quantile, the median and the 99 % quantile.
        centre: what lies at one place: ``"mass"``, the centre of mass (as MNIST has it), ``"box"``,
            the middle of the box (Fashion-MNIST), or ``""``: neither.
        place: (y, x) of that centre, in pixels from the upper left corner.
        away: the 99 % quantile of its distance from ``place``, the larger of y's and x's.
        strokes: the width of a stroke, in pixels: the 5 % quantile, the median and the 95 %
            quantile, where there is ink of one strength; otherwise zeros.
    """

    shape: tuple[int, int, int]
    background: tuple[float, ...]
    plain: bool
    extent: tuple[float, float, float]
    centre: str
    place: tuple[float, float]
    away: float
    strokes: tuple[float, float, float]

    @property
    def normalised(self) -> bool:
        """Whether all pictures were cut out, scaled and moved in one way, as MNIST's were."""
        return bool(self.centre)

    @property
    def light(self) -> bool:
        """Whether things are lighter than their background."""
        return sum(self.background) < 0.5 * len(self.background)


def unknown(shape: tuple[int, int, int], background: tuple[float, ...] = ()) -> Looks:
    """Of pictures that have nothing in common but their shape, and maybe their background."""
    background = background or (0.0,) * shape[0]
    return Looks(shape, background, False, NONE, "", (0, 0), 0, NONE)


def measure(images: NDArray[np.uint8]) -> Looks:
    """Measure pictures (N, H, W) or (N, C, H, W); of many, some 2,000 of all parts."""
    images = in_channels(images)
    x = images[:: max(1, len(images) // ENOUGH)].astype(np.float32) / 255
    border = np.concatenate([x[..., 0], x[..., -1], x[:, :, 0], x[:, :, -1]], axis=-1)
    background = np.median(border, axis=(0, 2))
    shape = x.shape[1], x.shape[2], x.shape[3]
    plain = shape[0] == 1 and (abs(border - background[:, None]) < FAINT).mean() > PLAIN
    levels = tuple(round(float(level), 4) for level in background)
    nothing = unknown(shape, levels)._replace(plain=bool(plain))
    ink = abs(x[:, 0] - background[0])
    ink = ink[(ink > FAINT).any(axis=(1, 2))]  # without empty pictures
    return _with_places(nothing, ink) if plain and len(ink) else nothing


def _with_places(looks: Looks, ink: Floats) -> Looks:
    """Where the ink (N, H, W) lies, and how it is written."""
    boxes = np.array([box_of(one > FAINT) for one in ink], np.float32)
    top, left, bottom, right = boxes.T
    extent = _quantiles(np.maximum(bottom - top, right - left), 0.01)
    middles = {
        "mass": np.array([centre_of_mass(one) for one in ink]),
        "box": np.stack([(top + bottom) / 2, (left + right) / 2], axis=1),
    }
    spread = {name: float(middle.std(axis=0).max()) for name, middle in middles.items()}
    centre = min(spread, key=lambda name: spread[name])
    side = max(looks.shape[1:])
    # one size (no box is much smaller than the others) and one place: they were put there
    if extent[2] - extent[0] > side / 5 or spread[centre] > side / 20:
        return looks
    y, x = np.median(middles[centre], axis=0)
    away = np.quantile(abs(middles[centre] - (y, x)).max(axis=1), 0.99)
    strength = np.quantile([np.quantile(one[one > FAINT], 0.9) for one in ink], 0.05)
    return looks._replace(
        extent=extent,
        centre=centre,
        place=(float(y), float(x)),
        away=float(away),
        strokes=_quantiles([stroke_width(one) for one in ink], 0.05) if strength > FULL else NONE,
    )


def _quantiles(values: Any, outside: float) -> tuple[float, float, float]:
    """The quantile ``outside``, the median, and the quantile 1 - ``outside``."""
    low, usual, high = np.quantile(values, (outside, 0.5, 1 - outside))
    return float(low), float(usual), float(high)


def box_of(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of the smallest box around what is true, (h, w)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def centre_of_mass(ink: Floats) -> tuple[float, float]:
    """(y, x) of the ink (h, w); the middle of the first pixel is (0.5, 0.5)."""
    rows, columns = ink.sum(axis=1), ink.sum(axis=0)
    y = rows @ (np.arange(len(rows)) + 0.5) / rows.sum()
    x = columns @ (np.arange(len(columns)) + 0.5) / columns.sum()
    return float(y), float(x)


def stroke_width(ink: Floats) -> float:
    """The mean width of the strokes of ink (h, w), in pixels.

    Across a stroke of width w the ink sums to w and its slope, up and down again, to 2. So the
    width is twice the sum of all ink, divided by the sum of the lengths of its gradients. This
    needs no threshold and no skeleton.
    """
    framed = np.pad(ink, 1)
    dy, dx = np.diff(framed, axis=0)[:, 1:], np.diff(framed, axis=1)[1:]
    slopes = float(np.hypot(dy, dx).sum())
    return 2 * float(ink.sum()) / slopes if slopes else 0.0
