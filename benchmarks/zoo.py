"""The nets whose training steps are compared, in either library; and a process that times them.

    python -P benchmarks/zoo.py SIDE THREADS

reads a line {"net": NAME, "batch": N} and prints {"ms": a step's median} or {"refused": why}, until
there are no more lines. It imports nothing of this package, so that it can time the minicnn of
another checkout: that which ``PYTHONPATH`` names.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

SEED = 0  # of pictures, labels and weights
SECONDS, LEAST, WARM = 0.4, 3, 2  # of the steps that are timed; as many at least; not counted
LR = 0.01

Step = Callable[[], Any]

# The nets: ``nn`` is minicnn's or PyTorch's -------------------------------------------------------


def lenet(nn: Any) -> Any:
    """The second edition's: average pooling, padding 2."""
    return nn.Sequential(
        *[nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2)],
        *[nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2)],
        nn.Flatten(),
        *[nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10)],
    )


def lenet_max(nn: Any) -> Any:
    """The first edition's: max pooling, no padding."""
    return nn.Sequential(
        *[nn.Conv2d(1, 6, 5), nn.Sigmoid(), nn.MaxPool2d(2)],
        *[nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.MaxPool2d(2)],
        nn.Flatten(),
        *[nn.Linear(256, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10)],
    )


def torch_mnist(nn: Any) -> Any:
    """PyTorch's own MNIST example."""
    return nn.Sequential(
        *[nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Dropout(0.25), nn.Flatten()],
        *[nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)],
    )


def keras_mnist(nn: Any) -> Any:
    """Keras' MNIST convnet."""
    return nn.Sequential(
        *[nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10)],
    )


def vgg(nn: Any) -> Any:
    """Two blocks of two 3 x 3 convolutions of 32 and 64 channels, on pictures of CIFAR's size."""
    return nn.Sequential(
        *[nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()],
        nn.MaxPool2d(2),
        *[nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()],
        nn.MaxPool2d(2),
        *[nn.Flatten(), nn.Linear(4096, 128), nn.ReLU(), nn.Linear(128, 10)],
    )


def wide(nn: Any) -> Any:
    """Three convolutions of 64, 128 and 256 channels."""
    return nn.Sequential(
        *[nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(128, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Flatten(), nn.Linear(4096, 10)],
    )


def batch_norm(nn: Any) -> Any:
    """Batch normalisation after convolutions of 16, 32 and 64 channels; an average pooling head."""
    return nn.Sequential(
        *[nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.AvgPool2d(8)],
        *[nn.Flatten(), nn.Linear(64, 10)],
    )


def strided(nn: Any) -> Any:
    """Convolutions with stride 2 in place of pooling."""
    return nn.Sequential(
        *[nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.ReLU()],
        *[nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU()],
        *[nn.Conv2d(64, 128, 3, stride=2, padding=1), nn.ReLU()],
        *[nn.Flatten(), nn.Linear(2048, 10)],
    )


def mlp(nn: Any) -> Any:
    """Two dense layers."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))


def resnet(nn: Any) -> Any:
    """The residual net for CIFAR of He et al. 2016 (arXiv:1512.03385), with one block a width.

    A shortcut that changes the shape is a projection: their option B.
    """
    return nn.Sequential(
        *[nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()],
        *[residual(nn, 16, 16, 1), residual(nn, 16, 32, 2), residual(nn, 32, 64, 2)],
        *[nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 10)],
    )


def residual(nn: Any, before: int, after: int, stride: int) -> Any:
    """relu(path(x) + shortcut(x)): ``before`` channels to ``after``, sides to 1 / ``stride``."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.path = nn.Sequential(
                nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                nn.Conv2d(after, after, 3, padding=1, bias=False),
                nn.BatchNorm2d(after),
            )
            self.shortcut = nn.Identity()
            if (before, 1) != (after, stride):
                self.shortcut = nn.Sequential(
                    nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after)
                )

        def forward(self, x: Any) -> Any:
            return (self.path(x) + self.shortcut(x)).relu()

    return Residual()


def two_convolutions(nn: Any, channels: int, size: int) -> Any:
    """Two 3 x 3 convolutions of ``channels`` on pictures of ``size`` x ``size``, a dense head."""
    return nn.Sequential(
        *[nn.Conv2d(3, channels, 3, padding=1), nn.ReLU()],
        *[nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Flatten(), nn.Linear(channels * (size // 2) ** 2, 10)],
    )


NETS: dict[str, Callable[[Any], Any]] = {
    "lenet": lenet,
    "lenet-max": lenet_max,
    "torch-mnist": torch_mnist,
    "keras-mnist": keras_mnist,
    "vgg": vgg,
    "wide": wide,
    "bn": batch_norm,
    "strided": strided,
    "mlp": mlp,
    "resnet": resnet,
}
GREY = ("lenet", "lenet-max", "torch-mnist", "keras-mnist", "mlp")


def build(nn: Any, name: str) -> Any:
    """A net by its name in ``NETS``; "64@16" is ``two_convolutions`` of 64 channels on 16 x 16."""
    if name in NETS:
        return NETS[name](nn)
    channels, size = map(int, name.split("@"))
    return two_convolutions(nn, channels, size)


def batch_of(name: str, images: int) -> tuple[Any, Any]:
    """Random pictures float32 (N, C, H, W) that fit the net, and classes int64 (N,)."""
    import numpy as np

    size = 28 if name in GREY else 32 if name in NETS else int(name.split("@")[1])
    rng = np.random.default_rng(SEED)
    x = rng.random((images, 1 if name in GREY else 3, size, size), dtype=np.float32)
    return x, rng.integers(0, 10, images)


# The sides: each makes a step of SGD --------------------------------------------------------------


def minicnn_step(name: str, images: int, threads: int) -> Step:
    import minicnn
    from minicnn import nn, optim

    minicnn.set_num_threads(threads)
    minicnn.manual_seed(SEED)
    net = build(nn, name)
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=LR))
    return partial(step, *batch_of(name, images))


def torch_step(
    name: str,
    images: int,
    threads: int,
    channels_last: bool = False,
    compiled: bool = False,
    bf16: bool = False,
) -> Step:
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(SEED)
    torch.compiler.reset()  # or the ninth net of a process would run eagerly: its limit is 8
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net = build(nn, name).to(memory_format=layout)
    optimizer, loss_of = torch.optim.SGD(net.parameters(), lr=LR), nn.CrossEntropyLoss()
    forward = torch.compile(net, dynamic=False) if compiled else net
    x, y = map(torch.from_numpy, batch_of(name, images))
    x = x.contiguous(memory_format=layout)

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss = loss_of(forward(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


SIDES: dict[str, Callable[[str, int, int], Step]] = {
    "minicnn compiled": minicnn_step,
    "torch eager": torch_step,
    "torch channels_last": partial(torch_step, channels_last=True),
    "torch compile": partial(torch_step, compiled=True),
    "torch bf16 autocast": partial(torch_step, bf16=True, channels_last=True),
}

# The process --------------------------------------------------------------------------------------


def milliseconds(step: Step) -> float:
    """The median of some steps, of which the first are not counted."""
    for _ in range(WARM):
        step()
    seconds: list[float] = []
    while len(seconds) < LEAST or sum(seconds) < SECONDS:
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return 1e3 * statistics.median(seconds)


def answer(side: str, threads: int, asked: dict[str, Any]) -> dict[str, Any]:
    """What ``asked`` asks for, or why there is none: any error is the side's own."""
    try:
        return {"ms": milliseconds(SIDES[side](asked["net"], asked["batch"], threads))}
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"}


def main() -> None:
    side, threads = sys.argv[1], int(sys.argv[2])
    for line in sys.stdin:
        print(json.dumps(answer(side, threads, json.loads(line))), flush=True)
        gc.collect()  # the net that was timed


if __name__ == "__main__":
    main()
