#!/usr/bin/env bash
# Where the gradient of a max-pooling window goes that holds several NaN.
#
# One would guess: to the first, as with equal numbers: a window of equal cells sends its gradient to
#   the first in row order, and argmax of an array with several NaN is the first of them.
# What is so: max_pool2d sends it to the last NaN of the window, in row order; among equal numbers
#   to the first. The comparison is "larger than the best so far, or NaN".
# Why it matters to a CNN engine: whoever implements "NaN wins, the first of equals gets the
#   gradient" by one rule differs from PyTorch in this corner, and a comparison of gradients on data
#   with NaN fails although both are defensible.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cat > "$folder/program.py" <<'PROGRAM'
import platform
from math import nan

import numpy as np
import torch

print(f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}")


def winner(cells):
    """Which of the four cells of a 2 x 2 window gets the gradient."""
    x = torch.tensor(cells).reshape(1, 1, 2, 2).requires_grad_()
    torch.nn.functional.max_pool2d(x, 2).sum().backward()
    return x.grad.flatten().tolist().index(1.0)


print("Of several NaN in a window max_pool2d takes the last, of equal numbers the first:")
for cells in ([nan, 1.0, nan, 0.0], [nan] * 4, [2.0, 1.0, 2.0, 2.0]):
    argmax = np.argmax(cells)
    print(f"  {str(cells):22} gradient to cell {winner(cells)}; numpy.argmax: cell {argmax}")
assert winner([nan, 1.0, nan, 0.0]) == 2
assert winner([nan] * 4) == 3
assert winner([2.0, 1.0, 2.0, 2.0]) == 0
assert np.argmax([nan, 1.0, nan, 0.0]) == 0
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
