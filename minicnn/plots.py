"""Training curves, as pictures."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from minicnn.kernels.interrupts import held
from minicnn.terminal import first_line

INK, GRID = "#333333", "#e3e3e3"
# colours of Okabe and Ito's palette
LOSS, TRAIN, TEST, VALIDATION = "#0072b2", "#d55e00", "#009e73", "#cc79a7"


def as_written(name: str) -> str:
    """The name of a folder, a file or a class for a text of Matplotlib's.

    Its dollars mean no mathematics there, and bytes that are no UTF-8, which Matplotlib cannot
    draw, are question marks.
    """
    return name.encode(errors="replace").decode().replace("$", r"\$")


@contextlib.contextmanager
def own_style() -> Iterator[None]:
    """Matplotlib's default style, whatever style (or LaTeX) the user has set.

    The user's fonts stay for the characters that Matplotlib's own font lacks, as those of Chinese
    and Japanese titles and legends.
    """
    matplotlib = _matplotlib()
    fonts = _fonts(matplotlib.rcParams)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["font.family"] = ["DejaVu Sans", *fonts]
        yield


def _fonts(settings: Any) -> list[str]:
    """The names of the fonts that the user has set, as far as they are installed."""
    from matplotlib.font_manager import get_font_names

    names = [
        name
        for family in settings["font.family"]
        for name in settings.get(f"font.{family}", [family])  # of a family such as sans-serif
    ]
    installed = {*get_font_names()} - {"DejaVu Sans"}
    return [name for name in dict.fromkeys(names) if name in installed]


def _matplotlib() -> Any:
    """Matplotlib, which cannot be imported while MPLBACKEND names a backend that it does not know.

    A program started from a notebook inherits that variable, but not the notebook's packages. A
    Ctrl-C waits until Matplotlib is loaded: if it interrupts the loading of an extension module
    (ft2font of Matplotlib 3.11), Python crashes when it ends.
    """
    if "matplotlib" not in sys.modules:
        backend = os.environ.pop("MPLBACKEND", None)
        with held():
            import matplotlib
            import matplotlib.backends.backend_agg

        if backend is not None:
            os.environ["MPLBACKEND"] = backend
            with contextlib.suppress(ValueError):
                matplotlib.rcParams["backend"] = backend
    return sys.modules["matplotlib"]


def pyplot() -> Any:
    """``matplotlib.pyplot``."""
    _matplotlib()
    with held():  # see above
        from matplotlib import pyplot

    return pyplot


@own_style()
def curves(curve: Sequence[dict[str, Any]], title: str = "") -> Any:
    """A matplotlib figure of the loss and the accuracies against the epoch.

    ``curve``: the points of ``History.curve``.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    lines = (
        (left, "loss", "train loss", LOSS),
        (right, "train_acc", "train accuracy", TRAIN),
        (right, "val_acc", "validation accuracy", VALIDATION),
        (right, "test_acc", "test accuracy", TEST),
    )
    for axes, key, label, colour in lines:
        points = [point for point in curve if point.get(key) is not None]
        if points:
            x, y = [p["epoch"] for p in points], [p[key] for p in points]
            is_measured_once = key in ("val_acc", "test_acc")  # an epoch
            style = "o-" if is_measured_once and len(points) <= 20 else "-"
            axes.plot(x, y, style, color=colour, label=label, linewidth=1.8, markersize=4)
    left.set(title="train loss", ylim=(0, None))
    right.set(title="accuracy", ylim=(0, 1))
    if curve:
        right.legend(frameon=False, loc="lower right")
    finish_axes(left, right, curve)
    if title:
        figure.suptitle(as_written(title), fontsize=11, color=INK)
    return figure


def finish_axes(left: Any, right: Any, curve: Sequence[dict[str, Any]]) -> None:
    """What the axes of curves share: epochs to the right, a grid, no frame."""
    from matplotlib.ticker import MaxNLocator

    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.set_xlim(0, max((point["epoch"] for point in curve), default=1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color=GRID, linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(INK)


@own_style()
def png(figure: Any) -> bytes:
    """The figure as the bytes of a PNG file.

    Warns:
        UserWarning: characters that no font has, once. (Matplotlib says it at every drawing.)
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        figure.savefig(buffer, format="png", dpi=144)
    boxes = set()
    for warning in found:
        glyph = re.match(r"Glyph (\d+) .*missing from font", str(warning.message))
        if glyph:
            boxes.add(chr(int(glyph[1])))
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    if boxes - _said:
        warnings.warn(
            f"boxes stand for {''.join(sorted(boxes - _said))}; name a font that has them: "
            "plt.rcParams['font.family'] = ['DejaVu Sans', 'Noto Sans CJK SC']",
            stacklevel=2,
        )
        _said.update(boxes)
    return buffer.getvalue()


_said: set[str] = set()  # characters that ``png`` has warned of


class LiveFigure:
    """Shows a figure in a notebook, and each later one in its place, while that works."""

    def __init__(self) -> None:
        self.handle: Any = None
        self.works = True

    def __call__(self, draw: Callable[[], Any]) -> None:
        """Show what ``draw`` returns. A failure is one warning; the work goes on."""
        if not self.works:
            return
        try:
            self.show(draw())
        except Exception as error:  # fonts, disks, displays: training depends on none of them
            self.works = False
            warnings.warn(f"the curves are not shown: {first_line(error)}", stacklevel=3)

    def show(self, figure: Any) -> None:
        """Show ``figure``."""
        from IPython.display import Image, display

        picture = Image(png(figure), retina=True)
        if self.handle is None:
            self.handle = display(picture, display_id=True)
        else:
            self.handle.update(picture)


class LiveCurves:
    """Draws the curves, and draws them again after each epoch."""

    def __init__(self) -> None:
        self.live = LiveFigure()

    def __call__(self, history: Any) -> None:
        self.live(lambda: curves(history.curve))


def in_notebook() -> bool:
    """Whether this runs where pictures can be shown: a Jupyter kernel (Colab's, Spyder's...), or
    ``python -m minicnn.d2l``, which keeps them."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None or getattr(shell, "keeps_pictures", False)
