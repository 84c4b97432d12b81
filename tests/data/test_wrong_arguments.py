"""What readers of data say of arguments that are of another kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import minicnn

data: Any = minicnn.data  # which the wrong arguments are for


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda _: data.read_idx(3), "path is 3, of type int; wanted a path"),
        (lambda _: data.from_npz(None), "path is None, of type NoneType; wanted a path"),
        (lambda _: data.read_picture(3), "file is of type int; wanted a path, or an open file"),
        (lambda f: data.from_csv(f, (0, 4)), "size: a length is 0; wanted an integer of at least"),
        (lambda f: data.from_csv(f, 4), r"size is of type int; wanted \(height, width\)"),
        (lambda f: data.from_pictures(f, seed=0.5), "seed is 0.5, of type float; wanted an int"),
        (lambda f: data.from_idx(f), "holds no IDX files; wanted four"),
        (lambda f: data.from_csv(f), "is no CSV file, and holds none; wanted train.csv"),
        (lambda _: data.split_off([], 3), "dataset is of type list; wanted a Dataset"),
        (lambda _: data.mean_and_std(None), "dataset is of type NoneType; wanted a Dataset"),
    ],
)
def test_the_message_names_the_argument(call, told: str, tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError), match=told) as error:
        call(tmp_path)
    assert "\n" not in str(error.value)
