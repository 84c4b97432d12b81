"""Predictions for a few images, which have a plan of their own: lanes are pixels, not images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn
from minicnn.compiler.cpu.pixels import engine
from minicnn.compiler.cpu.pixels.plan import PixelPlan
from minicnn.compiler.cpu.step import FEW
from minicnn.kernels.tiles.program import run_images
from minicnn.nn import functional as F
from tests.compiler.nets import NETS, NORMED, PICTURE, assert_close, batch, build

ALL = {**NETS, **NORMED}
IN_TILES = {"norm-untracked"}  # a layer that needs the batch's statistics, in evaluation mode too
TOLERANCE = {"float32": 2e-6, "float64": 1e-13}


def ready(name: str, dtype: str) -> nn.Module:
    """A net of the grid in evaluation mode, with running statistics as after some training."""
    net = build(ALL[name], dtype).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
            module.running_var.data[:] = np.linspace(0.3, 2, module.num_features)
            module.running_mean.data[:] = np.linspace(-1, 0.5, module.num_features)  # type: ignore[union-attr]
    return net


def assert_as_eager(predict: Any, net: nn.Module, x: np.ndarray) -> None:
    theirs = net(Tensor(x)).numpy()
    assert_close(predict(x).numpy(), theirs, TOLERANCE[str(theirs.dtype)], f"{len(x)} images")


@pytest.mark.parametrize(("number", "name"), [*enumerate(ALL)])
def test_a_few_images_are_predicted_as_in_eager_mode(number: int, name: str) -> None:
    net = ready(name, "float64")
    predict = minicnn.compile(net)
    assert_as_eager(predict, net, batch(1 + number % FEW)[0])
    assert isinstance(predict.plan, PixelPlan) == (name not in IN_TILES)


@pytest.mark.parametrize("name", ["conv-everything", "max-pool-padding", "norms-in-a-row"])
def test_in_float32_and_from_bytes(name: str) -> None:
    net = ready(name, "float32")
    predict = minicnn.compile(net)
    assert_as_eager(predict, net, batch(3, "float32")[0])
    pixels = np.random.default_rng(4).integers(0, 256, (3, *PICTURE), np.uint8)
    theirs = net(Tensor(pixels.astype(np.float32) / 255)).numpy()
    assert_close(predict(pixels).numpy(), theirs, 2e-6, "bytes")


@pytest.mark.parametrize(("stride", "lines"), [((1, 1), 7), ((2, 1), 4), ((1, 2), 1), ((2, 3), 1)])
def test_a_line_that_fills_registers_is_a_run_if_its_stride_is_1(
    stride: tuple[int, int], lines: int
) -> None:
    conv = nn.Conv2d(2, 3, (3, 4), stride=stride, padding=(1, 2), dilation=(1, 2))
    net = nn.Sequential(conv, nn.Flatten()).to("float64")
    predict = minicnn.compile(net)
    width = 16 * stride[1] + 2  # 16 windows a line
    assert_as_eager(predict, net, np.random.default_rng(3).standard_normal((2, 2, 7, width)))
    (op,) = [line.op for line in predict.plan.lines if line.name == "conv"]
    assert op.lines == lines


def test_any_number_of_images_and_sizes_in_turns() -> None:
    net = ready("conv-same", "float64")
    predict = minicnn.compile(net)
    plans: dict[bool, Any] = {}
    for _ in range(2):
        for images in (1, FEW + 1, FEW, 0, 40):
            assert_as_eager(predict, net, batch(images)[0]) if images else predict(batch(0)[0])
            plans.setdefault(images <= FEW, predict.plan)
            assert predict.plan is plans[images <= FEW]
    assert isinstance(plans[True], PixelPlan)
    assert not isinstance(plans[False], PixelPlan)


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d((2, 3), stride=(1, 2))])
def test_windows_of_lines_that_fill_several_registers(pool: nn.Module) -> None:
    net, x = nn.Sequential(pool), np.random.default_rng(1).standard_normal((2, 2, 7, 90))
    assert_as_eager(minicnn.compile(net), net, x.astype("float32"))


def test_the_bell_is_rung_once_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    bell, predict = np.zeros(2, np.int64), minicnn.compile(nn.Sequential(nn.Sigmoid()))
    monkeypatch.setattr(engine, "bell", bell)
    for _ in range(3):
        predict(np.ones((2, 1, 4, 5), np.float32))
    assert bell.tolist() == [3, 0]


def test_another_number_of_images_is_not_recorded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    predict = minicnn.compile(ready("conv-same", "float64"))
    predict(batch(1)[0])
    monkeypatch.setattr(predict, "_record", None)
    predict(batch(FEW)[0])


@pytest.mark.parametrize("name", ["deep-conv-everything", "avg-pool-ceil", "convs-in-a-row"])
def test_an_image_is_the_same_bits_alone_and_among_others(name: str) -> None:
    net, x = ready(name, "float32"), batch(5, "float32")[0]
    predict = minicnn.compile(net)
    together = predict(x).numpy()
    for k in range(5):
        np.testing.assert_array_equal(predict(x[k : k + 1]).numpy()[0], together[k])
    np.testing.assert_array_equal(predict(x).numpy(), together)


@pytest.mark.parametrize("threads", [2, 3, 20])
def test_threads_take_the_images_in_turns(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = ready("deep-conv-everything", "float32"), batch(FEW, "float32")[0]
    predict = minicnn.compile(net)
    alone = [predict(x[k : k + 1]).numpy()[0] for k in range(FEW)]
    monkeypatch.setattr("minicnn.compiler.cpu.engine.WORTH_A_THREAD", 1)
    monkeypatch.setattr(engine, "get_num_threads", lambda: threads)
    for _ in range(50):
        np.testing.assert_array_equal(predict(x).numpy(), alone)
    assert len(predict._engine(x).rows) == min(threads, FEW)


@pytest.mark.parametrize("name", ["deep-conv-everything", "max-pool-ceil", "norm", "padded"])
def test_what_an_image_leaves_in_memory_is_not_seen_by_the_next(name: str) -> None:
    """Between the lines and after the last cell of a result stand cells that mean nothing."""
    net, x = ready(name, "float64"), batch(3)[0]
    predict = minicnn.compile(net)
    expected = predict(x).numpy().copy()
    x[1] = np.nan
    after = predict(x).numpy()
    assert np.isnan(after[1]).all()
    np.testing.assert_array_equal(after[[0, 2]], expected[[0, 2]])
    for memory in predict._engine(x).memory:
        memory[:] = np.nan
    np.testing.assert_array_equal(predict(x).numpy()[[0, 2]], expected[[0, 2]])


def first(net: nn.Module) -> Any:
    return next(iter(net.parameters()))


def transpose_in_memory(net: nn.Module) -> None:
    for p in net.parameters():
        p.data = np.asfortranarray(p.data * 1.1)


def make_read_only(net: nn.Module) -> None:
    for p in net.parameters():
        p.data = p.data * 1.1
        p.data.flags.writeable = False


def among_nans(net: nn.Module) -> None:
    """Exchange each array for a part of a larger one, whose other numbers are NaN."""
    for p in net.parameters():
        room = np.full(p.size + 37, np.nan, p.dtype)
        room[5 : 5 + p.size] = 0.9 * p.data.reshape(-1)
        p.data = room[5 : 5 + p.size].reshape(p.shape)


def misaligned(net: nn.Module) -> None:
    for p in net.parameters():
        room = np.zeros(p.data.nbytes + 1, np.uint8)[1:].view(p.dtype).reshape(p.shape)
        room[...] = 0.8 * p.data
        p.data = room


def norm_of(net: Any) -> nn.BatchNorm2d:
    return next(m for m in net.modules() if isinstance(m, nn.BatchNorm2d))


def other_statistics(net: nn.Module) -> None:
    norm_of(net).running_mean = Tensor(np.linspace(1, 2, 4))


def statistics_in_place(net: nn.Module) -> None:
    norm_of(net).running_var.data[1] = 7  # type: ignore[union-attr]


def no_statistics(net: nn.Module) -> None:
    norm_of(net).running_mean = norm_of(net).running_var = None


@pytest.mark.parametrize(
    "change",
    [
        lambda net: first(net).data.__setitem__(0, 3),
        lambda net: first(net).data.__imul__(1.5),
        lambda net: setattr(first(net), "data", 2 * first(net).data),
        transpose_in_memory,
        make_read_only,
        among_nans,
        misaligned,
        other_statistics,
        statistics_in_place,
        no_statistics,
        lambda net: net.load_state_dict({n: 0.7 * t.data for n, t in net.state_dict().items()}),
        lambda net: setattr(net[0], "weight", nn.Parameter(0.4 * net[0].weight.data)),
    ],
)
def test_what_changes_in_the_net_is_seen_by_the_next_call(
    change: Callable[[nn.Module], None],
) -> None:
    net = ready("norm", "float64")
    predict, x = minicnn.compile(net), batch(2)[0]
    before = predict(x).numpy()
    change(net)
    assert_as_eager(predict, net, x)
    assert np.abs(predict(x).numpy() - before).max() > 1e-3
    # and what is then written into its arrays, even those that no kernel can read in place
    for p in net.parameters():
        p.data.flags.writeable = True
        p.data *= 1.25
    assert_as_eager(predict, net, x)


def test_an_operation_without_a_plan_for_one_image_is_computed_in_tiles() -> None:
    class AlwaysDropout(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(self.dense(x), 0.5, training=True)

    predict = minicnn.compile(AlwaysDropout())
    zeros = (predict(np.ones((FEW, 6), np.float32)).numpy() == 0).sum()
    assert 0 < zeros < 4 * FEW
    assert not isinstance(predict.plan, PixelPlan)


def test_the_plan_of_one_image_is_a_table_to_read() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Sigmoid(), nn.Flatten(), nn.Linear(40, 3))
    predict = minicnn.compile(net, profile=True)
    predict(np.ones((2, 1, 4, 5), np.float32))
    rows = str(predict.plan).splitlines()
    names = ["load image", "frame", "conv", "sigmoid", "flatten", "dense", "result"]
    assert [row[:12].strip() for row in rows[1:-2]] == names
    assert rows[0].split() == ["FLOP", "bytes", "us", "GFLOP/s"]
    assert str(2 * 2 * 20 * 9) in rows[3]
    assert predict.plan.images_seen == 2
    assert rows[-1].startswith("one image after the other")


def test_lines_that_are_read_as_they_lie_are_not_framed() -> None:
    """The run of each tap is a part of the line: 16 cells, from the tap's column on."""
    predict = minicnn.compile(nn.Conv2d(2, 3, (2, 3)))
    predict(np.ones((1, 2, 5, 18), np.float32))
    assert [line.name for line in predict.plan.lines] == ["load image", "conv", "result"]


def test_each_instruction_is_timed_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = list[int]()

    def counting(program: np.ndarray, *arguments: Any) -> Any:
        timed.append(len(program))
        return run_images(program, *arguments)

    predict = minicnn.compile(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sigmoid()), profile=True)
    predict(np.ones((2, 1, 4, 5), np.float32))
    monkeypatch.setattr(engine, "run_images", counting)
    predict(np.ones((2, 1, 4, 5), np.float32))
    assert timed == [1] * 2 * len(predict.plan.lines)
