"""PyTorch's epochs of the same training, on the same GPU.

Float32 all through (TF32 off, unless a side says otherwise), the convolutions' algorithms chosen by
trying them (``cudnn.benchmark``), the update in one kernel (``fused``).
"""

from __future__ import annotations

from typing import Any

from benchmarks import lenet
from minicnn import data

TF32 = ", TF32"
SIDES = (
    "torch eager", "torch graph", "torch compile", "torch compile with graphs",
    "torch eager, TF32", "torch graph, TF32",
)  # fmt: skip


def epochs(model: str, side: str, train: data.Dataset, count: int) -> list[float]:
    """Seconds of each of ``count`` epochs, after one that is not counted."""
    import torch

    from benchmarks import torch_lenet

    way = side.removesuffix(TF32)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = side != way
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    net: Any = torch_lenet.build(model).to("cuda")
    optimizer = torch.optim.SGD(net.parameters(), lr=lenet.LR, fused=True)
    if way == "torch compile":
        net = torch.compile(net)
    elif way == "torch compile with graphs":
        net = torch.compile(net, mode="reduce-overhead")
    make = torch_lenet.graphed_step if way == "torch graph" else torch_lenet.eager_step
    images = torch.tensor(train.images)[:, None].to("cuda")
    labels = torch.tensor(train.labels).to("cuda")
    step = make(net, optimizer)
    return lenet.timed(lambda: torch_lenet.train_epoch(step, images, labels), count + 1)[1:]
