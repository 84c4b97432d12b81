"""A chapter as cells: the book's Markdown, readers' notebooks, tabs, and what is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minicnn.d2l.book import markdown
from minicnn.d2l.book.cells import Cell, Chapter, choose_tab, frameworks_of, imported
from minicnn.d2l.book.changes import names_set, with_epochs, without_installs

PATH = Path("a.md")


def chapter(text: str) -> Chapter:
    return Chapter(PATH, markdown.cells_of(PATH, text), False)


def code(cells: list[Cell]) -> list[tuple[int, str]]:
    return [(cell.line, cell.source) for cell in cells if cell.kind == "code"]


TABS = """\
# Two tabs

```{.python .input}
import mxnet
```

```{.python .input  n=12}
#@tab pytorch
import torch
```

```python
#@tab all
shown, not run
```

:begin_tab:`pytorch, jax`
only for some
:end_tab:

```{.python .input}
# a comment
#@tab pytorch, jax
two = 2
```

````{.python .input}
#@tab all
text = '''
```
'''
````
the end
"""


def test_cells_keep_their_lines_and_tabs() -> None:
    book = chapter(TABS)
    assert book.tabs == ["mxnet", "pytorch", "jax"]
    last = (28, "#@tab all\ntext = '''\n```\n'''")
    assert code(book.of("mxnet")) == [(4, "import mxnet"), last]
    torch = [(8, "#@tab pytorch\nimport torch"), (22, "# a comment\n#@tab pytorch, jax\ntwo = 2")]
    assert code(book.of("pytorch")) == [*torch, last]
    assert code(book.of("jax")) == [torch[1], last]
    texts = {tab: [c.source for c in book.of(tab) if c.kind == "markdown"] for tab in book.tabs}
    shown = "```python\n#@tab all\nshown, not run\n```"
    assert texts["mxnet"] == ["# Two tabs", shown, "the end"]
    assert texts["pytorch"] == texts["jax"] == ["# Two tabs", shown, "only for some", "the end"]


def test_a_cell_between_tab_marks_belongs_to_them() -> None:
    book = chapter(
        ":begin_tab:`pytorch`\n```{.python .input}\na\n```\n:end_tab:\n```{.python .input}\nb\n```"
    )
    assert code(book.of("pytorch")) == [(3, "a")]
    assert code(book.of("mxnet")) == [(7, "b")]


def test_in_later_editions_a_cell_without_a_tab_is_everybodys() -> None:
    book = chapter(
        "```{.python .input}\nx = 1\n```\n\n```{.python .input}\n%%tab pytorch\ny = 2\n```\n"
        "```{.python .input}\n%%tab all\nz = 3\n```\n```{.python .input}\n%%tab jax\nz = 4\n```\n"
    )
    assert book.tabs == ["pytorch", "jax"]
    assert [line for line, _ in code(book.of("pytorch"))] == [2, 6, 10]
    assert without_installs("%%tab all\nz = 3") == ("#%%tab all\nz = 3", [])


def test_without_tabs_all_cells_are_run() -> None:
    book = chapter("```{.python .input}\nimport torch\n```\n")
    assert book.tabs == []
    assert choose_tab(book, None) is None
    assert frameworks_of(book, None, None) == ["pytorch"]
    assert frameworks_of(book, None, "pytorch") == ["pytorch"]
    with pytest.raises(ValueError, match=r"--tab mxnet: a\.md has no tabs, and imports pytorch"):
        frameworks_of(book, None, "mxnet")


def test_the_tab_that_is_chosen() -> None:
    book = chapter(TABS)
    assert choose_tab(book, None) == "mxnet"
    assert choose_tab(book, "pytorch") == "pytorch"
    with pytest.raises(
        ValueError, match=r"--tab tensorflow: a\.md has cells for mxnet, pytorch, jax"
    ):
        choose_tab(book, "tensorflow")
    only_jax = chapter("```{.python .input}\n#@tab jax\n1\n```")
    with pytest.raises(
        ValueError, match=r"wanted one of mxnet, pytorch, tensorflow: .* cells for jax"
    ):
        choose_tab(only_jax, None)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("# only text\n```python\n1\n```", r"a\.md: no chapter; wanted cells that begin with"),
        ("x\n\n```{.python .input}\n1\n", r"a\.md, line 3: this ``` is not closed"),
        ("```{.python .input}\n\n#@tab\n1\n```", r"a\.md, line 3: #@tab names no tab"),
    ],
)
def test_what_is_no_chapter(text: str, answer: str) -> None:
    with pytest.raises(ValueError, match=answer):
        chapter(text)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from mxnet import nd", ["mxnet"]),
        ("import d2lzh as d2l", ["mxnet"]),
        ("import d2l", ["mxnet"]),
        ("import d2l\nimport torch", ["pytorch"]),
        ("%matplotlib inline\nfrom d2l import tensorflow as d2l", ["tensorflow"]),
        ("    import torch.nn as nn\nfrom mxnet.gluon import nn", ["mxnet", "pytorch"]),
        ("import d2l.torch", ["pytorch"]),
        ("import minicnn as torch\nimport numpy", []),
        ("import time\nimport torch\nimport tensorflow as tf", ["pytorch", "tensorflow"]),
    ],
)
def test_the_frameworks_that_are_imported(source: str, found: list[str]) -> None:
    assert imported([source]) == found


# What is changed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "changed", "places"),
    [
        ("num_epochs = 10", "num_epochs = 2", [(1, "10")]),
        ("\nlr, num_epochs = 0.9, 10  # ten", "\nlr, num_epochs = 0.9, 2  # ten", [(2, "10")]),
        ("num_epochs, lr=5,.5", "num_epochs, lr=2,.5", [(1, "5")]),
        ("'学'; (a, [num_epochs]) = 1, [0xA]", "'学'; (a, [num_epochs]) = 1, [2]", [(1, "0xA")]),
        ("num_epochs: int = 3", "num_epochs: int = 2", [(1, "3")]),
        ("%%time\n!ls\nf(net, num_epochs=10)", "%%time\n!ls\nf(net, num_epochs=2)", [(3, "10")]),
        ("n = num_epochs = 10; num_epochs = 3", "n = num_epochs = 2; num_epochs = 2",
         [(1, "10"), (1, "3")]),
        ("num_epochs = n; epochs = 10", "num_epochs = n; epochs = 10", []),
        ("def train(net, num_epochs=10): pass", "def train(net, num_epochs=10): pass", []),
        ("num_epochs = = 10", "num_epochs = = 10", []),
    ],
)  # fmt: skip
def test_only_the_number_of_epochs_is_replaced(
    source: str, changed: str, places: list[tuple[int, str]]
) -> None:
    assert with_epochs(source, 2) == (changed, places)


@pytest.mark.parametrize(
    ("source", "run", "skipped"),
    [
        ("!pip install d2l==1.0.3\nx = 1", "pass\nx = 1", [1]),
        ("if a:\n    %pip install \\\n  torch\nx", "if a:\n    pass\n\nx", [2]),
        ("!{sys.executable} -m pip install -U mxnet", "pass", [1]),
        ("!nvidia-smi\n!pip list", "!nvidia-smi\n!pip list", []),
        ("%%bash\npip install x\nls", "%%bash\ntrue\nls", [2]),
        ("%load_ext d2lbook.tab\n1", "pass\n1", [1]),
        ("print('pip install x')", "print('pip install x')", []),
    ],
)
def test_lines_that_install_packages_are_left_out(
    source: str, run: str, skipped: list[int]
) -> None:
    assert without_installs(source) == (run, skipped)


def test_the_names_that_a_cell_sets() -> None:
    source = (
        "%time a = 1\nimport b.c, d as e\nfrom f import g\nfor h in x: i, (j) = h\ndef k(l): m = 1"
    )
    assert names_set(source) == {"b", "e", "g", "h", "i", "j", "k"}
    assert names_set("no python") == set()


# Notebooks ----------------------------------------------------------------------------------------


def test_a_notebook_is_read_without_what_it_once_put_out() -> None:
    pytest.importorskip("nbformat")
    from minicnn.d2l.book import notebook

    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# A\n", "b"]},
        {
            "cell_type": "code",
            "metadata": {"tags": ["x"]},
            "execution_count": 9,
            "source": "1\r\n2",
            "outputs": [{"output_type": "stream", "name": "stdout", "text": "old"}],
        },
        {"cell_type": "raw", "metadata": {}, "source": "as it is"},
    ]
    text = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 2})
    read = notebook.cells_of(Path("a.ipynb"), text)
    assert [(cell.kind, cell.source) for cell in read] == [
        ("markdown", "# A\nb"),
        ("code", "1\n2"),
        ("raw", "as it is"),
    ]
    assert read[1].extra == {"metadata": {"tags": ["x"]}}


def test_a_notebook_of_the_format_before_is_read() -> None:
    pytest.importorskip("nbformat")
    from minicnn.d2l.book import notebook

    cells = [
        {"cell_type": "heading", "level": 2, "metadata": {}, "source": "Old"},
        {
            "cell_type": "code",
            "collapsed": False,
            "input": "x = 1",
            "language": "python",
            "metadata": {},
            "outputs": [{"output_type": "pyout", "prompt_number": 1, "text": "1", "metadata": {}}],
            "prompt_number": 1,
        },
    ]
    old = {"metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0}
    text = json.dumps({**old, "worksheets": [{"cells": cells, "metadata": {}}]})
    read = notebook.cells_of(Path("a.ipynb"), text)
    assert [(cell.kind, cell.source) for cell in read] == [
        ("markdown", "## Old"),
        ("code", "x = 1"),
    ]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<!DOCTYPE html>\n<html>", "no notebook, which is JSON; it begins with '<!DOCTYPE html>"),
        ('{"a": 1}', "JSON, but no notebook: it has no cells"),
        ('{"cells": 3, "nbformat": 4, "nbformat_minor": 5}', "nbformat cannot read this notebook"),
        (
            '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
            "no chapter; this notebook has no code cells",
        ),
        (
            '{"cells": [], "metadata": {"kernelspec": {"language": "R", "name": "ir"}}, '
            '"nbformat": 4, "nbformat_minor": 5}',
            "a notebook of R; wanted Python",
        ),
    ],
)
def test_what_is_no_notebook(text: str, answer: str) -> None:
    pytest.importorskip("nbformat")
    from minicnn.d2l.book import notebook

    with pytest.raises(ValueError, match=r"a\.ipynb: ") as error:
        notebook.cells_of(Path("a.ipynb"), text)
    assert answer in str(error.value)
