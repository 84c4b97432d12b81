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
    return shortened(" ".join(str(error).split()) or type(error).__name__)


def shown(value: Any, form: Callable[[Any], str] = repr) -> str:
    """A value in a message, of at most 60 characters."""
    is_large = isinstance(value, int) and abs(value) >= 10**SHOWN
    text = "a large integer" if is_large else form(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def shortened(line: str) -> str:
    """The first 200 characters."""
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
