"""How long does a prediction take, here, in PyTorch and in ONNX Runtime?

    python -m benchmarks.inference [--rounds 5] [--threads 2]

Milliseconds a call of lenet, the same weights on every side, on 1, 8, 32, 256 and 10,000 test
images of Fashion-MNIST: with one thread on every side, and with ``--threads``. A figure is the
median of a process's calls of 0.3 s, of five at least. Before a side is timed, its logits are
compared with those of minicnn's eager mode; they may differ by 1e-5.

A call takes a NumPy array of float32 that lies in memory and gives a NumPy array of logits that the
next call does not write over. So it includes what each library does around the net: minicnn looks
at the arguments, whether net and plan still fit, and makes a Tensor; PyTorch wraps the array in
``inference_mode``; ONNX Runtime looks up the input by its name.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import common, lenet
from benchmarks.common import Runs, Side
from benchmarks.tables import Row

BATCHES = [1, 8, 32, 256, 10_000]
TOLERANCE = 1e-5
Predict = Callable[[Any], Any]  # float32 (N, 1, 28, 28) to logits (N, 10), NumPy's arrays both


def measure(options: argparse.Namespace, make: Callable[[Any, int], Predict]) -> dict[str, float]:
    """Milliseconds a call for each number of threads and each batch."""
    import minicnn
    from minicnn import data, models

    minicnn.manual_seed(0)
    net = models.build("lenet").eval()
    _, test = data.load("fashion-mnist")
    images = (test.images[:, None] / 255).astype("float32")
    wanted = minicnn_eager(net, options.threads)(images)
    measured = {}
    for threads in numbers_of_threads(options):
        predict = make(net, threads)
        check(predict(images), wanted)
        for n in BATCHES:
            calls = partial(predict, images[:n])
            measured[key(threads, n)] = 1e3 * common.typical_seconds(calls)
    return measured


def numbers_of_threads(options: argparse.Namespace) -> list[int]:
    return sorted({1, options.threads})


def key(threads: int, batch: int) -> str:
    return f"{threads} threads, {case(batch)}"


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

    minicnn.set_num_threads(threads)
    predict = minicnn.compile(net)
    return lambda x: predict(x).data


def minicnn_eager(net: Any, threads: int) -> Predict:
    import minicnn

    minicnn.set_num_threads(threads)

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


def rows(runs: Runs, numbers: list[int]) -> list[Row]:
    """A question for each number of threads, a case for each batch."""
    return [
        Row(question(threads), case(n), name, "ms", common.column(of_side, key(threads, n)))
        for threads in numbers
        for n in BATCHES
        for name, of_side in runs.items()
    ]


def question(threads: int) -> str:
    return f"A prediction of lenet, {'one thread' if threads == 1 else f'{threads} threads'}"


def main() -> None:
    options = common.parser("inference").parse_args()
    if options.worker:
        return common.answer(SIDES, options)
    report = common.start("inference", "inference", lenet.COMPILED, options)
    runs = common.alternate("inference", common.available(SIDES, report), report)
    report.add(rows(runs, numbers_of_threads(options)))
    common.finish(report, options)


if __name__ == "__main__":
    main()
