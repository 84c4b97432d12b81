"""Pictures for the tests: twenty files as people have them, and what is in them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def drawn(size: tuple[int, int] = (300, 200), ink: int = 20, paper: int = 235) -> Image.Image:
    """A thick 7, high and left of the middle."""
    image = Image.new("L", size, paper)
    w, h = size
    corners = [(0.25 * w, 0.15 * h), (0.5 * w, 0.15 * h), (0.35 * w, 0.75 * h)]
    ImageDraw.Draw(image).line(corners, ink, max(1, round(0.04 * h)), joint="curve")
    return image


def save(folder: Path) -> tuple[list[Path], list[Path]]:
    """Write the files. Returns those that are pictures, and those that are none or damaged."""
    seven = drawn()
    deep = Image.fromarray(np.asarray(seven).astype(np.uint16) * 200)
    pale = Image.fromarray(np.asarray(seven).astype(np.uint16) * 12)  # of 12 bits, in a file of 16
    see_through = Image.new("RGBA", seven.size, (0, 0, 0, 0))
    see_through.paste((30, 30, 120, 255), mask=seven.point(lambda p: 255 if p < 128 else 0))
    white_ink = see_through.copy()
    white_ink.paste((255, 255, 255, 255), mask=see_through.getchannel("A"))
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side: a viewer turns it clockwise
    on_its_side = seven.transpose(Image.Transpose.ROTATE_90)
    palette = seven.convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
    good = {
        "grey.png": seven, "grey.jpg": seven, "grey.bmp": seven, "grey.gif": seven,
        "grey.webp": seven, "grey.tiff": seven, "colour.png": seven.convert("RGB"),
        "cmyk.jpg": seven.convert("CMYK"), "palette.png": palette, "two-levels.png":
        seven.convert("1"), "deep.png": deep, "pale.tiff": pale, "alpha.png": see_through,
        "white-ink.png": white_ink, "dot.png": seven.resize((1, 1)),
    }  # fmt: skip
    for name, image in good.items():
        image.save(folder / name)
    on_its_side.save(folder / "turned.jpg", exif=exif)
    drawn((4000, 3000)).save(folder / "large.jpg", quality=60)
    whole = (folder / "grey.png").read_bytes()
    bad = {"cut.png": whole[: len(whole) // 2], "text.jpg": b"not a picture", "empty.png": b""}
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    return (
        [folder / name for name in (*good, "turned.jpg", "large.jpg")],
        [folder / name for name in bad],
    )


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def digits(count: int, seed: int = 5) -> np.ndarray:
    """Drawings as MNIST has digits, uint8 (count, 28, 28): strokes in a box of 20 x 20 pixels whose
    centre of mass is in the middle."""
    rng = np.random.default_rng(seed)
    return np.stack([_digit(rng) for _ in range(count)])


def _digit(rng: np.random.Generator) -> np.ndarray:
    image = Image.new("L", (200, 200))
    corners = [tuple(map(float, corner)) for corner in rng.uniform(40, 160, (4, 2))]
    ImageDraw.Draw(image).line(corners, 255, 22, joint="curve")
    box = image.crop(image.getbbox())
    box.thumbnail((20, 20), Image.Resampling.BOX)
    ink = np.asarray(box)
    h, w = ink.shape
    y = round(14 - float((ink.sum(axis=1) @ (np.arange(h) + 0.5)) / ink.sum()))
    x = round(14 - float((ink.sum(axis=0) @ (np.arange(w) + 0.5)) / ink.sum()))
    digit = np.zeros((28, 28), np.uint8)
    y, x = min(max(y, 0), 28 - h), min(max(x, 0), 28 - w)
    digit[y : y + h, x : x + w] = ink
    return digit
