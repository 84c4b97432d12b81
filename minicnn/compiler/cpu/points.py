"""Where Winograd's numbers lie at the points, and the instructions that lead there and back."""

from __future__ import annotations

from collections.abc import Iterable

from minicnn.kernels.arrays import LANES


def pitched(size: int) -> int:
    """From one point to the next. A power of two would put them all into the same few places of the
    first cache."""
    return size + LANES


def whole(rows: int) -> int:
    """Up to a multiple of 16."""
    return -(-rows // LANES) * LANES


def sixteens(rows: int, taps: int) -> list[int]:
    """Where each row's weights begin: sixteen rows lie next to each other, tap by tap."""
    return [row // LANES * LANES * taps + row % LANES for row in range(rows)]


def weights_at_points(values: Iterable[int], rows: int, taps: int) -> list[int]:
    """Where each tap's weights lie, of one value after the other."""
    return [v * whole(rows) * taps + LANES * tap for v in values for tap in range(taps)]
