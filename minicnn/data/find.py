"""Finding a data set by its name: on this machine, or else on a mirror."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from minicnn.data.catalogue import CATALOGUE, FILES, SAMPLE_FOLDER, Source
from minicnn.data.dataset import Dataset
from minicnn.data.download import download
from minicnn.data.errors import DatasetError, DatasetNotFoundError, IdxError
from minicnn.data.idx import read_idx
from minicnn.files import expand

# Other files that may lie where the four are expected, and what to do with them.
CURES = {
    (".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".rar"): "unpack the archive",
    (".csv", ".parquet", ".npz", ".npy", ".pt", ".png", ".jpg"): (
        "make arrays of other formats: data.Dataset(images, labels, classes)"
    ),
}

_root: Path | None = None  # of looking_in


@contextlib.contextmanager
def looking_in(root: str | Path | None) -> Iterator[None]:
    """Inside, ``load`` without a ``root`` takes this one, but not for the sample."""
    global _root
    before, _root = _root, _root if root is None else expand(root)
    try:
        yield
    finally:
        _root = before


def load(name: str, root: str | Path | None = None) -> tuple[Dataset, Dataset]:
    """Load a data set; download it if this machine does not have it yet.

    Where it looks, in this order: the cache ($XDG_CACHE_HOME/minicnn/<name>, by default in
    ~/.cache), the folder of Debian's package (Fashion-MNIST only), the mirrors, which fill the
    cache. Wherever files come from, their SHA-256 is checked.

    Args:
        name: "fashion-mnist", "mnist", or "fashion-mnist-sample": the first 6,000 training and
            1,000 test images of Fashion-MNIST, which come with minicnn.
        root: a folder to look in instead of all those places. It holds the four files, plain or
            gzipped, or a folder ``name`` (or torchvision's ``FashionMNIST/raw``) that does.

    Returns:
        (train, test): images uint8 (N, 28, 28), labels int64 (N,). N is 60,000 and 10,000; in
        the sample 6,000 and 1,000.

    Raises:
        ValueError: an unknown name, or a ``root`` for the sample, which comes with minicnn.
        DatasetError: files are damaged or not those of this data set, or ``root`` lacks some.
        DatasetNotFoundError: it is not on this machine, and no mirror sent it.
    """
    if name not in CATALOGUE:
        raise ValueError(f"name is {name!r}; wanted one of {', '.join(CATALOGUE)}")
    source = CATALOGUE[name]
    if root is None and source.installed != SAMPLE_FOLDER:
        root = _root
    folder = _locate(name, source) if root is None else _locate_in(expand(root), name, source)
    arrays = [_read(folder, file, name) for file in FILES]
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
    """The files that a folder lacks: all of them if this user may not look into it."""
    try:
        return _missing(folder)
    except PermissionError:
        return list(FILES)


def _locate_in(root: Path, name: str, source: Source) -> Path:
    """``root``, or the folder below it where the files lie."""
    if source.installed == SAMPLE_FOLDER:
        raise ValueError(f"{root}: no folder is wanted for {name}, which comes with minicnn")
    wanted = f"wanted a folder with the four files of {name}"
    if root.is_file():
        raise DatasetError(f"{root} is a file; {wanted}: is it {root.parent}?")
    if not root.is_dir():
        raise DatasetError(f"{root} is {_link(root) or 'no folder'}; {wanted}")
    torchvision = Path(root, source.torchvision, "raw")
    folders = (root, root / name, root / name / name, root / "raw", torchvision)
    for folder in folders:
        if not _missing(folder):
            return folder
    nearest = min(folders, key=lambda folder: len(_missing(folder)))
    raise DatasetError(
        f"{nearest} lacks {', '.join(_missing(nearest))}{_found(nearest)}; {wanted}, plain or .gz"
    )


def _link(path: Path) -> str:
    """What a message says of a broken link; nothing for other paths."""
    return f"a link to {path.readlink()}, which is not there" if path.is_symlink() else ""


def _found(folder: Path) -> str:
    """What else lies in a folder, and what to do with it."""
    files = {_path(folder, file) for file in FILES}
    others = [path for path in sorted(folder.iterdir()) if path not in files]
    said = [f"{path.name} is {_link(path)}" for path in others if not path.exists()]
    names = [path.name for path in others if path.exists()]
    if names:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        said.append(f"it holds {', '.join(names[:5])}{more}")
    cures = {cure for kinds, cure in CURES.items() for name in names if name.endswith(kinds)}
    return "".join(f"; {part}" for part in (*said, *sorted(cures)))


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
    """Where a folder holds a file: gzipped, plain, or (None) not at all.

    From 7-Zip and Kaggle it is called train-images.idx3-ubyte, and may lie in a folder of that
    name.
    """
    for name in (file, file.replace("-idx", ".idx")):
        for place in (f"{name}.gz", name, f"{name}/{name}"):
            if (folder / place).is_file():
                return folder / place
    return None


def _read(folder: Path, file: str, name: str) -> NDArray[Any]:
    path = _path(folder, file) or folder / file
    try:
        return read_idx(path, CATALOGUE[name].sha256[file])
    except IdxError as error:
        other = _other_file(str(error))
        said = f"{path}: this is {other}; wanted {file} of {name}" if other else str(error)
        if _cache_folder() in path.parents:
            said += "; delete it, and it is downloaded again"
        raise IdxError(said) from error


def _other_file(complaint: str) -> str | None:
    """Which file of the catalogue has the SHA-256 that was found instead of the one wanted."""
    found = re.search("SHA-256 of its content is ([0-9a-f]{64})", complaint)
    return next(
        (
            f"{file} of {name}"
            for name, source in CATALOGUE.items()
            for file, digest in source.sha256.items()
            if found and digest == found[1]
        ),
        None,
    )
