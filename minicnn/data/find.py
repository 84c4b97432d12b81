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
    folder = _locate(name, source) if root is None else _locate_in(Path(root), name, source)
    arrays = [_read(folder, file, digest) for file, digest in source.sha256.items()]
    train = Dataset(arrays[0], arrays[1], source.classes, f"{name} train")
    test = Dataset(arrays[2], arrays[3], source.classes, f"{name} test")
    return train, test


def _locate(name: str, source: Source) -> Path:
    """The folder that has all four files; filled from the mirrors if there is none."""
    if source.installed == SAMPLE_FOLDER:
        return SAMPLE_FOLDER
    cache = _cache_folder() / name
    places = [cache] if source.installed is None else [cache, source.installed]
    for folder in places:
        if not _missing(folder):
            return folder
    wanted = {file: source.sha256[file] for file in _missing(cache)}
    try:
        download(wanted, source.mirrors, cache)
    except DatasetNotFoundError as error:
        looked = " nor in ".join(map(str, places))
        raise DatasetNotFoundError(
            f"{name} is not in {looked}; {error}; {source.advice}put its four files into a folder"
            " and name that (load's root, --data-dir)"
        ) from error
    return cache


def _locate_in(root: Path, name: str, source: Source) -> Path:
    """``root``, or its subfolder ``name``, whichever has all four files."""
    if source.installed == SAMPLE_FOLDER:
        raise ValueError(f"root is {root}; wanted None for {name}, which comes with minicnn")
    if not root.is_dir():
        raise DatasetError(f"root is {root}; wanted a folder with the files of {name}")
    folders = (root, root / name)
    for folder in folders:
        if not _missing(folder):
            return folder
    nearest = min(folders, key=lambda folder: len(_missing(folder)))
    lacking = ", ".join(_missing(nearest))
    raise DatasetError(
        f"root is {root}; wanted the four files of {name}, {nearest} lacks {lacking}"
    )


def _cache_folder() -> Path:
    """$XDG_CACHE_HOME/minicnn, or ~/.cache/minicnn (also where the variable is not absolute)."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "minicnn"


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
