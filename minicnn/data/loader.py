"""Cutting a data set into batches."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicnn import kernels
from minicnn.data.dataset import Dataset, in_channels
from minicnn.data.normalising import MeanAndStd, scale_and_shift
from minicnn.device import on_device_of, to_device
from minicnn.formats import shown
from minicnn.kernels import is_host, reference
from minicnn.random import default_generator
from minicnn.tensor import Tensor

# Arguments that only PyTorch's DataLoader has, and what to do instead.
NOT_HERE = {
    "num_workers": "leave it out: a batch is cut from one array, in this process",
    "pin_memory": "leave it out: with device='gpu' the images lie on the GPU already",
    "drop_last": "cut the data set instead: dataset[: len(dataset) // batch_size * batch_size]",
    "generator": "give seed=0, or call minicnn.manual_seed",
    "sampler": "pick the images instead: DataLoader(dataset[indices], batch_size)",
    "collate_fn": "leave it out: a Dataset's images and labels are arrays already",
}


class DataLoader:
    """Batches of a data set, an epoch each time it is iterated; the last batch may be smaller.

        for x, y in DataLoader(train, batch_size=256, shuffle=True, seed=0): ...

    x: float32 (B, C, H, W) in [0, 1], the pixels / 255 (raw: uint8, as they are stored; normalise:
    (pixels / 255 - mean) / std); y: int64 (B,). Images (N, H, W) have C = 1.

    The device's memory holds the images once, as bytes: on the CPU in the data set's own array.
    Without shuffling, y and raw x are views of the data set there.

    Args:
        dataset: what to cut.
        batch_size: B, at least 1.
        shuffle: draw a new order for each epoch.
        seed: the order of epoch e depends on (seed, e) alone; None: it comes from the generator
            that ``minicnn.manual_seed`` sets.
        device: where the batches are: "cpu", "gpu", "gpu:1".
        raw: give the pixels as they are stored, uint8 from 0 to 255. On a GPU a batch is then
            valid until the next one, which uses the same memory.
        normalise: (mean, std), each a number for each channel, as ``data.mean_and_std(train)``
            gives them (of the training set, for both sets); for one channel two numbers will do.

    Attributes:
        dataset: what is cut: ``len(loader.dataset)`` images.
        epoch: how many epochs were begun. Set it to resume a seeded run where it stopped.
        share: while ranks share the batches (``minicnn.distributed``): of a number of rows the
            first of this rank's and the one after its last.

    Raises:
        TypeError: dataset is no Dataset, or an argument that only PyTorch's DataLoader has.
        ValueError: batch_size is not an int >= 1, or seed neither None nor an int >= 0; normalise
            is no such pair, or goes with raw.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        seed: int | None = None,
        device: str = "cpu",
        raw: bool = False,
        normalise: MeanAndStd | None = None,
        **others: Any,
    ) -> None:
        _check_arguments(dataset, others)
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise ValueError(f"batch_size is {shown(batch_size)}; wanted an int >= 1")
        if seed is not None and (not isinstance(seed, int | np.integer) or seed < 0):
            raise ValueError(f"seed is {shown(seed)}; wanted None or an int >= 0")
        if raw and normalise is not None:
            raise ValueError("raw is True with normalise; wanted one: raw pixels are as they are")
        self.dataset = dataset
        self.images: Any = to_device(in_channels(dataset.images), device)
        self.labels: Any = to_device(dataset.labels, device)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.device = device
        self.raw = raw
        self.scale: Any = None
        if normalise is not None:
            self.scale = to_device(scale_and_shift(normalise, self.images.shape[1]), device)
        self.epoch = 0
        self.share: Callable[[int], tuple[int, int]] | None = None
        self._memory: dict[tuple[int, int], Any] = {}

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self.labels) // self.batch_size)

    def images_in(self, batch: int) -> int:
        """How many images batch number ``batch`` of an epoch has, from 0 on."""
        return min(self.batch_size, len(self.labels) - batch * self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self._batches(self.begin_epoch())

    def begin_epoch(self) -> Any:
        """Count an epoch and draw its order: int64 (N,), on the device; None without shuffling."""
        order = self._draw_order() if self.shuffle else None
        self.epoch += 1
        return order

    def _draw_order(self) -> Any:
        if self.seed is None:
            generator = default_generator()
        else:
            generator = np.random.default_rng((self.seed, self.epoch))
        return to_device(generator.permutation(len(self.labels)), self.device)

    def _batches(self, order: Any) -> Iterator[tuple[Tensor, Tensor]]:
        for number in range(len(self)):
            start, size = number * self.batch_size, self.images_in(number)
            first, last = (0, size) if self.share is None else self.share(size)
            rows = slice(start + first, start + last)
            picked = rows if order is None else order[rows]
            with on_device_of(self.labels):
                x, y = self._arrays(picked)
            yield Tensor(x), Tensor(y)

    def _arrays(self, rows: Any) -> tuple[Any, Any]:
        if self.raw:
            return self._pick(self.images, rows), self._pick(self.labels, rows)
        # for NumPy's arrays it is the same in every set of kernels: no reason to load Numba
        chosen = reference if is_host(self.images) else kernels.of(self.images)
        return chosen.load_batch(self.images, self.labels, rows, self.scale)

    def _pick(self, array: Any, rows: Any) -> Any:
        """array[rows]; on a GPU it lies in memory that is kept for its size."""
        if isinstance(rows, slice):
            return array[rows]
        if is_host(array):
            return array.take(rows, axis=0)
        key = id(array), len(rows)
        if key not in self._memory:
            self._memory[key] = array[rows]
        return array.take(rows, axis=0, out=self._memory[key])


def _check_arguments(dataset: Any, others: dict[str, Any]) -> None:
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"dataset is {type(dataset).__name__}; wanted a Dataset: "
            "data.Dataset(images, labels, classes), or one of data.load(name)"
        )
    for name in others:
        cure = NOT_HERE.get(name, "wanted batch_size, shuffle, seed, device, raw or normalise")
        raise TypeError(f"DataLoader has no argument {name}; {cure}")
