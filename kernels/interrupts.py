"""Ctrl-C, held back for a moment.

Python raises ``KeyboardInterrupt`` between any two instructions. There are moments when nobody
could answer it: a result has just been taken out of a queue and has no name yet; a thread is still
writing into an array; LLVM calls back into Python, from where nothing can be raised. ``held`` keeps
the interrupt until such a moment is over.
"""

from __future__ import annotations

import threading
from _signal import SIGINT, getsignal, signal  # what ``signal`` wraps, without 10 µs for its enums
from contextlib import ContextDecorator
from typing import Any, Self


class held(ContextDecorator):  # noqa: N801 (read as a word: with held())
    """``with held():`` a Ctrl-C inside is answered at the end; a second one at once.

    Also a decorator. Only the main thread is ever interrupted, so elsewhere nothing happens. One
    inside another adds nothing: the outer one's end is the end.
    """

    def __enter__(self) -> Self:
        self.came: tuple[Any, ...] | None = None
        self.before: Any = None
        if _on_main_thread():
            handler = getsignal(SIGINT)
            if callable(handler) and not isinstance(getattr(handler, "__self__", None), held):
                self.before = handler
                signal(SIGINT, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        if self.before is not None:
            signal(SIGINT, self.before)
            self._answer()

    def _recreate_cm(self) -> held:
        return held()  # a decorated function may be called by itself, or by several threads

    def _note(self, *signal_and_frame: Any) -> None:
        self._answer()
        self.came = signal_and_frame

    def _answer(self) -> None:
        if self.came is not None:
            came, self.came = self.came, None
            self.before(*came)


def answer_now() -> None:
    """Answer a Ctrl-C that is being held back: here nothing is left half done."""
    if _on_main_thread():
        holder = getattr(getsignal(SIGINT), "__self__", None)
        if isinstance(holder, held):
            holder._answer()


def is_waiting() -> bool:
    """Whether a Ctrl-C is being held back."""
    holder = getattr(getsignal(SIGINT), "__self__", None)
    return isinstance(holder, held) and holder.came is not None


def _on_main_thread() -> bool:
    return threading.get_ident() == threading.main_thread().ident
