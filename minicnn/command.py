"""What the command lines share: one line on stderr and exit status 2 for a user's mistake."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from minicnn.device import DeviceError


class Parser(argparse.ArgumentParser):
    """The options of ``python -m minicnn.<name>``, with errors of one line."""

    def __init__(self, name: str, description: str):
        prog = f"python -m minicnn.{name}"
        super().__init__(prog, f"{prog} [options]", description, allow_abbrev=False)
        self._open: Any = self

    def group(self, title: str) -> None:
        """Show the options that follow under ``title``."""
        self._open = self.add_argument_group(title)

    def add(self, name: str, value: str | None, help: str, **options: Any) -> None:
        """An option with a value (shown as ``value``), or a switch without."""
        kind = {"action": "store_true"} if value is None else {"metavar": value}
        self._open.add_argument(name, help=help, **kind, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def run(parser: Parser, main: Callable[[argparse.Namespace], int], argv: list[str] | None) -> int:
    """Parse, and call ``main``; what a user can cause ends with one line and status 2."""
    arguments = parser.parse_args(argv)
    try:
        return main(arguments)
    except (ValueError, OSError, DeviceError) as error:
        parser.error(" ".join(str(error).split()))
    except MemoryError as error:
        parser.error(f"out of memory; try a smaller batch ({' '.join(str(error).split())})")
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130


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
