"""How long does a prediction take, here, in PyTorch and in ONNX Runtime?

    python -m benchmarks.inference [--rounds 5] [--threads 2]

Milliseconds a call of lenet, the same weights on every side, on 1, 32, 256 and 10,000 test images
of Fashion-MNIST that lie in memory as float32: the median of the calls of a process. Before a side
is timed, its logits are compared with those of minicnn's eager mode; they may differ by 1e-5.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from benchmarks import common, lenet
from benchmarks.common import Side
from benchmarks.tables import Row

BATCHES = [1, 32, 256, 10_000]
TOLERANCE = 1e-5
Predict = Callable[[Any], Any]  # float32 (N, 1, 28, 28) to logits (N, 10), NumPy's arrays both


def measure(options: argparse.Namespace, make: Callable[[Any, int], Predict]) -> dict[str, float]:
    """Milliseconds a call for each batch."""
    import minicnn
    from minicnn import data, models

    minicnn.set_num_threads(options.threads)
    minicnn.manual_seed(0)
    net = models.build("lenet").eval()
    _, test = data.load("fashion-mnist")
    images = (test.images[:, None] / 255).astype("float32")
    predict = make(net, options.threads)
    check(predict(images), minicnn_eager(net, options.threads)(images))
    return {case(n): 1e3 * common.typical_seconds(lambda n=n: predict(images[:n])) for n in BATCHES}


def check(logits: Any, wanted: Any) -> None:
    """Refuse to time what computes something else."""
    error = abs(logits - wanted).max()
    if not error <= TOLERANCE:
        raise SystemExit(f"the logits differ by {error:.1e}; wanted {TOLERANCE:.0e} at most")


def case(batch: int) -> str:
    return f"batch {batch:,}"


# The sides ----------------------------------------------------------------------------------------


def minicnn_compiled(net: Any, threads: int) -> Predict:
    import minicnn

    predict = minicnn.compile(net)
    return lambda x: predict(x).data


def minicnn_eager(net: Any, threads: int) -> Predict:
    import minicnn

    def predict(x: Any) -> Any:
        with minicnn.no_grad():
            return net(minicnn.Tensor(x)).data

    return predict


def torch_eager(net: Any, threads: int) -> Predict:
    import torch

    from benchmarks import torch_lenet

    torch.set_num_threads(threads)
    theirs = torch_lenet.build("lenet").eval()
    weights = {name: torch.tensor(p.data) for name, p in net.state_dict().items()}
    theirs.load_state_dict(weights)

    def predict(x: Any) -> Any:
        with torch.inference_mode():
            return theirs(torch.from_numpy(x)).numpy()

    return predict


def onnx_runtime(net: Any, threads: int) -> Predict:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        onnx_model(net).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda x: session.run(None, {"x": x})[0]


def onnx_model(net: Any) -> Any:
    """``models.lenet()`` as an ONNX model of any batch size, checked."""
    from onnx import TensorProto, checker, helper, numpy_helper

    layers: list[tuple[str, list[str], dict[str, Any]]] = [
        ("Conv", ["0.weight", "0.bias"], {"pads": [2, 2, 2, 2]}),
        ("Sigmoid", [], {}),
        ("AveragePool", [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Conv", ["3.weight", "3.bias"], {}),
        ("Sigmoid", [], {}),
        ("AveragePool", [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Flatten", [], {}),
        ("Gemm", ["7.weight", "7.bias"], {"transB": 1}),
        ("Sigmoid", [], {}),
        ("Gemm", ["9.weight", "9.bias"], {"transB": 1}),
        ("Sigmoid", [], {}),
        ("Gemm", ["11.weight", "11.bias"], {"transB": 1}),
    ]
    names = ["x", *(f"h{i}" for i in range(1, len(layers))), "logits"]
    nodes = [
        helper.make_node(operation, [names[i], *weights], [names[i + 1]], **attributes)
        for i, (operation, weights, attributes) in enumerate(layers)
    ]
    values = [numpy_helper.from_array(p.data, name) for name, p in net.state_dict().items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 28, 28])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])
    graph = helper.make_graph(nodes, "lenet", [x], [logits], values)
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, ir_version=10, opset_imports=opset)
    checker.check_model(model, full_check=True)
    return model


def side(make: Callable[[Any, int], Predict], *needs: str) -> Side:
    return Side(lambda options: measure(options, make), needs)


SIDES = {
    lenet.COMPILED: side(minicnn_compiled),
    "minicnn eager": side(minicnn_eager),
    "torch eager": side(torch_eager, "torch"),
    "ONNX Runtime": side(onnx_runtime, "onnx", "onnxruntime"),
}


def main() -> None:
    options = common.parser("inference").parse_args()
    if options.worker:
        return common.answer(SIDES, options)
    report = common.start("inference", "inference", lenet.COMPILED, options)
    runs = common.alternate("inference", common.available(SIDES, report), report)
    report.add(
        [
            Row("A prediction of lenet", case(n), name, "ms", common.column(of_side, case(n)))
            for n in BATCHES
            for name, of_side in runs.items()
        ]
    )
    common.finish(report, options)


if __name__ == "__main__":
    main()
