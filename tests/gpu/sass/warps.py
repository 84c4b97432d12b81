"""Warps that go through a kernel's machine instructions, to count them.

Followed are integers, predicates and branches: what decides which instruction comes next. Floats
and what kernels have written to memory are unknown, and so is what depends on them. All lanes of
many warps are computed together, an array a register; who has come furthest waits for the others.

A warp issues an instruction once, for as many of its lanes as are there, whether its guard lets
them do something or not. Lanes that part meet again where the compiler says (BSSY, BSYNC).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import meanings
from .assembly import ALL, BYTES, Instruction, Kernel, Operand
from .values import KNOWN, TRUE, ZERO, Value, apply, number, together

LANES = 32
WARPSYNC = 16  # the barrier that all lanes of a warp wait at; the compiler's are 0 to 15
MOST_ROUNDS = 100_000  # of a loop, before it is taken for one that does not end


class Warps:
    """Some of a launch's warps.

    Args:
        kernel: what they execute.
        special: the special registers, such as SR_TID.X, a number a lane.
        constants: the bank that a launch fills: sizes of block and grid, arguments; by offset.
        memory: what may be read as integers: addresses and the bytes from there on.
        alive: lanes that there are; in the last warp of a block, some may be missing.

    Attributes:
        counts: how many warps have issued each instruction.
        cycles_of_banks: how long each has kept the banks of shared memory busy.
        doubtful: branches that depend on data: half of the lanes took each way.
    """

    def __init__(
        self,
        kernel: Kernel,
        special: dict[str, np.ndarray],
        constants: dict[int, int],
        memory: list[tuple[int, np.ndarray]],
        alive: np.ndarray,
    ):
        self.kernel, self.special, self.memory = kernel, special, memory
        self.constants = {at: number(n) for at, n in constants.items()}
        self.registers: dict[str, list[Value | None]] = {
            kind: [None] * ALL for kind in ("R", "UR", "P", "UP")
        }
        self.alive, n = alive.copy(), len(alive)
        self.places = np.zeros(n, np.int64)  # the next instruction of each lane
        self.waiting = np.full(n, -1)  # at which barrier
        self.groups = np.zeros((WARPSYNC + 1, n), np.int64)  # who meets at each barrier
        self.groups[WARPSYNC] = 1
        self.groups_made = 1
        self.counts = [0] * len(kernel.instructions)
        self.cycles_of_banks = [0] * len(kernel.instructions)
        self.doubtful: dict[int, int] = {}

    # Who comes next -------------------------------------------------------------------------------

    def run(self) -> None:
        """To the end of all warps.

        Raises:
            RuntimeError: lanes wait for each other for ever, or a loop does not end.
        """
        while self.alive.any():
            able = self.alive & (self.waiting < 0)
            if not able.any():
                raise RuntimeError("all lanes wait")
            places = self.places[able]
            at = int(places.min())
            self.active = able & (self.places == at)
            further = places[places > at]
            self.all_active = not further.size and int(self.active.sum()) == int(self.alive.sum())
            self.issuing = int(self.active.reshape(-1, LANES).any(1).sum())
            self._go(at, int(further.min()) if further.size else len(self.counts))

    def _go(self, at: int, end: int) -> None:
        """From an instruction to the next that may jump, or to where other lanes are."""
        while at < end:
            instruction = self.kernel.instructions[at]
            self.counts[at] += self.issuing
            if instruction.op in CONTROL:
                CONTROL[instruction.op](self, instruction, at)
                return
            self.at = at
            self.certain, self.doubted = self._guarded(instruction.guard)
            meanings.execute(self, instruction)
            at += 1
        self.places[self.active] = at

    def _guarded(self, guard: Operand | None) -> tuple[np.ndarray, np.ndarray | None]:
        """The lanes that do something, and those of which it is unknown."""
        if guard is None:
            return self.active, None
        value = self.read(guard)
        if value is None:
            return np.zeros_like(self.active), self.active
        doubted = None if value.known.all() else self.active & ~value.known
        return self.active & value.bits & value.known, doubted

    # Registers ------------------------------------------------------------------------------------

    def read(self, operand: Operand, high: int = 0) -> Value | None:
        """An operand's value with its sign; high 1: the second register of a pair."""
        value = self._unsigned(operand, high)
        if value is None or not operand.sign:
            return value
        bits = value.bits
        if operand.sign in "~!":
            return Value(~bits, value.known)
        return Value(np.uint32(0) - bits, value.known) if operand.sign == "-" else None

    def _unsigned(self, operand: Operand, high: int) -> Value | None:
        kind, index = operand.kind, operand.value
        if kind in self.registers:
            if index == ALL:
                return TRUE if "P" in kind else ZERO
            return self.registers[kind][index + high]
        if kind == "number":
            return number(index >> (32 * high))
        return self.constants.get(index + 4 * high) if kind == "constant" else None

    def pair(self, operand: Operand) -> Value | None:
        """Two registers as a number of 64 bits."""
        return apply(together, self.read(operand), self.read(operand, 1))

    def write(self, target: Operand, value: Value | None, high: int = 0) -> None:
        """A result, in the lanes that the guard lets through."""
        if target.kind not in self.registers or target.value == ALL:
            return
        bank, index = self.registers[target.kind], target.value + high
        if index < ALL:
            is_uniform = target.kind.startswith("U")
            bank[index] = self._merged(bank[index], value, self.certain, is_uniform)
            if self.doubted is not None:
                bank[index] = self._merged(bank[index], None, self.doubted, is_uniform)

    def write_pair(self, target: Operand, value: Value | None) -> None:
        """A number of 64 bits into two registers."""
        self.write(target, apply(lambda x: x.astype(np.uint32), value))
        self.write(target, apply(lambda x: (x >> np.uint64(32)).astype(np.uint32), value), 1)

    def in_memory(self, addresses: Value | None) -> Value | None:
        """The 32 bits at these addresses, where the host has put some."""
        if addresses is None:
            return None
        bits, known = np.zeros(1, np.uint32), np.zeros(1, bool)
        for start, words in self.memory:
            place = (addresses.bits - np.uint64(start)) // np.uint64(4)
            inside = addresses.known & (place < len(words))
            bits = np.where(inside, words[np.where(inside, place, 0)], bits)
            known = known | inside
        return Value(bits, known)

    def _merged(
        self, old: Value | None, new: Value | None, lanes: np.ndarray, is_uniform: bool
    ) -> Value | None:
        if lanes is self.active and self.all_active:
            return new
        if is_uniform:  # the whole warp's
            lanes = np.repeat(lanes.reshape(-1, LANES).any(1), LANES)
        if new is None:
            return None if old is None else Value(old.bits, old.known & ~lanes)
        if old is None:
            return Value(np.where(lanes, new.bits, new.bits.dtype.type(0)), lanes & new.known)
        return Value(np.where(lanes, new.bits, old.bits), np.where(lanes, new.known, old.known))

    # Branches and barriers ------------------------------------------------------------------------

    def _decided(self, instruction: Instruction, at: int) -> np.ndarray:
        """The active lanes that jump, leave, or whatever the guard lets them do."""
        guards = [o for o in instruction.operands if "P" in o.kind and o.kind in self.registers]
        if instruction.guard:
            guards.append(instruction.guard)
        if (
            "DIV" in instruction.modifiers
        ):  # for warps whose lanes have parted, where all are wanted
            return np.zeros_like(self.active)
        taken = self.active.copy()
        for guard in guards:
            value = self.read(guard)
            unknown = self.active if value is None else self.active & ~value.known
            decided = unknown if value is None else np.where(value.known, value.bits, False)
            if unknown.any():
                decided = np.where(unknown, self._guessed(instruction, at), decided)
            taken &= decided
        return taken

    def _guessed(self, instruction: Instruction, at: int) -> np.ndarray:
        """What lanes do at a branch that depends on data."""
        lane = np.arange(len(self.active)) % LANES
        if instruction.op == "BRA":
            target = self.kernel.labels[instruction.operands[-1].text]
            if self._calls(at + 1):  # what is seldom needed is called, as a division's last resort
                return lane >= 0
            if self._calls(target):
                return lane < 0
        # else half of the lanes go each way; at nested branches, halves of halves
        order = self.doubtful.setdefault(at, len(self.doubtful))
        if instruction.op == "BRA" and target <= at:
            return lane < 0  # of a loop that ends somewhere, one round
        return lane >> (order % 5) & 1 == 0

    def _calls(self, at: int) -> bool:
        """Whether a function is called from here before anything else is decided."""
        for instruction in self.kernel.instructions[at:]:
            if instruction.op in CONTROL:
                return instruction.op == "CALL"
        return False

    def jump(self, instruction: Instruction, at: int) -> None:
        """BRA, CALL: to a label."""
        taken = self._decided(instruction, at)
        self.places[self.active] = at + 1
        self.places[taken] = target = self.kernel.labels[instruction.operands[-1].text]
        if target <= at and self.counts[at] > MOST_ROUNDS * self.issuing:
            raise RuntimeError(f"a loop does not end: {instruction.text}")

    def jump_by_number(self, instruction: Instruction, at: int) -> None:
        """RET: to the address in a register. BRX: likewise, from here, plus a number."""
        register, *more = instruction.operands
        goes, value = self._decided(instruction, at), self.read(register)
        if value is None or not (value.known | ~goes).all():
            raise RuntimeError(f"jumps to where nobody knows: {instruction.text}")
        begin = (at + 1) * BYTES + more[0].value if instruction.op == "BRX" else 0
        target = (value.bits.astype(np.int64) + begin) // BYTES
        self.places[self.active] = at + 1
        self.places[goes] = np.broadcast_to(target, goes.shape)[goes]

    def leave(self, instruction: Instruction, at: int) -> None:
        """EXIT."""
        gone = self._decided(instruction, at)
        self.places[self.active] = at + 1
        self.alive &= ~gone
        self._release()

    def make_group(self, instruction: Instruction, at: int) -> None:
        """BSSY: the active lanes are to meet at this barrier."""
        self.groups_made += 1
        self.groups[instruction.operands[0].value, self.active] = self.groups_made
        self.places[self.active] = at + 1

    def meet(self, instruction: Instruction, at: int) -> None:
        """BSYNC, WARPSYNC: wait for the others."""
        first = instruction.operands[0] if instruction.operands else None
        barrier = first.value if first and first.kind == "B" else WARPSYNC
        self.places[self.active] = at + 1
        self.waiting[self._decided(instruction, at)] = barrier
        self._release()

    def leave_group(self, instruction: Instruction, at: int) -> None:
        """BREAK: some lanes will not come to the barrier."""
        barrier = next(o.value for o in instruction.operands if o.kind == "B")
        self.groups[barrier, self._decided(instruction, at)] = 0
        self.places[self.active] = at + 1
        self._release()

    def move_group(self, instruction: Instruction, at: int) -> None:
        """BMOV: a barrier's lanes to a register, or back."""
        to, source = instruction.operands
        self.certain, self.doubted = self._guarded(instruction.guard)
        if source.kind == "B":
            self.write(to, Value(self.groups[source.value].astype(np.uint32), KNOWN))
            if "CLEAR" in instruction.modifiers:
                self.groups[source.value, self.certain] = 0
        elif value := self.read(source):
            self.groups[to.value] = np.where(self.certain, value.bits, self.groups[to.value])
        self.places[self.active] = at + 1

    def _release(self) -> None:
        """Let those go on whose group is complete."""
        for barrier in np.unique(self.waiting[self.alive & (self.waiting >= 0)]):
            group = self.groups[barrier]
            here = self.alive & (self.waiting == barrier)
            for one in np.unique(group[here]):
                absent = self.alive & ~here & (group == one)
                complete = ~absent.reshape(-1, LANES).any(1)
                self.waiting[here & (group == one) & np.repeat(complete, LANES)] = -1


CONTROL: dict[str, Callable[[Warps, Instruction, int], None]] = {
    "BRA": Warps.jump, "JMP": Warps.jump, "CALL": Warps.jump, "RET": Warps.jump_by_number,
    "BRX": Warps.jump_by_number, "EXIT": Warps.leave, "KILL": Warps.leave, "BPT": Warps.leave,
    "BSSY": Warps.make_group, "BSYNC": Warps.meet, "WARPSYNC": Warps.meet,
    "BREAK": Warps.leave_group, "BMOV": Warps.move_group,
}  # fmt: skip
