"""A value in a message: in one line, and short."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.formats import in_short, shortened, shown


class Page:
    def __repr__(self) -> str:
        return "two\nlines"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "3"),
        ("a\nb", r"'a\nb'"),
        (np.float32(2.5), "np.float32(2.5)"),
        (10**60, "a large integer"),
        ([10**5000], "of type list"),
        ("word " * 40, "'" + "word " * 11 + "word..."),
        ([*range(900)], "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1..."),
        (np.arange(3), "array([0, 1, 2])"),
        (np.zeros((2, 30), np.float32), "of type ndarray, shape (2, 30), dtype float32"),
        (minicnn.zeros(2, 30), "of type Tensor, shape (2, 30), dtype float32"),
        (Page(), "of type Page"),
    ],
)
def test_a_value_is_shown_in_one_short_line(value: Any, said: str) -> None:
    assert shown(value) == said


def test_a_long_text_is_cut_where_a_word_ends() -> None:
    assert shortened("a  line\n" * 99) == "a line " * 28 + "a..."
    assert shortened("x" * 300) == "x" * 200 + "..."
    assert shortened("a\nb") == "a b"


def test_what_other_software_says_is_told_in_a_line() -> None:
    assert in_short(ValueError("one\n  two")) == "one two"
    assert in_short(ValueError()) == "ValueError"
