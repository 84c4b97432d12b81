"""What a version of an operation is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from minicnn.kernels.cpu import threads

from .layer import Inputs, Layer


class Work(NamedTuple):
    """One direction of a version, ready to be called again and again.

    Attributes:
        run: computes it; this is what is timed.
        read: what ``run`` returned as plain arrays, in the layout of the definition.
    """

    run: Callable[[], Any]
    read: Callable[[Any], Any] = lambda result: result


Works = dict[str, Work]  # of each direction: "forward", "dW", "dX"


class Version(NamedTuple):
    """One way to compute an operation.

    Attributes:
        name: of the version.
        changed: what it does otherwise than the version before.
        make: takes a layer and its arrays, gets ready what is not timed.
        once: it is so slow that one image is timed, once.
        on_gpu: it is timed on a GPU only.
    """

    name: str
    changed: str
    make: Callable[[Layer, Inputs], Works]
    once: bool = False
    on_gpu: bool = False


def alone(loop: Callable[..., None], count: int, *arguments: Any) -> None:
    """All of 0..count-1 on this thread."""
    loop(0, count, *arguments)


def shared(loop: Callable[..., None], count: int, *arguments: Any) -> None:
    """A piece of 0..count-1 on each thread."""
    threads.share(loop, count, threads.WORTH_SHARING, *arguments)
