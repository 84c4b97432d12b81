"""A net as one C file, for computers without Python: ``minicnn.export.to_c``.

``read`` turns a net into steps; ``conv linear pool activation norm shape`` say what each kind of
layer is in C, ``step`` what they share; ``int8`` makes steps of integers, ``memory`` finds a place
for what they compute, ``file`` writes it all down, ``text`` knows C's spelling.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minicnn import kernels, nn
from minicnn.checks import check_is, check_sequence, check_text, texts
from minicnn.data import Dataset
from minicnn.data.dataset import in_channels
from minicnn.files import expand, write_whole
from minicnn.formats import shown
from minicnn.kernels import Array
from minicnn.nn.modes import in_evaluation_mode
from minicnn.nn.module import device_of_net
from minicnn.tensor import Tensor, no_grad

from . import int8, norm
from .file import Source
from .read import check_finite, steps_of
from .step import Shape, Step

Normalise = Mapping[str, Sequence[float]]
MEASURED = 1000  # training pictures, at most, on which int8's scales are measured


class Exported(NamedTuple):
    """What was written.

    Attributes:
        path: the file.
        constant_bytes, scratch_bytes: the static memory of the C code.
        accuracy: on the test set, of the floats and of int8; None without int8.
    """

    path: Path
    constant_bytes: int
    scratch_bytes: int
    accuracy: tuple[float, float] | None


def export(
    net: nn.Module,
    path: str | Path,
    *,
    image_shape: Sequence[int] = (1, 28, 28),
    classes: Sequence[str] | None = None,
    normalise: Normalise | None = None,
    name: str = "net",
    title: str = "a net",
    int8_from: tuple[Dataset, Dataset] | None = None,
) -> Exported:
    """Write ``net`` to one C file: ``void net_predict(const float *pixels, float *logits)``.

    It computes of one picture what the net does in evaluation mode, in float32: C99, no library but
    math.h, weights as constants, nothing allocated. The head of the file says how much memory it
    takes and how to compile it; with ``-DNET_SELF_TEST`` it checks itself.

    Args:
        net: a Sequential of minicnn's layers (Sequentials in it too), or one layer.
        image_shape: of a picture: (channels, height, width).
        classes: the classes' names; by default their numbers.
        normalise: ``{"mean": ..., "std": ...}``, a number for each channel, where the net wants
            (pixels - mean) / std. The C function takes the pixels, from 0 to 1, as they are.
        name: the prefix of all public names in the file, a C identifier.
        title: what the net is, for the head of the file.
        int8_from: the training and the test set: weights and activations become int8, with scales
            measured on 1,000 training pictures. The accuracy on the test set stands in
            the file.

    Raises:
        TypeError: no module, or a layer that has no C function; the message names it.
        ValueError: an argument, or a layer, that does not fit.
        OSError: the file cannot be written; see ``write_whole``.
    """
    check_name(name)
    check_text("export: title", title)
    if not isinstance(net, nn.Module):
        raise TypeError(f"export: net is of type {type(net).__name__}; wanted a minicnn module")
    shape = _checked(image_shape)
    steps = _steps(net, shape, normalise)
    names = _class_names(classes, math.prod(steps[-1].output_shape))
    parameters = sum(p.size for p in net.parameters())
    about = f"{expand(path).name}: {title}, {parameters:,} parameters."
    accuracy = None
    if int8_from is None:
        pixels = _noise(shape)
        logits, tolerance = _logits(net, pixels, normalise), 1e-5
    else:
        train, test = _pair_of_sets(int8_from)
        floats, steps = steps, int8.quantised(steps, _pixels(_some(train)))
        accuracy = _accuracy(floats, test), _accuracy(steps, test)
        about += ABOUT_INT8.format(*accuracy, len(test))
        pixels = _pixels(test[:1])
        logits, tolerance = int8.compute(steps, pixels), 0.01  # another rounding moves it a step
    tolerance *= max(1.0, float(np.abs(logits).max()))
    source = Source(name, about, shape, names, steps, pixels, logits, tolerance)
    write_whole(path, source.text())
    return Exported(expand(path), *source.bytes(), accuracy)


ABOUT_INT8 = """
Weights and activations are int8, with scales measured on training pictures; sums are int32,
and are rescaled by a float.
Accuracy on {2:,} test pictures: {0:.4f} in float32, {1:.4f} in this file."""


def check_name(name: str) -> None:
    """Refuse what cannot begin a name in C (ValueError)."""
    check_text("name", name)
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(f"name is {shown(name)}; wanted a letter, then letters, digits and _")


def _checked(image_shape: Sequence[int]) -> Shape:
    check_sequence("export: image_shape", image_shape, "(channels, height, width)")
    shape = tuple(image_shape)
    if len(shape) != 3 or not all(isinstance(n, int) and n > 0 for n in shape):
        raise ValueError(
            f"export: image_shape is {shown(image_shape)}; wanted (channels, height, width)"
        )
    return shape


def _steps(net: nn.Module, shape: Shape, normalise: Normalise | None) -> list[Step]:
    """The net's steps, after that of the pixels if they are normalised."""
    steps = steps_of(net, shape)
    if normalise is not None:
        steps.insert(0, _of_pixels(shape, normalise))
    if not steps:
        raise ValueError("export: the net computes nothing; wanted one with a layer that does")
    for step in steps:
        check_finite(step)
    return steps


def _of_pixels(shape: Shape, normalise: Normalise) -> norm.Scale:
    """The step of the pixels."""
    check_is("export: normalise", normalise, Mapping, "mean and std, by name")
    mean, std = normalise.get("mean", ()), normalise.get("std", ())
    if not len(mean) == len(std) == shape[0] or min(std) <= 0:
        wanted = f"wanted mean and std, {shape[0]} numbers each, std positive"
        raise ValueError(f"export: normalise is {shown(dict(normalise))}; {wanted}")
    return norm.of_pixels(shape, mean, std)


def _pair_of_sets(sets: Any) -> tuple[Dataset, Dataset]:
    is_pair = isinstance(sets, tuple | list) and len(sets) == 2
    if not is_pair or not all(isinstance(part, Dataset) for part in sets):
        raise TypeError(f"export: int8_from is {shown(sets)}; wanted two Datasets: train, test")
    return sets[0], sets[1]


def _class_names(classes: Sequence[str] | None, outputs: int) -> list[str]:
    if classes is None:
        return [str(k) for k in range(outputs)]
    names = texts("export: classes", classes)
    if len(names) != outputs:
        raise ValueError(f"export: classes has {len(names)} names; the net has {outputs} outputs")
    return list(names)


def _noise(shape: Shape) -> Array:
    """A picture of random pixels, always the same: (1, C, H, W)."""
    pixels = np.random.default_rng(0).integers(0, 256, (1, *shape))
    return (pixels / 255).astype(np.float32)


def _logits(net: nn.Module, pixels: Array, normalise: Normalise | None) -> Array:
    """What the net itself makes of these pixels."""
    if normalise is not None:
        pixels = _of_pixels(pixels.shape[1:], normalise).compute(pixels)
    dtype = next((p.dtype for p in net.parameters()), pixels.dtype)
    x = Tensor(pixels.astype(dtype), device=device_of_net(net))
    with kernels.by_reference(), in_evaluation_mode(net), no_grad():
        return net(x).numpy().astype(np.float32)


def _some(train: Dataset) -> Dataset:
    """Pictures from everywhere in the set, which may be sorted by class."""
    return train[:: max(1, math.ceil(len(train) / MEASURED))]


def _pixels(dataset: Dataset) -> Array:
    """float32 in [0, 1]: (N, C, H, W)."""
    return in_channels(dataset.images).astype(np.float32) / 255


def _accuracy(steps: Sequence[Step], test: Dataset) -> float:
    return float((int8.compute(steps, _pixels(test)).argmax(axis=1) == test.labels).mean())
