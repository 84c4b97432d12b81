"""The options of ``python -m minicnn.d2l``, and what it does with them."""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from minicnn import command
from minicnn.d2l.book import markdown, notebook
from minicnn.d2l.book.cells import Chapter, choose_tab, frameworks_of
from minicnn.d2l.book.report import as_json, report, stopped
from minicnn.d2l.book.running import Plan, Runner
from minicnn.d2l.facades.installing import FRAMEWORKS, install, uninstall
from minicnn.data.find import looking_in
from minicnn.files import check_folder, make_folder, write_whole
from minicnn.language import notice
from minicnn.terminal import complain, say

NAME = "python -m minicnn.d2l"


EXAMPLES = {
    "lenet.md": "the chapter, with the cells of the first framework that it has",
    "lenet.md --tab tensorflow --epochs 1": "TensorFlow's cells, for a quick look",
    "lenet.md --out lenet --report": "all cells that run; figures and the notebook in lenet/",
}


def parser() -> command.Parser:
    """The options of ``python -m minicnn.d2l``."""
    about = "Run a chapter of Dive into Deep Learning, cell by cell."
    p = command.Parser("d2l", about, EXAMPLES)
    p.usage = f"{p.prog} CHAPTER [options]"
    p.add("chapter", "CHAPTER", "the book's Markdown, or a Jupyter notebook", type=command.path)
    p.add(
        "--tab",
        "NAME",
        f"{', '.join(FRAMEWORKS)}: whose cells are run",
        "the first that the chapter has; of a notebook the framework that it imports",
        choices=list(FRAMEWORKS),
    )
    p.add(
        "--out",
        "DIR",
        "for figures and the executed notebook",
        "figures go into a folder named after the chapter",
        type=command.path,
    )
    p.add("--seed", "N", "of all random draws", "another one each time", type=command.at_least(0))
    p.add(
        "--data-dir",
        "DIR",
        "look for the data set's files here only",
        command.DATA,
        type=command.path,
    )
    p.add(
        "--epochs",
        "N",
        "instead of the chapter's num_epochs: for a quick look, never for a figure",
        "the chapter's",
        type=command.at_least(1),
    )
    p.add("--report", None, "go on after a cell that fails; say at the end which ran")
    return p


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return command.run(parser(), _run, argv)


def _run(options: argparse.Namespace) -> int:
    _check_packages()
    chapter = read(options.chapter)
    tab = choose_tab(chapter, options.tab)
    frameworks = frameworks_of(chapter, tab, options.tab)
    with command.naming(options, "data_dir"):
        if options.data_dir is not None and not options.data_dir.is_dir():
            raise NotADirectoryError(f"{options.data_dir} is no folder")
    plan = _plan(options, chapter, tab, frameworks)
    say(_headline(chapter, plan, tab, frameworks))
    with _installed(frameworks), looking_in(options.data_dir):
        _sow(options.seed)
        return _run_plan(plan, _names(plan, tab), options)


def _run_plan(plan: Plan, names: dict[str, Any], options: argparse.Namespace) -> int:
    """Run the cells. The exit status is 1 if one failed: the mistake is the chapter's."""
    from minicnn.d2l.book.shell import open_shell

    ran, start = [], Path.cwd()  # a cell may change to another folder
    with open_shell(names) as shell:
        runner = Runner(plan, shell)
        try:
            for one in runner.run(keep_going=options.report):
                ran.append(one)
                if one.failure is not None:
                    told = stopped(plan, one.number, one.failure)
                    say(f"stopped: {told}") if options.report else complain(f"{NAME}: {told}")
        except KeyboardInterrupt:
            complain(f"{NAME}: interrupted in {plan.place(runner.now, 1)}")
            return 130
    failed = any(one.failure is not None for one in ran)
    if options.epochs is not None and not runner.epochs_set and not failed:
        say(notice("no_num_epochs"))
    if options.report:
        say(report(plan, ran))
        if options.out is not None:
            text = json.dumps(as_json(plan, ran), indent=2, ensure_ascii=False) + "\n"
            write_whole(start / options.out / "report.json", text)
    return int(failed)


def _check_packages() -> None:
    try:
        import IPython  # noqa: F401
        import nbformat  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{error.name} is not installed; python -m minicnn.d2l needs the extra book: "
            "pip install '.[book]'"
        ) from error


def read(path: Path) -> Chapter:
    """A chapter of a file: a notebook if its name ends so or it is JSON, otherwise Markdown.

    Raises:
        ValueError: no chapter.
        OSError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not a text in UTF-8; wanted Markdown or a notebook") from None
    is_notebook = path.suffix == ".ipynb" or text.lstrip().startswith("{")
    cells = (notebook if is_notebook else markdown).cells_of(path, text)
    return Chapter(path, cells, is_notebook)


def _plan(
    options: argparse.Namespace, chapter: Chapter, tab: str | None, frameworks: list[str]
) -> Plan:
    name = chapter.path.stem
    if options.out is not None:
        with command.naming(options, "out"):
            check_folder(options.out)
            make_folder(options.out)
    folder = options.out or Path(f"{name}-{tab}" if tab and len(chapter.tabs) > 1 else name)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; name a folder for the figures: --out DIR")
    kept = None if options.out is None else options.out / f"{name}.ipynb"
    if kept is not None and kept.exists() and kept.samefile(chapter.path):
        raise ValueError(f"--out {options.out}: {kept.name} there is the chapter itself")
    about = {
        "chapter": chapter.path.name,
        "frameworks": frameworks,
        "seed": options.seed,
        "epochs": options.epochs,
        "minicnn": minicnn.__version__,
    }
    cells = chapter.of(tab)
    return Plan(cells, not chapter.is_notebook, folder, kept, options.epochs, about)


def _names(plan: Plan, tab: str | None) -> dict[str, Any]:
    """What the cells find already there.

    The book's builder writes ``d2l.tensor`` as the framework's own function, so that some tabs use
    d2l and import it nowhere.
    """
    names: dict[str, Any] = {"input": _no_input}
    if tab is not None:
        names["tab"] = _Tab(tab)
        text = "\n".join(cell.source for cell in plan.code.values())
        if re.search(r"\bd2l\.", text) and not re.search(r"^\s*(import|from) .*d2l", text, re.M):
            names["d2l"] = import_module({"pytorch": "d2l.torch"}.get(tab, f"d2l.{tab}"))
            say(f"this tab imports d2l nowhere; here it is {names['d2l'].__name__}")
    return names


def _headline(chapter: Chapter, plan: Plan, tab: str | None, frameworks: list[str]) -> str:
    told = f"{chapter.path.name}: {len(plan.code)} code cells"
    if tab is not None:
        others = [other for other in chapter.tabs if other != tab]
        return f"{told}, tab {tab}" + (f" (others: {', '.join(others)})" if others else "")
    return f"{told}, {' and '.join(frameworks)}" if frameworks else f"{told}, of no framework"


@contextlib.contextmanager
def _installed(frameworks: list[str]) -> Iterator[None]:
    """The frameworks' modules mean this engine while this lasts."""
    try:
        for framework in frameworks:
            try:
                install(framework)
            except RuntimeError as error:  # a real one is imported
                raise ValueError(str(error)) from error
        yield
    finally:
        uninstall()


def _sow(seed: int | None) -> None:
    """The same draws each time: the engine's, NumPy's and Python's."""
    if seed is not None:
        minicnn.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 (what cells draw from)
        random.seed(seed)


def _no_input(prompt: object = "") -> str:
    """``input`` of the cells."""
    raise EOFError("input() waits for somebody to type, which nobody does here; write the text")


class _Tab:
    """``tab`` in chapters of later editions, whose cells ask which one is read."""

    def __init__(self, name: str):
        self.name = name

    def selected(self, *names: str) -> bool:
        """Whether the tab is one of ``names``."""
        return self.name in names

    def interact_select(self, *names: object) -> None:
        """The book's page shows a switch here."""
