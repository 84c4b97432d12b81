"""What ``fit`` and ``evaluate`` take: batches, or images with labels, which they cut themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import nn
from minicnn.checks import check_is
from minicnn.compiler import CompiledStep
from minicnn.data import DataLoader, Dataset
from minicnn.device import device_of
from minicnn.nn.module import device_of_net

BATCH_SIZE = 256


class Inputs(Dataset):
    """Images that are the net's input as they are: floating-point numbers in any range.

    A ``DataLoader`` of them with ``raw=True`` gives slices of ``images``.

    Args:
        images: (N, ...), floating point.
        labels: integers (N,).
    """

    def __init__(self, images: Any, labels: Any, classes: int) -> None:
        super().__init__(np.zeros((len(images), 1, 1), np.uint8), labels, classes)  # checks labels
        self.images = images


def batches_of(where: str, value: Any, net: nn.Module, shuffle: bool) -> DataLoader:
    """A loader of ``value``; itself if it gives batches already.

    A ``Dataset``, or a pair (images, labels), becomes batches of 256 on the net's device. Images of
    whole numbers are pixels, 0..255, and are divided by 255; floating-point images are the net's
    input as they are, in the dtype of its parameters.

    Args:
        where: "fit: train", which errors begin with.
        shuffle: draw a new order each epoch, from the generator that ``manual_seed`` sets.

    Raises:
        TypeError: an array, or another number of parts than two; labels that are no integers.
        ValueError: shapes that do not fit together, or negative labels.
    """
    device = device_of_net(net)
    if isinstance(value, Dataset):
        return DataLoader(value, BATCH_SIZE, shuffle, device=device)
    if isinstance(value, tuple) and [isinstance(part, Dataset) for part in value] == [False] * 2:
        images, labels = map(np.asarray, value)
        classes = int(labels.max()) + 1 if labels.size and labels.dtype.kind in "iu" else 1
        if images.dtype.kind != "f":
            dataset = Dataset(images, labels, classes)
            return DataLoader(dataset, BATCH_SIZE, shuffle, device=device)
        dtype = next((p.dtype for p in net.parameters()), np.dtype(np.float32))
        inputs = Inputs(images.astype(dtype, copy=False), labels, classes)
        return DataLoader(inputs, BATCH_SIZE, shuffle, device=device, raw=True)
    if isinstance(value, list):  # of batches
        for batch in value:
            check_is(f"{where}: a batch", batch, tuple | list, "a pair of pictures and labels")
    if not _may_give_batches(value):
        raise TypeError(
            f"{where} is a {type(value).__name__}; wanted a pair (images, labels), a data.Dataset, "
            "or batches: data.DataLoader(dataset, batch_size=256)"
        )
    return value


def _may_give_batches(value: Any) -> bool:
    """Whether it can be iterated over, and is none of what gives no pairs."""
    is_other = isinstance(value, str | bytes | dict | tuple | type) or hasattr(value, "__array__")
    return hasattr(value, "__iter__") and not is_other


def gathers(step: Any, loader: Any) -> bool:
    """Whether a step can gather a loader's batches by itself.

    For that the data lie on its device, and no ranks share the batches. What a loader makes of the
    pixels is float32, so the net has to be.
    """
    if not (isinstance(step, CompiledStep) and step.gathers and type(loader) is DataLoader):
        return False
    arrays = loader.images, loader.labels
    return (
        (loader.raw or step.means.loss.dtype == np.float32)
        and loader.share is None
        and all(device_of(array) == step.device and array.flags.c_contiguous for array in arrays)
    )
