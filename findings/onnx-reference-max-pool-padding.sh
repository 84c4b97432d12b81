#!/usr/bin/env bash
# Padding of max pooling in onnx.reference, ONNX's own reference evaluator.
#
# One would guess: pads are [top, left, bottom, right], whatever the strides. So do ONNX Runtime, PyTorch
#   and onnx.reference's average pooling.
# What is so: with strides of 1 and no dilation onnx.reference takes them as [top, bottom, left, right]: a
#   frame of rows becomes a frame of one row and one column. The output has another shape.
# Why it matters to a CNN engine: the "reference" cannot be the oracle of an exporter's test. Square nets do
#   not notice.
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
      f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}")
x = np.arange(20, dtype=np.float32).reshape(1, 1, 5, 4)


def shapes(strides):
    """The output's rows and columns, by both, with a row of padding above and below."""
    node = helper.make_node(
        "MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=strides, pads=[1, 0, 1, 0]
    )
    graph = helper.make_graph(
        [node],
        "pool",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x.shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, "h", "w"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    runtime = session.run(None, {"x": x})[0].shape[2:]
    return runtime, ReferenceEvaluator(model).run(None, {"x": x})[0].shape[2:]


print("5 rows and a frame of 2 have 6 windows of 2 rows; 4 columns, no frame, have 3 of 2:")
for strides in ([1, 1], [2, 1]):
    runtime, reference = shapes(strides)
    print(f"  strides {strides}: onnxruntime {runtime}, onnx.reference {reference}")
assert shapes([1, 1]) == ((6, 3), (5, 4))
assert shapes([2, 1]) == ((3, 3), (3, 3))
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
