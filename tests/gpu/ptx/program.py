"""A kernel's statements as the table of instructions that the machine runs (shim/ptx/machine.h).

Each opcode becomes one or a few instructions, by general rules over opcodes and types; the
machine's functions have nearly PTX's names. An opcode that is not known is an error that names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from .reader import Kernel, Statement, UnknownError, size_of

LANES = 32
HOLE = 64  # bytes between variables in shared memory, so that none is left unnoticed
NOWHERE = -(2**31)
AXES = "xyz"
SPECIAL = [  # what a thread reads about itself
    *(f"%tid.{axis}" for axis in AXES),
    "%laneid",
    *(f"%{name}.{axis}" for name in ("ntid", "ctaid", "nctaid") for axis in AXES),
    "%warpid",
]
KINDS = {"plain": 0, "branch": 1, "exit": 2, "barrier": 3, "meeting": 4}
SPACES = {"global": 0, "const": 0, "shared": 1, "local": 2, "generic": 3}
WINDOWS = {"shared": 1 << 60, "local": 1 << 61, "global": 0, "const": 0}
ROUNDING = {"rz": 0xC00, "rm": 0x400, "rp": 0x800}  # <cfenv>'s, of x86-64
TO_INTEGER = {"rni": 1, "rzi": 2, "rmi": 3, "rpi": 4}
SHUFFLES = ("up", "down", "bfly", "idx")
VOTES = ("all", "any", "uni", "ballot")
INSTRUCTION = np.dtype(
    [(name, np.int32) for name in ("handler", "kind", "guard", "negated", "rounding", "line")]
    + [("operands", np.int32, 10)]
    + [(n, np.int32) for n in ("count", "width", "address_width", "space", "constant", "flushed")]
    + [("number", np.int64)]
)
INTEGER = {"rem", "and", "or", "xor", "not", "shl", "shr", "bfe", "bfi", "prmt", "popc", "clz"}
REAL = {"fma", "sqrt", "rcp", "rsqrt", "ex2", "lg2", "tanh", "sin", "cos", "copysign"}
BOTH = {"add", "sub", "mul", "mad", "div", "min", "max", "neg", "abs", "selp"}
ARITHMETIC = INTEGER | REAL | BOTH | {"brev", "lop3", "shf"}
COUNTS = {"shl": (2,), "shr": (2,), "bfe": (2, 3), "bfi": (3, 4), "shf": (3,)}  # always u32
KEPT = ("lo", "hi", "wide", "approx", "full", "NaN", "l", "r", "wrap", "clamp")


def unsigned(kind: str) -> str:
    """The type of the same bits: "u32" for "f32" and "b32"."""
    return "pred" if kind == "pred" else "u" + kind[1:]


def container(kind: str) -> int:
    """Bytes of the register that holds a type; there are none of 8 bits."""
    return max(2, size_of(kind))


class Program:
    """A kernel, ready to run.

    Args:
        kernel: as it was read.
        functions: the numbers of the machine's functions, by name.

    Attributes:
        instructions: the table.
        constants: for each number in the text 32 lanes of it.
        bound: for each of ``SPECIAL`` its place among the registers, or -1.
        holes: 1 for each byte of shared memory that is between variables.
        data: the memory of global variables, which a launch may touch.
    """

    def __init__(self, kernel: Kernel, functions: dict[str, int]):
        self.kernel, self.functions = kernel, functions
        self.rows: list[dict[str, Any]] = []
        self.registers: dict[str, tuple[int, int]] = {}  # place and bytes of a lane
        self.predicates: dict[str, int] = {}
        self.register_bytes = 0
        self.numbers: dict[tuple[int, int], int] = {}  # (value, bytes): index among the constants
        self.data: list[np.ndarray] = []
        self.shared = self.local = 0
        self.holes = b""
        self.symbols: dict[str, tuple[str, int]] = {}  # space and address
        self.bound = np.full(16, -1, np.int32)
        self.accesses: dict[str, set[int]] = {"shared": set(), "global": set()}
        for name, kind in kernel.registers.items():
            self._add_register(name, kind)
        self._place_variables()
        self._lower()
        self.constants = self._constants()

    # Memory ---------------------------------------------------------------------------------------

    def _add_register(self, name: str, kind: str) -> None:
        if kind == "pred":
            self.predicates[name] = 2 + len(self.predicates)  # after those that are false and true
            return
        self.registers[name] = self.register_bytes, size_of(kind)
        self.register_bytes += LANES * size_of(kind)

    def _temporary(self, kind: str) -> str:
        name = f"temporary {len(self.rows)} {kind}"
        self._add_register(name, kind)
        return name

    def _place_variables(self) -> None:
        used = " ".join(" ".join(s.operands) for s in self.kernel.statements)
        words = set(re.findall(r"[\w$]+", used))
        variables = [v for v in self.kernel.variables.values() if v.name in words]
        for v in sorted(variables, key=lambda v: v.size == 0):  # what the launch sizes comes last
            if v.space in ("shared", "local"):
                align = max(v.align, 16)
                gap = HOLE if v.space == "shared" else 0
                at = -(-(getattr(self, v.space) + gap) // align) * align
                setattr(self, v.space, at + v.size)
                self.symbols[v.name] = v.space, at
                if v.space == "shared":
                    self.holes += b"\1" * (at - len(self.holes)) + b"\0" * v.size
            else:
                memory = np.frombuffer(bytearray(v.value), np.uint8)
                self.data.append(memory)
                self.symbols[v.name] = v.space, memory.ctypes.data

    def _constants(self) -> np.ndarray:
        lines = np.zeros((len(self.numbers) + 1, 8 * LANES), np.uint8)
        for (value, size), index in self.numbers.items():
            lines[index, : size * LANES] = np.frombuffer(
                value.to_bytes(size, "little") * LANES, "u1"
            )
        return lines

    @property
    def granule(self) -> int:
        """Bytes that all accesses to global memory are a multiple of."""
        return min(self.accesses["global"], default=8)

    @property
    def shared_granule(self) -> int:
        """The same for shared memory."""
        return min(self.accesses["shared"], default=8)

    # Operands -------------------------------------------------------------------------------------

    def _number(self, value: int, size: int) -> int:
        key = value % 256**size, size
        index = self.numbers.setdefault(key, len(self.numbers))
        return -1 - index * 8 * LANES

    def place(self, text: str, size: int) -> int:
        """Where an operand of ``size`` bytes lies."""
        if text == "_":
            return NOWHERE
        if text in SPECIAL and text not in self.registers:
            self._add_register(text, "u32")
            self.bound[SPECIAL.index(text)] = self.registers[text][0]
        if text in self.registers:
            at, width = self.registers[text]
            if width != size:
                raise UnknownError(f"a register of {8 * width} bits, wanted {8 * size}: {text}")
            return at
        if found := re.fullmatch(r"0[fFdD]([0-9A-Fa-f]+)", text):
            return self._number(int(found[1], 16), size)
        if re.fullmatch(r"-?(0x)?[0-9A-Fa-f]+U?", text):
            return self._number(int(text.rstrip("U"), 0), size)
        name, _, offset = text.partition("+")
        if name in self.symbols:
            return self._number(self.symbols[name][1] + int(offset or 0), size)
        raise UnknownError(f"the operand {text}")

    def predicate(self, text: str) -> int:
        """The number of a predicate; one that is negated is computed first."""
        if text in ("0", "-1", "1"):
            return int(text != "0")
        if text.startswith("!"):
            name = self._temporary("pred")
            self.emit("not.pred", [self.predicates[name], self.predicates[text[1:]]], guarded=False)
            return self.predicates[name]
        return self.predicates[text]

    # Instructions ---------------------------------------------------------------------------------

    def emit(
        self,
        function: str,
        operands: list[int],
        kind: str = "plain",
        guarded: bool = True,
        **fields: Any,
    ) -> None:
        """Add an instruction of the present statement."""
        if function and function not in self.functions:
            raise UnknownError(f"the operation {function}")
        guard = self.statement.guard if guarded else ""
        operands = operands + [NOWHERE] * (10 - len(operands))
        self.rows.append({
            "handler": self.functions.get(function, 0), "kind": KINDS[kind], "operands": operands,
            "guard": self.predicates[guard.lstrip("!")] if guard else NOWHERE,
            "negated": guard.startswith("!"), "line": self.statement.line, **fields,
        })  # fmt: skip

    def _lower(self) -> None:
        starts = []
        for statement in self.kernel.statements:
            starts.append(len(self.rows))
            self.statement = statement
            try:
                self._lower_one(statement)
            except (UnknownError, KeyError, IndexError, ValueError) as error:
                words = f"{statement.opcode} {', '.join(statement.operands)}"
                raise UnknownError(
                    f"{self.kernel.name}: PTX line {statement.line}, '{words}': {error}"
                ) from None
        starts.append(len(self.rows))
        self.statement = Statement(0, "", "ret", ())
        self.emit("", [], "exit")
        self.instructions = np.zeros(len(self.rows), INSTRUCTION)
        for row, fields in zip(self.instructions, self.rows, strict=True):
            if "label" in fields:
                fields["number"] = starts[self.kernel.labels[fields.pop("label")]]
            for name, value in fields.items():
                row[name] = value

    def _lower_one(self, statement: Statement) -> None:
        base, *parts = statement.opcode.split(".")
        lower: Callable[..., None] | None = getattr(self, f"_lower_{base}", None)
        if lower:
            lower(statement.operands, *parts)
        elif base in ARITHMETIC:
            self._arithmetic(base, parts, statement.operands)
        else:
            raise UnknownError("the opcode")

    def _arithmetic(self, base: str, parts: list[str], operands: tuple[str, ...]) -> None:
        """Results and operands of one type, with the exceptions that are looked up here."""
        kind, flags = parts[-1], parts[:-1]
        if kind == "pred":
            self.emit(f"{base}.pred", [self.predicate(text) for text in operands])
            return
        kind = kind.replace("b", "u")
        if base in ("selp", "mov"):
            kind = unsigned(kind)
        kept = [flag for flag in flags if flag in KEPT]
        name = ".".join([base, *kept, *(["ftz"] if "ftz" in flags else []), kind])
        size, counts = size_of(kind), COUNTS.get(base, ())
        sizes = [4 if n in counts else size for n in range(len(operands))]
        if "wide" in flags:
            sizes[0] = 2 * size
            sizes[3:] = [2 * size] * len(sizes[3:])
        fields: dict[str, Any] = {}
        if base == "lop3":
            fields["number"] = int(operands[4], 0)
            operands, sizes = operands[:4], sizes[:4]
        fields["rounding"] = next((ROUNDING[f] for f in flags if f in ROUNDING), 0)
        if base == "selp":
            places = [self.place(t, s) for t, s in zip(operands[:3], sizes, strict=False)]
            places.append(self.predicate(operands[3]))
        else:
            places = [self.place(t, s) for t, s in zip(operands, sizes, strict=True)]
        self.emit(name, places, **fields)
        if "sat" in flags:
            self.emit(f"saturate.{kind}", [places[0], places[0]])

    def _lower_mov(self, operands: tuple[str, ...], kind: str) -> None:
        to, value = operands
        if to.startswith("{"):
            parts = to.strip("{} ").split(",")
            size = size_of(kind) // len(parts)
            places = [self.place(part.strip(), size) for part in parts]
            places += [NOWHERE] * (9 - len(places)) + [self.place(value, size_of(kind))]
            self.emit(f"unpack.{unsigned(kind)}.u{8 * size}", places)
        elif value.startswith("{"):
            parts = value.strip("{} ").split(",")
            size = size_of(kind) // len(parts)
            places = [self.place(to, size_of(kind))]
            places += [self.place(part.strip(), size) for part in parts]
            self.emit(f"pack.{unsigned(kind)}.u{8 * size}", places)
        else:
            self._arithmetic("mov", [unsigned(kind)], operands)

    def _lower_cvt(self, operands: tuple[str, ...], *parts: str) -> None:
        *flags, to, kind = (part.replace("b", "u") for part in parts)
        value = operands[1]
        if value in self.registers and self.registers[value][1] > container(kind):
            width = self.registers[value][1]
            narrow = self._temporary(f"u{8 * container(kind)}")
            places = [self.place(narrow, container(kind)), self.place(value, width)]
            self.emit(f"cvt.u{8 * container(kind)}.u{8 * width}", places)
            value = narrow
        places = [self.place(operands[0], container(to)), self.place(value, container(kind))]
        self.emit(
            f"cvt.{to}.{kind}", places, flushed="ftz" in flags,
            number=next((TO_INTEGER[f] for f in flags if f in TO_INTEGER), 0),
            rounding=next((ROUNDING[f] for f in flags if f in ROUNDING), 0),
        )  # fmt: skip
        if "sat" in flags:
            if not to.startswith("f"):
                raise UnknownError("a conversion to integers that saturates")
            self.emit(f"saturate.{to}", [places[0], places[0]])

    def _lower_cvta(self, operands: tuple[str, ...], *parts: str) -> None:
        space = parts[-2]
        places = [self.place(text, 8) for text in operands]
        window = WINDOWS[space] * (-1 if parts[0] == "to" else 1)
        self.emit("add.u64", [*places, self._number(window, 8)])

    def _lower_setp(self, operands: tuple[str, ...], comparison: str, *parts: str) -> None:
        *flags, kind = (part.replace("b", "u") if part[1:].isdigit() else part for part in parts)
        unsigned_names = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
        name = unsigned_names.get(comparison, comparison)
        function = f"setp.{name}{'.ftz' if 'ftz' in flags else ''}.{kind}"
        size = size_of(kind)
        to = self.predicate(operands[0])
        sources = [self.place(text, size) for text in operands[1:3]]
        combined = next((flag for flag in flags if flag in ("and", "or", "xor")), None)
        if combined is None:
            self.emit(function, [to, *sources])
            return
        other, own = self.predicate(operands[3]), self.predicate(self._temporary("pred"))
        self.emit(function, [own, *sources])
        self.emit(f"{combined}.pred", [to, own, other])

    # Memory accesses ------------------------------------------------------------------------------

    def _access(self, text: str, parts: list[str], width: int, count: int = 1) -> dict[str, Any]:
        """The fields of an access to ``[%rd1+8]`` or ``[variable+8]``."""
        base, _, offset = text.strip("[] ").partition("+")
        base = base.strip()
        size = self.registers[base][1] if base in self.registers else 8
        space = next((part for part in parts if part in SPACES), "generic")
        known = {"global": ["global"], "const": ["global"], "shared": ["shared"], "local": []}
        for what in known.get(space, ["global", "shared"]):
            self.accesses[what].add(width)
        return {
            "address": self.place(base, size), "address_width": size, "space": SPACES[space],
            "number": int(offset or 0), "count": count,
        }  # fmt: skip

    def _move(self, function: str, values: str, address: str, parts: list[str]) -> None:
        """A load or a store of one value or a vector."""
        texts = [text.strip() for text in values.strip("{} ").split(",")]
        kind = parts[-1]
        widths = {self.registers[text][1] for text in texts if text in self.registers}
        width = max(widths, default=container(kind))
        fields = self._access(address, parts, size_of(kind), len(texts))
        places = [self.place(text, width) for text in texts]
        places += [NOWHERE] * (8 - len(places)) + [fields.pop("address")]
        self.emit(function, places, width=width, constant="nc" in parts, **fields)

    def _lower_ld(self, operands: tuple[str, ...], *parts: str) -> None:
        kind = parts[-1].replace("b", "u").replace("f", "u")
        if kind in ("s64",):
            kind = "u64"
        if "param" in parts:
            self._load_parameter(operands, kind)
            return
        self._move(f"ld.{kind}", operands[0], operands[1], list(parts))

    def _load_parameter(self, operands: tuple[str, ...], kind: str) -> None:
        name, _, offset = operands[1].strip("[] ").partition("+")
        width = self.registers[operands[0]][1]
        self.emit(
            f"ld.param.{kind}", [self.place(operands[0], width)], width=width,
            address_width=self.kernel.parameters.index(name), number=int(offset or 0),
        )  # fmt: skip

    def _lower_st(self, operands: tuple[str, ...], *parts: str) -> None:
        self._move(f"st.{8 * size_of(parts[-1])}", operands[1], operands[0], list(parts))

    def _lower_atom(self, operands: tuple[str, ...], *parts: str) -> None:
        kind = parts[-1].replace("b", "u")
        what = next(part for part in parts if part in ("add", "max", "min", "exch", "cas", "inc",
                                                       "and", "or"))  # fmt: skip
        if what in ("add", "exch", "cas") and kind.startswith("s"):
            kind = unsigned(kind)
        size = size_of(kind)
        fields = self._access(operands[1], list(parts), size)
        places = [self.place(operands[0], size), *(self.place(t, size) for t in operands[2:])]
        places += [NOWHERE] * (8 - len(places)) + [fields.pop("address")]
        orders = "acq_rel" in parts
        if orders:
            self.emit("fence", [])
        self.emit(f"atom.{what}.{kind}", places, **fields)
        if orders:
            self.emit("fence", [])

    def _lower_red(self, operands: tuple[str, ...], *parts: str) -> None:
        self._lower_atom(("_", *operands), *parts)

    def _lower_membar(self, operands: tuple[str, ...], *parts: str) -> None:
        if "cta" not in parts:  # blocks are not ordered by a fence for one of them
            self.emit("fence", [])

    _lower_fence = _lower_membar

    # Control --------------------------------------------------------------------------------------

    def _lower_bra(self, operands: tuple[str, ...], *_: str) -> None:
        self.emit("", [], "branch", label=operands[0])

    def _lower_brx(self, operands: tuple[str, ...], *_: str) -> None:
        """A jump by a table: one comparison after another."""
        index, table = operands
        for n, label in enumerate(self.kernel.targets[table]):
            own = self.predicate(self._temporary("pred"))
            self.emit("setp.eq.u32", [own, self.place(index, 4), self._number(n, 4)])
            self.emit("", [], "branch", label=label)
            self.rows[-1].update(guard=own, negated=False)

    def _lower_ret(self, operands: tuple[str, ...], *_: str) -> None:
        self.emit("", [], "exit")

    _lower_exit = _lower_ret

    def _lower_bar(self, operands: tuple[str, ...], *parts: str) -> None:
        if parts[0] == "warp":
            self.emit("bar.warp", self._of_mask(operands[0]), "meeting")
        elif parts[-1] == "sync" and operands == ("0",):
            self.emit("", [], "barrier")
        else:
            raise UnknownError("a barrier of some threads")

    _lower_barrier = _lower_bar

    def _of_mask(self, mask: str, *places: int) -> list[int]:
        """Operands of what lanes do together; their mask is the fifth."""
        return [*places, *[NOWHERE] * (4 - len(places)), self.place(mask, 4)]

    def _lower_shfl(self, operands: tuple[str, ...], _: str, mode: str, kind: str) -> None:
        to, _, inside = operands[0].partition("|")
        places = [self.place(text, 4) for text in (to, *operands[1:4])]
        whole = self._of_mask(operands[4], *places)
        whole.append(self.predicate(inside) if inside else NOWHERE)
        self.emit("shfl", whole, "meeting", number=SHUFFLES.index(mode))

    def _lower_vote(self, operands: tuple[str, ...], _: str, mode: str, kind: str) -> None:
        to = self.place(operands[0], 4) if mode == "ballot" else self.predicate(operands[0])
        places = self._of_mask(operands[2], to, self.predicate(operands[1]))
        self.emit("vote", places, "meeting", number=VOTES.index(mode))

    def _lower_activemask(self, operands: tuple[str, ...], *_: str) -> None:
        self.emit("activemask", [self.place(operands[0], 4)])
