"""What the tests of the GPU path share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from minicnn.device import gpu_problem
from tests.gpu.pretend import standin_for_cupy


@pytest.fixture
def cupy() -> Iterator[Any]:
    """The stand-in, as ``import cupy`` gives it during the test."""
    gpu_problem.cache_clear()
    with standin_for_cupy() as module:
        yield module
        module.set_thread_order(0)
        module.cuda.Device(0).use()
    gpu_problem.cache_clear()
