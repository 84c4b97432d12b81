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
    import numpy as np
    import onnxruntime

    from minicnn.exchange.onnx.export import model_of

    model = model_of(net, np.zeros((1, 1, 28, 28), np.float32))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda x: session.run(None, {"input": x})[0]


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
