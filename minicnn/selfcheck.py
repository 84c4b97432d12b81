"""``python -m minicnn.selfcheck``: does this machine compute what the formulas say?

It compares every kernel of the device with the reference, a few training steps with eager steps on
the CPU, and compiled steps (on a GPU a replayed graph) with eager ones.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

import minicnn
from minicnn import command, compiler, kernels, models, nn, optim
from minicnn.device import describe, resolve, to_device, to_host, try_gpu
from minicnn.formats import in_short
from minicnn.kernels import Array, arrays, reference
from minicnn.tensor import Tensor
from minicnn.terminal import say
from minicnn.train.loop import EagerStep

TOLERANCE = {"float32": 2e-5, "float64": 1e-11}  # times the largest number of a result
AFTER_STEPS = {"float32": 1e-3, "float64": 1e-9}
BATCHES = (37, 37, 37, 32, 32, 37)  # images; 37 is no multiple of a block


EXAMPLES = {
    "": "on the GPU where there is one, otherwise on the CPU",
    "--device cpu": "on the CPU",
    "--device gpu:1 --json": "on the second GPU, for a program",
}


def parser() -> command.Parser:
    """The options of ``python -m minicnn.selfcheck``."""
    about = "Check every kernel and a step of training on a device."
    p = command.Parser("selfcheck", about, EXAMPLES)
    p.add("--device", "NAME", "auto, cpu, gpu or gpu:<number>", default="auto")
    p.add("--json", None, "print each check as a JSON object, all else on stderr")
    return p


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, or 1 where something is wrong."""
    return command.run(parser(), _check, argv)


def _check(options: argparse.Namespace) -> int:
    with command.talking(quiet=False, json=options.json) as stdout:
        return _check_talking(options, stdout)


def _check_talking(options: argparse.Namespace, stdout: Any) -> int:
    """Check, and print what ``--json`` asks for on ``stdout``."""
    with command.naming(options, "device"):
        device = try_gpu() if options.device == "auto" else resolve(options.device)
        to_device(np.zeros(1, np.float32), device)  # raises the reason if it cannot be used
    say(f"minicnn {minicnn.__version__}, Python {platform.python_version()}, {device}")
    say(describe(device))
    failures = 0
    for name, check in checks(device):
        problem = _outcome(check)
        failures += problem is not None
        say(f"{name:44} {'OK' if problem is None else problem}")
        if options.json:
            say(json.dumps({"check": name, "problem": problem}), stdout)
    say("everything agrees" if not failures else f"{failures} of these failed")
    return 1 if failures else 0


def _outcome(check: Callable[[], str | None]) -> str | None:
    try:
        return check()
    except Exception as error:  # of a compiler, a driver: reported like a wrong number
        return f"FAILED: {type(error).__name__}: {in_short(error)}"


def checks(device: str) -> Iterator[tuple[str, Callable[[], str | None]]]:
    """Each check's name, and a call that returns what is wrong, or None."""
    for dtype in TOLERANCE:
        for name, arguments in kernel_cases(dtype):
            yield f"{name}, {dtype}", partial(check_kernel, name, arguments, device)
    for model, dtype in itertools.product(NETS, TOLERANCE):
        yield (
            f"{model}, {dtype}: eager, against the CPU",
            partial(check_eager, model, dtype, device),
        )
        if compiler.is_available(device):
            name = f"{model}, {dtype}: compiled, against eager"
            yield name, partial(check_compiled, model, dtype, device)


# Kernels ------------------------------------------------------------------------------------------


def kernel_cases(dtype: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Every kernel with arguments on the CPU, of sizes that blocks and windows do not divide."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(dtype)

    x, size, stride, padding, dilation = normal(3, 5, 11, 9), (3, 2), (2, 1), (1, 1), (1, 2)
    columns = reference.im2col(x, size, stride, padding, dilation)
    yield "im2col", (x, size, stride, padding, dilation)
    yield "col2im", (normal(*columns.shape), x.shape, size, stride, padding, dilation)
    output = arrays.output_sizes(x.shape[2:], size, stride, padding, dilation)
    weight, dy = normal(4, 5, *size), normal(3, 4, *output)
    yield "conv2d", (x, weight, normal(4), stride, padding, dilation)
    yield "conv2d_dx", (dy, weight, x.shape, stride, padding, dilation)
    yield "conv2d_dweight", (x, dy, size, stride, padding, dilation)
    yield "matmul", (normal(3, 7, 13), normal(13, 5), normal(7, 1))
    y, index = reference.max_pool(x, size, stride, padding, dilation, output)
    yield "max_pool", (x, size, stride, padding, dilation, output)
    yield "max_pool_backward", (normal(*y.shape), index, x.shape)
    output = arrays.output_sizes(x.shape[2:], size, stride, padding, (1, 1))
    divisor = rng.integers(1, 7, output).astype(dtype)
    yield "avg_pool", (x, divisor, size, stride, padding)
    yield "avg_pool_backward", (normal(3, 5, *output), divisor, x.shape, size, stride, padding)
    yield "sigmoid", (40 * normal(1031),)
    yield "sigmoid_backward", (normal(1031), rng.random(1031).astype(dtype))
    yield "tanh", (4 * normal(1031),)
    yield "tanh_backward", (normal(1031), normal(1031))
    yield "relu", (normal(1031),)
    yield "relu_backward", (normal(1031), normal(1031))
    yield "softmax_cross_entropy", (9 * normal(71, 37), rng.integers(-1, 37, 71))
    p, target = rng.random((71, 37)).astype(dtype), rng.integers(-1, 37, 71)
    yield "softmax_cross_entropy_backward", (p, target, normal(71))
    yield "class_indices", (target, np.abs(normal(37)), 37, -1, dtype)
    yield "reduce_losses", (normal(1031), np.abs(normal(1031)), True)
    loss, sums = np.array(0.3, dtype), (np.array(3, dtype), np.array(4))
    yield "count_batch", (*sums, loss, normal(71, 37), target)
    images, rows = rng.integers(0, 256, (71, 3, 5, 7), np.uint8), rng.permutation(71)[:31]
    yield "load_batch", (images, target, rows, None)
    each = normal(5), normal(5), normal(5), normal(5)  # numbers of the channels
    yield "moments", (x,)
    yield "normalise", (x, *each[:3])
    yield "norm_sums", (normal(*x.shape), x, each[0])
    yield "norm_backward", (normal(*x.shape), x, *each)
    yield "sum_over", (normal(71, 6, 37), (0, 2), True)
    yield "sgd", (normal(1031), normal(1031), normal(1031), 0.3, 0.9, 0.1, 0.01, False, True)
    means = normal(1031), normal(1031) ** 2, normal(1031) ** 2  # of g, of g², the largest of these
    yield "adam", (normal(1031), normal(1031), *means, 3, 0.1, 0.8, 0.9, 1e-3, 0.1, False, True)
    yield "adadelta", (normal(1031), normal(1031), *means[1:], 0.7, 0.8, 1e-3, 0.1, True)
    yield "random_uniform", (normal(1031), 2**40 + 1, 2**33 + 2)


def check_kernel(name: str, arguments: tuple[Any, ...], device: str) -> str | None:
    """Compare a kernel of the device with that of ``kernels.reference``."""
    expected = _results(getattr(reference, name), arguments)
    moved = tuple(to_device(a, device) if isinstance(a, np.ndarray) else a for a in arguments)
    module = kernels.of(moved[0])
    return _difference(_results(getattr(module, name), moved), expected)


def _results(kernel: Callable[..., Any], arguments: tuple[Any, ...]) -> list[np.ndarray]:
    """What the kernel returns or, if it returns nothing, the arrays that it may have changed."""
    copies = tuple(a.copy() if hasattr(a, "copy") else a for a in arguments)
    result = kernel(*copies)
    if result is None:
        result = tuple(a for a in copies if hasattr(a, "copy"))
    return [to_host(a) for a in (result if isinstance(result, tuple) else (result,))]


def _difference(
    ours: list[Array], theirs: list[Array], tolerance: dict[str, float] = TOLERANCE
) -> str | None:
    """What is wrong with ``ours``, in a few words."""
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"FAILED: {a.dtype} {a.shape}; wanted {b.dtype} {b.shape}"
        if a.dtype.kind != "f":
            if not np.array_equal(a, b):
                return f"FAILED: {np.count_nonzero(a != b)} of {a.size} cells differ"
            continue
        largest = float(np.abs(b).max(initial=1e-30))
        error = float(np.abs(a - b).max(initial=0)) / largest
        if not error <= tolerance[a.dtype.name]:
            return f"FAILED: differs by {error:.1e} of the largest number"
    return None


# Steps --------------------------------------------------------------------------------------------


def check_eager(model: str, dtype: str, device: str) -> str | None:
    """Compare losses and parameters after eager steps with those of the reference on the CPU."""
    with kernels.by_reference():
        expected = train(model, dtype, "cpu", EagerStep)
    return _difference(train(model, dtype, device, EagerStep), expected, AFTER_STEPS)


def check_compiled(model: str, dtype: str, device: str) -> str | None:
    """Compare compiled steps with eager ones on the same device."""
    expected = train(model, dtype, device, EagerStep)
    return _difference(train(model, dtype, device, minicnn.compile), expected, AFTER_STEPS)


def train(
    model: str,
    dtype: str,
    device: str,
    make: Callable[..., Any],
    batches: Sequence[int] = BATCHES,
) -> list[np.ndarray]:
    """A few steps on random pictures, in batches of these sizes: losses, and the net's state."""
    minicnn.manual_seed(1)
    net = NETS[model]().to(dtype).to(device)
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9, dampening=0.1, weight_decay=1e-3)
    step = make(net, nn.CrossEntropyLoss(), optimizer)
    rng = np.random.default_rng(2)
    losses = []
    for n in batches:
        pixels = rng.integers(0, 256, (n, 1, 28, 28), np.uint8)
        if make is EagerStep:
            pixels = pixels.astype(dtype) / np.dtype(dtype).type(255)
        x = Tensor(to_device(pixels, device))
        y = Tensor(to_device(rng.integers(0, 10, n), device))
        losses.append(step(x, y)[0].item())
        optimizer.lr *= 0.9
    return [np.array(losses, dtype), *(t.numpy() for t in net.state_dict().values())]


def _others() -> nn.Sequential:
    """A small net of layers that LeNet does not have."""
    return nn.Sequential(
        nn.Conv2d(1, 3, (3, 5), stride=2, padding=1, bias=False),
        nn.BatchNorm2d(3),
        nn.MaxPool2d(3, 2, 1),
        nn.ReLU(),
        nn.BatchNorm2d(3, momentum=None),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(147, 10),
        nn.Tanh(),
    )


NETS: dict[str, Callable[[], nn.Module]] = {
    "lenet": models.lenet,
    "lenet-max": partial(models.build, "lenet-max"),
    "others": _others,
}


if __name__ == "__main__":
    command.process(main)
