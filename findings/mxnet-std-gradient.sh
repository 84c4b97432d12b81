#!/usr/bin/env bash
# MXNet's np.std under autograd: what is its gradient?
#
# One would guess: that of sqrt(mean((x - mean x)^2)), or an error where it is not implemented.
# What is so: zeros, without a word. The same deviation written out in mx.np has its true gradient.
# Why it matters to a CNN engine: whoever normalises by np.std trains with a gradient that leaves out
#   the deviation's part, and it looks like slow learning. A check of gradients against this library
#   would accuse a right implementation.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q mxnet==1.9.1 numpy==1.23.5 requests==2.31.0 graphviz==0.8.4 2>/dev/null
cat > "$folder/program.py" <<'PROGRAM'
import platform

import mxnet
import numpy
from mxnet import autograd, np, npx

npx.set_np()
print(f"Python {platform.python_version()}, mxnet {mxnet.__version__}, numpy {numpy.__version__}")


def gradient(deviation):
    x = np.array([1.0, 2.0, 4.0])
    x.attach_grad()
    with autograd.record():
        y = deviation(x)
    y.backward()
    return y.item(), x.grad.asnumpy()


value, library = gradient(np.std)
same_value, written_out = gradient(lambda x: np.sqrt(((x - x.mean()) ** 2).mean()))
print("the gradient of np.std is 0 everywhere, that of the same formula written out is not:")
print(f"  np.std               value {value:.6f}, gradient {library}")
print(f"  sqrt(mean((x-m)^2))  value {same_value:.6f}, gradient {written_out}")
assert abs(value - same_value) < 1e-6
assert not library.any()
x = numpy.array([1.0, 2.0, 4.0])
assert numpy.allclose(written_out, (x - x.mean()) / (3 * x.std()), atol=1e-6)
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" 2>/dev/null
