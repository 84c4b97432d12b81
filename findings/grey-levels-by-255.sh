#!/usr/bin/env bash
# Scaling pixels: x / 255 and x * (1 / 255), in float32.
#
# One would guess: the same numbers, or a few that differ.
# What is so: 126 of the 256 grey levels differ in their last digit: 1 / 255 is rounded once, the
#   product again. Two common ways to load the same pictures (divide by 255; rescale by the factor
#   1 / 255) feed a net different inputs.
# Why it matters to a CNN engine: training amplifies a last digit. Two programs that are equal but
#   for this line end with different weights, and nobody should look for the bug in the convolution.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cat > "$folder/program.py" <<'PROGRAM'
import platform

import numpy as np
import torch

print(f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}")
levels = np.arange(256, dtype=np.uint8)
divided = levels.astype(np.float32) / np.float32(255)
multiplied = levels.astype(np.float32) * np.float32(1 / 255)
differ = int((divided != multiplied).sum())
apart = np.abs(divided.view(np.int32) - multiplied.view(np.int32)).max()
print(f"x / 255 and x * (1 / 255) differ for {differ} of 256 grey levels, by {apart} last digit;")
x = torch.from_numpy(levels)
print(f"  torch: x.float().div(255) and x.float().mul(1 / 255) differ for "
      f"{int((x.float().div(255) != x.float().mul(1 / 255)).sum())}")
example = int(levels[divided != multiplied][0])
print(f"  the first is level {example}: {divided[example]!r} and {multiplied[example]!r}")
assert differ == 126 and apart == 1
assert int((x.float().div(255) != x.float().mul(1 / 255)).sum()) == 126
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
