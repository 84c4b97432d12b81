"""The tape: how each tensor was computed, and the way back through it.

A tensor that was computed from others, and may need a gradient, has a ``Node``: the operation and
its inputs. Together the nodes form the tape, from the loss back to the leaves:

    x ── Linear ── Sigmoid ── SoftmaxCrossEntropy ── loss
           w,b                       target

``minicnn.tensor.apply`` makes the nodes. ``backward`` walks from the loss towards the leaves: it
hands each operation dy, the gradient of the loss with respect to its result, and adds what comes
back to the gradients of its inputs. What draws or compiles a tape reads the nodes too.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from minicnn.dtypes import is_array
from minicnn.kernels import Array
from minicnn.ops import RESULT, Operation

if TYPE_CHECKING:
    from minicnn.tensor import Tensor


numbers = itertools.count()  # of the nodes: one that was computed later has a larger number


class Node(NamedTuple):
    """How a tensor was computed: ``operation.forward(*inputs)``, and when (by ``clock``)."""

    operation: Operation
    inputs: tuple[Tensor, ...]
    when: int
    number: int  # see ``numbers``

    def edges(self) -> Iterator[tuple[Tensor, bool]]:
        """The inputs, and whether each needed a gradient when the operation was recorded."""
        return zip(self.inputs, self.operation.needs_gradient, strict=True)


# Whether to record --------------------------------------------------------------------------------


class _Mode(threading.local):
    def __init__(self) -> None:
        self.recording = True
        self.before: list[bool] = []  # of every no_grad() and enable_grad() that is open
        self.looked_at: list[Tensor] | None = None  # see ``looks_noted``


mode = _Mode()


class _Recording(contextlib.ContextDecorator):
    wanted: bool

    def __enter__(self) -> None:
        mode.before.append(mode.recording)
        mode.recording = self.wanted

    def __exit__(self, *exception: object) -> None:
        mode.recording = mode.before.pop()


class no_grad(_Recording):  # noqa: N801 (PyTorch's name)
    """``with no_grad():`` computes without recording; also a decorator. For this thread only."""

    wanted = False


class enable_grad(_Recording):  # noqa: N801 (PyTorch's name)
    """``with enable_grad():`` records again inside ``no_grad``."""

    wanted = True


def is_grad_enabled() -> bool:
    """Whether operations are recorded on the tape now."""
    return mode.recording


@contextlib.contextmanager
def looks_noted() -> Iterator[list[Tensor]]:
    """Inside, the list collects the tensors whose numbers this thread reads (``item``, ``if``)."""
    before, mode.looked_at = mode.looked_at, []
    try:
        yield mode.looked_at
    finally:
        mode.looked_at = before


# When numbers changed -----------------------------------------------------------------------------


class _Clock:
    """Advances by one whenever the numbers of a tensor change."""

    now = 0


clock = _Clock()


def share_clock(result: Tensor, inputs: tuple[Tensor, ...]) -> None:
    """Let a view (``w.T``, ``w[0]``) count as changed when the tensor whose memory it shares is."""
    array, owner = result._data, result._data.base
    for x in inputs:
        source = x._data
        if array is source or (owner is not None and (owner is source or owner is source.base)):
            result._written = x._written


def _check_unchanged(node: Node, result: Tensor) -> None:
    """Refuse to go back through numbers that are no longer those of the forward pass."""
    arrays = [*node.inputs, result]
    for i in node.operation.arrays_read():
        if arrays[i]._written[0] > node.when:
            what = "result" if i == RESULT else f"input {i} of shape {node.inputs[i].shape}"
            raise RuntimeError(
                f"backward(): {node.operation.name} needs its {what} as it was in the forward "
                "pass, and it was changed in place since (by an optimiser, an initialiser, "
                "load_state_dict, data = ... or arithmetic); call backward() before that, or "
                "compute the forward pass again"
            )


# The way back -------------------------------------------------------------------------------------


def in_order_of_computation(
    last: Tensor, inputs_of: Callable[[Tensor], Iterable[Tensor]]
) -> list[Tensor]:
    """All tensors that ``last`` was computed from, each once, inputs before results.

    Depth first, with a stack of our own: Python's would overflow after a thousand operations. Each
    tensor is taken off the stack twice: first its inputs are put on it, then they are done.

    Args:
        inputs_of: the inputs of a tensor to follow, the last of them first; may refuse the tensor.
    """
    order: list[Tensor] = []
    seen: set[int] = set()
    stack = [(last, False)]
    while stack:
        tensor, inputs_are_done = stack.pop()
        if inputs_are_done:
            order.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            stack.append((tensor, True))
            stack.extend((x, False) for x in inputs_of(tensor))
    return order


def backward(last: Tensor, gradient: Array, retain_graph: bool) -> None:
    """Add to ``grad`` of every leaf its gradient; ``gradient`` is that of ``last``.

    See ``Tensor.backward``.
    """
    gradients = {id(last): gradient}
    ours: set[int] = set()  # of these tensors nobody else holds the gradient
    order = in_order_of_computation(last, _inputs_that_need_gradients)
    while order:  # a tensor that is done leaves the list, and its memory may be freed
        tensor = order.pop()
        dy = gradients.pop(id(tensor))
        if tensor.node is None or tensor._keeps_grad:
            tensor._accumulate(dy, is_new=id(tensor) in ours)
        if tensor.node is None:
            continue
        operation = tensor.node.operation
        dinputs = _checked(tensor.node, operation.backward(dy))
        for (x, needed), dx in zip(tensor.node.edges(), dinputs, strict=True):
            if not needed:
                continue
            if operation.gives_new_arrays or id(x) in gradients:
                ours.add(id(x))
            gradients[id(x)] = gradients[id(x)] + dx if id(x) in gradients else dx
        if not retain_graph:
            tensor.node, tensor._freed = None, True


def _inputs_that_need_gradients(tensor: Tensor) -> Sequence[Tensor]:
    if tensor._freed:
        raise RuntimeError(
            "backward(): this part of the tape was freed by an earlier backward(); call that "
            "with retain_graph=True, or compute the forward pass again"
        )
    if tensor.node is None:
        return ()
    if tensor.node.when != clock.now:
        _check_unchanged(tensor.node, tensor)
    return [x for x, needed in tensor.node.edges() if needed]


class BackwardError(RuntimeError):
    """An operation's ``backward`` returned an array of another shape or dtype than the input.

    Attributes:
        input: the tensor whose gradient it was to be.
        gradient: what was returned for it.
    """

    def __init__(self, message: str, input: Tensor, gradient: Array):
        super().__init__(message)
        self.input, self.gradient = input, gradient


def _checked(node: Node, returned: Any) -> Sequence[Array | None]:
    """The gradients, one per input, that a backward returned which anybody may have written."""
    dinputs = [returned] if len(node.inputs) == 1 else returned
    if not isinstance(dinputs, tuple | list) or len(dinputs) != len(node.inputs):
        count = f"{len(dinputs)} gradients" if isinstance(dinputs, tuple | list) else "no tuple"
        raise RuntimeError(
            f"{node.operation.name}.backward: returned {count}; wanted a gradient for each of its "
            f"{len(node.inputs)} inputs"
        )
    for i, ((x, needed), dx) in enumerate(zip(node.edges(), dinputs, strict=True)):
        array = x._data
        if needed and type(dx) is not type(array) and not is_array(dx):
            raise RuntimeError(
                f"{node.operation.name}.backward: the gradient of input {i} is a "
                f"{type(dx).__name__}; wanted an array"
            )
        if needed and (dx.shape != array.shape or dx.dtype != array.dtype):
            raise BackwardError(
                f"{node.operation.name}.backward: the gradient of input {i} is {dx.dtype} of shape "
                f"{dx.shape}; wanted {array.dtype} of shape {array.shape}, as the input",
                x,
                dx,
            )
    return dinputs
