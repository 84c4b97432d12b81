"""What a cell shows, as Jupyter keeps it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# Pictures that are kept as files, and how these are called.
SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/svg+xml": ".svg"}


@dataclass
class Output:
    """One output: a ``kind`` of the notebook format, and what that kind holds.

    ``name`` is the display id under which a later display may replace it.
    """

    kind: str
    content: dict[str, Any]
    name: str | None = None


@dataclass
class Outputs:
    """The outputs of one cell, in their order."""

    shown: list[Output] = field(default_factory=list)
    _clear_at_next: bool = False

    def stream(self, name: str, text: str) -> None:
        """Text on "stdout" or "stderr"; what follows in the same stream is added to it."""
        self._clear_if_asked()
        last = self.shown[-1] if self.shown else None
        if last is not None and last.kind == "stream" and last.content["name"] == name:
            last.content["text"] += text
        elif text:
            self.shown.append(Output("stream", {"name": name, "text": text}))

    def display(self, kind: str, data: Any, metadata: Any, name: str | None = None) -> None:
        """A "display_data" or an "execute_result": forms of one thing, by their MIME types."""
        self._clear_if_asked()
        self.shown.append(Output(kind, {"data": in_json(data), "metadata": metadata or {}}, name))

    def update(self, name: str, data: Any, metadata: Any) -> None:
        """Replace what was displayed under a display id."""
        for output in self.shown:
            if output.name == name:
                output.content = {"data": in_json(data), "metadata": metadata or {}}

    def error(self, kind: str, message: str, traceback: list[str]) -> None:
        """The error that ended the cell."""
        self._clear_if_asked()
        content = {"ename": kind, "evalue": message, "traceback": traceback}
        self.shown.append(Output("error", content))

    def clear(self, wait: bool) -> None:
        """Take all away: at once, or when the next output comes."""
        self._clear_at_next = wait
        if not wait:
            self.shown.clear()

    def _clear_if_asked(self) -> None:
        if self._clear_at_next:
            self.clear(wait=False)

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """The suffix and the content of a file for each picture that is shown."""
        for output in self.shown:
            data = output.content.get("data", {})
            kind = next((kind for kind in SUFFIXES if kind in data), None)
            if kind == "image/svg+xml":
                yield SUFFIXES[kind], data[kind].encode()
            elif kind is not None:
                yield SUFFIXES[kind], base64.b64decode(data[kind])


def in_json(data: dict[str, Any]) -> dict[str, Any]:
    """The forms of a display, with bytes as base64."""
    return {
        kind: base64.b64encode(form).decode() if isinstance(form, bytes) else form
        for kind, form in data.items()
    }
