"""A convolution as it shows itself: the page, a notebook's output, text."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from minicnn import nn
from minicnn.checks import check_text

from .. import page
from ..numbers import numbers, small_number
from ..page.grid import Grid, TooLargeError
from ..questions import Questions, asked
from ..svg import PARTS, Figure, figure, known_cell
from ..words import Sentence, as_html
from ..yours import Yours, in_data
from .arguments import example_of
from .grids import check_size, grids_of, is_map
from .notes import note_of
from .numbers import Convolution, Gradients
from .questions import questions
from .text import convolution_as_text
from .ways import ComparedConvolution

SCRIPTS = ("conv/rules.js", "conv/col2im.js", "conv/checks.js")
WAYS = (
    ("loops", Sentence("conv.by_loops")),
    ("convolution", Sentence("conv.by_convolution")),
    ("finite", Sentence("conv.by_differences")),
)


def conv2d(conv: nn.Conv2d, x: Any, dy: Any = None) -> ExplainedConvolution:
    """Explain the layer ``conv`` on the pictures ``x``, forward and backward.

    Args:
        conv: the layer.
        x: a tensor or array (N, C, H, W), or one picture (C, H, W).
        dy: the loss's gradient with respect to the output y, of its shape; without it ones, as for
            the loss ``y.sum()``.

    Returns:
        The numbers, computed in float64. A notebook shows them as the page, ``print`` as text.

    Raises:
        TypeError: ``conv`` is not an ``nn.Conv2d``.
        ValueError: shapes that do not fit, numbers that are not finite, or a
            padding that is not the same on both sides.
    """
    return ExplainedConvolution(*example_of(conv, x, dy))


class ExplainedConvolution(ComparedConvolution):
    """A convolution that shows itself.

    Attributes:
        lang: the language, ``"en"``, ``"zh"`` or ``"ja"``. With None, the default, the page follows
            its reader's browser, and text is English.
    """

    lang: str | None = None

    def __str__(self) -> str:
        return convolution_as_text(self, self.lang)

    def _repr_html_(self) -> str:
        try:
            return page.in_a_frame(self.html())
        except TooLargeError as reason:
            return f"<p>{html.escape(repr(self))}</p><p>No page: {html.escape(str(reason))}.</p>"

    def html(self, about: str = "", yours: Yours | None = None) -> str:
        """The page, as HTML; ``about`` says what the picture is, ``yours`` has wrong numbers.

        Raises:
            ValueError: more cells than a page can show.
        """
        check_text("about", about)
        check_size(self.x.shape, self.weight.shape, self.padding, self.output)
        grids = {grid.grid: grid for grid in grids_of(self)}
        answered = questions(self, hints=not about)
        data = {
            "grids": [*grids.values()],
            "map": is_map(self),
            "geometry": self.geometry(),
            "additions": numbers(self.additions),
            "checks": _checks(self),
            "start": answered["channels"][2],
            **in_data(yours),
        }
        title, about = Sentence("conv.title"), about or _example(self)
        body = _body(self, grids, answered)
        return page.write(title, self.describe(), about, body, data, SCRIPTS, language=self.lang)

    def svg(self, cell: str | None = None, parts: Sequence[str] = PARTS) -> str:
        """A figure for slides: see ``Explained.svg``.

        ``cell``: of y, dx, dweight, dbias, dcolumns, columns, x, weight, bias or dy.
        """
        check_size(self.x.shape, self.weight.shape, self.padding, self.output)
        grids = grids_of(self)
        first = [*questions(self)["channels"][2]]
        at = first if cell is None else known_cell(cell, grids)
        found = note_of(self, at[0], tuple(map(int, at[1].split(","))))
        return figure(Figure(grids, at, found, self.lang), parts)

    def geometry(self) -> dict[str, int]:
        """Sizes, stride, padding and dilation by their letters: n, c, h, w, o, kh, kw, sh, sw..."""
        letters = dict(zip("nchw", self.x.shape, strict=True))
        letters["o"] = len(self.weight)
        pairs = {
            "k": self.kernel_size,
            "s": self.stride,
            "p": self.padding,
            "d": self.dilation,
            "o": self.output,
        }
        for letter, (h, w) in pairs.items():
            letters |= {f"{letter}h": h, f"{letter}w": w}
        return {**letters, "groups": self.groups, "bias": int(self.bias is not None)}


def _body(c: ComparedConvolution, grids: dict[str, Grid], answered: Questions) -> str:
    figures = {name: grid.figure() for name, grid in grids.items()}
    for name, bias in (("y", "bias"), ("dy", "dbias")):
        small = figures.get(bias, "").replace("<figure", '<figure class="small"')
        figures[name] = f"<div>{figures[name]}{small}</div>"
    parts = {
        "questions": asked(answered),
        "transposed": _transposed(figures),
        "steps": str(c.columns.shape[0] * c.columns.shape[2]),
        "letters": as_html(_letters(c), "p"),
        "check_heads": "".join(
            as_html(Sentence("conv.largest", name=name), 'th scope="col"') for name in _symbols(c)
        ),
        "check_rows": _check_rows(c),
    }
    return page.fill(page.read("conv/page.html"), {**figures, **parts})


def _transposed(figures: dict[str, str]) -> str:
    """The section that shows dx as a convolution; nothing on a page of colours."""
    if "transposed" not in figures:
        return ""
    names = ("spread", "flipped", "transposed")
    return page.fill(page.read("conv/transposed.html"), {name: figures[name] for name in names})


def _symbols(c: Convolution) -> list[str]:
    return ["dx", "dW"] + ["db"] * (c.bias is not None)


def _letters(c: Convolution) -> Sentence:
    (n, ins, h, w), (o, _, kh, kw), (oh, ow) = c.x.shape, c.weight.shape, c.output
    pairs = {name: str(getattr(c, name)) for name in ("stride", "padding", "dilation")}
    sizes = {"n": n, "c": ins, "h": h, "w": w, "o": o, "kh": kh, "kw": kw, "oh": oh, "ow": ow}
    return Sentence("conv.letters", **sizes, **pairs, windows=oh * ow)


def _example(c: Convolution) -> Sentence:
    n, channels, h, w = c.x.shape
    return Sentence("conv.example", n=n, h=h, w=w, c=channels)


# The gradients in other ways ----------------------------------------------------------------------


def _ways(c: ComparedConvolution) -> dict[str, Gradients]:
    return {"loops": c.by_loops, "convolution": c.by_convolution, "finite": c.by_differences}


def _checks(c: ComparedConvolution) -> dict[str, Any]:
    """The gradients in every way: {"dx": {"shape": ..., "engine": [...], "loops": [...]}...}."""
    ways = {"engine": c.gradients, **_ways(c)}
    return {
        name: {
            "shape": gradient.shape,
            **{way: numbers(g[name]) for way, g in ways.items() if name in g},
        }
        for name, gradient in c.gradients.items()
    }


def _check_rows(c: ComparedConvolution) -> str:
    def row(way: str, name: Sentence, cells: str) -> str:
        head = as_html(name, 'th scope="row"')
        return f'<tr>{head}{cells}<td data-check="{way}">–</td></tr>'

    rows = [row("engine", Sentence("conv.by_engine"), "<td></td>" * len(c.gradients))]
    for way, name in WAYS:
        cells = "".join(f"<td>{_largest(c, _ways(c)[way], g)}</td>" for g in c.gradients)
        rows.append(row(way, name, cells))
    return "\n".join(rows)


def _largest(c: ComparedConvolution, other: Gradients, name: str) -> str:
    return small_number(c.largest_difference(other, name)) if name in other else "–"
