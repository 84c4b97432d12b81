"""How each model is trained where the options say nothing."""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

from minicnn import nn, optim


class Recipe(NamedTuple):
    """How a net is trained.

    Attributes:
        divide_by: what divides a batch's summed gradient: ``"images"``, their number in the batch,
            or ``"batch-size"``, with which a smaller last batch counts less.
        schedule: of the learning rate; one of ``SCHEDULES``.
    """

    epochs: int
    lr: float
    batch_size: int = 256
    divide_by: str = "images"
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: str = "constant"

    def optimizer_of(self, net: nn.Module) -> optim.SGD:
        """The optimiser of the net's parameters."""
        return optim.SGD(net.parameters(), self.lr, self.momentum, weight_decay=self.weight_decay)

    def schedule_of(self, optimizer: optim.Optimizer) -> optim.LRScheduler | None:
        """What changes the optimiser's learning rate after each epoch, if anything does."""
        make = SCHEDULES[self.schedule]
        return None if make is None else make(optimizer, self.epochs)

    @property
    def divisor(self) -> int | None:
        """``divide_by`` as ``fit`` takes it."""
        return self.batch_size if self.divide_by == "batch-size" else None


RECIPES = {
    "lenet": Recipe(epochs=10, lr=0.9),
    "lenet-max": Recipe(epochs=5, lr=0.9, divide_by="batch-size"),
    "lenet-plus": Recipe(
        epochs=10, lr=0.05, batch_size=128, momentum=0.9, weight_decay=5e-4, schedule="cosine"
    ),
    "mlp": Recipe(epochs=10, lr=0.1),
}
SCHEDULES = {"constant": None, "cosine": optim.CosineAnnealingLR}
FULL_SIZE = 60_000
ENOUGH_UPDATES = 1_400  # for both LeNets to leave the plateau and settle, on a smaller data set


def recipe_for(options: argparse.Namespace, images: int) -> Recipe:
    """The model's recipe, with what the options change; more epochs on fewer images."""
    values = {name: getattr(options, name) for name in Recipe._fields}
    changed = {name: value for name, value in values.items() if value is not None}
    recipe = RECIPES[options.model]._replace(**changed)
    return with_enough_updates(recipe, images) if options.epochs is None else recipe


def with_enough_updates(recipe: Recipe, images: int) -> Recipe:
    """The recipe with more epochs where there are few images, so that the net can settle."""
    if images >= FULL_SIZE:
        return recipe
    batches = math.ceil(images / recipe.batch_size)
    return recipe._replace(epochs=max(recipe.epochs, math.ceil(ENOUGH_UPDATES / batches)))
