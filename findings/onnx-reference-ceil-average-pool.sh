#!/usr/bin/env bash
# Average pooling with ceil_mode in onnx.reference, ONNX's own reference evaluator.
#
# One would guess: the first window begins at the picture's first cell when pads are 0, and ceil_mode
#   only adds a window at the end that reaches over it. So do ONNX Runtime and PyTorch.
# What is so: where the added windows reach over the end by two cells or more, onnx.reference shifts
#   all windows towards the front by half of that: the first begins at cell -1 of each axis. Every
#   output differs, not only the last. Where they reach over by one cell it is right.
# Why it matters to a CNN engine: the "reference" cannot be the oracle of an exporter's test: a right
#   export looks wrong. Compare with ONNX Runtime or PyTorch for ceil_mode.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 torch==2.13.0
cat > "$folder/program.py" <<'PROGRAM'
import platform

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

print(f"Python {platform.python_version()}, onnx {onnx.__version__}, "
      f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}, numpy {np.__version__}")
size, kernel = 5, 3


def pooled(stride):
    """A picture of 1 to 25 pooled by ONNX Runtime, PyTorch and onnx.reference."""
    x = np.arange(1, size * size + 1, dtype=np.float32).reshape(1, 1, size, size)
    node = helper.make_node(
        "AveragePool", ["x"], ["y"], kernel_shape=[kernel] * 2, strides=[stride] * 2, ceil_mode=1
    )
    graph = helper.make_graph(
        [node],
        "pool",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x.shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, "h", "w"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    by_torch = torch.nn.functional.avg_pool2d(
        torch.from_numpy(x), kernel, stride, ceil_mode=True, count_include_pad=False
    )
    by_reference = ReferenceEvaluator(model).run(None, {"x": x})[0]
    return session.run(None, {"x": x})[0], by_torch.numpy(), by_reference


runtime, by_torch, reference = pooled(stride=4)
first = np.arange(1, 26).reshape(5, 5)
print("onnx.reference begins the windows of ceil-mode average pooling one cell too early:")
print(f"  onnxruntime    {runtime.ravel().tolist()}")
print(f"  torch          {by_torch.ravel().tolist()}")
print(f"  onnx.reference {reference.ravel().tolist()}")
print(f"  mean of the cells 0 to 2 of each axis: {first[:3, :3].mean()}; of -1 to 1, those inside: "
      f"{first[:2, :2].mean()}")
assert (runtime == by_torch).all()
assert runtime[0, 0, 0, 0] == first[:3, :3].mean()
assert reference[0, 0, 0, 0] == first[:2, :2].mean()
runtime, by_torch, reference = pooled(stride=2)
assert (runtime == by_torch).all() and (runtime == reference).all()
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
