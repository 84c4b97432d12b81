"""What a file is, by its first bytes; for messages where another kind of file was expected.

And what other software says of a damaged file, in a line.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

PYTORCH = "a PyTorch file (torch.save)"
PICKLE = "a Python pickle"
NPZ = "a NumPy archive (.npz)"
NPY = "a NumPy array (.npy)"
HDF5 = "an HDF5 file (.h5)"
KERAS = "a Keras archive (.keras)"
ZIP = "a zip archive"
GZIP = "a gzip file"
PARQUET = "a Parquet file"
HTML = "a web page (HTML)"
LFS = "a Git-LFS pointer, not the file itself"
SHOWN = 60  # characters of a value in a message of ours
LONGEST = 200  # characters of a message of other software, which may hold a piece of the file

_BEGINNINGS = (
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", PYTORCH),  # as PyTorch wrote before 1.6
    *((bytes((0x80, protocol)), PICKLE) for protocol in range(2, 6)),
    (b"\x93NUMPY", NPY),
    (b"\x89HDF\r\n\x1a\n", HDF5),
    (b"\x1f\x8b", GZIP),
    (b"PAR1", PARQUET),
    (b"version https://git-lfs", LFS),
)


def kind_of(content: bytes) -> str | None:
    """What a file with this content (or beginning) is, in words; None if it is not known."""
    if content.startswith(b"PK\x03\x04"):
        return _zipped(content)
    if content.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return HTML
    return next((kind for start, kind in _BEGINNINGS if content.startswith(start)), None)


def _zipped(content: bytes) -> str:
    """Zip archives by what they hold."""
    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except Exception:  # a damaged directory raises what it happens to lead to
        return ZIP
    if any(name.endswith("/data.pkl") for name in names):
        return PYTORCH
    if "model.weights.h5" in names:
        return KERAS
    return NPZ if names and all(name.endswith(".npy") for name in names) else ZIP


def in_short(error: BaseException) -> str:
    """An error's message in one line of at most 200 characters."""
    return shortened(str(error)) or type(error).__name__


def shown(value: Any, form: Callable[[Any], str] = repr) -> str:
    """A value in a message: in one line, of about 60 characters at most.

    An array whose cells take more is told by its type, shape and dtype.
    """
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return "a large integer"
    try:
        text = form(value)
    except ValueError:  # within it is an integer too large to be written
        return kind_shown(value)
    if len(text) <= SHOWN and "\n" not in text:
        return text
    if hasattr(value, "shape") or ("\n" in text and not isinstance(value, str | bytes)):
        return kind_shown(value)
    return f"{' '.join(text[:SHOWN].split())}{'...' if len(text) > SHOWN else ''}"


def kind_shown(value: Any) -> str:
    """What a value is, without its cells: "of type ndarray, shape (2, 3), dtype float32"."""
    facts = [f"of type {type(value).__name__}"]
    facts += [
        f"{name} {getattr(value, name)}" for name in ("shape", "dtype") if hasattr(value, name)
    ]
    return ", ".join(facts)


def shortened(text: str) -> str:
    """A text in one line of at most 200 characters, cut where a word ends."""
    line = " ".join(text.split())
    if len(line) <= LONGEST:
        return line
    last_space = line.rfind(" ", LONGEST // 2, LONGEST + 1)
    return f"{line[: LONGEST if last_space < 0 else last_space]}..."
