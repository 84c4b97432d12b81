"""Paths as people write them, and files that are never half-written."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from minicnn.checks import told
from minicnn.kernels.interrupts import held
from minicnn.kernels.locks import locked


def expand(path: str | Path) -> Path:
    """``path`` with a leading ``~`` or ``~name`` written out, which a shell does not always do.

    Raises:
        FileNotFoundError: no such home folder is known.
        TypeError: neither a text nor a path.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path is {told(path)}; wanted a path")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        home = Path(path).parts[0]
        raise FileNotFoundError(f"{path}: no home folder is known for {home}") from None


def make_folder(path: Path) -> None:
    """Make a folder and its parents; those that exist stay as they are.

    Raises:
        OSError: as the system raises it; NotADirectoryError if a file has one of the names.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        told = "this is a file; wanted a folder"
        raise NotADirectoryError(errno.ENOTDIR, told, error.filename) from None


def check_folder(path: Path) -> None:
    """Refuse, before any work, the name of a folder that cannot be made; one that exists is fine.

    Raises:
        NotADirectoryError: a file has the name, or that of one of its parents.
        OSError: the system refuses the name.
    """
    found = next(place for place in (path, *path.parents) if place.exists())
    if not found.is_dir():
        told = "this is a file" if found == path else f"{found} is a file"
        raise NotADirectoryError(errno.ENOTDIR, f"{told}; wanted a folder", str(path))


def check_file(path: Path) -> None:
    """Refuse, before any work, the name of a file that cannot be written.

    Raises:
        IsADirectoryError: a folder has the name.
        OSError: there is no folder for it, or the system refuses the name.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "this is a folder; wanted a file", str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {path.parent}", str(path))


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Inside, any other process that wants to be alone in this folder is refused.

    The system ends the lock with the process, however that ends. Where there are no such locks
    (Windows, some network folders), nobody is refused.

    Raises:
        BlockingIOError: another process is in it.
    """
    try:
        handle = locked(folder, os.O_RDONLY)
    except BlockingIOError as error:
        told = "another process is working there"
        raise BlockingIOError(error.errno, told, str(folder)) from None
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def write_whole(path: str | Path, content: bytes | str) -> None:
    """Write ``content`` to a temporary file in the same folder, then rename it to ``path``.

    A Ctrl-C in between takes effect when everything is written. If ``path`` is a link, the file
    that it points to is written.

    Raises:
        OSError: as the system raises it, naming ``path``: the folder is missing or cannot be
            written, the disk is full. ``path`` is then unchanged.
    """
    path = expand(path)
    path = path.resolve() if path.is_symlink() else path
    data = content.encode() if isinstance(content, str) else content
    try:
        with held():
            _write_and_rename(path, data)
    except OSError as error:
        raise OSError(error.errno, _why(path, error), str(path)) from error


def _write_and_rename(path: Path, data: bytes) -> None:
    temporary = path.parent / f".{path.name[:40]}.{secrets.token_hex(6)}"
    try:
        with temporary.open("xb") as file:
            if path.exists():
                shutil.copymode(path, temporary)  # the permissions stay
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # missing: a second Ctrl-C came after the rename
        raise


def _why(path: Path, error: OSError) -> str:
    """What the system says; and which folder is missing, or whether the old file survived."""
    if isinstance(error, FileNotFoundError):
        return f"there is no folder {path.parent}"
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    kept = "; the file of before is still there" if full and path.is_file() else ""
    return f"{error.strerror or error}{kept}"
