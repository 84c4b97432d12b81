"""Finding a data set by its name: on this machine if it is there, else on a mirror."""

import os
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from minicnn.data.catalogue import CATALOGUE, FILES, SAMPLE_FOLDER, Source
from minicnn.data.dataset import Dataset
from minicnn.data.download import download
from minicnn.data.errors import DatasetError, DatasetNotFoundError, IdxError
from minicnn.data.idx import read_idx
from minicnn.files import expand


def load(name: str, root: str | Path | None = None) -> tuple[Dataset, Dataset]:
    """Load a data set; download it if this machine does not have it yet.

    Where it looks, in this order: the cache ($XDG_CACHE_HOME/minicnn/<name>, by default in
    ~/.cache), the folder of Debian's package (Fashion-MNIST only), the mirrors, which fill the
    cache. Wherever files come from, their SHA-256 is checked.

    Args:
        name: "fashion-mnist", "mnist", or "fashion-mnist-sample": the first 6,000 training and
            1,000 test images of Fashion-MNIST, which come with minicnn.
        root: a folder to look in instead of all those places. It holds the four files, plain or
            gzipped, or has a subfolder called ``name`` that does.

    Returns:
        (train, test): images uint8 (N, 28, 28), labels int64 (N,). N is 60,000 and 10,000; in
        the sample 6,000 and 1,000.

    Raises:
        ValueError: there is no such name, or ``root`` is given for the sample.
        DatasetError: files are damaged or not those of this data set, or ``root`` lacks some.
        DatasetNotFoundError: it is not on this machine, and no mirror sent it.
    """
    if name not in CATALOGUE:
        raise ValueError(f"name is {name!r}; wanted one of {', '.join(CATALOGUE)}")
    source = CATALOGUE[name]
    folder = _locate(name, source) if root is None else _locate_in(expand(root), name, source)
    arrays = [_read(folder, file, digest) for file, digest in source.sha256.items()]
    train = Dataset(arrays[0], arrays[1], source.classes, f"{name} train")
    test = Dataset(arrays[2], arrays[3], source.classes, f"{name} test")
    return train, test


def _locate(name: str, source: Source) -> Path:
    """The folder that has all four files; filled from the mirrors if there is none."""
    if source.installed == SAMPLE_FOLDER:
        return SAMPLE_FOLDER
    cache = _cache_folder()
    places = [] if cache is None else [cache / name]
    places += [] if source.installed is None else [source.installed]
    for folder in places:
        if not _not_found(folder):
            return folder
    try:
        if cache is None:
            raise DatasetNotFoundError("no home folder, no cache: see XDG_CACHE_HOME")
        wanted = {file: source.sha256[file] for file in _not_found(places[0])}
        download(wanted, source.mirrors, places[0])
    except DatasetNotFoundError as error:
        looked = " nor in ".join(map(str, places)) or "any folder"
        raise DatasetNotFoundError(
            f"{name} is not in {looked}; {error}; {source.advice}put its four files into a folder"
            " and name that (load's root, --data-dir)"
        ) from error
    return places[0]


def _not_found(folder: Path) -> list[str]:
    """The files that it lacks: all of them where this user may not enter it."""
    try:
        return _missing(folder)
    except PermissionError:
        return list(FILES)


def _locate_in(root: Path, name: str, source: Source) -> Path:
    """``root``, or its subfolder ``name``, whichever has all four files."""
    if source.installed == SAMPLE_FOLDER:
        raise ValueError(f"{root}: no folder is wanted for {name}, which comes with minicnn")
    if not root.is_dir():
        raise DatasetError(f"{root} is no folder; wanted one with the four files of {name}")
    folders = (root, root / name)
    for folder in folders:
        if not _missing(folder):
            return folder
    nearest = min(folders, key=lambda folder: len(_missing(folder)))
    lacking = ", ".join(_missing(nearest))
    raise DatasetError(f"{nearest} lacks {lacking}; wanted a folder with the four files of {name}")


def _cache_folder() -> Path | None:
    """$XDG_CACHE_HOME/minicnn, or ~/.cache/minicnn (also where the variable is not absolute).

    None for a user without a home, as in a container with a user number of its own.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (base if base.is_absolute() else Path.home() / ".cache") / "minicnn"
    except RuntimeError:
        return None


def _missing(folder: Path) -> list[str]:
    return [file for file in FILES if _path(folder, file) is None]


def _path(folder: Path, file: str) -> Path | None:
    """Where a folder holds a file: gzipped, plain, or (None) not at all."""
    paths = (folder / f"{file}.gz", folder / file)
    return next((path for path in paths if path.is_file()), None)


def _read(folder: Path, file: str, sha256: str) -> NDArray[Any]:
    path = _path(folder, file) or folder / file
    try:
        return read_idx(path, sha256)
    except IdxError as error:
        if _cache_folder() not in path.parents:
            raise
        raise DatasetError(f"{error}; delete it, and it is downloaded again") from error
