"""Images and their labels, held together."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(eq=False, repr=False)
class Dataset:
    """Images with a label each.

    Attributes:
        images: uint8 (N, H, W) or (N, C, H, W).
        labels: int64 (N,), the class of each image; other integer types are converted.
        classes: the name of each class: label k means ``classes[k]``.
        name: what to call it when it is printed.

    Raises:
        TypeError: images are not uint8, or labels not integers.
        ValueError: the shapes do not fit together, or a label names no class.

    ``len(dataset)`` is N. ``dataset[:100]``, or an array of indices or booleans, picks a Dataset.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    name: str = "dataset"

    def __post_init__(self) -> None:
        self.classes = tuple(self.classes)
        self._check()
        self.labels = self.labels.astype(np.int64, copy=False)

    def _check(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != np.uint8:
            raise TypeError(f"images are {images.dtype}; wanted uint8")
        if images.ndim not in (3, 4):
            raise ValueError(f"images have shape {images.shape}; wanted (N, H, W) or (N, C, H, W)")
        if not np.issubdtype(labels.dtype, np.integer):
            raise TypeError(f"labels are {labels.dtype}; wanted integers")
        if labels.shape != (len(images),):
            raise ValueError(
                f"labels have shape {labels.shape}; wanted ({len(images)},), one an image"
            )
        if labels.size and not 0 <= labels.min() <= labels.max() < len(self.classes):
            last = len(self.classes) - 1
            raise ValueError(f"labels are {labels.min()}..{labels.max()}; wanted 0..{last}")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: slice | NDArray[Any] | list[int]) -> "Dataset":
        if not isinstance(index, slice | np.ndarray | list):
            raise TypeError(
                f"index is {index!r}; wanted a slice or an array (one image: dataset.images[i])"
            )
        return Dataset(self.images[index], self.labels[index], self.classes, self.name)

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.images.shape[1:]))
        return f"<{self.name}: {len(self)} images of {shape}, {len(self.classes)} classes>"
