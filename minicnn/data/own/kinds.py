"""Which kind of data a folder or file holds."""

from pathlib import Path

from minicnn.data.dataset import Dataset
from minicnn.data.errors import DatasetError
from minicnn.data.own import csv_files, idx_files, npz_file, picture_files
from minicnn.data.own.arrays import Found
from minicnn.files import expand

WANTED = (
    "wanted four IDX files, Keras' .npz, train.csv with the label first, or a folder of pictures "
    "for each class"
)
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".rar")


def from_folder(
    path: str | Path, size: tuple[int, int] | None = None, seed: int = 0
) -> tuple[Dataset, Dataset]:
    """Training and test set of a folder of any kind, as ``--data-dir`` of training takes it.

    In this order: four IDX files (``from_idx``), a .npz (``from_npz``), CSV (``from_csv``), a
    folder of pictures for each class (``from_pictures``). What is decided on the way, such as which
    pictures are for testing where there is no test set, is said.

    Args:
        path: the folder; a .npz or .csv file by itself too.
        size: (height, width) of the pictures: they are resized to it; a line of a CSV is read as
            such a picture. IDX and .npz say the size themselves.
        seed: draws the test set where there is none.

    Raises:
        DatasetError: nothing that is known, or something is wrong with it; the message names the
            file and what was wanted.
        ValueError: ``size`` for a kind that says the size itself.
        OSError: a file cannot be opened.
    """
    return find(expand(path), size, seed)[2:]


def find(path: Path, size: tuple[int, int] | None = None, seed: int = 0) -> Found:
    """The same, with its name and kind."""
    if path.is_dir():
        return _in_folder(path, size, seed)
    if not path.exists():
        raise DatasetError(f"{path} is not there; {WANTED}")
    if path.suffix == ".npz":
        _no_size(path, size)
        return npz_file.read(path)
    if path.suffix == ".csv":
        return csv_files.read(path, size, seed)
    raise DatasetError(f"{path} is a file; {WANTED}: is it {path.parent}?")


def _in_folder(folder: Path, size: tuple[int, int] | None, seed: int) -> Found:
    if sets := idx_files.sets_in(folder):
        _no_size(folder, size)
        return idx_files.read(folder, sets)
    archives = sorted(folder.glob("*.npz"))
    if len(archives) == 1:
        _no_size(archives[0], size)
        return npz_file.read(archives[0])
    if archives:
        names = ", ".join(path.name for path in archives)
        raise DatasetError(f"{folder} holds {names}; wanted the path of one of them")
    if any(folder.glob("*.csv")):
        return csv_files.read(folder, size, seed)
    if picture_files.class_folders(folder):
        return picture_files.read(folder, size, seed)
    raise DatasetError(f"{folder} {_holds(folder)}; {WANTED}")


def _no_size(path: Path, size: tuple[int, int] | None) -> None:
    if size is not None:
        raise ValueError(
            f"--image-size (size=) is {size[0]}x{size[1]}, but {path} says itself how large its "
            "pictures are; wanted none"
        )


def _holds(folder: Path) -> str:
    """What lies in a folder without data, and what to do with it."""
    names = sorted(path.name for path in folder.iterdir())
    if not names:
        return "is empty"
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    packed = "; unpack the archive" if any(name.endswith(ARCHIVES) for name in names) else ""
    return f"holds {', '.join(names[:5])}{more}{packed}"
