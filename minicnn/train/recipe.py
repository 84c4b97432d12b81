"""How each model is trained where the options say nothing."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import NamedTuple

from minicnn import optim


class Recipe(NamedTuple):
    """How a preset is trained where the options say nothing."""

    epochs: int
    lr: float
    batch_size: int = 256
    divide_by: str = "images"
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: str = "constant"


RECIPES = {
    "lenet": Recipe(epochs=10, lr=0.9),
    "lenet-max": Recipe(epochs=5, lr=0.9, divide_by="batch-size"),
    "lenet-plus": Recipe(
        epochs=10, lr=0.05, batch_size=128, momentum=0.9, weight_decay=5e-4, schedule="cosine"
    ),
    "mlp": Recipe(epochs=10, lr=0.1),
}
SCHEDULES: dict[str, Callable[[optim.Optimizer, int], optim.LRScheduler | None]] = {
    "constant": lambda optimizer, epochs: None,
    "cosine": optim.CosineAnnealingLR,
}
FULL_SIZE = 60_000
ENOUGH_UPDATES = 1_400  # for both LeNets to leave the plateau and settle, on a smaller data set


def recipe_for(options: argparse.Namespace, images: int) -> Recipe:
    """The model's recipe, with what the options change; more epochs on fewer images."""
    given = {name: getattr(options, name) for name in Recipe._fields}
    changed = {name: value for name, value in given.items() if value is not None}
    recipe = RECIPES[options.model]._replace(**changed)
    if options.epochs is None and images < FULL_SIZE:
        batches = math.ceil(images / recipe.batch_size)
        recipe = recipe._replace(epochs=max(recipe.epochs, math.ceil(ENOUGH_UPDATES / batches)))
    return recipe
