"""The page: one HTML file with its numbers, style and scripts in it; nothing is fetched.

Templates, style and scripts lie in this folder. ``{{name}}`` in a template is filled in here.
"""

import html
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from ..words import LANGUAGES, Sentence, as_html, catalogue, mentioned_in, speak

# in this order
SCRIPTS = ("base.js", "words.js", "grid.js", "sum.js", "point.js", "questions.js", "start.js")
FAMILIES: dict[str, str] = {
    "x": Sentence("page.pictures"),
    "weight": Sentence("page.weights"),
    "gradient": Sentence("page.gradients"),
}


def write(
    title: str,
    layer: str,
    example: str,
    body: str,
    data: dict[str, Any],
    scripts: Sequence[str] = (),
    families: dict[str, str] = FAMILIES,
    language: str | None = None,
) -> str:
    """The whole page.

    Args:
        title, layer, example: its heading, and what it shows.
        body: the HTML of its main part.
        data: what the scripts read: ``grids`` (of ``Grid``), ``start`` and what ``scripts`` need.
        scripts: files with the rules of this kind of layer; without them ``data["notes"]``.
        families: the legend: a name for each colour.
        language: the one that the page begins with; without it the first that its reader's browser
            asks for.
    """
    used = {grid.family for grid in data["grids"]}
    legend = [_legend_key(f'data-family="{f}"', families[f]) for f in families if f in used]
    if data.get("map"):
        legend.append(
            _legend_key('data-sign="negative"', Sentence("page.negative"))
            + as_html(Sentence("page.darker"))
        )
    grids = [grid.as_data() for grid in data["grids"]]
    parts = {
        "layer": as_html(layer, "code"),
        "example": as_html(example),
        "legend": "\n".join(legend),
        "style": read("page/page.css"),
        "body": body,
        "data": as_json({**data, "grids": grids, "language": language}),
        "script": in_order(*(f"page/{name}" for name in SCRIPTS), *scripts),
    }
    return whole("page/page.html", title, parts, language)


def whole(template: str, title: str, parts: dict[str, str], language: str | None) -> str:
    """A page of this template: with these parts, and those that every page has.

    Args: ``title`` and ``language`` as in ``write``.
    """
    common = {
        "tag": catalogue(language or "en")["tag"],
        "title": as_html(Sentence("page.title", title=title), "title"),
        "heading": as_html(title, "h1"),
        "languages": "\n".join(map(_switch, LANGUAGES)),
        "noscript": "\n".join(map(_without_script, LANGUAGES)),
    }
    parts, text = {**common, **parts}, read(template)
    words = as_json(mentioned_in(text + "".join(parts.values())))
    return speak(fill(text, {**parts, "words": words}), language or "en")


def as_json(data: Any) -> str:
    """Data for the scripts; no text in it can end the element that it stands in."""
    encoded = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return encoded.replace("<", "\\u003c")


def _switch(language: str) -> str:
    own = catalogue(language)
    return f'<button type="button" value="{language}" lang="{own["tag"]}">{own["name"]}</button>'


def _without_script(language: str) -> str:
    own = catalogue(language)
    return f'<p lang="{own["tag"]}">{own["page.noscript"]}</p>'


def _legend_key(kind: str, words: str) -> str:
    return as_html(words, f'span class="key" {kind}') + " "


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
