#!/usr/bin/env bash
# The row that numpy.loadtxt names where a CSV file is wrong.
#
# One would guess: rows are counted in one way, as in an editor or from 0.
# What is so: a cell that is no number is at "row 1, column 2": the row from 0, the column from 1. A
#   line with too many cells is at "row 2": from 1. Both stand in the same line of the file. Lines
#   that are skipped (skiprows) and blank ones do not count in either.
# Why it matters to a CNN engine: the message for a user's CSV of pictures has to name the line; to
#   pass NumPy's number on is wrong by one, in one of the two cases, and by the header in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6
cat > "$folder/program.py" <<'PROGRAM'
import io
import platform
import re

import numpy as np

print(f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}")
rows = []
for what, second in (("a text cell", "4,x,6"), ("a cell too many", "4,5,6,7")):
    try:
        np.loadtxt(io.StringIO(f"1,2,3\n{second}\n"), delimiter=",")
    except ValueError as error:
        print(f"{what} in the second line: {error}")
        rows.append(int(re.search(r"row (\d+)", str(error))[1]))
assert rows == [1, 2]
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
