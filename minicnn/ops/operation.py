"""What an operation is."""

from __future__ import annotations

from minicnn.kernels import Array

RESULT = -1  # the number of an operation's result, where inputs are 0, 1...


class Operation:
    """A function of arrays that knows its own derivative.

    ``forward`` computes the result and keeps on ``self`` what ``backward`` needs. ``backward``
    takes dy, the gradient of the loss with respect to the result, and returns the gradients with
    respect to the inputs, in their order and of their shapes: one array for one input, otherwise a
    tuple, None for an input that needs none. Gradients are named d + the input's name. dy may
    belong to another operation as well: make a new array, do not write into dy.

    The tape (``minicnn.tape``) keeps the instance. (One that is applied again is copied first.)
    Operations know arrays only, no tensors.
    """

    needs_gradient: tuple[bool, ...] = ()
    """Which inputs want a gradient; the tape sets it before ``forward``."""

    reads: tuple[tuple[int, ...], ...] | None = None
    """For each input's gradient, the numbers of the inputs whose arrays ``backward`` reads (RESULT
    for the result): these must not be written to before. None, the default, means all of them."""

    gives_new_arrays: bool = False
    """Whether the gradients are arrays that nobody else holds, neither dy nor anything kept on
    ``self``: ``grad`` is then that array, otherwise a copy of it."""

    def forward(self, *inputs: Array) -> Array:
        """The result of the operation."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array | tuple[Array | None, ...]:
        """The gradients with respect to the inputs, from dy, that with respect to the result."""
        raise NotImplementedError

    def arrays_read(self) -> set[int]:
        """The numbers of the arrays that ``backward`` reads for the gradients that are wanted."""
        if self.reads is None:
            return {RESULT, *range(len(self.needs_gradient))}
        wanted = zip(self.needs_gradient, self.reads, strict=False)
        return {number for needed, numbers in wanted if needed for number in numbers}

    @property
    def name(self) -> str:
        """What error messages and plans call the operation."""
        return type(self).__name__
