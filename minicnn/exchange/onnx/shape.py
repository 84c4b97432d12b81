"""Shapes in ONNX: ``Flatten``, ``Reshape``, ``Squeeze``, ``Transpose``, ``Pad``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from minicnn import nn

from .limits import check_padding
from .reading import Chain, Node
from .writing import Shape, UnsupportedError, Writer


def write_flatten(writer: Writer, layer: nn.Flatten) -> None:
    """``Flatten`` where all axes but the first become one; otherwise ``Reshape``."""
    if (layer.start_dim, layer.end_dim) == (1, -1):
        writer.node("Flatten", axis=1)
        return
    before, _ = writer.sizes("its result depends on the input's shape")
    start, end = layer.start_dim % len(before), layer.end_dim % len(before)
    # 0 stands for "as the input's", -1 for the rest
    shape = np.array([*[0] * start, -1, *before[end + 1 :]], np.int64)
    writer.node("Reshape", writer.constant("shape", shape))


def write_zero_pad2d(writer: Writer, layer: nn.ZeroPad2d) -> None:
    """``Pad`` of the last two axes of pictures."""
    left, right, top, bottom = layer.padding
    write_frame(writer, (top, left), (bottom, right))


def write_frame(
    writer: Writer, before: Sequence[int], after: Sequence[int], value: float = 0.0
) -> None:
    """``Pad``: a frame of ``value`` around the rows and columns of (N, C, H, W)."""
    widths = np.array([0, 0, *before, 0, 0, *after], np.int64)
    constants = [writer.constant("widths", widths)]
    if value:
        constants.append(writer.constant("value", np.array(value, np.float32)))
    writer.node("Pad", *constants)


def read_pad(node: Node, chain: Chain) -> None:
    """``Pad`` around the rows and columns of pictures: with zeros, or -inf for a max pooling."""
    chain.check_pictures()
    given = node.attributes.get("pads")
    widths = node.needed(0, "constant widths").tolist() if given is None else list(given)
    value, axes = node.constant(1), node.constant(2)
    value = node.attributes.get("value", 0.0) if value is None else value.item()
    if node.attributes.get("mode", "constant") != "constant" or value not in (0, -math.inf):
        raise UnsupportedError("it frames with other than zeros")
    named = range(4) if axes is None else [axis % 4 for axis in axes.tolist()]
    frame = dict(zip(named, zip(*np.split(np.array(widths), 2), strict=True), strict=True))
    if any(any(frame.get(axis, ())) for axis in (0, 1)):
        raise UnsupportedError(f"pads are {widths}; wanted rows and columns alone")
    (top, bottom), (left, right) = (map(int, frame.get(axis, (0, 0))) for axis in (2, 3))
    if chain.x is not None:
        check_padding(chain.x.shape, [(top, bottom), (left, right)])
    if value:
        chain.lowest = [(top, bottom), (left, right)]
    elif any((top, bottom, left, right)):
        chain.add(nn.ZeroPad2d((left, right, top, bottom)))


def read_flatten(node: Node, chain: Chain) -> None:
    """``Flatten`` of all axes but the first."""
    axis = node.attributes.get("axis", 1)
    if axis != 1 and (chain.shape is None or axis + len(chain.shape) != 1):
        raise UnsupportedError(f"axis is {axis}; wanted 1, all axes but the batch's")
    _flatten(chain, 1, -1)


def read_reshape(node: Node, chain: Chain) -> None:
    """``Reshape`` that flattens, that changes nothing, or that makes pictures of the input."""
    target = [int(n) for n in node.attributes.get("shape", ())]
    target = target or node.needed(0, "constant shape").tolist()
    if chain.shape is None:
        if len(target) != 2 or target[0] not in (-1, 0):
            raise UnsupportedError(f"it makes {tuple(target)} of a value of open size")
        _flatten(chain, 1, -1)
        return
    if not node.attributes.get("allowzero", 0):
        target = [chain.shape[i] if n == 0 else n for i, n in enumerate(target)]
    rest = math.prod(chain.shape) // max(math.prod(n for n in target if n != -1), 1)
    _reshape(chain, tuple(rest if n == -1 else n for n in target))


def read_squeeze(node: Node, chain: Chain) -> None:
    """``Squeeze``: without some axes of one cell."""
    axes = node.attributes.get("axes")
    axes = node.needed(0, "constant axes").tolist() if axes is None else axes
    if chain.shape is None:
        raise UnsupportedError("it takes axes from a value of open size")
    gone = {axis % len(chain.shape) for axis in axes}
    _reshape(chain, tuple(n for i, n in enumerate(chain.shape) if i not in gone))


def _reshape(chain: Chain, wanted: Shape) -> None:
    """Append what makes the shape ``wanted`` of the chain's."""
    shape = chain.shape or ()
    if wanted == shape:
        return
    if not chain.layers and len(wanted) == 4 and chain.x is not None:
        chain.input_calls.append(f"reshape{(-1, *wanted[1:])}")
        chain.x = chain.x.reshape(wanted)
        return
    for start, end in combinations(range(len(shape)), 2):
        one = math.prod(shape[start : end + 1])
        if (*shape[:start], one, *shape[end + 1 :]) == wanted:
            _flatten(chain, start, end)
            return
    raise UnsupportedError(f"it makes {wanted} of {shape}; minicnn's layers flatten only")


def _flatten(chain: Chain, start: int, end: int) -> None:
    """Append a ``Flatten``; of transposed pictures remember where the features went."""
    rank = len(chain.shape or (0, 0))
    end = -1 if end == rank - 1 else end
    if chain.axes:
        if (start, end) != (1, -1) or chain.axes[0] != 0 or chain.x is None:
            raise UnsupportedError(f"it flattens a value that was transposed to {chain.axes}")
        cells = np.arange(math.prod(chain.x.shape[1:])).reshape(chain.x.shape[1:])
        chain.order = cells.transpose([axis - 1 for axis in chain.axes[1:]]).ravel()
        chain.axes = ()
    elif (start, end) != (1, -1):
        chain.check_plain("it flattens a part")
    if rank != 2 or chain.x is None:
        chain.add(nn.Flatten(start, end))


def read_transpose(node: Node, chain: Chain) -> None:
    """``Transpose``: of the input, or on the way to channels last and back."""
    order = tuple(node.attributes.get("perm", ()))
    if chain.order is not None or not order:
        raise UnsupportedError("wanted a transposition of pictures, of named axes")
    if not chain.layers:
        chain.input_calls.append(f"transpose{order}")
        chain.x = None if chain.x is None else chain.x.transpose(order)
        return
    axes = tuple((chain.axes or range(len(order)))[axis] for axis in order)
    chain.axes = () if axes == tuple(range(len(order))) else axes
