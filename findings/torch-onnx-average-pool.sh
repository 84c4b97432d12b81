#!/usr/bin/env bash
# AvgPool2d in the ONNX files of PyTorch's two exporters.
#
# One would guess: torch.onnx.export writes what AvgPool2d computes, or refuses.
# What is so: divisor_override is left out without a word, by the old exporter (dynamo=False) and the new
#   one: the file's averages are others by a factor. And where the last window of ceil_mode would begin
#   in the padding at the end, PyTorch leaves it out; ONNX's inference of shapes (before opset 22) counts
#   it, so that ONNX Runtime refuses the old exporter's file with a dense layer after the pooling.
# Why it matters to a CNN engine: a comparison "by way of ONNX" is no comparison with PyTorch; and an
#   exporter should write such windows as padding, and the divisor as a product.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 onnx==1.23.2 onnxruntime==1.32.0 onnxscript==0.7.2 numpy==2.4.6
cat > "$folder/program.py" <<'PROGRAM'
import logging
import platform
import sys
import warnings

import numpy as np
import onnxruntime
import torch

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
print(f"Python {platform.python_version()}, torch {torch.__version__}, "
      f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}")


def exported(module, x, dynamo):
    """What ONNX Runtime makes of ``x`` with the exported file, or why it refuses it."""
    path = f"{sys.argv[1]}/net.onnx"
    torch.onnx.export(module, (x,), path, dynamo=dynamo, verbose=False, input_names=["x"])
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:
        return str(error).partition("[ShapeInferenceError] ")[2]
    return session.run(None, {"x": x.numpy()})[0]


x = torch.arange(16.0).reshape(1, 1, 4, 4)
pool = torch.nn.AvgPool2d(2, divisor_override=3)
print(f"divisor_override=3: PyTorch {pool(x).ravel().tolist()}")
for dynamo in (False, True):
    y = exported(pool, x, dynamo)
    print(f"  the file of dynamo={dynamo}: {y.ravel().tolist()}")
    assert np.allclose(y * 4 / 3, pool(x).numpy())

# 5 columns in a frame of 1, windows of 2 by steps of 2: a fourth would begin in the frame
net = torch.nn.Sequential(
    torch.nn.AvgPool2d((3, 2), 2, padding=1, ceil_mode=True), torch.nn.Flatten(), torch.nn.Linear(12, 1)
).eval()
x = torch.rand(1, 1, 6, 5)
print(f"ceil_mode: PyTorch {net[0](x).shape[2:]}, and a dense layer of 12 inputs")
told = exported(net, x, False)
print(f"  ONNX Runtime of the file of dynamo=False: {told}")
assert "Dimension mismatch" in told
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" "$folder"
