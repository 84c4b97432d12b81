"""Writes standin/cupy/api.json: the names that CuPy has, and the parameters of its functions.

Run it where CuPy is installed (a GPU is not needed), once for each version:

    python tests/gpu/snapshot.py
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

PLACES = (
    "cupy",
    "cupy.ndarray",
    "cupy.ufunc",
    "cupy.RawKernel",
    "cupy.RawModule",
    "cupy.cuda",
    "cupy.cuda.Device",
    "cupy.cuda.Event",
    "cupy.cuda.Graph",
    "cupy.cuda.Stream",
    "cupy.cuda.runtime",
)


def parameters(thing: Any) -> str | None:
    """As "(a, axis=Ellipsis)": Ellipsis for any default. None: unknown, or not a function."""
    if type(thing).__name__ == "ufunc":
        inputs = ", ".join(f"x{i + 1}" for i in range(thing.nin))
        return f"({inputs}, out=Ellipsis, *, dtype=Ellipsis, casting=Ellipsis)"
    if not callable(thing):
        return None
    try:
        return _without_defaults(inspect.signature(thing))
    except (TypeError, ValueError):
        return _from_docstring(thing.__doc__ or "")


def _without_defaults(signature: inspect.Signature) -> str:
    short = [
        p.replace(annotation=p.empty, default=p.empty if p.default is p.empty else ...)
        for p in signature.parameters.values()
        if p.name != "self"
    ]
    return str(inspect.Signature(short))


def _from_docstring(text: str) -> str | None:
    """From the first line that Cython writes: "_ndarray_base.sum(self, int axis=0) -> x"."""
    head = re.match(r"[\w.]+\((.*)\)( -> .*)?$", text.strip().partition("\n")[0])
    if head is None:
        return None
    names = []
    for part in re.sub(r"=\([^)]*\)", "=()", head[1]).split(", "):
        name, has_default, _ = part.partition("=")
        names.append(name.split()[-1] + "=Ellipsis" * bool(has_default) if name else "")
    return f"({', '.join(name for name in names if name != 'self')})"


def snapshot(cupy: Any) -> dict[str, dict[str, str | None]]:
    """Of every place: its public names and what they are called with."""
    places: dict[str, dict[str, str | None]] = {"version": {cupy.__version__: None}}
    for place in PLACES:
        thing = cupy
        for name in place.split(".")[1:]:
            thing = getattr(thing, name)
        public = [name for name in dir(thing) if not name.startswith("_")]
        places[place] = {name: parameters(getattr(thing, name)) for name in public}
    places["cupy.ndarray"].update({name: None for name in dir(cupy.ndarray) if name[:2] == "__"})
    return places


if __name__ == "__main__":
    import cupy

    path = Path(__file__).parent / "standin" / "cupy" / "api.json"
    path.write_text(json.dumps(snapshot(cupy), indent=0, sort_keys=True) + "\n")
