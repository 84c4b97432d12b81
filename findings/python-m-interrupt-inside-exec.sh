#!/usr/bin/env bash
# A training program that catches Ctrl-C, saves its weights and ends with sys.exit(130).
#
# One would guess: the status is 130, whatever ran when the signal came; the exception was caught.
# What is so: where the KeyboardInterrupt passed through exec() of a text (collections.namedtuple
#   and dataclasses run one, so many imports do), CPython keeps a note of it. Under python -m the
#   note outlives the caught exception and sys.exit: at its end the process sends itself SIGINT and
#   dies of it (status -2 for its parent). Any later exec() of a text, an empty one too, removes the
#   note. Run as a script (python FILE) the same program ends with 130.
# Why it matters to a CNN engine: Ctrl-C is how a long training is ended. A job runner that tells
#   "stopped, weights saved" from "killed" by the status is told the wrong one, now and then.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
cat > "$folder/program.py" <<'PROGRAM'
import signal
import sys

signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    if sys.argv[1] == "text":
        exec("signal.raise_signal(signal.SIGINT)")
    else:
        signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    pass  # the weights are saved here
if sys.argv[2:] == ["again"]:
    exec("")
sys.exit(130)
PROGRAM
cat > "$folder/compare.py" <<'PROGRAM'
import platform
import subprocess
import sys

folder = sys.argv[1]


def status(*arguments):
    return subprocess.run([sys.executable, *arguments], cwd=folder).returncode


print(f"CPython {platform.python_version()}: sys.exit(130) after a caught KeyboardInterrupt")
cases = {
    "python -m, raised in the program itself": (("-m", "program", "plain"), 130),
    "python -m, raised inside exec() of a text": (("-m", "program", "text"), -2),
    "  the same, and exec('') before the end": (("-m", "program", "text", "again"), 130),
    "python FILE, raised inside exec() of a text": (("program.py", "text"), 130),
}
for what, (arguments, expected) in cases.items():
    received = status(*arguments)
    print(f"  {what:45} status {received}")
    assert received == expected, (received, expected)
PROGRAM
"$folder/venv/bin/python" "$folder/compare.py" "$folder"
