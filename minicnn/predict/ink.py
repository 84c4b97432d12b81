"""Telling a drawing, or a thing, from what it lies on: in any light, with noise and specks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minicnn.predict.looks import Floats

Mask = NDArray[np.bool_]

CELLS = 64  # the longer side of the coarse picture that background and shapes are looked for in
SMOOTH = 256  # the longer side, in radii of the blur that takes noise away
SAME = 0.02  # what differs less from the background's surface lies on it
SPECK = 0.1  # of the largest shape's ink: smaller ones are specks
INSIDE = 0.25  # of the largest shape's ink: such a shape is preferred to one that touches the edge


class Ink(NamedTuple):
    """What lies on a background.

    Attributes:
        strength: (h, w), 0 where there is only background, 1 for black on white or white on black.
        dark: whether it is darker than the background.
        light: the background's lowest and highest brightness.
        noise: the standard deviation of ``strength`` where there is nothing.
    """

    strength: Floats
    dark: bool
    light: tuple[float, float]
    noise: float


def ink_on(grey: Floats) -> Ink:
    """The ink of a picture (h, w): where it differs from its background.

    The background is a smooth surface, fitted to the frame of the picture and then to all that
    lies on that surface: so a shadow or a lamp at one side does not count as ink. Dark ink takes a
    share of the light away: its strength is 1 - pixel / background.
    """
    coarse = _coarse(grey)
    background = _background(coarse)
    off, surface = coarse - background, _magnified(background, grey.shape).clip(0, 1)
    dark = bool(-off[off < -SAME].sum() > off[off > SAME].sum())
    if dark:
        strength = 1 - grey / surface.clip(0.05, 1)
    else:
        strength = (grey - surface) / (1 - surface).clip(0.05, 1)
    strength = _blurred(strength.clip(-1, 1), max(grey.shape) / SMOOTH)
    return Ink(strength, dark, (float(surface.min()), float(surface.max())), _noise(strength))


def _noise(strength: Floats) -> float:
    """The standard deviation of the background, by the median of its negative half.

    That half has no ink in it, however much of the picture is ink.
    """
    negative = strength[strength < 0]
    return 1.4826 * float(np.median(-negative)) if negative.size else 0.0


def _coarse(grey: Floats) -> Floats:
    """At most 64 cells high and wide: the mean brightness of each."""
    from PIL import Image

    scale = min(1, CELLS / max(grey.shape))
    size = [max(1, round(n * scale)) for n in grey.shape]
    return np.asarray(Image.fromarray(grey).resize(size[::-1], Image.Resampling.BOX))


def _magnified(surface: Floats, shape: tuple[int, ...]) -> Floats:
    """A smooth surface, (h, w) = ``shape``."""
    from PIL import Image

    image = Image.fromarray(surface)
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


def _blurred(values: Floats, radius: float) -> Floats:
    """Values from -1 to 1, smoothed, in steps of 1/127; those of a small picture as they are."""
    if radius < 0.5:
        return values
    from PIL import Image, ImageFilter

    image = Image.fromarray((values * 127 + 128).round().astype(np.uint8))
    smooth = image.filter(ImageFilter.GaussianBlur(radius))
    return (np.asarray(smooth, np.float32) - np.float32(128)) / np.float32(127)


def _basis(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """1, x, y, x^2, x y, y^2... up to degree 4, x and y from -1 to 1: (h, w, 15)."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    powers = [(i - j, j) for i in range(5) for j in range(i + 1)]  # by degree
    return np.stack([x**i * y**j for i, j in powers], axis=-1)


def _background(coarse: Floats) -> Floats:
    """The smooth surface (h, w): least squares, again and again without what lies off it.

    A surface of degree 2 is fitted to the frame, then to the whole; at the end one of degree 4.
    """
    basis = _basis(coarse.shape)
    frame = np.zeros(coarse.shape, np.bool_)
    width = max(1, max(coarse.shape) // 16)
    frame[:width] = frame[-width:] = frame[:, :width] = frame[:, -width:] = True
    whole = np.ones_like(frame)
    found = np.zeros(15)
    found[0] = np.median(coarse[frame])
    if (abs(coarse[frame] - found[0]) <= SAME).mean() > 0.5:  # one brightness, without shadows
        return np.asarray(basis @ found, np.float32)
    on_it = frame
    for within, terms in [(frame, 6)] * 3 + [(whole, 6)] * 3 + [(whole, 15)] * 3:
        off = abs(coarse - basis @ found)
        on_it = within & (off <= max(SAME, 2.5 * 1.4826 * float(np.median(off[on_it]))))
        if on_it.sum() < 2 * terms:  # a picture of a few pixels
            break
        rows = basis[on_it, :terms]  # the normal equations: 15 x 15, where rows are thousands
        found[:terms] = np.linalg.lstsq(rows.T @ rows, rows.T @ coarse[on_it], rcond=None)[0]
    return np.asarray(basis @ found, np.float32)


def shape_in(ink: Floats, mask: Mask) -> Mask:
    """The part of ``mask`` (h, w) that is the thing: without specks, and without what else comes
    in from the edge of the picture.

    Neighbouring cells of a coarse grid, diagonal ones too, belong together.
    """
    cell = -(-max(mask.shape) // CELLS)
    coarse = _cells(mask, cell).max(axis=(1, 3))
    names = _named(coarse)
    amount = np.bincount(names.ravel(), _cells(ink * mask, cell).sum(axis=(1, 3)).ravel())
    edge = np.unique(np.concatenate([names[0], names[-1], names[:, 0], names[:, -1]]))
    inside = amount.copy()
    inside[edge] = 0
    inside[0] = amount[0] = 0
    if inside.max() >= INSIDE * amount.max():
        amount = inside
    kept = np.isin(names, np.flatnonzero(amount >= SPECK * amount.max())) & coarse
    return mask & kept.repeat(cell, 0).repeat(cell, 1)[: mask.shape[0], : mask.shape[1]]


def _cells(values: NDArray, cell: int) -> NDArray:
    """(h, w) as (rows, cell, columns, cell), padded with zeros."""
    h, w = values.shape
    padded = np.pad(values, ((0, -h % cell), (0, -w % cell)))
    return padded.reshape(len(padded) // cell, cell, -1, cell)


def _named(mask: Mask) -> NDArray[np.int64]:
    """A number for each connected shape of ``mask`` (h, w), 0 where it is false.

    Every cell has a number of its own at first, and takes the largest of its neighbours' until
    nothing changes.
    """
    names = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        framed = np.pad(names, 1)
        columns = np.maximum(np.maximum(framed[:, :-2], framed[:, 1:-1]), framed[:, 2:])
        grown = np.maximum(np.maximum(columns[:-2], columns[1:-1]), columns[2:]) * mask
        if (grown == names).all():
            return names
        names = grown
