"""What the command lines share: one line on stderr and exit status 2 for a user's mistake."""

from __future__ import annotations

import argparse
import difflib
import math
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import minicnn
from minicnn.device import DeviceError
from minicnn.files import expand
from minicnn.terminal import answer_interrupts, complain, say


class Parser(argparse.ArgumentParser):
    """The options of ``python -m minicnn.<name>``, with errors of one line."""

    def __init__(self, name: str, description: str):
        prog = f"python -m minicnn.{name}"
        super().__init__(prog, f"{prog} [options]", description, allow_abbrev=False)
        self.add_argument("--version", action="version", version=f"minicnn {minicnn.__version__}")
        self._open: Any = self

    def group(self, title: str) -> None:
        """Show the options that follow under ``title``."""
        self._open = self.add_argument_group(title)

    def add(self, name: str, value: str | None, help: str, **options: Any) -> None:
        """An option with a value (shown as ``value``), or a switch without."""
        kind = {"action": "store_true"} if value is None else {"metavar": value}
        self._open.add_argument(name, help=help, **kind, **options)

    def parse(self, argv: list[str] | None) -> argparse.Namespace:
        """The parsed options; an unknown one is an error that names the nearest known one."""
        options, unknown = self.parse_known_args(argv)
        if unknown:
            name = unknown[0].partition("=")[0]
            near = difflib.get_close_matches(name, self._option_string_actions, 1)
            advice = f"did you mean {near[0]}?" if near else "see --help"
            self.error(f"{name} is no option; {advice}")
        return options

    def print_help(self, file: Any = None) -> None:
        say(self.format_help().rstrip("\n"), file)

    def error(self, message: str) -> NoReturn:
        complain(f"{self.prog}: error: {message}")
        self.exit(2)


def run(parser: Parser, main: Callable[[argparse.Namespace], int], argv: list[str] | None) -> int:
    """Parse, then call ``main``. An error that a user can cause ends with one line and status 2."""
    arguments = parser.parse(argv)
    try:
        return main(arguments)
    except (ValueError, OSError, DeviceError, ImportError) as error:
        parser.error(in_a_line(error))
    except MemoryError as error:
        parser.error(f"out of memory; try a smaller batch ({in_a_line(error)})")
    except KeyboardInterrupt:
        complain(f"{parser.prog}: interrupted")
        return 130


def process(main: Callable[[], int]) -> NoReturn:
    """Run a command as a whole process. Ctrl-C gives the status 130 at any moment.

    (Once the command has ended, the status is the command's.)
    """
    answer_interrupts()
    try:
        status = main()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:  # before or after the command's own answer to it
        status = 130
    # Python remembers a Ctrl-C that ended the exec() of a string (namedtuple calls exec) until the
    # next exec(). If it still remembers one at its end, python -m sends itself the signal again,
    # and the status would be -2.
    exec("")
    sys.exit(status)


def in_a_line(error: BaseException) -> str:
    """An error's message, without line breaks and the system's error number."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def path(text: str) -> Path:
    """An argument type: a file or folder; ``~`` is the home folder."""
    try:
        return expand(text)
    except FileNotFoundError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def at_least(least: int) -> Callable[[str], int]:
    """An argument type: an integer of at least ``least``."""

    def integer(text: str) -> int:
        if not text.lstrip("+-").isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r}; wanted an integer of at least {least}")
        return int(text)

    return integer


def integers(text: str) -> tuple[int, ...]:
    """An argument type: "6,16" as (6, 16); an empty text as none at all."""
    try:
        numbers = tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        numbers = (0,)
    if any(number < 1 for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r}; wanted positive integers like 6,16")
    return numbers


def share(text: str) -> float:
    """An argument type: a number from 0 to below 1."""
    return _number(text, 1, "a number from 0 to below 1")


def non_negative(text: str) -> float:
    """An argument type: a finite number that is not negative."""
    return _number(text, math.inf, "a number of at least 0")


def _number(text: str, limit: float, wanted: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < limit:
        raise argparse.ArgumentTypeError(f"{text!r}; wanted {wanted}")
    return number
