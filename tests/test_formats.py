"""What a file is, by its beginning; a value in a message: in one line, and short."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import formats
from minicnn.formats import in_short, kind_of, shortened, shown


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["a.txt"], formats.ZIP),
        (["a.npy"], formats.NPZ),
        (["a.npy", "b.npy"], formats.NPZ),
        (["a.npy", "b.txt"], formats.ZIP),
        (["net/data.pkl"], formats.PYTORCH),
        (["model.weights.h5", "metadata.json"], formats.KERAS),
    ],
)
def test_an_archive_is_known_by_what_it_holds(names: list[str], kind: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"1")
    assert kind_of(file.getvalue()) == kind


def test_a_pickle_of_any_protocol_with_a_head_is_known() -> None:
    found = [kind_of(bytes((0x80, protocol)) + bytes(9)) for protocol in range(1, 7)]
    assert found == [None, *[formats.PICKLE] * 4, None]


class Page:
    def __repr__(self) -> str:
        return "two\nlines"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "3"),
        (12345, "12345"),
        ("x" * 58, "'" + "x" * 58 + "'"),
        ("a  b" + "x" * 54, "'a  b" + "x" * 54 + "'"),
        ("x" * 59, "'" + "x" * 59 + "..."),
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


def test_lines_are_put_into_one() -> None:
    assert shown("a\nb", str) == "a b"
    assert shown(Path("long") / ("x" * 60)) == f"PosixPath('long/{'x' * 44}..."


def test_a_long_text_is_cut_where_a_word_ends() -> None:
    assert shortened("a  line\n" * 99) == "a line " * 28 + "a..."
    assert shortened("x" * 300) == "x" * 200 + "..."
    assert shortened("a\nb") == "a b"
    assert shortened("x" * 200) == "x" * 200
    words = "x" * 150 + " " + "x" * 49
    assert shortened(words + " y") == words + "..."
    assert shortened("x" * 201 + " y") == "x" * 200 + "..."
    assert shortened("x" * 99 + " " + "x" * 200) == "x" * 99 + " " + "x" * 100 + "..."


def test_what_other_software_says_is_told_in_a_line() -> None:
    assert in_short(ValueError("one\n  two")) == "one two"
    assert in_short(ValueError()) == "ValueError"
