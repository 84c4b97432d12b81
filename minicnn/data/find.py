"""Finding a data set by its name: on this machine, or else on a mirror."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.checks import check_one_of
from minicnn.data.catalogue import CATALOGUE, SAMPLE_FOLDER, Source
from minicnn.data.dataset import Dataset
from minicnn.data.download import download
from minicnn.data.errors import DatasetError, DatasetNotFoundError, IdxError
from minicnn.data.idx import not_expected, read_with_sha256
from minicnn.data.labels import label_column
from minicnn.files import expand

# Other files that may lie where the four are expected, and what to do with them.
CURES = {
    (".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".rar"): "unpack the archive",
    (".csv", ".npz", ".png", ".jpg"): (
        "data of your own: data.from_folder, or --data-dir without --dataset"
    ),
    (".parquet", ".npy", ".pt"): ("make arrays of other formats: data.from_arrays(images, labels)"),
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
    cache. Wherever files come from, their SHA-256 is checked. Of KMNIST, EMNIST and QMNIST it is
    not known: a download's MD5 is checked, where it is published, and a file of your own only for
    not being another data set's.

    Args:
        name: "fashion-mnist", "mnist", "kmnist", "emnist-letters", "emnist-balanced", "qmnist" or
            "fashion-mnist-sample": the first 6,000 training and 1,000 test images of
            Fashion-MNIST, which come with minicnn.
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
    check_one_of("name", name, CATALOGUE)
    source = CATALOGUE[name]
    if root is None and source.installed != SAMPLE_FOLDER:
        root = _root
    folder = _locate(name, source) if root is None else _locate_in(expand(root), name, source)
    train, test = (_part(folder, name, source, k) for k in (0, 2))
    return train, test


def _part(folder: Path, name: str, source: Source, first: int) -> Dataset:
    """The training or test set, whose images are the ``first`` of the four files."""
    files = source.files[first : first + 2]
    paths = [_path(folder, file) or folder / file for file in files]
    images, labels = (_read(*pair, name) for pair in zip(paths, files, strict=True))
    if source.transposed:
        images = np.ascontiguousarray(images.swapaxes(1, 2))
    labels = label_column(labels, paths[1]).astype(np.int64) - source.first_label
    try:
        return Dataset(images, labels, source.classes, f"{name} {'test' if first else 'train'}")
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{paths[0]} and {paths[1].name}: {error}") from error


def _locate(name: str, source: Source) -> Path:
    """The folder that has all four files; filled from the mirrors if there is none."""
    if source.installed == SAMPLE_FOLDER:
        return SAMPLE_FOLDER
    cache = _cache_folder()
    places = [] if cache is None else [cache / name]
    places += [] if source.installed is None else [source.installed]
    for folder in places:
        if not _not_found(folder, source.files):
            return folder
    try:
        if cache is None:
            raise DatasetNotFoundError("no home folder, no cache: see XDG_CACHE_HOME")
        if not source.mirrors:
            raise DatasetNotFoundError("there is no mirror of its files")
        digests = source.sha256 or source.md5
        wanted = {file: digests[file] for file in _not_found(places[0], source.files)}
        download(wanted, source.mirrors, places[0])
    except DatasetNotFoundError as error:
        looked = " nor in ".join(map(str, places)) or "any folder"
        raise DatasetNotFoundError(
            f"{name} is not in {looked}; {error}; {source.advice}put its four files into a folder"
            " and name that (load's root, --data-dir)"
        ) from error
    return places[0]


def _not_found(folder: Path, files: Sequence[str]) -> list[str]:
    """Those of the files that a folder lacks: all if this user may not look into it."""
    try:
        return _missing(folder, files)
    except PermissionError:
        return list(files)


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
    below = (name, f"{name}/{name}", "raw", "gzip")
    folders = (root, *(root / folder for folder in below), torchvision)
    missing = [_missing(folder, source.files) for folder in folders]
    fewest = min(missing, key=len)
    nearest = folders[missing.index(fewest)]
    if fewest:
        raise DatasetError(
            f"{nearest} lacks {', '.join(fewest)}{_found(nearest, source.files)}; {wanted}, plain "
            "or .gz"
        )
    return nearest


def _link(path: Path) -> str:
    """What a message says of a broken link; nothing for other paths."""
    return f"a link to {path.readlink()}, which is not there" if path.is_symlink() else ""


def _found(folder: Path, files: Sequence[str]) -> str:
    """What else lies in a folder, and what to do with it."""
    known = {_path(folder, file) for file in files}
    others = [path for path in sorted(folder.iterdir()) if path not in known]
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


def _missing(folder: Path, files: Sequence[str]) -> list[str]:
    return [file for file in files if _path(folder, file) is None]


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


def _read(path: Path, file: str, name: str) -> NDArray[Any]:
    """The array in ``path``, which has to be ``file`` of this data set."""
    try:
        array, digest = read_with_sha256(path)
        wanted = CATALOGUE[name].sha256.get(file)
        other = _file_with(digest)
        if other and wanted != digest:
            raise IdxError(f"{path}: this is {other}; wanted {file} of {name}")
        if wanted not in (None, digest):
            raise IdxError(not_expected(path, digest, wanted))
        return array
    except IdxError as error:
        cure = "; delete it, and it is downloaded again" if _cache_folder() in path.parents else ""
        raise IdxError(f"{error}{cure}") from error


def _file_with(digest: str) -> str | None:
    """Which file of the catalogue has this SHA-256, if it is one."""
    return next(
        (
            f"{file} of {name}"
            for name, source in CATALOGUE.items()
            for file, known in source.sha256.items()
            if known == digest
        ),
        None,
    )
