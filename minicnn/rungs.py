"""One convolution on four rungs, from the sums of its definition to compiled loops.

loops     every product of the definition, one at a time: ``Loops``, to be read
im2col    the products gathered into matrices, whole-array statements of NumPy: ``Im2col``
winograd  fewer products, by other algebra, in NumPy too: ``minicnn.winograd`` (docs/winograd.md)
fast      im2col on compiled loops that share the processor's cores: ``minicnn.ops.conv``

``conv2d(..., rung="loops")`` chooses one. ``python -m minicnn.rungs`` proves them equal, values and
gradients, and then times them. ``python -m benchmarks.slow_to_fast`` does this with five more
versions, up to those of ``minicnn.compile`` (docs/slow-to-fast.md).

Notation: N images, C input channels, H x W pictures; O output channels, KH x KW kernels; stride
(SH, SW), padding (PH, PW), dilation (DH, DW); OH x OW output pictures.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minicnn import command, kernels, ops
from minicnn.formats import shown
from minicnn.kernels import Array
from minicnn.kernels.arrays import output_sizes
from minicnn.nn.arguments import IntOrPair, check_kernel_fits, pair
from minicnn.nn.functional.conv import check_conv2d
from minicnn.ops import Operation
from minicnn.ops.conv import Pair
from minicnn.tensor import Tensor, apply
from minicnn.terminal import say
from minicnn.winograd import Winograd, why_not

Index = tuple[int, ...]


class Loops(Operation):
    """y = conv(x, W) + b by the definition, in plain Python.

        y[n, o, oh, ow] = b[o] + sum_{c, i, j} W[o, c, i, j] x̄[n, c, oh SH + i DH, ow SW + j DW]

    x̄ is x in its frame of PH and PW zeros. Each product takes a weight and a pixel, and belongs to
    one output. Backward, the weight's gradient receives dy[output] * pixel, and the pixel's
    gradient dy[output] * weight: the same loop once more.

    x: (N, C, H, W), weight: (O, C, KH, KW), bias: (O,) or none, y: (N, O, OH, OW).
    """

    def __init__(self, stride: Pair, padding: Pair, dilation: Pair, output: Pair):
        self.stride, self.padding, self.dilation, self.output = stride, padding, dilation, output

    def products(self) -> Iterator[tuple[Index, Index, Index]]:
        """Every product: the indices of its output, of its weight, and of its pixel in x̄."""
        out_channels, channels, kh, kw = self.weight.shape
        (sh, sw), (dh, dw) = self.stride, self.dilation
        for n in range(len(self.framed)):  # every image
            for o in range(out_channels):  # every kernel
                for oh in range(self.output[0]):  # every place of the window
                    for ow in range(self.output[1]):
                        for c in range(channels):  # every cell of the window
                            for i in range(kh):
                                for j in range(kw):
                                    pixel = (n, c, oh * sh + i * dh, ow * sw + j * dw)
                                    yield (n, o, oh, ow), (o, c, i, j), pixel

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        ph, pw = self.padding
        self.framed = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
        self.weight = weight

        y = np.zeros((len(x), len(weight), *self.output), x.dtype)
        for output, tap, pixel in self.products():
            y[output] += weight[tap] * self.framed[pixel]
        if bias is not None:
            for n, o, oh, ow in np.ndindex(y.shape):
                y[n, o, oh, ow] += bias[o]
        return y

    def backward(self, dy: Array) -> tuple[Array, ...]:
        (ph, pw), (rows, columns) = self.padding, self.framed.shape[2:]
        dframed, dweight = np.zeros_like(self.framed), np.zeros_like(self.weight)

        dbias = np.zeros(len(self.weight), dy.dtype)
        for output, tap, pixel in self.products():
            dweight[tap] += dy[output] * self.framed[pixel]
            dframed[pixel] += dy[output] * self.weight[tap]
        for n, o, oh, ow in np.ndindex(dy.shape):
            dbias[o] += dy[n, o, oh, ow]
        dx = dframed[:, :, ph : rows - ph, pw : columns - pw]
        return (dx, dweight, dbias)[: len(self.needs_gradient)]


class Im2col(ops.Conv2d):
    """``minicnn.ops.conv`` on the reference kernels: NumPy's statements, nothing compiled."""

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        with kernels.by_reference():
            return super().forward(x, weight, bias)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        with kernels.by_reference():
            return super().backward(dy)


RUNGS: dict[str, Callable[[Pair, Pair, Pair, Pair], Operation]] = {
    "loops": Loops,
    "im2col": Im2col,
    "winograd": Winograd,
    "fast": ops.Conv2d,
}


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    rung: str = "fast",
) -> Tensor:
    """2-D convolution as ``F.conv2d``, on a rung: a name in ``RUNGS``.

    input: (N, C, H, W), weight: (O, C, KH, KW), bias: (O,); returns (N, O, OH, OW).

    Raises:
        ValueError: an unknown rung, shapes or arguments that do not fit; for ``"winograd"`` a
            stride, a dilation, or a kernel of other than 2 to 5 columns.
        TypeError: input, weight and bias of different dtypes.
    """
    if rung not in RUNGS:
        raise ValueError(f"rung is {shown(rung)}; wanted one of {', '.join(RUNGS)}")
    check_conv2d(input, weight, bias, groups=1)
    strides, dilations = pair("stride", stride), pair("dilation", dilation)
    frame, kernel_size = pair("padding", padding, least=0), pair("kernel", weight.shape[2:])
    output = output_sizes(input.shape[2:], kernel_size, strides, frame, dilations)
    check_kernel_fits("conv2d", input, kernel_size, frame, dilations, output)
    operation = RUNGS[rung](strides, frame, dilations, output)
    return apply(operation, input, weight, *([] if bias is None else [bias]))


# Equal? -------------------------------------------------------------------------------------------

TOLERANCE = 1e-12  # in float64, of the largest number


class Case(NamedTuple):
    """A convolution to compare: shapes of the input and the weight, and the options."""

    input: Index
    weight: Index
    options: dict[str, Any]
    bias: bool = True


CASES = {
    "plain": Case((2, 3, 6, 5), (4, 3, 2, 3), {}),
    "no bias": Case((2, 3, 6, 5), (4, 3, 3, 2), {}, bias=False),
    "stride that does not fit": Case((2, 2, 8, 9), (3, 2, 3, 2), {"stride": (2, 3)}),
    "padding": Case((2, 2, 4, 6), (3, 2, 3, 2), {"padding": (2, 1)}),
    "dilation": Case((1, 2, 8, 7), (2, 2, 2, 3), {"dilation": (3, 2)}),
    "more columns": Case((2, 2, 6, 13), (3, 2, 2, 5), {"padding": (1, 2)}),
    "all of these": Case(
        (2, 3, 8, 7), (4, 3, 3, 2), {"stride": (2, 3), "padding": (1, 2), "dilation": (2, 1)}
    ),
}
RESULTS = ("y", "dx", "dweight", "dbias")


def results(case: Case, rung: str) -> list[np.ndarray]:
    """y and the gradients of all inputs, in float64, of the same random numbers on every rung."""
    rng = np.random.default_rng(0)
    shapes = [case.input, case.weight, *([case.weight[:1]] if case.bias else [])]
    inputs = [Tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]
    x, weight, *bias = inputs
    y = conv2d(x, weight, bias[0] if bias else None, **case.options, rung=rung)
    y.backward(rng.standard_normal(y.shape))
    return [y.numpy(), *(x.grad.numpy() for x in inputs if x.grad is not None)]


def left_out(case: Case, rung: str) -> str:
    """Why a rung does not compute this one; empty where it does."""
    options = case.options
    stride, dilation = (pair(name, options.get(name, 1)) for name in ("stride", "dilation"))
    return why_not(stride, dilation, pair("kernel", case.weight[2:])) if rung == "winograd" else ""


def differences(case: Case, rung: str) -> list[float]:
    """For each result its largest difference from ``loops``, divided by its largest number."""
    pairs = zip(results(case, rung), results(case, "loops"), strict=True)
    return [float(np.abs(ours - loops).max() / np.abs(loops).max()) for ours, loops in pairs]


def compare() -> bool:
    """Print the differences of all cases. Returns whether they are no more than rounding."""
    say("Equal? The largest differences from loops, in float64, of the largest number:\n")
    say(f"{'rung':10}{'convolution':26}" + "".join(f"{name:>10}" for name in RESULTS))
    errors: list[float] = []
    for rung in list(RUNGS)[1:]:
        for name, case in CASES.items():
            if reason := left_out(case, rung):
                say(f"{rung:10}{name:26}  left out: {reason}")
                continue
            found = differences(case, rung)
            errors += found
            say(f"{rung:10}{name:26}" + "".join(f"{error:10.1e}" for error in found))
    largest = float(np.max(errors))  # nan if one is
    equal = largest <= TOLERANCE
    say(f"\n{'Equal up to rounding' if equal else 'NOT EQUAL'}: at most {largest:.1e}.")
    return equal


# How fast? ----------------------------------------------------------------------------------------

PICTURE, KERNELS = (6, 14, 14), (16, 6, 5, 5)  # LeNet's second convolution


def seconds(rung: str, images: int) -> tuple[float, float]:
    """Seconds that LeNet's second convolution takes in float32: (forward, backward), run once."""
    rng = np.random.default_rng(0)
    shapes = ((images, *PICTURE), KERNELS, KERNELS[:1])
    x, weight, bias = [
        Tensor(rng.random(shape, np.float32), requires_grad=True) for shape in shapes
    ]
    start = time.perf_counter()
    y = conv2d(x, weight, bias, rung=rung)
    between = time.perf_counter()
    y.backward(y.detach())
    return between - start, time.perf_counter() - between


def timings(images: int, rounds: int) -> dict[str, tuple[int, float, float]]:
    """For each rung: the number of images, and milliseconds per image forward and backward.

    Medians of ``rounds``, in which the rungs take turns. The loops run once, on one image.
    """
    measured: dict[str, list[tuple[float, float]]] = {rung: [] for rung in list(RUNGS)[1:]}
    for rung in measured:
        seconds(rung, images)  # warm
    for _ in range(rounds):
        for rung, pairs in measured.items():
            pairs.append(seconds(rung, images))
    forward, backward = (1e3 * s for s in seconds("loops", 1))
    table = {"loops": (1, forward, backward)}
    for rung, pairs in measured.items():
        forward, backward = (1e3 * statistics.median(s) / images for s in zip(*pairs, strict=True))
        table[rung] = images, forward, backward
    return table


def race(images: int, rounds: int) -> None:
    """Print the time that each rung takes."""
    say("\nHow fast? LeNet's second convolution, 6x14x14 -> 16x10x10, 5x5 kernels, float32;")
    say(f"milliseconds an image, medians of {rounds} (loops: once):\n")
    say(f"{'rung':10}{'images':>8}{'forward':>12}{'backward':>12}{'times as fast':>16}")
    table = timings(images, rounds)
    slowest = sum(table["loops"][1:])
    for rung, (count, forward, backward) in table.items():
        times = slowest / (forward + backward)
        say(f"{rung:10}{count:8}{forward:12.4f}{backward:12.4f}{times:16,.0f}")
    if kernels.host_kernels().__name__.endswith("reference"):
        say("\nNumba is missing or switched off, so fast ran the statements of im2col.")


# The command --------------------------------------------------------------------------------------


EXAMPLES = {
    "": "compare, then time",
    "--images 256": "a larger batch",
    "--rounds 15 --images 8": "a small one, timed with more care",
}


def parser() -> command.Parser:
    """The options of ``python -m minicnn.rungs``."""
    about = "Prove four implementations of convolution equal and time them."
    p = command.Parser("rungs", about, EXAMPLES)
    positive = command.at_least(1)
    p.add("--images", "N", "of all but loops when timed", type=positive, default=64)
    p.add("--rounds", "N", "of which the median counts", type=positive, default=5)
    return p


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, or 1 where the rungs differ."""
    return command.run(parser(), _show, argv)


def _show(options: argparse.Namespace) -> int:
    if not compare():
        return 1
    race(options.images, options.rounds)
    return 0


if __name__ == "__main__":
    command.process(main)
