"""Fashion-MNIST as batches, in any size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import data
from minicnn.checks import check_text
from minicnn.data.catalogue import CATALOGUE
from minicnn.data.sample import load_or_sample
from minicnn.device import device_of, to_device
from minicnn.formats import shown
from minicnn.tensor import Tensor


def load_data_fashion_mnist(
    batch_size: int,
    resize: int | tuple[int, int] | None = None,
    root: str | Path | None = None,
    *,
    dataset: str | None = None,
) -> tuple[data.DataLoader, data.DataLoader]:
    """Fashion-MNIST as batches: (train_iter, test_iter), the first in a new order each epoch.

    A batch is x, float32 (B, 1, H, W) in [0, 1], and y, int64 (B,).

    Args:
        batch_size: B.
        resize: H and W, or one number for both; 28 x 28 by default. Each batch is resized when it
            is drawn, so that large pictures never fill the memory.
        root: a folder with the files, as for ``data.load``.
        dataset: a name, as for ``data.load``. By default Fashion-MNIST or, if it cannot be had, the
            sample inside the package, with a notice.

    Raises:
        ValueError: a batch size or a picture size below 1.
        DatasetError, DatasetNotFoundError: as ``data.load``.
    """
    if dataset is not None:
        check_text("dataset", dataset)
    _, train, test = load_or_sample(dataset, root)
    if resize is None:
        return data.DataLoader(train, batch_size, shuffle=True), data.DataLoader(test, batch_size)
    size = _height_and_width(resize)
    return _Resized(train, batch_size, True, size), _Resized(test, batch_size, False, size)


def _height_and_width(resize: Any) -> tuple[int, int]:
    """(H, W) from a whole number for both, or from two; 64.0 and NumPy's count as whole."""
    numbers = np.asarray(resize)
    whole = numbers.dtype.kind in "iuf" and bool(
        (np.isfinite(numbers) & (np.trunc(numbers) == numbers)).all()
    )
    if numbers.shape not in ((), (2,)) or not whole or numbers.min() < 1:
        raise ValueError(
            f"resize is {shown(resize)}; wanted a number of at least 1, or two of them"
        )
    height, width = np.broadcast_to(numbers, 2).tolist()
    return int(height), int(width)


class _Resized(data.DataLoader):
    """Batches of pictures in another size: x is (B, C, H, W) with ``size`` = (H, W)."""

    def __init__(
        self, dataset: data.Dataset, batch_size: int, shuffle: bool, size: tuple[int, int]
    ):
        super().__init__(dataset, batch_size, shuffle)
        self.rows = resampling_matrix(self.images.shape[-2], size[0])
        self.columns = resampling_matrix(self.images.shape[-1], size[1])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in super().__iter__():
            device = device_of(x.data)
            rows, columns = to_device(self.rows, device), to_device(self.columns, device)
            yield Tensor(rows @ x.data @ columns.T), y


def resampling_matrix(old: int, new: int) -> np.ndarray:
    """R, (new, old): R @ x resamples the ``old`` cells of a column x to ``new`` cells, linearly.

    The centre of new cell i lies at (i + 1/2) old / new, those of the old cells at j + 1/2. An old
    cell's weight falls linearly with the distance, to 0 at one cell or, where pictures shrink, at
    old / new cells. These are the weights of Pillow (``Image.BILINEAR``), with which the book's
    PyTorch code resizes.
    """
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale
    distance = np.abs(np.arange(old) + 0.5 - centres[:, None])
    weights = np.maximum(0, 1 - distance / max(1.0, scale))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def get_fashion_mnist_labels(labels: Iterable[Any]) -> list[str]:
    """The names of classes 0..9 as the book writes them: t-shirt, trouser, ... ankle boot.

    Raises:
        ValueError: a number that is not a class.
    """
    classes = CATALOGUE["fashion-mnist"].classes
    try:
        numbers = [int(label) for label in labels]
    except (TypeError, ValueError):
        raise TypeError(f"labels is {shown(labels)}; wanted the numbers of classes") from None
    if any(not 0 <= number < len(classes) for number in numbers):
        raise ValueError(f"labels are {min(numbers)}..{max(numbers)}; wanted 0..{len(classes) - 1}")
    return [classes[number].lower().removesuffix("/top") for number in numbers]
