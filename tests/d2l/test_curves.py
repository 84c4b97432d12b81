"""The book's helpers that count, time and draw curves."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, d2l, data, nn

# Counting and timing ------------------------------------------------------------------------------


def test_an_accumulator_sums() -> None:
    metric = d2l.Accumulator(3)
    metric.add(1, 2.5, Tensor(3))
    metric.add(10, 0, Tensor(np.array(30)))
    assert metric.data == [metric[0], metric[1], metric[2]] == [11, 2.5, 33]
    metric.reset()
    assert metric.data == [0, 0, 0]
    with pytest.raises(ValueError, match="received 2 amounts; wanted 3"):
        metric.add(1, 2)


def test_a_timer_counts_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Iterator[float] = iter([10.0, 12.0, 20.0, 23.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    timer = d2l.Timer()
    assert timer.stop() == 2
    timer.start()
    assert timer.stop() == 3
    assert timer.times == [2, 3]
    assert (timer.sum(), timer.avg(), timer.cumsum()) == (5, 2.5, [2, 5])


def test_accuracy_counts_what_is_right() -> None:
    y = Tensor(np.array([2, 0, 1]))
    scores = Tensor([[0.1, 0.3, 0.6], [0.5, 0.2, 0.3], [0.9, 0.0, 0.1]])
    assert d2l.accuracy(scores, y) == 2
    assert d2l.accuracy(scores.numpy(), y.numpy()) == 2
    assert d2l.accuracy(Tensor(np.array([2, 1, 1])), y) == 2


class Places:
    """Batches by their places, as PyTorch's datasets have their examples."""

    def __init__(self, batches: list[list[Tensor]]):
        self.batches = batches

    def __getitem__(self, place: int) -> list[Tensor]:
        return self.batches[place]


def test_the_share_of_what_is_right(few: data.Dataset) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(784, 10))
    loader = data.DataLoader(few, 77)
    share = minicnn.evaluate(net, loader)
    assert 0 < share < 1
    assert d2l.evaluate_accuracy(net, loader) == share
    assert d2l.evaluate_accuracy(loader, net, "cpu") == share  # the first edition's order
    assert d2l.evaluate_accuracy_gpu(net, loader) == share
    assert net.training
    assert d2l.evaluate_accuracy(lambda x: net.eval()(x), loader) == share
    assert d2l.evaluate_accuracy(net, Places([list(batch) for batch in loader])) == share
    with pytest.raises(ValueError, match="data_iter has no examples"):
        d2l.evaluate_accuracy(net, [])


def test_the_share_as_the_second_edition_counts_it(few: data.Dataset) -> None:
    net, loader = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), data.DataLoader(few, 77)
    metric = d2l.Accumulator(2)
    for X, y in loader:
        metric.add(d2l.accuracy(net(X), y), d2l.size(y))
    assert metric[1] == 300
    assert metric[0] / metric[1] == d2l.evaluate_accuracy(net, loader)


def test_size_counts_cells() -> None:
    sizes = [d2l.size(a) for a in (minicnn.zeros(2, 3, 4), np.ones((5, 2)), [[1, 2, 3]], 1.0)]
    assert sizes == [24, 10, 3, 1]
    assert {type(size) for size in sizes} == {int}


def test_evaluating_records_nothing(few: data.Dataset) -> None:
    w = Tensor(np.zeros((784, 10), np.float32), requires_grad=True)
    seen: list[Tensor] = []

    def net(x: Tensor) -> Tensor:
        seen.append(x.reshape(-1, 784) @ w)
        return seen[-1]

    assert d2l.evaluate_accuracy(net, data.DataLoader(few, 300)) == (few.labels == 0).mean()
    assert [y.requires_grad for y in seen] == [False]


# Curves -------------------------------------------------------------------------------------------


def animator() -> d2l.Animator:
    curves = d2l.Animator("epoch", legend=["train loss", "train acc", "test acc"], xlim=[1, 2])
    curves.add(0.5, (2.25, 0.1, None))
    curves.add(1, (2.0, 0.25, None))
    curves.add(1, (None, None, 0.2))
    return curves


def test_an_animator_collects_points() -> None:
    curves = animator()
    assert curves.X == [[0.5, 1], [0.5, 1], [1]]
    assert curves.Y == [[2.25, 2], [0.1, 0.25], [0.2]]
    curves.add([1, 2, 3], [Tensor(4.0), np.float32(5), 6])
    assert [x[-1] for x in curves.X] == [1, 2, 3]
    assert [y[-1] for y in curves.Y] == [4, 5, 6]
    one = d2l.Animator()
    one.add(3, 4)
    one.add(Tensor(4.0), Tensor(5.0))
    assert (one.X, one.Y) == ([[3, 4]], [[4, 5]])
    with pytest.raises(ValueError, match="x has 2 numbers; wanted 3"):
        one.add([1, 2], [1, 2, 3])


def test_an_animator_prints_a_table() -> None:
    lines = str(animator()).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["0.5", "2.25", "0.1"],
        ["1", "2", "0.25", "0.2"],
    ]
    assert re.split("  +", lines[0].strip()) == ["epoch", "train loss", "train acc", "test acc"]
    ends = [lines[0].index(name) + len(name) for name in ("train loss", "train acc", "test acc")]
    assert [lines[2][:end].endswith(n) for end, n in zip(ends, ("2", "0.25", "0.2"), strict=True)]


def test_an_animators_figure_has_the_curves_names_and_limits(tmp_path: Path) -> None:
    curves = animator()
    (axes,) = curves.figure().axes
    assert [line.get_xydata().tolist() for line in axes.lines] == [
        [[0.5, 2.25], [1, 2]],
        [[0.5, 0.1], [1, 0.25]],
        [[1, 0.2]],
    ]
    assert axes.get_xlabel() == "epoch"
    assert axes.get_xlim() == (1, 2)
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["train loss", "train acc", "test acc"]
    curves.save(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_an_animators_scales_and_formats() -> None:
    curves = d2l.Animator(yscale="log", fmts=("-", "m--"))
    curves.add(1, (1, 10))
    curves.add(2, (2, 20))
    (axes,) = curves.figure().axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--"]
    assert axes.lines[1].get_color() == "m"


def test_a_notebook_draws_the_curves_in_one_place(shown: list[str]) -> None:
    animator()
    assert shown == ["display", "update", "update"]


def test_limits_that_are_one_point_give_way_to_the_points() -> None:
    curves = d2l.Animator("epoch", xlim=[1, 1])  # the book's [1, num_epochs], after one epoch
    curves.add(0.5, 2.25)
    curves.add(1, 2)
    low, high = curves.figure().axes[0].get_xlim()
    assert 0.4 < low < 0.5
    assert 1 < high < 1.1


def test_of_two_limits_one_may_be_left_to_matplotlib() -> None:
    limits: Any = (0, None)
    names: Any = {"loss": 1}.keys()
    curves = d2l.Animator(ylim=limits, legend=names)
    curves.add(1, 2.25)
    low, high = curves.figure().axes[0].get_ylim()
    assert low == 0
    assert high > 2.25
