"""All that the kernels do, once: in a process of its own, as wrong kernels may write anywhere.

    python -m tests.gpu.trial {emulator,sanitizer,width,sm_90,sm_120} < text

It prints the kernels that ran, or fails where an eager kernel is not the reference or a compiled
step not the eager one. In the mode width ``int`` has 16 bits and arrays more cells, though no long
side. sm_90 and sm_120: NVIDIA's PTX of the text, under the checks of ``ptx``.
"""

from __future__ import annotations

import importlib
import re
import resource
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from minicnn import Tensor, kernels, nn, optim
from minicnn.compiler.gpu import tiling, ways
from minicnn.device import to_device, to_host
from minicnn.kernels import arrays, reference
from minicnn.train.loop import EagerStep
from tests.gpu import emulator, ptx, texts
from tests.gpu.general import general_form
from tests.gpu.nets import Branches, add, cat, padded
from tests.gpu.pretend import standin_for_cupy

CLASSES = 31
SCALE = np.array([[[[0.011]], [[0.017]]], [[[-0.9]], [[-1.3]]]], np.float32)  # of two channels
MODES = {  # n, steps, orders
    "emulator": (45, 2, 4),
    "sanitizer": (45, 1, 1),
    "width": (1100, 1, 1),
    "sm_75": (45, 1, 2),
    "sm_90": (45, 1, 2),
    "sm_120": (45, 1, 2),
}
SECONDS = {"emulator": 45}  # of the processor's time, a wrong kernel may never end; others: 300
NARROW = (Path(__file__).parent / "shim" / "narrow.h").read_text()
LATE = """// In the orders from 2 on every other warp takes 8 turns longer to leave a barrier.
static void parted(int line) {
    emulator::wait(emulator::AT_BARRIER, line);
    int late = emulator::order > 1 && (threadIdx.x / 32 + emulator::order) % 2 ? 8 : 0;
    while (late--) emulator::shuffle_xor(line, ~0u, 0, 0);
}
#undef __syncthreads
#define __syncthreads() parted(__LINE__)
"""


def eager_cases(n: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Kernels with arguments on the CPU, n a size; sizes that no block and no window divides."""
    rng = np.random.default_rng(0)
    normal = rng.standard_normal
    x, size, stride, padding, dilation = normal((n, 5, 11, 9)), (3, 2), (2, 1), (1, 1), (1, 2)
    columns = reference.im2col(x, size, stride, padding, dilation)
    yield "im2col", (x, size, stride, padding, dilation)
    yield "col2im", (normal(columns.shape), x.shape, size, stride, padding, dilation)
    output = arrays.output_sizes((11, 9), size, stride, padding, dilation)
    ties = np.where(rng.random(x.shape) < 0.01, np.nan, rng.integers(0, 3, x.shape))
    y, index = reference.max_pool(ties, size, stride, padding, dilation, output)
    yield "max_pool", (ties, size, stride, padding, dilation, output)
    yield "max_pool_backward", (normal(y.shape), index, x.shape)
    output = arrays.output_sizes((11, 9), size, stride, padding, (1, 1))
    divisor = rng.integers(1, 7, output).astype(float)
    yield "avg_pool", (x, divisor, size, stride, padding)
    yield "avg_pool_backward", (normal((n, 5, *output)), divisor, x.shape, size, stride, padding)
    yield "sigmoid", (40 * normal(31 * n),)
    yield "sigmoid_backward", (normal(31 * n), rng.random(31 * n))
    target = np.where(rng.random(n) < 0.2, -1, rng.integers(0, 37, n))
    yield "softmax_cross_entropy", (9 * normal((n, 37)), target)
    yield "softmax_cross_entropy_backward", (rng.random((n, 37)), target, normal(n))
    labels, weight = rng.integers(-1, 38, n), rng.random(37)
    yield "class_indices", (labels, weight, 37, 5, "float64")
    yield "reduce_losses", (normal(31 * n), rng.random(31 * n), True)
    yield "count_batch", (np.array(3.0), np.array(4), np.array(0.3), normal((n, 37)), labels)
    images, rows = rng.integers(0, 256, (n, 3, 5, 7), np.uint8), rng.permutation(n)[: n // 2]
    yield "load_batch", (images, labels, rows, None)
    yield "sum_over", (normal((n, 37)), 0)
    yield "sum_over", (normal((n, 7, 5)), (0, 2))
    for settings in ((0.9, 0.1, 0.01, False, True), (0.8, 0.0, 0.0, True, False)):
        yield "sgd", (normal(31 * n), normal(31 * n), normal(31 * n), 0.3, *settings)
    for largest, decoupled, maximize in ((None, True, False), (rng.random(31 * n), False, True)):
        kept = normal(31 * n), rng.random(31 * n), largest
        yield (
            "adam",
            (
                normal(31 * n),
                normal(31 * n),
                *kept,
                3,
                0.1,
                0.8,
                0.9,
                1e-3,
                0.1,
                decoupled,
                maximize,
            ),
        )
    means = rng.random(31 * n), rng.random(31 * n)
    yield "adadelta", (normal(31 * n), normal(31 * n), *means, 0.7, 0.8, 1e-3, 0.1, True)
    yield "random_uniform", (normal(31 * n), 2**40 + 1, 2**33 + 2)


def norm(channels: int, **options: Any) -> nn.BatchNorm2d:
    """Batch normalisation that has seen something."""
    layer = nn.BatchNorm2d(channels, **options)
    layer.running_mean = Tensor(np.linspace(-1, 1, channels, dtype=np.float32))
    return layer


def elsewhere(_: Any) -> optim.Optimizer:
    """An optimiser that learns nothing of the net: a step counts all the same."""
    return optim.SGD([Tensor(np.zeros(1), requires_grad=True)], 0.1)


def nets() -> list[tuple[Any, nn.CrossEntropyLoss, Callable[[Any], optim.Optimizer]]]:
    """Together they run every kernel of a step, after every activation; and optimisers for them."""
    first = nn.Sequential(
        nn.Conv2d(2, 5, (3, 2), stride=(2, 1), padding=(1, 1), dilation=(1, 2)), nn.Tanh(),
        nn.MaxPool2d((3, 2), stride=(2, 1), padding=(1, 1)), nn.Conv2d(5, 3, 2, 1, 1, bias=False),
        norm(3, momentum=None), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(120, 32),
        nn.Sigmoid(), nn.Dropout(0.5), nn.Linear(32, CLASSES), nn.Tanh(),
    )  # fmt: skip
    second = nn.Sequential(
        nn.Conv2d(2, 5, 2), nn.Sigmoid(), padded(0, 0, 1, 2), nn.Conv2d(5, 5, (4, 1)), nn.Sigmoid(),
        norm(5, affine=False), nn.Tanh(),
        Branches(add, nn.Conv2d(5, 5, 1), nn.Identity()),
        nn.Conv2d(5, 3, (1, 2), stride=2, padding=(1, 0)), nn.ReLU(),
        nn.AvgPool2d((3, 2), stride=1, padding=1), nn.Tanh(),
        Branches(cat, nn.Identity(), nn.ReLU()), nn.Flatten(),
        nn.Linear(120, 19, bias=False), nn.Tanh(), nn.Linear(19, CLASSES),
    )  # fmt: skip
    loss = nn.CrossEntropyLoss(Tensor(np.linspace(0.5, 2, CLASSES)), 3, label_smoothing=0.1)
    plain = nn.CrossEntropyLoss()

    def pooled() -> nn.Module:
        last = nn.Conv2d(3, 9, 2)
        last.weight.data[3] = 0  # the cells of a window are equal: the first one wins
        return nn.Sequential(
            nn.Conv2d(2, 2, (1, 2), padding=(0, 2)), nn.Conv2d(2, 3, 2), nn.Sigmoid(),
            nn.AvgPool2d(2), last, nn.MaxPool2d((3, 2)), nn.Flatten(), nn.Linear(18, CLASSES),
        )  # fmt: skip

    def dense() -> nn.Module:
        layer = nn.Linear(144, CLASSES)
        weight, bias = layer.parameters()
        weight.data[4:6] = 0  # two classes are equal: the first one wins
        bias.data[4:6] = 0, 1  # the other 1 is what `trained` gives the last layer's class 4
        return nn.Sequential(nn.Flatten(), layer)

    narrow = nn.Linear(261, 3), nn.Tanh(), nn.Linear(3, CLASSES)  # in one launch

    return [
        (first, loss, partial(optim.SGD, lr=0.005, momentum=0.8, nesterov=True, weight_decay=0.01)),
        (second, nn.CrossEntropyLoss(reduction="sum"),
         partial(optim.SGD, lr=0.005, momentum=0.5, dampening=0.3, maximize=True)),
        (pooled(), plain, partial(optim.Adam, weight_decay=0.1, amsgrad=True, maximize=True)),
        (dense(), plain, partial(optim.AdamW, betas=(0.0, 0.9))),
        (nn.Sequential(nn.Flatten(), nn.Linear(144, 261), nn.Tanh(), *narrow), plain,
         partial(optim.Adadelta, rho=0.8, weight_decay=0.1)),
        (nn.Sequential(nn.Dropout(0.4), dense()), plain, elsewhere),
    ]  # fmt: skip


def module_of_compiler(name: str) -> Any:
    return importlib.import_module(f"minicnn.compiler.gpu.{name}")


def choose_paths(which: int, n: int) -> None:
    """See to it that the nets together run all kernels of dense layers, whatever their sizes."""
    names = ("chain", "linear", "products", "ways")
    chain, linear, products, ways = (module_of_compiler(name) for name in names)
    ways.BLOCKS = 30  # so few that each takes several pieces of the batch
    chain.WEIGHTS_READ = 1000 * -(-n // 2)  # layers of at most 1,000 weights end in one launch
    linear.splits_of = lambda *sizes: 3 if which in (1, 2, 4) else 1
    products.tile_of = lambda of: (16, 32, 64)[which % 3]


def data_set(n: int, batches: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels, labels, and the order in which they are taken."""
    rng, rows = np.random.default_rng(2), n * batches + 1
    pixels, labels = rng.integers(0, 256, (rows, 2, 9, 8), np.uint8), rng.integers(0, CLASSES, rows)
    labels[::2], labels[1] = 4, 3
    return pixels, labels, rng.permutation(rows)


def trained(which: int, device: str, n: int, steps: int) -> list[np.ndarray]:
    """What some steps leave behind: losses, logits, the sums of an epoch, the net's state."""
    minicnn.manual_seed(1)
    net, loss, optimizer_of = nets()[which]
    list(net.parameters())[-1].data[4] += 1  # it likes class 4
    net, make = net.to("float64").to(device), EagerStep if device == "cpu" else minicnn.compile
    step: Any = make(net, loss.to(device), optimizer_of(net.parameters()))
    if device != "cpu":
        choose_paths(which, n)
    sums, results = np.zeros(2), []
    pixels, labels, order = data_set(n, steps)
    numbers = pixels * SCALE[0] + SCALE[1] if which == 2 else pixels / 255
    is_raw, gathers = (device != "cpu" and which in some for some in ((0, 2), (0, 1, 2)))
    x = to_device(pixels if is_raw else numbers.astype("float64"), device)
    y = to_device(labels, device)
    if gathers:
        scale = to_device(SCALE, device) if which == 2 else None
        step.read_from(x, y, to_device(order, device), n, scale=scale)
    for i in range(steps):
        rows = to_device(order[i * n : (i + 1) * n], device)
        result = step.take(n) if gathers else step(Tensor(x[rows]), Tensor(y[rows]))
        one, logits = (part.numpy().copy() for part in result)
        sums += one * n, (logits.argmax(axis=1) == labels[to_host(rows)]).sum()
        results += [one, logits]
    if device != "cpu":  # the sums that the kernel of the loss took
        sums[:] = float(step.means.loss), float(step.means.correct)
    state = [tensor.numpy().astype(float) for tensor in net.state_dict().values()]
    return [*results, sums, *state]


def predicted(device: str, n: int) -> list[np.ndarray]:
    """Scores of pictures, one of which has a NaN that goes through tanh, pooling and relu."""
    minicnn.manual_seed(1)
    net = nets()[0][0].to("float64").to(device).eval()
    pixels = np.random.default_rng(3).integers(0, 256, (n, 2, 9, 8), np.uint8)
    x = pixels / 255
    x[0, 0, 4, 4] = np.nan
    if device != "cpu":
        choose_paths(0, n)
    predict = net if device == "cpu" else minicnn.compile(net)
    given = x, pixels / 255 if device == "cpu" else pixels
    return [predict(Tensor(to_device(each, device))).numpy() for each in given]


def done(module: Any, device: str, n: int, steps: int) -> Iterator[tuple[str, list[np.ndarray]]]:
    """All results by name: by the reference on the CPU, by the kernels on the GPU."""
    for name, arguments in eager_cases(n):
        given = [to_device(a.copy(), device) if hasattr(a, "dtype") else a for a in arguments]
        result = getattr(module, name)(*given)
        left = [*(result if isinstance(result, tuple) else (result,)), *given]
        yield name, [to_host(a) for a in left if hasattr(a, "dtype")]
    for which in range(6):
        yield f"net {which}", trained(which, device, n, steps)
    yield "prediction", predicted(device, n)


def module_of(text: str, mode: str, cupy: Any) -> Any:
    """The kernels in a text, compiled for a mode."""
    if mode == "width":  # with the int of narrow.h; a + makes both results of ?: of one type
        text = re.sub(r" ([?:]) (?=\w)", r" \1 +", text.replace("unsigned int", "unsigned"))
    text = {"emulator": LATE, "width": NARROW}.get(mode, "") + text
    module = cupy.RawModule(code=text, options=("-DREAL=double",))
    if mode.startswith("sm_"):
        text = re.sub(r"(#define FEW_PARTS) \d+", r"\1 1", text)  # many add up even few parts
        update: Any = importlib.import_module("minicnn.compiler.gpu.update")
        update.FEW_PARTS = 1
        module._libraries[None] = ptx.build(text, "float64", mode)
    else:
        module._libraries[None] = emulator.build(text, "float64", mode == "sanitizer", quick=True)
    return module


def main(mode: str) -> None:
    """Run a trial of the text in the standard input; kernels that it lacks are the right ones."""
    text, (n, steps, orders) = sys.stdin.read(), MODES[mode]
    assert ptx.is_there() or not mode.startswith("sm_")  # asked before CuPy is hidden
    with standin_for_cupy() as cupy, general_form():
        gpu: Any = importlib.import_module("minicnn.kernels.gpu")
        launch: Any = importlib.import_module("minicnn.kernels.gpu.launch")
        given, used = module_of(text, mode, cupy), Counter[str]()
        is_whole = given._library.signatures.keys() >= set(texts.names())
        right = given if is_whole else module_of(texts.everything(), mode, cupy)

        def get_kernel(name: str, _: str) -> Any:
            used.update([name])
            return (given if name in given._library.signatures else right).get_function(name)

        launch.kernel = get_kernel
        launch.modules["float64"] = given  # a batch is gathered by what is compiled already
        launch.MOST_BLOCKS = 3  # more cells than threads
        tiling.ROOM = 300  # more channels than fit into shared memory
        ways.IMAGES = 10_000  # enough threads for large tiles
        with kernels.by_reference():
            wanted = list(done(reference, "cpu", n, steps))
        for order in range(orders):
            cupy.set_thread_order(order)
            ours = done(gpu, "gpu", n, steps)
            for (name, results), (_, expected) in zip(ours, wanted, strict=True):
                for a, b in zip(results, expected, strict=True):
                    largest = np.abs(b[np.isfinite(b)]).max(initial=1e-30)
                    close = np.isclose(a, b, rtol=0, atol=1e-9 * largest, equal_nan=True)
                    assert close.all(), f"{name}, {a.shape}: {(~close).sum()} differ, order {order}"
    print(*sorted(used))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS.get(sys.argv[1], 300), -1))
    main(sys.argv[1])
