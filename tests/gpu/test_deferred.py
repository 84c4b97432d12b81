"""Work done as late as a GPU may do it: the stand-in's deferred mode, and the engine in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minicnn
from tests.gpu.general import general_form
from tests.gpu.late import numbers_of, steps, steps_on_two_streams, training
from tests.gpu.nets import NETS, assert_close, batches, trained


@pytest.fixture
def late(cupy: Any) -> Iterator[Any]:
    """The stand-in, as late as can be."""
    cupy.set_deferred(True)
    with general_form():
        yield cupy
    cupy.set_deferred(False)


@pytest.fixture
def x(late: Any) -> Any:
    return late.asarray(np.array([1, 2, 3], np.float32))


# The mode ----------------------------------------------------------------------------------------


def test_work_is_done_when_somebody_waits(late: Any, x: Any) -> None:
    seen = x._array  # what is there, without waiting
    x += 1
    np.testing.assert_array_equal(seen, [1, 2, 3])
    late.cuda.get_current_stream().synchronize()
    np.testing.assert_array_equal(seen, [2, 3, 4])
    x *= 2
    x += 1
    np.testing.assert_array_equal(x.get(), [5, 7, 9])


def test_streams_do_not_wait_for_each_other(late: Any, x: Any) -> None:
    first, second = late.cuda.Stream(non_blocking=True), late.cuda.Stream(non_blocking=True)
    with first:
        x += 1
    with second:
        y = x * 2  # before the addition
        np.testing.assert_array_equal(y.get(), [2, 4, 6])
        second.wait_event(first.record())
        np.testing.assert_array_equal((x * 2).get(), [4, 6, 8])


def test_the_null_stream_waits_for_blocking_ones(late: Any, x: Any) -> None:
    with late.cuda.Stream():
        x += 1
    with late.cuda.Stream(non_blocking=True):
        x *= 10
    np.testing.assert_array_equal(x.get(), [2, 3, 4])
    late.cuda.Device().synchronize()
    np.testing.assert_array_equal(x._array, [20, 30, 40])


def test_a_buffer_of_the_host_changes_before_it_is_copied(late: Any, x: Any) -> None:
    buffer = np.ones(3, np.float32)
    x.set(buffer)
    buffer += 1
    np.testing.assert_array_equal(x.get(), [2, 2, 2])
    x.set(np.ones(3, np.float32))
    with pytest.raises(RuntimeError, match="freed before it was copied"):
        x.get()


def test_an_array_is_freed_while_another_stream_reads_it(late: Any, x: Any) -> None:
    y = late.asarray(np.ones(3, np.float32))
    with late.cuda.Stream(non_blocking=True) as stream:
        x += y
    del y
    with pytest.raises(RuntimeError, match="freed before the work on another stream"):
        stream.synchronize()
    z = late.asarray(np.ones(3, np.float32))
    x += z
    del z  # its memory is taken again after this work only
    x.get()


# The engine --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dense", "dropout", "strides"])
def test_a_compiled_step_computes_the_same_when_it_is_late(late: Any, name: str) -> None:
    data = batches(5, 5, 5, 3)
    assert_close(
        *numbers_of(late, lambda: trained(NETS[name], "gpu", minicnn.compile, data)),
    )


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("is_compiled", [True, False], ids=["compiled", "eager"])
def test_steps_that_nobody_waits_for(late: Any, is_compiled: bool, kind: str) -> None:
    lately, at_once = numbers_of(late, lambda: steps(is_compiled, kind))
    assert lately == at_once


def test_calls_on_two_streams_follow_each_other(late: Any) -> None:
    lately, at_once = numbers_of(late, lambda: steps_on_two_streams(late))
    assert lately == at_once


@pytest.mark.parametrize("is_compiled", [True, False], ids=["compiled", "eager"])
def test_training_measures_the_same(late: Any, is_compiled: bool) -> None:
    lately, at_once = numbers_of(late, lambda: training(is_compiled))
    assert lately == at_once
