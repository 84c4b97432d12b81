"""What a compiled step allocates, and the table of its plan."""

from __future__ import annotations

import tracemalloc

import pytest

import minicnn
from minicnn import models, nn
from minicnn.compiler import CompiledStep
from tests.compiler.nets import (
    NETS,
    NORMED,
    PICTURE,
    assert_bit_for_bit,
    batch,
    build,
    compiled,
    result_of,
    sgd,
)

pytestmark = pytest.mark.usefixtures("share_the_least_work")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["lenet", "lenet-max", "norm"])
def test_a_step_allocates_next_to_nothing(name: str, threads: int) -> None:
    minicnn.set_num_threads(threads)
    is_norm = name == "norm"
    net = build(NORMED["norm"], "float32") if is_norm else models.build(name)
    x, y = batch(256, "float32", PICTURE if is_norm else (1, 28, 28))
    step = compiled(net, lr=0.1, momentum=0.9)
    for _ in range(3):
        step(x, y)
    tracemalloc.start()
    try:
        for _ in range(3):
            step(x, y)
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100e3
    assert left < 20e3  # a thread that is late still has what its own call was given


@pytest.fixture
def lenet_step() -> CompiledStep:
    net = models.lenet()
    return minicnn.compile(net, nn.CrossEntropyLoss(), sgd(net), profile=True)


def rows_named(step: CompiledStep, name: str) -> list[list[str]]:
    rows = str(step.plan).splitlines()
    return [row[14:].replace(",", " ").split() for row in rows if row[:14].strip() == name]


def test_the_plan_is_a_table_to_read(lenet_step: CompiledStep) -> None:
    lenet_step.profile = False
    lenet_step(*batch(32, "float32", (1, 28, 28)))
    rows = str(lenet_step.plan).splitlines()
    assert len(rows) <= 60
    assert max(map(len, rows)) <= 100
    assert {"conv", "dense", "sigmoid", "avg pool"} <= {row[:14].strip() for row in rows}
    assert "us" not in rows[0].split()


def test_the_plan_says_how_many_flops_a_layer_takes(lenet_step: CompiledStep) -> None:
    lenet_step(*batch(32, "float32", (1, 28, 28)))
    first, second = rows_named(lenet_step, "conv")
    # F(4, 5): in a line 7 pieces of 8 points instead of 28 x 5 products, and 3 instead of 10 x 5
    assert str(2 * 6 * 28 * (7 * 8) * 5) in first
    assert str(2 * 16 * 10 * (3 * 8) * 6 * 5) in second
    assert [str(2 * n) in row for n, row in zip(
        (400 * 120, 120 * 84, 84 * 10), rows_named(lenet_step, "dense"), strict=True
    )] == [True] * 3  # fmt: skip


def test_a_profiled_plan_has_times_and_rates(lenet_step: CompiledStep) -> None:
    lenet_step(*batch(32, "float32", (1, 28, 28)))
    rows = str(lenet_step.plan).splitlines()
    assert len(rows) <= 60
    assert max(map(len, rows)) <= 100
    assert rows[0].split() == ["FLOP", "bytes", "us", "GFLOP/s"]
    flops, _, us, rate = map(float, rows_named(lenet_step, "conv")[1][-4:])
    assert us > 0
    assert rate == pytest.approx(flops / us / 1e3, rel=0.05)


@pytest.mark.parametrize("name", ["deep-conv-everything", "norms-in-a-row", "dropout-everywhere"])
def test_a_profiled_step_is_the_same_step(name: str) -> None:
    net = build({**NETS, **NORMED}[name], "float64")
    optimizer, results = sgd(net, lr=0.0), []
    minicnn.set_num_threads(2)
    for profile in (True, False):
        minicnn.manual_seed(4)
        step = minicnn.compile(net, nn.CrossEntropyLoss(), optimizer, profile=profile)
        results.append(result_of(step, *batch(181)))
    assert_bit_for_bit(*results)
