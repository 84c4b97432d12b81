"""Random draws: one seed for initial weights, shuffles and dropout masks."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from minicnn.checks import check_integer, check_is
from minicnn.device import Device
from minicnn.names import size_of
from minicnn.tensor import Tensor


class Draws:
    """All random draws that begin with one seed: what ``manual_seed`` sets.

    Attributes:
        generator: of weights and shuffles.
        masks_drawn: how many dropout masks have been drawn.
        first_row: where the present batch begins within a larger one, whose masks it gets: that of
            one rank, of all ranks' (``minicnn.distributed``).
    """

    def __init__(self, seed: int, generator: np.random.Generator | None = None):
        self.seed = seed
        self.generator = np.random.default_rng(seed) if generator is None else generator
        self.masks_drawn = 0
        self.first_row = 0


class Budget(np.random.Generator):
    """Draws ``cells`` weights at most: of a net that a file describes, and other files hold.

    A forged description of a gigantic net is refused before its memory is asked for.
    """

    def __init__(self, cells: int):
        super().__init__(np.random.PCG64(0))
        self.cells = cells

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        """See NumPy's.

        Raises:
            ValueError: more than that.
        """
        return super().uniform(low, high, self._counted(size))

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        """See ``uniform``."""
        return super().normal(loc, scale, self._counted(size))

    def _counted(self, shape: Any) -> Any:
        self.cells -= math.prod(shape)
        if self.cells < 0:
            raise ValueError(f"weights of shape {shape}, more than the file of weights has")
        return shape


_state = Draws(int(np.random.SeedSequence().generate_state(1, np.uint64)[0]))
_own: ContextVar[Draws | None] = ContextVar("own", default=None)


@contextmanager
def drawing_from(draws: Draws) -> Iterator[None]:
    """Inside, in this thread, everything is drawn from ``draws``; the process's own stand still."""
    token = _own.set(draws)
    try:
        yield
    finally:
        _own.reset(token)


def _present() -> Draws:
    return _own.get() or _state


def manual_seed(seed: int) -> None:
    """Start all random draws of this process again, from ``seed``, an integer in 0..2**64 - 1.

    Weights and shuffles are drawn on the CPU with NumPy, whatever the device, and dropout masks
    depend on a counter (``next_mask_key``): the same seed gives the same run on every device.

    Raises:
        ValueError: a seed out of range.
        TypeError: not an integer.
    """
    global _state
    check_integer("seed", seed)
    seed = operator.index(seed)
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed is {seed}; wanted an integer in 0..2**64 - 1")
    _state = Draws(seed)


def get_rng_state() -> dict[str, Any]:
    """Where all random draws of this process stand, for ``set_rng_state``: numbers and texts.

    Inside ``drawing_from``, where those of its ``draws`` stand.
    """
    draws = _present()
    generator = draws.generator.bit_generator.state
    return {"seed": draws.seed, "masks_drawn": draws.masks_drawn, "generator": generator}


def set_rng_state(state: Mapping[str, Any]) -> None:
    """Go on drawing from where ``get_rng_state`` was called, in this process or in another."""
    draws = _present()
    draws.seed, draws.masks_drawn = state["seed"], state["masks_drawn"]
    draws.generator.bit_generator.state = state["generator"]


def default_generator() -> np.random.Generator:
    """The generator that is used where no other is passed."""
    return _present().generator


def drawing(generator: np.random.Generator | None) -> np.random.Generator:
    """This generator, or for None the one that ``manual_seed`` set. TypeError: another thing."""
    if generator is None:
        return default_generator()
    check_is("generator", generator, np.random.Generator, "numpy.random.default_rng(seed)")
    return generator


def next_mask_key() -> tuple[int, int]:
    """(seed, number) of the next dropout mask: the key of ``kernels.random_uniform``.

    The masks of a run are numbered in the order of their use: layer by layer within a step, step
    after step. Eager, compiled and GPU steps draw the same mask k.
    """
    draws = _present()
    key = (draws.seed, draws.masks_drawn)
    draws.masks_drawn += 1
    return key


def first_row() -> int:
    """The row of its mask with which a batch begins: 0, but see ``rows_from``."""
    return _present().first_row


@contextmanager
def rows_from(first: int) -> Iterator[None]:
    """Inside, batches get the rows of their dropout masks from this one on."""
    draws = _present()
    before, draws.first_row = draws.first_row, first
    try:
        yield
    finally:
        draws.first_row = before


def rand(
    *shape: Any,
    size: Sequence[int] = (),
    dtype: Any = np.float32,
    device: Device | None = None,
    requires_grad: bool = False,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """A tensor of this shape, uniform in [0, 1).

    ``rand(2, 3)``, ``rand((2, 3))`` or ``rand(size=(2, 3))``.
    """
    drawn = drawing(generator).random(size_of(shape, size))
    return Tensor(drawn, requires_grad, dtype, device)


def randn(
    *shape: Any,
    size: Sequence[int] = (),
    dtype: Any = np.float32,
    device: Device | None = None,
    requires_grad: bool = False,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """A tensor of this shape, normally distributed with mean 0 and variance 1; see ``rand``."""
    drawn = drawing(generator).standard_normal(size_of(shape, size))
    return Tensor(drawn, requires_grad, dtype, device)


@contextmanager
def masks_put_back() -> Iterator[Callable[[], int]]:
    """Dropout masks drawn inside do not count: the next mask has the number it would have had.

    Yields a function that says how many have been drawn inside so far.
    """
    draws = _present()
    drawn = draws.masks_drawn
    try:
        yield lambda: draws.masks_drawn - drawn
    finally:
        draws.masks_drawn = drawn
