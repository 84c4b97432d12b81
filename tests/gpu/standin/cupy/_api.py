"""What CuPy has: its names, and what its functions may be called with (``snapshot.py``)."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

SNAPSHOT: dict[str, dict[str, str | None]] = json.loads(
    (Path(__file__).parent / "api.json").read_text()
)


def check_call(place: str, name: str, args: Any, kwargs: Any) -> None:
    """Refuse arguments that CuPy's function of this name does not take.

    Raises:
        TypeError: as from the call of that function.
    """
    function = _of_same_parameters(place, name)
    try:
        function(*args, **kwargs)
    except TypeError as error:
        raise TypeError(
            f"{place}.{name}{SNAPSHOT[place][name]}: {error}".replace("<lambda>() ", "")
        ) from None


@cache
def _of_same_parameters(place: str, name: str) -> Callable[..., None]:
    parameters = SNAPSHOT[place][name] or "(*args, **kwargs)"
    return eval(f"lambda {parameters[1:-1]}: None")
