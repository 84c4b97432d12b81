"""How long does the host take for a training step on a GPU?

    python -m benchmarks.gpu_host [--model lenet lenet-max lenet-plus] [--batch 256]

A compiled step is one launch of a CUDA graph, and the GPU should never wait for it: Python has to
take less time than the kernels. No GPU is needed: the stand-in for CuPy of ``tests/gpu`` takes its
place, and a launch does nothing. So what is measured is Python's part, with the stand-in's own and
without that of CUDA's driver.

``gathered``: ``step.take(n)``, which finds its batch on the device. ``given``: ``step(x, y)``,
whose two copies do nothing either.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np

import minicnn
from minicnn import models, nn, optim
from minicnn.device import to_device
from tests.gpu.pretend import standin_for_cupy

OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "SGD": lambda params: optim.SGD(params, 0.1),
    "momentum": lambda params: optim.SGD(params, 0.1, momentum=0.9),
    "Adam": lambda params: optim.Adam(params),
}
ROUNDS, STEPS = 20, 200


def microseconds(step: Callable[[], Any]) -> float:
    """Of processor time: the least over rounds of the mean of some steps."""
    means = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(STEPS):
            step()
        means.append(1e6 * (time.process_time() - start) / STEPS)
    return min(means)


def measured(model: str, optimizer: str, batch: int) -> tuple[float, float]:
    """Microseconds of a step whose batch is gathered, and of one whose batch is given."""
    net = models.build(model).to("gpu")
    step: Any = minicnn.compile(net, nn.CrossEntropyLoss(), OPTIMIZERS[optimizer](net.parameters()))
    x = to_device(np.zeros((batch, 1, 28, 28), np.uint8), "gpu")
    y = to_device(np.zeros(batch, np.int64), "gpu")
    pictures, labels = minicnn.Tensor(x), minicnn.Tensor(y)
    step.read_from(x, y, None, 0)
    return microseconds(lambda: step.take(batch)), microseconds(lambda: step(pictures, labels))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_host", description=__doc__)
    parser.add_argument("--model", nargs="+", default=["lenet", "lenet-max", "lenet-plus"])
    parser.add_argument("--batch", type=int, default=256)
    options = parser.parse_args(arguments)
    print(f"{'microseconds a step':22}{'gathered':>10}{'given':>10}")
    with standin_for_cupy() as cupy:
        from minicnn.compiler.gpu.engine import GpuEngine

        nothing = patch.object(GpuEngine, "compile"), patch.object(cupy, "copyto")
        with nothing[0], nothing[1], patch.object(GpuEngine, "_launch_all"):
            for model in options.model:
                for optimizer in OPTIMIZERS:
                    gathered, given = measured(model, optimizer, options.batch)
                    print(f"{model + ', ' + optimizer:22}{gathered:10.1f}{given:10.1f}")


if __name__ == "__main__":
    main()
