"""The page that follows a number: every array of a net, at every state that was kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import page
from ..page.grid import TooLargeError
from ..words import Sentence, as_data, as_html
from .net import Layer, gradient_of
from .states import Entry, State, entries, how_many_fit, row

SCRIPTS = (
    *("page/base.js", "page/words.js", "follow/arrays.js", "follow/layers.js", "follow/paths.js"),
    *("follow/draw.js", "follow/time.js", "follow/sum.js", "follow/walk.js", "follow/start.js"),
)
FORWARD: dict[str, str] = {  # y of a layer of each kind; what needs words is a sentence
    "conv": "y = b + Σ W · x",
    "dense": "y = b + Σ W · x",
    "max_pool": Sentence("pool.max_forward"),
    "avg_pool": Sentence("pool.avg_forward"),
    "sigmoid": "y = 1 / (1 + exp(−x))",
    "relu": "y = max(x, 0)",
    "tanh": "y = tanh x",
}
BACKWARD: dict[str, str] = {
    "conv": "dW = Σ dy · x \u2003 db = Σ dy \u2003 dx = Σ dy · W",
    "dense": "dW = dy · x \u2003 db = dy \u2003 dx = Σ dy · W",
    "max_pool": Sentence("pool.max_backward"),
    "avg_pool": Sentence("pool.avg_backward"),
    "sigmoid": "dx = dy · y · (1 − y)",
    "relu": "dx = dy (y > 0)",
    "tanh": "dx = dy · (1 − y²)",
}
LOSS = "p = exp(z) / Σ exp(z) \u2003 L = −log p[t] \u2003 dz = p − t"
TITLES: dict[str, Sentence] = {
    "x": Sentence("follow.x"),
    "W": Sentence("follow.weights"),
    "b": Sentence("page.bias"),
    "y": Sentence("page.y"),
    "p": Sentence("follow.p"),
    "t": Sentence("loss.right"),
    "L": Sentence("follow.loss"),
    "dx": Sentence("follow.dx"),
    "dW": Sentence("follow.dweights"),
    "db": Sentence("page.dbias"),
    "dy": Sentence("follow.dy"),
}
FAMILIES = {"W": "weight", "b": "weight"}


def page_of(
    states: Sequence[State],
    about: str = "",
    classes: Sequence[str] = (),
    of: int = 0,
    language: str | None = None,
) -> str:
    """The page of a net on a picture, at the states of its training.

    Args:
        states: in order; the page begins with the last one.
        about: what the picture is.
        classes: their names; their numbers without them.
        of: how many states were kept, of which these are shown.
        language: as in ``page.write``.

    Raises:
        TooLargeError: more states than ``states.how_many_fit``.
    """
    followed = states[-1].followed
    steps = [state.kept.step for state in states if state.kept and state.kept.step]
    layout = entries(followed, bool(steps), any(step["momentum"] for step in steps))
    fit = how_many_fit(layout)
    if len(states) > fit:
        raise TooLargeError(f"{len(states)} states are too many for a page, which holds {fit}")
    layers = followed.layers
    data = {
        "grids": grids_of(followed, layout),
        "layers": [
            {"name": layer.name, "kind": layer.kind, "below": layer.below, **made.geometry()}
            for layer, made in zip(layers, followed.made, strict=True)
        ],
        "winners": {n: e.offset for (source, n), e in layout.items() if source == "kept"},
        "states": [_about_state(state) for state in states],
        "of": of,
        "label": followed.label,
        "classes": list(classes),
        "language": language,
        "start": _start(followed),
    }
    parts = {
        "example": as_html(about),
        "sections": "\n".join(_sections(followed)),
        "links": "\n".join(map(_link, ("x", *(layer.name for layer in layers), "L"))),
        "style": page.read("page/page.css") + page.read("follow/follow.css"),
        "data": page.as_json(data),
        "script": page.in_order(*SCRIPTS),
    }
    whole = page.whole("follow/follow.html", Sentence("follow.title"), parts, language)
    rows = "\n".join(
        f'<script class="state" type="text/plain">{row(state, layout)}</script>' for state in states
    )
    return whole.replace("<!-- states -->", rows)  # last: these megabytes hold no sentence


def _start(followed: Any) -> list[Any]:
    """The cell that is shown first: the middle of the first kernel, or the largest dW."""
    name = f"{followed.layers[0].name}.dW"
    if name not in followed.arrays:
        return ["dx", 0]
    array = followed.arrays[name]
    largest = int(np.abs(array).argmax())
    h, w = array.shape[-2:]
    return [name, h // 2 * w + w // 2 if array.ndim == 4 else largest]


def _about_state(state: State) -> dict[str, Any]:
    if state.kept is None:
        return {}
    return {"update": state.kept.update, **state.kept.step}


def grids_of(followed: Any, layout: dict[tuple[str, str], Entry]) -> list[dict[str, Any]]:
    """What the scripts need to know about each array.

    ``offset``: where it stands in a state's row; without one it is the product of the arrays in
    ``outer``. ``layer``: the layer's number; -1 for the picture, and after the last for the loss.
    """
    found = []
    for name, array in followed.arrays.items():
        owner, _, role = name.rpartition(".")
        numbers = [k for k, layer in enumerate(followed.layers) if layer.name == owner]
        outside = -1 if role in ("x", "dx") else len(followed.layers)
        entry = layout.get(("arrays", name))
        spec = {
            "grid": name,
            "role": role,
            "title": as_data(TITLES[role]),
            "family": "gradient" if role.startswith("d") else FAMILIES.get(role, "x"),
            "shape": array.shape,
            "layer": numbers[0] if numbers else outside,
            "partner": _partner(name, followed.arrays),
            "offset": entry.offset if entry else None,
        }
        if numbers:
            spec |= _of_layer(name, followed.layers[numbers[0]], layout)
        found.append(spec)
    return found


def _of_layer(name: str, layer: Layer, layout: dict[tuple[str, str], Entry]) -> dict[str, Any]:
    """What only the arrays of a layer have: the factors of an outer product, a next update."""
    spec: dict[str, Any] = {}
    if ("arrays", name) not in layout:
        spec["outer"] = [f"{layer.name}.dy", layer.below]
    for source in ("gradient", "velocity"):
        entry = layout.get((source, layer.parameters.get(name, "")))
        if entry:
            spec[source] = entry.offset
    return spec


def _partner(name: str, arrays: dict[str, Any]) -> str | None:
    """The gradient of an array, or the array of a gradient."""
    owner, dot, role = name.rpartition(".")
    other = f"{owner}{dot}{role[1:]}" if role.startswith("d") else gradient_of(name)
    return other if other in arrays else None


# The sections -------------------------------------------------------------------------------------


def _sections(followed: Any) -> list[str]:
    """One for the picture, one for each layer, one for the loss."""
    first = _section("x", "<h2>x</h2>", "", ["x"], ["dx"])
    last = _section("L", "<h2>L</h2>", LOSS, ["p", "t", "L"], [])
    middle = []
    for layer in followed.layers:
        names = [*layer.parameters, f"{layer.name}.y"]
        head = f"<h2>{layer.name}</h2> <code>{_described(layer.module)}</code>"
        formulas = FORWARD[layer.kind], BACKWARD[layer.kind]
        formula = " &emsp; ".join(as_html(text, "span") for text in formulas)
        middle.append(_section(layer.name, head, formula, names, [*map(gradient_of, names)]))
    return [first, *middle, last]


def _link(anchor: str) -> str:
    return f'<li><a href="#layer-{anchor}">{anchor}</a></li>'


def _described(module: Any) -> str:
    return f"{type(module).__name__}({module.extra_repr()})"


def _section(anchor: str, head: str, formula: str, forward: list[str], backward: list[str]) -> str:
    sides = [
        f'<div class="side">{"".join(map(_figure, names))}</div>' for names in (forward, backward)
    ]
    return (
        f'<section id="layer-{anchor}"><div class="heading">{head} <p class="formula">{formula}</p>'
        f'</div><div class="sides">{"".join(sides)}</div></section>'
    )


def _figure(name: str) -> str:
    role = name.rpartition(".")[2]
    family = "gradient" if role.startswith("d") else FAMILIES.get(role, "x")
    return (
        f'<figure data-family="{family}"><figcaption><b>{name}</b> '
        f'{as_html(TITLES[role])} <span class="scale" data-scale="{name}"></span></figcaption>'
        f'<div data-place="{name}"></div></figure>'
    )
