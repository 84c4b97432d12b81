"""Reading a picture, whatever it is: a file, its bytes, a Pillow image, an array."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minicnn.data.own.picture_files import MOST_PIXELS, opened
from minicnn.files import expand
from minicnn.formats import in_short, kind_of

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST = 1024  # pixels; the longer side of what is worked on


class PictureError(ValueError):
    """A file or an array that is no picture, or a damaged one. The message is one line."""


@dataclass
class Picture:
    """A picture as it was read.

    Attributes:
        name: what to call it.
        pixels: float32 in [0, 1], (h, w) or, in colours, (h, w, 3); its longer side is at most
            1024.
        facts: what was done to it already, as "its transparent parts made white".
    """

    name: str
    pixels: NDArray[np.float32]
    facts: list[str]


def read(source: Any, name: str = "picture") -> Picture:
    """Read one picture.

    Args:
        source: a path, the bytes of a file, a Pillow image, or an array: uint8 or uint16, (h, w)
            or (h, w, 3) or, with transparency, (h, w, 4).
        name: what to call it; a path names itself.

    Raises:
        FileNotFoundError, OSError: the file cannot be opened.
        PictureError: it is damaged, no picture, or too large.
        TypeError: neither of these kinds.
    """
    if isinstance(source, Picture):
        return source
    if isinstance(source, str | Path):
        path = expand(source)
        return _decoded(path.read_bytes(), str(path))
    if isinstance(source, bytes | bytearray):
        return _decoded(bytes(source), name)
    if isinstance(source, np.ndarray):
        return _reduced(_image_of(source, name), name, [])
    if hasattr(source, "getexif"):
        return _upright(source, name)
    raise TypeError(
        f"{name} is a {type(source).__name__}; wanted a path, bytes, a Pillow image or an array"
    )


def _decoded(content: bytes, name: str) -> Picture:
    """A file's picture."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of size, which is looked at below; of odd metadata
            with opened(content) as image:
                image.draft(None, (LARGEST, LARGEST))  # a JPEG is read at 1/2, 1/4 or 1/8
                return _upright(image, name)
    except Image.DecompressionBombError:
        most = f"wanted at most {MOST_PIXELS // 10**6} million"
        raise PictureError(f"{name}: the picture has too many pixels; {most}") from None
    except UnidentifiedImageError:
        kind = kind_of(content) or ("an empty file" if not content else "another kind of file")
        raise PictureError(f"{name}: no picture, but {kind}") from None
    except Exception as error:  # decoders raise anything: OSError, SyntaxError, struct.error...
        raise PictureError(f"{name}: the picture is damaged: {in_short(error)}") from error


def _upright(image: Image, name: str) -> Picture:
    """The picture as a viewer shows it: turned by its EXIF data, the first of several frames."""
    from PIL import ImageOps

    facts = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        facts.append(f"the first of {frames} frames")
    turned = ImageOps.exif_transpose(image)
    if image.getexif().get(0x0112, 1) in range(2, 9):
        facts.append("turned as its EXIF data says")
    return _reduced(_opaque(turned, facts), name, facts)


def _opaque(image: Image, facts: list[str]) -> Image:
    """Without transparency: laid over white, or over black where white would hide everything."""
    from PIL import Image

    if not image.has_transparency_data or image.mode.startswith("I;16"):
        return image  # Pillow makes 16 bits white when it converts them
    image = image.convert("RGBA")
    if np.asarray(image.getchannel("A")).min() == 255:
        return image.convert("RGB")
    for colour in ("white", "black"):
        paper = Image.new("RGBA", image.size, colour)
        laid = Image.alpha_composite(paper, image).convert("RGB")
        if np.ptp(np.asarray(laid), axis=(0, 1)).any():
            break
    facts.append(f"its transparent parts made {colour}")
    return laid


def _reduced(image: Image, name: str, facts: list[str]) -> Picture:
    """As numbers, smoothly reduced where it is larger than is looked at."""
    if min(image.size) == 0:
        raise PictureError(f"{name}: a picture of {image.width} x {image.height}")
    image, white = _with_known_range(image)
    if max(image.size) > LARGEST:
        image.thumbnail((LARGEST, LARGEST), reducing_gap=2.0)
    pixels = np.asarray(image, np.float32) / np.float32(white)
    return Picture(name, np.nan_to_num(pixels).clip(0, 1), facts)


def _with_known_range(image: Image) -> tuple[Image, float]:
    """The image as bytes or floats, and what white is in it.

    Pillow's own ``convert("L")`` of 16-bit pixels makes all those above 255 white.
    """
    if image.mode.startswith("I;16"):
        return image.convert("F"), 65535.0
    if image.mode in ("I", "F"):
        image = image.convert("F")
        highest = float(np.asarray(image).max())
        ranges = (1.0, 255.0, 65535.0, 2.0**31)
        return image, next((white for white in ranges if highest <= white), highest)
    if image.mode in ("1", "L"):
        return image.convert("L"), 255.0
    colours = image.convert("RGB")
    red, green, blue = colours.split()
    grey = red.tobytes() == green.tobytes() == blue.tobytes()
    return (red if grey else colours), 255.0


def _image_of(array: NDArray[Any], name: str) -> Image:
    """An array as a Pillow image."""
    from PIL import Image

    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    if array.dtype not in (np.uint8, np.uint16):
        raise TypeError(
            f"{name} is an array of {array.dtype}; wanted uint8, 0..255 "
            "(of 0..1: (array * 255).round().astype('uint8'))"
        )
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] not in (1, 3, 4)):
        raise PictureError(f"{name} has shape {array.shape}; wanted (h, w), (h, w, 3) or (h, w, 4)")
    if array.ndim == 3 and array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    if 0 in array.shape:
        raise PictureError(f"{name} has shape {array.shape}: it is empty")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return _opaque(Image.fromarray(np.ascontiguousarray(array)), [])


def channels_last(pixels: NDArray[Any]) -> NDArray[Any]:
    """(h, w) or (h, w, 3) of a Dataset's (h, w), (1, h, w) or (3, h, w)."""
    if pixels.ndim == 2:
        return pixels
    return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
