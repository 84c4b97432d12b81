#!/usr/bin/env bash
# The tails of ONNX Runtime's Sigmoid and Tanh on the CPU, in float32.
#
# One would guess: a sigmoid is positive and a tanh within [-1, 1], as in NumPy and PyTorch.
# What is so: Sigmoid is exactly 0 from -18 down, where the right value is 1.5e-8, and for a part of
#   the arguments between -18 and -17 too. Tanh passes 1:
#   it is 1.0000002 for some arguments between 8 and 9.
# Why it matters to a CNN engine: log(sigmoid(x)) of an exported net is -inf, atanh of its output
#   NaN, a test "all outputs lie in [-1, 1]" fails, and a relative comparison of an exported net
#   with its origin cannot hold in the tails. Compare absolutely, or logits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cat > "$folder/program.py" <<'PROGRAM'
import platform

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

print(f"Python {platform.python_version()}, onnx {onnx.__version__}, "
      f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}, {platform.machine()}")


def run(operation, x):
    """One operation on a vector of float32."""
    graph = helper.make_graph(
        [helper.make_node(operation, ["x"], ["y"])],
        operation,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x})[0]


x = np.array([-16, -18, -20, -30], np.float32)
y, right = run("Sigmoid", x), 1 / (1 + np.exp(-x))
print("Sigmoid is exactly 0 from -18 down:")
for cells in zip(x, y, right):
    print("  sigmoid({:.0f}) = {:.4g}; right: {:.4g}".format(*cells))
assert (y[1:] == 0).all() and y[0] > 0
assert (right > 0).all()

x = np.linspace(0, 20, 2_000_001).astype(np.float32)
y = run("Tanh", x)
print("Tanh passes 1:")
print(f"  its maximum is {y.max():.7f}, over 1 at {np.count_nonzero(y > 1)} of {len(x)} arguments "
      f"from {x[y > 1].min():.4f} to {x[y > 1].max():.4f}")
assert y.max() > 1
assert np.tanh(x).max() == 1
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
