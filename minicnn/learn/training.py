"""LeNet, trained with the learner's own layers, and compared with the published figures."""

from __future__ import annotations

import time
from pathlib import Path

import minicnn
from minicnn import data, models
from minicnn.data.sample import load_or_sample
from minicnn.terminal import say
from minicnn.train.recipe import FULL_SIZE, RECIPES, with_enough_updates

from .layers import SGD, Functions, as_learners, functions_of, loss_of
from .words import said

PUBLISHED = {"lenet": (0.77, 0.83), "lenet-max": (0.74, 0.775)}  # test accuracy, as in the README


def train(folder: Path, model: str, dataset: str | None, epochs: int | None, language: str) -> int:
    """Train with the functions of the learner's folder; 1 where the accuracy is not the published.

    Args:
        model: ``"lenet"`` (average pooling) or ``"lenet-max"``.
        dataset: by its name; None for Fashion-MNIST or, where it cannot be had, the sample.
        epochs: None for as many as the chapter has.
    """
    functions = functions_of(folder)
    name, train, test = load_or_sample(dataset)
    recipe = RECIPES[model]
    recipe = recipe._replace(epochs=epochs) if epochs else with_enough_updates(recipe, len(train))
    minicnn.manual_seed(0)
    net = as_learners(models.build(model), functions)
    optimizer = SGD(net, functions, recipe.lr, recipe.momentum)
    batches = data.DataLoader(train, recipe.batch_size, shuffle=True, seed=0)
    seconds = _seconds_of_a_batch(net, functions, batches)
    minutes = seconds * len(batches) * recipe.epochs / 60
    values = {"epochs": recipe.epochs, "dataset": name, "minutes": f"{minutes:.0f}"}
    say(said("training", language, seconds=f"{seconds:.2f}", **values))
    history = minicnn.fit(
        net,
        batches,
        data.DataLoader(test, recipe.batch_size),
        optimizer=optimizer,
        epochs=recipe.epochs,
        loss=loss_of(functions),
        divide_by=recipe.divisor,
    )
    whole = _is_published(model, name, len(train), recipe.epochs)
    return _compared(float(history.epochs[-1]["test_acc"]), model, whole, language)


def _seconds_of_a_batch(
    net: minicnn.nn.Sequential, functions: Functions, batches: data.DataLoader
) -> float:
    """How long one batch takes forward and backward; no parameter changes."""
    x, y = next(iter(batches))
    start = time.perf_counter()
    loss_of(functions)(net(x), y).backward()
    for p in net.parameters():
        p.grad = None
    return time.perf_counter() - start


def _is_published(model: str, dataset: str, images: int, epochs: int) -> bool:
    """Whether published figures are of a training like this one."""
    whole = dataset == "fashion-mnist" and images >= FULL_SIZE
    return whole and epochs >= RECIPES[model].epochs


def _compared(accuracy: float, model: str, whole: bool, language: str) -> int:
    """Say how the accuracy compares; the exit status."""
    low, high = PUBLISHED[model]
    enough = round(accuracy, 3) >= low  # three digits are shown
    key = "not_whole" if not whole else "published" if enough else "below"
    say(said(key, language, accuracy=f"{accuracy:.3f}", low=low, high=high))
    return int(key == "below")
