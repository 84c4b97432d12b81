"""Makes objects.pickle and run/: one object of each class that people pickle, and a run's folder.

    cd A_CHECKOUT_OF_8eabaf1 && PYTHONPATH=. python .../tests/states/objects.py FOLDER

They were written by commit 8eabaf1; ``tests/test_old_files.py`` loads them.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from minicnn import Tensor, data, nn, optim, train

KINDS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    "Adam": {"lr": 0.01, "amsgrad": True},
    "AdamW": {"lr": 0.01},
    "Adadelta": {"lr": 0.5},
}
SCHEDULES: dict[str, Any] = {
    "StepLR": (2,),
    "MultiStepLR": ([1, 3],),
    "ExponentialLR": (0.9,),
    "CosineAnnealingLR": (10,),
    "LambdaLR": (abs,),
}


def small_net() -> nn.Sequential:
    """Every layer with parameters or statistics, every activation, both poolings."""
    return nn.Sequential(
        nn.Conv2d(1, 2, (2, 3), padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(2, 2, 1), nn.Tanh(), nn.AvgPool2d((1, 2)), nn.Dropout(0.5), nn.Identity(),
        nn.Flatten(), nn.Linear(6, 4), nn.Sigmoid(), nn.Linear(4, 3),
    )  # fmt: skip


def trained(kind: str) -> dict[str, Any]:
    """A net, its optimiser and schedule after one step, and what the net computes."""
    minicnn.manual_seed(3)
    net, x = small_net(), Tensor(np.random.default_rng(0).random((5, 1, 6, 6), np.float32))
    optimizer = getattr(optim, kind)(net.parameters(), **KINDS[kind])
    nn.CrossEntropyLoss()(net(x), Tensor(np.array([0, 1, 2, 0, 1]))).backward()
    optimizer.step()
    optimizer.zero_grad()
    net.eval()
    return {"net": net, "optimizer": optimizer, "x": x, "y": net(x).detach()}


def objects() -> dict[str, Any]:
    made: dict[str, Any] = {kind: trained(kind) for kind in KINDS}
    for name, arguments in SCHEDULES.items():
        schedule = getattr(optim, name)(optim.SGD([nn.Parameter([1.0])], lr=0.5), *arguments)
        schedule.optimizer.step()
        schedule.step()
        made[name] = schedule
    loss = nn.CrossEntropyLoss(weight=Tensor([1.0, 2.0, 3.0]), label_smoothing=0.1)
    made["layers"] = [
        loss, nn.NLLLoss(), nn.Softmax(1), nn.LogSoftmax(1), nn.LazyLinear(3), nn.LazyConv2d(2, 3),
    ]  # fmt: skip
    net = small_net()
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.1))
    step(np.zeros((2, 1, 6, 6), np.float32), np.array([0, 1]))
    made["predict"], made["step"] = minicnn.compile(net), step
    made["tensors"] = [Tensor([1.5, 2.0]), nn.Parameter([3.0]), Tensor([1.0], requires_grad=True)]
    made["history"] = minicnn.History([{"epoch": 1, "loss": 2.0}], [], 2)
    made["dataset"] = data.Dataset(np.zeros((2, 1, 3, 3), np.uint8), np.array([0, 1]), ("a", "b"))
    return made


def main(folder: Path) -> None:
    run = folder / "run"
    (folder / "objects.pickle").write_bytes(pickle.dumps(objects()))
    settings = ["--dataset", "fashion-mnist-sample", "--model", "mlp", "--hidden", "2"]
    train.main([*settings, "--epochs", "1", "--out", str(run)])
    (run / "curves.png").unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
