"""Padding, and a batch of one picture."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

from minicnn import ops
from minicnn.checks import check_integer, check_is
from minicnn.formats import shown
from minicnn.nn.arguments import as_input
from minicnn.tensor import Tensor, apply


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """Frame ``input`` with ``value``; negative widths cut cells off.

    ``pad`` counts from the last axis backwards, as in PyTorch: (left, right, top, bottom, ...).

    Raises:
        ValueError: an odd number of widths, more than twice the axes, another mode, or an axis cut
            below nothing.
    """
    input = as_input("pad", input)
    check_is("pad: pad", pad, list | tuple, "a list of widths")
    for width in pad:
        check_integer("pad: a width of pad", width)
    check_is("pad: value", value, Real, "a number")  # an infinite one, or nan, may be meant
    if not isinstance(mode, str) or mode != "constant":
        raise ValueError(f"pad: mode is {shown(mode)}; wanted 'constant'")
    widths = list(zip(pad[::2], pad[1::2], strict=False))
    if len(pad) % 2 or len(widths) > input.ndim:
        raise ValueError(
            f"pad: received {len(pad)} widths for input {input.shape}; wanted a pair an axis, "
            "from the last axis on"
        )
    widths = [(0, 0)] * (input.ndim - len(widths)) + widths[::-1]
    if any(
        n + before + after < 0 or n + min(before, 0) + min(after, 0) < 0
        for n, (before, after) in zip(input.shape, widths, strict=True)
    ):
        raise ValueError(f"pad: widths {tuple(pad)} cut more than there is of input {input.shape}")
    return apply(ops.Pad(tuple(widths), value), input)


def batch_of_one(input: Tensor) -> Tensor:
    return input.reshape(1, *input.shape)
