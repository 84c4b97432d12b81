"""Files of PyTorch's two exporters, read by ``minicnn.onnx.load``."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.onnx import load

from .nets import computed, draw

torch: Any = pytest.importorskip("torch")
pytest.importorskip("onnx")
nn, F = torch.nn, torch.nn.functional
pytestmark = pytest.mark.parity


class Reshape(torch.nn.Module):  # type: ignore[misc]
    """As the chapter's first PyTorch edition begins LeNet."""

    def forward(self, x: Any) -> Any:
        return x.view(-1, 1, 28, 28)


class OfFunctions(torch.nn.Module):  # type: ignore[misc]
    """As PyTorch's tutorials write a net: a forward of functions, and ``x.view(x.size(0), -1)``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.drop = nn.Linear(256, 120), nn.Linear(120, 10), nn.Dropout()

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.drop(F.relu(self.fc1(x.view(x.size(0), -1))))
        return F.log_softmax(self.fc2(x), dim=1)


def lenet(activation: Any, pool: Any, first: Any, padding: int) -> Any:
    size = 400 if padding else 256
    return nn.Sequential(
        *first,
        nn.Conv2d(1, 6, 5, padding=padding), activation(), pool(2, stride=2),
        nn.Conv2d(6, 16, 5), activation(), pool(2, stride=2), nn.Flatten(),
        nn.Linear(size, 120), activation(), nn.Linear(120, 84), activation(), nn.Linear(84, 10),
    )  # fmt: skip


def all_pools() -> Any:
    """Windows with padding, over the end, of odd sizes; batch norm that is not folded away."""
    return nn.Sequential(
        nn.BatchNorm2d(1), nn.Conv2d(1, 4, (2, 4), padding="same", dilation=(2, 1)), nn.Tanh(),
        nn.MaxPool2d((2, 3), stride=(1, 2), padding=(0, 1), ceil_mode=True),
        nn.Conv2d(4, 6, 3, stride=(2, 1), padding=(1, 0), groups=2, bias=False), nn.BatchNorm2d(6),
        nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(2, 1, 1, count_include_pad=False),
        nn.AvgPool2d(3, 2, ceil_mode=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 3, bias=False), nn.Softmax(dim=-1),
    )  # fmt: skip


NETS: dict[str, Callable[[], Any]] = {
    "lenet": lambda: lenet(nn.Sigmoid, nn.AvgPool2d, [Reshape()], 2),
    "lenet-max": lambda: lenet(nn.ReLU, nn.MaxPool2d, [], 0),
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)),
    "of functions": OfFunctions,
    "all pools": all_pools,
}


def exported(module: Any, path: Path, dynamo: bool, free_batch: bool) -> None:
    """The module's file, made by the new exporter (``dynamo``) or the old one."""
    axes: dict[str, Any] = {"input_names": ["x"]}
    if free_batch and dynamo:
        axes["dynamic_shapes"] = ({0: torch.export.Dim("N")},)
    elif free_batch:
        axes["dynamic_axes"] = {"x": {0: "N"}}
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x = torch.from_numpy(draw((2, 1, 28, 28)))
            torch.onnx.export(module, (x,), path, dynamo=dynamo, verbose=False, **axes)
    finally:
        logging.disable(level)


def check(name: str, tmp_path: Path, **options: Any) -> None:
    torch.manual_seed(0)
    module, path = NETS[name](), tmp_path / "net.onnx"
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-1, 1)
            part.running_var.uniform_(0.5, 2)
    exported(module.eval(), path, **options)
    net = load(path)
    for batch in (1, 64):
        x = draw((batch, 1, 28, 28), -1, 1)
        with torch.no_grad():
            expected = module(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(computed(net, x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("free_batch", [True, False])
@pytest.mark.parametrize("name", NETS)
def test_the_old_exporters_files_load(name: str, free_batch: bool, tmp_path: Path) -> None:
    check(name, tmp_path, dynamo=False, free_batch=free_batch)


@pytest.mark.long
@pytest.mark.parametrize("free_batch", [True, False])
@pytest.mark.parametrize("name", NETS)
def test_the_new_exporters_files_load(name: str, free_batch: bool, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    check(name, tmp_path, dynamo=True, free_batch=free_batch)
