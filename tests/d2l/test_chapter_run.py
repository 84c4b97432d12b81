"""``python -m minicnn.d2l``: cells run one after the other, and what comes of it is kept."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib
import pytest

from minicnn.d2l.book.options import main

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("IPython")

PNG = b"\x89PNG"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(*cells: str, name: str = "chapter.md") -> str:
    """A chapter with these code cells: the first begins on line 4, each other 4 lines further."""
    text = "# A chapter\n"
    for cell in cells:
        text += f"\ntext\n```{{.python .input}}\n{cell}\n```\n"
    Path(name).write_text(text, encoding="utf-8")
    return name


def names_in(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def notebook_of(path: str) -> Any:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def outputs_of(path: str) -> list[list[Any]]:
    return [cell.outputs for cell in notebook_of(path).cells if cell.cell_type == "code"]


def test_cells_are_numbered_and_their_outputs_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chapter = written("x = 3\nprint('three', end='')", "x * 2", "def f():\n    return 'é'", "f();")
    assert main([chapter]) == 0
    assert capsys.readouterr().out.split("\n") == [
        "chapter.md: 4 code cells, of no framework",
        *("[1] line 5", "three"),
        *("[2] line 11", "6"),
        *("[3] line 16", "[4] line 22", ""),
    ]
    assert names_in(".") == [chapter]


def test_a_cell_that_fails_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    chapter = written("def half(x):\n    return x / 0", "y = 1\nhalf(y)", "print('never')")
    assert main([chapter, "--out", "kept"]) == 1
    out, err = capsys.readouterr()
    assert err == (
        "python -m minicnn.d2l: cell 2, line 12: in half (cell 1, line 6): "
        "ZeroDivisionError: division by zero\n"
    )
    assert "never" not in out
    first, second, third = outputs_of("kept/chapter.ipynb")
    assert first == third == []
    assert second[0].ename == "ZeroDivisionError"
    assert [line for line in second[0].traceback if "File" in line] == [
        '  File "cell 2", line 2, in <module>',
        '  File "cell 1", line 2, in half',
    ]


FAILURES = {  # a cell, which of its lines fails, and the sentence
    "x = = 1": (1, "SyntaxError: invalid syntax"),
    "1\nimport sys\nsys.exit(3)": (3, "SystemExit: this cell ends the program"),
    "exit()": (1, "SystemExit: this cell ends the program"),
    "input('Your name?')": (
        1,
        "EOFError: input() waits for somebody to type, which nobody does here; write the text",
    ),
    "%%time\n1\nundefined": (3, "NameError: name 'undefined' is not defined"),
    "%nothing": (1, "UsageError: Line magic function `%nothing` not found."),
    "raise KeyError": (1, "KeyError"),
    "1\n[1 / x for x in [0]]": (2, "ZeroDivisionError: division by zero"),
    "raise ValueError('two\\n  lines')": (1, "ValueError: two lines"),
    "raise ExceptionGroup('many', [ValueError(1)])": (
        1,
        "ExceptionGroup: many (1 sub-exception)",
    ),
    "open('gone.txt')": (1, "FileNotFoundError: gone.txt: No such file or directory"),
}


def test_each_failure_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    cells = [nbformat.v4.new_code_cell(cell) for cell in FAILURES]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), "mine.ipynb")
    assert main(["mine.ipynb", "--report"]) == 1
    out, err = capsys.readouterr()
    sentences = [
        f"cell {number}, line {line}: {told}"
        for number, (line, told) in enumerate(FAILURES.values(), start=1)
    ]
    assert re.findall("^stopped: (.*)$", out, re.M) == sentences
    assert out.endswith("\n".join(["", *sentences, "0 of 11 cells ran; 11 stopped", ""]))
    assert err == ""
    assert "Traceback" not in out


# Figures ------------------------------------------------------------------------------------------


def test_figures_are_kept_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    plot = (
        "from matplotlib import pyplot as plt\nplt.plot([1, 5, 2]);\nplt.show()\nplt.plot([2, 1]);"
    )
    live = (
        "from minicnn import d2l\nanimator = d2l.Animator()\nfor i in range(3):\n"
        "    animator.add(i, i * i)\nprint('done')"
    )
    backend = matplotlib.get_backend()
    other = Path("chapter/mine.txt")
    other.parent.mkdir()
    other.write_text("mine")
    assert main([written("pass", plot, live)]) == 0
    names = ["cell-02-1.png", "cell-02-2.png", "cell-03-1.png"]
    assert names_in("chapter") == [*names, "mine.txt"]
    assert all(Path("chapter", name).read_bytes().startswith(PNG) for name in names)
    lines = capsys.readouterr().out.split("\n")
    assert lines[2:] == [
        "[2] line 10",
        "figure: chapter/cell-02-1.png",
        "figure: chapter/cell-02-2.png",
        "[3] line 18",
        "done",
        "figure: chapter/cell-03-1.png",
        "",
    ]
    assert matplotlib.get_backend() == backend


def test_a_cell_may_change_the_folder(tmp_path: Path) -> None:
    Path("sub").mkdir()
    plot = "from matplotlib import pyplot as plt\nplt.plot([1, 5, 2]);"
    assert main([written("%cd sub", plot), "--out", "kept", "--report"]) == 0
    assert Path.cwd() == tmp_path / "sub"
    assert names_in("../kept") == ["cell-02-1.png", "chapter.ipynb", "report.json"]
    assert names_in(".") == []


def test_a_figure_that_a_later_cell_changes_is_replaced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = "import matplotlib.pyplot as plt\nfig, axes = plt.subplots()\n"
    first += "handle = display(fig, display_id=True)\nplt.close()"
    chapter = written(first, "axes.plot([1, 2]);\nhandle.update(fig)")
    assert main([chapter, "--out", "kept"]) == 0
    assert capsys.readouterr().out.count("figure: kept/cell-01-1.png\n") == 1
    shown = outputs_of("kept/chapter.ipynb")[0][0].data["image/png"]
    assert base64.b64decode(shown) == Path("kept/cell-01-1.png").read_bytes()
    assert main([written(first), "--out", "before"]) == 0
    assert outputs_of("before/chapter.ipynb")[0][0].data["image/png"] != shown


def test_the_last_state_of_a_display_is_kept() -> None:
    show = (
        "from IPython.display import clear_output, display\n"
        "h = display('a', display_id=True)\n"
        "for i in range(3):\n    clear_output(wait=True)\n    print(i)"
    )
    twice = "handle = display('first', display_id=True)"
    assert main([written(show, twice, "handle.update('second')"), "--out", "kept"]) == 0
    first, second, third = outputs_of("kept/chapter.ipynb")
    assert [o.text for o in first] == ["2\n"]
    assert [o.data["text/plain"] for o in second] == ["'second'"]
    assert third == []


def test_a_figure_is_a_png_whatever_is_configured() -> None:
    cell = (
        "%matplotlib inline\n%config InlineBackend.figure_format = 'svg'\n"
        "import matplotlib.pyplot as plt\nfig, axes = plt.subplots()\naxes.plot([1, 2]);"
    )
    assert main([written(cell)]) == 0
    assert names_in("chapter") == ["cell-01-1.png"]


def test_a_figure_that_cannot_be_drawn_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    cell = "import matplotlib.pyplot as plt\nplt.title('$\\\\frac$');"
    assert main([written(cell)]) == 1
    assert "cell 1: ValueError: " in capsys.readouterr().err


def test_what_cannot_be_displayed_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    cell = "class Bad:\n    def _repr_png_(self):\n        raise OSError('no disk')\nBad()"
    assert main([written(cell)]) == 0
    assert capsys.readouterr().err == "not shown: OSError: no disk\n"


# The executed notebook ----------------------------------------------------------------------------


def test_a_readers_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    v4 = nbformat.v4
    old = [v4.new_output("stream", text="old")]
    cells = [
        v4.new_markdown_cell("# Mine"),
        v4.new_code_cell("!pip install d2l==1.0.3\n%matplotlib inline", outputs=old),
        v4.new_code_cell(""),
        v4.new_raw_cell("raw"),
        v4.new_code_cell("%%time\nx = 7\nprint('seven')"),
        v4.new_code_cell("y = x\nx"),
        v4.new_code_cell("import sys\nprint('careful', file=sys.stderr)\nprint(1, end='')\n1 / 0"),
    ]
    nbformat.write(v4.new_notebook(cells=cells), "mine.ipynb")
    assert main(["mine.ipynb", "--out", "kept"]) == 1
    out, err = capsys.readouterr()
    assert "[1]\ncell 1, line 1: skipped, not needed here: !pip install d2l" in out
    assert err.endswith("cell 4, line 4: ZeroDivisionError: division by zero\n")
    made = notebook_of("kept/mine.ipynb").cells
    assert [cell.source for cell in made] == [cell.source for cell in cells]
    assert [cell.get("execution_count") for cell in made] == [None, 1, None, None, 2, 3, 4]
    outputs = outputs_of("kept/mine.ipynb")
    assert outputs[:2] == [[], []]
    assert outputs[2][0].text.startswith("seven\n")
    assert outputs[3][0].output_type == "execute_result"
    assert outputs[3][0].data == {"text/plain": "7"}
    kinds = [(o.output_type, o.get("name")) for o in outputs[4]]
    assert kinds == [("stream", "stderr"), ("stream", "stdout"), ("error", None)]


def test_the_chapter_itself_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), "mine.ipynb")
    with pytest.raises(SystemExit) as ended:
        main(["mine.ipynb", "--out", "."])
    assert ended.value.code == 2
    assert "mine.ipynb there is the chapter itself" in capsys.readouterr().err


# Options ------------------------------------------------------------------------------------------


def test_epochs_are_replaced_and_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    chapter = written("lr, num_epochs = 0.9, 10\nnum_epochs", "num_epochs = 3")
    assert main([chapter, "--epochs", "2", "--out", "kept"]) == 0
    out = capsys.readouterr().out
    said = ": for a quick look, not the published figure\n"
    assert f"[1] line 5\ncell 1, line 5: num_epochs 10 -> 2{said}2\n" in out
    assert f"cell 2, line 11: num_epochs 3 -> 2{said}" in out
    assert notebook_of("kept/chapter.ipynb").cells[1].source.startswith("lr, num_epochs = 0.9, 2")
    assert main([written("x = 1"), "--epochs", "2"]) == 0
    assert "--epochs changed nothing: no cell gives num_epochs" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_draws(capsys: pytest.CaptureFixture[str]) -> None:
    chapter = written(
        "import minicnn, numpy, random\n"
        "minicnn.rand(2).sum().item(), numpy.random.rand(), random.random()"
    )
    printed = []
    for seed in ("4", "4", "5"):
        assert main([chapter, "--seed", seed]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != printed[2]


def test_the_data_are_looked_for_in_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    chapter = written("from minicnn import d2l\nd2l.load_data_fashion_mnist(256)")
    Path("data").mkdir()
    assert main([chapter, "--data-dir", "data"]) == 1
    assert "cell 1, line 6: DatasetError: data lacks train-images" in capsys.readouterr().err


def test_a_report_goes_on_and_says_what_stopped_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chapter = written("a = 1 / 0", "print('runs')", "a + 1", "b")
    assert main([chapter, "--report", "--out", "kept"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert out.endswith(
        "\ncell 1, line 5: ZeroDivisionError: division by zero\n"
        "cell 3, line 15: NameError: name 'a' is not defined (cell 1, which was stopped, sets it)\n"
        "cell 4, line 20: NameError: name 'b' is not defined\n"
        "1 of 4 cells ran; 2 stopped, and 1 more by what a stopped one would have set\n"
    )
    kept = json.loads(Path("kept/report.json").read_text())
    assert (kept["chapter"], kept["cells_run"], kept["cells"]) == ("chapter.md", 1, 4)
    assert [cell["ran"] for cell in kept["each"]] == [False, True, False, False]
    assert kept["each"][2]["because_of"] == [1]
    assert kept["each"][2]["error_line"] == 15
    assert [len(outputs) for outputs in outputs_of("kept/chapter.ipynb")] == [1, 1, 1, 1]
    assert main([written("1", "2"), "--report"]) == 0
    assert capsys.readouterr().out.endswith("\n2 of 2 cells ran\n")


def test_a_tab_is_installed_and_taken_out_again(capsys: pytest.CaptureFixture[str]) -> None:
    path, name, before = list(sys.path), "__main__", sys.modules["__main__"]
    chapter = written("import mxnet\nmxnet.gloun", "#@tab pytorch\nimport torch")
    assert main([chapter]) == 1
    out, err = capsys.readouterr()
    assert "chapter.md: 1 code cells, tab mxnet (others: pytorch)\n" in out
    assert "mxnet now mean minicnn" in out
    assert "cell 1, line 6: AttributeError: mxnet.gloun is not in minicnn's mxnet" in err
    assert "mxnet" not in sys.modules
    assert (sys.path, sys.modules[name]) == (path, before)
    assert not hasattr(sys, "ps1")


def test_a_tab_that_uses_d2l_and_does_not_import_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([written("#@tab mxnet\nprint(d2l.__name__)")]) == 0
    out = capsys.readouterr().out
    assert "this tab imports d2l nowhere; here it is d2l.mxnet\n[1] line 5\nd2l.mxnet\n" in out


def test_later_editions_ask_for_the_tab(capsys: pytest.CaptureFixture[str]) -> None:
    chapter = written(
        "%load_ext d2lbook.tab\ntab.interact_select('mxnet', 'jax')",
        "%%tab all\nif tab.selected('mxnet', 'x'): print('here')\nif tab.selected('jax'): 1 / 0",
        "%%tab mxnet\n'mine'",
        "%%tab jax\n1 / 0",
    )
    assert main([chapter]) == 0
    assert capsys.readouterr().out.endswith("here\n[3] line 18\n'mine'\n")


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (["gone.md"], "gone.md: No such file or directory"),
        (["."], ".: Is a directory"),
        (["text.md"], "text.md: no chapter; wanted cells that begin with ```{.python .input}"),
        (["bytes.md"], "bytes.md: not a text in UTF-8; wanted Markdown or a notebook"),
        (["good.md", "--out", "text.md"], "text.md: this is a file; wanted a folder"),
        (["good.md", "--data-dir", "gone"], "--data-dir: gone is no folder"),
        (["good.md", "--tab", "jax"], "invalid choice: 'jax'"),
        (["good.md", "--seed", "-1"], "argument --seed: '-1'; wanted an integer of at least 0"),
        (["good.md", "--epoch", "1"], "--epoch is no option; did you mean --epochs?"),
        ([], "the following arguments are required: CHAPTER"),
    ],
)
def test_a_mistake_is_a_line(
    given: list[str], answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("text.md").write_text("text")
    Path("bytes.md").write_bytes(b"\xff\xfe\x00")
    written("1", name="good.md")
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("python -m minicnn.d2l: error: ")
    assert answer in err
    assert err.count("\n") == 1


def test_without_ipython_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)
    with pytest.raises(SystemExit) as ended:
        main([written("1")])
    assert ended.value.code == 2
    assert "needs the extra book: pip install '.[book]'" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_ctrl_c_keeps_what_was_shown() -> None:
    chapter = written("print('first')", "print('second', flush=True)\nwhile True: pass", "3")
    process = subprocess.Popen(
        [sys.executable, "-m", "minicnn.d2l", chapter, "--out", "kept"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "second" not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "python -m minicnn.d2l: interrupted in cell 2, line 10\n"
    first, second, third = outputs_of("kept/chapter.ipynb")
    assert [o.text for o in (*first, *second)] == ["first\n", "second\n"]
    assert third == []


def test_notices_in_a_cell_suit_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """In English on a screen that has no Japanese: the cells' stdout has the screen's encoding."""
    kept = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(kept, "latin-1"))
    monkeypatch.setenv("LANGUAGE", "ja")
    cell = "from minicnn.language import notice\nprint(notice('on_plateau'))"
    assert main([written(cell), "--out", "kept"]) == 0
    assert b"\non the plateau\n" in kept.getvalue()
