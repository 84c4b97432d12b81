"""What the page holds of each state of a training: one row of float32."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

import numpy as np

from minicnn.train.kept import KeptState

from ..page.grid import TooLargeError

MOST_BYTES = 11_500_000  # of all states, as base64


class State(NamedTuple):
    """A net on a picture at one state of its training, and what was kept of that state."""

    followed: Any
    kept: KeptState | None = None


class Entry(NamedTuple):
    """An array in the row of a state.

    Attributes:
        source: ``"arrays"`` or ``"kept"`` of ``Followed``, ``"gradient"`` or ``"velocity"`` of
            ``KeptState``.
        name: in there.
        shape: its own.
        offset: where it begins in the row.
    """

    source: str
    name: str
    shape: tuple[int, ...]
    offset: int = 0

    @property
    def size(self) -> int:
        """How many cells it has."""
        return int(np.prod(self.shape))


def entries(followed: Any, updates: bool, momentum: bool) -> dict[tuple[str, str], Entry]:
    """What stands in a row, by source and name.

    A dense layer's dW is left out: of one picture it is dy times x.

    Args:
        updates: whether to hold the batch's gradient of the next update, too.
        momentum: and what the optimiser keeps for it.
    """
    outer = {f"{layer.name}.dW" for layer in followed.layers if layer.kind == "dense"}
    found = [Entry("arrays", n, a.shape) for n, a in followed.arrays.items() if n not in outer]
    found += [Entry("kept", n, a.shape) for n, a in followed.kept.items() if n.endswith("winner")]
    for source, wanted in (("gradient", updates), ("velocity", updates and momentum)):
        for layer in followed.layers if wanted else ():
            for own, name in layer.parameters.items():
                found.append(Entry(source, name, followed.arrays[own].shape))
    placed, offset = {}, 0
    for entry in found:
        placed[entry.source, entry.name] = entry._replace(offset=offset)
        offset += entry.size
    return placed


def row(state: State, layout: dict[tuple[str, str], Entry]) -> str:
    """A state's cells in base64; nan for an update that never came."""
    parts = []
    for (source, name), entry in layout.items():
        place = state.followed if source in ("arrays", "kept") else state.kept
        known = {} if place is None else getattr(place, source)
        parts.append(np.ravel(known.get(name, np.full(entry.shape, np.nan))))
    return base64.b64encode(np.concatenate(parts).astype("<f4").tobytes()).decode()


def how_many_fit(layout: dict[tuple[str, str], Entry]) -> int:
    """How many states a page can hold.

    Raises:
        TooLargeError: not even one.
    """
    cells = sum(entry.size for entry in layout.values())
    count = MOST_BYTES // (4 * ((4 * cells + 2) // 3))
    if count < 1:
        raise TooLargeError(f"the net has {cells:,} cells and gradients, too many for a page")
    return count


def spread(items: list[Any], count: int) -> list[Any]:
    """``count`` of the items, evenly, with the last one; and the first, if there are two."""
    if len(items) <= count:
        return items
    if count == 1:
        return items[-1:]
    return [items[round(k * (len(items) - 1) / (count - 1))] for k in range(count)]
