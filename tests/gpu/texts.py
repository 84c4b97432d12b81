"""The kernels' CUDA C as text, read without CuPy."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "kernels" / "gpu"
FILES = (
    "common.cuh", "load.cu", "random.cu", "conv.cu", "conv_backward.cu", "linear.cu", "pool.cu",
    "activation.cu", "norm.cu", "join.cu", "loss.cu", "chain.cu", "optim.cu", "sums.cu",
)  # fmt: skip


def everything() -> str:
    """What ``kernels.gpu`` has compiled."""
    return "\n".join((FOLDER / name).read_text() for name in FILES)


def names() -> list[str]:
    """Every kernel."""
    return re.findall(r"__global__ void (\w+)\(", everything())
