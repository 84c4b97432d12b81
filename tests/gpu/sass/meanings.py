"""What the integer instructions of a GPU compute.

Each function takes the warps and an instruction, and writes the results. NVIDIA does not publish
these meanings: they were read off compiled kernels whose results are known. An instruction that has
no function here has an unknown result.
"""

from __future__ import annotations

from itertools import dropwhile, takewhile
from typing import TYPE_CHECKING

import numpy as np

from . import floats, memory
from .assembly import Instruction, Operand
from .operands import COMPARISONS, JOINS, Meaning, is_predicate, pair_or_one, parts, unknown, width
from .values import ZERO, Value, apply, narrow, signed, together, upper, wide

if TYPE_CHECKING:
    from .warps import Warps


def execute(warps: Warps, i: Instruction) -> None:
    """Do what an instruction does. The result is unknown if its form is."""
    try:
        MEANINGS.get(i.op, unknown)(warps, i)
    except ValueError:  # other operands than expected
        unknown(warps, i)


def carried(warps: Warps, i: Instruction, carries: list[Operand]) -> list[Value | None]:
    """The carries that are added to a sum: those of an instruction with .X."""
    return [warps.read(o) for o in carries] if "X" in i.modifiers else []


def write_sum(warps: Warps, i: Instruction, terms: list[Value | None], out: list[Operand]) -> None:
    """The sum of terms in 64 bits: its lower half, and how often it has overflown."""
    total = apply(lambda *bits: sum((wide(b) for b in bits), np.zeros(1, np.uint64)), *terms)
    warps.write(i.operands[0], apply(narrow, total))
    for least, carry in enumerate(out, 1):
        warps.write(carry, apply(lambda x, least=least: upper(x) >= least, total))


# Sums and products --------------------------------------------------------------------------------


def add3(warps: Warps, i: Instruction) -> None:
    """IADD3, VIADD: the sum of up to three numbers, with carries."""
    out, sources, carries = parts(i)
    if "64" in i.modifiers:
        pairs = [pair_to_add(warps, o) for o in sources]
        warps.write_pair(i.operands[0], apply(lambda *bits: sum(bits[1:], bits[0]), *pairs))
        return
    terms = [term(warps, o) for o in sources] + carried(warps, i, carries)
    write_sum(warps, i, terms, out)


def pair_to_add(warps: Warps, o: Operand) -> Value | None:
    """Two registers, with their sign."""
    value = warps.pair(o._replace(sign=""))
    return apply(np.negative, value) if o.sign == "-" else value


def term(warps: Warps, o: Operand) -> Value | None:
    """A number to be added; -b as ~b + 1 in 33 bits, so that a - b carries where a >= b."""
    if o.sign != "-":
        return warps.read(o)
    inverted = warps.read(o._replace(sign="~"))
    return apply(lambda bits: wide(bits) + np.uint64(1), inverted)


def multiply_add(warps: Warps, i: Instruction) -> None:
    """IMAD: a b + c, of which .HI is the upper half and .WIDE all; c has 64 bits in these."""
    out, (a, b, c), carries = parts(i)
    extended = wide if "U32" in i.modifiers or "U64" in i.modifiers else signed
    in_64 = "WIDE" in i.modifiers or "HI" in i.modifiers

    def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (extended(a) * extended(b)).view(np.uint64)

    terms = [apply(product, warps.read(a), warps.read(b)), pair_or_one(warps, c, in_64)]
    terms += carried(warps, i, carries)
    total = apply(lambda *bits: sum((wide(b) for b in bits), np.zeros(1, np.uint64)), *terms)
    for carry in out:
        warps.write(carry, apply(lambda x, c: x < c, total, terms[1]))
    if "WIDE" in i.modifiers:
        warps.write_pair(i.operands[0], total)
    else:
        warps.write(i.operands[0], apply(upper if in_64 else narrow, total))


def shift_add(warps: Warps, i: Instruction) -> None:
    """LEA: (a << s) + b. .HI: the upper half of (c:a) << s, c being a's sign with .SX32; plus b."""
    out, sources, carries = parts(i)
    a, b, *c, s = sources
    shift = np.uint64(s.value)
    if "HI" not in i.modifiers:
        shifted = apply(lambda a: narrow(wide(a) << shift), term_bits(warps, a))
    elif c:
        shifted = apply(
            lambda a, c: upper(together(a, c) << shift), term_bits(warps, a), warps.read(c[0])
        )
    else:
        shifted = apply(lambda a: upper(signed(a).view(np.uint64) << shift), term_bits(warps, a))
    write_sum(warps, i, [shifted, term(warps, b), *carried(warps, i, carries)], out)


def term_bits(warps: Warps, o: Operand) -> Value | None:
    """A number of 32 bits."""
    return apply(narrow, warps.read(o))


def absolute(warps: Warps, i: Instruction) -> None:
    """IABS."""
    value = warps.read(i.operands[1])
    warps.write(i.operands[0], apply(lambda a: narrow(abs(signed(a))), value))


def smaller_of(i: Instruction) -> list[Operand]:
    """The predicate that says which: the first after the numbers."""
    after = list(dropwhile(is_predicate, i.operands))
    return [o for o in after if is_predicate(o)][:1]


def smaller_or_larger(warps: Warps, i: Instruction) -> None:
    """IMNMX, VIMNMX: the smaller of two where the predicate holds, else the larger."""
    is_pair = "S64" in i.modifiers or "U64" in i.modifiers
    extended = wide if "U32" in i.modifiers or "U64" in i.modifiers else signed
    target, a, b, smaller = [o for o in i.operands if not is_predicate(o)] + smaller_of(i)

    def chosen(a: np.ndarray, b: np.ndarray, p: np.ndarray) -> np.ndarray:
        a, b = extended(a), extended(b)
        return np.where(p, np.minimum(a, b), np.maximum(a, b)).view(np.uint64)

    values = [pair_or_one(warps, o, is_pair) for o in (a, b)]
    result = apply(chosen, *values, warps.read(smaller))
    if is_pair:
        warps.write_pair(target, result)
    else:
        warps.write(target, apply(narrow, result))


def sum_or_bound(warps: Warps, i: Instruction) -> None:
    """VIADDMNMX: the smaller of a + b and c where the predicate holds, else the larger."""
    extended = wide if "U32" in i.modifiers else signed
    _, (a, b, c), (smaller,) = parts(i)

    def chosen(a: np.ndarray, b: np.ndarray, c: np.ndarray, p: np.ndarray) -> np.ndarray:
        total, c = extended(a + b), extended(c)
        return narrow(np.where(p, np.minimum(total, c), np.maximum(total, c)))

    warps.write(i.operands[0], apply(chosen, *(warps.read(o) for o in (a, b, c, smaller))))


# Bits ---------------------------------------------------------------------------------------------


def bitwise(warps: Warps, i: Instruction) -> None:
    """LOP3: any function of three bits, as a table of 8; a predicate: whether any bit is set."""
    out = list(takewhile(is_predicate, i.operands))
    target, a, b, c, table = i.operands[len(out) : len(out) + 5]
    result = apply(
        lambda a, b, c: by_table(a, b, c, table.value), *(warps.read(o) for o in (a, b, c))
    )
    warps.write(target, result)
    for o in out:
        warps.write(o, apply(lambda bits: bits != 0, result))


def by_table(a: np.ndarray, b: np.ndarray, c: np.ndarray, table: int) -> np.ndarray:
    """Bit 4 a + 2 b + c of the table, for each bit of a, b and c."""
    result = (a ^ a) | (b ^ b) | (c ^ c)
    for k in range(8):
        if table >> k & 1:
            result = result | ((a if k & 4 else ~a) & (b if k & 2 else ~b) & (c if k & 1 else ~c))
    return result


def of_predicates(warps: Warps, i: Instruction) -> None:
    """PLOP3: a function of three predicates, and a second one."""
    first, second, a, b, c, *tables = i.operands
    values = [warps.read(o) for o in (a, b, c)]
    for target, table in zip((first, second), tables, strict=False):
        warps.write(target, apply(lambda a, b, c, t=table.value: by_table(a, b, c, t), *values))


def shift(warps: Warps, i: Instruction) -> None:
    """SHF: a funnel shift of (c:a) by s to the left or right; .HI: the upper half of the result."""
    target, a, s, c = i.operands
    is_64 = "U64" in i.modifiers or "S64" in i.modifiers

    def amount(s: np.ndarray) -> np.ndarray:
        if "W" in i.modifiers:
            return wide(s & np.uint32(63 if is_64 else 31))
        return wide(np.minimum(s, np.uint32(63 if is_64 else 32)))

    def left(a: np.ndarray, s: np.ndarray, c: np.ndarray) -> np.ndarray:
        return half(together(a, c) << amount(s))

    def right(a: np.ndarray, s: np.ndarray, c: np.ndarray) -> np.ndarray:
        both = together(a, c)
        if "S32" in i.modifiers or "S64" in i.modifiers:
            return half((both.view(np.int64) >> amount(s).view(np.int64)).view(np.uint64))
        return half(both >> amount(s))

    half = upper if "HI" in i.modifiers else narrow
    values = [warps.read(o) for o in (a, s, c)]
    warps.write(target, apply(left if "L" in i.modifiers else right, *values))


def bits_set(warps: Warps, i: Instruction) -> None:
    """POPC: how many."""
    value = warps.read(i.operands[1])
    warps.write(i.operands[0], apply(lambda x: np.bitwise_count(x).astype(np.uint32), value))


def highest_bit(warps: Warps, i: Instruction) -> None:
    """FLO: its number, or with .SH how far it is from the top; all ones where there is none."""

    def found(x: np.ndarray) -> np.ndarray:
        n = np.log2(np.maximum(x, 1).astype(np.float64)).astype(np.uint32)
        n = np.uint32(31) - n if "SH" in i.modifiers else n
        return np.where(x == 0, np.uint32(0xFFFFFFFF), n)

    is_signed = "U32" not in i.modifiers
    value = None if is_signed else warps.read(i.operands[1])
    warps.write(i.operands[0], apply(found, value))


def bytes_of_two(warps: Warps, i: Instruction) -> None:
    """PRMT: each byte of the result is one of the 8 of (c:a), or its sign."""
    target, a, selector, c = i.operands[:4]

    def chosen(a: np.ndarray, selector: np.ndarray, c: np.ndarray) -> np.ndarray:
        both, result = together(a, c), np.zeros(1, np.uint32)
        for k in range(4):
            s = wide(selector) >> np.uint64(4 * k)
            byte = narrow(both >> (s & np.uint64(7)) * np.uint64(8)) & np.uint32(255)
            sign = (byte >> np.uint32(7)) * np.uint32(255)
            result = result | np.where(s & np.uint64(8), sign, byte) << np.uint32(8 * k)
        return result

    has_mode = len(i.modifiers) > 0
    values = [warps.read(o) for o in (a, selector, c)]
    warps.write(target, None if has_mode else apply(chosen, *values))


# Comparing and choosing ---------------------------------------------------------------------------


def compare(warps: Warps, i: Instruction) -> None:
    """ISETP: a comparison, joined with a predicate; .EX: after that of the lower halves."""
    first, second, a, b, joined, *low = i.operands
    name = i.modifiers[0]
    is_pair = "S64" in i.modifiers or "U64" in i.modifiers
    extended = wide if "U32" in i.modifiers or "U64" in i.modifiers else signed
    join = next(JOINS[m] for m in i.modifiers if m in JOINS)

    def compared(a: np.ndarray, b: np.ndarray, *low: np.ndarray) -> np.ndarray:
        a, b = extended(a), extended(b)
        if not low:
            return np.asarray(COMPARISONS[name](a, b))
        if name == "NE":
            return (a != b) | low[0]
        beyond = COMPARISONS[name[0] + "T"](a, b) if name != "EQ" else np.zeros(1, bool)
        return np.asarray(beyond | (a == b) & low[0])

    values = [pair_or_one(warps, o, is_pair) for o in (a, b)] + [warps.read(o) for o in low]
    holds = apply(compared, *values)
    other = warps.read(joined)
    warps.write(first, apply(join, holds, other))
    warps.write(second, apply(lambda p, q: join(~p, q), holds, other))


def one_of(a: np.ndarray, b: np.ndarray, p: np.ndarray) -> np.ndarray:
    """a where p holds, else b."""
    return np.asarray(np.where(p, a, b))


def vote(warps: Warps, i: Instruction) -> None:
    """VOTE: a bit for each active lane whose predicate holds; whether any, or all of them do."""
    target, *others, asked = i.operands
    value = warps.read(asked)
    for o in (target, *others):
        warps.write(o, None)
    if value is None or not (value.known | ~warps.active).all():
        return
    lanes, numbers = warps.active.reshape(-1, 32), 1 << np.arange(32, dtype=np.uint64)
    holds = lanes & np.broadcast_to(value.bits, warps.active.shape).reshape(-1, 32)
    bits = (holds * numbers).sum(1)
    answer = bits == (lanes * numbers).sum(1) if "ALL" in i.modifiers else bits != 0
    for o in (target, *others):
        result = answer if is_predicate(o) else narrow(bits)
        warps.write(o, Value(np.repeat(result, 32), value.known))


def choose(warps: Warps, i: Instruction) -> None:
    """SEL: a where the predicate holds, else b."""
    target, a, b, p = i.operands
    halves = [
        apply(one_of, warps.read(a, k), warps.read(b, k), warps.read(p)) for k in range(width(i))
    ]
    for k, half in enumerate(halves):
        warps.write(target, half, k)


def pack(warps: Warps, i: Instruction) -> None:
    """P2R: predicates 0, 1, ... as bits, those that the mask names; the others from a register."""
    target, _, source, mask = i.operands
    packed = apply(lambda x: x & ~np.uint32(mask.value), warps.read(source))
    for k in range(7):
        if mask.value >> k & 1:
            packed = apply(
                lambda x, p, k=k: x | narrow(p) << np.uint32(k), packed, warps.read(Operand("P", k))
            )
    warps.write(target, packed if "PR" in i.text else None)


def unpack(warps: Warps, i: Instruction) -> None:
    """R2P: bits of a register as predicates 0, 1, ...; those that the mask names."""
    _, source, mask = i.operands
    for k in range(7):
        if mask.value >> k & 1:
            bit = apply(lambda x, k=k: x >> np.uint32(k) & np.uint32(1) > 0, warps.read(source))
            warps.write(Operand("P", k), bit)


# Moving -------------------------------------------------------------------------------------------


def move(warps: Warps, i: Instruction) -> None:
    """MOV, LDC: a number, or several of the constant bank."""
    if i.operands[1].kind == "table":
        warps.write(i.operands[0], memory.in_table(warps, i.operands[1]))
        return
    values = [warps.read(i.operands[1], k) for k in range(width(i))]
    for k, value in enumerate(values):
        warps.write(i.operands[0], value, k)


def special(warps: Warps, i: Instruction) -> None:
    """S2R, CS2R: thread and block numbers; a clock is unknown."""
    name = i.operands[1].text
    is_pair = i.op == "CS2R" and "32" not in i.modifiers
    numbers = warps.special.get(name)
    value = ZERO if name == "SRZ" else None
    if numbers is not None:
        value = Value(numbers, np.ones(1, bool))
    for high in range(2 if is_pair else 1):
        warps.write(i.operands[0], value, high)


def from_first_lane(warps: Warps, i: Instruction) -> None:
    """R2UR: the warp's first active lane has it."""
    value = warps.read(i.operands[1])
    if value is not None and len(value.bits) > 1:
        lanes = warps.active.reshape(-1, 32)
        first = np.arange(len(lanes)) * 32 + lanes.argmax(1)
        known = np.broadcast_to(value.known, value.bits.shape)
        value = Value(np.repeat(value.bits[first], 32), np.repeat(known[first], 32))
    warps.write(i.operands[0], value)


MEANINGS: dict[str, Meaning] = {
    "IADD3": add3, "IADD": add3, "VIADD": add3, "IMAD": multiply_add, "LEA": shift_add,
    "IABS": absolute, "IMNMX": smaller_or_larger, "VIMNMX": smaller_or_larger,
    "VIADDMNMX": sum_or_bound, "LOP3": bitwise, "PLOP3": of_predicates, "SHF": shift,
    "POPC": bits_set, "FLO": highest_bit, "PRMT": bytes_of_two, "ISETP": compare, "SEL": choose,
    "VOTE": vote, "VOTEU": vote,
    "MOV": move, "LDC": move, "LDCU": move, "S2R": special, "S2UR": special, "CS2R": special,
    "R2UR": from_first_lane, "R2P": unpack, "P2R": pack, **floats.MEANINGS, **memory.MEANINGS,
}  # fmt: skip
# the same for a whole warp: UIADD3, UMOV, ...
MEANINGS |= {f"U{name}": meaning for name, meaning in MEANINGS.items()}
