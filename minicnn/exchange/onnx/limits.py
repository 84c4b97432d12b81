"""What an ONNX file may ask for: a small one can describe numbers that no memory holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .writing import UnsupportedError

MOST = 2**27  # cells of a value that is computed; VGG-19's first dense layer has 102,760,448
MOST_NODES = 100_000  # once functions are written out
CELL_BY_CELL = (  # operators that broadcast their inputs
    "Add", "Sub", "Mul", "Div", "Pow", "Mod", "Sum", "Mean", "Max", "Min", "PRelu", "Where",
    "And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShift",
    "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual",
)  # fmt: skip


def check_cells(what: str, cells: int) -> None:
    """Refuse a value of more than ``MOST`` cells, before it is made."""
    if cells > MOST:
        raise UnsupportedError(f"{what} would have {cells:,} cells; wanted at most {MOST:,}")


def check_constant(proto: Any, inputs: Sequence[np.ndarray | None]) -> None:
    """Refuse a node whose result is much larger than the constants that it is computed from.

    Args:
        proto: the node.
        inputs: its constant inputs.
    """
    if any(attribute.HasField("g") or attribute.graphs for attribute in proto.attribute):
        raise UnsupportedError("it has a graph of its own, which may never end")
    arrays = [array for array in inputs if array is not None]
    grown = {
        "ConstantOfShape": lambda: math.prod(arrays[0].tolist()),
        "Expand": lambda: arrays[0].size * math.prod(arrays[1].tolist()),
        "Tile": lambda: arrays[0].size * math.prod(arrays[1].tolist()),
        "Range": lambda: abs(int((arrays[1] - arrays[0]) / arrays[2])),
        "Pad": lambda: _padded(proto, arrays),
        "MatMul": lambda: _product(arrays[0].shape, arrays[1].shape),
        "Gemm": lambda: math.prod(_gemm_shape(proto, arrays[0].shape, arrays[1].shape)),
    }.get(proto.op_type)
    if grown is not None:
        check_cells("its result", grown())
    elif proto.op_type in CELL_BY_CELL:
        shape = [max(sizes) for sizes in _aligned([array.shape for array in arrays])]
        check_cells("its result", math.prod(shape))


def _padded(proto: Any, arrays: Sequence[np.ndarray]) -> int:
    """The cells of a Pad's result; where the pads are of some axes (opset 18), a bound of them.

    The pads are an input since opset 11, an attribute before (in opset 1 ``paddings``).
    """
    sizes = arrays[0].shape
    pads = [abs(n) for a in proto.attribute if a.name in ("pads", "paddings") for n in a.ints]
    if len(arrays) > 1:
        pads = [abs(int(n)) for n in arrays[1].ravel()]
    if len(proto.input) > 3:
        return math.prod(n + sum(pads) for n in sizes)
    return math.prod(map(sum, zip(sizes, pads[: len(sizes)], pads[len(sizes) :], strict=True)))


def _product(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """The cells of (..., M, K) @ (..., K, N): matrices are counted by broadcasting."""
    matrices = [max(sizes) for sizes in _aligned([a[:-2], b[:-2]])]
    return math.prod((*matrices, *a[-2:-1], *(b[-1:] if len(b) > 1 else ())))


def _gemm_shape(proto: Any, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, int]:
    turned = {attribute.name: attribute.i for attribute in proto.attribute}
    return a[1 if turned.get("transA") else 0], b[0 if turned.get("transB") else 1]


def _aligned(shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The lengths of each axis, as broadcasting pairs them: from the last one on."""
    rank = max(map(len, shapes), default=0)
    filled = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return list(zip(*filled, strict=True))


def check_functions(model: Any) -> None:
    """Refuse functions that become too many nodes when they are written out (ValueError)."""
    bodies = {(f.domain, f.name): f.node for f in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(nodes: Any, inside: tuple[Any, ...] = ()) -> int:
        total = 0
        for node in nodes:
            key = node.domain, node.op_type
            if key in inside:
                raise ValueError(f"the function {node.op_type} calls itself")
            if key in bodies and key not in sizes:
                sizes[key] = size(bodies[key], (*inside, key))
            total += sizes.get(key, 1)
        return total

    if (nodes := size(model.graph.node)) > MOST_NODES:
        raise ValueError(f"its functions would be {nodes:,} nodes; wanted at most {MOST_NODES:,}")


def check_padding(shape: Sequence[int], pads: Sequence[tuple[int, int]]) -> None:
    """Refuse a frame around the rows and columns of (N, C, H, W) that fills the memory."""
    images, channels, *sizes = shape
    framed = [n + sum(map(abs, pad)) for n, pad in zip(sizes, pads, strict=True)]
    check_cells("its padded input", images * channels * math.prod(framed))


def batch_of(sizes: Sequence[int], batch: int) -> list[int] | None:
    """A shape for a batch, of ``batch`` where its own is open, or too large for zeros.

    None if more is open, or huge.
    """
    if not sizes or min(sizes[1:], default=1) < 1 or sizes[0] < 0:
        return None
    shapes = ([n, *sizes[1:]] for n in (sizes[0] or batch, batch))
    return next((shape for shape in shapes if math.prod(shape) <= MOST), None)
