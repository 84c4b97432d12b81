"""What tensors do with their cells without computing: shape, index, copy, dtype and device.

``Tensor`` inherits ``Shape``. The gradients stand in ``minicnn.ops.shape``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn import names, ops
from minicnn.checks import check_integer
from minicnn.device import resolve
from minicnn.dtypes import DType, checked_dtype
from minicnn.kernels import Array

if TYPE_CHECKING:
    from minicnn.tensor import Tensor


class Shape:
    """The methods that ``Tensor`` inherits: ``self`` is always one."""

    __slots__ = ()

    data: Array

    def reshape(self: Any, *shape: Any) -> Tensor:
        """The same cells in another shape, of which one axis may be -1.

        Raises:
            ValueError: an axis below -1 (NumPy takes any negative one for -1), or other cells.
        """
        axes = names.one_tuple(shape)
        for axis in axes:
            check_integer("reshape: an axis", axis, -1)
        return self._apply(ops.Reshape(axes))

    def flatten(self: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """The axes from ``start_dim`` to ``end_dim`` made one; without arguments all of them.

        ``x.flatten(1)``: (N, C, H, W) -> (N, C·H·W).

        Raises:
            AxisError (an IndexError and a ValueError): there are no such axes.
        """
        check_integer("flatten: start_dim", start_dim)
        check_integer("flatten: end_dim", end_dim)
        shape = self.shape or (1,)  # PyTorch lets a 0-d tensor have one axis here
        start, end = (d + len(shape) if d < 0 else d for d in (start_dim, end_dim))
        if not 0 <= start <= end < len(shape):
            raise np.exceptions.AxisError(
                f"flatten: shape {self.shape} has no axes from start_dim {start_dim} "
                f"to end_dim {end_dim}"
            )
        one = math.prod(shape[start : end + 1])
        return self.reshape(*shape[:start], one, *shape[end + 1 :])

    def transpose(self: Any, *axes: Any) -> Tensor:
        """The axes in another order, reversed by default, as NumPy's."""
        order = names.one_tuple(axes) or tuple(reversed(range(self.ndim)))
        from_front = tuple(axis + self.ndim if axis < 0 else axis for axis in order)
        if sorted(from_front) != list(range(self.ndim)):
            raise ValueError(
                f"transpose: axes {order} are not an order of the {self.ndim} axes of {self.shape}"
            )
        return self._apply(ops.Transpose(from_front))

    @property
    def T(self: Any) -> Tensor:  # noqa: N802 (NumPy's name)
        """The axes reversed."""
        return self.transpose()

    def __getitem__(self: Any, key: Any) -> Tensor:
        return self._apply(ops.Index(plain_key(key)))

    def clone(self: Any) -> Tensor:
        """A copy. Gradients flow back to this tensor."""
        return self._apply(ops.Cast(self.dtype))

    def to(self: Any, target: DType) -> Tensor:
        """This tensor on another device (``"cpu"``, ``"gpu:1"``) or in another dtype.

        Itself if there is nothing to do. Gradients flow back through the change.
        """
        if isinstance(target, str) and target.startswith(("cpu", "gpu", "cuda")):
            device = resolve(target)
            return self if device == self.device else self._apply(ops.Move(device))
        dtype = checked_dtype(target)
        return self if dtype == self.dtype else self._apply(ops.Cast(dtype))

    def _floating(self: Any) -> Tensor:
        """This tensor; in float32 if it holds integers or booleans."""
        return self if self.dtype.kind == "f" else self.to(np.float32)


def plain_key(key: Any) -> Any:
    """An index with its tensors replaced by their arrays."""
    if isinstance(key, tuple):
        return tuple(plain_key(part) for part in key)
    return key.data if isinstance(key, Shape) else key
