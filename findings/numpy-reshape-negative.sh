#!/usr/bin/env bash
# A negative length in numpy.reshape.
#
# One would guess: -1 means "what is left", as the documentation says, and -2 is refused. So do PyTorch and
#   numpy.zeros.
# What is so: any negative number means "what is left".
# Why it matters to a CNN engine: lengths come from formulas. A window that is larger than its picture has
#   H - K + 1 places, and where that is below -1 the reshape succeeds with a length that nobody computed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6
cat > "$folder/program.py" <<'PROGRAM'
import platform

import numpy as np

print(f"Python {platform.python_version()}, numpy {np.__version__}")
lines, kernel = 4, 7
columns = np.arange(36.0)
print(f"{lines} lines, a kernel of {kernel}: {lines - kernel + 1} places")
for length in (-1, lines - kernel + 1, -7):
    shape = columns.reshape(12, length).shape
    print(f"  36 numbers, reshape(12, {length}): {shape}")
    assert shape == (12, 3)
try:
    np.zeros((12, -2))
    raise SystemExit("numpy.zeros takes a negative length")
except ValueError as error:
    print(f"  zeros((12, -2)): {error}")
try:
    columns.reshape(7, -2)
    raise SystemExit("36 is not divisible by 7")
except ValueError as error:
    print(f"  reshape(7, -2): {error}")
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
