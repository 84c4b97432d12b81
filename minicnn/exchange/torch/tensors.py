"""PyTorch's tensors as minicnn's."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from minicnn.tensor import Tensor

HALVES = ("torch.float16", "torch.bfloat16")


def from_torch_tensor(tensor: Any) -> Tensor:
    """A copy on the CPU; float16 and bfloat16 as float32, which holds all their numbers.

    Raises:
        TypeError: a dtype or layout that minicnn does not have (complex, float8, quantised,
            sparse), or no numbers at all (on the device "meta"); the message says which.
    """
    try:
        theirs = tensor.detach().cpu()
        theirs = theirs.float() if str(theirs.dtype) in HALVES else theirs
        return Tensor(theirs.numpy().copy(order="C"))
    except (TypeError, NotImplementedError):
        told = f"{tensor.dtype}, {tensor.layout}, on {tensor.device}"
        raise TypeError(told) from None


def tell_of_widened(function: str, dtypes: Sequence[str]) -> None:
    """Warn that tensors of these dtypes (``"torch.float16"``...) have become float32."""
    if dtypes:
        kinds = " and ".join(sorted({dtype.removeprefix("torch.") for dtype in dtypes}))
        warnings.warn(
            f"{function}: {len(dtypes)} tensors in {kinds} became float32, which holds all their "
            "numbers",
            stacklevel=3,
        )
