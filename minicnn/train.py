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
from minicnn import command, data, models, nn, optim, plots
from minicnn.device import gpu_problem, to_device, try_gpu
from minicnn.runs import Run
from minicnn.training import DivergedError, History, fit

EPOCHS = {"lenet": 10, "lenet-max": 5, "mlp": 10}
LR = {"lenet": 0.9, "lenet-max": 0.9, "mlp": 0.1}
FULL_SIZE = 60_000  # training images; with fewer, the default is as many updates, not epochs
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
    p = command.Parser(prog="python -m minicnn.train", description=__doc__)
    p.add_argument("--device", default="auto", help="auto, cpu, gpu or gpu:<number>")
    p.add_argument(
        "--dataset",
        choices=["fashion-mnist", "fashion-mnist-sample", "mnist"],
        help="fashion-mnist; where it cannot be had, the sample in the package",
    )
    p.add_argument("--data-dir", type=Path, metavar="DIR", help="where the data set's files are")
    p.add_argument(
        "--model",
        default="lenet",
        choices=list(models.PRESETS),
        help="lenet: average pooling, padding 2; lenet-max: max pooling, no padding",
    )
    p.add_argument(
        "--epochs",
        type=command.at_least(1),
        help=f"{', '.join(f'{k}: {v}' for k, v in EPOCHS.items())}; on a smaller data "
        "set as many more as give the same number of updates",
    )
    p.add_argument("--lr", type=command.non_negative, help="0.9 for LeNet, 0.1 for mlp")
    p.add_argument("--batch-size", type=command.at_least(1), default=256)
    p.add_argument("--momentum", type=command.non_negative, default=0.0)
    p.add_argument("--weight-decay", type=command.non_negative, default=0.0)
    p.add_argument("--seed", type=command.at_least(0), default=0)
    p.add_argument("--threads", type=command.at_least(1), help="CPU threads; all by default")
    p.add_argument("--out", type=Path, metavar="DIR", help="a new or empty folder; runs/<time>")
    p.add_argument("--no-compile", action="store_true", help="train eagerly (as it does so far)")
    net = p.add_argument_group("the net (the exercises of the chapter)")
    net.add_argument("--activation", choices=list(models.ACTIVATIONS))
    net.add_argument("--pool", choices=list(models.POOLS))
    net.add_argument("--padding", type=command.at_least(0), help="of the first convolution")
    net.add_argument("--kernel-size", type=command.at_least(1))
    net.add_argument(
        "--channels", type=command.integers, metavar="6,16", help="of each convolution"
    )
    net.add_argument("--hidden", type=command.integers, metavar="120,84", help="dense layers")
    net.add_argument("--init", choices=[*models.INITS, "default"], help="initial weights")
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
    train_set, test_set = _load_data(options)

    lr = LR[options.model] if options.lr is None else options.lr
    epochs = options.epochs or math.ceil(EPOCHS[options.model] * FULL_SIZE / len(train_set))
    config = {
        "model": options.model,
        "model_args": knobs,
        "dataset": train_set.name,
        "epochs": epochs,
        "lr": lr,
        "batch_size": options.batch_size,
        "momentum": options.momentum,
        "weight_decay": options.weight_decay,
        "seed": options.seed,
        "device": device,
        "threads": minicnn.get_num_threads(),
        "minicnn": minicnn.__version__,
        "numpy": np.__version__,
    }
    run = Run(options.out or _new_folder(), config)

    batches = data.DataLoader(
        train_set, options.batch_size, shuffle=True, seed=options.seed, device=device
    )
    test_batches = data.DataLoader(test_set, options.batch_size, device=device)
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
    after_epoch: list[Any] = [lambda _: run.write(net, history)]
    if plots.in_notebook():
        after_epoch.append(plots.LiveCurves())
    try:
        fit(
            net, batches, test_batches, epochs, optimizer,
            after_epoch=after_epoch, history=history,
        )  # fmt: skip
    except DivergedError as error:
        print(f"python -m minicnn.train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        run.write(net, history)
        print(
            f"interrupted after {len(history.epochs)} whole epochs; what was trained so far is in "
            f"{run.folder}",
            file=sys.stderr,
        )
        return 130
    print(_result(run, history))
    return 0


def _choose_device(name: str) -> tuple[str, str]:
    """The device, and for ``auto`` on the CPU the reason why."""
    if name == "auto":
        device = try_gpu()
        return device, f" ({gpu_problem()})" if device == "cpu" else ""
    to_device(np.zeros(1, np.float32), name)
    return minicnn.device.resolve(name), ""


def _load_data(options: argparse.Namespace) -> tuple[data.Dataset, data.Dataset]:
    if options.dataset is not None or options.data_dir is not None:
        return data.load(options.dataset or "fashion-mnist", options.data_dir)
    try:
        return data.load("fashion-mnist")
    except data.DatasetNotFoundError:
        print(SAMPLE_NOTICE, flush=True)
        return data.load("fashion-mnist-sample")


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
