"""A convolution of a trained net on a picture of the test set."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from minicnn import command, data, kernels, load_run, nn
from minicnn.nn import functional as F
from minicnn.tensor import Tensor
from minicnn.train.run import load_test_set, normalise_of

from .conv.page import conv2d
from .examples import OPTIONS
from .words import Sentence


def from_run(options: argparse.Namespace) -> tuple[Any, str]:
    """A convolution of the run's net, with the input and gradient it gets for one test image.

    Returns it explained, and a sentence about the image.
    """
    unfit = [name for name in (*OPTIONS, "seed") if getattr(options, name) is not None]
    if unfit or options.op != "conv":
        name = unfit[0].replace("_", "-") if unfit else "op"
        raise ValueError(f"--{name} does not apply to --run: the trained net decides")
    with command.naming(options, "run"):
        net, config = load_run(options.run)
    layers = list(net)  # type: ignore[call-overload]
    convolutions = [k for k, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    if not convolutions:
        raise ValueError(f"--run is {options.run}, which has no convolution; wanted a net with one")
    layer = convolutions[0] if options.layer is None else options.layer
    if layer not in convolutions:
        wanted = ", ".join(map(str, convolutions))
        raise ValueError(f"--layer is {layer}, no convolution; wanted one of {wanted}")
    x, y, _, names = picture_of(options, config)
    about = Sentence("conv.trained", layer=layer, **names)
    x, dy = _through(layers, layer, x, y)
    return conv2d(layers[layer], x, dy), about


def picture_of(
    options: argparse.Namespace, config: dict[str, Any]
) -> tuple[Tensor, Tensor, Sequence[str], dict[str, Any]]:
    """The image of the run's test set that ``--image`` names.

    Returns a batch of this one, its label, the names of all classes, and what a sentence says.
    """
    with command.naming(options, "data_dir"):
        test = load_test_set(config, options.data_dir)
    image = options.image or 0
    if image >= len(test):
        raise ValueError(f"--image is {image}; wanted one of 0..{len(test) - 1}")
    one = data.DataLoader(test[image : image + 1], normalise=normalise_of(config))
    x, y = next(iter(one))
    label = test.classes[int(test.labels[image])]
    names = {"model": config["model"], "dataset": config["dataset"], "label": label, "image": image}
    return x, y, test.classes, names


def _through(layers: list[Any], layer: int, x: Tensor, label: Tensor) -> tuple[Any, Any]:
    """The x that reaches ``layers[layer]`` going forward, and the dy that comes back to it."""
    with kernels.by_reference():
        for below in layers[:layer]:
            x = below(x)
        y = layers[layer](x)
        y.retain_grad()
        logits = y
        for above in layers[layer + 1 :]:
            logits = above(logits)
        F.cross_entropy(logits, label).backward()
    return x, y.grad
