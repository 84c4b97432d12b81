"""Keras' ``.npz``: the arrays x_train, y_train, x_test, y_test in one file."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.data.dataset import Dataset
from minicnn.data.errors import DatasetError
from minicnn.data.own.arrays import Found, Part, found
from minicnn.files import expand
from minicnn.formats import in_short, kind_of, shortened

NAMES = ("x_train", "y_train", "x_test", "y_test")


def from_npz(path: str | Path) -> tuple[Dataset, Dataset]:
    """Training and test set of a NumPy archive as Keras has them (its mnist.npz).

    x_train, x_test: whole numbers 0..255, (N, H, W), (N, C, H, W) or (N, H, W, C).
    y_train, y_test: whole numbers, (N,) or (N, 1).

    Pickled objects in it are never loaded: a pickle can run any code.

    Raises:
        DatasetError: it is none, an array is missing, pickled, or does not fit.
        OSError: it cannot be opened.
    """
    return read(expand(path))[2:]


def read(path: Path) -> Found:
    """The same, with its name and kind."""
    x, y, x_test, y_test = _arrays(path)
    train = Part(x, _labels(y, "y_train", path), f"{path}: x_train")
    test = Part(x_test, _labels(y_test, "y_test", path), f"{path}: x_test")
    return found(path.stem, "npz", train, test)


def _arrays(path: Path) -> list[NDArray[Any]]:
    wanted = f"wanted {', '.join(NAMES)}, as in Keras' mnist.npz"
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            kind = kind_of(file.read(1 << 12))
            raise DatasetError(f"{path} is {kind or 'damaged, or no NumPy archive (.npz)'}")
        try:
            archive = np.load(file, allow_pickle=False)
            if missing := [name for name in NAMES if name not in archive]:
                has = shortened(", ".join(archive)) or "nothing"
                raise DatasetError(f"{path} lacks {', '.join(missing)}, it has {has}; {wanted}")
            return [_plain(archive[name], name, path) for name in NAMES]
        except DatasetError:
            raise
        except Exception as error:  # a damaged file raises what it happens to lead to
            if "allow_pickle" not in str(error):
                raise DatasetError(f"{path} is damaged: {in_short(error)}") from error
            raise DatasetError(
                f"{path} holds pickled objects, which are not loaded: they could run any code; "
                "wanted plain arrays of numbers"
            ) from error


def _plain(member: Any, name: str, path: Path) -> NDArray[Any]:
    """A member of the archive, which NumPy gives as bytes where it is no array."""
    if not isinstance(member, np.ndarray):
        raise DatasetError(f"{path}: {name} is no array, as numpy.savez writes them")
    return member


def _labels(labels: NDArray[Any], name: str, path: Path) -> NDArray[Any]:
    """(N,) of (N,) or (N, 1), whole numbers."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        cure = ""
        if labels.ndim == 2:
            cure = f": {name}.argmax(1)"
        raise DatasetError(
            f"{path}: {name} is {labels.dtype} of shape {labels.shape}; wanted whole numbers, one "
            f"a picture{cure}"
        )
    return labels
