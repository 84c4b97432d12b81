"""The options of ``python -m minicnn.train``; what it does with them stands in ``job``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from minicnn import command, models
from minicnn.data.catalogue import CATALOGUE
from minicnn.distributed import TIMEOUT
from minicnn.train.job import run
from minicnn.train.recipe import ENOUGH_UPDATES, RECIPES, SCHEDULES
from minicnn.train.run import check_resumable

EXAMPLES = {
    "": "LeNet, as the chapter trains it; what came of it lies in runs/<time>",
    "--model lenet-plus --epochs 3 --seed 1 --out runs/plus": "a better net, for a short time",
    "--activation relu --lr 0.1 --json >epochs.jsonl": "an exercise; its figures for a program",
    "--resume runs/plus": "go on with a run that was stopped",
    "--config runs/plus/config.json --out runs/again": "the same run once more, bit for bit",
}
WITH_RESUME = (
    *("--epochs", "--lr", "--data-dir", "--quiet", "--json"),
    *("--distributed", "--rank-timeout"),
)


class Parser(command.Parser):
    """With ``--resume DIR``, the options are those that the run was started with."""

    def parse(self, argv: list[str] | None) -> argparse.Namespace:
        """See ``command.Parser``."""
        argv = sys.argv[1:] if argv is None else argv
        options = super().parse(argv)
        if options.resume is None:
            return options
        typed = [text.partition("=")[0] for text in argv if text.startswith("--")]
        for name in typed:
            if name not in (*WITH_RESUME, "--resume"):
                self.error(f"{name} does not go with --resume; {', '.join(WITH_RESUME)} do")
        try:
            check_resumable(options.resume)
        except OSError as error:
            self.error(f"--resume: {error}")
        kept = self.arguments_in(options.resume / "config.json", "--resume")
        return self.parse_args([*kept, *argv])


def parser() -> Parser:
    """The options of ``python -m minicnn.train``."""
    about = "Train LeNet on Fashion-MNIST; keep what came of it in a folder."
    p = Parser("train", about, EXAMPLES)
    natural, positive = command.at_least(0), command.at_least(1)
    amount = command.non_negative

    p.add("--device", "NAME", "auto, cpu, gpu or gpu:<number>", default="auto")
    _add_data(p)
    p.add(
        "--model",
        "NAME",
        "lenet (average pooling, padding 2), lenet-max (max pooling, no padding), "
        "lenet-plus (what the exercises lead to; see docs/lenet.md) or mlp",
        choices=list(models.PRESETS),
        default="lenet",
    )
    p.add(
        "--epochs",
        "N",
        f"on a smaller data set by default as many as give {ENOUGH_UPDATES:,} updates",
        _in_recipes("epochs"),
        type=positive,
    )
    p.add("--lr", "RATE", "learning rate", _in_recipes("lr"), type=amount)
    p.add(
        "--schedule",
        "NAME",
        "of the learning rate: constant, or cosine, which falls to 0 over the epochs",
        _in_recipes("schedule"),
        choices=list(SCHEDULES),
    )
    p.add("--batch-size", "N", "images", _in_recipes("batch_size"), type=positive)
    p.add(
        "--divide-by",
        "NAME",
        "what divides a batch's gradient: its images, or batch-size, with which a "
        "smaller last batch counts less (the first edition)",
        _in_recipes("divide_by"),
        choices=["images", "batch-size"],
    )
    p.add("--momentum", "M", "of SGD", _in_recipes("momentum"), type=amount)
    p.add("--weight-decay", "W", "of SGD", _in_recipes("weight_decay"), type=amount)
    p.add("--seed", "N", "of weights, shuffles and dropout", type=natural, default=0)
    p.add("--threads", "N", "CPU threads", "as many as cores", type=positive)
    p.add("--out", "DIR", "a new or empty folder", "runs/<time>", type=command.path)
    p.add("--no-compile", None, "train with the textbook's eager operations: slower, same results")
    _add_keeping(p)
    _add_ranks(p)
    _add_manners(p)
    _add_knobs(p)
    return p


def _add_data(p: command.Parser) -> None:
    """What is trained on."""
    p.add(
        "--dataset",
        "NAME",
        ", ".join(CATALOGUE),
        "fashion-mnist or, where that cannot be had, the sample in the package; with --data-dir "
        "what lies there",
        choices=list(CATALOGUE),
    )
    p.add(
        "--data-dir",
        "DIR",
        "look for the data set's files here only; or data of your own: four IDX files, a .npz, "
        "train.csv, or a folder of pictures for each class (docs/data.md)",
        command.DATA,
        type=command.path,
    )
    p.add(
        "--image-size",
        "HxW",
        "of your own pictures, which are resized to it; of a line in a CSV",
        "as they are",
        type=command.pair(1),
    )
    p.add(
        "--normalise",
        None,
        "subtract the training pixels' mean and divide by their standard deviation, each channel",
    )


def _add_keeping(p: command.Parser) -> None:
    """What is kept, to choose from and to go on with."""
    positive = command.at_least(1)
    p.add(
        "--validation",
        "N",
        "split this number of images off the training set, the last of each class; "
        "best.safetensors has the weights of the epoch that is best on them",
        "none",
        type=positive,
    )
    p.add(
        "--checkpoint-every",
        "N",
        "batches after which the state to resume from is kept, too",
        "at each epoch's end",
        type=positive,
    )
    p.add(
        "--keep-states",
        "N",
        "updates after which the net is kept in states/, with the update that follows, for "
        "python -m minicnn.explain --follow",
        "none are kept",
        type=positive,
    )
    p.add(
        "--resume",
        "DIR",
        "go on with the run in this folder as if it had not been stopped; of the other options "
        f"{', '.join(WITH_RESUME)} may be typed",
        "none",
        type=command.path,
    )


def _add_ranks(p: command.Parser) -> None:
    """Several processes that train one net."""
    p.group("many processes (docs/scale.md)")
    p.add(
        "--distributed",
        None,
        "share every batch among the processes that mpiexec has started, on one machine or several "
        "(extra mpi); --threads is then each one's, by default its part of the machine's cores",
    )
    p.add(
        "--rank-timeout",
        "SECONDS",
        "after which a process that waits for the others ends all of them",
        type=command.at_least(1),
        default=round(TIMEOUT),
    )


def _add_manners(p: command.Parser) -> None:
    """What is read and printed."""
    p.group("reading and printing")
    p.add(
        "--config",
        "FILE",
        "options from a TOML file, or from the config.json of a run, which it repeats; what is "
        "typed wins",
        "none",
        type=command.path,
    )
    p.add(
        "--tensorboard",
        "DIR",
        "write the curves for TensorBoard into DIR/<the run's name> (extra tensorboard)",
        "nowhere",
        type=command.path,
    )
    p.add("--json", None, "print each epoch as a JSON object, all else on stderr")
    p.add("--quiet", None, "print errors, and at the end the run's folder, nothing else")


def _add_knobs(p: command.Parser) -> None:
    """What the exercises of the chapter change."""
    natural, positive = command.at_least(0), command.at_least(1)
    inits = [*models.INITS, "default"]
    p.group("the net (the exercises of the chapter)")
    activations, pools = list(models.ACTIVATIONS), list(models.POOLS)
    for name, value, help, options in (
        ("activation", "NAME", ", ".join(activations), {"choices": activations}),
        ("pool", "NAME", ", ".join(pools), {"choices": pools}),
        ("padding", "N", "of the first convolution", {"type": natural}),
        ("kernel_size", "N", "of every convolution", {"type": positive}),
        ("channels", "6,16", "of each convolution", {"type": command.integers}),
        ("hidden", "120,84", "widths of the dense layers", {"type": command.integers}),
        ("init", "NAME", f"initial weights: {', '.join(inits)}", {"choices": inits}),
        ("batch_norm", None, "normalise after every convolution", {"default": None}),
        ("dropout", "P", "before each dense layer, but not on the pixels", {"type": command.share}),
    ):
        p.add(f"--{name.replace('_', '-')}", value, help, _in_presets(name), **options)


def _in_recipes(name: str) -> str:
    """The value of this part of a recipe, and which models have another one."""
    return _and_exceptions({model: getattr(recipe, name) for model, recipe in RECIPES.items()})


def _in_presets(name: str) -> str:
    """The value of this argument of ``models.build``, and which models have another one."""
    found = {model: models.defaults(model) for model in models.PRESETS}
    return _and_exceptions({model: usual[name] for model, usual in found.items() if name in usual})


def _and_exceptions(values: dict[str, Any]) -> str:
    """ "256; lenet-plus 128": the first model's value, and those of models that differ."""
    usual, *_ = shown = {model: _typed(value) for model, value in values.items()}
    others = [f"{model} {text}" for model, text in shown.items() if text != shown[usual]]
    return "; ".join([shown[usual], *others])


def _typed(value: Any) -> str:
    """A value as it is typed: 6,16; a switch is on or off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return command.run(parser(), run, argv)
