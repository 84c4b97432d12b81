"""Nets that have every layer, at unequal sizes, and what computes their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from minicnn import nn
from minicnn.nn import Module

SIZE = (3, 13, 10)  # channels, height, width


def every_layer() -> nn.Sequential:
    """A net of all layers but losses, for pictures of ``SIZE``; nested, and not in training."""
    block = nn.Sequential(
        nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2, bias=False),
        nn.BatchNorm2d(6, eps=1e-3),
        nn.Tanh(),
        nn.Dropout(0.3),
    )
    net = nn.Sequential(
        nn.Identity(),
        nn.Conv2d(3, 4, (2, 3), padding="same", dilation=(1, 2)),
        nn.ReLU(),
        nn.MaxPool2d((2, 3), stride=(1, 2), padding=(0, 1), ceil_mode=True),
        block,
        nn.BatchNorm2d(6, affine=False),
        nn.AvgPool2d((3, 2), stride=2, padding=1, ceil_mode=True),
        nn.Sigmoid(),
        nn.AvgPool2d(2, stride=1, divisor_override=3),
        nn.Flatten(),
        nn.Linear(36, 7),
        nn.Softmax(dim=1),
        nn.Linear(7, 5, bias=False),
        nn.LogSoftmax(dim=-1),
    )
    return settled(net)


FRAMED_SIZE = (3, 11, 9)


def every_layer_framed() -> nn.Sequential:
    """``every_layer``, and ``ZeroPad2d`` before it, for pictures of ``FRAMED_SIZE``."""
    return nn.Sequential(nn.ZeroPad2d((1, 0, 0, 2)), every_layer()).eval()


def settled(net: Any) -> Any:
    """In evaluation mode, with running statistics and affine weights of some training."""
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for name, low, high in (
                ("weight", 0.5, 2),
                ("bias", -1, 1),
                ("running_mean", -1, 1),
                ("running_var", 0.1, 3),
            ):
                tensor = getattr(layer, name)
                if tensor is not None:
                    tensor.data = draw(layer.num_features, low, high)
    return net.eval()


def draw(shape: int | tuple[int, ...], low: float = 0, high: float = 1) -> np.ndarray:
    """float32, uniform in [low, high), of the test's seed."""
    return minicnn.random.default_generator().uniform(low, high, shape).astype(np.float32)


def computed(net: Module, x: np.ndarray) -> np.ndarray:
    """What the net makes of ``x``."""
    with minicnn.no_grad():
        return net(minicnn.Tensor(x)).numpy()


def by_onnxruntime(path: Path, x: np.ndarray) -> np.ndarray:
    """What ONNX Runtime makes of ``x``."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def by_reference(path: Path, x: np.ndarray) -> np.ndarray:
    """What ONNX's reference evaluator makes of ``x``."""
    from onnx.reference import ReferenceEvaluator

    session = ReferenceEvaluator(str(path))
    return session.run(None, {session.input_names[0]: x})[0]
