"""``tf.image`` and ``tf.keras.datasets``: pictures in another size, and where they come from."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import data
from minicnn.d2l.facades import helpers
from minicnn.d2l.facades.keras import making, shaping
from minicnn.d2l.facades.keras.arrays import PICTURES, Tensor, as_tensor
from minicnn.data.sample import load_or_sample
from minicnn.tensor import Tensor as EngineTensor

Arrays = tuple[np.ndarray, np.ndarray]


def resize(images: Any, size: Any) -> Tensor:
    """Pictures (N, H, W, C), or one, as float32 in another size, bilinearly.

    As TensorFlow's without ``antialias``: the centres of the cells stand at i + 1/2, and each new
    cell is a mean of the two old ones next to it.
    """
    x = as_tensor(images)
    if x.ndim == 3:
        return resize(shaping.expand_dims(x, 0), size)[0]
    pictures = x.held(PICTURES).to(np.float32)
    rows, cols = (
        EngineTensor(_weights(old, new), device=pictures.device)
        for old, new in zip(pictures.shape[2:], making.sizes(size), strict=True)
    )
    return Tensor(rows @ pictures @ cols.T, PICTURES)


def resize_with_pad(image: Any, target_height: int, target_width: int) -> Tensor:
    """Pictures (N, H, W, C) resized with their proportions, in a frame of zeros."""
    x = as_tensor(image)
    height, width = x.shape[1:3]
    scale = min(target_height / height, target_width / width)
    small = resize(x, (int(height * scale), int(width * scale)))
    around = [[0, 0], [0, 0], [0, 0], [0, 0]]
    for axis, (target, old) in enumerate(((target_height, height), (target_width, width)), 1):
        before = int((target - old * scale) / 2)
        around[axis] = [before, target - before - small.shape[axis]]
    return shaping.pad(small, around) if np.any(around) else small


def _weights(old: int, new: int) -> np.ndarray:
    """R, (new, old): R @ x has the ``new`` cells of a column x."""
    centres = (np.arange(new) + 0.5) * (old / new) - 0.5
    distance = np.abs(np.arange(old) - np.clip(centres, 0, old - 1)[:, None])
    return np.maximum(0, 1 - distance).astype(np.float32)


def to_categorical(y: Any, num_classes: int | None = None) -> np.ndarray:
    """``tf.keras.utils.to_categorical``: a row of 0 and 1 for each class number, float32."""
    labels = np.asarray(y, int)
    count = int(labels.max()) + 1 if num_classes is None else num_classes
    return np.eye(count, dtype=np.float32)[labels]


def fashion_mnist() -> tuple[Arrays, Arrays]:
    """``tf.keras.datasets.fashion_mnist.load_data``: see ``mnist``.

    Where Fashion-MNIST cannot be had it is the sample inside the package, with a notice.
    """
    _, train, test = load_or_sample(helpers.dataset)
    return _arrays(train), _arrays(test)


def mnist() -> tuple[Arrays, Arrays]:
    """``tf.keras.datasets.mnist.load_data``: ((x_train, y_train), (x_test, y_test)).

    Pictures (N, 28, 28) and class numbers (N,), uint8.
    """
    train, test = data.load("mnist")
    return _arrays(train), _arrays(test)


def _arrays(dataset: data.Dataset) -> Arrays:
    return np.array(dataset.images), dataset.labels.astype(np.uint8)
