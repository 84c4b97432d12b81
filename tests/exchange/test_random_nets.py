"""Random nets through PyTorch, ONNX Runtime and back."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import interop, nn
from minicnn.onnx import export, load

from .nets import by_onnxruntime, computed, draw, settled

torch: Any = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths"),
]


def random_layer(dice: random.Random, channels: int) -> nn.Module:
    """A layer for pictures of this many channels; not every one finds room in the picture."""
    kernel = dice.randint(1, 3), dice.randint(1, 3)
    stride: Any = dice.choice([1, 2, (1, 2), (3, 1)])
    dilation: Any = dice.choice([1, 1, 2, (1, 2)])
    frame = dice.randint(0, kernel[0] // 2), dice.randint(0, kernel[1] // 2)

    def flip() -> bool:
        return dice.random() < 0.5

    def conv() -> nn.Module:
        groups = dice.choice([n for n in (1, 2, 3) if channels % n == 0])
        padding: Any = dice.choice([0, 1, (1, 0), "same"])
        outputs = groups * dice.randint(1, 3)
        steps = 1 if padding == "same" else stride
        return nn.Conv2d(channels, outputs, kernel, steps, padding, dilation, groups, flip())

    makers: list[Callable[[], nn.Module]] = [
        conv,
        conv,
        lambda: nn.MaxPool2d(kernel, stride, frame, dilation, flip()),
        lambda: nn.AvgPool2d(kernel, stride, frame, flip(), flip(), dice.choice([None, 3, -4])),
        lambda: nn.AvgPool2d(kernel, stride, frame, flip(), flip()),
        lambda: nn.BatchNorm2d(channels, affine=flip(), momentum=dice.choice([0.3, None])),
        lambda: dice.choice([nn.ReLU(), nn.Sigmoid(), nn.Tanh(), nn.Dropout()]),
        lambda: nn.ZeroPad2d([dice.randint(0, 2) for _ in range(4)]),
        lambda: dice.choice([nn.Softmax(1), nn.LogSoftmax(-1)]),
        lambda: nn.Sequential(nn.Tanh(), nn.Sequential(nn.Conv2d(channels, 2, 1))),
    ]
    return dice.choice(makers)()


def random_net(dice: random.Random) -> tuple[Any, tuple[int, ...]]:
    """A net in evaluation mode, and the shape of its pictures."""
    shape = dice.randint(1, 4), dice.randint(5, 14), dice.randint(5, 14)
    layers: list[nn.Module] = []
    size: tuple[int, ...] = (1, *shape)
    while len(layers) < 5:
        layer = random_layer(dice, size[1]).eval()
        try:
            y = computed(layer, np.zeros(size, np.float32))
        except ValueError:  # it does not fit
            continue
        if np.isfinite(y).all():  # otherwise a window of padding alone
            layers.append(layer)
            size = y.shape
    if dice.random() < 0.7:
        features = size[1] * size[2] * size[3]
        layers += [nn.Flatten(), nn.Linear(features, 5, dice.random() < 0.5), nn.Softmax(-1)]
    else:
        layers.append(dice.choice([nn.Linear(size[3], 3), nn.Flatten(2), nn.Flatten(1, 2)]))
    return settled(nn.Sequential(*layers)), shape


def check_both_ways(seed: int, path: Path) -> None:
    dice = random.Random(seed)
    minicnn.manual_seed(seed)
    net, shape = random_net(dice)
    x = draw((3, *shape), -1, 1)
    expected = computed(net, x)
    near: dict[str, Any] = {
        "rtol": 0,
        "atol": 1e-5 * max(1, abs(expected).max()),
        "err_msg": f"{seed}: {net}",
    }

    theirs = interop.to_torch(net)
    with torch.no_grad():
        np.testing.assert_allclose(theirs(torch.from_numpy(x)).numpy(), expected, **near)
    again = interop.from_torch(theirs).state_dict()
    assert list(again) == list(net.state_dict())
    for name, tensor in net.state_dict().items():
        assert again[name].numpy().tobytes() == tensor.numpy().tobytes()

    export(net, path, x)
    np.testing.assert_allclose(by_onnxruntime(path, x), expected, **near)
    np.testing.assert_allclose(computed(load(path), x), expected, **near)


@pytest.mark.long
def test_nets_there_and_back(tmp_path: Path) -> None:
    for seed in range(400):
        check_both_ways(seed, tmp_path / "net.onnx")
