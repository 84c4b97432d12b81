"""Numbers in the lanes of warps, as far as they are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Value(NamedTuple):
    """A number in each lane (or one for all), and where it is known. No value: unknown everywhere.

    Attributes:
        bits: uint32, uint64 for two registers, bool for predicates; (lanes,) or (1,).
        known: bool, (lanes,) or (1,).
    """

    bits: np.ndarray
    known: np.ndarray


KNOWN = np.ones(1, bool)
ZERO, TRUE = Value(np.zeros(1, np.uint32), KNOWN), Value(np.ones(1, bool), KNOWN)


def apply(function: Callable[..., np.ndarray], *values: Value | None) -> Value | None:
    """A function of the values' bits; unknown where one of them is."""
    known, bits = KNOWN, []
    for value in values:
        if value is None:
            return None
        known = known & value.known
        bits.append(value.bits)
    return Value(function(*bits), known)


def number(n: int) -> Value:
    """The same 32 bits in every lane."""
    return Value(np.array([n & 0xFFFFFFFF], np.uint32), KNOWN)


def together(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """64 bits from twice 32."""
    return wide(low) | wide(high) << np.uint64(32)


def wide(bits: np.ndarray) -> np.ndarray:
    """Without a sign, in 64 bits."""
    return bits.astype(np.uint64)


def narrow(bits: np.ndarray) -> np.ndarray:
    """The lower 32 bits."""
    return bits.astype(np.uint32)


def upper(bits: np.ndarray) -> np.ndarray:
    """The upper 32 bits of 64."""
    return narrow(bits >> np.uint64(32))


def signed(bits: np.ndarray) -> np.ndarray:
    """With a sign, in 64 bits."""
    return bits.view(np.int64 if bits.itemsize == 8 else np.int32).astype(np.int64)
