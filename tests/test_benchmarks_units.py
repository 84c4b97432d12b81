"""The benchmarks' units and ratios: what stands between a clock and a figure of the docs."""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minicnn
from benchmarks import (
    common,
    floor,
    gpu_host,
    inference,
    lenet,
    ops,
    programs,
    ranks,
    results,
    scaling,
    startup,
    surprises,
)
from minicnn import data

OPTIONS = argparse.Namespace(model=["lenet-max"], threads=2)


# Rounds, threads, seconds -------------------------------------------------------------------------


def test_five_rounds_on_two_threads_are_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads in ((64, 2), (1, 1), (None, 1)):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        options = common.parser("lenet").parse_args([])
        assert (options.rounds, options.threads, options.out) == (5, threads, None)


def test_the_second_epoch_counts_on_a_cpu_and_the_faster_of_two_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    def epochs(model: str, threads: int, count: int, *_: Any, **how: Any) -> Any:
        asked.append((model, threads, count, how))
        return [0.5, 5.0, 4.0][:count], SimpleNamespace(net="a net")

    peaks = [{"gflops": 100.0}, {"gflops": 50.0}] * 2
    monkeypatch.setattr(lenet, "minicnn_epochs", epochs)
    monkeypatch.setattr(lenet, "torch_epochs", lambda *given, **how: epochs(*given, **how)[0])
    monkeypatch.setattr(common, "sgemm_peak", lambda options: peaks.pop(0))
    monkeypatch.setattr(lenet, "flops_of", lambda net: {"a net": 7}[net])
    usage = SimpleNamespace(ru_maxrss=3 * 1024)  # kilobytes
    monkeypatch.setattr(resource, "getrusage", lambda who: usage)
    on_a_cpu = {"seconds": 5.0, "peak_mb": 3.0}
    assert lenet.measure_compiled(OPTIONS) == {**on_a_cpu, "flops": 7, "gflops": 75.0}
    assert lenet.measure_eager(OPTIONS) == lenet.measure_torch(OPTIONS) == on_a_cpu
    assert lenet.measure_on_gpu(OPTIONS) == lenet.measure_cuda(OPTIONS, True) == {"seconds": 4.0}
    assert asked == [
        ("lenet-max", 2, 2, {}),
        ("lenet-max", 2, 2, {"compiled": False}),
        ("lenet-max", 2, 2, {}),
        ("lenet-max", 2, 3, {"device": "gpu"}),
        ("lenet-max", 2, 3, {"device": "cuda", "graph": True}),
    ]


def test_a_turn_is_microseconds_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor, "turns_of", lambda threads, net, us: {"us": us(), "t": threads})
    monkeypatch.setattr(common, "typical_seconds", lambda work, seconds: 0.512)
    assert floor.measure_step(OPTIONS) == {"us": pytest.approx(2000.0), "t": 1}  # of 256

    def fit(net: Any, batches: Any, **how: Any) -> minicnn.History:
        assert (how["epochs"], how["compile"], batches.batch_size) == (2, True, 256)
        return minicnn.History([{"seconds": 9.0}, {"seconds": 0.004}])

    few = data.load("fashion-mnist-sample")[0][:400]
    monkeypatch.setattr(data, "load", lambda name: (few, None))
    monkeypatch.setattr(minicnn, "fit", fit)
    assert floor.measure_epoch(OPTIONS) == {"us": pytest.approx(10.0), "t": 2}


def test_a_prediction_is_milliseconds_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    few = data.load("fashion-mnist-sample")[1][:9]
    timed: list[tuple[int, ...]] = []

    def seconds(call: Callable[[], Any]) -> float:
        timed.append(call().shape)
        return 0.25 / len(timed)

    monkeypatch.setattr(data, "load", lambda name: (None, few))
    monkeypatch.setattr(common, "typical_seconds", seconds)
    monkeypatch.setattr(inference, "BATCHES", [1, 8])
    options = argparse.Namespace(threads=2)
    assert inference.measure(options, inference.minicnn_eager) == {
        "1 threads, batch 1": 250.0,
        "1 threads, batch 8": 125.0,
        "2 threads, batch 1": pytest.approx(250 / 3),
        "2 threads, batch 8": 62.5,
    }
    assert timed == [(1, 10), (8, 10)] * 2


def test_the_host_s_microseconds_are_the_least_mean_of_200_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, calls = [0.0], [0]
    monkeypatch.setattr(time, "process_time", lambda: now[0])

    def step() -> None:
        now[0] += 3e-6 if calls[0] // 200 == 7 else 5e-6
        calls[0] += 1

    assert gpu_host.microseconds(step) == pytest.approx(3.0)
    assert calls == [20 * 200]


def test_a_pass_is_as_many_epochs_as_make_20_000_images(monkeypatch: pytest.MonkeyPatch) -> None:
    train = data.load("fashion-mnist-sample")[0][:5]
    monkeypatch.setattr(data, "load", lambda name: (train, None))
    monkeypatch.setattr(lenet, "minicnn_epoch", lambda step, batches: epochs.append(1))
    monkeypatch.setattr(lenet, "timed", lambda work, count: [work(), 3.0, 2.0, 9.0][:count])
    for images, number in ((60_000, 1), (20_000, 1), (7_000, 2), (1_000, 20)):
        epochs: list[int] = []
        assert scaling.per_image(False, images, 256) == pytest.approx(2e6 / (number * images))
        assert len(epochs) == number


def test_a_program_has_its_own_kernels_only_where_a_folder_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "mine")
    assert programs.environment("")["NUMBA_CACHE_DIR"] == "mine"
    assert programs.environment("theirs")["NUMBA_CACHE_DIR"] == "theirs"
    options = programs.arguments(programs.MINICNN, "lenet", 4, 2, "a/run")
    assert " ".join(options) == (
        "--model lenet --epochs 4 --threads 2 --dataset fashion-mnist --device cpu --out a/run"
    )


def test_the_seconds_of_an_import_are_those_of_the_import_alone() -> None:
    """The package that is imported makes the clock say a day later."""
    assert startup.import_seconds("time; time.perf_counter = lambda: began + 86400") == 86400


# Published figures --------------------------------------------------------------------------------


def test_a_chapters_row_has_medians_and_extremes_next_to_the_published_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [[0.5, 0.8, 0.75], [0.25, 0.9, 0.7], [0.375, 0.7, 0.8]]
    monkeypatch.setattr(results, "chapter_run", lambda chapter, tab, seed: runs[seed])
    chapter = tmp_path / "lenet.md"
    chapter.write_text("#@tab mxnet")
    ours = "0.375 (0.250 to 0.500) | 0.800 (0.700 to 0.900) | 0.750 (0.700 to 0.800)"
    assert results.chapter_row(chapter, "pytorch", 3) == (
        f"| second edition, PyTorch | {ours} | 0.449 to 0.525, median 0.468 | 0.752 to 0.828 |"
    )
    chapter.write_text("no tabs")
    assert results.chapter_row(chapter, "mxnet", 3) == (
        f"| first edition, MXNet | {ours} | 0.620 to 0.680 | 0.740 to 0.775 |"
    )
    printed = "loss 2.3, train acc 0.1, test acc 0.2\nloss 0.467, train acc 0.825, test acc 0.812\n"
    assert results.LAST_LINE.findall(printed)[-1] == ("0.467", "0.825", "0.812")


def test_figures_of_an_epoch_are_named() -> None:
    epoch = {"loss": 0.25, "train_acc": 0.5, "test_acc": 0.12345, "epoch": 3}
    assert surprises.figures(epoch) == "loss 0.2500, train accuracy 0.5000, test accuracy 0.1235"


# Ranks --------------------------------------------------------------------------------------------


def of_ranks() -> common.Runs:
    """A step of 4 ms on one thread, of 2.5 ms on half of its batch: 1 ms stays, 3 ms are shared."""
    one: dict[str, float] = {}
    shared = {"1 floats": 10.0, "100,000 floats": 110.0}
    for net in ranks.CASES:
        one |= {ranks.case_of(net): 4.0, ranks.half_of(net): 2.5, ranks.size_of(net): 5000.0}
        shared[ranks.case_of(net)] = 3.25
    return {ranks.ONE: [one], ranks.RANKS: [{f"{n:,} floats": 0.0 for n in ranks.FLOATS} | shared]}


def test_a_model_of_ranks_is_made_of_a_step_its_half_and_two_messages() -> None:
    found = ranks.models(of_ranks())
    here, network = found["lenet", "here"], found["lenet", "10 GBit/s"]
    assert tuple(here) == pytest.approx((1000.0, 3000.0, 10.0, 0.001, 5000.0))
    assert tuple(network) == (1000.0, 3000.0, 50.0, 0.0032, 5000.0)
    assert here.step(1) == 4000.0
    assert here.step(4) == pytest.approx(1000 + 3000 / 4 + 10 * 2 + 2 * 0.001 * 5000 * 3 / 4)
    steps = [here.step(n) for n in range(1, 257)]
    assert here.fastest(256) == 1 + int(np.argmin(steps)) < 256
    assert here.fastest(4) == 4
    worth = [steps[0] / step / n for n, step in enumerate(steps, start=1)]
    assert here.half_lost(256) == 1 + next(k for k, each in enumerate(worth) if each < 0.5)
    assert here.half_lost(2) == 2
    assert ranks.Model(0.0, 3000.0, 0.0, 0.0, 0.0).half_lost(64) == 64


def test_a_remark_says_the_model_next_to_what_was_measured() -> None:
    here, network, *_ = ranks.remarks(of_ranks(), 2)
    begin = "lenet, batch 256, here: S = 1.00 ms, P = 3.00 ms, a = 10 µs, b n = 5 µs: "
    assert here.startswith(f"{begin}T(2) = 2.52 ms (measured: 3.25 ms); shortest on ")
    assert "10 GBit/s: S = 1.00 ms, P = 3.00 ms, a = 50 µs, b n = 16 µs: T(2) = 2.57 ms; short" in (
        network
    )
    assert ranks.remarks({ranks.ONE: of_ranks()[ranks.ONE]}, 2) == []


def test_ranks_are_rows_in_milliseconds_and_their_messages_in_microseconds() -> None:
    rows = ranks.rows(of_ranks())
    assert [(row.case, row.side, row.unit, row.runs) for row in rows][:2] == [
        ("lenet, batch 256", "one thread", "ms", [4.0]),
        ("lenet, batch 256", "ranks", "ms", [3.25]),
    ]
    assert [(row.case, row.unit, row.runs) for row in rows if row.question == ranks.ALLREDUCE] == [
        (case, "µs", [us])
        for case, us in (
            *(("1 floats", 10.0), ("1,000 floats", 0.0), ("10,000 floats", 0.0)),
            *(("100,000 floats", 110.0), ("1,000,000 floats", 0.0)),
        )
    ]


def test_a_step_on_ranks_is_the_median_after_a_quarter_that_warms_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, took = [0.0], [99.0, 98.0, *(float(n) for n in range(1, 9))]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def call() -> None:
        now[0] += took.pop(0)

    assert ranks.median_of(call, 8) == 4.5
    assert took == []
    assert ranks.floats_of("lenet") == sum(p.size for p in minicnn.models.lenet().parameters())


def test_a_rank_steps_on_its_share_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    class Step:
        exchange: Any = None

        def __call__(self, x: Any, y: Any, share: float) -> None:
            seen.append((len(x), len(y), share))

    def once(call: Callable[[], Any], times: int) -> float:
        call()
        return times / 1000

    monkeypatch.setattr(minicnn, "compile", lambda *_: Step())
    monkeypatch.setattr(ranks, "median_of", once)
    of_three = SimpleNamespace(share=lambda images: (2, 5), rank=1, size=3)
    assert ranks.milliseconds("lenet", 8) == 40.0
    assert ranks.milliseconds("lenet", 8, of_three) == 40.0
    assert seen == [(8, 8, 1.0), (3, 3, 3 / 8)]


def test_what_a_rank_s_step_is_compared_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "milliseconds", lambda net, images: images / 10)
    found = ranks.measure(1)
    assert found["lenet, batch 256"] == 2 * found["lenet, half a batch"] == 25.6
    assert found["wide, parameters"] == ranks.floats_of("wide") > 1e5


@pytest.mark.usefixtures("compiled_kernels")
def test_every_instruction_of_a_convolution_or_dense_layer_counts_for_it() -> None:
    """By how they begin: an instruction that no operation names would be left out of its time."""
    step = ops.profiled_step(ops.OPERATIONS["linear 400 → 120"])
    step(np.zeros((16, 1, 28, 28), np.float32), np.zeros(16, np.int64))
    lines = [f"{line.name} {line.what}" for line in step.plan.lines]
    of_lenet = [each for each in ops.OPERATIONS.values() if each.layer is None]
    begins = [names for each in of_lenet for names in each.lines.values()]
    counted = [sum(line.startswith(names) for names in begins) for line in lines]
    assert max(counted) == 1
    for name in (name for names in begins for name in names):
        assert any(line.startswith(name) for line in lines), name
    left = [line.split(" ")[0] for line, count in zip(lines, counted, strict=True) if not count]
    assert "conv" not in left
    assert left.count("dense") == 8  # of the two other dense layers, four each


def test_instructions_of_one_name_are_added_up() -> None:
    lines = [SimpleNamespace(name="zero", what="6x4x4", seconds=0.0) for _ in range(2)]

    class Step:
        plan = SimpleNamespace(lines=lines)

        def __call__(self, x: Any, y: Any) -> None:
            for number, line in enumerate(lines, start=1):
                line.seconds += number

    assert ops.seconds_of_lines(Step(), 16, threads=1) == {"zero 6x4x4": 3.0}
