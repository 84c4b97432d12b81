"""Is a gradient right? Compare it with finite differences, along random directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minicnn.tensor import Tensor, no_grad

STEP = 1e-6


class GradientError(AssertionError):
    """A gradient that finite differences contradict; the message names the worst cell."""


def gradcheck(
    fn: Callable[..., Tensor],
    inputs: Tensor | Sequence[Tensor],
    rtol: float = 1e-5,
    atol: float = 1e-7,
    directions: int = 3,
    seed: int = 0,
) -> bool:
    """Check the gradients of ``fn(*inputs)`` by every input that requires one.

    With y = fn(x), a random cotangent u (the gradient by y) and a random direction v,

        u · (fn(x + h v) - fn(x - h v)) / 2h  =  grad(x) · v      up to rounding and h².

    One number on each side checks all cells at once: a wrong one changes the right side unless v
    happens to be 0 there. The cotangent is random because a particular one can be blind: softmax's
    gradient by a cotangent of ones is zero. All is computed in float64, with h = 1e-6.

    Args:
        fn: a function of tensors to a tensor; the same at every call (seed its random draws).
        inputs: its arguments, of any dtype; they are copied, not changed.
        rtol, atol: the error allowed, relative to the length of (grad * v), and absolute.
        directions: how many pairs (u, v) to try.

    Returns:
        True.

    Raises:
        GradientError: a gradient is wrong or missing.
        ValueError: no input requires a gradient.
    """
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    xs = [_in_float64(x) for x in given]
    learnt = [i for i, x in enumerate(xs) if x.requires_grad]
    if not learnt:
        raise ValueError("gradcheck: no input has requires_grad=True")
    rng = np.random.default_rng(seed)
    for _ in range(directions):
        y = fn(*xs)
        if not y.requires_grad:
            raise GradientError("gradcheck: the result of fn depends on no input on the tape")
        u = rng.standard_normal(y.shape)
        for x in xs:
            x.grad = None
        y.backward(Tensor(u, device=y.device))
        for i in learnt:
            grad = xs[i].grad
            if grad is None:
                raise GradientError(f"gradcheck: input {i} received no gradient")
            v = rng.standard_normal(xs[i].shape)
            expected = _difference(fn, xs, i, u, v)
            products = grad.numpy() * v
            allowed = atol + rtol * max(abs(expected), float(np.linalg.norm(products)))
            # written so that a nan is an error too
            if not abs(products.sum() - expected) <= allowed:
                raise GradientError(_worst_cell(fn, xs, i, u, grad.numpy()))
    return True


def _in_float64(x: Tensor) -> Tensor:
    dtype = np.float64 if x.dtype.kind == "f" else x.dtype
    return Tensor(x.numpy().astype(dtype), x.requires_grad, device=x.device)


def _difference(
    fn: Callable[..., Tensor], xs: Sequence[Tensor], i: int, u: np.ndarray, v: np.ndarray
) -> float:
    """u · (fn(..., x_i + h v, ...) - fn(..., x_i - h v, ...)) / 2h."""

    def along(h: float) -> np.ndarray:
        moved = list(xs)
        moved[i] = Tensor(xs[i].numpy() + h * v, device=xs[i].device)
        with no_grad():
            return fn(*moved).numpy()

    return float((u * (along(STEP) - along(-STEP))).sum() / (2 * STEP))


def _worst_cell(
    fn: Callable[..., Tensor], xs: Sequence[Tensor], i: int, u: np.ndarray, grad: np.ndarray
) -> str:
    """Finite differences cell by cell, to name the one that is furthest off."""
    numeric = np.empty_like(grad)
    for index in np.ndindex(grad.shape):
        v = np.zeros_like(grad)
        v[index] = 1
        numeric[index] = _difference(fn, xs, i, u, v)
    error = np.nan_to_num(np.abs(grad - numeric), nan=np.inf)
    worst = tuple(int(k) for k in np.unravel_index(error.argmax(), error.shape))
    return (
        f"gradcheck: input {i}, index {worst}: backward gives {grad[worst]:.8g}, "
        f"finite differences {numeric[worst]:.8g}"
    )
