"""``torch.utils.data``: data sets of tensors, and batches of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicnn import functions
from minicnn.random import default_generator
from minicnn.tensor import Tensor as EngineTensor

from .mistakes import refuse
from .tensor import Tensor, wrap


class Dataset:
    """Write ``__len__`` and ``__getitem__``, which returns an example: (x, y)."""

    __module__ = "torch.utils.data.dataset"

    def __getitem__(self, index: int) -> Any:
        """Example number ``index``."""
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__(self, index)")


class TensorDataset(Dataset):
    """Example i is (X[i], y[i]) of tensors of one length."""

    __module__ = "torch.utils.data.dataset"

    def __init__(self, *tensors: Tensor):
        lengths = {len(tensor) for tensor in tensors}
        if len(lengths) != 1:
            raise ValueError(
                f"TensorDataset: tensors have lengths {sorted(lengths)}; wanted one length"
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


class DataLoader:
    """Batches of a data set: lists [X, y] of stacked examples, in a new order if ``shuffle``.

    Args:
        dataset: with ``len()`` and ``[i]``.
        num_workers, pin_memory: as in PyTorch they do not change the batches; there are no
            workers here.
        drop_last: leave out a last batch that is smaller.
        collate_fn: makes a batch of a list of examples.
    """

    __module__ = "torch.utils.data.dataloader"

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        **others: Any,
    ):
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"DataLoader: batch_size is {batch_size!r}; wanted an int >= 1")
        refuse("DataLoader", **{name: (value, None) for name, value in others.items()})
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle
        self.drop_last, self.num_workers, self.pin_memory = drop_last, num_workers, pin_memory
        self.collate_fn = collate_fn or default_collate

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        n = len(self.dataset)
        order = default_generator().permutation(n) if self.shuffle else np.arange(n)
        return (
            self._batch(order[i * self.batch_size :][: self.batch_size]) for i in range(len(self))
        )

    def _batch(self, rows: np.ndarray) -> Any:
        if isinstance(self.dataset, TensorDataset) and self.collate_fn is default_collate:
            return list(self.dataset[rows])
        return self.collate_fn([self.dataset[int(i)] for i in rows])


def default_collate(batch: list[Any]) -> Any:
    """Examples as one batch: tensors, arrays and numbers stacked, tuples and lists part by part."""
    first = batch[0]
    if isinstance(first, tuple | list):
        return [default_collate(list(parts)) for parts in zip(*batch, strict=True)]
    if isinstance(first, Tensor):
        return wrap(functions.stack([example.tensor for example in batch]))
    kind = np.float64 if isinstance(first, float) else None  # as PyTorch's
    return wrap(EngineTensor(np.asarray(batch, dtype=kind)))


CLASSES = (Dataset, TensorDataset, DataLoader)
