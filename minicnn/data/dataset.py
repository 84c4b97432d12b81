"""Images and their labels, held together."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from minicnn.formats import shown

CHANNELS = (1, 3, 4)  # grey, colours, colours with transparency

MOST_CLASSES = 10**6  # that are made up from their number


class Dataset:
    """Images with a label each.

    Args:
        images: whole numbers 0..255, (N, H, W) or (N, C, H, W): an array, a tensor (PyTorch's
            too), or a list of pictures.
        labels: integers (N,), the class of each image.
        classes: the name of each class: label k means ``classes[k]``. A number K stands for K
            classes called "0", "1"...
        name: what to call it when it is printed.

    Attributes:
        images: uint8; the array that was passed, if it is uint8 already.
        labels: int64.
        classes: a tuple of names.
        name: as passed.

    Raises:
        TypeError: images are not whole numbers, or labels not integers.
        ValueError: pixels outside 0..255, shapes that do not fit together, or a label without a
            class.

    ``len(dataset)`` is N. ``dataset[:100]``, or an array of indices or booleans, picks a Dataset.
    """

    def __init__(
        self, images: Any, labels: Any, classes: int | Sequence[str], name: str = "dataset"
    ) -> None:
        self.images: NDArray[np.uint8] = _images(_array("images", images))
        self.labels: NDArray[np.int64] = _labels(_array("labels", labels), len(self.images))
        self.classes: tuple[str, ...] = _classes(classes)
        self.name = name
        _check_classes(self.labels, len(self.classes))

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> NoReturn:
        raise TypeError("a Dataset has no batches; wanted data.DataLoader(dataset, batch_size)")

    def __getitem__(self, index: Any) -> "Dataset":
        rows = index if isinstance(index, slice | list | range) else np.asarray(index)
        if isinstance(index, tuple) or getattr(rows, "ndim", 1) != 1:
            raise TypeError(
                f"index is {shown(index)}; wanted a slice or an array (one image: "
                "dataset.images[i])"
            )
        return Dataset(self.images[rows], self.labels[rows], self.classes, self.name)

    @cached_property
    def digest(self) -> str:
        """The SHA-256, in hexadecimal, of all images and labels and of their shape."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        for array in (self.images, self.labels):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.images.shape[1:]))
        return f"<{self.name}: {len(self)} images of {shape}, {len(self.classes)} classes>"


def _array(name: str, value: Any) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError as error:  # a list whose parts have different shapes
        raise ValueError(f"{name} have parts of different shapes; wanted one shape") from error


def _images(images: NDArray[Any]) -> NDArray[np.uint8]:
    """uint8 (N, H, W) or (N, C, H, W)."""
    _check_shape(images.shape)
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind not in "biuf":
        raise TypeError(f"images are {images.dtype}; wanted an array of uint8 pixels")
    lowest, highest = (images.min(), images.max()) if images.size else (0, 0)
    if images.dtype.kind in "bf":
        cure = _to_bytes(images.dtype, float(lowest), float(highest))
        raise TypeError(
            f"images are {images.dtype} {lowest:.4g}..{highest:.4g}; wanted uint8: {cure}"
        )
    if lowest < 0 or highest > 255:
        raise ValueError(f"images are {lowest}..{highest}; wanted 0..255")
    return images.astype(np.uint8)


def _check_shape(shape: tuple[int, ...]) -> None:
    wanted = "wanted (N, H, W) or (N, C, H, W)"
    if len(shape) == 4 and shape[3] in CHANNELS and min(shape[1:3]) > max(CHANNELS):
        raise ValueError(
            f"images have shape {shape}, channels last; {wanted}: images.transpose(0, 3, 1, 2)"
        )
    if len(shape) not in (3, 4):
        side = round(shape[1] ** 0.5) if len(shape) == 2 else 0
        cure = f": images.reshape(-1, {side}, {side})" if side and side**2 == shape[1] else ""
        raise ValueError(f"images have shape {shape}; {wanted}{cure}")


def _to_bytes(dtype: np.dtype[Any], lowest: float, highest: float) -> str:
    """How to convert such pixels to uint8."""
    if dtype.kind == "b":
        return 'images.astype("uint8") * 255'
    if 0 <= lowest <= highest <= 1:
        return '(images * 255).round().astype("uint8")'
    if 0 <= lowest <= highest <= 255:
        return 'images.round().astype("uint8")'
    return "pixels 0..255, before anything is subtracted from them"


def _labels(labels: NDArray[Any], count: int) -> NDArray[np.int64]:
    """int64 (N,)."""
    if labels.shape != (count,):
        cure = ""
        if labels.ndim == 2 and len(labels) == count:
            cure = ": labels.argmax(1)" if labels.shape[1] > 1 else ": labels[:, 0]"
        raise ValueError(f"labels have shape {labels.shape}; wanted ({count},), one an image{cure}")
    if not np.issubdtype(labels.dtype, np.integer) and labels.size:
        cure = 'labels.astype("int64")'
        if labels.dtype.kind not in "bf":
            cure = "names, labels = numpy.unique(labels, return_inverse=True)"
        raise TypeError(f"labels are {labels.dtype}; wanted integers: {cure}")
    return labels.astype(np.int64, copy=False)


def _classes(classes: int | Sequence[str]) -> tuple[str, ...]:
    if isinstance(classes, int | np.integer):
        if classes > MOST_CLASSES:
            raise ValueError(f"classes is {shown(classes)}; wanted at most {MOST_CLASSES}")
        return tuple(map(str, range(classes)))
    try:
        given: tuple[Any, ...] = tuple(classes)
        if any(not isinstance(name, str) and np.ndim(name) for name in given):
            raise TypeError
    except (TypeError, ValueError):  # no sequence, or a sequence of sequences
        raise TypeError(
            f"classes is {shown(classes)}; wanted names, or a number of classes"
        ) from None
    names = tuple(map(str, given))
    if len(set(names)) < len(names):
        raise ValueError(
            f"classes has {shown(max(names, key=names.count))} twice; wanted unlike names"
        )
    return names


def _check_classes(labels: NDArray[np.int64], count: int) -> None:
    if labels.size and not 0 <= labels.min() <= labels.max() < count:
        cure = ": labels - 1" if labels.min() == 1 and labels.max() == count else ""
        raise ValueError(
            f"labels are {labels.min()}..{labels.max()}; wanted 0..{count - 1}, "
            f"one of {count} classes{cure}"
        )


def in_channels(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, C, H, W) of (N, H, W); others as they are."""
    return images[:, None] if images.ndim == 3 else images
