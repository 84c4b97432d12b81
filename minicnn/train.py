"""``python -m minicnn.train``: train LeNet on Fashion-MNIST and keep what came of it."""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from minicnn import command, compiler, data, models, nn, optim
from minicnn.device import gpu_problem, resolve, to_device, try_gpu
from minicnn.runs import Run
from minicnn.training import DivergedError, History, fit

EPOCHS = {"lenet": 10, "lenet-max": 5, "mlp": 10}
DIVIDE_BY = {"lenet": "images", "lenet-max": "batch-size", "mlp": "images"}
LR = {"lenet": 0.9, "lenet-max": 0.9, "mlp": 0.1}
FULL_SIZE = 60_000
ENOUGH_UPDATES = 1_400  # for both LeNets to leave the plateau and settle, on a smaller data set
KNOBS = ("activation", "pool", "padding", "kernel_size", "channels", "hidden", "init")

SAMPLE_NOTICE = """\
NOTE: the whole Fashion-MNIST is not on this machine and could not be downloaded.
      Training on the sample inside the package instead: 6,000 training and 1,000 test images.
      The accuracy is NOT the published one. For the whole set, either
        apt-get install dataset-fashion-mnist        (Debian, Ubuntu)
        python -m minicnn.train --data-dir DIR       (a folder with its four IDX files)
"""


def parser() -> command.Parser:
    """The options of ``python -m minicnn.train``."""
    p = command.Parser("train", "Train LeNet on Fashion-MNIST; keep what came of it in a folder.")
    natural, positive = command.at_least(0), command.at_least(1)
    amount = command.non_negative
    sets = ["fashion-mnist", "fashion-mnist-sample", "mnist"]
    epochs = ", ".join(f"{model} {count}" for model, count in EPOCHS.items())

    p.add("--device", "NAME", "auto, cpu, gpu or gpu:<number>", default="auto")
    p.add(
        "--dataset",
        "NAME",
        f"{', '.join(sets)}; without it fashion-mnist or, where that cannot "
        "be had, the sample in the package",
        choices=sets,
    )
    p.add("--data-dir", "DIR", "look for the data set's files here only", type=Path)
    p.add(
        "--model",
        "NAME",
        "lenet (average pooling, padding 2; the default), lenet-max (max "
        "pooling, no padding) or mlp",
        choices=list(models.PRESETS),
        default="lenet",
    )
    p.add(
        "--epochs",
        "N",
        f"by default {epochs}; on a smaller data set as many as give {ENOUGH_UPDATES:,} updates",
        type=positive,
    )
    p.add("--lr", "RATE", "learning rate; by default 0.9 for LeNet, 0.1 for mlp", type=amount)
    p.add("--batch-size", "N", "256 by default", type=positive, default=256)
    p.add(
        "--divide-by",
        "NAME",
        "a batch's gradient by its images (the default) or by batch-size, which makes a smaller "
        "last batch count less (the first edition; the default of lenet-max)",
        choices=["images", "batch-size"],
    )
    p.add("--momentum", "M", "0 by default", type=amount, default=0.0)
    p.add("--weight-decay", "W", "0 by default", type=amount, default=0.0)
    p.add("--seed", "N", "of weights, shuffles and dropout; 0 by default", type=natural, default=0)
    p.add("--threads", "N", "CPU threads; by default as many as cores", type=positive)
    p.add("--out", "DIR", "a new or empty folder; runs/<time> by default", type=Path)
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
    return p  # fmt: skip


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
    compiled = not options.no_compile and compiler.is_available(device)
    dataset, (train_set, test_set) = _load_data(options)

    lr = LR[options.model] if options.lr is None else options.lr
    epochs = options.epochs or _default_epochs(options, len(train_set))
    config = {
        "model": options.model,
        "model_args": knobs,
        "dataset": dataset,
        "epochs": epochs,
        "lr": lr,
        "batch_size": options.batch_size,
        "divide_by": options.divide_by or DIVIDE_BY[options.model],
        "momentum": options.momentum,
        "weight_decay": options.weight_decay,
        "seed": options.seed,
        "device": device,
        "compiled": compiled,
        "threads": minicnn.get_num_threads(),
        "minicnn": minicnn.__version__,
        "numpy": np.__version__,
    }
    run = Run(options.out or _new_folder(), config)

    batches = data.DataLoader(
        train_set, options.batch_size, True, options.seed, device, raw=compiled
    )
    test_batches = data.DataLoader(test_set, options.batch_size, device=device, raw=compiled)
    optimizer = optim.SGD(
        net.parameters(), lr, momentum=options.momentum, weight_decay=options.weight_decay
    )
    print(_headline(config, net, train_set, test_set, why_cpu))
    return _train_and_report(run, net, batches, test_batches, epochs, optimizer)


def _train_and_report(
    run: Run,
    net: nn.Module,
    batches: data.DataLoader,
    test_batches: data.DataLoader,
    epochs: int,
    optimizer: optim.SGD,
) -> int:
    history = History()
    status = 0
    try:
        fit(
            net,
            batches,
            test_batches,
            optimizer=optimizer,
            epochs=epochs,
            divide_by=batches.batch_size if run.config["divide_by"] == "batch-size" else None,
            after_epoch=[lambda history: run.write(net, history)],
            history=history,
            compile=run.config["compiled"],
        )
    except DivergedError as error:
        print(f"python -m minicnn.train: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        run.write(net, history)
        print(
            f"interrupted after {len(history.epochs)} whole epochs; what was trained so far is in "
            f"{run.folder}",
            file=sys.stderr,
        )
        status = 130
    run.draw(history)
    if status == 0:
        print(_result(run, history))
    return status


def _choose_device(name: str) -> tuple[str, str]:
    """The device, and for ``auto`` on the CPU the reason why."""
    if name == "auto":
        device = try_gpu()
        return device, f" (no GPU: {gpu_problem()})" if device == "cpu" else ""
    to_device(np.zeros(1, np.float32), name)
    return resolve(name), ""


def _load_data(options: argparse.Namespace) -> tuple[str, tuple[data.Dataset, data.Dataset]]:
    """The data set's name and its two parts; the sample only where none was asked for."""
    name = options.dataset or "fashion-mnist"
    try:
        return name, data.load(name, options.data_dir)
    except data.DatasetNotFoundError as error:
        if options.dataset is not None:
            raise
        print(f"{SAMPLE_NOTICE}      ({error})\n", flush=True)
    sample = "fashion-mnist-sample"
    return sample, data.load(sample)


def _default_epochs(options: argparse.Namespace, images: int) -> int:
    batches = math.ceil(images / options.batch_size)
    enough = math.ceil(ENOUGH_UPDATES / batches) if images < FULL_SIZE else 0
    return max(EPOCHS[options.model], enough)


def _new_folder() -> Path:
    """runs/<time>, with a number behind it where that is taken."""
    stem = time.strftime("%Y-%m-%d-%H%M%S")
    names = (f"{stem}-{n}" if n > 1 else stem for n in range(1, 1000))
    return next(path for name in names if not (path := Path("runs") / name).exists())


def _headline(
    config: dict[str, Any], net: nn.Module, train: data.Dataset, test: data.Dataset, why_cpu: str
) -> str:
    parameters = sum(p.size for p in net.parameters())
    threads = f", {config['threads']} threads" if config["device"] == "cpu" else ""
    threads += ", compiled" if config["compiled"] else ", eager"
    return (
        f"{config['model']} ({parameters:,} parameters) on {config['dataset']} ({len(train):,} + "
        f"{len(test):,} images), {config['epochs']} epochs\n"
        f"device {config['device']}{threads}{why_cpu}"
    )


def _result(run: Run, history: History) -> str:
    last, device = history.epochs[-1], run.config["device"]
    sample = (
        " (of the sample: not the published figure)" if "sample" in run.config["dataset"] else ""
    )
    return (
        f"loss {last['loss']:.3f}, train acc {last['train_acc']:.3f}, "
        f"test acc {last['test_acc']:.3f}{sample}\n"
        f"{history.examples_per_sec:,.0f} examples/sec on {device} (batching, steps and counting)\n"
        f"written to {run.folder}"
    )


if __name__ == "__main__":
    sys.exit(main())
