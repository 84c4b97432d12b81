"""Four IDX files that are not (or need not be) a data set of the catalogue."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.data.catalogue import CATALOGUE, SAMPLE_FOLDER
from minicnn.data.dataset import Dataset
from minicnn.data.errors import DatasetError
from minicnn.data.idx import read_with_sha256
from minicnn.data.labels import label_column
from minicnn.data.own.arrays import Found, Part, found, note
from minicnn.files import expand

# train-images-idx3-ubyte.gz, t10k-labels.idx1-ubyte, emnist-letters-test-images-idx3-ubyte,
# qmnist-train-labels-idx2-int...
_NAME = re.compile(
    r"(?P<set>.*?)[-_.]?(?P<part>train|t10k|test)[-_.](?P<what>images|labels)"
    r"([-_.]idx\d([-_.]\w+)?)?(\.gz)?",
    re.IGNORECASE,
)
_PARTS = [(part, what) for part in ("train", "test") for what in ("images", "labels")]
Files = dict[tuple[str, str], Path]  # (train or test, images or labels): the file


def from_idx(folder: str | Path) -> tuple[Dataset, Dataset]:
    """Training and test set of a folder with four IDX files, or of the ``raw`` folder in it.

    The files are found by the usual names: train-images, train-labels, t10k-images (or
    test-images), t10k-labels; with -idx3-ubyte, .idx3-ubyte, -idx2-int or nothing after it, and
    ``emnist-letters-``, ``qmnist-`` or another name before it; gzipped or not. Labels may be of any
    integer type, QMNIST's 8 columns too (the first is the class). EMNIST's pictures, known by the
    name, are stored transposed, and turned. Files that are a data set of the catalogue, as their
    SHA-256 or their names (emnist-letters) say, have that one's name and classes.

    Raises:
        DatasetError: some of the four are missing, there are several sets, a file is damaged, or
            they do not fit together.
        OSError: a file cannot be opened.
    """
    path = expand(folder)
    return read(path, sets_in(path))[2:]


def sets_in(folder: Path) -> dict[str, Files]:
    """The sets of IDX files in a folder, in its ``raw``, or in those of the folders in it, by name.

    A set is called as its files begin (emnist-letters), otherwise as the folder that it is in.
    """
    for places in ([folder], [folder / "raw"], sorted(folder.glob("*/raw"))):
        sets: dict[str, Files] = {}
        for place in places:
            named = place.parent if place.name == "raw" else place
            for beginning, files in _sets(place).items():
                sets[beginning or named.resolve().name] = files
        if sets:
            return sets
    return {}


def read(folder: Path, sets: dict[str, Files]) -> Found:
    """The one set among ``sets``, with its name and kind."""
    whole = {name: files for name, files in sets.items() if len(files) == len(_PARTS)}
    if len(whole) > 1:
        known = [f"--dataset {name}" for name in whole if name in CATALOGUE]
        raise DatasetError(
            f"{folder} holds {', '.join(whole)}; wanted the folder of one of them"
            f"{f', or {known[0]}' if known else ''}"
        )
    if not sets:
        raise DatasetError(f"{folder} holds no IDX files; wanted four, as train-images-idx3-ubyte")
    if not whole:
        raise DatasetError(_half(folder, sets))
    ((name, files),) = whole.items()
    return _read_files(name, files)


def _read_files(name: str, files: Files) -> Found:
    """A set of the catalogue, if these are its files; otherwise the set ``name``."""
    arrays, digests = zip(*(read_with_sha256(files[part]) for part in _PARTS), strict=True)
    if same := _in_catalogue(digests):
        of_same = (
            Dataset(arrays[i], arrays[i + 1], CATALOGUE[same].classes, f"{same} {_PARTS[i][0]}")
            for i in (0, 2)
        )
        return Found(same, "catalogue", *of_same)
    train, test = (_part(arrays[i], arrays[i + 1], files, _PARTS[i][0]) for i in (0, 2))
    classes, source, beginning = None, CATALOGUE.get(name), files["train", "images"].name.lower()
    if source and beginning.startswith(name):  # emnist-letters, qmnist; not a folder of that name
        classes = source.classes
        train, test = (p._replace(labels=p.labels - source.first_label) for p in (train, test))
    if "emnist" in beginning:
        train, test = (p._replace(images=p.images.swapaxes(-1, -2)) for p in (train, test))
        note(f"{name}: EMNIST's pictures are stored transposed, and are turned")
    return found(name, "idx", train, test, classes)


def _sets(folder: Path) -> dict[str, Files]:
    """The files of each set in this very folder, the gzipped one where there are both."""
    sets: dict[str, Files] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if match := _NAME.fullmatch(path.name):
            part = "train" if match["part"].lower() == "train" else "test"
            inside = path / path.name  # as 7-Zip unpacks it
            file = inside if path.is_dir() else path
            if file.is_file():
                sets.setdefault(match["set"], {})[part, match["what"].lower()] = file
    return sets


def _half(folder: Path, sets: dict[str, Files]) -> str:
    """The message where a file or more are missing."""
    files = max(sets.values(), key=len)
    missing = [f"{part} {what}" for part, what in _PARTS if (part, what) not in files]
    has = ", ".join(path.name for path in files.values())
    return (
        f"{folder} has no file of the {' and the '.join(missing)}, only {has}; wanted four IDX "
        "files with names like train-labels-idx1-ubyte, plain or .gz"
    )


def _in_catalogue(digests: tuple[str, ...]) -> str | None:
    """The data set with these four SHA-256; the sample is found in the package only."""
    for name, source in CATALOGUE.items():
        if tuple(source.sha256.values()) == digests and source.installed != SAMPLE_FOLDER:
            return name
    return None


def _part(images: NDArray[Any], labels: NDArray[Any], files: Files, which: str) -> Part:
    labels = label_column(labels, files[which, "labels"])
    return Part(np.asarray(images), labels.astype(np.int64), str(files[which, "images"]))
