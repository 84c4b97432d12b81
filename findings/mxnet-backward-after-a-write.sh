#!/usr/bin/env bash
# MXNet: an array that was used inside record() is changed in place before backward().
#
# One would guess: the old numbers are used, or the backward pass is refused, as PyTorch does.
# What is so: backward silently computes with the new numbers: neither the gradient of the function
#   that was computed, nor of any that the program shows.
# Why it matters to a CNN engine: a layer that updates a buffer or a weight between forward and
#   backward trains with a wrong gradient, and nothing says so. An engine that counts the versions of
#   its arrays refuses the same program.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q mxnet==1.9.1 numpy==1.23.5 requests==2.31.0 graphviz==0.8.4 2>/dev/null
cat > "$folder/program.py" <<'PROGRAM'
import platform

import mxnet
import numpy
from mxnet import autograd, nd

print(f"Python {platform.python_version()}, mxnet {mxnet.__version__}, numpy {numpy.__version__}")
x, w = nd.array([2.0]), nd.array([5.0])
x.attach_grad()
w.attach_grad()
with autograd.record():
    y = w * x * x  # at x = 2, w = 5: dy/dw = 4, dy/dx = 20
x += 1  # outside of the record
y.backward()
print("backward reads the numbers as they are now, not as they were in the forward pass:")
print(f"  y = {y.asscalar()}, computed at x = 2; dy/dw = {w.grad.asscalar()}, dy/dx = {x.grad.asscalar()}")
print("  at x = 2 they are 4 and 20, at x = 3 they would be 9 and 30, with y = 45")
assert y.asscalar() == 20
assert (w.grad.asscalar(), x.grad.asscalar()) not in [(4, 20), (9, 30)]
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" 2>/dev/null
