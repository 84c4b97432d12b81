"""Files of ``minicnn.onnx.export``, computed by ONNX Runtime and ONNX's reference evaluator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import interop, models, nn
from minicnn.onnx import export

from .nets import (
    FRAMED_SIZE,
    by_onnxruntime,
    by_reference,
    computed,
    draw,
    every_layer_framed,
    settled,
)

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

Run = Callable[[Path, np.ndarray], np.ndarray]
RUNS = [by_onnxruntime, by_reference]


@pytest.mark.parametrize("run", RUNS)
def test_a_net_of_every_layer_computes_the_same(run: Run, tmp_path: Path) -> None:
    net, path = every_layer_framed(), tmp_path / "net.onnx"
    export(net, path, draw((2, *FRAMED_SIZE)))
    for batch in (1, 64):
        x = draw((batch, *FRAMED_SIZE), -1, 1)
        np.testing.assert_allclose(run(path, x), computed(net, x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", models.PRESETS)
def test_the_presets_compute_the_same(name: str, tmp_path: Path) -> None:
    net, path = models.build(name).eval(), tmp_path / "net.onnx"
    export(net, path, np.zeros((1, 1, 28, 28), np.float32))
    x = draw((3, 1, 28, 28))
    np.testing.assert_allclose(by_onnxruntime(path, x), computed(net, x), rtol=0, atol=1e-5)


POOLS = [
    nn.MaxPool2d(3, stride=2, ceil_mode=True),
    nn.MaxPool2d((2, 3), stride=3, padding=1, ceil_mode=True),
    nn.MaxPool2d((2, 3), stride=(3, 1), padding=1, dilation=(2, 3), ceil_mode=True),
    nn.MaxPool2d((2, 2), stride=(1, 4), padding=(0, 1), dilation=(1, 4), ceil_mode=True),
    nn.AvgPool2d((2, 3), stride=3),
    nn.AvgPool2d((4, 3), stride=(3, 2), padding=(2, 1)),
    nn.AvgPool2d((4, 3), stride=(3, 2), padding=(2, 1), count_include_pad=False),
    nn.AvgPool2d((4, 3), stride=(3, 2), ceil_mode=True),
    nn.AvgPool2d((4, 3), stride=(4, 2), padding=(2, 1), ceil_mode=True),
    nn.AvgPool2d((4, 3), stride=(4, 2), padding=(2, 1), ceil_mode=True, count_include_pad=False),
    nn.AvgPool2d((4, 3), stride=(4, 2), padding=1, ceil_mode=True, divisor_override=-5),
    nn.AvgPool2d((4, 3), padding=1, count_include_pad=False, divisor_override=7),
]


@pytest.mark.parametrize("size", [(13, 10), (14, 11), (11, 15)])
@pytest.mark.parametrize("pool", POOLS, ids=range(len(POOLS)))
def test_windows_over_the_edges_compute_the_same(
    pool: nn.Module, size: tuple[int, int], tmp_path: Path
) -> None:
    x, path = draw((2, 3, *size), -2, 1), tmp_path / "net.onnx"
    export(pool, path, x)
    for run in RUNS:
        np.testing.assert_allclose(run(path, x), computed(pool, x), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(5, 3), (4, 2, 5)),
        (nn.Linear(5, 3, bias=False), (4, 2, 2, 5)),
        (nn.Flatten(2), (4, 3, 2, 5)),
        (nn.Flatten(1, 2), (4, 3, 2, 5)),
        (nn.Flatten(0, -2), (4, 3, 2, 5)),
        (nn.Softmax(dim=1), (4, 3, 2, 5)),
        (nn.LogSoftmax(dim=-2), (4, 3, 2, 5)),
        (nn.BatchNorm2d(3, eps=0.5), (4, 3, 2, 5)),
        (nn.Dropout(0.9), (4, 3)),
        (nn.Sequential(), (4, 3)),
    ],
    ids=repr,
)
def test_layers_of_other_shapes_compute_the_same(
    layer: nn.Module, shape: tuple[int, ...], tmp_path: Path
) -> None:
    path = tmp_path / "net.onnx"
    export(layer.eval(), path, draw((1, *shape[1:])))
    x = draw(shape, -1, 1)
    for run in RUNS:
        np.testing.assert_allclose(run(path, x), computed(layer, x), rtol=0, atol=1e-6)


def test_a_file_says_what_it_holds(tmp_path: Path) -> None:
    net, path = models.lenet(), tmp_path / "net.onnx"
    export(net, path, draw((2, 1, 28, 28)), {"classes": ["coat", "bag"], "data set": "shop"})

    model = onnx.load(path)

    assert [model.ir_version, *(o.version for o in model.opset_import)] == [8, 17]
    assert (model.producer_name, model.producer_version) == ("minicnn", minicnn.__version__)
    kept = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(kept["classes"]) == ["coat", "bag"]
    assert kept["data set"] == "shop"
    shapes = [
        [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert shapes == [["N", 1, 28, 28], ["N", 10]]
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(stored[name], tensor.numpy())


def test_without_an_example_the_picture_is_of_any_size(tmp_path: Path) -> None:
    net, path = settled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())), tmp_path / "net.onnx"
    export(net, path)
    for size in ((5, 8), (9, 4)):
        x = draw((2, 3, *size))
        np.testing.assert_allclose(by_onnxruntime(path, x), computed(net, x), rtol=0, atol=1e-5)
    export(nn.Linear(5, 3), path)
    assert by_onnxruntime(path, draw((4, 5))).shape == (4, 3)


def test_the_net_is_left_as_it_was(tmp_path: Path) -> None:
    net = every_layer_framed().train()
    before = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
    export(net, tmp_path / "net.onnx", draw((2, *FRAMED_SIZE)))
    assert all(module.training for module in net.modules())
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


def test_lazy_layers_take_their_sizes_from_the_example(tmp_path: Path) -> None:
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(5))
    path = tmp_path / "net.onnx"
    with pytest.raises(RuntimeError, match="no parameters before its first input"):
        export(net, path)
    export(net, path, draw((2, 2, 5, 6)))
    assert by_onnxruntime(path, draw((3, 2, 5, 6))).shape == (3, 5)


class Own(nn.Module):
    """A layer of a reader's own."""

    def forward(self, input: Any) -> Any:
        return input * 2


def test_all_layers_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3),
        nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False), Own()),
        nn.MaxPool2d(2, ceil_mode=True),
    )
    with pytest.raises(ValueError, match=r"^export: ") as caught:
        export(net, tmp_path / "net.onnx")
    told = str(caught.value)
    assert "layer 1.0 (BatchNorm2d): without running statistics" in told
    assert "layer 1.1 (Own): it is none of minicnn's layers" in told
    assert "layer 2 (MaxPool2d): with ceil_mode its windows depend on the picture's size" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["net", "layer"])
def test_a_forward_of_ones_own_is_not_left_out(place: str, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    vars(net if place == "net" else net[1])["forward"] = np.negative
    with pytest.raises(ValueError, match=r"its forward\(\) is not read"):
        export(net, tmp_path / "net.onnx")
    pytest.importorskip("torch")
    with pytest.raises(ValueError, match=r"it has a forward\(\) of its own"):
        interop.to_torch(net)


@pytest.mark.parametrize(
    ("net", "example", "error", "message"),
    [
        (nn.Flatten(), None, ValueError, "first layer does not tell the shape .* pass example="),
        ([nn.Flatten()], None, TypeError, "net is of type list; wanted a minicnn module"),
        (nn.Flatten(), np.zeros((1, 2)), TypeError, "example is float64; wanted float32"),
        (nn.Linear(2, 3).double(), None, TypeError, r"weight is float64; .* net\.float\(\)"),
        (nn.Linear(2, 3), np.zeros((1, 4), np.float32), ValueError, "do not fit"),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(4, 5)),
            None,
            ValueError,
            "refuses .* rank 2",
        ),
        (
            nn.MaxPool2d(2),
            np.zeros((1, 4, 4), np.float32),
            ValueError,
            "refuses .*MaxPool",
        ),
    ],
)
def test_what_cannot_be_written_is_refused(
    net: Any, example: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        export(net, tmp_path / "net.onnx", example)
    assert list(tmp_path.iterdir()) == []
