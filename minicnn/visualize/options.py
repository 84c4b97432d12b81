"""The options of ``python -m minicnn.visualize``, and what it does with them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minicnn import command, data, nn, plots
from minicnn.files import check_folder, make_folder, write_whole
from minicnn.terminal import say
from minicnn.train.run import load_run, load_test_set, normalise_of

from .draw import (
    draw_activations,
    draw_confusion,
    draw_filters,
    draw_gradients,
    draw_mistakes,
)
from .numbers import (
    Normalise,
    Predictions,
    confusion,
    gradient_norms,
    layers,
    most_confused,
    most_wrong,
    predict,
)

CHAPTER = ("Pullover", "Coat")  # the sweaters and coats of the chapter's exercise


EXAMPLES = {
    "--run runs/plus": "all pictures, into the run's folder",
    "--run runs/plus --out pictures --mistakes 24": "into another one, with more mistakes",
    "--run runs/plus --classes Shirt,T-shirt": "what the net sees of shirts and T-shirts",
}


def parser() -> command.Parser:
    """The options of ``python -m minicnn.visualize``."""
    about = "Draw what a trained net sees, and where it errs, as pictures (PNG)."
    p = command.Parser("visualize", about, EXAMPLES)
    p.add("--run", "DIR", "the folder of a training run", type=command.path, required=True)
    p.add("--out", "DIR", "where the pictures go", "the run's folder", type=command.path)
    p.add(
        "--classes",
        "A,B",
        "whose activations are shown, by name or number",
        "Pullover,Coat, or the two classes that the net confuses most",
    )
    p.add(
        "--mistakes",
        "N",
        "the pictures that the net is most wrong about",
        type=command.at_least(1),
        default=12,
    )
    p.add(
        "--data-dir",
        "DIR",
        "look for the data set's files here only",
        command.DATA,
        type=command.path,
    )
    return p


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return command.run(parser(), _visualize, argv)


def _visualize(options: argparse.Namespace) -> int:
    with command.naming(options, "run"):
        net, config = load_run(options.run)
    assert isinstance(net, nn.Sequential)  # as all of minicnn.models are
    with command.naming(options, "data_dir"):
        test = load_test_set(config, options.data_dir)
    chosen = chosen_classes(options.classes, test.classes)
    out = options.out or options.run
    with command.naming(options, "out"):
        check_folder(out)
        make_folder(out)
    normalise = normalise_of(config)
    predictions = predict(net, test, normalise)
    shown = _with_pictures(chosen or most_confused(confusion(predictions)), test)
    title = f"{config['model']} on {config['dataset']}"
    say(f"{title}: {len(test):,} test pictures, accuracy {predictions.accuracy:.3f}")
    with plots.own_style():
        picked = most_wrong(predictions, options.mistakes)
        for name, figure in _pictures(net, test, predictions, shown, picked, title, normalise):
            write_whole(out / name, plots.png(figure))
            say(f"written {out / name}")
    return 0


def _pictures(
    net: nn.Sequential,
    test: data.Dataset,
    predictions: Predictions,
    shown: Sequence[int],
    picked: np.ndarray,
    title: str,
    normalise: Normalise,
) -> Iterator[tuple[str, Any]]:
    """Each file's name, and its figure."""
    found = layers(net)
    for number, layer in enumerate(found[:2], start=1):
        picture = draw_activations(net, layer, test, shown, title, normalise)
        yield f"activations-{number}.png", picture
    yield "filters.png", draw_filters(net, test.images.shape[1:], title)
    yield "confusion.png", draw_confusion(confusion(predictions), test.classes, title)
    yield "mistakes.png", draw_mistakes(predictions, test, picked, title)
    norms, names = gradient_norms(net, test, normalise), [layer.name for layer in found]
    yield "gradients.png", draw_gradients(norms, names, title)


def _with_pictures(chosen: Sequence[int], test: data.Dataset) -> list[int]:
    """Those of the classes that have pictures in the test set."""
    shown = [k for k in chosen if (test.labels == k).any()]
    if not shown:
        names = ", ".join(test.classes[k] for k in chosen)
        raise ValueError(f"--classes: there is no test picture of {names}; wanted another class")
    return shown


def chosen_classes(wanted: str | None, classes: Sequence[str]) -> tuple[int, ...]:
    """The numbers of the classes in "A,B". By default the chapter's, or none if there are none."""
    if wanted is None:
        return tuple(classes.index(name) for name in CHAPTER if name in classes)
    numbers = {name.casefold(): k for k, name in enumerate(classes)}
    numbers |= {str(k): k for k in range(len(classes))}
    names = [part.strip() for part in wanted.split(",")]
    for name in names:
        if name.casefold() not in numbers:
            raise ValueError(f"--classes: {name!r}; wanted some of {', '.join(classes)}")
    return tuple(dict.fromkeys(numbers[name.casefold()] for name in names))
