"""The arithmetic of the benchmarks: every figure of the docs went through it."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import (
    against,
    common,
    exercises,
    figures,
    floor,
    inference,
    lenet,
    ops,
    page,
    programs,
    results,
    scaling,
    startup,
    surprises,
    tables,
)
from benchmarks.common import Side
from benchmarks.tables import Report, Row
from minicnn import data, nn, rungs


def report(**more: Any) -> Report:
    return Report("lenet", "python -m benchmarks.lenet", "ours", threads=2, rounds=3, **more)


# Rows and tables ----------------------------------------------------------------------------------

ROWS = [
    Row("forward", "conv", "ours", "ms", [2.0, 1.0, 9.0], {"peak MB": 150.0}),
    Row("forward", "conv", "theirs", "ms", [5.0, 6.0, 4.0]),
    Row("forward", "pool", "theirs", "ms", [0.5]),
    Row("backward", "", "ours", "s", [1234.5]),
]


def test_a_table_has_the_median_of_the_rounds_and_its_ratio_to_the_reference() -> None:
    assert tables.table(ROWS[:3], "ours") == [
        ["case", "side", "median", "min", "max", "times ours", "peak MB"],
        ["conv", "ours", "2.00", "1.00", "9.00", "1.00", "150"],
        ["conv", "theirs", "5.00", "4.00", "6.00", "2.50", ""],
        ["pool", "theirs", "0.50", "0.50", "0.50", "", ""],
    ]
    assert tables.table(ROWS[3:], "ours")[0] == ["side", "median", "min", "max", "times ours"]
    assert tables.table(ROWS[:3], "nobody")[0][5] == "times ours"
    assert list(tables.by_question(ROWS)) == ["forward", "backward"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.6, "12,346"), (100.4, "100"), (99.94, "99.9"), (9.994, "9.99"), (0.1004, "0.10"),
     (0.09996, "0.1000"), (0.00123, "0.0012"), (-20.04, "-20.0"), (None, "")],
)  # fmt: skip
def test_a_number_has_three_digits(value: float | None, text: str) -> None:
    assert tables.number(value) == text


def test_tables_as_text_and_as_markdown() -> None:
    cells = [["side", "median"], ["ours", "2.00"], ["their side", "15.0"]]
    assert tables.as_text(cells) == "side        median\nours          2.00\ntheir side    15.0"
    assert tables.as_markdown(cells) == (
        "| side | median |\n| --- | ---: |\n| ours | 2.00 |\n| their side | 15.0 |"
    )


def test_a_column_takes_one_number_of_each_round() -> None:
    runs = [{"seconds": 0.5, "other": 9}, {"seconds": 2.0, "other": 9}]
    assert common.column(runs, "seconds", 1e3) == [500, 2000]
    assert common.last_line("first\n  last \n\n") == "last"


INTEL = "processor: 0\nmodel name\t: Some Xeon\nflags\t\t: fpu avx2 avx512f amx_tile\n"
ARM = "processor: 0\nFeatures\t: fp asimd sve\n"


def test_a_processor_is_named_with_its_features(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(INTEL + INTEL.replace("Some", "Other"))
    assert tables.processor(info) == "Some Xeon (AVX2, AVX-512, AMX)"
    info.write_text(ARM)
    assert tables.processor(info).endswith("(NEON, SVE)")
    assert "(" not in tables.processor(tmp_path / "none")


class Clock:
    """A clock that moves only when work is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def work(self, *seconds: float) -> Callable[[], None]:
        """Takes so long each time; the last one again and again."""
        left = list(seconds)

        def call() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return call


def test_typical_seconds_is_a_median_without_the_first_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = Clock(monkeypatch).work(100.0, 1.0, 3.0, 2.0)
    assert common.typical_seconds(work, seconds=0.3, least=3) == 2.0
    work = Clock(monkeypatch).work(100.0, 0.125)
    assert common.typical_seconds(work, seconds=1.0, least=3) == 0.125


def test_epochs_are_timed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Clock(monkeypatch).work(5.0, 2.0, 3.0)
    assert lenet.timed(work, 3) == [5.0, 2.0, 3.0]


def test_sgemm_peak_counts_two_operations_a_multiply_add(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    clock = Clock(monkeypatch)
    monkeypatch.setattr(np, "matmul", lambda a, b, out: clock.work(0.25)())
    found = common.sgemm_peak(argparse.Namespace(threads=1))
    assert found == {"gflops": pytest.approx(2 * 2048**3 / 0.25 / 1e9)}


def test_sides_take_turns_and_one_that_fails_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def run_side(module: str, side: str, threads: int, arguments: Any) -> dict[str, float]:
        order.append(side)
        if side == "broken":
            raise subprocess.CalledProcessError(1, "x", stderr="Traceback\nImportError: no torch\n")
        return {"seconds": float(len(order))}

    monkeypatch.setattr(common, "run_side", run_side)
    nothing = Side(lambda options: {})
    sides = {"ours": nothing, "broken": Side(lambda options: {}, ("torch",)), "theirs": nothing}
    of = report()
    runs = common.alternate("lenet", sides, of)
    assert order == ["ours", "broken", "theirs", "ours", "theirs", "ours", "theirs"]
    assert list(runs) == ["ours", "theirs"]
    assert of.remarks == ["broken failed and is left out: ImportError: no torch"]
    with pytest.raises(SystemExit, match="broken failed"):
        common.alternate("lenet", {"broken": nothing}, report())


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    of = report(rows=ROWS, remarks=["a remark"])
    of.write(tmp_path, figures.bars)
    assert tables.read(tmp_path / "lenet.json") == of
    assert (tmp_path / "lenet.png").read_bytes().startswith(b"\x89PNG")


# Each benchmark's own ----------------------------------------------------------------------------


def test_the_floor_of_an_epoch() -> None:
    """60,000 images of 2 MFLOP at 100 GFLOP/s: 1.2 s."""
    ours = [
        {"seconds": 2.4, "flops": 2e6, "gflops": 100, "peak_mb": 300},
        {"seconds": 3.0, "flops": 2e6, "gflops": 60, "peak_mb": 320},
        {"seconds": 6.0, "flops": 2e6, "gflops": 80, "peak_mb": 310},
    ]
    theirs = [{"seconds": s, "peak_mb": 600.0} for s in (6.0, 6.0, 6.0)]
    runs = {lenet.COMPILED: ours, "torch eager": theirs}
    assert lenet.IMAGES == 60_000
    assert lenet.floors_of(runs) == pytest.approx([1.2, 2.0, 1.5])
    first, second, floor = lenet.epoch_rows("lenet", runs)
    assert (first.side, first.unit, first.median) == (lenet.COMPILED, "s", 3.0)
    assert first.extra == {"times floor": pytest.approx(2.0), "peak MB": 310}  # of 2, 1.5, 4
    assert second.extra == {"times floor": pytest.approx(4.0), "peak MB": 600}  # of 5, 3, 4
    assert (floor.side, floor.median, floor.extra) == ("floor", 1.5, {"times floor": 1.0})
    assert lenet.floor_remark("lenet", runs) == (
        "lenet: a step takes 2.00 MFLOP an image; sgemm's peak here was 80 GFLOP/s (60 to 100), so "
        "the floor of an epoch 1.50 s; compiled took 2.00 times as long."
    )


def test_the_textbooks_flops_of_a_step() -> None:
    """Three products a layer, the first one's dX left out; each weight is used once a place."""
    net = nn.Sequential(
        nn.Conv2d(2, 3, (2, 3)), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 5)
    )
    conv, linear = 2 * (3 * 2 * 2 * 3) * (4 * 5), 2 * 12 * 5
    assert lenet.flops_of(net, (2, 5, 7)) == 2 * conv + 3 * linear


def test_a_turn_is_divided_by_its_own_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 MFLOP at 100, 50, 200 and 100 GFLOP/s: 20, 40, 10 and 20 µs."""
    speeds, took = [100.0, 50.0, 200.0, 100.0], [30.0, 40.0, 20.0, 50.0]
    monkeypatch.setattr(common, "sgemm", lambda threads, seconds: speeds.pop(0))
    monkeypatch.setattr(lenet, "flops_of", lambda net: 2e6)
    found = floor.turns_of(1, None, lambda: took.pop(0))
    assert found == {"us": 35.0, "floor": 20.0, "times": pytest.approx(1.75)}  # of 1.5, 1, 2, 2.5
    ours, below = floor.rows("lenet", {floor.STEP: [found]})
    assert (ours.question, ours.runs) == ("lenet: a step, one thread", [35.0])
    assert ours.extra == {"times floor": pytest.approx(1.75)}
    assert (below.side, below.runs, below.extra) == ("floor", [20.0], {"times floor": 1.0})


def test_predictions_are_rows_by_threads_and_batch() -> None:
    run = {inference.key(t, n): 1000.0 * t + n for t in (1, 2) for n in inference.BATCHES}
    rows = inference.rows({"ours": [run]}, [1, 2])
    assert len(rows) == 10
    assert (rows[1].question, rows[1].case) == ("A prediction of lenet, one thread", "batch 8")
    assert rows[1].runs == [1008.0]
    assert (rows[-1].question, rows[-1].runs) == ("A prediction of lenet, 2 threads", [12_000.0])
    assert inference.numbers_of_threads(argparse.Namespace(threads=1)) == [1]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux only")
def test_memory_is_that_of_a_process_and_those_below_it() -> None:
    """A child of 64 MB that holds another of 64 MB."""
    hold = "held = b'x' * 2**26; print('held', flush=True); "
    inner = hold + "input()"
    outer = f"import subprocess, sys; {hold}subprocess.run([sys.executable, '-c', {inner!r}])"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", outer], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        held = programs.memory_mb(process.pid)
        process.communicate(b"\n")
    assert 128 < held < 190
    assert programs.memory_mb(process.pid) == 0


def test_a_method_announces_its_first_call() -> None:
    code = startup.ANNOUNCE.format(
        places=[("fractions", "Fraction", "limit_denominator")], program="this"
    )
    code += "from fractions import Fraction\nfor _ in range(2): Fraction(1, 2).limit_denominator()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["limit_denominator begins", "limit_denominator ends"]


def test_an_epoch_from_outside_is_without_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {1: 12.0, 4: 18.0, 10: 30.0}
    monkeypatch.setattr(
        programs, "wall_seconds", lambda program, model, epochs, threads, cache: seconds[epochs]
    )
    monkeypatch.setattr(programs, "kernel_cache", lambda warm: nullcontext(""))
    options = argparse.Namespace(model=["lenet"], threads=2)
    assert lenet.measure_outside(options, programs.TORCH) == {"seconds": 2.0}
    assert lenet.measure_whole(options, programs.TORCH, warm=False) == {"seconds": 30.0}


def test_gflops_of_an_operation() -> None:
    """A 400 -> 120 product of 256 images: 24.6 MFLOP; twice that backward."""
    key = ops.key(256, ops.case("linear 400 → 120", ops.BACKWARD))
    found = ops.row(256, "linear 400 → 120", ops.BACKWARD, "minicnn eager", [{key: 1000.0}], 100.0)
    assert (found.question, found.unit, found.runs) == ("Batch 256", "µs", [1000.0])
    gflops = 2 * 2 * 400 * 120 * 256 / 1e-3 / 1e9
    assert found.extra == {
        "GFLOP/s": pytest.approx(gflops),
        "% of peak": pytest.approx(gflops),  # of a peak of 100
    }
    first = ops.OPERATIONS["conv 1 → 6, 5 × 5"]
    assert first.work(ops.FORWARD) == first.work(ops.BACKWARD) == 2 * 6 * 784 * 25
    second = ops.OPERATIONS["conv 6 → 16, 5 × 5"]
    assert second.work(ops.BACKWARD) == 2 * second.work(ops.FORWARD) == 4 * 16 * 100 * 150
    key = ops.key(1, ops.case("relu", ops.FORWARD))
    assert ops.row(1, "relu", ops.FORWARD, "torch eager", [{key: 3.0}], 100.0).extra == {}


def test_an_operation_is_timed_forward_and_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    import minicnn

    clock = Clock(monkeypatch)
    forward, backward = clock.work(9.0, 1.0, 2.0, 3.0), clock.work(9.0, 10.0)
    monkeypatch.setattr(minicnn.Tensor, "backward", lambda tensor, gradient: backward())

    def relu(functional: Any, x: Any) -> Any:
        forward()
        return x

    operation = ops.Operation((3,), relu, {ops.FORWARD: (), ops.BACKWARD: ()})
    monkeypatch.setattr(ops, "LEAST", 3)
    found = ops.time_eager(operation, 2, None, minicnn.Tensor)
    assert found == {ops.FORWARD: 3.0, ops.BACKWARD: 10.0}  # 9 to look at the result's shape


def test_the_lines_of_a_plan_are_seconds_of_one_step_on_one_thread() -> None:
    class Line:
        name, what, seconds = "conv", "1x28x28 -> 6", 50.0

    class Step:
        plan = argparse.Namespace(lines=[Line()])

        def __call__(self, x: Any, y: Any) -> None:
            assert x.shape == (32, 1, 28, 28)
            self.plan.lines[0].seconds += 3.0  # on two threads together

    found = ops.seconds_of_lines(Step(), 32, threads=2)
    assert found == {"conv 1x28x28 -> 6": pytest.approx(1.5)}
    assert ops.seconds_of_lines(Step(), 32, threads=1) == {"conv 1x28x28 -> 6": pytest.approx(3.0)}
    # two tiles of 16 images give work to two threads, whatever else there is
    assert ops.seconds_of_lines(Step(), 32, threads=9) == {"conv 1x28x28 -> 6": pytest.approx(1.5)}


def test_what_computes_something_else_is_not_timed() -> None:
    import numpy as np

    inference.check(np.zeros(3), np.full(3, 1e-6))
    for wrong in (1e-4, np.nan):
        with pytest.raises(SystemExit, match="the logits differ by"):
            inference.check(np.zeros(3), np.array([0, wrong, 0]))


def test_training_an_image_takes_microseconds_of_the_best_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from minicnn import data

    class Images:
        def __getitem__(self, part: slice) -> Images:
            return self

    monkeypatch.setattr(data, "load", lambda name: (Images(), None))
    monkeypatch.setattr(data, "DataLoader", lambda *_, **__: None)
    clock = Clock(monkeypatch)
    # 5,000 images 4 times a pass; the first pass does not count
    seconds = [1.0] * 4 + [3.0] * 4 + [2.0] * 4
    epoch = clock.work(*seconds)
    monkeypatch.setattr(lenet, "minicnn_epoch", lambda step, batches: epoch())
    assert scaling.PASS == 20_000
    assert scaling.per_image(False, 5_000, 256) == pytest.approx(1e6 * 8.0 / 20_000)


def test_a_published_range_is_compared_with_medians() -> None:
    runs = [
        {"epoch": 10, "loss": loss, "train_acc": 0.825, "test_acc": test}
        for loss, test in [(0.46, 0.80), (0.48, 0.76), (0.47, 0.81)]
    ]
    table = results.table("lenet", "lenet", runs)
    assert "## lenet, 10 epochs" in table
    assert "| 1 | 0.480 | 0.825 | 0.760 |" in table
    assert "| **median** | 0.470 | 0.825 | 0.800 |" in table
    assert "| published | 0.450 to 0.490 | 0.815 to 0.832 | 0.770 to 0.830 |" in table
    assert "All three medians lie in the published range." in table
    low = [{**run, "test_acc": run["test_acc"] - 0.05} for run in runs]
    assert "Not all medians lie in the published range." in results.table("lenet", "lenet", low)


def test_an_exercise_is_a_row_of_medians_over_its_seeds() -> None:
    def run(test: float) -> dict[str, Any]:
        return {"epoch": 7, "loss": 10 * test, "train_acc": test - 0.1, "test_acc": test}

    runs = {f"--lr 0.5 --seed {i}": run(test) for i, test in enumerate((0.7, 0.9, 0.6))}
    runs["--lr 0.55 --seed 0"] = run(0.1)
    assert exercises.cells_of("--lr 0.5", runs) == [
        *("`--lr 0.5`", "7", "3", "7.000", "0.600", "0.700", "0.600", "0.900")
    ]
    assert exercises.cells_of("--lr 5", runs) == []


def test_the_seconds_to_a_programs_first_line_with_a_mark() -> None:
    code = (
        "import time; print('begun', flush=True); time.sleep(0.3); print('  1 done'); print('1 ')"
    )
    found = startup.watch([sys.executable, "-c", code], {"start": "begun", "epoch": "1 "}, "")
    assert 0.25 < found["epoch"] - found["start"] < 5
    with pytest.raises(SystemExit, match="status 3"):
        startup.watch([sys.executable, "-c", "raise SystemExit(3)"], {}, "")


# The page -----------------------------------------------------------------------------------------


def test_where_pytorch_wins_is_where_its_median_is_smaller() -> None:
    rows = [
        Row("forward", "conv", "minicnn eager", "ms", [3.0]),
        Row("forward", "conv", "minicnn compiled", "ms", [1.0]),
        Row("forward", "conv", "torch eager", "ms", [2.0]),
        Row("forward", "pool", "torch eager", "ms", [0.1]),
        Row("forward", "pool", "ONNX Runtime", "ms", [0.5]),
        Row("forward", "pool", "minicnn compiled", "ms", [0.2]),
    ]
    assert page.lost(report(rows=rows)) == [
        ["forward, conv", "torch eager", "2.00 ms", "minicnn eager", "3.00 ms", "1.50"],
        ["forward, pool", "torch eager", "0.10 ms", "minicnn compiled", "0.20 ms", "2.00"],
    ]
    assert "There is none." in page.wins([report(rows=rows[1:3])])


def test_a_long_table_is_folded() -> None:
    cells = [["side", "median"]] + [["ours", "1"]] * page.LONG
    assert page.folded("a title", cells).startswith("<details><summary>a title</summary>\n\n| side")
    assert page.folded("a title", cells[:-1]).startswith("**a title**\n\n| side | median |")


def test_machines_are_named_once() -> None:
    head = page.head([report(versions="v", date="d"), report(versions="v", date="d")])
    assert head.count("d: v, 2 threads") == 1


# Pictures -----------------------------------------------------------------------------------------


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_bars_are_medians_with_their_range_and_their_ratio() -> None:
    rows = [*ROWS[:2], Row("forward", "conv", "floor", "ms", [0.5])]
    axes = figures.bars(Report("x", "x", "ours", 2, 3, rows=rows)).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [2.0, 5.0]
    assert [list(line.get_xdata()) for line in axes.lines][:2] == [[1.0, 9.0], [4.0, 6.0]]
    assert list(axes.lines[2].get_xdata()) == [0.5, 0.5]
    assert texts(axes)[:2] == ["2.00 ms", "5.00 ms   × 2.50"]
    assert axes.get_xlim()[0] == 0
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ours", "theirs"]


def test_dots_are_pytorchs_time_over_ours() -> None:
    rows = [
        Row("", "conv", "minicnn compiled", "ms", [2.0]),
        Row("", "conv", "torch eager", "ms", [6.0]),
        Row("", "pool", "minicnn compiled", "ms", [4.0]),
        Row("", "pool", "torch eager", "ms", [1.0]),
    ]
    axes = figures.figure(5, 3, "").subplots()
    figures.versus(axes, rows, ["conv", "pool"], "a title", "torch eager")
    dots = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines[:2]]
    assert dots == [(3.0, 0), (0.25, 1)]


def test_lines_are_medians_over_their_values() -> None:
    rows = [Row("", str(n), "ours", "µs", [n / 2, n / 2, n]) for n in (10, 100)]
    axes = figures.figure(5, 3, "").subplots()
    figures.lines(axes, rows, [10, 100], "images", "a title", "µs an image")
    assert list(axes.lines[0].get_ydata()) == [5.0, 50.0]
    assert axes.get_ylabel() == "µs an image"
    assert texts(axes) == ["5.00", "50.0", "ours"]


def test_a_side_has_the_colour_of_the_longest_name_it_begins_with() -> None:
    assert figures.colour("minicnn eager") == figures.COLOURS["minicnn eager"]
    assert figures.colour("minicnn compiled") == figures.COLOURS["minicnn"]
    assert figures.colour("floor") == figures.FAINT


# The rungs ----------------------------------------------------------------------------------------


def test_the_rungs_are_milliseconds_an_image(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    took = {
        "loops": (1.0, 3.0),
        "im2col": (0.032, 0.064),
        "winograd": (0.016, 0.032),
        "fast": (0.0064, 0.0128),
    }
    monkeypatch.setattr(rungs, "seconds", lambda rung, images: took[rung])
    assert rungs.timings(64, 3) == {
        "loops": (1, 1000.0, 3000.0),
        "im2col": (64, 0.5, 1.0),
        "winograd": (64, 0.25, 0.5),
        "fast": (64, pytest.approx(0.1), pytest.approx(0.2)),
    }
    rungs.race(64, 3)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[5:9]]
    loops, im2col, winograd, fast = rows
    assert loops == ["loops", "1", "1000.0000", "3000.0000", "1"]
    assert im2col == ["im2col", "64", "0.5000", "1.0000", "2,667"]
    assert winograd == ["winograd", "64", "0.2500", "0.5000", "5,333"]
    assert fast == ["fast", "64", "0.1000", "0.2000", "13,333"]


# Surprises ----------------------------------------------------------------------------------------


def test_a_nudge_is_one_last_digit_of_one_weight() -> None:
    net = nn.Sequential(nn.Linear(3, 2))
    before = [p.numpy().copy() for p in net.parameters()]
    surprises.nudge(net)
    after = [p.numpy() for p in net.parameters()]
    apart = [b.view(np.int32) - a.view(np.int32) for a, b in zip(before, after, strict=True)]
    assert [np.abs(digits).sum() for digits in apart] == [1, 0]


def test_pictures_go_with_their_labels_when_they_are_sorted() -> None:
    labels = np.array([2, 0, 1, 0], np.uint8)
    images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1) * np.ones((4, 28, 28), np.uint8)
    train = surprises.in_order(data.Dataset(images, labels, ("a", "b", "c")))
    assert train.labels.tolist() == [0, 0, 1, 2]
    assert train.images.reshape(4, -1)[:, 0].tolist() == [1, 3, 2, 0]


def test_the_largest_step_may_go_down() -> None:
    assert surprises.largest_step([0.5, 0.75, 0.25]) == 0.5


def test_revisions_are_compared_round_by_round() -> None:
    old, new = [0.25, 0.5, 1.0], [0.5, 0.75, 0.5]
    runs = {"old": [{"import": s} for s in old], "new": [{"import": s} for s in new]}
    reference, other = against.rows(runs, "old")
    assert (reference.side, reference.case, reference.runs) == ("old", "import", [250, 500, 1000])
    assert (other.side, other.case, other.runs) == ("new", "import", [500, 750, 500])
    assert reference.extra == {"by round": 1.0}
    assert other.extra == {"by round": 1.5}
