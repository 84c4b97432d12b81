"""The options of ``python -m minicnn.train``, and what it does with them."""

from __future__ import annotations

import argparse
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from minicnn import command, compiler, data, models, nn
from minicnn.data.catalogue import CATALOGUE
from minicnn.data.chosen import choose, is_own
from minicnn.data.own.arrays import Found
from minicnn.device import gpu_problem, resolve, to_device, try_gpu
from minicnn.terminal import complain, say
from minicnn.train.loop import fit
from minicnn.train.measure import DivergedError, History
from minicnn.train.recipe import ENOUGH_UPDATES, RECIPES, SCHEDULES, Recipe, recipe_for
from minicnn.train.report import count, headline, result
from minicnn.train.run import Run
from minicnn.train.tensorboard import TensorBoard, check_installed

KNOBS = (
    *("activation", "pool", "padding", "kernel_size", "channels", "hidden", "init"),
    *("batch_norm", "dropout"),
)


EXAMPLES = {
    "": "LeNet, as the chapter trains it; what came of it lies in runs/<time>",
    "--model lenet-plus --epochs 3 --seed 1 --out runs/plus": "a better net, for a short time",
    "--activation relu --lr 0.1 --json >epochs.jsonl": "an exercise; its figures for a program",
    "--config runs/plus/config.json --out runs/again": "the same run once more, bit for bit",
}
NOT_KEPT = ("config", "out", "quiet", "json")  # what concerns a call, not the training


def parser() -> command.Parser:
    """The options of ``python -m minicnn.train``."""
    about = "Train LeNet on Fashion-MNIST; keep what came of it in a folder."
    p = command.Parser("train", about, EXAMPLES)
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
    found = {}
    for model, (make, preset) in models.PRESETS.items():
        usual = inspect.signature(make).parameters
        if name in usual:
            found[model] = preset.get(name, usual[name].default)
    return _and_exceptions(found)


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
    return command.run(parser(), _train, argv)


def _train(options: argparse.Namespace) -> int:
    with command.talking(options.quiet, options.json) as stdout:
        return _train_talking(options, stdout)


def _train_talking(options: argparse.Namespace, stdout: Any) -> int:
    """Train, and print what ``--json`` or ``--quiet`` ask for on ``stdout``."""
    if options.tensorboard is not None:
        check_installed()
    with command.naming(options, "device"):
        device, why_cpu = _choose_device(options.device)
    if options.threads is not None:
        minicnn.set_num_threads(options.threads)
    with command.naming(options, "data_dir"):
        found = choose(options.dataset, options.data_dir, options.image_size, options.seed)
    train, test = found.train, found.test
    minicnn.manual_seed(options.seed)
    knobs = {name: getattr(options, name) for name in KNOBS if getattr(options, name) is not None}
    knobs |= _shapes(train)
    with command.naming(options, *KNOBS):
        net = models.build(options.model, **knobs).to(device)
    with command.naming(options, "normalise"):
        normalise = data.mean_and_std(train) if options.normalise else None
    recipe = recipe_for(options, len(train))
    compiled = not options.no_compile and compiler.is_available(device)
    config = {
        "model": options.model,
        "model_args": knobs,
        **_about(found, options, normalise),
        **recipe._asdict(),
        "seed": options.seed,
        "device": device,
        "compiled": compiled,
        "threads": minicnn.get_num_threads(),
        "minicnn": minicnn.__version__,
        "numpy": np.__version__,
    }
    config["options"] = _kept(options, config)
    with command.naming(options, "out"):
        run = Run(options.out, config, net)
    size, raw = recipe.batch_size, compiled and normalise is None
    batches = data.DataLoader(train, size, True, options.seed, device, raw, normalise)
    test_batches = data.DataLoader(test, size, device=device, raw=raw, normalise=normalise)
    say(headline(config, net, train, test, why_cpu))
    after_epoch = [lambda history: run.write(net, history)]
    if options.json:
        after_epoch.append(lambda history: say(json.dumps(history.epochs[-1]), stdout))
    callbacks = []
    if options.tensorboard is not None:
        with command.naming(options, "tensorboard"):
            callbacks.append(TensorBoard(options.tensorboard / run.folder.name, config["options"]))
    status = _fit(run, net, batches, test_batches, recipe, after_epoch, callbacks, options.quiet)
    if options.quiet and not options.json:
        say(run.folder, stdout)
    return status


def _shapes(train: data.Dataset) -> dict[str, Any]:
    """The arguments of a model for these pictures and classes, where they are not the usual."""
    shape = train.images.shape[1:]
    image_shape = [1, *shape] if len(shape) == 2 else [*shape]
    return {
        **({"image_shape": image_shape} if image_shape != [1, 28, 28] else {}),
        **({"classes": len(train.classes)} if len(train.classes) != 10 else {}),
    }


def _about(
    found: Found, options: argparse.Namespace, normalise: tuple[list[float], list[float]] | None
) -> dict[str, Any]:
    """What ``config.json`` says about the data."""
    folder = options.data_dir
    return {
        "dataset": found.name,
        "data_kind": found.kind,
        "data_dir": None if folder is None else str(folder.resolve()),
        "image_size": options.image_size,
        "classes": found.train.classes,
        "normalise": normalise and dict(zip(("mean", "std"), normalise, strict=True)),
    }


def _kept(options: argparse.Namespace, config: dict[str, Any]) -> dict[str, Any]:
    """All options of a training, as ``--config`` reads them, with the values that were in force."""
    values = {name: config.get(name, value) for name, value in vars(options).items()}
    values["no_compile"], values["normalise"] = not config["compiled"], options.normalise
    if is_own(config):
        values["dataset"] = None  # it is what lies in data_dir
    return {
        name: str(value.resolve()) if isinstance(value, Path) else value
        for name, value in values.items()
        if value is not None and name not in NOT_KEPT
    }


def _fit(
    run: Run,
    net: nn.Module,
    batches: data.DataLoader,
    test_batches: data.DataLoader,
    recipe: Recipe,
    after_epoch: list[Callable[[History], None]],
    callbacks: list[TensorBoard],
    quiet: bool,
) -> int:
    """Train to the end, or until the loss diverges or somebody interrupts; the exit status."""
    history, status = History(), 0
    optimizer = recipe.optimizer_of(net)
    try:
        fit(
            net,
            batches,
            test_batches,
            optimizer=optimizer,
            epochs=recipe.epochs,
            schedule=recipe.schedule_of(optimizer),
            divide_by=recipe.divisor,
            after_epoch=after_epoch,
            callbacks=callbacks,
            history=history,
            quiet=quiet,
            compile=run.config["compiled"],
        )
    except DivergedError as error:
        complain(f"python -m minicnn.train: {error}")
        status = 1
    except KeyboardInterrupt:
        run.write(net, history)
        complain(
            f"interrupted after {count(len(history.epochs), 'whole epoch')}; what was trained so "
            f"far is in {run.folder}"
        )
        status = 130
    else:
        say(result(run.config, run.folder, history))
    try:
        run.draw(history)
    except Exception as error:  # fonts, a full disk: the weights are there all the same
        complain(f"python -m minicnn.train: no curves.png: {command.in_a_line(error)}")
    return status


def _choose_device(name: str) -> tuple[str, str]:
    """The device, and for ``auto`` on the CPU the reason why."""
    if name == "auto":
        device = try_gpu()
        problem, _, _ = (gpu_problem() or "").partition(";")
        return device, f" (no GPU: {problem})" if device == "cpu" else ""
    to_device(np.zeros(1, np.float32), name)
    return resolve(name), ""
