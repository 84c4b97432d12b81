"""What an operation is."""

from __future__ import annotations

from minicnn.kernels import Array


class Operation:
    """A function of arrays that knows its own derivative.

    ``forward`` computes the result and keeps on ``self`` what ``backward`` needs. ``backward``
    takes dy, the gradient of the loss by the result, and returns the gradients by the inputs, in
    their order and of their shapes: one array for one input, otherwise a tuple, None for an input
    that needs none. Gradients are named d + the input's name. dy may be another operation's too:
    make a new array, do not write into it.

    An instance is used once: the tape of ``minicnn.tensor`` keeps it. Operations know arrays only,
    no tensors.
    """

    needs_gradient: tuple[bool, ...] = ()
    """Which inputs want a gradient; the tape sets it before ``forward``."""

    def forward(self, *inputs: Array) -> Array:
        """The result of the operation."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array | tuple[Array | None, ...]:
        """The gradients by the inputs, from the gradient ``dy`` by the result."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """What error messages and plans call the operation."""
        return type(self).__name__
