"""Windows of any geometry, and both sets of kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from minicnn.kernels import cpu, reference
from minicnn.kernels.cpu import threads


@contextmanager
def three_threads() -> Iterator[None]:
    """Small work is shared too, often among more threads than there are planes."""
    before, worth = cpu.get_num_threads(), threads.WORTH_SHARING
    cpu.set_num_threads(3)
    threads.WORTH_SHARING = 0
    try:
        yield
    finally:
        cpu.set_num_threads(before)
        threads.WORTH_SHARING = worth


class Geometry:
    """A picture, a window and where it stands; drawn by hypothesis, small and awkward."""

    def __init__(self, draw: Callable[[Any], Any]):
        def pair(least: int, most: int) -> tuple[int, int]:
            return draw(st.integers(least, most)), draw(st.integers(least, most))

        self.kernel_size, self.stride, self.dilation = pair(1, 4), pair(1, 4), pair(1, 3)
        self.padding = pair(0, 3)
        least = [
            max(1, d * (k - 1) + 1 - 2 * p)
            for k, p, d in zip(self.kernel_size, self.padding, self.dilation, strict=True)
        ]
        size = tuple(n + draw(st.integers(0, 5)) for n in least)
        self.shape = (draw(st.integers(0, 3)), draw(st.integers(1, 3)), *size)
        self.window = self.kernel_size, self.stride, self.padding, self.dilation
        self.seed = draw(st.integers(0, 1000))

    def __repr__(self) -> str:
        return f"Geometry({vars(self)})"


@st.composite
def geometries(draw: Callable[[Any], Any]) -> Geometry:
    return Geometry(draw)


examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)
both = pytest.mark.parametrize("kernel", [reference, cpu], ids=["reference", "cpu"])
