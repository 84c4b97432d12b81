#!/usr/bin/env bash
# A convolution in ONNX Runtime whose weights come out of a Pad.
#
# One would guess: a graph that the checker accepts, and that runs without optimisations, runs with them.
# What is so: ONNX Runtime takes a Pad in front of a convolution into the convolution's own padding, whichever
#   input it pads: that of the weights too. What it leaves names a value that is gone, and the session is
#   refused as an invalid model, at every level of optimisation but none, whether the weights are constant,
#   an input or computed.
# Why it matters to a CNN engine: small kernels that are padded to one size, or put apart by zeros, are such
#   graphs. With the default session ONNX Runtime cannot be the oracle of a reader's test of them.
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
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

print(f"Python {platform.python_version()}, onnx {onnx.__version__}, "
      f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}")
kernels = np.arange(1, 7, dtype=np.float32).reshape(2, 1, 1, 3)  # a line, to be padded to 3 x 3
image = np.random.default_rng(0).random((1, 1, 4, 5), np.float32)


def model():
    """A convolution of the image with kernels that get a line of zeros above and below."""
    stored = [
        numpy_helper.from_array(kernels, "kernels"),
        numpy_helper.from_array(np.array([0, 0, 1, 0, 0, 0, 1, 0]), "lines"),
    ]
    nodes = [
        helper.make_node("Pad", ["kernels", "lines"], ["weights"]),
        helper.make_node("Conv", ["image", "weights"], ["y"]),
    ]
    image_info = helper.make_tensor_value_info("image", TensorProto.FLOAT, list(image.shape))
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "c", "h", "w"])
    graph = helper.make_graph(nodes, "padded", [image_info], [result], stored)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def run(made, level):
    """What ONNX Runtime computes, or how it refuses."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level, options.log_severity_level = level, 4
    providers = ["CPUExecutionProvider"]
    try:
        session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=providers)
    except Exception as error:
        return str(error)
    return session.run(None, {"image": image})[0]


Level = onnxruntime.GraphOptimizationLevel
convolution = model()
expected = ReferenceEvaluator(convolution).run(None, {"image": image})[0]
found = run(convolution, Level.ORT_DISABLE_ALL)
print("without optimisations:", found.shape, "as onnx.reference")
assert np.allclose(found, expected, atol=1e-5)
for level in (Level.ORT_ENABLE_BASIC, Level.ORT_ENABLE_EXTENDED, Level.ORT_ENABLE_ALL):
    said = run(convolution, level)
    print(f"{level.name}: {said}")
    assert isinstance(said, str)
    assert "Node input 'weights' is not a graph input" in said
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
