"""The benchmarks of several nets: each defined once for both libraries; turns; the summary."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minicnn
from benchmarks import limits, nets, turns, zoo
from benchmarks.tables import Report, Row
from benchmarks.turns import Case, Contender
from minicnn import nn


def report(rows: list[Row] | None = None, rounds: int = 2) -> Report:
    return Report("nets", "python -m benchmarks.nets", nets.COMPILED, 2, rounds, rows=rows or [])


# The nets -----------------------------------------------------------------------------------------


@pytest.mark.parity
@pytest.mark.parametrize("name", [*zoo.NETS, "5@7"])
def test_a_net_is_the_same_in_both_libraries(name: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = zoo.build(nn, name).eval(), zoo.build(torch.nn, name).eval()
    weights = {key: torch.tensor(value.numpy()) for key, value in ours.state_dict().items()}
    missing = theirs.load_state_dict(weights, strict=False).missing_keys
    assert all(key.endswith("num_batches_tracked") for key in missing)
    x, _ = zoo.batch_of(name, 2)
    with minicnn.no_grad(), torch.no_grad():
        wanted = theirs(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(ours(minicnn.Tensor(x)).numpy(), wanted, atol=1e-5)


def test_a_residual_block_adds_its_input_or_a_projection_of_it() -> None:
    same, halved = zoo.residual(nn, 3, 3, 1), zoo.residual(nn, 3, 4, 2)
    assert isinstance(same.shortcut, nn.Identity)
    assert [p.shape for p in halved.shortcut.parameters()] == [(4, 3, 1, 1), (4,), (4,)]
    x = minicnn.randn(2, 3, 6, 8)
    path = same.eval().path(x).numpy()
    np.testing.assert_array_equal(same(x).numpy(), np.maximum(path + x.numpy(), 0))
    assert halved(x).shape == (2, 4, 3, 4)


def test_pictures_fit_their_net() -> None:
    x, y = zoo.batch_of("resnet", 5)
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((5, 3, 32, 32), np.float32, (5,), np.int64)
    assert zoo.batch_of("mlp", 2)[0].shape == (2, 1, 28, 28)
    assert zoo.batch_of("64@14", 2)[0].shape == (2, 3, 14, 14)


# Turns --------------------------------------------------------------------------------------------


def test_a_step_is_timed_after_two_that_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    took = [9.0, 9.0, 1.0, 3.0, 2.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def step() -> None:
        now[0] += took.pop(0)

    assert zoo.milliseconds(step) == 2000.0
    assert not took


def test_a_process_answers_with_milliseconds_or_with_why_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def make(name: str, images: int, threads: int) -> zoo.Step:
        if images == 0:
            raise ValueError("no images\nat all")
        return lambda: None

    monkeypatch.setattr(zoo, "SECONDS", 0.0)
    monkeypatch.setitem(zoo.SIDES, "ours", make)
    assert zoo.answer("ours", 2, {"net": "mlp", "batch": 1})["ms"] >= 0
    refused = zoo.answer("ours", 2, {"net": "mlp", "batch": 0})
    assert refused == {"refused": "ValueError: no images"}


def test_the_sides_take_turns_at_each_net(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[tuple[str, str]] = []

    @contextmanager
    def started(contender: Contender, threads: int) -> Iterator[Any]:
        def milliseconds(case: Case) -> float:
            order.append((contender.side, case.name))
            if (contender.side, case.net) == ("ours", "resnet"):
                raise turns.RefusedError("an addition")
            return float(len(order))

        yield SimpleNamespace(milliseconds=milliseconds)

    monkeypatch.setattr(turns, "started", started)
    contenders = {"ours": Contender("ours"), "theirs": Contender("theirs")}
    cases = [Case("mlp", 8), Case("resnet", 8), Case("resnet", 16)]
    of = report()
    runs = turns.alternate(contenders, cases, of)
    assert order == [
        *[("ours", "mlp, batch 8"), ("theirs", "mlp, batch 8")],
        *[("ours", "resnet, batch 8"), ("theirs", "resnet, batch 8")],
        ("theirs", "resnet, batch 16"),
        *[("ours", "mlp, batch 8"), ("theirs", "mlp, batch 8")],
        *[("theirs", "resnet, batch 8"), ("theirs", "resnet, batch 16")],
    ]
    assert of.remarks == ["resnet is left out of ours: an addition"]
    rows = turns.rows(runs, cases, "a step")
    assert [(row.case, row.side, row.runs) for row in rows] == [
        ("mlp, batch 8", "ours", [1.0, 6.0]),
        ("mlp, batch 8", "theirs", [2.0, 7.0]),
        ("resnet, batch 8", "theirs", [4.0, 8.0]),
        ("resnet, batch 16", "theirs", [5.0, 9.0]),
    ]


def test_a_process_of_a_side_ends_with_its_last_question() -> None:
    with turns.started(Contender("no such side"), 1) as timer:
        with pytest.raises(turns.RefusedError, match="KeyError: 'no such side'"):
            timer.milliseconds(Case("mlp", 1))
        timer.process.kill()
        timer.process.wait()
        with pytest.raises(SystemExit, match=r"mlp, batch 1: .*no such side.* status -9"):
            timer.milliseconds(Case("mlp", 1))


# The summary --------------------------------------------------------------------------------------


def rows_of(case: str, **medians: float) -> list[Row]:
    sides = {"ours": nets.COMPILED, "eager": nets.EAGER[0], "last": nets.EAGER[1]}
    return [
        Row("a step", case, sides.get(side, side), "ms", [ms, ms, 100.0])
        for side, ms in medians.items()
    ]


def test_the_better_of_eager_and_channels_last_is_the_measure_of_each_line() -> None:
    rows = [
        *rows_of("vgg, batch 64", ours=2.0, eager=8.0, last=4.0, bf16=1.0),
        *rows_of("mlp, batch 64", ours=2.0, eager=9.0, last=50.0, bf16=6.0),
        *rows_of("lenet, batch 64", ours=1.0, eager=24.0, last=30.0, bf16=2.0),
        *rows_of("resnet, batch 64", eager=3.0, last=5.0, bf16=4.0),
    ]
    assert nets.summary(report(rows)) == [
        ["net", "PyTorch, ms", "compiled, ms", "times", "bf16, ms", "times"],
        ["vgg, batch 64", "4.00", "2.00", "2.00", "1.00", "0.50"],
        ["mlp, batch 64", "9.00", "2.00", "4.50", "6.00", "3.00"],
        ["lenet, batch 64", "24.0", "1.00", "24.0", "2.00", "2.00"],
        ["resnet, batch 64", "3.00", "", "", "4.00", ""],
        ["geometric mean: all", "", "", "6.00", "", "1.44"],
        ["geometric mean: neither LeNet nor residual", "", "", "3.00", "", "1.22"],
    ]
    assert math.prod((2, 4.5, 24)) == pytest.approx(6**3)
    assert math.prod((0.5, 3, 2)) == pytest.approx(1.44**3, rel=0.01)


def test_a_picture_has_a_panel_a_batch_and_a_dot_a_side() -> None:
    rows = [
        *rows_of("vgg, batch 64", ours=2.0, eager=8.0, last=4.0),
        *rows_of("vgg, batch 256", ours=2.0, eager=1.0, last=3.0),
    ]
    left, right = nets.draw(report(rows)).axes
    assert [left.get_title("left"), right.get_title("left")] == ["batch 64", "batch 256"]
    assert [line.get_xdata()[0] for line in left.lines[:2]] == [4.0, 2.0]
    assert [line.get_xdata()[0] for line in right.lines[:2]] == [0.5, 1.5]


# The limits ---------------------------------------------------------------------------------------


def limits_report(**ratios: list[float]) -> Report:
    """Compiled steps of 1 ms; eager mode takes twice as long as channels_last."""
    of = report()
    for question, cases in limits.CASES.items():
        of_question = ratios.get(question.partition(",")[0].lower(), [2.0] * len(cases))
        for value, ratio in zip(cases, of_question, strict=True):
            for side, ms in zip(limits.SIDES, (1.0, 2 * ratio, ratio), strict=True):
                of.rows.append(Row(question, str(value), side, "ms", [ms]))
    return of


def test_lines_cross_where_the_logarithm_of_their_ratio_is_zero() -> None:
    assert limits.crossings({4: 4.0, 16: 0.25}) == pytest.approx([8.0])
    assert limits.crossings({4: 4.0, 8: 2.0, 16: 0.5, 32: 0.25, 64: 4.0}) == pytest.approx(
        [8 * 2**0.5, 32 * 2**0.5]
    )
    assert limits.crossings({4: 2.0, 8: 1.1, 16: 1.5}) == []


def test_the_limits_name_the_crossing_or_who_is_faster_everywhere() -> None:
    of = limits_report(channels=[8.0, 4.0, 2.0, 2.0, 0.5, 0.5, 0.25, 0.25])
    assert limits.remark(of, limits.WIDER) == f"{limits.WIDER}: the lines cross at 45."
    assert limits.remark(of, limits.LARGER) == (
        f"{limits.LARGER}: the lines do not cross; minicnn is faster everywhere "
        "(PyTorch's time is 2.00 to 2.00 of minicnn's)."
    )
    found = limits.curves(of, limits.WIDER)
    assert found[nets.BETTER] == found["torch channels_last"]
    assert found["torch eager"][4] == 16.0


def test_the_chart_of_the_limits_shows_all_points_and_rings_the_crossing() -> None:
    of = limits_report(channels=[8.0, 4.0, 2.0, 2.0, 0.5, 0.5, 0.25, 0.25])
    wider, larger = limits.draw(of).axes
    assert [text.get_text() for text in wider.texts][-1] == "45"
    assert "45" not in [text.get_text() for text in larger.texts]
    low, high = wider.get_ylim()
    assert low < 0.25
    assert high > 16
    assert list(wider.lines[2].get_xdata()) == limits.CHANNELS
