"""``python -m tests.house``: each rule finds what breaks it, in a small tree made for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import house

Rule = Callable[[Path], house.Finding]


def broken(rule: Rule, root: Path, files: dict[str, str]) -> list[str]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return rule(root).broken


def test_long_files_are_counted(tmp_path: Path) -> None:
    files = {
        "minicnn/tensor.py": "x = 1\n" * 500,
        "minicnn/explain/page.js": "//\n" * 401,
        "kernels/gpu/conv.cu": "\n" * 400,
        "tests/test_a.py": "\n" * 601,
    }
    assert broken(house.source_files, tmp_path, files) == ["minicnn/explain/page.js has 401 lines"]
    assert house.test_files(tmp_path).broken == ["tests/test_a.py has 601 lines"]
    (tmp_path / "minicnn/tensor.py").write_text("\n" * 501)
    assert house.source_files(tmp_path).broken[0] == "minicnn/tensor.py has 501 lines"


def test_a_circle_is_found_inside_functions_too_but_not_among_types(tmp_path: Path) -> None:
    files = {
        "minicnn/__init__.py": "from minicnn.ops import conv",
        "minicnn/ops/__init__.py": "",
        "minicnn/ops/conv.py": "def f():\n    from . import pool",
        "minicnn/ops/pool.py": "from .conv import f",
        "kernels/__init__.py": "from .arrays import of",
        "kernels/arrays.py": "if TYPE_CHECKING:\n    from minicnn import kernels",
    }
    (circle,) = broken(house.circles, tmp_path, files)
    assert "minicnn.ops.conv -> minicnn.ops.pool" in circle or circle.endswith("ops.conv")


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("minicnn/ops/conv.py", "from minicnn.tensor import Tensor", "minicnn.tensor"),
        ("minicnn/nn/conv.py", "def f():\n    from ..train import fit", "minicnn.train"),
        ("kernels/reference.py", "from minicnn import device", "minicnn.device"),
        ("minicnn/train/fit.py", "import tests.oracle", "tests.oracle"),
    ],
)
def test_an_import_of_a_storey_above_is_found(
    file: str, text: str, complaint: str, tmp_path: Path
) -> None:
    files = dict.fromkeys(["minicnn/tensor.py", "minicnn/train/__init__.py"], "from .ops import a")
    files |= dict.fromkeys(["minicnn/ops/a.py", "minicnn/device.py", "tests/oracle.py"], "")
    (found,) = broken(house.storeys, tmp_path, files | {file: text})
    assert found.endswith(f" imports {complaint}")


def test_a_module_without_a_storey_is_named(tmp_path: Path) -> None:
    assert broken(house.storeys, tmp_path, {"minicnn/attic.py": ""}) == [
        "minicnn.attic is on no storey"
    ]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("minicnn/ops/conv.py", "def f():\n    import numba"),
        ("kernels/cpu/conv.py", "from cupy import asarray"),
        ("minicnn/visualize/draw.py", "import matplotlib.figure"),
        ("minicnn/data/download.py", "try:\n    import pooch\nexcept ImportError:\n    pass"),
    ],
)
def test_a_package_in_the_wrong_place_is_found(file: str, text: str, tmp_path: Path) -> None:
    allowed = {
        "kernels/cpu/jit.py": "import numba",
        "kernels/gpu/launch.py": "import cupy",
        "minicnn/device.py": "def f():\n    import cupy",
        "minicnn/train/report.py": "def f():\n    import matplotlib",
    }
    assert broken(house.foreign, tmp_path, allowed) == []
    assert len(broken(house.foreign, tmp_path, {file: text})) == 1


def test_what_import_minicnn_loads_is_found(tmp_path: Path) -> None:
    files = {"minicnn/__init__.py": "import requests\n__path__.append('.')", "requests.py": ""}
    files["tests/__init__.py"] = ""
    assert broken(house.loaded, tmp_path, files) == ["requests", "minicnn.tests", "minicnn.minicnn"]


def test_functions_with_many_parameters_are_found(tmp_path: Path) -> None:
    nine = "a, b, c, d, e, /, f, g, *, h, i"
    text = (
        f"class A:\n    def eight(self, b, c, d, e, f, g, h, i): ...\n    def nine({nine}): ...\n"
    )
    files = {"minicnn/a.py": text + f"def fit({nine}): ...", "kernels/a.py": f"def f({nine}): ..."}
    assert broken(house.parameters, tmp_path, files) == ["minicnn/a.py:3 A.nine: 9 parameters"]


def test_comments_are_counted_by_line_of_code(tmp_path: Path) -> None:
    text = '"""Two\nlines."""\n# said\nx = [\n    1,  # said\n]  # fmt: skip\n\ny = 2\n'
    files = {"kernels/tiles/lanes.py": text}
    assert broken(house.comments("kernels/tiles", 50), tmp_path, files) == []
    assert house.comments("kernels/tiles")(tmp_path).figure == "50.0; docstrings 50"
    assert house.comments("kernels/tiles", 51)(tmp_path).broken


def test_fmt_skip_is_for_tables(tmp_path: Path) -> None:
    table = "x = {\n  'a': 1,  'b': 2,\n}  # fmt: skip\nnet = Sequential(\n  1, 2)  # fmt: skip\n"
    code = "f(1,\n  2)  # fmt: skip\ndef g(a,\n    b):  # fmt: skip\n    pass\n"
    assert broken(house.unformatted, tmp_path, {"docs/a.py": table + code}) == [
        "docs/a.py:7 2)  # fmt: skip",
        "docs/a.py:9 b):  # fmt: skip",
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "the gradient by x",
        "computed anew",
        "rightly so",
        "in so many steps",
        "hits += 1",
        "beside it",
        "the layer behind it",
        "cells that are met twice",
    ],
)
def test_retired_words_are_found(sentence: str, tmp_path: Path) -> None:
    fine = {
        "README.md": "the gradient by hand; a bright and lightly padded corner; the numbers behind"
    }
    assert broken(house.words, tmp_path, fine) == []
    assert len(broken(house.words, tmp_path, {"docs/a.md": sentence})) == 1


def test_a_page_that_names_a_file_that_is_gone_is_found(tmp_path: Path) -> None:
    page = "See `minicnn/ops/conv.py`, [this](../docs/a.md) and kernels/cpu.py."
    files = {"docs/a.md": page, "minicnn/ops/conv.py": ""}
    assert broken(house.paths, tmp_path, files) == ["docs/a.md names kernels/cpu.py"]


@pytest.mark.long
def test_this_tree_breaks_no_rule_and_the_command_prints_the_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = house.main(house.ROOT)
    said = capsys.readouterr().out
    assert status == 0, said
    lines = said.splitlines()
    assert lines[0].split() == ["8eabaf1", "today"]
    assert all(rule in line for rule, line in zip(house.RULES, lines[1:], strict=False))
    assert house.RULES.keys() == house.BEFORE.keys()
