"""Small files that are right: what is then damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from minicnn import data, models, nn, optim
from minicnn.data.idx import write_idx
from minicnn.train.callbacks import Training
from minicnn.train.kept import KeptStates
from minicnn.train.loop import EagerStep
from minicnn.train.measure import History
from minicnn.train.state import Checkpoint

SIDE, CLASSES = (5, 4), 3
ARGUMENTS = {"hidden": [3], "image_shape": [1, *SIDE], "classes": CLASSES}
CONFIG = {
    "model": "mlp",
    "model_args": ARGUMENTS,
    "dataset": "fashion-mnist-sample",
    "data_kind": "catalogue",
    "classes": ["ant", "bee", "cat"],
    "normalise": {"mean": [0.25], "std": [0.5]},
    "epochs": 2,
    "lr": 0.1,
    "batch_size": 7,
    "seed": 0,
    "options": {"model": "mlp", "hidden": [3], "epochs": 2, "lr": 0.1, "batch_size": 7},
}


def draw() -> np.random.Generator:
    return np.random.default_rng(5)


def images(count: int) -> np.ndarray:
    return draw().integers(0, 256, (count, *SIDE), np.uint8)


def idx_files(folder: Path, end: str) -> None:
    """A training set of 9 pictures and a test set of 4."""
    for part, count in (("train", 9), ("t10k", 4)):
        write_idx(images(count), folder / f"{part}-images-idx3-ubyte{end}")
        write_idx(np.arange(count, dtype=np.uint8) % 3, folder / f"{part}-labels-idx1-ubyte{end}")


def npz(path: Path) -> None:
    parts = {"x_train": images(9), "y_train": np.arange(9) % 3}
    np.savez_compressed(path, **parts, x_test=images(4), y_test=np.arange(4) % 3)  # type: ignore[arg-type]


def csv(path: Path) -> None:
    rows = [f"{i % 3},{','.join(map(str, image.ravel()))}" for i, image in enumerate(images(9))]
    names = ",".join(f"pixel{i}" for i in range(SIDE[0] * SIDE[1]))
    path.write_text("\n".join([f"label,{names}", *rows]) + "\n")


def picture(path: Path, mode: str) -> None:
    """A picture of Pillow's mode ``mode``, in the format that the name ends in."""
    from PIL import Image

    pixels = draw().integers(0, 256, (9, 7, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


def net() -> nn.Sequential:
    minicnn.manual_seed(3)
    return models.build("mlp", **ARGUMENTS)


def state(path: Path) -> None:
    """The state of a training after its two epochs."""
    trained(callbacks=lambda training: [Checkpoint(path)])


def kept(folder: Path) -> None:
    """The states of a training after 0, 2 and 4 updates."""
    trained(callbacks=lambda training: [KeptStates(folder / "states", 2, training)])


def training() -> Training:
    """A training that has not begun."""
    mine = net()
    loader = data.DataLoader(data.Dataset(images(9), np.arange(9) % 3, CLASSES), 5, True, seed=2)
    optimizer = optim.SGD(mine.parameters(), lr=0.1, momentum=0.9)
    schedule = optim.CosineAnnealingLR(optimizer, 3)
    step = EagerStep(mine, nn.CrossEntropyLoss(), optimizer)
    return Training(mine, optimizer, schedule, loader, step, History(), 2)


def trained(callbacks: Any, **more: Any) -> None:
    """Train for two epochs."""
    new = training()
    minicnn.fit(
        new.net,
        new.loader,
        optimizer=new.optimizer,
        epochs=2,
        schedule=new.schedule,
        callbacks=callbacks(new),
        quiet=True,
        **more,
    )


def run(folder: Path) -> None:
    """The folder of a run, without curves.png and the state."""
    minicnn.save(net(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2))
    row = {"epoch": 1, "loss": 1.5, "train_acc": 0.5, "test_acc": 0.25, "seconds": 0.125}
    rows = [row, {**row, "epoch": 2, "val_acc": 0.5}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    points = [{"epoch": i / 5, "loss": 2.0, "train_acc": 0.25} for i in range(1, 11)]
    (folder / "curve.jsonl").write_text("".join(json.dumps(p) + "\n" for p in points))


def toml(path: Path) -> None:
    path.write_text(
        'model = "mlp" # the smallest\nhidden = [16, 8]\nlr = 0.25\nepochs = 3\nquiet = true\n'
        'activation = "relu"\nbatch-size = 64\n'
    )


def onnx_net(path: Path) -> None:
    """Convolution, pooling, batch normalisation and dense layers."""
    from minicnn.onnx import export

    minicnn.manual_seed(1)
    layers = [nn.Conv2d(1, 2, (3, 2), padding=(1, 0)), nn.ReLU(), nn.MaxPool2d(2)]
    more = [nn.BatchNorm2d(2), nn.AvgPool2d((1, 2)), nn.Flatten(), nn.Linear(6, 3)]
    export(nn.Sequential(*layers, *more), path, np.zeros((1, 1, 7, 6), np.float32))


def torch_state(path: Path) -> None:
    import torch

    torch.save({name: torch.from_numpy(p.numpy()) for name, p in net().state_dict().items()}, path)


def markdown(path: Path) -> None:
    cells = ("import numpy as np\nx = 1", "#@tab pytorch\ny = x + 1", "#@tab all\nprint(x)")
    fences = [f"Some text.\n```{{.python .input}}\n{cell}\n```\n" for cell in cells]
    path.write_text("# A chapter\n:begin_tab:`mxnet`\nOld.\n:end_tab:\n" + "".join(fences))


def notebook(path: Path) -> None:
    import nbformat

    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# A chapter\n", "Text."]},
        *({"cell_type": "code", "metadata": {}, "source": [f"x = {i}\n", "print(x)"],
           "outputs": [], "execution_count": None} for i in range(3)),
    ]  # fmt: skip
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    whole = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 4}
    nbformat.validate(whole)
    path.write_text(json.dumps(whole))
