"""Mean and standard deviation of pixels: (pixels / 255 - mean) / std, channel by channel."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.checks import check_is
from minicnn.data.dataset import Dataset, in_channels
from minicnn.formats import shown

MeanAndStd = tuple[Sequence[float] | float, Sequence[float] | float]


def mean_and_std(dataset: Dataset) -> tuple[list[float], list[float]]:
    """The mean and the standard deviation of each channel's pixels / 255, over all pictures.

    Exact: of how often each of the 256 grey levels occurs.

    Raises:
        TypeError: no Dataset.
        ValueError: a channel has one value everywhere, or there are no pictures.
    """
    check_is("dataset", dataset, Dataset, "a Dataset")
    images = in_channels(dataset.images)
    levels, means, stds = np.arange(256) / 255, [], []
    for channel in range(images.shape[1]):
        counts = np.bincount(images[:, channel].ravel(), minlength=256)
        if np.count_nonzero(counts) < 2:
            raise ValueError(
                f"{dataset.name}: channel {channel} has one value everywhere, or none; wanted "
                "pictures with a standard deviation above 0"
            )
        mean = float(np.average(levels, weights=counts))
        means.append(mean)
        stds.append(float(np.average((levels - mean) ** 2, weights=counts) ** 0.5))
    return means, stds


def scale_and_shift(normalise: Any, channels: int) -> NDArray[np.float32]:
    """a and b, each (channels, 1, 1), with a * pixels + b = (pixels / 255 - mean) / std.

    Raises:
        ValueError: not a pair of a number for each channel, or a standard deviation of 0 or less.
    """
    try:
        pair = np.array(normalise, np.float64)
    except (TypeError, ValueError, OverflowError):
        pair = np.zeros(0)
    fits = pair.shape in ((2,), (2, channels)) and np.isfinite(pair).all()
    if not fits or (pair[1] <= 0).any():
        raise ValueError(
            f"normalise is {shown(normalise)}; wanted (mean, std), each with {channels} number"
            f"{'s' * (channels != 1)}, std above 0"
        )
    mean, std = (np.broadcast_to(part, channels) for part in pair)
    return np.stack([1 / (255 * std), -mean / std])[:, :, None, None].astype(np.float32)
