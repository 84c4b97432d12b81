"""mxnet.autograd: what is recorded, and the way back.

MXNet records only inside ``record()``. A variable (``x.attach_grad()``, or a layer's parameter) has
a gradient from the beginning, zeros; each ``backward`` replaces it, or with ``grad_req='add'``
adds to it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from minicnn import tape
from minicnn.functions import ones_like, zeros_like
from minicnn.nn import Parameter
from minicnn.tensor import Tensor, enable_grad, no_grad

from .context import MXNetError

NOT_RECORDED = (
    "backward(): nothing recorded leads here. Compute the loss inside 'with autograd.record():', "
    "from an array with attach_grad() or from a net's output. (A second backward() through the "
    "same record needs retain_graph=True in the first.)"
)
WRITTEN_SINCE = (
    "backward(): an array that was computed with in the record has been written to since (X += 1, "
    "X[:] = Y, trainer.step); call backward() before that, or make a new array: Z = X + 1"
)
IN_PLACE = (
    "{what}: what is written, or written to, is part of the record, which needs its numbers as "
    "they are; inside autograd.record() write y = y + 1, in-place changes outside of it"
)


class _State(threading.local):
    recording = False
    training = False


_state = _State()


def is_recording() -> bool:
    """Whether what is computed now can be differentiated."""
    return _state.recording


def is_training() -> bool:
    """Whether layers compute as in training: dropout drops, batch norm uses the batch."""
    return _state.training


class _Mode:
    """``with`` it, recording and training are as given; None leaves one as it is."""

    def __init__(self, recording: bool | None, training: bool | None):
        self.wanted = recording, training
        self.before: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self.before.append((_state.recording, _state.training))
        recording, training = self.wanted
        _state.recording = _state.recording if recording is None else recording
        _state.training = _state.training if training is None else training

    def __exit__(self, *exception: object) -> None:
        _state.recording, _state.training = self.before.pop()


def record(train_mode: bool = True) -> _Mode:
    """``with record():`` what is computed can be differentiated, and layers train."""
    return _Mode(True, train_mode)


def pause(train_mode: bool = False) -> _Mode:
    """``with pause():`` nothing is recorded."""
    return _Mode(False, train_mode)


def train_mode() -> _Mode:
    """``with train_mode():`` layers compute as in training; recording or not stays as it is."""
    return _Mode(None, True)


def predict_mode() -> _Mode:
    """``with predict_mode():`` layers compute as in prediction; recording stays as it is."""
    return _Mode(None, False)


def reset() -> None:
    """Record nothing, whatever ``record()`` is still open."""
    _state.recording = _state.training = False


def as_recorded() -> Any:
    """For the engine's computations: on its tape exactly while MXNet would record."""
    return enable_grad() if _state.recording else no_grad()


# Variables ----------------------------------------------------------------------------------------


class Variable(Parameter):
    """A leaf whose gradient exists from the beginning and is written as ``grad_req`` says.

    Attributes:
        gradient: always the same tensor; ``backward`` gives it new numbers.
        is_fresh: whether ``backward`` has written it since the last step of a trainer.
    """

    __slots__ = ("grad_req", "gradient", "is_fresh")

    def __init__(self, data: Any, grad_req: str = "write"):
        super().__init__(data, requires_grad=grad_req != "null")
        self.grad_req = checked(grad_req)
        self.gradient = zeros_like(self)
        self.is_fresh = False

    def take_gradient(self) -> None:
        """Move what the engine's backward has left in ``grad`` to ``gradient``."""
        if self.grad is None:
            return
        added = self.grad_req == "add"
        self.gradient.data = self.gradient.data + self.grad.data if added else self.grad.data
        self.grad, self.is_fresh = None, True


def check_mode(train_mode: bool) -> None:
    """Refuse gradients of another mode than the recorded one.

    Raises:
        ValueError: ``train_mode`` is false.
    """
    if not train_mode:
        raise ValueError(
            f"backward: train_mode is {train_mode}; wanted True: gradients are those of what was "
            "recorded, for which write autograd.record(train_mode=False)"
        )


def checked(grad_req: str) -> str:
    """``grad_req``, if it is one.

    Raises:
        ValueError: none of the three.
    """
    if grad_req not in ("write", "add", "null"):
        raise ValueError(f"grad_req is {grad_req!r}; wanted 'write', 'add' or 'null'")
    return grad_req


# The way back -------------------------------------------------------------------------------------


def run_backward(
    heads: Sequence[Tensor], gradients: Sequence[Tensor | None], retain_graph: bool
) -> None:
    """Write the gradients of sum(head * gradient) into the variables that the heads come from.

    A gradient of None is ones, so that a vector's cells are added up.

    Raises:
        MXNetError: a head that nothing recorded leads to, or numbers changed since.
    """
    if any(head.node is None for head in heads):
        raise MXNetError(NOT_RECORDED)
    variables = _variables_of(heads)
    try:
        for i, (head, gradient) in enumerate(zip(heads, gradients, strict=True)):
            keep = retain_graph or i + 1 < len(heads)
            head.backward(ones_like(head) if gradient is None else gradient, keep)
    except RuntimeError as error:
        raise MXNetError(_in_words_of_mxnet(str(error))) from None
    for variable in variables:
        variable.take_gradient()


def _in_words_of_mxnet(message: str) -> str:
    """What to do about an error of the engine's tape."""
    if "freed" in message:
        return NOT_RECORDED
    return WRITTEN_SINCE if "changed in place" in message else message


def _inputs_with_gradients(tensor: Tensor) -> list[Tensor]:
    edges = () if tensor.node is None else tensor.node.edges()
    return [x for x, needed in edges if needed]


def _variables_of(heads: Sequence[Tensor]) -> list[Variable]:
    found: dict[int, Variable] = {}
    for head in heads:
        for tensor in tape.in_order_of_computation(head, _inputs_with_gradients):
            if isinstance(tensor, Variable):
                found[id(tensor)] = tensor
    return list(found.values())


def backward(
    heads: Any, head_grads: Any = None, retain_graph: bool = False, train_mode: bool = True
) -> None:
    """Gradients of several arrays at once, added up: ``backward([l1, l2])``.

    Raises:
        MXNetError: nothing recorded leads to one of them, or what was recorded has been written to.
        ValueError: ``train_mode`` is false.
    """
    check_mode(train_mode)
    if not isinstance(heads, list | tuple):
        heads, head_grads = [heads], [head_grads]
    gradients = [None] * len(heads) if head_grads is None else head_grads
    run_backward(
        [head.tensor for head in heads],
        [None if g is None else g.tensor for g in gradients],
        retain_graph,
    )


def grad(
    heads: Any,
    variables: Any,
    head_grads: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    train_mode: bool = True,
) -> list[Any]:
    """The gradients of ``variables``, a list of new arrays; ``x.grad`` stays as it was.

    Raises:
        ValueError: ``create_graph``: gradients of gradients are not here; ``train_mode`` is false.
        MXNetError: as ``backward``; a variable without ``attach_grad``.
    """
    if create_graph:
        raise ValueError("autograd.grad: create_graph=True is not here; leave it out")
    several = variables if isinstance(variables, list | tuple) else [variables]
    kept = []
    for variable in several:
        leaf = variable.tensor
        if not isinstance(leaf, Variable):
            raise MXNetError("autograd.grad: a variable has no gradient; call its attach_grad()")
        kept.append((leaf, leaf.gradient.data, leaf.grad_req))
        leaf.grad_req, leaf.gradient.data = "write", zeros_like(leaf).data
    try:
        backward(heads, head_grads, bool(retain_graph), train_mode)
        found = [v._of(Tensor(v.tensor.gradient.data)) for v in several]
    finally:
        for leaf, data, grad_req in kept:
            leaf.gradient.data, leaf.grad_req = data, grad_req
    return found
