#!/usr/bin/env bash
# Softmax of files older than opset 13 in onnx.reference, ONNX's own reference evaluator.
#
# One would guess: the evaluator computes the operator of the opset that the file names. Until opset 12
#   Softmax took all axes from `axis` (by default 1) on as one row: a picture of classes sums to 1 as a whole.
#   So does ONNX Runtime.
# What is so: onnx.reference has the Softmax of opset 13 alone, over one axis, by default the last, and uses
#   it for files of every opset, without a word.
# Why it matters to a CNN engine: nets of 2017 to 2021 (most of the model zoo's) are such files. A reader that
#   folds constants with the reference evaluator, or is tested against it, has another softmax than the
#   net was trained with wherever something follows the channels.
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
x = np.log(np.arange(1, 13, dtype=np.float32)).reshape(2, 2, 3)


def sums(opset):
    """What an image of 2 x 3 cells sums to after the softmax, by both."""
    shape = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x.shape))
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, list(x.shape))
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], ["y"])], "g", [shape], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    both = session.run(None, {"x": x})[0], ReferenceEvaluator(model).run(None, {"x": x})[0]
    return [round(float(y[0].sum()), 5) for y in both]


print("Softmax without an axis; an image of 2 lines of 3 cells sums to")
for opset in (9, 11, 12, 13):
    runtime, reference = sums(opset)
    print(f"  opset {opset:2}: onnxruntime {runtime}, onnx.reference {reference}")
    assert (runtime, reference) == ((2, 2) if opset == 13 else (1, 2))
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
