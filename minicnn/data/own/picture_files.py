"""A folder of pictures for each class, read with Pillow."""

import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from minicnn.checks import check_integer, check_is
from minicnn.data.dataset import Dataset
from minicnn.data.errors import DatasetError
from minicnn.data.own.arrays import Found, Part, found, note
from minicnn.files import expand
from minicnn.formats import in_short, shown

KINDS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
FORMATS = ("PNG", "JPEG", "MPO", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # in Pillow's words
MOST_PIXELS = 150_000_000  # of a file: more would fill the memory
TRAIN, TEST = ("train", "training"), ("test", "testing", "val", "valid", "validation")


def from_pictures(
    folder: str | Path, size: tuple[int, int] | None = None, seed: int = 0
) -> tuple[Dataset, Dataset]:
    """Training and test set of a folder with a folder of pictures for each class.

        pictures/train/cat/001.jpg  pictures/train/dog/...  pictures/test/cat/...
        pictures/cat/001.jpg        pictures/dog/...

    ``val`` is as good a name as ``test``. In the second form a fifth of each class, drawn with
    ``seed``, is the test set; a note says how many. The classes are the folders' names, sorted.
    Every picture in them and below counts, PNG, JPEG, BMP, GIF, WebP, TIFF, PPM or PGM.

    The pictures are grey, uint8 (N, H, W), if all of them are; otherwise RGB, (N, 3, H, W). See
    ``read_picture`` for transparency and 16 bits.

    Args:
        size: (height, width) to which each is resized, whatever its proportions. None: they have
            one size already.

    Raises:
        DatasetError: no class folders, only one, one without pictures, one in the test set alone, a
            file that is no picture or damaged, or pictures of two sizes; the message names them.
        ImportError: Pillow is missing.
    """
    return read(expand(folder), size, seed)[2:]


def read(folder: Path, size: tuple[int, int] | None = None, seed: int = 0) -> Found:
    """The same, with its name and kind."""
    check_size(size)
    check_integer("seed", seed, 0)
    for_training, for_testing = _parts(folder, TRAIN), _parts(folder, TEST)
    train = for_training[0] if for_training else None
    test = for_testing[0] if for_testing else None
    for taken, *others in filter(None, (for_training, for_testing)):
        for path in others:
            note(f"{path} is left out, for there is {taken.name}/")
    if train is None and test is not None:
        raise DatasetError(f"{folder} has {test.name}/ but no train/; wanted both, or classes")
    top = train or folder
    classes = class_folders(top)
    if len(classes) < 2:
        only = f"the one class {classes[0]!r}" if classes else "no folder for each class"
        raise DatasetError(f"{top} has {only}; wanted two or more folders of pictures")
    paths = list(_pictures(top, classes))
    tested = [] if test is None else list(_pictures(test, _same_classes(test, top, classes)))
    pictures = _in_one_size([path for _, path in [*paths, *tested]], size)
    labels = np.array([classes.index(name) for name, _ in [*paths, *tested]])
    count = len(paths)
    parts = Part(pictures[:count], labels[:count], str(top))
    tests = None if test is None else Part(pictures[count:], labels[count:], str(test))
    return found(folder.resolve().name, "pictures", parts, tests, classes, seed)


def opened(content: bytes) -> Any:
    """The Pillow image in a file's bytes, of the kinds of ``KINDS`` alone.

    Pillow knows others, and would start Ghostscript for one of them. It also reads a TIFF of which
    parts are missing: they are black.

    Raises:
        ValueError: a TIFF without all of its parts.
        Image.DecompressionBombError: more than 150 million pixels.
        Exception: whatever Pillow raises for what is no picture, or a damaged one.
    """
    from PIL import Image

    Image.init()
    there = [kind for kind in FORMATS if kind in Image.OPEN]
    image = Image.open(io.BytesIO(content), formats=there)
    if image.width * image.height > MOST_PIXELS:
        raise Image.DecompressionBombError(
            f"it has {image.width} x {image.height} pixels; wanted at most {MOST_PIXELS:,}"
        )
    if image.format == "TIFF" and _cells(image) < image.width * image.height:
        raise ValueError("it lacks some of its parts")
    return image


def _cells(image: Any) -> int:
    """How many pixels the parts of a TIFF cover."""
    boxes = [part[1] for part in image.tile]
    return sum((right - left) * (low - high) for left, high, right, low in boxes)


def read_picture(
    file: str | Path | IO[bytes], size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """A picture as the net gets it: uint8, (H, W) if it is grey, otherwise RGB (3, H, W).

    It is turned as its EXIF data say. What is transparent shows white paper. Of 16 bits the upper
    8 are left, rounded. Colours that are all grey count as grey.

    Args:
        file: a path, or a file open for reading bytes.
        size: (height, width) to resize to.

    Raises:
        ValueError: it is no picture, damaged, or has numbers that are no grey levels. The message
            names the file.
        OSError: it cannot be opened.
        MemoryError: it is larger than the memory.
    """
    from PIL import UnidentifiedImageError

    name = file if isinstance(file, str | Path) else getattr(file, "name", "the picture")
    if not isinstance(file, str | Path) and not hasattr(file, "read"):
        raise TypeError(f"file is of type {type(file).__name__}; wanted a path, or an open file")
    check_size(size)
    content = Path(file).read_bytes() if isinstance(file, str | Path) else file.read()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a large picture, of odd metadata
            with opened(content) as picture:
                return _array(picture, size)
    except UnidentifiedImageError:
        raise ValueError(f"{name} is no picture that can be read") from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise anything: OSError, SyntaxError, struct.error...
        raise ValueError(f"{name} cannot be read as a picture: {in_short(error)}") from error


def check_size(size: Any) -> None:
    """Refuse a size that is neither None nor two positive integers (TypeError, ValueError)."""
    if size is None:
        return
    check_is("size", size, tuple | list, "(height, width)")
    if len(size) != 2:
        raise ValueError(f"size is {shown(size)}; wanted (height, width)")
    for length in size:
        check_integer("size: a length", length, 1)


def _array(picture: Any, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):
        picture = Image.fromarray(_eight_bits(np.asarray(picture)))
    if picture.mode == "F":
        raise ValueError("its pixels are fractions, not grey levels")
    if picture.has_transparency_data:
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture.convert("RGBA"))
    picture = picture.convert("RGB")
    if size is not None and picture.size != size[::-1]:
        picture = picture.resize(size[::-1], Image.Resampling.BILINEAR)
    colours = np.asarray(picture).transpose(2, 0, 1)
    return colours[0] if (colours == colours[0]).all() else colours


def _eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """0..65535 as 0..255."""
    if not 0 <= pixels.min() <= pixels.max() <= 65535:
        raise ValueError(f"its pixels are {pixels.min()}..{pixels.max()}, wanted 0..65535")
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def class_folders(folder: Path) -> list[str]:
    """The names of the folders in it, sorted; not those that are hidden."""
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _parts(folder: Path, names: Sequence[str]) -> list[Path]:
    """The folders of these names, in their order; capitals do not count."""
    found = {name.lower(): folder / name for name in class_folders(folder)}
    return [found[name] for name in names if name in found]


def _same_classes(test: Path, train: Path, classes: list[str]) -> list[str]:
    """The test set's class folders, which are all classes of the training set."""
    tested = class_folders(test)
    if others := [name for name in tested if name not in classes]:
        raise DatasetError(f"{test} has the class {others[0]!r}, which is not in {train}")
    if without := [name for name in classes if name not in tested]:
        note(f"{test} has no pictures of {', '.join(without)}")
    return tested


def _pictures(folder: Path, classes: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """The class and the path of each picture, in order."""
    for name in classes:
        files = sorted(path for path in (folder / name).rglob("*") if path.is_file())
        # ._1.png and the like are what a Mac writes next to 1.png, not pictures
        pictures = [p for p in files if p.suffix.lower() in KINDS and not p.name.startswith(".")]
        if not pictures:
            other = f", only {files[0].name}" if files else ""
            raise DatasetError(f"{folder / name} has no picture{other}; wanted PNG, JPEG, BMP...")
        yield from ((name, path) for path in pictures)


def _in_one_size(paths: Sequence[Path], size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """(N, H, W) where all are grey, otherwise (N, 3, H, W)."""
    pictures: list[NDArray[np.uint8]] = []
    for path in paths:
        try:
            pictures.append(read_picture(path, size))
        except ValueError as error:
            raise DatasetError(str(error)) from error
        if (mine := pictures[-1].shape[-2:]) != (first := pictures[0].shape[-2:]):
            raise DatasetError(
                f"{paths[0]} is {first[0]} x {first[1]} and {path} {mine[0]} x {mine[1]} pixels "
                "(height x width); wanted one size, or one to resize to: --image-size (size=)"
            )
    if any(picture.ndim == 3 for picture in pictures):
        pictures = [np.broadcast_to(picture, (3, *picture.shape[-2:])) for picture in pictures]
    return np.stack(pictures)
