"""The exercises of the course: their files, what is asked, and which slips each answer may have."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from minicnn.slips import Catalogue, activation, conv, linear, loss, optim, pool

from . import cases
from .cases import Case

EXERCISES = Path(__file__).parent / "exercises"
BEGIN, END = "    # BEGIN\n", "    # END\n"


@dataclass(frozen=True)
class Exercise:
    """One function to be written.

    Attributes:
        number: from 1.
        name: of its texts, and after the number the name of its file.
        function: the name of the function.
        slips: for each output its name, and its slips.
        make_cases: makes the cases that an answer is tried on.
    """

    number: int
    name: str
    function: str
    slips: Mapping[str, Catalogue]
    make_cases: Callable[[], list[Case]]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what the function returns."""
        return tuple(self.slips)

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"ex{self.number:02}_{self.name}.py"

    @property
    def right(self) -> Callable[..., Any]:
        """The right function."""
        module = import_module(f"minicnn.learn.exercises.{self.file.removesuffix('.py')}")
        return getattr(module, self.function)

    @functools.cached_property
    def cases(self) -> list[Case]:
        """What an answer is tried on."""
        return self.make_cases()

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the function's arguments."""
        return tuple(inspect.signature(self.right).parameters)

    @property
    def solved(self) -> str:
        """The file with the right answer, BEGIN and END around it."""
        return (EXERCISES / self.file).read_text(encoding="utf-8")

    @property
    def answer(self) -> str:
        """The right function's text."""
        return self.solved.replace(BEGIN, "").replace(END, "")

    def with_hole(self, hole: str) -> str:
        """The file with ``hole`` in the place of the answer."""
        return re.sub(f"{BEGIN}.*{END}", lambda _: hole, self.solved, flags=re.S)


def _exercises() -> dict[int, Exercise]:
    rows: list[tuple[str, str, dict[str, Catalogue], Callable[[], list[Case]]]] = [
        ("forward", "forward", {"y": conv.FORWARD}, cases.forward),
        ("dbias", "dbias", {"db": conv.DBIAS}, cases.dbias),
        ("dweight", "dweight", {"dW": conv.DWEIGHT}, cases.dweight),
        ("dx", "dx", {"dx": conv.DX}, cases.dx),
        ("stride", "stride_dx", {"dx": conv.DX_STRIDE}, cases.stride),
        ("im2col", "im2col", {"columns": conv.IM2COL}, cases.im2col),
        ("col2im", "col2im", {"dx": conv.COL2IM}, cases.col2im),
        ("max_pool", "max_pool_dx", {"dx": pool.MAX_POOL}, cases.max_pool),
        ("avg_pool", "avg_pool_dx", {"dx": pool.AVG_POOL}, cases.avg_pool),
        (
            "dense",
            "dense_backward",
            {"dx": linear.DX, "dW": linear.DWEIGHT, "db": linear.DBIAS},
            cases.dense,
        ),
        (
            "cross_entropy",
            "cross_entropy",
            {"loss": loss.LOSS, "dlogits": loss.DLOGITS},
            cases.cross_entropy,
        ),
        ("sigmoid", "sigmoid", {"y": activation.Y, "dx": activation.DX}, cases.sigmoid),
        ("sgd", "sgd", {"w": optim.W, "velocity": optim.V}, cases.sgd),
    ]
    return {number: Exercise(number, *row) for number, row in enumerate(rows, start=1)}


COURSE = _exercises()
