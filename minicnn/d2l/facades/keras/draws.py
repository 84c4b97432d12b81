"""``tf.random``: the engine's generator, which ``tf.random.set_seed`` starts again."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.d2l.facades.keras import making, mistakes
from minicnn.d2l.facades.keras.arrays import Tensor, as_tensor
from minicnn.d2l.facades.keras.dtypes import as_dtype
from minicnn.random import default_generator, manual_seed


def set_seed(seed: int) -> None:
    """Start all draws again: weights, shuffles, dropout, ``tf.random``."""
    manual_seed(seed)


def _generator(seed: int | None) -> np.random.Generator:
    return default_generator() if seed is None else np.random.default_rng(seed)


def uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = "float32",
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Uniform from ``minval`` to before ``maxval`` (1); whole numbers for integer dtypes."""
    kind, sizes = as_dtype(dtype), making.sizes(shape)
    generator = _generator(seed)
    if kind.is_integer:
        if maxval is None:
            raise ValueError("Must specify maxval for integer dtype 'int32'")
        return making.new(generator.integers(minval, maxval, sizes, kind.as_numpy_dtype))
    drawn = generator.uniform(float(minval), 1.0 if maxval is None else float(maxval), sizes)
    return making.new(np.asarray(drawn, kind.as_numpy_dtype))


def normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = "float32",
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Normal."""
    drawn = _generator(seed).normal(float(mean), float(stddev), making.sizes(shape))
    return making.new(np.asarray(drawn, as_dtype(dtype).as_numpy_dtype))


def shuffle(value: Any, seed: int | None = None) -> Tensor:
    """The rows in another order."""
    x = as_tensor(value)
    return Tensor(x.tensor[_generator(seed).permutation(len(x.tensor))])


def set_random_seed(seed: int) -> None:
    """``tf.keras.utils.set_random_seed``: Python's and NumPy's generators too."""
    import random

    if not isinstance(seed, int):
        raise mistakes.InvalidArgumentError(f"seed is {seed!r}; wanted an integer")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (which Keras seeds)
    manual_seed(seed)
