"""Softmax cross-entropy, cell by cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import kernels
from minicnn.nn import functional as F
from minicnn.tensor import Tensor

from .explained import Explained, check_cells
from .notes import Note, Notes, Token, every, joined, key, note, ref
from .numbers import as_numbers
from .page.grid import Grid
from .words import Sentence

PLACES = 4  # decimals of probabilities and losses, in the grids and in the sums


def check_size(rows: int, classes: int) -> None:
    """Refuse more logits than a page can show."""
    check_cells(4 * rows * classes, f"{classes} classes and a batch of {rows}")


def cross_entropy(logits: Any, target: Any) -> Explained:
    """Explain the mean softmax cross-entropy of ``logits``, and its gradient.

    Args:
        logits: (M, C), or one row (C,).
        target: (M,), the class of each row; one number for one row.

    Raises:
        ValueError: shapes that do not fit, a class that does not exist, numbers that are not
            finite, too many cells.
    """
    x = as_numbers("cross_entropy", "logits", logits, 2)
    classes = np.atleast_1d(target.numpy() if isinstance(target, Tensor) else np.asarray(target))
    rows, count = x.shape
    check_size(rows, count)
    if classes.shape != (rows,) or classes.dtype.kind not in "iu":
        raise ValueError(
            f"explain.cross_entropy: target is {classes.dtype} {classes.shape}; wanted "
            f"{rows} integers"
        )
    if not ((classes >= 0) & (classes < count)).all():
        raise ValueError(f"explain.cross_entropy: target is {classes}; wanted 0..{count - 1}")

    with kernels.by_reference():
        tensor = Tensor(x, requires_grad=True)
        loss = F.cross_entropy(tensor, Tensor(classes))
        operation: Any = loss.node.operation  # type: ignore[union-attr]
        p = operation.p.copy()
        loss.backward()
        each = F.cross_entropy(Tensor(x), Tensor(classes), reduction="none").numpy()
    dlogits = tensor.grad.numpy()  # type: ignore[union-attr]
    onehot = np.eye(count)[classes]

    def matrix(grid: str, symbol: str, title: str, family: str, values: Any, **more: Any) -> Grid:
        return Grid(grid, symbol, title, family, values[None, None], **{"axes": "ij", **more})

    of_each, mean = Sentence("loss.losses_grid"), Sentence("loss.mean_grid")
    above = [
        matrix("logits", "x", Sentence("loss.logits_grid"), "x", x),
        matrix("target", "t", Sentence("loss.right"), "weight", onehot),
        matrix("probabilities", "p", "softmax(x)", "x", p, places=PLACES),
        matrix("losses", "loss", of_each, "x", each[:, None], axes="i", places=PLACES),
        matrix("loss", "L", mean, "x", loss.numpy().reshape(1, 1), axes="j", places=PLACES),
    ]
    dx = Sentence("loss.dlogits_grid")
    below = [
        matrix("dlogits", "dx", dx, "gradient", dlogits, places=PLACES),
    ]
    return Explained(
        Sentence("loss.title"),
        Sentence("loss.layer", name="CrossEntropyLoss()", rows=rows, classes=count),
        Sentence("loss.forward"),
        Sentence("loss.backward"),
        above,
        below,
        _Rules(count, classes).notes(),
        ["dlogits", key(0, classes[0])],
        {
            "x": Sentence("loss.inputs"),
            "weight": Sentence("loss.right"),
            "gradient": Sentence("loss.gradient"),
        },
        {
            "p-minus-t": (
                Sentence("loss.difference"),
                Sentence("loss.difference_answer"),
                ("dlogits", key(0, classes[0])),
            ),
            "wrong-class": (
                Sentence("loss.others"),
                Sentence("loss.others_answer"),
                ("dlogits", key(0, (classes[0] + 1) % count)),
            ),
            "mean": (Sentence("loss.why_mean"), Sentence("loss.mean"), ("loss", "0")),
        },
    )


class _Rules:
    """What every cell is made of: a method for each grid. m: sample, c: class."""

    def __init__(self, count: int, classes: np.ndarray):
        self.rows, self.count, self.right = len(classes), count, [int(c) for c in classes]

    def notes(self) -> Notes:
        shape = (self.rows, self.count)
        return {
            "logits": every(shape, self.logits),
            "target": every(shape, self.target),
            "probabilities": every(shape, self.probabilities),
            "losses": every((self.rows,), self.losses),
            "loss": every((1,), self.loss),
            "dlogits": every(shape, self.dlogits),
        }

    def logits(self, m: int, c: int) -> Note:
        lit = [ref("probabilities", m, k) for k in range(self.count)]
        tail = Sentence("loss.logits_tail")
        return note(lit=lit, tail=tail, linked=[ref("dlogits", m, c)])

    def target(self, m: int, c: int) -> Note:
        if c == self.right[m]:
            return note(lit=[ref("losses", m)], tail=Sentence("loss.target_right"))
        return note(lit=[], tail=Sentence("loss.target_wrong"))

    def probabilities(self, m: int, c: int) -> Note:
        exps: list[list[Token]] = [["exp(", ref("logits", m, k), ")"] for k in range(self.count)]
        words = Sentence("loss.probabilities")
        return note("exp(", ref("logits", m, c), ") / (", *joined(exps), ")", words=words)

    def losses(self, m: int) -> Note:
        right = self.right[m]
        words = Sentence("loss.losses", c=right)
        return note("−log ", ref("probabilities", m, right), words=words)

    def loss(self, _: int) -> Note:
        each: list[list[Token]] = [[ref("losses", m)] for m in range(self.rows)]
        return note("(", *joined(each), f") / {self.rows}", words=Sentence("loss.mean"))

    def dlogits(self, m: int, c: int) -> Note:
        key = "loss.dlogits_right" if c == self.right[m] else "loss.dlogits_wrong"
        difference = "(", ref("probabilities", m, c), " − ", ref("target", m, c), f") / {self.rows}"
        return note(*difference, words=Sentence(key, c=c), linked=[ref("logits", m, c)])
