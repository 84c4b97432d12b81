#!/usr/bin/env bash
# A NaN in a window of ONNX Runtime's MaxPool on the CPU.
#
# One would guess: NaN wins its window, as in PyTorch, or is passed over, as by fmax.
# What is so: it depends on the place of the NaN in its window, and on the place of the window in the
#   map. In a map of 10 x 10, pooled by 2 x 2, a NaN in the fourth cell of every window is kept in
#   four of five columns and lost in the last; in the second cell it is lost in four and kept in the
#   last; in the first and third it is always lost. onnx.reference keeps a NaN in the first cell alone.
# Why it matters to a CNN engine: an exported net hides that its activations are NaN. A check for
#   finite outputs after the export is no check of the net; look before the pooling.
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
from onnx.reference import ReferenceEvaluator

print(f"Python {platform.python_version()}, onnx {onnx.__version__}, "
      f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}, {platform.machine()}")
graph = helper.make_graph(
    [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])],
    "pool",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 10, 10])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 5, 5])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
session = onnxruntime.InferenceSession(
    model.SerializeToString(), providers=["CPUExecutionProvider"]
)


print("MaxPool keeps or loses a NaN by its place in the window, and by the window's column:")
kept = {"onnxruntime": [], "onnx.reference": []}
for place in range(4):
    x = np.random.default_rng(0).random((1, 1, 10, 10), np.float32)
    x[:, :, place // 2 :: 2, place % 2 :: 2] = np.nan
    for name, run in (("onnxruntime", session.run), ("onnx.reference", ReferenceEvaluator(model).run)):
        columns = np.isnan(run(None, {"x": x})[0][0, 0]).all(0).tolist()
        kept[name].append(columns)
        shown = "".join(" NaN" if column else "   -" for column in columns)
        print(f"  NaN in cell {place} of each window: {name:14} columns{shown}")
lost = [False] * 5
assert kept["onnxruntime"] == [lost, [False] * 4 + [True], lost, [True] * 4 + [False]]
assert kept["onnx.reference"] == [[True] * 5, lost, lost, lost]
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
