"""Runs a part of the proof in a process of its own, with a limit."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PASSED, FAILED, LEFT_OUT = "passed", "FAILED", "left out"
RESULT = "result: "  # a line of this, and JSON


@dataclass(frozen=True)
class Part:
    """What is run, and what it needs.

    Attributes:
        name: of the part, and of its files in the folder.
        about: in a few words, for the record.
        seconds: at most.
        command: program and arguments.
        tools: programs that have to be on the path.
        packages: of Python, that have to be installed.
        rival: whether it is about PyTorch on the GPU.
        environment: what is set for it.
        said: what its output says, in a line; by default its last line.
    """

    name: str
    about: str
    seconds: int
    command: tuple[str, ...]
    tools: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    rival: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    said: Callable[[str], str] | None = None

    def missing(self) -> list[str]:
        """The tools and packages that this machine does not have."""
        packages = [name for name in self.packages if importlib.util.find_spec(name) is None]
        return [name for name in self.tools if shutil.which(name) is None] + packages


@dataclass
class Outcome:
    """How a part ended.

    Attributes:
        status: "passed", "FAILED" or "left out".
        said: its figure, or why it failed or was left out.
        result: of a part of ``measures``: see there.
        stopped: whether it took longer than it may.
    """

    part: Part
    status: str
    said: str
    seconds: float = 0.0
    result: dict[str, Any] = field(default_factory=dict)
    stopped: bool = False


def run(part: Part, folder: Path, seconds: float) -> Outcome:
    """Run a part for at most ``seconds``; its output goes to ``folder``/NAME.txt."""
    log, began = folder / f"{part.name}.txt", time.perf_counter()
    with log.open("w") as file:
        status = _status(part, file, seconds)
    took = time.perf_counter() - began
    text = log.read_text(errors="replace")
    found = result_in(text)
    said = found.get("said") or (part.said or last_line)(text)
    if status is None:
        said = f"stopped after {took:.0f} s; {said}".rstrip("; ")
        return Outcome(part, FAILED, said, took, stopped=True)
    if status:
        said = said or f"exit status {status}"
    return Outcome(part, FAILED if status else PASSED, said, took, found)


def _status(part: Part, file: Any, seconds: float) -> int | None:
    """The exit status of a part; None where it had to be stopped, with all that it had started."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **part.environment}
    process = subprocess.Popen(
        part.command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=file,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:  # whatever it has left running, and all of it after a Ctrl-C
        _end(process)


def _end(process: subprocess.Popen) -> None:
    """End a process and those of its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def result_in(text: str) -> dict[str, Any]:
    """What a part of ``measures`` has printed for this process; nothing if it did not get there."""
    found = [line for line in text.splitlines() if line.startswith(RESULT)]
    try:
        result = json.loads(found[-1].removeprefix(RESULT)) if found else {}
    except ValueError:  # a line that was cut off, or another program's
        return {}
    return result if isinstance(result, dict) else {}


def last_line(text: str) -> str:
    """The last line that is not empty, in 160 characters at most."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:160] if lines else ""
