"""Pooling in ONNX: ``MaxPool``, ``AveragePool``, ``GlobalAveragePool``.

ONNX's ``ceil_mode`` is not written: before opset 22 its inference of shapes counts windows that
begin in the padding at the end, its runtimes do not. Windows that reach over the end are written
as padding there, which is the same.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minicnn import nn
from minicnn.nn.arguments import pair, pooling_window

from .reading import Chain, Node, padding_of
from .shape import write_frame
from .writing import UnsupportedError, Writer

Pair = tuple[int, int]


def write_max_pool2d(writer: Writer, layer: nn.MaxPool2d) -> None:
    """``MaxPool``: padding never wins, there as here.

    ONNX Runtime refuses padding of a kernel's size, which dilated windows may reach over: then it
    is written as a ``Pad`` with -inf.
    """
    kernel, stride, padding, dilation = pooling_window(
        "MaxPool2d", layer.kernel_size, layer.stride, layer.padding, layer.dilation
    )
    over = _over_the_end(writer, layer.ceil_mode, kernel, stride, padding, dilation)
    if any(p + n >= k for p, n, k in zip(padding, over, kernel, strict=True)):
        write_frame(writer, (0, 0), over, -math.inf)
        over = [0, 0]
    writer.node(
        "MaxPool",
        kernel_shape=kernel,
        strides=stride,
        pads=[*padding, *(p + n for p, n in zip(padding, over, strict=True))],
        dilations=dilation,
    )


def write_avg_pool2d(writer: Writer, layer: nn.AvgPool2d) -> None:
    """``AveragePool``; with ``divisor_override`` a ``Mul`` after it.

    Zeros that count are padding with ``count_include_pad``. What lies beyond them, where windows
    reach over the end, never counts: then the zeros are written as a ``Pad`` before the pooling.
    """
    kernel, stride, padding, _ = pooling_window(
        "AvgPool2d", layer.kernel_size, layer.stride, layer.padding
    )
    over = _over_the_end(writer, layer.ceil_mode, kernel, stride, padding, (1, 1))
    counts = layer.count_include_pad or layer.divisor_override is not None
    if any(over) and any(padding) and layer.count_include_pad and not layer.divisor_override:
        write_frame(writer, padding, padding)
        padding = (0, 0)
    if any(over) and not layer.divisor_override:
        counts = False
    writer.node(
        "AveragePool",
        kernel_shape=kernel,
        strides=stride,
        pads=[*padding, *(p + n for p, n in zip(padding, over, strict=True))],
        count_include_pad=int(counts),
    )
    if layer.divisor_override:
        factor = np.array(kernel[0] * kernel[1] / layer.divisor_override, np.float32)
        writer.node("Mul", writer.constant("factor", factor))


def _over_the_end(
    writer: Writer, ceil_mode: bool, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> list[int]:
    """By how many rows and columns the last windows reach over the padded picture."""
    if not ceil_mode:
        return [0, 0]
    before, after = writer.sizes("with ceil_mode its windows depend on the picture's size")
    axes = zip(before[-2:], after[-2:], kernel, stride, padding, dilation, strict=True)
    return [
        max((count - 1) * s + (k - 1) * d + 1 - (size + 2 * p), 0)
        for size, count, k, s, p, d in axes
    ]


@dataclass
class Windows:
    """Where the windows of a pooling node lie: pairs for rows and columns.

    Attributes:
        pads: the padding (before, after).
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    pads: list[Pair]
    ceil_mode: bool

    @classmethod
    def of(cls, node: Node, chain: Chain) -> Windows:
        """Those of ``node``, whose input is the chain's value."""
        chain.check_pictures()
        kernel, stride, dilation = node.pairs("kernel_shape", "strides", "dilations")
        pads = padding_of(node, chain, kernel, stride, dilation)
        if chain.lowest and node.operator == "MaxPool":
            pads = [(a + c, b + d) for (a, b), (c, d) in zip(pads, chain.lowest, strict=True)]
            chain.lowest = []
        return cls(kernel, stride, dilation, pads, bool(node.attributes.get("ceil_mode", 0)))

    @property
    def before(self) -> Pair:
        """The padding above and to the left."""
        return self.pads[0][0], self.pads[1][0]

    @property
    def is_even(self) -> bool:
        """Whether the padding is the same on both sides, as minicnn's."""
        return all(before == after for before, after in self.pads)

    def counts(self, chain: Chain) -> Pair:
        """How many there are; those that would begin in the padding at the end do not count."""
        axes = zip(chain.sizes(), self.pads, self.kernel, self.stride, self.dilation, strict=True)
        found = []
        for size, pads, k, s, d in axes:
            room = size + sum(pads) - d * (k - 1) - 1
            count = (-(-room // s) if self.ceil_mode else room // s) + 1
            found.append(count - (self.ceil_mode and (count - 1) * s >= size + pads[0]))
        return found[0], found[1]


def read_max_pool(node: Node, chain: Chain) -> None:
    """``MaxPool``, where the windows are those of a ``MaxPool2d``."""
    windows = Windows.of(node, chain)

    def layer(ceil_mode: bool) -> nn.Module:
        return nn.MaxPool2d(
            windows.kernel, windows.stride, windows.before, windows.dilation, ceil_mode
        )

    if windows.is_even:
        chain.add(layer(windows.ceil_mode))
    else:
        _add_fitting(chain, layer, windows.counts(chain))


def read_average_pool(node: Node, chain: Chain) -> None:
    """``AveragePool``, where the windows are those of an ``AvgPool2d``."""
    windows = Windows.of(node, chain)
    if windows.dilation != (1, 1):
        raise UnsupportedError(f"dilations are {windows.dilation}; minicnn averages without")
    include = bool(node.attributes.get("count_include_pad", 0))
    padding = windows.before

    def layer(ceil_mode: bool) -> nn.Module:
        return nn.AvgPool2d(windows.kernel, windows.stride, padding, ceil_mode, include)

    if windows.is_even:
        chain.add(layer(windows.ceil_mode))
    elif include and windows.ceil_mode:
        raise UnsupportedError(f"ceil_mode with padding {windows.pads} that counts")
    elif include:  # as good as zeros of the picture
        (top, bottom), (left, right) = windows.pads
        padding = 0, 0
        chain.add(nn.ZeroPad2d((left, right, top, bottom)), layer(False))
    else:
        wanted = windows.counts(chain)
        if padding == (0, 0):  # zeros before it count, padding at the end does not: see the writer
            padding = chain.taken_frame(windows.kernel)
            include = padding != (0, 0)
        _add_fitting(chain, layer, wanted)


def _add_fitting(chain: Chain, layer: Callable[[bool], nn.Module], wanted: Pair) -> None:
    """Append ``layer(ceil_mode)``, for the ``ceil_mode`` that makes as many windows as wanted.

    Windows that reach into padding at the end, as ``auto_pad`` and some exporters have them, are
    those of ``ceil_mode`` then.
    """
    for candidate in (layer(False), layer(True)):
        with contextlib.suppress(ValueError):  # no window finds a place
            if chain.x is not None and candidate(chain.x).shape[2:] == wanted:
                chain.add(candidate)
                return
    raise UnsupportedError("its padding makes windows that minicnn's pooling does not have")


def read_mul(node: Node, chain: Chain) -> None:
    """``Mul`` of an average by a number: ``divisor_override``."""
    factor = node.needed(0, "constant factor")
    pool = chain.layers[-1] if chain.layers else None
    if not isinstance(pool, nn.AvgPool2d) or factor.size != 1:
        raise UnsupportedError("wanted an average pooling multiplied by a number")
    rows, cols = pair("kernel_size", pool.kernel_size)
    padding = pair("padding", pool.padding, least=0)
    is_whole = not pool.ceil_mode and (pool.count_include_pad or not any(padding))
    cells = pool.divisor_override or (rows * cols if is_whole else None)
    divisor = round(cells / float(factor.item())) if cells and factor.item() else 0
    if not cells or not divisor or abs(divisor * factor.item() / cells - 1) > 1e-5:
        raise UnsupportedError(f"an average times {factor.item():g} is none of an AvgPool2d")
    pool.divisor_override = divisor


def read_global_pool(node: Node, chain: Chain) -> None:
    """``GlobalAveragePool`` and ``GlobalMaxPool``: one window, the picture."""
    chain.check_pictures()
    kind = nn.MaxPool2d if node.operator == "GlobalMaxPool" else nn.AvgPool2d
    chain.add(kind(chain.sizes()))


def read_reduce_mean(node: Node, chain: Chain) -> None:
    """``ReduceMean`` over height and width: an average over the picture, perhaps flattened."""
    axes = node.attributes.get("axes")
    axes = node.needed(0, "axes").tolist() if axes is None else axes
    rank = 4 if chain.x is None else chain.x.ndim
    ours = sorted((chain.axes or range(rank))[axis] for axis in axes)
    if rank != 4 or ours not in ([2, 3], [-2, -1]):
        raise UnsupportedError(f"it averages over the axes {list(axes)}; wanted height and width")
    chain.add(nn.AvgPool2d(chain.sizes()))
    if not node.attributes.get("keepdims", 1):
        chain.axes = ()
        chain.add(nn.Flatten())
