"""A large batch, a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from minicnn.kernels import Array, array_module

from .operation import Operation


class InPieces(Operation):
    """y = [f(x₁, w...), f(x₂, w...), ...], the batch x cut into pieces of ``size`` samples each.

    For an f that computes each sample by itself, this is f(x, w...) in the memory that f needs for
    one piece. ``backward`` computes each piece's forward once more instead of keeping it (Chen et
    al., "Training Deep Nets with Sublinear Memory Cost", 2016):

        dx = [dx₁, dx₂, ...],  dw = dw₁ + dw₂ + ...

    Args:
        make: returns a new operation f at each call.
    """

    reads = ((0, 1), (0, 1), (0, 1))  # x and a weight: backward runs the forward again

    def __init__(self, make: Callable[[], Operation], size: int):
        self.make, self.size = make, size

    def forward(self, x: Array, *weights: Array) -> Array:
        self.x, self.weights = x, weights
        y = None
        for rows in self._pieces():
            piece = self.make().forward(x[rows], *weights)
            if y is None:
                y = array_module(x).empty((len(x), *piece.shape[1:]), piece.dtype)
            y[rows] = piece
        return y

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        dx = array_module(dy).empty_like(self.x) if self.needs_gradient[0] else None
        dweights: list[Array | None] = [None] * len(self.weights)
        for rows in self._pieces():
            piece = self.make()
            piece.needs_gradient = self.needs_gradient
            piece.forward(self.x[rows], *self.weights)
            gradients = piece.backward(dy[rows])
            if dx is not None:
                dx[rows] = gradients[0]
            for i, dweight in enumerate(gradients[1:]):
                total = dweights[i]
                dweights[i] = dweight if total is None or dweight is None else total + dweight
        return dx, *dweights

    def _pieces(self) -> Iterator[slice]:
        return (slice(i, i + self.size) for i in range(0, len(self.x), self.size))

    def whole(self) -> Operation:
        """f itself, for the whole batch."""
        return self.make()

    @property
    def name(self) -> str:
        """The operation's name, with a note."""
        return f"{self.make().name} in pieces"
