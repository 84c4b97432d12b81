"""Random numbers from a counter; threads share the blocks of four."""

from __future__ import annotations

import numpy as np

from ..arrays import Array
from .jit import jit
from .threads import share


def random_uniform(like: Array, seed: int, draw: int, first: int = 0) -> Array:
    """See ``reference.random_uniform``."""
    numbers = np.empty(like.shape, np.float32)
    blocks = (first + numbers.size + 3) // 4 - first // 4
    key = np.uint64(seed), np.uint64(draw)
    share(_random_uniform, blocks, 8 * numbers.size, numbers.reshape(-1), *key, first)
    return numbers


@jit
def _random_uniform(
    begin: int, end: int, numbers: Array, seed: np.uint64, draw: np.uint64, first: int
) -> None:
    for block in range(first // 4 + begin, first // 4 + end):
        words = philox(np.uint64(block), draw, seed)
        # the first block may begin before the first number, the last one end after the last
        for k in range(max(0, first - 4 * block), min(4, first + numbers.size - 4 * block)):
            number = np.float32(words[k] >> np.uint64(8)) * np.float32(2.0**-24)
            numbers[4 * block + k - first] = number


@jit
def philox(
    block: np.uint64, draw: np.uint64, seed: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """See ``reference.philox``: the four words of one block."""
    # 32-bit words in 64-bit variables: a product of two of them needs all 64 bits
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    c0, c1 = block & low, block >> shift
    c2, c3 = draw & low, draw >> shift
    k0, k1 = seed & low, seed >> shift
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (
            (p1 >> shift) ^ c1 ^ k0,
            p1 & low,
            (p0 >> shift) ^ c3 ^ k1,
            p0 & low,
        )
        k0 = (k0 + np.uint64(0x9E3779B9)) & low
        k1 = (k1 + np.uint64(0xBB67AE85)) & low
    return c0, c1, c2, c3
