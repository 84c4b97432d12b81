"""mxnet on this engine, for the tests that use it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

import minicnn
from minicnn import d2l

MXNET = "1.9.1"  # the version whose results the tests hold, run with NumPy 1.23.5 on Python 3.8


@pytest.fixture
def mx(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """The module mxnet, as after ``import mxnet as mx``; the first edition's arrays."""
    d2l.install("mxnet")
    capsys.readouterr()
    minicnn.manual_seed(5)
    assert sys.modules["mxnet"].__version__ == MXNET
    yield sys.modules["mxnet"]
    d2l.uninstall()


@pytest.fixture
def mx_np(mx: Any) -> Any:
    """The same after ``npx.set_np()``: the second edition's arrays."""
    mx.npx.set_np()
    return mx
