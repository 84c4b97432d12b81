"""The page: one HTML file with its numbers, style and scripts in it; nothing is fetched.

Templates, style and scripts lie in this folder. ``{{name}}`` in a template is filled in here.
"""

import html
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

SCRIPTS = ("base.js", "grid.js", "sum.js", "point.js", "questions.js", "start.js")  # in this order
FAMILIES = {"x": "pictures", "weight": "weights", "gradient": "gradients"}


def write(
    title: str,
    layer: str,
    example: str,
    body: str,
    data: dict[str, Any],
    scripts: Sequence[str] = (),
    families: dict[str, str] = FAMILIES,
) -> str:
    """The whole page.

    Args:
        title, layer, example: its heading, and what it shows.
        body: the HTML of its main part.
        data: what the scripts read: ``grids`` (of ``Grid``), ``start`` and what ``scripts`` need.
        scripts: files with the rules of this kind of layer; without them ``data["notes"]``.
        families: the legend: a name for each colour.
    """
    used = {grid.family for grid in data["grids"]}
    legend = [_legend_key(f'data-family="{f}"', families[f]) for f in families if f in used]
    if data.get("map"):
        legend.append(
            _legend_key('data-sign="negative"', "negative numbers") + "the darker, the larger"
        )
    grids = [grid.as_data() for grid in data["grids"]]
    encoded = json.dumps({**data, "grids": grids}, separators=(",", ":"), allow_nan=False)
    parts = {
        "title": html.escape(title),
        "layer": html.escape(layer),
        "example": html.escape(example),
        "legend": "\n".join(legend),
        "style": read("page/page.css"),
        "body": body,
        "data": encoded.replace("<", "\\u003c"),
        "script": in_order(*(f"page/{name}" for name in SCRIPTS)) + in_order(*scripts),
    }
    return fill(read("page/page.html"), parts)


def _legend_key(kind: str, words: str) -> str:
    return f'<span class="key" {kind}>{words}</span> '


def in_order(*names: str) -> str:
    """These files, one after the other."""
    return "\n".join(map(read, names))


def read(name: str) -> str:
    """A file of this package."""
    return files("minicnn.explain").joinpath(name).read_text(encoding="utf-8")


def fill(template: str, parts: dict[str, str]) -> str:
    """``template`` with every {{name}} replaced."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def in_a_frame(page: str, height: int = 900) -> str:
    """A page to be put into another one, such as a notebook; it keeps its own style and scripts."""
    return (
        f'<iframe srcdoc="{html.escape(page, quote=True)}" title="minicnn.explain" '
        f'style="width: 100%; height: {height}px; border: 1px solid #ccc"></iframe>'
    )
