"""mxnet.gluon.data: data sets and their batches; MNIST and Fashion-MNIST."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.d2l.batches import resampling_matrix
from minicnn.data.sample import load_or_sample
from minicnn.random import default_generator
from minicnn.tensor import Tensor

from .arrays import Array
from .npx import array_type


class Dataset:
    """Examples by their numbers: write ``__getitem__`` and ``__len__``."""

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__(self, index)")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} has no __len__(self)")

    def transform(self, fn: Callable[..., Any], lazy: bool = True) -> Dataset:
        """Each example as ``fn`` makes it; fn receives its parts."""
        return _Transformed(self, lambda example: fn(*_parts(example)))

    def transform_first(self, fn: Callable[[Any], Any], lazy: bool = True) -> Dataset:
        """Each example with its first part, the picture, as ``fn`` makes it."""
        return _FirstTransformed(self, fn)

    def batch(self, rows: Sequence[int]) -> list[Any]:
        """The examples of these numbers, each part as one array."""
        examples = [_parts(self[int(row)]) for row in rows]
        return [_stacked(parts) for parts in zip(*examples, strict=True)]


class ArrayDataset(Dataset):
    """Arrays of one length: example i is the i-th slice of each.

    Raises:
        ValueError: none, or arrays of different lengths.
    """

    def __init__(self, *arrays: Any):
        if len({len(array) for array in arrays}) != 1:
            lengths = [len(array) for array in arrays]
            raise ValueError(f"ArrayDataset: arrays have lengths {lengths}; wanted one length")
        self._arrays = arrays

    def __len__(self) -> int:
        return len(self._arrays[0])

    def __getitem__(self, index: Any) -> Any:
        parts = tuple(array[index] for array in self._arrays)
        return parts if len(parts) > 1 else parts[0]

    def batch(self, rows: Sequence[int]) -> list[Any]:
        """See ``Dataset``."""
        if all(isinstance(array, Array | np.ndarray) for array in self._arrays):
            return [_as_array(array[np.asarray(rows)]) for array in self._arrays]
        return super().batch(rows)


class _Transformed(Dataset):
    def __init__(self, dataset: Any, fn: Callable[[Any], Any]):
        self._dataset, self._fn = dataset, fn

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: Any) -> Any:
        return self._fn(self._dataset[index])


class _FirstTransformed(_Transformed):
    def __getitem__(self, index: Any) -> Any:
        first, *others = _parts(self._dataset[index])
        return (self._fn(first), *others) if others else self._fn(first)

    def batch(self, rows: Sequence[int]) -> list[Any]:
        """See ``Dataset``; our own transforms take a whole batch at once."""
        of_batch = getattr(self._fn, "of_batch", None)
        if of_batch is None:
            return super().batch(rows)
        first, *others = _batch(self._dataset, rows)
        return [of_batch(first), *others]


class DataLoader:
    """Batches of a data set: lists of arrays, an epoch each time it is iterated.

    Args:
        dataset: a ``Dataset``, or anything with numbered examples.
        shuffle: draw a new order for each epoch.
        last_batch: ``'keep'`` a smaller last batch or ``'discard'`` it.
        num_workers: how many processes MXNet would use; here this one cuts the batches.

    Raises:
        ValueError: no batch size of at least 1, or another ``last_batch``.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        shuffle: bool = False,
        last_batch: str = "keep",
        num_workers: int = 0,
    ):
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"DataLoader: batch_size is {batch_size!r}; wanted an int >= 1")
        if last_batch not in ("keep", "discard"):
            raise ValueError(
                f"DataLoader: last_batch is {last_batch!r}; wanted 'keep' or 'discard'"
            )
        self._dataset, self._size, self._shuffle = dataset, batch_size, shuffle
        self._keeps_last = last_batch == "keep"

    def __len__(self) -> int:
        whole, rest = divmod(len(self._dataset), self._size)
        return whole + (rest > 0 and self._keeps_last)

    def __iter__(self) -> Iterator[Any]:
        count = len(self._dataset)
        order = default_generator().permutation(count) if self._shuffle else np.arange(count)
        for i in range(len(self)):
            batch = _batch(self._dataset, order[i * self._size : (i + 1) * self._size])
            yield batch if len(batch) > 1 else batch[0]


def _batch(dataset: Any, rows: Any) -> list[Any]:
    return dataset.batch(rows) if isinstance(dataset, Dataset) else Dataset.batch(dataset, rows)


def _parts(example: Any) -> tuple[Any, ...]:
    return tuple(example) if isinstance(example, tuple | list) else (example,)


def _stacked(parts: Sequence[Any]) -> Array:
    """The same part of several examples, along a new first axis."""
    if isinstance(parts[0], Array):
        return parts[0]._of(Tensor(np.stack([part.asnumpy() for part in parts])))
    return _as_array(np.asarray(parts))


def _as_array(cells: Any) -> Array:
    return cells if isinstance(cells, Array) else array_type()(Tensor(cells))


# Pictures -----------------------------------------------------------------------------------------


class _Pictures(Dataset):
    """Pictures, (28, 28, 1) of uint8, and their classes, int32.

    Args:
        root: a folder with the files; by default found as ``minicnn.data.load`` finds them.
        train: the training pictures, otherwise the test pictures.
        transform: a function of picture and class.
    """

    name: str | None

    def __init__(
        self,
        root: str | Path | None = None,
        train: bool = True,
        transform: Callable[[Any, Any], Any] | None = None,
    ):
        _, *both = load_or_sample(self.name, root)
        dataset: Any = both[0 if train else 1]
        self._images, self._labels = dataset.images[..., None], dataset.labels.astype(np.int32)
        self._transform = transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: Any) -> Any:
        picture, label = _as_array(self._images[index]), self._labels[index]
        return (picture, label) if self._transform is None else self._transform(picture, label)

    def batch(self, rows: Sequence[int]) -> list[Any]:
        """See ``Dataset``."""
        if self._transform is not None:
            return super().batch(rows)
        return [_as_array(self._images[rows]), _as_array(self._labels[rows])]


class MNIST(_Pictures):
    """Handwritten digits."""

    name = "mnist"


class FashionMNIST(_Pictures):
    """Clothes; the sample inside the package, with a notice, where the whole cannot be had."""

    name = None


class _Transform:
    """A function of a picture (H, W, C): write ``of_batch``, that of many, (N, H, W, C)."""

    def __call__(self, picture: Array) -> Array:
        return self.of_batch(picture.expand_dims(0))[0]

    def of_batch(self, pictures: Array) -> Array:
        """The pictures, transformed."""
        raise NotImplementedError


class ToTensor(_Transform):
    """(H, W, C) of uint8 as (C, H, W) of float32 in [0, 1]."""

    def of_batch(self, pictures: Array) -> Array:
        """See the class."""
        return pictures.transpose(0, 3, 1, 2).astype("float32") / 255


class Resize(_Transform):
    """(H, W, C) in another size, by weights that fall linearly with the distance.

    Args:
        size: height and width, or (width, height).
    """

    def __init__(self, size: int | tuple[int, int]):
        self._width, self._height = (size, size) if isinstance(size, int) else size

    def of_batch(self, pictures: Array) -> Array:
        """See the class."""
        cells = pictures.asnumpy()
        rows = resampling_matrix(cells.shape[1], self._height)
        columns = resampling_matrix(cells.shape[2], self._width)
        resized = np.einsum("ih,nhwc,jw->nijc", rows, cells, columns, optimize=True)
        return pictures._of(Tensor(np.rint(resized).astype(cells.dtype)))


class Compose(_Transform):
    """Transforms one after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]):
        self._transforms = list(transforms)

    def of_batch(self, pictures: Array) -> Array:
        """See the class."""
        for transform in self._transforms:
            of_batch = getattr(transform, "of_batch", None)
            if of_batch is None:
                pictures = _stacked([transform(picture) for picture in pictures])
            else:
                pictures = of_batch(pictures)
        return pictures


NAMES: dict[str, Any] = {kind.__name__: kind for kind in (Dataset, ArrayDataset, DataLoader)}
VISION: dict[str, Any] = {kind.__name__: kind for kind in (MNIST, FashionMNIST)}
TRANSFORMS: dict[str, Any] = {kind.__name__: kind for kind in (ToTensor, Resize, Compose)}
