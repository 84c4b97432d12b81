"""Several threads of a test's own, at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


def in_threads(threads: int, work: Callable[[int], Any]) -> None:
    """``work(number)`` in each of the threads, begun at once; what one raises is raised here."""
    start, errors = threading.Barrier(threads), list[BaseException]()

    def run(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    team = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    if errors:
        raise errors[0]
