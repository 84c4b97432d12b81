"""One damaged file after the other: whether it is refused, read right, or misread."""

from __future__ import annotations

import contextlib
import io
import resource
import signal
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from tests.hostile.mutations import mutated
from tests.hostile.readers import READERS, Reader, same

SECONDS = 10  # of the processor, that a reader may take for a file
MEMORY = 2**30  # bytes that it may ask for, beyond what the process has
REFUSED, SAME, RIGHT, MISREAD, BROKEN = "refused", "as before", "as it says", "misread", "broken"


class SlowError(BaseException):
    """A reader took too long."""


def tried(name: str, numbers: range, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """What came of the damaged files ``numbers`` of a reader: counts, and a line for each fault."""
    reader, counts, faults = READERS[name], Counter[str](), list[str]()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        reader.make(folder)
        file = folder / reader.file
        whole = file.read_bytes()
        before, why = _outcome(reader, folder)
        assert not why, f"{name}: the right file is {why}"
        for number in numbers:
            content = _damaged(reader, whole, Random(f"{name} {seed} {number}"))
            file.write_bytes(content)
            kind, fault = _judged(reader, folder, content, before)
            counts[kind] += 1
            if kind in (MISREAD, BROKEN):
                faults.append(f"{name}, file {number}: {kind}: {fault}")
    return counts, faults


def content_of(name: str, number: int, seed: int = 0) -> bytes:
    """The damaged file ``number`` of a reader."""
    reader = READERS[name]
    with tempfile.TemporaryDirectory() as place:
        reader.make(Path(place))
        whole = (Path(place) / reader.file).read_bytes()
    return _damaged(reader, whole, Random(f"{name} {seed} {number}"))


def _damaged(reader: Reader, whole: bytes, draw: Random) -> bytes:
    """The file, changed; every other time within its compression or under its checksum."""
    if reader.pack is None or reader.unpack is None or draw.random() < 0.5:
        return mutated(whole, draw)
    return reader.pack(mutated(reader.unpack(whole), draw))


def _judged(reader: Reader, folder: Path, content: bytes, before: Any) -> tuple[str, str]:
    """Which of the five it is, and what is wrong."""
    found, why = _outcome(reader, folder)
    if why.startswith(REFUSED):
        return REFUSED, ""
    if why:
        return BROKEN, why
    if same(found, before):
        return SAME, ""
    try:
        with _quiet():
            is_right = reader.is_right(content, found)
    except Exception as error:
        return MISREAD, f"{type(error).__name__} {error} by the second reading"
    return (RIGHT, "") if is_right else (MISREAD, "the second reading differs")


def _outcome(reader: Reader, folder: Path) -> tuple[Any, str]:
    """What was read, and what went wrong: "refused", or what the reader should not have done."""
    said = io.StringIO()
    try:
        with _quiet(said), bounded():
            return reader.read(folder), ""
    except SystemExit as error:
        if reader.exits and error.code == 2:
            return None, _in_order(said.getvalue().rstrip("\n"), reader)
        return None, f"exit status {error.code}"
    except SlowError:
        return None, f"more than {SECONDS} s"
    except reader.errors as error:
        return None, _in_order(str(error), reader)
    except Exception as error:
        return None, f"{type(error).__name__}: {str(error)[:200]}"


def _in_order(message: str, reader: Reader) -> str:
    """REFUSED if a message is a line that names the file."""
    if "\n" in message or len(message) > 2000:
        return f"a message of {len(message)} characters, {message.count(chr(10))} line breaks"
    named = Path(reader.file).name in message or message.startswith("resume: ")
    return REFUSED if named else f"the message does not name the file: {message}"


@contextlib.contextmanager
def _quiet(stderr: io.StringIO | None = None) -> Iterator[None]:
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(stderr or io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def bounded(seconds: float = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """Inside, more memory is a MemoryError and more time a ``SlowError``."""

    def end(*_: Any) -> None:
        raise SlowError

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limits = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGPROF, end)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory, limits[1]))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)
