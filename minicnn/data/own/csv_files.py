"""CSV with the label first, as Kaggle has MNIST and its relatives."""

import re
import warnings
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minicnn.checks import check_integer
from minicnn.data.dataset import Dataset
from minicnn.data.errors import DatasetError
from minicnn.data.own.arrays import Found, Part, found, note
from minicnn.data.own.picture_files import check_size
from minicnn.files import expand
from minicnn.formats import shortened, shown

_MOST_COLUMNS = 10**9


def from_csv(
    path: str | Path, size: tuple[int, int] | None = None, seed: int = 0
) -> tuple[Dataset, Dataset]:
    """Training and test set of CSV files: a picture a line, its label first, then its pixels.

    A line with the columns' names at the top is skipped. In a folder the files end in train.csv and
    test.csv (``fashion-mnist_train.csv`` too). Where there is no test set, or one without labels as
    in Kaggle's competition, a fifth of each class, drawn with ``seed``, is split off; a note says
    so. Pixels are whole numbers 0..255, row by row; three colours one after the other.
    EMNIST's pictures, known by the name, are stored transposed, and turned.

    Args:
        path: the folder, or the one file.
        size: (height, width) of a picture. None: it is square.

    Raises:
        DatasetError: a cell is no whole number, a line is longer than others, the pixels make no
            picture, or a label occurs in the test set alone. The message names the file.
        OSError: a file cannot be opened.
    """
    return read(expand(path), size, seed)[2:]


def read(path: Path, size: tuple[int, int] | None = None, seed: int = 0) -> Found:
    """The same, with its name and kind."""
    check_size(size)
    check_integer("seed", seed, 0)
    files = csv_files(path)
    train = _table(files.train)
    test = None if files.test is None else _table(files.test)
    if test is not None and test.shape[1] == train.shape[1] - 1:
        note(f"{files.test} has a column less than {files.train.name}, so no labels: left out")
        test = None
    parts = [
        None if table is None else _part(table, file, size)
        for table, file in ((train, files.train), (test, files.test))
    ]
    name = files.train.stem if path.is_file() else path.resolve().name
    assert parts[0] is not None
    return found(name, "csv", parts[0], parts[1], seed=seed)


class CsvFiles(NamedTuple):
    """The file to train on, and the one to test on, if there is one."""

    train: Path
    test: Path | None


def csv_files(path: Path) -> CsvFiles:
    """The CSV files of a folder, or the one file.

    Raises:
        DatasetError: which of several files is which cannot be told by their names.
    """
    if path.is_file():
        return CsvFiles(path, None)
    files = sorted(p for p in path.glob("*.csv") if not p.name.startswith("."))
    if not files:
        raise DatasetError(f"{path} is no CSV file, and holds none; wanted train.csv")
    train, test = (
        [p for p in files if re.search(rf"(^|[-_. ]){part}\.csv$", p.name)]
        for part in ("train", "test")
    )
    if len(files) == 1 and not test:
        return CsvFiles(files[0], None)
    if len(train) != 1 or len(test) > 1:
        names = ", ".join(p.name for p in files)
        raise DatasetError(f"{path} holds {names}; wanted train.csv, and test.csv if there is one")
    return CsvFiles(train[0], test[0] if test else None)


def _table(path: Path) -> NDArray[np.int32]:
    """The numbers of a file, (lines, columns)."""
    with path.open(encoding="utf-8-sig", errors="replace") as file, warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy warns of a file without lines
        has_names = _has_names(file.readline())
        if not has_names:
            file.seek(0)
        try:
            return np.loadtxt(
                file, dtype=np.int32, delimiter=",", ndmin=2, quotechar='"', comments=None
            )
        except (ValueError, Warning) as error:
            raise DatasetError(f"{path}: {_what_is_wrong(str(error), has_names)}") from error


def _has_names(line: str) -> bool:
    """Whether a file's first line names its columns: with words, or but for the label's 0, 1, 2...

    A line of numbers that is damaged at its beginning is none: it must not be skipped.
    """
    first, *others = (cell.strip(' "\r\n') for cell in line.split(","))
    numbers = [n for cell in others if (n := _number(cell)) is not None]
    if _number(first) is not None or not all(0 <= n < _MOST_COLUMNS for n in numbers):
        return False
    if not numbers or any(
        cell[:2].isalpha() and _number(cell) is None for cell in (first, *others)
    ):
        return True  # of x12 the x may be damage
    return len(numbers) == len(others) and all(b - a == 1 for a, b in pairwise(numbers))


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _what_is_wrong(complaint: str, skipped: bool) -> str:
    """NumPy's message in plain words; it counts rows from 0 in one case and from 1 in another."""
    if cell := re.search(r"convert string '(.*?)'?\s+to .* at row (\d+), column (\d+)", complaint):
        line = int(cell[2]) + 1 + skipped
        return (
            f"line {line}, column {cell[3]} is {shown(cell[1])}; wanted whole numbers: the "
            "label, then the pixels 0..255"
        )
    if row := re.search(r"changed from (\d+) to (\d+) at row (\d+)", complaint):
        line = int(row[3]) + skipped
        return f"line {line} has {row[2]} columns, those before it {row[1]}"
    return "no line of numbers" if "no data" in complaint else shortened(complaint)


def _part(table: NDArray[np.int32], path: Path | None, size: tuple[int, int] | None) -> Part:
    """Labels and pictures, (N, H, W) or (N, 3, H, W)."""
    labels, pixels = table[:, 0], table[:, 1:]
    count = pixels.shape[1]
    height, width = size or (round(count**0.5),) * 2
    channels = 3 if count == 3 * height * width else 1
    if count != channels * height * width or not count:
        told = f"--image-size {height}x{width}" if size else "no square"
        cure = "as many as the size says" if size else "--image-size HxW to say the size"
        raise DatasetError(f"{path}: {count} pixels a line are {told}; wanted {cure}")
    pictures = pixels.reshape(-1, channels, height, width)
    if "emnist" in str(path and path.name).lower():
        pictures = pictures.swapaxes(2, 3)
        note(f"{path}: EMNIST's pictures are stored transposed, and are turned")
    return Part(pictures, labels, str(path))
