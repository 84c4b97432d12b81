"""Plans: their rarer conditions, their engines, and the figures that they print."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, optim
from minicnn.compiler.cpu import winograd
from minicnn.compiler.cpu.plan import Plan
from minicnn.compiler.table import Column, table
from minicnn.kernels.arrays import LANES

PICTURE = (3, 11, 8)


def batch(images: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng((2, images))
    return rng.standard_normal((images, *PICTURE)), rng.integers(0, 5, images)


def with_head(*layers: nn.Module) -> nn.Sequential:
    minicnn.manual_seed(3)
    net = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(5))
    net(Tensor(np.zeros((2, *PICTURE), np.float32)))
    return net.to("float64")


def step_of(net: nn.Module, **options: Any) -> minicnn.compiler.CompiledStep:
    loss, optimizer = nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.0)
    return minicnn.compile(net, loss, optimizer, **options)


def assert_gradients_are_eagers(net: nn.Module, images: int = 21, tolerance: float = 1e-10) -> None:
    x, y = batch(images)
    step = step_of(net)
    step(x, y)
    net.zero_grad()
    nn.CrossEntropyLoss()(net(Tensor(x)), Tensor(y)).backward()
    for name, p in net.named_parameters():
        assert p.grad is not None
        theirs, ours = p.grad.numpy(), step.gradients()[name].numpy()
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=1e-12, err_msg=name)


# Conditions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Sigmoid])
def test_dilated_windows_that_seem_to_tile_the_picture_overlap(activation: Any) -> None:
    """Kernel, stride and number of windows are those of a tiling; each window is 3 cells wide."""
    pool = nn.MaxPool2d(2, 2, dilation=2, ceil_mode=True)
    net = with_head(nn.Conv2d(3, 4, (2, 3)), activation(), pool)
    assert net[:3](Tensor(batch(2)[0])).shape == (2, 4, 5, 3)  # of 10 x 6
    assert_gradients_are_eagers(net)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [1e5, 123_456.789, 1e6])
def test_a_channel_of_one_large_number_is_normalised_to_nothing(value: float, dtype: str) -> None:
    """Its variance is 0: rounding must not make it negative."""
    net: Any = with_head(nn.BatchNorm2d(3)).to(dtype)
    net[0].bias.data[:] = [1, 2, 3]
    for number in range(5):
        x = np.full((37, *PICTURE), value * (1 + number / 7), dtype)
        loss, logits = step_of(net)(x, batch(37)[1])
        assert np.isfinite(loss.item())
        ones = np.broadcast_to(np.array([1, 2, 3], dtype)[:, None, None], x.shape)
        expected = net[1:](Tensor(np.ascontiguousarray(ones))).numpy()
        np.testing.assert_allclose(logits.numpy(), expected, rtol=1e-5)


def test_a_first_cell_far_from_the_others_does_not_spoil_the_variance() -> None:
    """The sums count from it: in float32 the squares of the others would be lost in its own."""
    net: Any = with_head(nn.BatchNorm2d(3)).to("float32")
    x, y = batch(37)
    x = x.astype("float32")
    x[0, :, 0, 0] = 3e6
    x[0, 1, 0, 0] = -5e6
    step_of(net)(x, y)
    var = x.astype("float64").var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(net[0].running_var.numpy(), 0.9 + 0.1 * var, rtol=1e-6)


def test_of_equal_scores_the_first_counts_as_the_answer() -> None:
    net: Any = with_head()
    net[1].weight.data[:], net[1].bias.data[:] = 0, [1, 3, 0, 3, 3]
    step = step_of(net)
    y = np.array([0, 1, 1, 3, 4, 2, 1])
    step(batch(7)[0], y)
    assert step.means.correct == 3
    net[1].bias.data[:] = 0
    step(batch(7)[0], y)
    assert step.means.correct == 3 + 1


@pytest.mark.parametrize("affine", [("weight",), ("bias",), ()])
def test_batch_norm_with_one_of_weight_and_bias(affine: tuple[str, ...]) -> None:
    norm = nn.BatchNorm2d(4)
    norm.weight.data[:] = norm.bias.data[:] = [1, 2, 3, 4]  # type: ignore[union-attr]
    for name in {"weight", "bias"} - {*affine}:
        setattr(norm, name, None)
    assert_gradients_are_eagers(with_head(nn.Conv2d(3, 4, (2, 3)), norm, nn.ReLU()))


def test_a_batch_that_has_no_statistics_is_counted_nowhere() -> None:
    net: Any = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 2)).to("float64")
    x, step = np.ones((1, 3, 1, 1)), step_of(net)
    for call in (lambda: net(Tensor(x)), lambda: step(x, np.zeros(1, np.int64))):
        with pytest.raises(ValueError, match="1 value a channel"):
            call()
    assert int(net[0].num_batches_tracked) == 0


@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_batch_of_nothing_is_counted_and_moves_nothing(momentum: float | None) -> None:
    norm = nn.BatchNorm2d(4, momentum=momentum)
    net = with_head(nn.Conv2d(3, 4, (2, 3)), norm, nn.ReLU())
    step = step_of(net)
    step(*batch(5))
    state = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
    for call in (lambda: net(Tensor(batch(0)[0])), lambda: step(*batch(0))[1]):
        assert call().shape == (0, 5)
        state["1.num_batches_tracked"] += 1
        for name, tensor in net.state_dict().items():
            np.testing.assert_array_equal(tensor.numpy(), state[name], err_msg=name)
    assert not any(g.numpy().any() for g in step.gradients().values())


def test_a_buffer_takes_the_first_gap_that_is_large_enough() -> None:
    plan = Plan(1, np.dtype(np.float32))
    sizes = [(1, 0, 9), (3, 0, 2), (1, 0, 9), (2, 4, 9)]  # the second is not needed any more
    for size, first, last in sizes:
        buffer = plan.buffer((size,), by_tile=True)
        buffer.first, buffer.last = first, last
    plan.finish()
    assert [buffer.offset // LANES for buffer in plan.buffers] == [0, 1, 4, 1]
    assert plan.memory == 5 * LANES + plan.slack


# Engines and figures ------------------------------------------------------------------------------


def test_the_engines_of_the_last_eight_shapes_are_kept() -> None:
    predict = minicnn.compile(nn.Sequential(nn.Conv2d(1, 2, 2)))

    def plan_of(width: int) -> Any:
        predict(np.zeros((2, 1, 3, width), np.float32))
        return predict.plan

    plans = {width: plan_of(width) for width in range(2, 10)}
    assert plan_of(2) is plans[2]  # now 3 is the one that was not used for longest
    plan_of(10)
    kept = [width for width in (2, *range(4, 10)) if plan_of(width) is plans[width]]
    assert kept == [2, *range(4, 10)]
    assert plan_of(3) is not plans[3]
    assert len(predict._entries) == 8


def test_a_plans_figures_are_those_of_an_image() -> None:
    net = with_head(nn.Conv2d(3, 4, (2, 3)))
    step = step_of(net, profile=True)
    for images in (16, 32):
        step(*batch(images))
    plan = step.plan
    assert plan.images_seen == 48
    assert all(line.seconds > 0 for line in plan.lines)
    for number, line in enumerate(plan.lines):
        line.seconds = 48e-6 * (number + 1)  # this many microseconds an image
    rows = str(plan).splitlines()
    assert rows[0].split() == ["FLOP", "bytes", "us", "GFLOP/s"]
    ways = [row for row in rows[1:-2] if not row.startswith("---")]
    for number, (row, line) in enumerate(zip(ways, plan.lines, strict=True), start=1):
        numbers = row.split()[-4:] if line.flops else row.split()[-2:]
        rate = [f"{line.flops / number / 1e3:.1f}"] if line.flops else []
        flops = [str(line.flops)] if line.flops else []
        assert numbers == [*flops, str(line.bytes), f"{number:.3f}", *rate]
    conv = next(line for line in plan.lines if line.name == "conv")
    assert conv.flops == 2 * (4 * 10 * 6) * (3 * 2 * 3)
    assert conv.bytes == 8 * (3 * 11 * 8 + 4 * 10 * 6)  # the picture read, the result written
    total, count = sum(line.flops for line in plan.lines), len(plan.lines)
    us, moved = count * (count + 1) / 2, sum(line.bytes for line in plan.lines)
    expected = [str(total), str(moved), f"{us:.3f}", f"{total / us / 1e3:.1f}"]
    assert rows[-2].split()[-4:] == expected
    assert rows[-1] == (
        f"groups of {plan.images} images; memory {plan.memory * 8 / 1e6:.2f} MB a thread, reused"
    )


def test_a_plan_counts_the_work_of_each_layer_there_and_back() -> None:
    """Two FLOPs for a product, one for a cell of a window or of a sum."""
    minicnn.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(3, 4, (2, 3)), nn.ReLU(), nn.Conv2d(4, 2, (3, 2), (1, 2)), nn.ReLU(),
        nn.MaxPool2d((2, 3)), nn.AvgPool2d((3, 1), (1, 1)), nn.Flatten(), nn.Linear(4, 7),
        nn.Linear(7, 5),
    ).to("float64")  # fmt: skip
    step = step_of(net)  # 4 x 10 x 6, 2 x 8 x 3, 2 x 4 x 1, 2 x 2 x 1
    step(*batch(5))
    first, second = 2 * (4 * 10 * 6) * (3 * 2 * 3), 2 * (2 * 8 * 3) * (4 * 3 * 2)
    wanted = {
        "conv": [first, second], "conv dweight": [second, first], "conv dinput": [second],
        "conv dbias": [2 * 8 * 3, 4 * 10 * 6],
        "max pool": [8 * 6], "relu, pool dinput": [8 * 6],
        "avg pool": [4 * 3], "avg pool dinput": [4 * 3],
        "dense": [2 * 28, 2 * 35], "dense dweight": [2 * 35, 2 * 28],
        "dense dinput": [2 * 35, 2 * 28], "dense dbias": [5, 7],
    }  # fmt: skip
    found: dict[str, list[int]] = {}
    for line in step.plan.lines:
        if line.flops and line.name != "cross-entropy":
            found.setdefault(line.name, []).append(line.flops)
    assert found == wanted
    predict = minicnn.compile(net)
    for images in (5, 1):  # one image alone has another plan
        predict(batch(images)[0])
        flops = [line.flops for line in predict.plan.lines if line.flops]
        assert flops == [first, second, 8 * 6, 4 * 3, 2 * 28, 2 * 35], images


def test_the_plan_of_one_image_says_its_memory() -> None:
    predict = minicnn.compile(nn.Sequential(nn.Conv2d(3, 4, (2, 3))))
    predict(np.zeros((1, 3, 90, 110), np.float32))
    *rows, total, foot = str(predict.plan).splitlines()
    size = predict.plan.memory * 4 / 1e6
    assert size > 4 * (3 * 90 * 110 + 4 * 89 * 108) / 1e6 > 0.2  # the picture and its result
    assert foot == f"one image after the other; memory {size:.2f} MB"
    assert total.split()[:2] == ["an", "image"]
    assert rows[0].split() == ["FLOP", "bytes"]


def test_a_rule_stands_before_the_way_back() -> None:
    step = step_of(with_head(nn.Conv2d(3, 4, (2, 3)), nn.Sigmoid()))
    step(*batch(3))
    head, *rows = str(step.plan).splitlines()
    (rule,) = (number for number, row in enumerate(rows) if set(row) == {"-"})
    assert (
        rule
        == step.plan.backward_from
        == 1 + [number for number, row in enumerate(rows) if row.startswith("cross-entropy")].pop()
    )
    assert len(rows[rule]) == len(head)
    predict = minicnn.compile(with_head())
    predict(batch(3)[0])
    assert "---" not in str(predict.plan)


def test_without_a_way_back_there_is_no_rule() -> None:
    step = step_of(with_head())
    step(*batch(3))
    lines, columns = step.plan.lines[:3], [Column("FLOP", ">6", lambda _: "")]
    for backward_from, rules in ((0, 0), (1, 1), (3, 0)):
        rows = table(lines, backward_from, "all", columns)
        assert sum(set(row) == {"-"} for row in rows) == rules


def test_parameters_lie_as_close_as_registers_may_begin() -> None:
    net = with_head(nn.Conv2d(3, 4, (2, 3)))  # of 72, 4, 1200 and 5 numbers
    step = step_of(net)
    step(*batch(3))
    assert sorted(place for _, place in step.plan.parameters.values())[0] == 0
    assert step.plan.parameters_size == 80 + 16 + 1200 + 16


def test_the_products_at_the_points_are_counted() -> None:
    """F(4x4, 3x3): 36 for 16 cells of each pair of channels; x and y at 16 pieces of a picture."""
    net = nn.Sequential(
        nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.Flatten(), nn.Linear(32 * 16 * 16, 5)
    )
    step = step_of(net)
    step(np.zeros((16, 16, 16, 16), np.float32), np.zeros(16, np.int64))
    (conv,) = (line for line in step.plan.lines if line.name == "conv")
    assert conv.flops == 2 * 36 * 16 * (16 * 32)


def test_a_profiled_step_begins_each_time_from_zero() -> None:
    step = step_of(with_head(nn.BatchNorm2d(3)), profile=True)
    first, again = (step(*batch(21))[0].item() for _ in range(2))
    assert again == first


def test_a_plans_bytes_are_those_of_all_strips() -> None:
    """A picture of 16 x 16 has 16 square pieces, and a strip four of them."""
    conv = nn.Conv2d(16, 32, 3, padding=1, bias=False)
    net = nn.Sequential(conv, nn.Flatten(), nn.Linear(32 * 16 * 16, 5))
    step = step_of(net)
    step(np.zeros((16, 16, 16, 16), np.float32), np.zeros(16, np.int64))
    moved = {line.name: line.bytes // 4 for line in step.plan.parts[0].lines}
    # 36 points of 16 or 32 channels with four pieces each, and one place more
    x_points, y_points, turned = 4 * 36 * (16 * 4 + 1), 4 * 36 * (32 * 4 + 1), 4 * 36 * 4 * 16
    x, y, zeros = 16 * 16 * 16, 32 * 16 * 16, 1
    assert moved["conv to points"] == x + x_points + zeros
    assert moved["conv"] == x_points + y_points
    assert moved["conv from points"] == y_points + y
    assert moved["conv dy to points"] == y + y_points + zeros
    assert moved["conv x to points"] == x + x_points + zeros
    assert moved["turn"] == x_points + turned
    assert moved["conv dweight"] == turned + y_points


@pytest.mark.parametrize(("less", "pieces"), [(0, 4), (1, 2)])
def test_a_strip_has_as_many_pieces_as_fit(
    less: int, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    four = 4 * 36 * (16 + 32) * LANES * 4  # pieces, points, channels, images, bytes
    monkeypatch.setattr(winograd, "STRIP_BYTES", four - less)
    conv = nn.Conv2d(16, 32, 3, padding=1, bias=False)
    step = step_of(nn.Sequential(conv, nn.Flatten(), nn.Linear(32 * 16 * 16, 5)))
    step(np.zeros((16, 16, 16, 16), np.float32), np.zeros(16, np.int64))
    again = [line.again[1] for line in step.plan.lines if line.name == "conv from points"]
    assert again == [16 // pieces]


def test_a_strip_of_lines_reads_all_of_the_picture_at_its_points() -> None:
    conv, head = nn.Conv2d(7, 32, (2, 5), bias=False), nn.Linear(32 * 24 * 32, 5)
    step = step_of(nn.Sequential(conv, nn.Flatten(), head))
    step(np.zeros((16, 7, 25, 36), np.float32), np.zeros(16, np.int64))
    lines = {line.name: line for line in step.plan.parts[0].lines}
    assert lines["conv from points"].again[1] > 1
    x_points, y_points = 8 * (7 * 25 * 8 + 1), 8 * (32 * 24 * 8)
    assert lines["conv"].bytes // 4 - x_points == y_points + 8 * lines["conv from points"].again[1]
