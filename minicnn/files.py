"""Paths as people write them, and files that are never half-written."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from pathlib import Path

from minicnn.kernels.interrupts import held


def expand(path: str | Path) -> Path:
    """``path`` with a leading ``~`` or ``~name`` written out, which a shell does not always do.

    Raises:
        FileNotFoundError: nobody knows that home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        home = Path(path).parts[0]
        raise FileNotFoundError(f"{path}: no home folder is known for {home}") from None


def make_folder(path: Path) -> None:
    """Make a folder, and those that it lies in; what is there already stays.

    Raises:
        OSError: of the system's own kind; NotADirectoryError where a file has such a name.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        told = "this is a file; wanted a folder"
        raise NotADirectoryError(errno.ENOTDIR, told, error.filename) from None


def write_whole(path: str | Path, content: bytes | str) -> None:
    """Write ``content`` to a temporary file beside ``path`` and rename it over what was there.

    A Ctrl-C meanwhile is answered when all is written. Where ``path`` is a link, the file that it
    leads to is written.

    Raises:
        OSError: of the system's own kind, naming ``path``: the folder is missing or cannot be
            written, the disk is full. ``path`` is as before.
    """
    path = expand(path)
    path = path.resolve() if path.is_symlink() else path
    data = content.encode() if isinstance(content, str) else content
    try:
        with held():
            _write_beside(path, data)
    except OSError as error:
        raise OSError(error.errno, _why(path, error), str(path)) from error


def _write_beside(path: Path, data: bytes) -> None:
    temporary = path.parent / f".{path.name[:40]}.{secrets.token_hex(6)}"
    try:
        with temporary.open("xb") as file:
            if path.exists():
                shutil.copymode(path, temporary)  # who may read it stays as it was
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # renamed already, if a second Ctrl-C was late
        raise


def _why(path: Path, error: OSError) -> str:
    """What the system says, and what it does not say: which folder is missing, what survived."""
    if isinstance(error, FileNotFoundError):
        return f"there is no folder {path.parent}"
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    kept = "; the file of before is still there" if full and path.is_file() else ""
    return f"{error.strerror or error}{kept}"
