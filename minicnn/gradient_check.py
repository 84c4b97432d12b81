"""Is a gradient right? Compare it with finite differences, along random directions.

If it is wrong, every cell is compared, and ``slips`` looks for the cause: is it the right gradient
flipped, transposed, times a constant, not summed?
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from minicnn.checks import check_callable, check_integer, check_is, check_number
from minicnn.nn import Module
from minicnn.tape import BackwardError
from minicnn.tensor import Tensor, is_grad_enabled, no_grad

STEP = 1e-6

if TYPE_CHECKING:
    from minicnn.slips.resemblances import Close

Along = Callable[..., float]  # the finite difference along v; also one-sided: (v, ahead, back)


class GradientError(AssertionError):
    """A gradient that differs from finite differences; the message names the worst cell.

    Attributes:
        input: the number of the input whose gradient is wrong, from 0; None where it is not known.
        index: the cell that differs most; None for a gradient that is missing or of a wrong shape.
        backward: the wrong gradient; None if it is missing.
        differences: the gradient by finite differences, of the input's shape.
    """

    def __init__(
        self,
        message: str,
        input: int | None = None,
        index: tuple[int, ...] | None = None,
        backward: np.ndarray | None = None,
        differences: np.ndarray | None = None,
    ):
        super().__init__(message)
        self.input, self.index = input, index
        self.backward, self.differences = backward, differences


def gradcheck(
    fn: Callable[..., Tensor],
    inputs: Tensor | Sequence[Tensor],
    rtol: float = 1e-5,
    atol: float = 1e-7,
    directions: int = 3,
    seed: int = 0,
) -> bool:
    """Check the gradients of ``fn(*inputs)`` with respect to every input that requires one.

    For a random u, in the place of dy, and a random direction v,

        u · (fn(x + h v) - fn(x - h v)) / 2h  =  grad(x) · v      up to rounding and h².

    One number on each side checks all cells at once: a wrong cell changes the right side, unless v
    happens to be 0 there. u has to be random, since a special one can hide errors: with ones,
    softmax's gradient is zero. Everything is computed in float64, with h = 1e-6.

    A gradient that fails is compared cell by cell, with two calls of ``fn`` for each: check small
    inputs, whose sizes differ from each other. At a kink (relu at 0, a tie in max pooling) every
    slope between those of the two sides is right, and finite differences show only one of them: the
    check fails there, and says so.

    Running statistics of batch normalisation are put back, in a module that ``fn`` is or refers to.

    Args:
        fn: a function of tensors that returns a tensor, the same at every call (seed its random
            draws).
        inputs: its arguments, of any dtype; they are copied, not changed.
        rtol, atol: the allowed error, relative to the length of (grad * v), and absolute.
        directions: how many pairs (u, v) to try.

    Returns:
        True.

    Raises:
        GradientError: a gradient is wrong, not finite or missing, or cannot be checked: at a kink,
            where ``fn`` is not finite, inside ``no_grad``. The message names the input, the worst
            cell and both numbers, and says if the gradient is the right one flipped, transposed,
            times a constant, in another order, not summed or still in its padding; and if ``fn`` is
            a convolution, a pooling or a dense layer, which of the slips that can be computed
            (``minicnn.slips``) it has, if x, the weight and the bias are its inputs. The error has
            both gradients.
        ValueError: no input requires a gradient.
        TypeError: an input is not a tensor, or a module's parameters are not float64.
    """
    check_callable("gradcheck: fn", fn, "a function of tensors")
    if not isinstance(inputs, Tensor):
        check_is("gradcheck: inputs", inputs, list | tuple, "a tensor, or a list of tensors")
    for name, value in (("rtol", rtol), ("atol", atol)):
        check_number(f"gradcheck: {name}", value, 0)
    check_integer("gradcheck: directions", directions, 1)
    check_integer("gradcheck: seed", seed, 0)
    tensors = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(f"gradcheck: input {i} is a {type(x).__name__}; wanted a Tensor")
    for p in fn.parameters() if isinstance(fn, Module) else ():
        if p.dtype != np.float64:
            raise TypeError(
                f"gradcheck: the module's parameters are {p.dtype}; wanted fn.to('float64')"
            )
    xs = [_in_float64(x) for x in tensors]
    learnt = [i for i, x in enumerate(xs) if x.requires_grad]
    if not learnt:
        raise ValueError("gradcheck: no input has requires_grad=True")
    if not is_grad_enabled():
        raise GradientError("gradcheck: inside of no_grad() nothing is recorded; call it outside")
    rng = np.random.default_rng(seed)
    with _put_back(fn):
        for _ in range(directions):
            _check_along_a_direction(fn, xs, learnt, rng, rtol, atol)
    return True


def _check_along_a_direction(
    fn: Callable[..., Tensor],
    xs: Sequence[Tensor],
    learnt: Sequence[int],
    rng: np.random.Generator,
    rtol: float,
    atol: float,
) -> None:
    y = fn(*xs)
    if not y.requires_grad:
        raise GradientError("gradcheck: the result of fn depends on no input on the tape")
    before, u = y.numpy().copy(), rng.standard_normal(y.shape)
    if not np.isfinite(before).all():
        raise GradientError(
            f"gradcheck: fn gives {before[~np.isfinite(before)][0]} here, where finite differences "
            "say nothing; choose other inputs"
        )
    close = partial(_close, rtol, atol)
    gradients = _gradients(fn, xs, learnt, y, u, close)
    for i, grad in zip(learnt, gradients, strict=True):
        difference = partial(_difference, fn, xs, i, u)
        v = rng.standard_normal(xs[i].shape)
        if not _agrees(grad, v, difference, rtol, atol):
            _check_repeats(fn, xs, before)
            raise _error(
                i, _name(fn, i), grad, xs[i], difference, close, partial(_slip, fn, xs, i, u)
            )


def _gradients(
    fn: Callable[..., Tensor],
    xs: Sequence[Tensor],
    learnt: Sequence[int],
    y: Tensor,
    u: np.ndarray,
    close: Close,
) -> list[np.ndarray]:
    """The gradients of the inputs ``learnt``, as ``backward`` computes them from dy = ``u``."""
    for x in xs:
        x.grad = None
    dy = Tensor(u.copy(), device=y.device)
    try:
        y.backward(dy)
    except BackwardError as error:
        for i in learnt:
            if xs[i] is error.input and error.gradient.shape != xs[i].shape:
                gradient = Tensor(error.gradient).numpy()
                difference = partial(_difference, fn, xs, i, u)
                slip = partial(_slip, fn, xs, i, u)
                name = _name(fn, i)
                raise _error(i, name, gradient, xs[i], difference, close, slip) from None
        raise GradientError(f"gradcheck: {error}") from None
    if not np.array_equal(dy.numpy(), u):
        raise GradientError("gradcheck: backward writes into dy, which others use too; copy it")
    for i in learnt:
        if xs[i].grad is None:
            raise GradientError(f"gradcheck: {_name(fn, i)} received no gradient", i)
    return [xs[i].grad.numpy() for i in learnt]  # type: ignore[union-attr]


@contextmanager
def _put_back(fn: Callable[..., Tensor]) -> Iterator[None]:
    """Put back the buffers of modules, and the tensors, that ``fn`` is or refers to."""
    try:
        names = inspect.getclosurevars(fn)
        held = [*names.nonlocals.values(), *names.globals.values()]
    except (TypeError, ValueError):  # not written in Python; a name that has no value yet
        held = [fn]
    nets = [net for net in held if isinstance(net, Module)]
    buffers = [b for net in nets for module in net.modules() for b in module._buffers.values()]
    buffers += [x for x in held if isinstance(x, Tensor)]
    before = [buffer.data.copy() for buffer in buffers]
    try:
        yield
    finally:
        with no_grad():
            for buffer, array in zip(buffers, map(Tensor, before), strict=True):
                if not np.array_equal(buffer.numpy(), array.numpy(), equal_nan=True):
                    buffer.copy_(array)


def _in_float64(x: Tensor) -> Tensor:
    dtype = np.float64 if x.dtype.kind == "f" else x.dtype
    return Tensor(x.numpy().astype(dtype), x.requires_grad, device=x.device)


def _difference(
    fn: Callable[..., Tensor],
    xs: Sequence[Tensor],
    i: int,
    u: np.ndarray,
    v: np.ndarray,
    ahead: float = STEP,
    back: float = STEP,
) -> float:
    """u · (fn(..., x_i + ahead v, ...) - fn(..., x_i - back v, ...)) / (ahead + back)."""

    def along(h: float) -> np.ndarray:
        moved = list(xs)
        moved[i] = Tensor(xs[i].numpy() + h * v, device=xs[i].device)
        with no_grad():
            return fn(*moved).numpy()

    with np.errstate(all="ignore"):  # at the edge of where fn is defined
        return float((u * (along(ahead) - along(-back))).sum() / (ahead + back))


def _agrees(grad: np.ndarray, v: np.ndarray, difference: Along, rtol: float, atol: float) -> bool:
    """Whether grad · v is the finite difference along v, up to the allowed error."""
    if not np.isfinite(grad).all():
        return False
    expected, products = difference(v), grad * v
    allowed = atol + rtol * max(abs(expected), float(np.linalg.norm(products)))
    return math.isfinite(allowed) and bool(abs(products.sum() - expected) <= allowed)


# What is wrong ------------------------------------------------------------------------------------


def _cell_by_cell(shape: tuple[int, ...], difference: Along) -> np.ndarray:
    """The whole gradient by finite differences, cell by cell."""
    right = np.empty(shape)
    for index in np.ndindex(shape):
        v = np.zeros(shape)
        v[index] = 1
        right[index] = difference(v)
    return right


def _check_repeats(fn: Callable[..., Tensor], xs: Sequence[Tensor], y: np.ndarray) -> None:
    """Refuse a function that gives different results for the same inputs."""
    with no_grad():
        again = fn(*xs).numpy()
    if not np.array_equal(y, again):
        raise GradientError(
            "gradcheck: fn gives different results for the same inputs; seed its random draws, "
            "and keep it from writing into its inputs"
        )


def _name(fn: Callable[..., Tensor], i: int) -> str:
    """The input's number, and its name in ``fn`` if it has one: ``input 1 (w)``."""
    try:
        parameters = list(inspect.signature(fn).parameters.values())[: i + 1]
    except (TypeError, ValueError):
        parameters = []
    named = len(parameters) == i + 1 and all(p.kind < p.VAR_POSITIONAL for p in parameters)
    return f"input {i} ({parameters[i].name})" if named else f"input {i}"


def _close(rtol: float, atol: float, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where a is b, up to atol and rtol times the largest b; nowhere that a or b is nan."""
    largest = np.abs(b[np.isfinite(b)]).max(initial=0)
    with np.errstate(invalid="ignore"):  # inf - inf
        return np.abs(a - b) <= atol + rtol * largest


def _error(
    i: int,
    name: str,
    grad: np.ndarray,
    x: Tensor,
    difference: Along,
    close: Close,
    slip: Callable[[np.ndarray], str],
) -> GradientError:
    """The error: its message names the worst cell and, where possible, the cause."""
    from minicnn.slips.resemblances import where  # the slips are for who has a wrong gradient

    right = _cell_by_cell(x.shape, difference)
    cause = _cause(grad, right, close) or slip(grad)
    if grad.shape != right.shape:
        message = f"gradcheck: {name}: backward gives shape {grad.shape}, wanted {right.shape}"
        return GradientError(message + cause, i, None, grad, right)
    wrong = ~close(grad, right)
    with np.errstate(invalid="ignore"):  # inf - inf
        error = np.nan_to_num(np.abs(grad - right), nan=np.inf)
    worst = tuple(int(k) for k in np.unravel_index(error.argmax(), error.shape))
    message = f"gradcheck: {name}, index {worst}: backward gives {grad[worst]:.8g}, "
    slopes = _slopes(wrong, right, difference)
    if wrong.any() and close(grad, np.clip(grad, slopes.min(axis=0), slopes.max(axis=0))).all():
        back, ahead = (side[worst] for side in slopes)
        message += (
            f"but fn has a kink there, with slopes from {back:.8g} to {ahead:.8g}: any of these is "
            "right, and finite differences cannot say which; move the input off the kink (or tie)"
        )
    else:
        message += f"finite differences {right[worst]:.8g}" + (cause or where(wrong))
        if not np.isfinite(right[worst]):
            message += "; fn is not finite on both sides there, choose other inputs"
    return GradientError(message, i, worst, grad, right)


def _cause(grad: np.ndarray, right: np.ndarray, close: Close) -> str:
    """What the wrong gradient has in common with the right one, in words; "" if nothing."""
    from minicnn.slips.resemblances import resemblance
    from minicnn.slips.words import said

    found = resemblance(grad, right, close)
    if found is None or found.key == "zero":
        return f"; {said('zero')}" if found else ""
    parts = [said(found.key, **found.values)] if found.key else []
    parts += [said("times", factor=found.factor)] if found.factor else []
    return f"; it is the right gradient {said('and').join(parts)}"


def _slip(
    fn: Callable[..., Tensor], xs: Sequence[Tensor], i: int, u: np.ndarray, grad: np.ndarray
) -> str:
    """The slip in the gradient of an operation that is seen by its result; "" if there is none."""
    from minicnn import slips
    from minicnn.slips.recognise import recognise
    from minicnn.slips.words import said

    arrays = [x.numpy() for x in xs]
    with no_grad():
        known = recognise(arrays, fn(*xs).numpy(), u, slips.close)
    if known is None:
        return ""
    found = slips.fitting([grad], [known.arguments[i]], known.slips[i])
    return f"; as a gradient of {known.name} with a slip: {said(found[0])}" if found else ""


def _slopes(wrong: np.ndarray, right: np.ndarray, difference: Along) -> np.ndarray:
    """The slopes towards smaller and larger values, (2, ...), one-sided where cells look wrong."""
    slopes = np.stack([right, right])
    for place in map(tuple, np.argwhere(wrong)):
        v = np.zeros(right.shape)
        v[place] = 1
        slopes[0, *place], slopes[1, *place] = difference(v, ahead=0), difference(v, back=0)
    return slopes
