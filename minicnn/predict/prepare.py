"""From a picture as it comes to one that looks like those that the net was trained on.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
recognition", 1998, and the MNIST database's page: a digit is scaled, its proportions kept, to fit
into a box of 20 x 20 pixels, with the grey levels that smooth scaling gives, and laid into 28 x 28
so that its centre of mass is in the middle. The sizes here are those that ``looks`` has measured on
the training pictures, so that clothes are scaled to 28 pixels and centred by their box.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minicnn.predict.ink import ink_on, shape_in
from minicnn.predict.looks import FAINT, Floats, Looks, box_of, centre_of_mass, stroke_width
from minicnn.predict.reading import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

FINE = 4  # times the size of the training pictures: where strokes are made thicker or thinner
LEAST = 0.3  # of the strongest ink: less is background
FAINTEST = 0.06  # the contrast of ink that can be told from paper
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green, blue: ITU-R BT.601, as Pillow


class Prepared(NamedTuple):
    """What the net is going to see.

    Attributes:
        pixels: uint8 (C, H, W).
        facts: what was done, in order: "inverted", "scaled to 14 x 20"...
        warnings: what is probably wrong.
    """

    pixels: NDArray[np.uint8]
    facts: list[str]
    warnings: list[str]


def prepare(picture: Picture, looks: Looks, raw: bool = False, stretched: bool = False) -> Prepared:
    """Make a picture like those of the data set.

    Where the training pictures were all put at one place and scaled to one size, so is this one.
    Others are scaled as a whole, with their proportions kept and a frame around them. ``raw``:
    only stretched to the size that the net takes. ``stretched``: so were the training pictures
    (``--image-size``), where they have no place of their own; it is done in the same way.
    """
    stretched = stretched and not looks.normalised
    if raw or not looks.normalised:
        return _as_a_whole(picture, looks, raw, stretched)
    grey = in_grey(picture.pixels)
    if _fits(grey, looks):
        same = [*picture.facts, "unchanged: it lies as the training pictures do"]
        return Prepared(_bytes(grey)[None], same, [])
    return _cut_out(grey, looks, picture.facts)


def in_grey(pixels: Floats) -> Floats:
    """(h, w) of (h, w) or (h, w, 3)."""
    return pixels @ GREY if pixels.ndim == 3 else pixels


# The whole picture ------------------------------------------------------------------------------


def _as_a_whole(
    picture: Picture, looks: Looks, raw: bool = False, stretched: bool = False
) -> Prepared:
    """Scaled, and framed unless ``raw`` or ``stretched``."""
    from PIL import Image

    channels, high, wide = looks.shape
    pixels = in_grey(picture.pixels) if channels == 1 else picture.pixels
    image, facts = Image.fromarray(_bytes(pixels)), list(picture.facts)
    if channels == 3:
        image = image.convert("RGB")
    scale = min(wide / image.width, high / image.height)
    kept = max(1, round(scale * image.width)), max(1, round(scale * image.height))
    size = (wide, high) if raw or stretched else kept
    if image.size != size:
        facts.append(f"{'stretched' if raw or stretched else 'scaled'} to {size[0]} x {size[1]}")
        way = Image.Resampling.BILINEAR if stretched else Image.Resampling.BICUBIC
        image = image.resize(size, way)
    if size != (wide, high):
        facts.append(f"framed to {wide} x {high}")
        colour = tuple(round(255 * level) for level in looks.background)
        frame = Image.new(image.mode, (wide, high), colour)
        frame.paste(image, ((wide - size[0]) // 2, (high - size[1]) // 2))
        image = frame
    seen = np.asarray(image).reshape(high, wide, channels).transpose(2, 0, 1)
    return Prepared(seen, facts, _inverted(seen, looks))


def _inverted(seen: NDArray[np.uint8], looks: Looks) -> list[str]:
    """A warning where the background seems to be white instead of black, or black for white."""
    ground, (right, wrong) = looks.background[0], _on_ground(seen[0] / np.float32(255), looks)
    if not looks.plain or right >= wrong or wrong < 0.5:
        return []
    return [
        f"looks inverted: {wrong:.0%} of its border has a brightness near {1 - ground:.0f}; the "
        f"training pictures' background has {ground:.2f}"
    ]


def _on_ground(grey: Floats, looks: Looks) -> tuple[float, float]:
    """The share of the border's pixels that are background, and of those that are its opposite."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ground = looks.background[0]
    near = (float((abs(border - level) < 3 * FAINT).mean()) for level in (ground, 1 - ground))
    return next(near), next(near)


# What lies on a background ------------------------------------------------------------------------


def _fits(grey: Floats, looks: Looks) -> bool:
    """Whether a picture of the right size lies as the training pictures do."""
    if grey.shape != looks.shape[1:]:
        return False
    ink = abs(grey - looks.background[0])
    right, wrong = _on_ground(grey, looks)
    if right < wrong or not (ink > FAINT).any():
        return False
    top, left, bottom, right = box_of(ink > FAINT)
    middle = centre_of_mass(ink), ((top + bottom) / 2, (left + right) / 2)
    away = np.subtract(middle[looks.centre == "box"], looks.place)
    extent = max(bottom - top, right - left)
    right_size = looks.extent[0] - 1 <= extent <= looks.extent[2] + 1
    return bool(right_size and abs(away).max() <= looks.away + 1)


def _cut_out(grey: Floats, looks: Looks, facts: list[str]) -> Prepared:
    """Find the thing, scale it and put it where the training pictures have theirs."""
    ink = ink_on(grey)
    strongest = float(ink.strength.max())
    if strongest < max(FAINTEST, 5 * ink.noise):
        blank = _as_a_whole(Picture("", grey, facts), looks)
        return blank._replace(warnings=["looks empty: nothing stands out from the background"])
    floor = LEAST * strongest if looks.strokes[1] else min(FAINT, strongest / 2)
    mask = ink.strength > max(floor, 4 * ink.noise)
    shape = shape_in(ink.strength, mask)
    top, left, bottom, right = box_of(shape)
    facts = [
        *facts,
        *(["inverted"] if ink.dark == looks.light else []),
        *([f"uneven light evened out ({_range(ink.light)})"] if _uneven(ink.light) else []),
        f"cropped to {right - left} x {bottom - top}",
    ]
    part, inside = ink.strength[top:bottom, left:right], shape[top:bottom, left:right]
    if looks.strokes[1]:  # one strength, and nothing around the strokes
        full = float(np.quantile(part[inside], 0.8))
        part = (part - ink.noise) / max(full - ink.noise, 0.01) * _grown(inside)
    small, more = _scaled(part.clip(0, 1), looks)
    seen, moved = _laid(small, looks)
    return Prepared(seen, [*facts, *more, *moved], _too_thick(small, looks))


def _too_thick(ink: Floats, looks: Looks) -> list[str]:
    """A warning where ink of the right size is no strokes, as the training pictures have them."""
    width, (thinnest, _, thickest) = stroke_width(ink), looks.strokes
    if not thickest or width <= thickest:
        return []
    return [
        f"no strokes like those of the training pictures: they are {width:.1f} pixels wide, theirs "
        f"{thinnest:.1f} to {thickest:.1f}"
    ]


def _uneven(light: tuple[float, float]) -> bool:
    return light[1] - light[0] > FAINT


def _range(light: tuple[float, float]) -> str:
    return f"the background's brightness goes from {light[0]:.2f} to {light[1]:.2f}"


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask and a seam around it: the soft edges of strokes."""
    from PIL import Image, ImageFilter

    seam = max(1, round(max(mask.shape) / 100))
    return np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.BoxBlur(seam))) > 0


def _laid(ink: Floats, looks: Looks) -> tuple[NDArray[np.uint8], list[str]]:
    """Ink (h, w) laid into a picture (1, H, W), where the training pictures have theirs."""
    _, high, wide = looks.shape
    h, w = ink.shape
    around = at = (high - h) // 2, (wide - w) // 2
    facts = []
    if looks.centre == "mass":
        middle = centre_of_mass(ink)
        y, x = (round(p - m) for p, m in zip(looks.place, middle, strict=True))
        at = min(max(y, 0), high - h), min(max(x, 0), wide - w)
        moved = at[1] - around[1], at[0] - around[0]
        facts.append(f"centre of mass put in the middle: moved by {moved}")
    laid = np.zeros((high, wide), np.float32)
    laid[at[0] : at[0] + h, at[1] : at[1] + w] = ink
    ground = looks.background[0]
    return _bytes(ground + laid * ((1 - ground) if looks.light else -ground))[None], facts


def _scaled(ink: Floats, looks: Looks) -> tuple[Floats, list[str]]:
    """Ink (h, w) scaled smoothly to the training pictures' size, and what was done."""
    _, high, wide = looks.shape
    room = high / ink.shape[0], wide / ink.shape[1]
    scale = min(looks.extent[1] / max(ink.shape), *room)
    h, w = (max(1, round(n * scale)) for n in ink.shape)
    small, facts = _with_strokes(ink, (min(h, high), min(w, wide)), looks)
    return small, [f"scaled to {small.shape[1]} x {small.shape[0]}", *facts]


def _with_strokes(ink: Floats, size: tuple[int, int], looks: Looks) -> tuple[Floats, list[str]]:
    """Ink scaled to ``size``, (h, w); its strokes as thick as the training pictures'."""
    from PIL import Image, ImageFilter, ImageOps

    image = Image.fromarray(_bytes(ink))
    fine = image.resize((FINE * size[1], FINE * size[0]), Image.Resampling.BICUBIC)
    small, (thinnest, usual, thickest) = _averaged(fine, size), looks.strokes
    if not usual:
        return small, []
    small, width = _levels(small), stroke_width(small)
    if thinnest <= width <= thickest:
        return small, []
    change = round(FINE * (usual - width) / 2)
    kind: Any = ImageFilter.MaxFilter if change > 0 else ImageFilter.MinFilter
    fine = ImageOps.expand(fine, abs(change)).filter(kind(2 * abs(change) + 1))
    changed = _levels(_averaged(fine.crop(fine.getbbox()), size))
    reached = stroke_width(changed)
    if abs(reached - usual) >= abs(width - usual):  # these are no strokes
        return small, []
    what = "thicker" if change > 0 else "thinner"
    return changed, [f"strokes made {what}: {width:.1f} to {reached:.1f} pixels"]


def _averaged(fine: Image, size: tuple[int, int]) -> Floats:
    from PIL import Image

    small = fine.resize((size[1], size[0]), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / np.float32(255)


def _levels(ink: Floats) -> Floats:
    """Stretched so that strong ink is 1."""
    strong = ink[ink > ink.max() / 2]
    return (ink / float(np.quantile(strong, 0.7))).clip(0, 1) if strong.size else ink


def _bytes(levels: Floats) -> NDArray[np.uint8]:
    return (255 * levels).round().astype(np.uint8)
