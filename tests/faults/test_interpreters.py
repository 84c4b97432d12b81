"""python -O, -OO, -W error, -X dev, hash seeds: the same bits, the same kernels, no complaint."""

from __future__ import annotations

import pytest

from minicnn.__main__ import COMMANDS

from .running import environment, printed, python

pytestmark = pytest.mark.long

STEPS = ["-m", "tests.faults.steps"]


@pytest.mark.usefixtures("compiled_kernels")
def test_switches_and_hash_seeds_change_no_bit_and_compile_nothing_again() -> None:
    """Three processes with other switches read the kernels that a first one has kept."""
    python(*STEPS)  # compiles what is missing
    seen = [
        printed(python(*switches, *STEPS, env=environment(PYTHONHASHSEED=seed)))
        for switches, seed in (
            ([], "0"),
            (["-OO"], "1"),
            (["-W", "error", "-X", "dev"], "4000000000"),
        )
    ]
    assert seen[0].endswith(" False\n")
    assert seen == [seen[0]] * 3


HELP = """
import contextlib, importlib, io, sys
sys.argv = ["python"]
for name in sys.orig_argv[-1].split():
    module = importlib.import_module(f"minicnn.{name}")
    main = getattr(module, "main", None) or importlib.import_module(f"minicnn.{name}.__main__").main
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
        main(["--help"])
    print(name, len(shown.getvalue().split()) > 20)
"""


def test_without_docstrings_every_command_still_explains_itself() -> None:
    shown = printed(python("-OO", "-c", HELP, " ".join(COMMANDS))).splitlines()
    assert shown == [f"{name} True" for name in COMMANDS]
