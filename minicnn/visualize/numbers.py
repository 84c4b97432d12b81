"""What the pictures show, as numbers: activations, predictions, confusions, gradients."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from minicnn import data, nn
from minicnn.checks import check_integer, check_is, check_sequence
from minicnn.data.normalising import MeanAndStd
from minicnn.formats import kind_shown
from minicnn.nn import functional as F
from minicnn.nn.modes import in_evaluation_mode
from minicnn.tensor import no_grad

BATCH = 250  # images at a time
Normalise = MeanAndStd | None
AFTER = (nn.BatchNorm2d, nn.Sigmoid, nn.Tanh, nn.ReLU)  # counted with the layer before


class Layer(NamedTuple):
    """A convolution or dense layer of a net; ``net[:end](x)`` are its activations.

    end: the place after the layer, its normalisation and its activation function.
    """

    name: str
    module: nn.Conv2d | nn.Linear
    end: int


def layers(net: nn.Sequential) -> list[Layer]:
    """The layers with weights, in order: "convolution 1", "convolution 2", "dense 1"..."""
    check_net(net)
    found: list[Layer] = []
    counts = {"convolution": 0, "dense": 0}
    for place, module in enumerate(net):
        if isinstance(module, nn.Conv2d | nn.Linear):
            kind = "convolution" if isinstance(module, nn.Conv2d) else "dense"
            counts[kind] += 1
            found.append(Layer(f"{kind} {counts[kind]}", module, place + 1))
        elif isinstance(module, AFTER) and found and found[-1].end == place:
            found[-1] = found[-1]._replace(end=place + 1)
    return found


def activations(
    net: nn.Sequential, layer: Layer, images: np.ndarray, normalise: Normalise = None
) -> np.ndarray:
    """The activations of ``layer``: (N, c, h, w) or (N, units).

    ``images`` are uint8 (N, H, W) or (N, C, H, W); ``normalise`` is as for ``DataLoader``.
    """
    check_net(net)
    check_is("layer", layer, Layer, "a Layer, as layers(net) gives them")
    check_is("images", images, np.ndarray, "an array, uint8")
    dataset = data.Dataset(images, np.zeros(len(images), np.int64), ("any",))
    part = net[: layer.end]
    with in_evaluation_mode(net), no_grad():
        batches = data.DataLoader(dataset, BATCH, normalise=normalise)
        return np.concatenate([part(x).numpy() for x, _ in batches])


def filters(layer: Layer, picture: Sequence[int]) -> np.ndarray | None:
    """The weights as pictures: (C, O, KH, KW); of a dense layer on pictures (C, O, H, W).

    None for a dense layer on anything else than pictures of this shape, (H, W) or (C, H, W).
    """
    check_is("layer", layer, Layer, "a Layer, as layers(net) gives them")
    check_sequence("picture", picture, "(H, W) or (C, H, W)")
    for size in picture:
        check_integer("a size of picture", size, 1)
    weight = layer.module.weight.numpy()
    if weight.ndim == 2 and weight.shape[1] == prod(picture):
        weight = weight.reshape(-1, prod(picture[:-2]), *picture[-2:])
    return weight.swapaxes(0, 1) if weight.ndim == 4 else None


class Predictions(NamedTuple):
    """A net's predictions for a data set: probabilities (N, classes), losses (N,), labels (N,)."""

    probabilities: np.ndarray
    losses: np.ndarray
    labels: np.ndarray

    @property
    def classes(self) -> np.ndarray:
        """The most probable class of each picture, (N,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def accuracy(self) -> float:
        """The share of the pictures whose most probable class is their label."""
        return float((self.classes == self.labels).mean())


def predict(net: nn.Module, dataset: data.Dataset, normalise: Normalise = None) -> Predictions:
    """Class probabilities and cross-entropy losses of all pictures.

    Raises:
        ValueError: the net's outputs are nan or inf.
    """
    check_is("net", net, nn.Module, "a module")
    check_is("dataset", dataset, data.Dataset, "a Dataset")
    parts = []
    with in_evaluation_mode(net), no_grad(), np.errstate(all="ignore"):
        for x, y in data.DataLoader(dataset, BATCH, normalise=normalise):
            logits = net(x).to("float64")
            loss = F.cross_entropy(logits, y, reduction="none")
            parts.append((F.softmax(logits, 1).numpy(), loss.numpy()))
    probabilities, losses = (np.concatenate(part) for part in zip(*parts, strict=True))
    if not np.isfinite(probabilities).all():
        raise ValueError("the net's outputs are nan: it diverged when it was trained")
    return Predictions(probabilities, losses, dataset.labels)


def confusion(predictions: Predictions) -> np.ndarray:
    """How many pictures of class ``row`` were taken for class ``column``: (classes, classes)."""
    check_predictions(predictions)
    classes = predictions.probabilities.shape[1]
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (predictions.labels, predictions.classes), 1)
    return counts


def most_confused(counts: np.ndarray) -> tuple[int, int]:
    """The two classes that are most often taken for each other."""
    check_table("counts", counts)
    if counts.shape[0] != counts.shape[1]:
        raise ValueError(f"counts has shape {counts.shape}; wanted (classes, classes)")
    both = np.triu(counts + counts.T, 1)
    first, second = np.unravel_index(both.argmax(), both.shape)
    return int(first), int(second)


def most_wrong(predictions: Predictions, count: int) -> np.ndarray:
    """The ``count`` misclassified pictures of the largest loss, the largest first."""
    check_predictions(predictions)
    check_integer("count", count, 1)
    (wrong,) = np.nonzero(predictions.classes != predictions.labels)
    return wrong[np.argsort(-predictions.losses[wrong], kind="stable")][:count]


def gradient_norms(
    net: nn.Sequential, dataset: data.Dataset, normalise: Normalise = None
) -> np.ndarray:
    """The length of the loss's gradient with respect to each layer's weights and biases.

    (batches, layers). The loss is the mean over a batch of at most 250 pictures, with the net in
    evaluation mode.
    """
    check_is("dataset", dataset, data.Dataset, "a Dataset")
    rows = []
    modules = [layer.module for layer in layers(net)]
    with in_evaluation_mode(net):
        for x, y in data.DataLoader(dataset, BATCH, normalise=normalise):
            net.zero_grad()
            F.cross_entropy(net(x), y).backward()
            rows.append([_length(module) for module in modules])
    net.zero_grad()
    return np.array(rows)


def check_net(net: Any) -> None:
    """Refuse another net than a Sequential (TypeError)."""
    check_is("net", net, nn.Sequential, "an nn.Sequential")


def check_predictions(predictions: Any) -> None:
    """Refuse other things than Predictions (TypeError)."""
    check_is("predictions", predictions, Predictions, "what predict(net, dataset) gives")


def check_table(name: str, table: Any) -> None:
    """Refuse what is no matrix of numbers (TypeError, ValueError)."""
    check_is(name, table, np.ndarray, "an array")
    if table.ndim != 2 or table.dtype.kind not in "iuf":
        raise ValueError(f"{name} is {kind_shown(table)}; wanted two axes of numbers")


def _length(module: nn.Module) -> float:
    gradients = [p.grad.numpy() for p in module.parameters() if p.grad is not None]
    return float(np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients)))
