"""Splitting images off a data set, to choose by."""

import numpy as np

from minicnn.checks import check_integer, check_is
from minicnn.data.dataset import Dataset


def split_off(dataset: Dataset, number: int) -> tuple[Dataset, Dataset]:
    """The data set without ``number`` of its images, and these.

    They are the last ones of each class, as many as are in proportion: nothing is drawn, and images
    in the order of their classes are split as well as others. Of Fashion-MNIST's 60,000, 5,000 are
    the last 500 of each class.

    Raises:
        ValueError: fewer than one image, or none left.
        TypeError: no Dataset, or no integer.
    """
    check_is("dataset", dataset, Dataset, "a Dataset")
    check_integer("number", number)
    if not 1 <= number < len(dataset):
        raise ValueError(f"number is {number}; wanted 1 to {len(dataset) - 1:,}, so that some stay")
    from_the_end = np.empty(len(dataset))  # an image's place in its class: 0 the last, 1 the first
    for label in np.unique(dataset.labels):
        rows = np.flatnonzero(dataset.labels == label)
        from_the_end[rows] = 1 - (np.arange(len(rows)) + 0.5) / len(rows)
    are_off = np.zeros(len(dataset), bool)
    are_off[np.argsort(from_the_end, kind="stable")[:number]] = True
    return dataset[~are_off], dataset[are_off]
