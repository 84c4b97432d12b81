"""What an instruction of a compiled plan is, and how its kernel is called.

An instruction is a ``NamedTuple`` of whole numbers, declared next to the kernel that reads it. In a
program it is a row of int64: first the address of the kernel's machine code, then the fields.
``program.run`` calls one kernel after the other; each takes its instruction and the group of images
to work on:

    def max_pool(op: MaxPool, group: Group) -> None: ...

In compiled code both are pointers to rows of int64: ``op.x`` reads a number of the row. Each kernel
is compiled by itself, when a plan first needs it, and kept on disk. A number that is ``Fixed`` is
not read but compiled in: there is one kernel for each that a plan has, and none for the others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar, get_args, get_type_hints

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel.models import PrimitiveModel
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import lower_getattr_generic, register_model
from numba.np.arrayobj import populate_array

from ..arrays import Array
from ..cpu.jit import FASTMATH, Function, compiled, intrinsic, jit
from ..cpu.ready import Form

# Where a run of cells begins. While a plan is made it is the buffer, constant or parameter itself;
# in a kernel, a number.
Place: TypeAlias = Any
Numbers: TypeAlias = Annotated[Array, "number"]  # of the plan's dtype, float32 or float64
Fixed: TypeAlias = Annotated[int, "fixed"]  # in a kernel, a constant


class Group(NamedTuple):
    """The images that a thread works on, and the arrays of its kernels, all of them flat.

    In its row an array takes two places: its address and its size.
    """

    tiles: int  # in this group
    first: int  # the batch's number of the group's first image
    images: int  # in the batch
    strip: int  # the number of the strip, where a picture goes through instructions in strips
    memory: Numbers  # the results of all instructions, of this group
    weights: Numbers  # the parameters one after the other, then constants
    gradients: Numbers  # this share's gradients, placed as the parameters; added to
    sums: Annotated[Array, "float64"]  # this share's sums over images (batch norm, loss); added to
    sums_of_all: Annotated[Array, "float64"]  # all shares' sums, one share after the other
    tables: Annotated[Array, "int64"]  # where rows, taps and windows begin
    pictures: Annotated[Array, "uint8"]  # the batch, (image, c, h, w); numbers are bytes here too
    labels: Annotated[Array, "int64"]  # the batch's classes
    keys: Annotated[Array, "uint64"]  # of each dropout mask the seed, the number, the first image
    logits: Numbers  # the batch's scores, (image, class); written to


class Row(types.Type):
    """A pointer to the row of an instruction or of a ``Group``, in a plan of this dtype.

    Attributes:
        fixed: of an instruction that has ``Fixed`` numbers, those by their columns.
    """

    def __init__(self, kind: type, number: Any, fixed: tuple[tuple[int, int], ...] = ()):
        self.kind, self.number, self.fixed = kind, number, fixed
        values = "".join(f", {value}" for _, value in fixed)
        super().__init__(name=f"Row({kind.__module__}.{kind.__name__}, {number}{values})")


@register_model(Row)
class _Model(PrimitiveModel):
    def __init__(self, manager: Any, row: Row):
        super().__init__(manager, row, ir.IntType(64).as_pointer())


@functools.cache
def columns_of(kind: type) -> dict[str, tuple[int, Any]]:
    """For each field of a row the column where it begins, and what it is."""
    columns: dict[str, tuple[int, Any]] = {}
    column = 0
    for name, hint in get_type_hints(kind, include_extras=True).items():
        columns[name] = column, hint
        column += _width(hint)
    return columns


def _width(hint: Any) -> int:
    if hasattr(hint, "_fields"):
        return sum(_width(inner) for _, inner in columns_of(hint).values())
    return 2 if _is_array(hint) else 1  # an array: address and size


def _is_array(hint: Any) -> bool:
    return hint != Fixed and bool(get_args(hint))


@functools.cache
def _fixed(kind: type) -> list[int]:
    """The columns of the ``Fixed`` numbers."""
    columns = []
    for column, hint in columns_of(kind).values():
        inner = _fixed(hint) if hasattr(hint, "_fields") else [0] * (hint == Fixed)
        columns += [column + k for k in inner]
    return columns


def _type_of(row: Row, name: str) -> Any:
    """What compiled code sees: a pointer into the row for a tuple, an array, or a number."""
    column, hint = columns_of(row.kind)[name]
    if hasattr(hint, "_fields"):
        inner = range(column, column + _width(hint))
        return Row(hint, row.number, tuple((k - column, n) for k, n in row.fixed if k in inner))
    if _is_array(hint):
        dtype = get_args(hint)[1]
        is_number = isinstance(dtype, str) and dtype == "number"
        kind = row.number if is_number else numba.from_dtype(np.dtype(dtype))
        return types.Array(kind, 1, "C")
    return types.literal(dict(row.fixed)[column]) if hint == Fixed else types.int64


@infer_getattr
class _Fields(AttributeTemplate):
    key = Row

    def generic_resolve(self, row: Row, name: str) -> Any:  # type: ignore[override]
        return _type_of(row, name)


def _read(context: Any, builder: Any, row: Row, pointer: Any, name: str) -> Any:
    column, hint = columns_of(row.kind)[name]
    kind = _type_of(row, name)
    if isinstance(kind, Row):
        return cgutils.gep_inbounds(builder, pointer, column)
    if isinstance(kind, types.IntegerLiteral):
        return context.get_constant(types.int64, kind.literal_value)
    numbers = []
    for k in range(column, column + _width(hint)):
        number = builder.load(cgutils.gep_inbounds(builder, pointer, k))
        # no kernel changes a row: what is read in a loop may be read once, before it
        number.set_metadata("invariant.load", builder.module.add_metadata([]))
        numbers.append(number)
    if isinstance(kind, types.Array):
        return _array_at(context, builder, kind, *numbers)
    return numbers[0]


lower_getattr_generic(Row)(_read)


def _array_at(context: Any, builder: Any, kind: Any, address: Any, size: Any) -> Any:
    array = context.make_array(kind)(context, builder)
    size_of_one = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    itemsize = context.get_constant(types.intp, size_of_one)
    data = builder.inttoptr(address, array.data.type)
    populate_array(array, data, [size], [itemsize], itemsize, meminfo=None)
    return array._getvalue()


@intrinsic()
def array_at(typing: Any, address: Any, size: Any, like: Any) -> Any:
    """The array of ``size`` numbers at an address, of the dtype of ``like``.

    Where the address is 0, it must not be read.
    """
    kind = types.Array(like.dtype, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _array_at(context, builder, kind, *arguments[:2])

    return kind(types.int64, types.int64, like), generate


@intrinsic()
def address(typing: Any, array: Any, k: Any) -> Any:
    """Where cell k of an array lies, counted as if it were flat."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(builder.gep(data, [arguments[1]]), ir.IntType(64))

    return types.int64(array, types.int64), generate


@intrinsic()
def call(typing: Any, kernel: Any, op: Any, group: Any) -> Any:
    """Call the kernel whose machine code lies at an address; what it raises is raised here."""
    pointers = Row(Group, types.float32), Row(Group, types.float32)  # pointers, as all rows are

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        convention, row = context.call_conv, ir.IntType(64).as_pointer()
        kind = convention.get_function_type(types.none, pointers)
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        rows = [builder.inttoptr(address, row) for address in arguments[1:]]
        status, _ = convention.call_function(builder, function, types.none, pointers, rows)
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, types.int64), generate


# no counting of references to arrays: it would spill the registers
UNCOUNTED: Any = {"_nrt": False}
OPTIONS: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, **UNCOUNTED}


Kernel = TypeVar("Kernel", bound=Callable[[Any, Any], None])


def inner(**options: Any) -> Callable[[Function], Function]:
    """For what a kernel calls: without a cache, since a kernel is kept with all that it calls."""

    def compiled_inside(function: Function) -> Function:
        options_of_all = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True, **OPTIONS}
        inside: Any = numba.njit(**options_of_all, **options)(function)
        return inside

    return compiled_inside


def kernel(function: Kernel) -> Kernel:
    """A kernel of a compiled plan; ``address_of`` compiles it."""
    return jit(function, **OPTIONS)


def uncounted(function: Function) -> Function:
    """For what Python calls, and calls kernels: kept on disk as they are."""
    return jit(function, **UNCOUNTED)


def row_of(kind: type) -> np.ndarray:
    """A row for the fields of ``kind``, all 0."""
    return np.zeros(sum(_width(hint) for _, hint in columns_of(kind).values()), np.int64)


def write(kind: type, row: np.ndarray, **arrays: Array) -> None:
    """Write the addresses and sizes of arrays, fields of ``kind``, into its row."""
    for name, array in arrays.items():
        column, _ = columns_of(kind)[name]
        row[column], row[column + 1] = array.ctypes.data, array.size


def form_for(
    kernel: Any,
    instruction: type,
    dtype: np.dtype,
    where: type = Group,
    numbers: Sequence[int] = (),
) -> Form:
    """The form of ``kernel`` for numbers of this dtype.

    It takes an ``instruction`` and the row that says where: a ``Group`` of images.

    numbers: the instruction's row, of which the ``Fixed`` ones matter.
    """
    number, fixed = numba.from_dtype(dtype), tuple((k, numbers[k]) for k in _fixed(instruction))
    return Form(kernel, (Row(instruction, number, fixed), Row(where, number)))


def address_of(form: Form) -> int:
    """Where the machine code of such a form lies: compiled, or loaded."""
    made = compiled(*form)
    return int(made.library.get_pointer_to_function(made.fndesc.llvm_func_name))
