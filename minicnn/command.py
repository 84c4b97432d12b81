"""What the command lines share: one line on stderr and exit status 2 for a user's mistake."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
import math
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import minicnn
from minicnn import json_files, terminal
from minicnn.device import DeviceError
from minicnn.files import expand
from minicnn.formats import in_short, shown
from minicnn.terminal import answer_interrupts, complain, say

MOST = 2**64 - 1  # of any integer that is typed; a seed may be as large
DATA = "the cache, Debian's package, the mirrors"  # where data.load looks
MISTAKES = (ValueError, OSError, DeviceError, ImportError)  # that a user can make
DIGITS = "[0-9]{1,4000}"  # Python reads no number of more than 4,300
NOT_IN_FILES = ("--config", "--resume", "--help", "--version")  # options of one call


class Parser(argparse.ArgumentParser):
    """The options of ``python -m minicnn.<name>``, with errors of one line.

    Args:
        examples: what is typed after the command, and what it does; shown below the options.
    """

    def __init__(self, name: str, description: str, examples: Mapping[str, str] | None = None):
        prog = f"python -m minicnn.{name}"
        self.examples = examples or {}
        shown = [
            f"  {f'{prog} {call}'.strip()}\n      {does}" for call, does in self.examples.items()
        ]
        super().__init__(
            prog,
            f"{prog} [options]",
            description,
            "\n".join(["examples:", *shown]) if shown else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.add_argument("--version", action="version", version=f"minicnn {minicnn.__version__}")
        self._open: Any = self
        self._source = ""  # the file whose options are parsed
        self._values: list[str] = []  # its values, as they would be typed

    def group(self, title: str) -> None:
        """Show the options that follow under ``title``."""
        self._open = self.add_argument_group(title)

    def add(
        self, name: str, value: str | None, help: str, by_default: str = "", **options: Any
    ) -> None:
        """An option with a value (shown as ``value``), or a switch without.

        Its help ends with the default: ``by_default`` says it in words, where it is no value.
        """
        shown = by_default or options.get("default")
        help += "" if shown is None else f" (default: {shown})"
        kind = {"action": "store_true"} if value is None else {"metavar": value}
        self._open.add_argument(name, help=help, **kind, **options)

    def parse(self, argv: list[str] | None) -> argparse.Namespace:
        """The parsed options; an unknown one is an error that names the nearest known one.

        Options may stand between a command's other arguments, and after them.
        Those of the file that ``--config`` names come first: a typed one wins.
        """
        argv = sys.argv[1:] if argv is None else argv
        # what follows "--" is no option, which the mixed way forgets
        mixed = "--" not in argv
        parse = self.parse_known_intermixed_args if mixed else self.parse_known_args
        options, unknown = parse(argv)
        if unknown:
            self.error(self._no_option(unknown[0].partition("=")[0]))
        file = getattr(options, "config", None)
        return options if file is None else self.parse_args([*self.arguments_in(file), *argv])

    def _no_option(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._option_string_actions, 1)
        cure = f"did you mean {near[0]}?" if near else "see --help"
        return f"{shown(name, str)} is no option; {cure}"

    def arguments_in(self, file: Path, option: str = "--config") -> list[str]:
        """The options of a configuration file, as they would be typed.

        Its mistakes name it, and the ``option`` by which it was named.
        """
        self._source = f"{option} {file}: "
        try:
            found = read_config(file)
        except OSError as error:
            self.error(in_a_line(error))
        except ValueError as error:
            self.error(in_short(error))
        for name, value in found.items():
            option = typed(name)
            action = self._option_string_actions.get(option)
            if action is None or option in NOT_IN_FILES:
                self.error(self._no_option(option))
            if value is False and action.nargs != 0:
                self.error(f"argument {option}: false; wanted a value")
        arguments = arguments_of(found)
        self._values = [argument.partition("=")[2] for argument in arguments]
        self.parse_args(arguments)
        self._source, self._values = "", []
        return arguments

    def print_help(self, file: Any = None) -> None:
        say(self.format_help().rstrip("\n"), file)

    def error(self, message: str) -> NoReturn:
        for value in self._values:  # of a file, which may hold anything
            message = message.replace(repr(value), shown(value))
        complain(f"{self.prog}: error: {self._source}{message}")
        self.exit(2)


def read_config(file: Path) -> dict[str, Any]:
    """The options of a TOML file, or those of the ``config.json`` of a training run, by name.

    Raises:
        OSError: it cannot be read.
        ValueError: it is neither of the two, or a run's that does not have its options.
    """
    import tomllib  # here, for most calls name no file

    if file.is_dir():
        raise IsADirectoryError(f"this is a folder; wanted a file, as {file / 'config.json'}")
    text = file.read_bytes().decode()  # of UTF-8, as both formats ask for
    if file.suffix != ".json":
        try:
            return tomllib.loads(text)
        except RecursionError:
            raise ValueError("brackets within brackets, deeper than can be read") from None
    config = json_files.parsed(text)
    if not isinstance(config, dict) or not isinstance(config.get("options"), dict):
        raise ValueError('it has no "options"; wanted config.json of a training run, or TOML')
    return config["options"]


def arguments_of(options: Mapping[str, Any]) -> list[str]:
    """Options as they are typed: {"lr": 0.5, "channels": [6, 16]}: --lr=0.5 --channels=6,16.

    A switch that is False is not typed. Of names, "batch_size" and "batch-size" are the same.
    """
    arguments = []
    for name, value in options.items():
        option = typed(name)
        if isinstance(value, list | tuple):
            value = ",".join(map(str, value))
        if value is not False:
            arguments.append(option if value is True else f"{option}={value}")
    return arguments


def typed(name: str) -> str:
    """An option's name as it is typed."""
    return f"--{name.replace('_', '-')}"


@contextlib.contextmanager
def naming(options: argparse.Namespace, *names: str) -> Iterator[None]:
    """An error inside begins with the options ``names`` that were typed.

    Of several only with those that the message speaks of, before its semicolon.

    Raises:
        ValueError: instead of a ValueError, an OSError or a DeviceError.
    """
    try:
        yield
    except (ValueError, OSError, DeviceError) as error:
        said = in_a_line(error)
        given = [name for name in names if getattr(options, name) is not None]
        spoken_of = [name for name in given if name in said.partition(";")[0]]
        shown = [typed(name) for name in spoken_of or given]
        if not shown:
            raise
        raise ValueError(f"{', '.join(shown)}: {said}") from error


@contextlib.contextmanager
def talking(quiet: bool, json: bool) -> Iterator[Any]:
    """Inside, what is said goes nowhere (``quiet``) or to stderr (``json``). Yields the stdout."""
    stdout, before = sys.stdout, terminal.remarks
    terminal.remarks = before and not quiet
    try:
        with contextlib.redirect_stdout(io.StringIO() if quiet else sys.stderr if json else stdout):
            yield stdout
    finally:
        terminal.remarks = before


def run(parser: Parser, main: Callable[[argparse.Namespace], int], argv: list[str] | None) -> int:
    """Parse, then call ``main``. An error that a user can cause ends with one line and status 2."""
    arguments = parser.parse(argv)
    try:
        return main(arguments)
    except MISTAKES as error:
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
    if not text:  # of a shell's variable that is not set; as a path it would be this folder
        raise argparse.ArgumentTypeError("''; wanted a path")
    try:
        return expand(text)
    except FileNotFoundError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def at_least(least: int) -> Callable[[str], int]:
    """An argument type: an integer of at least ``least``, and of at most ``MOST``."""

    def integer(text: str) -> int:
        number = _integer(text)
        if number is None or number < least:
            raise argparse.ArgumentTypeError(f"{text!r}; wanted an integer of at least {least}")
        _check_not_huge(text, number)
        return number

    return integer


def integers(text: str) -> tuple[int, ...]:
    """An argument type: "6,16" as (6, 16); an empty text as none at all."""
    numbers = [_integer(part) or 0 for part in text.split(",")] if text else []
    if any(number < 1 for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r}; wanted positive integers like 6,16")
    _check_not_huge(text, *numbers)
    return tuple(numbers)


def pair(least: int) -> Callable[[str], tuple[int, int]]:
    """An argument type: "3" as (3, 3), "3x2" or "3,2" as (3, 2)."""

    def two(text: str) -> tuple[int, int]:
        parts = text.lower().replace("×", "x").replace(",", "x").split("x")
        numbers = [int(part) if re.fullmatch(DIGITS, part) else -1 for part in parts]
        if len(numbers) not in (1, 2) or min(numbers) < least:
            raise argparse.ArgumentTypeError(
                f"{text!r}; wanted a number of at least {least}, or two like 3x2"
            )
        _check_not_huge(text, *numbers)
        return numbers[0], numbers[-1]

    return two


def _integer(text: str) -> int | None:
    """The integer of a text in ASCII digits; None where it is something else."""
    return int(text) if re.fullmatch(rf"\s*[+-]?{DIGITS}\s*", text) else None


def _check_not_huge(text: str, *numbers: int) -> None:
    if max(numbers, default=0) > MOST:
        raise argparse.ArgumentTypeError(f"{text!r}; wanted at most 2**64 - 1")


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
