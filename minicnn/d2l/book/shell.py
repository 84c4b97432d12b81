"""IPython as it runs a chapter: in this process, with what cells show kept and printed."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.formatters import DisplayFormatter
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.profiledir import ProfileDir
from traitlets import Type
from traitlets.config import Config

from minicnn.d2l.book.failures import Failure, failure, sentence
from minicnn.d2l.book.outputs import SUFFIXES, Outputs
from minicnn.terminal import say

INLINE = "module://matplotlib_inline.backend_inline"


class _Stream(io.TextIOBase):
    """stdout or stderr of the cells: what they write is printed and kept."""

    encoding = "utf-8"

    def __init__(self, name: str, shell: Shell):
        self.name, self.shell = name, shell
        self.screen = getattr(sys, name)
        self.encoding = getattr(self.screen, "encoding", None) or self.encoding
        self.at_start = True  # of a line

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.shell.outputs.stream(self.name, text)
        if self.screen is not None:
            say(text, self.screen, end="")
        self.at_start = text.endswith("\n") if text else self.at_start
        return len(text)

    def end_line(self) -> None:
        """Begin a new line on the screen, if the last one has not ended."""
        if not self.at_start and self.screen is not None:
            say("", self.screen)
        self.at_start = True


class _Formatter(DisplayFormatter):
    """Jupyter's forms of an object; of a Matplotlib figure always a PNG, whatever is configured."""

    def format(self, obj: Any, include: Any = None, exclude: Any = None) -> Any:
        pyplot = sys.modules.get("matplotlib.figure")
        if pyplot is None or not isinstance(obj, pyplot.Figure):
            return super().format(obj, include, exclude)
        from IPython.core.pylabtools import print_figure

        png = print_figure(obj, "png", base64=True)
        return {"text/plain": repr(obj), **({"image/png": png} if png else {})}, {}


class _Publisher(DisplayPublisher):
    """Where ``display`` and ``clear_output`` arrive."""

    shell: Shell

    def publish(
        self,
        data: Any,
        metadata: Any = None,
        source: Any = None,
        *,
        transient: Any = None,
        update: bool = False,
        **_: Any,
    ) -> None:
        name = (transient or {}).get("display_id")
        if name is None or not update:
            self.shell.show("display_data", data, metadata, name)
            return
        for outputs in self.shell.all_outputs:
            outputs.update(name, data, metadata)

    def clear_output(self, wait: bool = False) -> None:
        self.shell.outputs.clear(wait)


class _Result(DisplayHook):
    """Where the value of a cell's last line arrives."""

    shell: Shell

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        self.shell.show("execute_result", format_dict, md_dict)

    def finish_displayhook(self) -> None:
        self._is_active = False


class _Compiler(CachingCompiler):
    """Calls a cell's code by its number, which tracebacks and warnings then show."""

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        return f"cell {number}"


class Shell(InteractiveShell):
    """Runs cells; made by ``open_shell``."""

    compiler_class = Type(_Compiler)
    display_pub_class = Type(_Publisher)
    displayhook_class = Type(_Result)
    keeps_pictures = True  # so that ``plots.in_notebook`` shows them

    def __init__(self, **options: Any):
        self.outputs = Outputs()
        self.all_outputs: list[Outputs] = []
        self.error: BaseException | None = None
        self.not_shown: list[BaseException] = []
        self.numbers: dict[str, int] = {}
        self.streams = {name: _Stream(name, self) for name in ("stdout", "stderr")}
        super().__init__(**options)

    def run(self, number: int, source: str) -> tuple[Outputs, Failure | None]:
        """Run a cell; what it showed, and what stopped it.

        Raises:
            KeyboardInterrupt: Ctrl-C, while it ran.
        """
        self.outputs = Outputs()
        self.all_outputs.append(self.outputs)
        self.execution_count = number
        self.numbers[f"cell {number}"] = number
        out, err = self.streams["stdout"], self.streams["stderr"]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            result = self.run_cell(source, store_history=True)
            out.end_line()
            error = result.error_before_exec or result.error_in_exec or self.error
            for trouble in self.not_shown:
                print(f"not shown: {sentence(trouble)}", file=sys.stderr)
        if any(isinstance(one, KeyboardInterrupt) for one in (error, self.error)):
            raise KeyboardInterrupt
        self.error, self.not_shown = None, []
        if error is None:
            return self.outputs, None
        found = failure(error, number, self.numbers)
        self.outputs.error(found.kind, found.message, found.traceback)
        return self.outputs, found

    def show(self, kind: str, data: Any, metadata: Any, name: str | None = None) -> None:
        """Keep what is displayed; print it if it is no picture, which will be a file."""
        self.outputs.display(kind, data, metadata, name)
        if not SUFFIXES.keys() & data.keys() and "text/plain" in data:
            self.streams["stdout"].end_line()
            say(data["text/plain"], self.streams["stdout"].screen)

    # What IPython would do otherwise --------------------------------------------------------------

    def showtraceback(self, exc_tuple: Any = None, *_: Any, **__: Any) -> None:
        """With ``exc_tuple`` an object could not say how it looks; otherwise the cell failed.

        Some of IPython's magics, and what draws figures after a cell, only report an error here.
        """
        if exc_tuple is not None:
            self.not_shown.append(exc_tuple[1])
        else:
            self.error = sys.exc_info()[1]

    def showsyntaxerror(self, *_: Any, **__: Any) -> None:
        self.showtraceback()

    def ask_exit(self) -> None:
        """``exit`` and ``quit`` in a cell."""
        raise SystemExit

    def enable_gui(self, gui: Any = None) -> None:
        """No windows: figures are files."""

    def init_display_formatter(self) -> None:
        self.display_formatter = _Formatter(parent=self)

    def init_profile_dir(self, profile_dir: Any) -> None:
        """A folder for a moment, instead of one in the user's home."""
        self.profile_dir = ProfileDir.create_profile_dir(self.ipython_dir)

    def init_virtualenv(self) -> None:
        """The packages are those of the Python that runs this."""


@contextlib.contextmanager
def open_shell(names: dict[str, Any]) -> Iterator[Shell]:
    """A shell with a fresh ``__main__`` that holds ``names``; afterwards all is as it was.

    Raises:
        ValueError: IPython runs already.
    """
    if InteractiveShell.initialized():
        raise ValueError(
            "IPython runs here already; call minicnn.d2l.install, and run the cells in it"
        )
    config = Config()
    config.HistoryManager.enabled = False
    with contextlib.ExitStack() as stack:
        stack.enter_context(_as_before())
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        shell = Shell.instance(config=config, ipython_dir=str(Path(folder) / "ipython"))
        stack.callback(_close, shell)
        shell.user_ns.update(names)
        if "matplotlib" in sys.modules:
            shell.enable_matplotlib("inline")
        yield shell


def _close(shell: Shell) -> None:
    """Without what IPython does at the end: it has no history here, and collects all garbage."""
    atexit.unregister(shell.atexit_operations)
    shell.user_ns.clear()
    Shell.clear_instance()


@contextlib.contextmanager
def _as_before() -> Iterator[None]:
    """Put back what IPython, and what it runs, change in this process."""
    main, path, backend = sys.modules["__main__"], list(sys.path), os.environ.get("MPLBACKEND")
    prompts = {name: getattr(sys, name) for name in ("ps1", "ps2", "ps3") if hasattr(sys, name)}
    figures = _backend()
    os.environ["MPLBACKEND"] = INLINE
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "To exit: use")  # IPython's advice on sys.exit()
            yield
    finally:
        sys.modules["__main__"], sys.path[:] = main, path
        for name in ("ps1", "ps2", "ps3"):
            if hasattr(sys, name):
                delattr(sys, name)
        for name, prompt in prompts.items():
            setattr(sys, name, prompt)
        del os.environ["MPLBACKEND"]
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].switch_backend(figures)


def _backend() -> str:
    """Where pyplot's figures go now; "agg", to nowhere, if that is not settled."""
    matplotlib = sys.modules.get("matplotlib")
    chosen = None if matplotlib is None else dict.get(matplotlib.rcParams, "backend")
    return chosen if isinstance(chosen, str) else "agg"  # the other: an object of Matplotlib's
