"""A batch's shares: who takes them does not matter, and how many there are does not change."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from unittest.mock import Mock

import numpy as np
import pytest

import minicnn
from minicnn.compiler import CompiledStep
from minicnn.compiler.cpu import shares as cut
from minicnn.compiler.cpu.engine import Engine
from minicnn.compiler.cpu.plan import Part, Plan
from minicnn.kernels.arrays import LANES
from minicnn.kernels.cpu.threads import take_turns
from minicnn.kernels.tiles import program
from minicnn.kernels.tiles.instruction import Group, address_of, columns_of, form_for, inner
from minicnn.kernels.tiles.step import COPY, UPDATE
from tests.compiler.nets import NETS, NORMED, batch, build, compiled, result_of

pytestmark = pytest.mark.usefixtures("share_the_least_work")

MEMORY = columns_of(Group)["memory"][0]
IMAGES = 403  # 26 tiles, the last one with 3 images


@pytest.fixture(autouse=True)
def many_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a large net: several shares for each of two threads."""
    monkeypatch.setattr(cut, "WORTH_A_SHARE", 1)
    minicnn.set_num_threads(2)


@contextmanager
def late(thread: int, delay: float = 0.02) -> Iterator[None]:
    """Inside, this thread comes late to each part of a step, so that the other takes its share."""

    def late_turns(task: Callable[[int], bool], threads: int) -> None:
        def late_task(number: int) -> bool:
            if number == thread:
                time.sleep(delay)
            return task(number)

        take_turns(late_task, threads)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cut, "take_turns", late_turns)
        yield


def shares_of(step: CompiledStep) -> cut.Shares:
    return step._engine_of_last_call().shares


def takers(step: CompiledStep) -> list[int]:
    """The thread that took each share: its kernels worked in that thread's memory."""
    shares = shares_of(step)
    threads = (shares.rows[:, MEMORY] - shares.memory.ctypes.data) // shares.memory.strides[0]
    return threads.tolist()


def learn(step: CompiledStep, steps: int = 3) -> list[bytes]:
    """Losses, logits and gradients of some steps, and the parameters after them: their bits."""
    x, y = batch(IMAGES, "float32")
    bits = []
    for _ in range(steps):
        loss, logits, gradients = result_of(step, x, y)
        bits += [loss.tobytes(), logits.tobytes(), *(g.tobytes() for g in gradients.values())]
    return bits + [tensor.numpy().tobytes() for tensor in step.net.state_dict().values()]


def new_step(name: str) -> CompiledStep:
    net = build({**NETS, **NORMED}[name], "float32")
    minicnn.manual_seed(5)  # of the dropout masks
    return compiled(net, lr=0.1, momentum=0.9)


@pytest.mark.parametrize("name", ["deep-conv-everything", "dropout-everywhere", "norms-in-a-row"])
def test_whoever_takes_the_shares_the_bits_are_the_same(name: str) -> None:
    expected = learn(new_step(name))
    for thread in (0, 1):
        step = new_step(name)
        with late(thread):
            assert learn(step) == expected
        assert shares_of(step).count == 6
        if name not in NORMED:  # whose groups have memory of their own
            assert takers(step) == [1 - thread] * 6


def test_next_to_busy_processes_the_bits_are_the_same() -> None:
    expected = learn(new_step("deep-conv-everything"), steps=100)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        assert learn(new_step("deep-conv-everything"), steps=100) == expected
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.parametrize("parameters", [100, 50_000])
def test_a_share_has_the_more_images_the_larger_its_gradients_are(
    parameters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the threshold as it is
    plan = Plan(1, np.dtype(np.float32))
    plan.parameters_size = parameters
    nothing = np.zeros(1, np.float32)
    shares = cut.Shares(plan, True, weights=nothing)
    counts = []
    for count, threads in [(3, 1), (3, 2), (17, 2), (100, 2), (100, 3), (5000, 2), (1, 1), (0, 1)]:
        shares.cut_up(count, 200_000, threads)
        counts.append(shares.count)
        assert shares.edges[0] == 0
        assert shares.edges[-1] == count
        assert len(shares.edges) == shares.count + 1
        sizes = np.diff(shares.edges)
        assert sizes.max() - sizes.min() <= 1
    assert counts == ([1, 2, 8, 8, 12, 8, 1, 1] if parameters == 100 else [1, 2, 2, 2, 3, 8, 1, 1])


def test_parameters_are_copied_in_at_most_4_pieces_a_thread() -> None:
    plan = Plan(1, np.dtype(np.float32))
    for pieces, threads, wanted in ((7, 1, 4), (7, 2, 7), (9, 2, 8), (0, 3, 1)):
        plan.parameters_size = pieces * cut.PIECE
        shares = cut.Shares(plan, True, weights=np.zeros(1, np.float32))
        shares.cut_up(5, 200_000, threads)
        assert shares.pieces[COPY] == shares.pieces[UPDATE] == wanted


@pytest.mark.parametrize("size", [1, 3, 17, 1000])
def test_arrays_begin_where_a_register_of_memory_begins(size: int) -> None:
    arrays = [cut.aligned((size, 2), np.float32) for _ in range(20)]  # malloc's places differ
    assert [array.ctypes.data % cut.ALIGNMENT for array in arrays] == [0] * 20
    assert arrays[0].shape == (size, 2)


def test_groups_that_wait_for_each_other_have_memory_of_their_own_in_a_larger_batch_too() -> None:
    plan = Plan(1, np.dtype(np.float32))
    plan.memory, plan.parts = 64, [Part(), Part()]
    shares = cut.Shares(plan, True, weights=np.zeros(1, np.float32))
    for tiles in (3, 20, 5):
        shares.cut_up(tiles, 200_000, 2)
        last = max(shares.slots + np.diff(shares.edges)) - 1
        assert last == tiles - 1
        assert last < len(shares.memory)


def test_a_cut_that_does_not_succeed_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = cut.Shares(Plan(1, np.dtype(np.float32)), True, weights=np.zeros(1, np.float32))
    shares.cut_up(2, 200_000, 2)
    before = shares.count, shares.edges.tolist()
    with monkeypatch.context() as patch:
        patch.setattr(shares, "_make_rows", Mock(side_effect=MemoryError))
        with pytest.raises(MemoryError):
            shares.cut_up(100, 200_000, 2)
    shares.cut_up(2, 200_000, 2)
    assert (shares.count, shares.edges.tolist()) == before


class Fail(NamedTuple):
    """Raises an error in the group whose first image has this number."""

    image: int


# with ``inner``, because ``kernel`` would keep it on disk: this file is not among its sources
@inner()
def fail(op: Fail, group: Group) -> None:
    if op.image == group.first:
        raise ValueError("this group")
    group.logits[group.first] = 1


@pytest.mark.parametrize("slow", [0, 1])
def test_what_a_kernel_raises_on_any_thread_is_raised_and_the_next_step_is_whole(
    slow: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(program.KERNELS, Fail, fail)
    dtype = np.dtype(np.float64)
    address_of(form_for(fail, Fail, dtype))
    plan = Plan(1, dtype)
    plan.emit(Fail(5 * LANES), "fail", flops=10**6)
    plan.finish()
    engine = Engine(plan, (1,), None)
    logits, x = np.zeros(10 * LANES), np.zeros((10 * LANES, 1))
    with late(slow), pytest.raises(ValueError, match="this group"):
        engine.run(x, engine.no_labels, logits, [])
    logits[:] = 0
    engine.run(x[: 5 * LANES], engine.no_labels, logits[: 5 * LANES], [])
    np.testing.assert_array_equal(np.flatnonzero(logits), range(0, 5 * LANES, LANES))


def test_when_an_error_is_raised_no_thread_is_still_at_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(program.KERNELS, Fail, fail)
    plan = Plan(1, np.dtype(np.float64))
    plan.emit(Fail(0), "fail", flops=10**6)
    plan.finish()
    engine = Engine(plan, (1,), None)
    begun, ended = threading.Event(), threading.Event()

    def slow_turns(task: Callable[[int], bool], threads: int) -> None:
        def slow_task(number: int) -> bool:
            if number == 0:
                begun.wait(5)
                return task(number)
            begun.set()
            time.sleep(0.02)
            finished = task(number)
            ended.set()
            return finished

        take_turns(slow_task, threads)

    monkeypatch.setattr(cut, "take_turns", slow_turns)
    with pytest.raises(ValueError, match="this group"):
        engine.run(np.zeros((10 * LANES, 1)), engine.no_labels, np.zeros(10 * LANES), [])
    assert begun.is_set()
    assert ended.is_set()
