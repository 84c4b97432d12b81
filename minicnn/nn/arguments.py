"""What functions and layers ask of their arguments, and what they say where one does not fit.

``function`` is the name that begins the message: ``conv2d``, ``MaxPool2d``...
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.checks import check_integer, check_number
from minicnn.formats import shown
from minicnn.tensor import Tensor, as_tensor

Pair = tuple[int, int]
IntOrPair = int | Sequence[int]


def pair(name: str, value: IntOrPair, least: int = 1) -> Pair:
    """One or two integers as a pair, for rows and columns; one counts for both.

    Raises:
        ValueError: anything else, or an integer below ``least``.
    """
    if type(value) is int and value >= least:  # most are: without delay
        return value, value
    numbers: Any = (value,) if isinstance(value, int | np.integer) else value
    good = isinstance(numbers, Sequence) and len(numbers) in (1, 2) and not isinstance(numbers, str)
    if not good or not all(isinstance(n, int | np.integer) and n >= least for n in numbers):
        raise ValueError(
            f"{name} is {shown(value)}; wanted one or two integers of at least {least}"
        )
    return int(numbers[0]), int(numbers[-1])


def convolution_window(
    function: str, stride: IntOrPair, padding: IntOrPair | str, dilation: IntOrPair
) -> tuple[Pair, Pair | str, Pair]:
    """Stride, padding and dilation as pairs; padding ``'same'`` stays as it is.

    Raises:
        ValueError: no such stride, padding or dilation; ``'same'`` with a stride.
    """
    steps = pair(f"{function}: stride", stride)
    spread = pair(f"{function}: dilation", dilation)
    if not isinstance(padding, str):
        return steps, pair(f"{function}: padding", padding, least=0), spread
    if padding not in ("same", "valid"):
        raise ValueError(
            f"{function}: padding is {shown(padding)}; wanted numbers, 'same' or 'valid'"
        )
    if padding == "same" and steps != (1, 1):
        raise ValueError(f"{function}: padding='same' needs stride 1, received stride {steps}")
    return steps, (0, 0) if padding == "valid" else padding, spread


def pooling_window(
    function: str,
    kernel_size: IntOrPair,
    stride: IntOrPair | None,
    padding: IntOrPair,
    dilation: IntOrPair = 1,
) -> tuple[Pair, Pair, Pair, Pair]:
    """Kernel size, stride, padding and dilation as pairs.

    Raises:
        ValueError: no such window, or a padding over half the kernel.
    """
    kernel = pair(f"{function}: kernel_size", kernel_size)
    steps = pair(f"{function}: stride", pooling_stride(kernel_size, stride))
    frame = pair(f"{function}: padding", padding, least=0)
    spread = pair(f"{function}: dilation", dilation)
    if any(2 * p > k for p, k in zip(frame, kernel, strict=True)):
        raise ValueError(f"{function}: padding {frame} is over half the kernel size {kernel}")
    return kernel, steps, frame, spread


def pooling_stride(kernel_size: IntOrPair, stride: IntOrPair | None) -> IntOrPair:
    """The kernel's size where no stride (None, or an empty sequence) is named."""
    nothing = stride is None or (isinstance(stride, Sequence) and len(stride) == 0)
    return kernel_size if nothing else stride  # type: ignore[return-value]


def check_kernel_fits(
    function: str,
    input: Tensor,
    kernel_size: Pair,
    padding: Pair,
    dilation: Pair,
    output: Pair,
) -> None:
    """Refuse windows that find no place, so that an ``output`` axis has no cell (ValueError)."""
    if min(output) < 1:
        raise ValueError(
            f"{function}: kernel {kernel_size} with dilation {dilation} is larger than the padded "
            f"input: input {input.shape}, padding {padding}"
        )


def check_divisor(function: str, divisor: int | None) -> None:
    """Refuse to divide by 0 (ValueError), or by no integer (TypeError)."""
    if divisor is not None:
        check_integer(f"{function}: divisor_override", divisor)
    if divisor == 0:
        raise ValueError(f"{function}: divisor_override is 0; wanted another number or None")


def check_eps(function: str, eps: float, of_batch: bool = False) -> None:
    """Refuse an eps below 0 (ValueError), and of 0 for a batch's own variance, which may be 0."""
    check_number(f"{function}: eps", eps)
    if eps < 0 or (of_batch and eps == 0):
        wanted = "a positive number in training" if eps == 0 else "a positive number, as 1e-5"
        raise ValueError(f"{function}: eps is {eps}; wanted {wanted}")


def check_loss_settings(function: str, reduction: str, label_smoothing: float = 0.0) -> None:
    """Refuse an unknown reduction, a smoothing outside [0, 1] (ValueError) or none (TypeError)."""
    check_number(f"{function}: label_smoothing", label_smoothing)
    if not isinstance(reduction, str) or reduction not in ("mean", "sum", "none"):
        raise ValueError(
            f"{function}: reduction is {shown(reduction)}; wanted 'mean', 'sum' or 'none'"
        )
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{function}: label_smoothing is {label_smoothing}; wanted 0 to 1")


# Inputs -------------------------------------------------------------------------------------------


def as_input(function: str, input: Any) -> Tensor:
    """A tensor as it is, an array (NumPy's, CuPy's, PyTorch's) as a tensor.

    Raises:
        TypeError: a list, a picture of an imaging library...: their dtype would be a guess.
    """
    if isinstance(input, Tensor):
        return input
    if hasattr(input, "dtype") and hasattr(input, "shape"):
        return Tensor(input)
    raise TypeError(
        f"{function}: input is of type {type(input).__name__}; wanted a Tensor, for example "
        "minicnn.Tensor(np.asarray(input, 'float32')), pixels divided by 255"
    )


def as_tensors(input: Tensor, *others: Any) -> Any:
    """Weights and statistics as tensors; a list takes ``input``'s dtype, None stays None."""
    return tuple(x if x is None else as_tensor(x, like=input) for x in others)


def check_floating(function: str, input: Tensor) -> None:
    """Refuse integers and booleans (TypeError)."""
    if input.dtype.kind != "f":
        pixels = " / 255 for pixels" if input.dtype == np.uint8 else ""
        raise TypeError(
            f"{function}: input is {input.dtype}; wanted float32 or float64, for example "
            f"minicnn.Tensor(input).to('float32'){pixels}"
        )


def check_pictures(function: str, input: Tensor) -> None:
    """Refuse what is neither a batch of pictures nor one picture (ValueError)."""
    if input.ndim not in (3, 4):
        cure = "; for one picture of one channel pass x[None, None]" if input.ndim == 2 else ""
        raise ValueError(
            f"{function}: input has shape {input.shape}; wanted (N, C, H, W) or (C, H, W){cure}"
        )


def channels_hint(input: Tensor, channels: int) -> str:
    """Why pictures might not have the ``channels`` that are wanted, and what to write instead."""
    if input.shape[-1] == channels:
        named, axes = (
            ("(N, H, W, C)", "0, 3, 1, 2") if input.ndim == 4 else ("(H, W, C)", "2, 0, 1")
        )
        return f"; it looks like {named}: pass x.transpose({axes})"
    if input.ndim == 3 and channels == 1:
        return "; for (N, H, W), pictures of one channel, pass x[:, None]"
    return ""


def features_hint(input: Tensor, features: int) -> str:
    """Why rows might not have the ``features`` that are wanted, and what to write instead."""
    for shape, cure in (
        (input.shape[1:], "put nn.Flatten() before the layer"),
        (input.shape, "for one sample without a batch axis pass x[None]"),
    ):
        if len(shape) > 1 and math.prod(shape) == features:
            return f"; {' * '.join(map(str, shape))} is {features}: {cure}"
    return ""
