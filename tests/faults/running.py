"""Programs that are run with something wrong around them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import minicnn

ROOT = Path(minicnn.__file__).parent.parent
FAST = ["--dataset", "fashion-mnist-sample", "--model", "mlp", "--hidden", "8", "--epochs", "2"]


def environment(**more: str) -> dict[str, str]:
    """This process's, with the engine on the path."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def python(
    *arguments: str, before: Sequence[str] = (), env: dict[str, str] | None = None, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments, by way of the command ``before``; it has two minutes."""
    return subprocess.run(
        [*before, sys.executable, *arguments],
        env=environment() if env is None else env,
        capture_output=True,
        text=True,
        timeout=120,
        **settings,
    )


def complaints(errors: str) -> str:
    """What a program said on stderr, but for the line that kernels are being compiled."""
    return "".join(line for line in errors.splitlines(True) if "compiling kernels" not in line)


def printed(done: subprocess.CompletedProcess[str]) -> str:
    """What it printed, if all went well and nothing was complained of."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
