"""Philox, a counter-based generator of random numbers: see ``reference.random_uniform``."""

from __future__ import annotations

from .arrays import Array, array_module

LOW = 0xFFFFFFFF  # the lower 32 bits


def philox(blocks: Array, draw: int, seed: int) -> Array:
    """Philox4x32-10 of the counters (low block, high block, low draw, high draw).

    blocks: (B,) uint64; draw, seed: integers below 2**64. Returns (B, 4) words in uint64.
    """
    xp = array_module(blocks)
    low = blocks.dtype.type(LOW)
    shift = blocks.dtype.type(32)
    c0, c1 = blocks & low, blocks >> shift
    c2, c3 = xp.full_like(blocks, draw & LOW), xp.full_like(blocks, draw >> 32)
    k0, k1 = seed & LOW, seed >> 32
    for _ in range(10):
        p0, p1 = c0 * blocks.dtype.type(0xD2511F53), c2 * blocks.dtype.type(0xCD9E8D57)
        c0, c1, c2, c3 = (
            (p1 >> shift) ^ c1 ^ blocks.dtype.type(k0),
            p1 & low,
            (p0 >> shift) ^ c3 ^ blocks.dtype.type(k1),
            p0 & low,
        )
        k0, k1 = (k0 + 0x9E3779B9) & LOW, (k1 + 0xBB67AE85) & LOW
    return xp.stack([c0, c1, c2, c3], axis=1)
