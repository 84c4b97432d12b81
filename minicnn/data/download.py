"""Fetching the files of a data set from the mirrors that carry it."""

import hashlib
import io
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from minicnn.data.errors import DatasetNotFoundError, IdxError
from minicnn.data.idx import read_idx
from minicnn.formats import in_short
from minicnn.terminal import is_terminal

# Timeouts in seconds: to connect (to each address of a mirror), and between two pieces of a file.
_TIMEOUT = (3.0, 30.0)
_MD5_DIGITS = 32
_MOST_BYTES = 1 << 28  # of a file: five times what the largest one has unpacked


def download(digests: Mapping[str, str], mirrors: Sequence[str], folder: Path) -> None:
    """Fetch files into a folder, from the first mirror that has them.

    After a mirror's first failure, the next one is asked for the files that are still missing.
    A file gets its name in ``folder`` only when it is complete and verified: an interruption leaves
    nothing half-written, and two processes that download at once do not disturb each other.

    Args:
        digests: which files: name (without .gz) to the SHA-256 of the decompressed content or,
            where only that is known, to the MD5 of the .gz file (32 digits).
        mirrors: addresses of folders that hold the files as <name>.gz.
        folder: where to put them; made if it is not there.

    Raises:
        DatasetNotFoundError: every mirror failed (the message says why), ``folder`` cannot be
            written (the disk is full...), or pooch is not installed.
    """
    for package in ("pooch", "requests"):  # the first needs the second
        if find_spec(package) is None:
            raise DatasetNotFoundError(f"download failed ({package} is not installed)")
    from requests import RequestException

    missing, failures = dict(digests), []
    with _scratch_folder(folder) as scratch:
        for mirror in mirrors:
            try:
                while missing:
                    file = next(iter(missing))
                    _fetch(f"{mirror}/{file}.gz", missing[file], Path(scratch, file))
                    Path(scratch, file).replace(folder / f"{file}.gz")
                    del missing[file]
                return
            except (RequestException, ValueError) as error:  # also of headers without sense
                failures.append(f"{urlsplit(mirror).netloc}: {_reason(error)}")
            except OSError as error:
                if error.errno is not None:  # the disk's: no other mirror would help
                    raise _cannot_write(folder, error) from error
                failures.append(f"{urlsplit(mirror).netloc}: {in_short(error)}")  # of requests
    raise DatasetNotFoundError(f"download failed ({'; '.join(failures)})")


def _scratch_folder(folder: Path) -> "TemporaryDirectory[str]":
    """A folder inside ``folder``, hence on the same disk, so that a rename out of it is atomic."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return TemporaryDirectory(dir=folder, prefix="download-")
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _cannot_write(folder: Path, error: OSError) -> DatasetNotFoundError:
    return DatasetNotFoundError(f"cannot write to {folder} ({error.strerror})")


class _Bounded(io.BufferedWriter):
    """A file for what a mirror sends, which may have no end."""

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > _MOST_BYTES:
            raise IdxError(f"more than {_MOST_BYTES} bytes")
        return super().write(data)


def _fetch(url: str, digest: str, target: Path) -> None:
    """Transfer one file, with a progress bar on a terminal, and verify it."""
    from pooch import HTTPDownloader

    show = is_terminal(sys.stderr)
    transfer = HTTPDownloader(progressbar=show, chunk_size=1 << 16, timeout=_TIMEOUT)
    with _Bounded(target.open("wb", buffering=0)) as file:
        transfer(url, file, pooch=None)
    if len(digest) == _MD5_DIGITS:
        found = hashlib.md5(target.read_bytes(), usedforsecurity=False).hexdigest()
        if found != digest:
            raise IdxError(f"{target}: MD5 is {found}, not {digest}")
        read_idx(target)
    else:
        read_idx(target, digest)


def _reason(error: Exception) -> str:
    """Why a mirror failed, in a few words (a message of requests fills several lines)."""
    if not isinstance(error, OSError):
        return "sent a wrong or damaged file"
    response = getattr(error, "response", None)
    return type(error).__name__ if response is None else f"HTTP {response.status_code}"
