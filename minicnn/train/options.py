"""The options of ``python -m minicnn.train``, and what it does with them."""

from __future__ import annotations

import argparse

import numpy as np

import minicnn
from minicnn import command, compiler, data, models, nn
from minicnn.data.sample import load_or_sample
from minicnn.device import gpu_problem, resolve, to_device, try_gpu
from minicnn.terminal import complain, say
from minicnn.train.loop import fit
from minicnn.train.measure import DivergedError, History
from minicnn.train.recipe import ENOUGH_UPDATES, RECIPES, SCHEDULES, Recipe, recipe_for
from minicnn.train.report import count, headline, result
from minicnn.train.run import Run

KNOBS = (
    *("activation", "pool", "padding", "kernel_size", "channels", "hidden", "init"),
    *("batch_norm", "dropout"),
)


def parser() -> command.Parser:
    """The options of ``python -m minicnn.train``."""
    p = command.Parser("train", "Train LeNet on Fashion-MNIST; keep what came of it in a folder.")
    natural, positive = command.at_least(0), command.at_least(1)
    amount = command.non_negative
    sets = ["fashion-mnist", "fashion-mnist-sample", "mnist"]
    epochs = ", ".join(f"{model} {recipe.epochs}" for model, recipe in RECIPES.items())
    rates = ", ".join(f"{model} {recipe.lr}" for model, recipe in RECIPES.items())

    p.add("--device", "NAME", "auto, cpu, gpu or gpu:<number>", default="auto")
    p.add(
        "--dataset",
        "NAME",
        f"{', '.join(sets)}; without it fashion-mnist or, where that cannot "
        "be had, the sample in the package",
        choices=sets,
    )
    p.add("--data-dir", "DIR", "look for the data set's files here only", type=command.path)
    p.add(
        "--model",
        "NAME",
        "lenet (average pooling, padding 2; the default), lenet-max (max pooling, no padding), "
        "lenet-plus (what the exercises lead to; see docs/lenet.md) or mlp",
        choices=list(models.PRESETS),
        default="lenet",
    )
    p.add(
        "--epochs",
        "N",
        f"by default {epochs}; on a smaller data set as many as give {ENOUGH_UPDATES:,} updates",
        type=positive,
    )
    p.add("--lr", "RATE", f"learning rate; by default {rates}", type=amount)
    p.add(
        "--schedule",
        "NAME",
        "of the learning rate: constant, or cosine, which falls to 0 "
        "over the epochs (the default of lenet-plus)",
        choices=list(SCHEDULES),
    )
    p.add("--batch-size", "N", _defaults("batch_size"), type=positive)
    p.add(
        "--divide-by",
        "NAME",
        "what divides a batch's gradient: its images (the default), or batch-size, with which a "
        "smaller last batch counts less (the first edition; the default of lenet-max)",
        choices=["images", "batch-size"],
    )
    p.add("--momentum", "M", _defaults("momentum"), type=amount)
    p.add("--weight-decay", "W", _defaults("weight_decay"), type=amount)
    p.add("--seed", "N", "of weights, shuffles and dropout; 0 by default", type=natural, default=0)
    p.add("--threads", "N", "CPU threads; by default as many as cores", type=positive)
    p.add("--out", "DIR", "a new or empty folder; runs/<time> by default", type=command.path)
    p.add("--no-compile", None, "train with the textbook's eager operations: slower, same results")
    p.group("the net (the exercises of the chapter)")
    p.add("--activation", "NAME", ", ".join(models.ACTIVATIONS), choices=list(models.ACTIVATIONS))
    p.add("--pool", "NAME", ", ".join(models.POOLS), choices=list(models.POOLS))
    p.add("--padding", "N", "of the first convolution", type=natural)
    p.add("--kernel-size", "N", "of every convolution", type=positive)
    p.add("--channels", "6,16", "of each convolution", type=command.integers)
    p.add("--hidden", "120,84", "widths of the dense layers", type=command.integers)
    inits = [*models.INITS, "default"]
    p.add("--init", "NAME", f"initial weights: {', '.join(inits)}", choices=inits)
    p.add("--batch-norm", None, "normalise after every convolution", default=None)
    p.add(
        "--dropout",
        "P",
        "before each dense layer, but not on the pixels; 0 by default, lenet-plus "
        f"{models.LENET_PLUS['dropout']}",
        type=command.share,
    )
    return p


def _defaults(name: str) -> str:
    """The usual value of this part of a recipe, and which models have another one."""
    usual = Recipe._field_defaults[name]
    found = {model: getattr(recipe, name) for model, recipe in RECIPES.items()}
    others = [f"{model} {value}" for model, value in found.items() if value != usual]
    return "; ".join([f"{usual:g} by default", *others])


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return command.run(parser(), _train, argv)


def _train(options: argparse.Namespace) -> int:
    device, why_cpu = _choose_device(options.device)
    if options.threads is not None:
        minicnn.set_num_threads(options.threads)
    minicnn.manual_seed(options.seed)
    knobs = {name: getattr(options, name) for name in KNOBS if getattr(options, name) is not None}
    net = models.build(options.model, **knobs).to(device)
    dataset, train, test = load_or_sample(options.dataset, options.data_dir)
    recipe = recipe_for(options, len(train))
    compiled = not options.no_compile and compiler.is_available(device)
    config = {
        "model": options.model,
        "model_args": knobs,
        "dataset": dataset,
        **recipe._asdict(),
        "seed": options.seed,
        "device": device,
        "compiled": compiled,
        "threads": minicnn.get_num_threads(),
        "minicnn": minicnn.__version__,
        "numpy": np.__version__,
    }
    run = Run(options.out, config, net)
    size = recipe.batch_size
    batches = data.DataLoader(train, size, True, options.seed, device, raw=compiled)
    test_batches = data.DataLoader(test, size, device=device, raw=compiled)
    say(headline(config, net, train, test, why_cpu))
    return _fit(run, net, batches, test_batches, recipe)


def _fit(
    run: Run,
    net: nn.Module,
    batches: data.DataLoader,
    test_batches: data.DataLoader,
    recipe: Recipe,
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
            after_epoch=[lambda history: run.write(net, history)],
            history=history,
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
