"""A convolution as it shows itself: the page, a notebook's output, text."""

from __future__ import annotations

import html
import json
from typing import Any

import numpy as np

from minicnn import nn

from . import page
from .conv import Convolution, Gradients, example_of
from .page import Grid, TooLargeError
from .text import convolution_as_text

Shape = tuple[int, ...]
Cell = tuple[str, str]  # the name of a grid and an index in it, "n,c,h,w"

FORWARD = (
    "y = b + Σ<sub>c,i,j</sub> W · x̄ &ensp; every output: one kernel times one window, all input "
    "channels"
)
BACKWARD = (
    "dx̄ = Σ<sub>o,i,j</sub> W · dy &emsp; dW = Σ<sub>n,p,q</sub> dy · x̄ &emsp; "
    "db = Σ<sub>n,p,q</sub> dy &emsp; each gradient stands below what it belongs to"
)
MATRICES = (
    "y = W · columns + b &emsp; dW = dy · columnsᵀ &emsp; dcolumns = Wᵀ · dy &emsp; "
    "dx = col2im(dcolumns)"
)
WAYS = (
    ("loops", "loops from the definition"),
    ("convolution", "a convolution (for dx the transposed one)"),
    ("finite", "finite differences of the loss Σ dy·y"),
)


def conv2d(conv: nn.Conv2d, x: Any, dy: Any = None) -> ExplainedConvolution:
    """Explain the layer ``conv`` on the pictures ``x``, given the gradient ``dy`` by its output.

    Args:
        conv: a layer with one group.
        x: a tensor or array (N, C, H, W), or one picture (C, H, W).
        dy: of the output's shape; ones without it, the gradient of ``y.sum()``.

    Returns:
        The numbers, computed in float64. A notebook shows it as the page, ``print`` as text.

    Raises:
        TypeError: ``conv`` is no ``nn.Conv2d``.
        ValueError: shapes that do not fit, numbers that are not finite, groups, or a padding that
            is not the same on both sides.
    """
    return ExplainedConvolution(*example_of(conv, x, dy))


class ExplainedConvolution(Convolution):
    """A convolution that shows itself."""

    def __str__(self) -> str:
        return convolution_as_text(self)

    def _repr_html_(self) -> str:
        try:
            return page.in_a_frame(self.html())
        except TooLargeError as reason:
            return f"<p>{html.escape(repr(self))}</p><p>No page: {html.escape(str(reason))}.</p>"

    def html(self, about: str = "") -> str:
        """The page; ``about`` says what the picture is.

        Raises:
            ValueError: more cells than a page can show.
        """
        check_size(self.x.shape, self.weight.shape, self.padding, self.output)
        grids = {grid.grid: grid for grid in _grids(self)}
        asked = questions(self, hints=not about)
        data = {
            "grids": [*grids.values()],
            "map": is_map(self),
            "geometry": self.geometry(),
            "additions": page.numbers(self.additions),
            "checks": _checks(self),
            "start": asked["channels"][2],
        }
        title = "A convolution, forward and backward"
        body = _body(self, grids, asked)
        return page.write(title, self.describe(), about or _example(self), body, data, "conv.js")

    def geometry(self) -> dict[str, int]:
        """Sizes, stride, padding and dilation by their letters."""
        names = ("n c h w", "o _ kh kw", "sh sw", "ph pw", "dh dw", "oh ow")
        sizes = (self.x.shape, self.weight.shape, self.stride, self.padding, self.dilation)
        letters = " ".join(names).split()
        values = [int(v) for shape in (*sizes, self.output) for v in shape]
        known = dict(zip(letters, values, strict=True))
        del known["_"]
        return {**known, "bias": int(self.bias is not None)}


# Sizes --------------------------------------------------------------------------------------------


def check_size(x: Shape, weight: Shape, padding: Shape, output: Shape) -> None:
    """Refuse shapes that no page can show, with the reason."""
    (n, channels, h, w), (o, _, kh, kw) = x, weight
    framed = h + 2 * padding[0], w + 2 * padding[1]
    if max(framed) > page.MOST_LINES:
        raise TooLargeError(
            f"size is {_by((h, w))} with padding {_by(padding)}, a picture of {_by(framed)} cells; "
            f"a page shows at most {page.MOST_LINES} rows and columns"
        )
    places = max(output[0], 0) * max(output[1], 0)
    cells = 3 * n * channels * framed[0] * framed[1] + 2 * o * channels * kh * kw
    cells += 2 * n * o * places
    if cells > page.MOST_CELLS:
        raise TooLargeError(
            f"x {x} and weight {weight} make {cells:,} cells; a page shows at most "
            f"{page.MOST_CELLS:,} (fewer channels or images, or a smaller size)"
        )
    entries = n * channels * kh * kw * places
    if entries > page.MOST_ENTRIES:
        raise TooLargeError(
            f"x {x} and kernel {_by((kh, kw))} make columns of {entries:,} cells; a page holds at "
            f"most {page.MOST_ENTRIES:,}"
        )


def is_map(c: Convolution) -> bool:
    """Whether there are too many cells to read: they are drawn as colours."""
    side, columns, cells = page.NUMBERS_UNTIL
    largest = max(c.dx_framed.size, c.weight.size, c.y.size)
    return (
        max(c.dx_framed.shape[2:]) > side
        or c.columns.shape[2] > columns
        or largest > cells
        or c.columns.size > 4 * cells
    )


def _by(pair: tuple[int, ...]) -> str:
    return "x".join(map(str, pair))


# Grids --------------------------------------------------------------------------------------------


def _grids(c: Convolution) -> list[Grid]:
    (ph, pw), (n, channels), outs = c.padding, c.x.shape[:2], len(c.weight)
    frame = ((0, 0), (0, 0), (ph, ph), (pw, pw))
    ins, out, kernels = _labels(n, channels), _labels(n, outs), _kernel_labels(outs, channels)
    pictures: dict[str, Any] = {"frame": c.padding, "labels": ins}
    shown = c.output[1] if is_map(c) else None
    matrix: dict[str, Any] = {"axes": "aij", "labels": _labels(n, 1), "shown": shown}
    grids = [
        Grid("x", "x", "the picture", "x", np.pad(c.x, frame), **pictures),
        Grid("weight", "W", "the kernels", "weight", c.weight, labels=kernels),
        Grid("y", "y", "the output", "x", c.y, labels=out),
        Grid("dx", "dx", "the picture’s gradient", "gradient", c.dx_framed, **pictures),
        Grid("dweight", "dW", "the kernels’ gradient", "gradient", c.dweight, labels=kernels),
        Grid("dy", "dy", "the gradient from above", "gradient", c.dy, labels=out),
        Grid("columns", "columns", "the windows of x", "x", c.columns[:, None], **matrix),
        Grid("dcolumns", "dcolumns", "their gradient", "gradient", c.dcolumns[:, None], **matrix),
        Grid("col2im", "dx so far", "col2im adds up", "gradient", c.dx_framed.copy(), **pictures),
    ]
    if c.bias is not None and c.dbias is not None:
        vectors = (("bias", "b", "the bias", "weight", c.bias),
                   ("dbias", "db", "the bias’s gradient", "gradient", c.dbias))  # fmt: skip
        grids += [Grid(*vector[:4], vector[4][None, None, None], axes="j") for vector in vectors]
    for together in (("x", "dx", "col2im"), ("weight", "dweight"), ("y", "dy", "bias", "dbias")):
        page.align(grid for grid in grids if grid.grid in together)
    return grids


def _labels(images: int, channels: int) -> list[str]:
    parts = [
        [f"image {n}"] * (images > 1) + [f"channel {k}"] * (channels > 1)
        for n in range(images)
        for k in range(channels)
    ]
    return [", ".join(part) for part in parts]


def _kernel_labels(outs: int, channels: int) -> list[str]:
    return [
        f"kernel {o}" + (f", channel {k}" if channels > 1 else "") if outs * channels > 1 else ""
        for o in range(outs)
        for k in range(channels)
    ]


def _body(c: Convolution, grids: dict[str, Grid], asked: dict[str, Any]) -> str:
    figures = {name: grid.figure() for name, grid in grids.items()}
    for name, bias in (("y", "bias"), ("dy", "dbias")):
        small = figures.get(bias, "").replace("<figure", '<figure class="small"')
        figures[name] = f"<div>{figures[name]}{small}</div>"
    parts = {
        "questions": "\n".join(_question(anchor, *q) for anchor, q in asked.items()),
        "forward": FORWARD,
        "backward": BACKWARD,
        "matrices": MATRICES,
        "steps": str(c.columns.shape[0] * c.columns.shape[2]),
        "numbers": _letters(c),
        "check_heads": "".join(f'<th scope="col">{name}: largest difference</th>'
                               for name in _symbols(c)),
        "check_rows": _check_rows(c),
    }  # fmt: skip
    return page.fill(page.read("conv.html"), {**figures, **parts})


def _symbols(c: Convolution) -> list[str]:
    return ["dx", "dW"] + ["db"] * (c.bias is not None)


def _letters(c: ExplainedConvolution | Convolution) -> str:
    (n, ins, h, w), (o, _, kh, kw), (oh, ow) = c.x.shape, c.weight.shape, c.output
    return (
        f"N = {n}, C = {ins}, H × W = {h} × {w}, O = {o}, KH × KW = {kh} × {kw}, "
        f"(SH, SW) = {c.stride}, (PH, PW) = {c.padding}, (DH, DW) = {c.dilation}: "
        f"outputs of {oh} × {ow}, {oh * ow} windows"
    )


def _example(c: Convolution) -> str:
    n, channels, h, w = c.x.shape
    pictures = f"{n} pictures" if n > 1 else "a picture"
    colours = f"{channels} channels" if channels > 1 else "1 channel"
    return f"on {pictures} of {h} × {w} cells and {colours}"


# Questions ----------------------------------------------------------------------------------------


def questions(c: Convolution, hints: bool = True) -> dict[str, tuple[str, str, Cell]]:
    """anchor: (question, answer, the cell that shows it).

    ``hints``: say which options make an example that shows more.
    """
    middle, unreached = _most_covered(c), _unreached(c)
    outside, inside = _output(c, inside=False), _output(c, inside=True)
    return {
        "flipped": (
            "Is the kernel flipped?",
            "Forward: no, weight (i, j) meets cell (i, j) of the window. Backward: yes. As the "
            "outputs that a pixel fed go right and down, their weights go left and up.",
            ("dx", _key(middle)),
        ),
        "channels": (
            "Which channels are summed?",
            "Forward: all input channels, for each output channel again. Backward, dx sums over "
            "the output channels; dW and db over the images and places."
            + (" Here there is one; try --channels 2." if hints and c.x.shape[1] == 1 else ""),
            ("y", _key((0, 0, *(inside or (0, 0))))),
        ),
        "plus-equals": (
            "Why += in col2im?",
            "Windows overlap: a pixel was copied into several columns, so its gradient is the sum "
            "over them. With = the last column would overwrite the others.",
            ("col2im", _key(middle)),
        ),
        "stride-does-not-fit": (
            "What if the stride does not fit?",
            "The cells left over at the end are in no window. No output depends on them: their "
            "gradient is 0."
            + ("" if unreached else " Here every cell is reached.")
            + (" With --size 5x6 --stride 2 the last column is not." if hints and not unreached
               else ""),
            ("dx", _key(unreached or (0, 0, c.x.shape[2] - 1, c.x.shape[3] - 1))),
        ),
        "padding": (
            "What does padding do?",
            "It frames the picture with zeros. They take part in the sums and add nothing; what "
            "col2im adds to the frame is dropped."
            + (" This example has none; try --padding 1." if hints and not outside else ""),
            ("y", _key((0, 0, *(outside or (0, 0))))),
        ),
    }  # fmt: skip


def _question(anchor: str, question: str, answer: str, cell: Cell) -> str:
    return (
        f'<li id="{anchor}" data-cell="{html.escape(json.dumps(cell))}">'
        f'<a href="#{anchor}">{question}</a><p>{answer}</p></li>'
    )


def _key(index: tuple[int, ...]) -> str:
    return ",".join(map(str, index))


def _most_covered(c: Convolution) -> tuple[int, int, int, int]:
    """A pixel that stands in as many columns as any, the nearest to the middle."""
    h, w = c.x.shape[2:]
    pixels = [
        (-sum(1 for _ in c.windows_over(i, j)), abs(2 * i - h + 1) + abs(2 * j - w + 1), i, j)
        for i, j in np.ndindex(h, w)
    ]
    return 0, 0, *min(pixels)[2:]


def _unreached(c: Convolution) -> tuple[int, int, int, int] | None:
    """The last pixel of the first row or column that the stride leaves over at the end."""
    h, w = c.x.shape[2:]
    last = [size - 1 for size in (*c.output, *c.kernel_size)]
    bottom, right = c.pixel(*last)
    if right + 1 < w:
        return 0, 0, h // 2, right + 1
    return (0, 0, bottom + 1, w // 2) if bottom + 1 < h else None


def _output(c: Convolution, inside: bool) -> tuple[int, int] | None:
    """An output whose window lies inside the picture, or (``inside`` False) one whose does not.

    The one that sees the most cells other than 0, so that its sum shows something: a picture's
    corner is often black. The first of equal ones.
    """
    seen = {}
    for h, w in np.ndindex(c.output):
        cells = [c.pixel(h, w, i, j) for i, j in np.ndindex(c.kernel_size)]
        pictured = [cell for cell in cells if c.in_picture(*cell)]
        if (len(pictured) == len(cells)) == inside:
            seen[h, w] = sum(np.count_nonzero(c.x[0, :, row, col]) for row, col in pictured)
    return max(seen, key=lambda output: seen[output], default=None)


# The gradients in other ways ----------------------------------------------------------------------


def _ways(c: Convolution) -> dict[str, Gradients]:
    return {"loops": c.by_loops, "convolution": c.by_convolution, "finite": c.by_differences}


def _checks(c: Convolution) -> dict[str, Any]:
    """{"dx": {"shape": ..., "engine": [...], "loops": [...], ...}, "dweight": ...}."""
    ways = {"engine": c.gradients, **_ways(c)}
    return {
        name: {
            "shape": gradient.shape,
            **{way: page.numbers(g[name]) for way, g in ways.items() if name in g},
        }
        for name, gradient in c.gradients.items()
    }


def _check_rows(c: Convolution) -> str:
    here = '<td data-check="{}">–</td></tr>'
    empty = "<td></td>" * len(c.gradients)
    rows = ["<tr><th scope='row'>im2col, products, col2im</th>" + empty + here.format("engine")]
    for way, name in WAYS:
        cells = "".join(f"<td>{_largest(c, _ways(c)[way], g)}</td>" for g in c.gradients)
        rows.append(f"<tr><th scope='row'>{name}</th>{cells}{here.format(way)}")
    return "\n".join(rows)


def _largest(c: Convolution, other: Gradients, name: str) -> str:
    return page.small_number(c.largest_difference(other, name)) if name in other else "–"
