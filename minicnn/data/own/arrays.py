"""What all kinds end in: two data sets whose labels are 0..K-1."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minicnn.data.dataset import CHANNELS, Dataset
from minicnn.data.errors import DatasetError
from minicnn.terminal import say

DARK = 64  # pixels of other scales, 0..1 or 0..16, are all below
SHARE = 0.2  # of each class, for the test set, where there is none


def from_arrays(
    images: Any, labels: Any, classes: Sequence[str] | None = None, name: str = "dataset"
) -> Dataset:
    """A data set of arrays, with labels of any kind.

    Args:
        images: whole numbers 0..255: (N, H, W), (N, C, H, W) or (N, H, W, C), with C = 1 or 3.
        labels: (N,) or (N, 1): whole numbers or names.
        classes: the names of the classes. A label is then a name of these, or the place of one,
            0..K-1. None: the labels that occur, in order, are the classes: 3, 5, 9 become 0, 1, 2
            and are called "3", "5", "9".
        name: what to call it when it is printed.

    Raises:
        TypeError: images or labels of another type.
        ValueError: shapes that do not fit, pixels outside 0..255, or a label without a class.
    """
    images, labels = channels_first(np.asarray(images)), _flat(np.asarray(labels))
    if labels.dtype.kind == "f" and labels.size:
        raise TypeError(f'labels are {labels.dtype}; wanted integers: labels.astype("int64")')
    if classes is None:
        values, labels = np.unique(labels, return_inverse=True)
        classes = [str(value) for value in values]
    elif labels.dtype.kind in "UO":
        labels = _places(labels, np.array(classes), name)
    return Dataset(images, labels, classes, name)


class Part(NamedTuple):
    """A training or test set as it was read.

    ``where`` names its file or folder in messages. Images are as for ``from_arrays``; labels are
    whole numbers (N,).
    """

    images: NDArray[Any]
    labels: NDArray[Any]
    where: str


class Found(NamedTuple):
    """What was found: the set's name, its kind ("idx", "npz", "csv", "pictures"), its two parts.

    The kind is "catalogue" where the files turned out to be those of a known data set.
    """

    name: str
    kind: str
    train: Dataset
    test: Dataset


def found(
    name: str,
    kind: str,
    train: Part,
    test: Part | None,
    classes: Sequence[str] | None = None,
    seed: int = 0,
) -> Found:
    """The two data sets; without ``test`` a fifth of each class is split off ``train``.

    The labels that occur in ``train`` are the classes, in order; with ``classes`` they are their
    places.

    Raises:
        DatasetError: only one class, a label without a class, pictures that are none, or of
            different shapes in the two parts. The message names the file.
    """
    for part in (train, test):
        if part is not None and not (part.images.ndim and part.images.size):
            raise DatasetError(f"{part.where}: there are no pictures; wanted some of each class")
    if len(train.labels) != len(train.images):
        raise DatasetError(_counts(train))
    values = np.unique(train.labels) if classes is None else np.arange(len(classes))
    if len(values) < 2:
        raise DatasetError(
            f"{train.where}: all {len(train.labels):,} labels are {values[0]}; wanted two classes"
            " or more"
        )
    if classes is None and not np.array_equal(values, np.arange(len(values))):
        note(f"the {len(values)} labels {values[0]}..{values[-1]} become 0..{len(values) - 1}")
    if test is None:
        train, test = split(train, seed, classes)
    names = tuple(map(str, values if classes is None else classes))
    pair = [
        _dataset(part, values, names, f"{name} {which}")
        for part, which in ((train, "train"), (test, "test"))
    ]
    if pair[0].images.shape[1:] != pair[1].images.shape[1:]:
        shapes = " and ".join(f"{size_of(part.images)} in {part.where}" for part in (train, test))
        raise DatasetError(f"pictures are {shapes}; wanted one size")
    largest = int(pair[0].images.max())
    if 0 < largest < DARK:
        note(
            f"the largest pixel of {train.where} is {largest} of 255, so the net sees nearly black "
            f"pictures: multiply them by {255 // largest}, or train with --normalise"
        )
    return Found(name, kind, *pair)


def note(text: str) -> None:
    """Say what was decided about the data."""
    say(f"note: {text}")


def split(whole: Part, seed: int, classes: Sequence[str] | None = None) -> tuple[Part, Part]:
    """A fifth of each class, drawn with the seed, as the test set; the others for training.

    Raises:
        DatasetError: a class of one picture.
    """
    draw = np.random.default_rng(seed)
    is_test = np.zeros(len(whole.labels), bool)
    for value in np.unique(whole.labels):
        (rows,) = np.nonzero(whole.labels == value)
        if len(rows) < 2:
            name = classes[value] if classes else value
            raise DatasetError(
                f"{whole.where}: class {name} has 1 picture; wanted 2 or more, one to test with"
            )
        count = max(1, round(SHARE * len(rows)))
        is_test[draw.permutation(rows)[:count]] = True
    note(
        f"no test set in {whole.where}: {SHARE:.0%} of each class, drawn with seed {seed}, are one "
        f"({is_test.sum():,} of {len(is_test):,} pictures)"
    )
    kept, drawn = (
        Part(whole.images[rows], whole.labels[rows], whole.where) for rows in (~is_test, is_test)
    )
    return kept, drawn


def size_of(images: NDArray[Any]) -> str:
    """The size of each picture in words: 28 x 28, 3 x 32 x 32."""
    return " x ".join(map(str, channels_first(images).shape[1:]))


def channels_first(images: NDArray[Any]) -> NDArray[Any]:
    """(N, H, W, C) as (N, C, H, W), where C is last and cannot be a width; others as they are.

    One channel becomes (N, H, W).
    """
    if images.ndim == 4 and images.shape[3] in CHANNELS and images.shape[1] not in CHANNELS:
        images = images.transpose(0, 3, 1, 2)
    return images[:, 0] if images.ndim == 4 and images.shape[1] == 1 else images


def _dataset(part: Part, values: NDArray[Any], names: tuple[str, ...], name: str) -> Dataset:
    if len(part.labels) != len(part.images):
        raise DatasetError(_counts(part))
    labels = _places(part.labels, values, part.where)
    try:
        return Dataset(np.ascontiguousarray(channels_first(part.images)), labels, names, name)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{part.where}: {error}") from error


def _counts(part: Part) -> str:
    return f"{part.where}: {len(part.images):,} pictures but {len(part.labels):,} labels"


def _places(labels: NDArray[Any], values: NDArray[Any], where: str) -> NDArray[np.int64]:
    """The place of each label among the classes' ``values``."""
    order = np.argsort(values)
    places = order[np.searchsorted(values, labels, sorter=order).clip(max=len(values) - 1)]
    if (unknown := labels != values[places]).any():
        known = ", ".join(map(str, values[:12])) + (", ..." if len(values) > 12 else "")
        raise DatasetError(f"{where}: label {labels[unknown][0]} is none of the classes {known}")
    return places.astype(np.int64)


def _flat(labels: NDArray[Any]) -> NDArray[Any]:
    """(N, 1) as (N,)."""
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
