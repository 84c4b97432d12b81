"""Reading what the host has put into memory; how long the banks of shared memory are busy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .assembly import Instruction, Operand
from .operands import Meaning, unknown, width
from .values import ZERO, Value, apply, wide

if TYPE_CHECKING:
    from .warps import Warps

BANKS = 32  # of shared memory, each of which serves a word of 32 bits a cycle


def load(warps: Warps, i: Instruction) -> None:
    """LDG: what the host has put into memory, where the address is known."""
    addresses = address(warps, i.operands[1], is_wide=True)
    is_whole = not {"U8", "S8", "U16", "S16"} & set(i.modifiers)
    for k in range(width(i)):
        place = apply(lambda x, k=k: x + np.uint64(4 * k), addresses)
        warps.write(i.operands[0], warps.in_memory(place) if is_whole else None, k)


def address(warps: Warps, at: Operand, is_wide: bool) -> Value | None:
    """The address that an operand such as [R2.64+UR4+0x10] means.

    is_wide: a global one, of 64 bits, which two uniform registers hold.
    """
    if at.kind != "memory":
        return None
    name, _, form = at.text.partition(".")
    register = Operand("R", int(name[1:])) if name != "RZ" else None
    base: Value | None = apply(wide, ZERO)
    if register is not None:
        is_pair = is_wide and form != "U32"
        base = warps.pair(register) if is_pair else apply(wide, warps.read(register))
    times = np.uint64(int(form[1:]) if form.startswith("X") else 1)
    uniform: Value | None = apply(wide, ZERO)
    if at.uniform >= 0:
        added = Operand("UR", at.uniform)
        uniform = warps.pair(added) if is_wide else apply(wide, warps.read(added))
    offset = np.uint64(at.value % 2**64)
    return apply(lambda x, y: x * times + y + offset, base, uniform)


def shared(warps: Warps, i: Instruction) -> None:
    """LDS, STS: count the cycles; what is read is unknown."""
    at = next(o for o in i.operands if o.kind in ("memory", "other"))
    warps.cycles_of_banks[warps.at] += cycles(warps, address(warps, at, is_wide=False), width(i))
    if i.op == "LDS":
        unknown(warps, i)


def cycles(warps: Warps, addresses: Value | None, words: int) -> int:
    """How long the banks need for this many words a lane: the same word is read once for all lanes.

    At the least a cycle a warp, as where the addresses are unknown.
    """
    if addresses is None:
        return warps.issuing
    lanes = warps.certain & addresses.known
    first = np.broadcast_to(addresses.bits // np.uint64(4), lanes.shape)
    wanted = (first[:, None] + np.arange(words, dtype=np.uint64)).reshape(-1, 32 * words)
    nowhere = np.uint64(2**62)
    wanted = np.sort(np.where(np.repeat(lanes, words).reshape(wanted.shape), wanted, nowhere))
    is_new = (np.diff(wanted, axis=1, prepend=nowhere + np.uint64(1)) != 0) & (wanted < nowhere)
    warp, _ = np.nonzero(is_new)
    bank = (wanted[is_new] % np.uint64(BANKS)).astype(int)
    busy = np.bincount(warp * BANKS + bank, minlength=len(wanted) * BANKS).reshape(-1, BANKS)
    return max(int(busy.max(1).sum()), warps.issuing)


def in_table(warps: Warps, at: Operand) -> Value | None:
    """A number of the kernel's own table; zero beyond its end."""
    table = np.append(warps.kernel.table, np.uint32(0))
    added = ZERO if at.text == "RZ" else warps.read(Operand("R", int(at.text[1:])))
    last = np.uint64(len(table) - 1)
    return apply(
        lambda x: table[np.minimum((wide(x) + np.uint64(at.value)) // np.uint64(4), last)], added
    )


MEANINGS: dict[str, Meaning] = {"LDG": load, "LD": load, "LDS": shared, "STS": shared}
