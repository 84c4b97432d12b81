"""Which kernels run: the environment's, and those of a step of LeNet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, kernels
from minicnn.nn import functional as F


def test_arrays_find_the_kernels_of_the_environment(kernel_set: str) -> None:
    assert kernels.of(np.zeros(1)).__name__ == f"minicnn.kernels.{kernel_set}"


def test_an_unknown_kernel_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINICNN_KERNELS", "fast")
    kernels.host_kernels.cache_clear()
    with pytest.raises(ValueError, match="MINICNN_KERNELS is 'fast'; wanted 'cpu' or 'reference'"):
        kernels.host_kernels()
    kernels.host_kernels.cache_clear()


def operations_on_the_tape(last: Tensor) -> list[str]:
    """Names of the operations that ``last`` was computed by, the last one first."""
    names, tensors, seen = [], [last], set()
    while tensors:
        tensor = tensors.pop(0)
        if tensor.node is not None and id(tensor) not in seen:
            seen.add(id(tensor))
            names.append(tensor.node.operation.name)
            tensors += tensor.node.inputs
    return names


def test_a_step_of_lenet_is_these_operations_and_kernels(
    kernel_set: str, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """A guard that noise cannot move: whatever takes time beyond these calls shows up here."""
    net = minicnn.models.lenet()
    x = Tensor(rng.standard_normal((3, 1, 28, 28)).astype(np.float32))
    target = Tensor(np.array([7, 0, 9]))
    calls: Counter[str] = Counter()
    module = kernels.host_kernels()
    for name in [
        "avg_pool",
        "avg_pool_backward",
        "col2im",
        "im2col",
        "matmul",
        "max_pool",
        "max_pool_backward",
        "random_uniform",
        "sigmoid",
        "sigmoid_backward",
        "softmax_cross_entropy",
    ]:
        monkeypatch.setattr(module, name, counted(name, getattr(module, name), calls))

    loss = F.cross_entropy(net(x), target)
    block = ["AvgPool2d", "Sigmoid", "Conv2d"]
    dense = ["Linear", "Sigmoid", "Linear", "Sigmoid", "Linear", "Reshape"]
    assert operations_on_the_tape(loss) == ["SoftmaxCrossEntropy", *dense, *block, *block]
    forward = {"im2col": 2, "matmul": 5, "sigmoid": 4, "avg_pool": 2, "softmax_cross_entropy": 1}
    assert calls == forward

    calls.clear()
    loss.backward()
    # weights 5, inputs 4 (nobody asks for the pictures' gradient, so no first col2im), biases of
    # convolutions 2
    assert calls == {"matmul": 11, "col2im": 1, "sigmoid_backward": 4, "avg_pool_backward": 2}


def counted(name: str, kernel: Callable[..., Any], calls: Counter[str]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        calls[name] += 1
        return kernel(*arguments, **named)

    return call
