"""Floating point: as integer divisions use it, and where the host has set the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .assembly import Instruction, Operand
from .operands import COMPARISONS, JOINS, Meaning, pair_or_one, unknown
from .values import Value, apply, narrow, signed

if TYPE_CHECKING:
    from .warps import Warps

LARGEST_64 = 2.0**64 - 2.0**11  # below 2^64, as float64


def constant_of_halves(warps: Warps, i: Instruction) -> None:
    """HFMA2 R2, -RZ, RZ, a, b: how the compiler loads some constants, as two halves."""
    target, *sources = i.operands
    value = None
    if len(sources) == 4 and all(o.text.endswith("RZ") for o in sources[:2]):
        high, low = (np.float16(o.text) if o.kind == "other" else None for o in sources[2:])
        if high is not None and low is not None:
            bits = int(high.view(np.uint16)) << 16 | int(low.view(np.uint16))
            value = Value(np.array([bits], np.uint32), np.ones(1, bool))
    warps.write(target, value)


def compare_floats(warps: Warps, i: Instruction) -> None:
    """FSETP, of numbers that the host has set; a name with U holds for NaN, too.

    What kernels compute is taken to be finite: a comparison with infinity has a result.
    """
    first, second, a, b, joined = i.operands
    name = i.modifiers[0]
    if name[:2] not in COMPARISONS:  # NUM, NAN
        unknown(warps, i)
        return
    join = next(JOINS[m] for m in i.modifiers if m in JOINS)

    def compared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        unordered = (np.isnan(a) | np.isnan(b)) & name.endswith("U")
        return np.asarray(COMPARISONS[name[:2]](a, b) | unordered)

    left, right = float_of(warps, a), float_of(warps, b)
    if right is not None and np.isinf(right.bits).all():
        left = finite(left)
    holds = apply(compared, left, right)
    other = warps.read(joined)
    warps.write(first, apply(join, holds, other))
    warps.write(second, apply(lambda p, q: join(~p, q), holds, other))


def finite(value: Value | None) -> Value:
    """Some number where it is unknown."""
    bits = np.zeros(1, np.float32) if value is None else np.where(value.known, value.bits, 0)
    return Value(bits, np.ones(1, bool))


def float_of(warps: Warps, o: Operand) -> Value | None:
    """An operand as float32, with its sign."""
    if o.kind == "other":
        try:
            return Value(np.array([o.text], np.float32), np.ones(1, bool))
        except ValueError:
            return None
    value = apply(lambda bits: bits.view(np.float32), warps.read(o._replace(sign="")))
    value = apply(abs, value) if "|" in o.sign else value
    return apply(np.negative, value) if "-" in o.sign else value


def to_float(warps: Warps, i: Instruction) -> None:
    """I2F: an integer as float32, rounded up with .RP."""
    target, source = i.operands
    if "F64" in i.modifiers or "F16" in i.modifiers:
        unknown(warps, i)
        return
    is_64 = "U64" in i.modifiers or "S64" in i.modifiers

    def converted(bits: np.ndarray) -> np.ndarray:
        exact = bits.astype(np.float64) if is_64 or "U32" in i.modifiers else signed(bits) * 1.0
        near = exact.astype(np.float32)
        if "RP" in i.modifiers:
            near = np.where(near < exact, np.nextafter(near, np.float32(np.inf)), near)
        return near.view(np.uint32)

    warps.write(target, apply(converted, pair_or_one(warps, source, is_64)))


def to_integer(warps: Warps, i: Instruction) -> None:
    """F2I of a float32, towards zero."""
    target, source = i.operands
    is_64 = "U64" in i.modifiers or "S64" in i.modifiers
    if "F64" in i.modifiers or "TRUNC" not in i.modifiers:
        unknown(warps, i)
        return

    def converted(bits: np.ndarray) -> np.ndarray:
        number = np.nan_to_num(bits.view(np.float32).astype(np.float64))
        return np.clip(number, 0, LARGEST_64 if is_64 else 2.0**32 - 1).astype(np.uint64)

    value = apply(converted, warps.read(source))
    if is_64:
        warps.write_pair(target, value)
    else:
        warps.write(target, apply(narrow, value))


def of_float(warps: Warps, i: Instruction) -> None:
    """MUFU.RCP of a known number."""
    target, source = i.operands[:2]

    def reciprocal(bits: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", over="ignore"):
            return (np.float32(1) / bits.view(np.float32)).view(np.uint32)

    is_known = i.modifiers == ("RCP",)
    warps.write(target, apply(reciprocal, warps.read(source)) if is_known else None)


MEANINGS: dict[str, Meaning] = {
    "FSETP": compare_floats, "HFMA2": constant_of_halves, "I2F": to_float, "I2FP": to_float,
    "F2I": to_integer, "MUFU": of_float,
}  # fmt: skip
