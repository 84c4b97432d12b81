"""LeNet on Fashion-MNIST in PyTorch: the program that ``python -m minicnn.train`` is compared with.

    python -m benchmarks.torch_lenet --data-dir DIR [--model lenet] [--epochs 10] [--threads 2]

Nothing of minicnn is imported here. DIR holds the four IDX files, plain or gzipped.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

BATCH, LR = 256, 0.9


def build(model: str) -> nn.Sequential:
    """The presets ``lenet`` and ``lenet-max``, with Xavier-uniform weights and zero biases."""
    pool = nn.AvgPool2d if model == "lenet" else nn.MaxPool2d
    padding, features = (2, 400) if model == "lenet" else (0, 256)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=padding),
        nn.Sigmoid(),
        pool(2, 2),
        nn.Conv2d(6, 16, 5),
        nn.Sigmoid(),
        pool(2, 2),
        nn.Flatten(),
        nn.Linear(features, 120),
        nn.Sigmoid(),
        nn.Linear(120, 84),
        nn.Sigmoid(),
        nn.Linear(84, 10),
    )
    return net.apply(init_weights)


def init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def load(folder: Path, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images uint8 (N, 1, 28, 28) and labels int64 (N,)."""
    pixels = read(folder / f"{part}-images-idx3-ubyte", header=16)
    labels = read(folder / f"{part}-labels-idx1-ubyte", header=8)
    return torch.from_numpy(pixels).view(-1, 1, 28, 28), torch.from_numpy(labels).long()


def read(path: Path, header: int) -> np.ndarray:
    """The bytes after a header of ``header`` bytes."""
    zipped = path.with_name(f"{path.name}.gz")
    content = gzip.decompress(zipped.read_bytes()) if zipped.exists() else path.read_bytes()
    return np.frombuffer(bytearray(content), np.uint8, offset=header)


Step = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def eager_step(net: nn.Module, optimizer: torch.optim.SGD) -> Step:
    """A function of a batch that trains, and returns the loss and the logits."""
    loss_of = nn.CrossEntropyLoss()

    def step(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = net(x)
        loss = loss_of(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, logits

    return step


def graphed_step(net: nn.Module, optimizer: torch.optim.SGD) -> Step:
    """The same as a CUDA graph, as PyTorch's manual describes it; a smaller batch goes eagerly."""
    eager = eager_step(net, optimizer)
    x = torch.zeros(BATCH, 1, 28, 28, device="cuda")
    y = torch.zeros(BATCH, dtype=torch.int64, device="cuda")
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            eager(x, y)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss, logits = eager(x, y)

    def step(new_x: torch.Tensor, new_y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if len(new_x) != BATCH:
            return eager(new_x, new_y)
        x.copy_(new_x)
        y.copy_(new_y)
        graph.replay()
        return loss, logits

    return step


def train_epoch(step: Step, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Mean loss and accuracy over an epoch, as it was trained; on the images' device."""
    device = labels.device
    loss_sum = torch.zeros((), device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    for rows in torch.randperm(len(labels), device=device).split(BATCH):
        x, y = images[rows].float().div_(255), labels[rows]
        loss, logits = step(x, y)
        with torch.no_grad():
            loss_sum += loss * len(y)
            correct += (logits.argmax(1) == y).sum()
    return loss_sum.item() / len(labels), correct.item() / len(labels)


@torch.inference_mode()
def accuracy(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    correct = torch.zeros((), dtype=torch.int64)
    for x, y in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        correct += (net(x.float().div_(255)).argmax(1) == y).sum()
    return correct.item() / len(labels)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torch_lenet")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model", choices=["lenet", "lenet-max"], default="lenet")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    train, test = load(options.data_dir, "train"), load(options.data_dir, "t10k")
    net = build(options.model)
    step = eager_step(net, torch.optim.SGD(net.parameters(), lr=LR))
    print("epoch   loss  train acc  test acc")
    for epoch in range(1, options.epochs + 1):
        loss, train_acc = train_epoch(step, *train)
        test_acc = accuracy(net, *test)
        print(f"{epoch:5}  {loss:5.3f}  {train_acc:9.3f}  {test_acc:8.3f}", flush=True)


if __name__ == "__main__":
    main()
