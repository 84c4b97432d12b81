"""The kernels of a plan, compiled with its sizes: kernels.gpu.literal."""

from __future__ import annotations

import importlib
import re
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, optim
from minicnn.device import to_device
from tests.gpu.general import general_form
from tests.gpu.nets import NETS, assert_close, batches, trained
from tests.gpu.texts import everything


@pytest.fixture
def literal(cupy: Any) -> Any:
    return importlib.import_module("minicnn.kernels.gpu.literal")


def call(literal: Any, x: Any, kind: int) -> Any:
    return literal.Call("activate", (x, x * 0, np.int64(x.size), kind))


def test_sizes_are_written_into_the_text_and_arrays_are_passed(literal: Any, cupy: Any) -> None:
    first, second = call(literal, cupy.ones((3, 5)), 3), call(literal, cupy.ones(7), 1)
    lines = literal.text_of([first, second]).splitlines()[-2:]
    assert (
        "activate_0(const real* __restrict__ x, real* __restrict__ y, long long cells)" in lines[0]
    )
    assert lines[0].endswith("{ activate(x, y, cells, 3); }")
    assert lines[1].endswith("{ activate(x, y, cells, 1); }")
    assert [len(one.passed) for one in (first, second)] == [3, 3]


def test_a_call_of_equal_sizes_is_compiled_once(literal: Any, cupy: Any) -> None:
    large, small = (call(literal, cupy.ones(n), 3) for n in (11, 4))
    assert literal.text_of([large, small]) == literal.text_of([large])
    ours, same = literal.compiled([large, small], "float64")
    assert ours.name == same.name == "activate_0"


def test_cells_are_counted_in_32_bits_unless_there_are_many(
    literal: Any, cupy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [call(literal, cupy.ones(7), 0)]
    assert literal.text_of(calls).startswith("#define CELL int\n")
    monkeypatch.setattr(literal, "FEW", 7)
    assert literal.text_of(calls).startswith("#define CELL long long\n")


def test_a_number_that_is_no_int_of_the_kernel_is_refused(literal: Any, cupy: Any) -> None:
    with pytest.raises(OverflowError):
        literal.text_of([call(literal, cupy.ones(7), 1 << 31)])


def test_another_batch_size_compiles_nothing(
    literal: Any, cupy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, text_of = [], literal.text_of

    def remembered(calls: Any) -> str:
        texts.append(text_of(calls))
        return str(texts[-1])

    monkeypatch.setattr(literal, "text_of", remembered)
    net = NETS["strides"]()
    net(Tensor(np.zeros((2, 1, 28, 28), np.float32)))
    step = minicnn.compile(
        net.to("gpu"), nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1, momentum=0.9)
    )
    for pixels, labels in batches(70, 3):
        step(Tensor(to_device(pixels, "gpu")), Tensor(to_device(labels, "gpu")))
    assert len(texts) == 2
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("module", "name", "in_text"),
    [
        ("chain", "IMAGES", "IMAGES"),
        ("chain", "CELLS", "CHAIN_CELLS"),
        ("update", "FEW_PARTS", "FEW_PARTS"),
        ("tiling", "MOST_CHANNELS", "MOST_CHANNELS"),
        ("tiling", "MOST_PLACES", "MOST_PLACES"),
    ],
)
def test_a_size_that_python_repeats_is_the_texts(
    cupy: Any, module: str, name: str, in_text: str
) -> None:
    ours = getattr(importlib.import_module(f"minicnn.compiler.gpu.{module}"), name)
    assert re.findall(rf"^#define {in_text} (\d+)", everything(), re.MULTILINE) == [str(ours)]


@pytest.mark.parametrize("name", ["strides", "residual"])
def test_the_general_form_computes_the_same(cupy: Any, name: str) -> None:
    data = batches(5, 3)
    with general_form():
        theirs = trained(NETS[name], "gpu", minicnn.compile, data)
    assert_close(trained(NETS[name], "gpu", minicnn.compile, data), theirs)
