"""``python -m minicnn.explain``: a page that shows a layer forward and backward, cell by cell."""

from __future__ import annotations

import argparse
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import command, kernels, load_run, nn
from minicnn.files import write_whole
from minicnn.kernels.arrays import output_sizes
from minicnn.nn import functional as F
from minicnn.runs import load_test_set
from minicnn.tensor import Tensor
from minicnn.terminal import say

from . import conv_page, dense, loss, pool

Pair = tuple[int, int]

DEFAULTS: dict[str, dict[str, Any]] = {
    "conv": {"size": (4, 5), "kernel": (3, 3), "stride": (1, 1), "padding": (1, 0),
             "dilation": (1, 1), "channels": 1, "out_channels": 1, "batch": 1},
    "max-pool": {"size": (5, 6), "kernel": (3, 3), "stride": (2, 2), "padding": (0, 0),
                 "dilation": (1, 1), "channels": 1, "batch": 1},
    "avg-pool": {"size": (5, 6), "kernel": (2, 2), "stride": (2, 2), "padding": (0, 0),
                 "channels": 1, "batch": 1},
    "dense": {"channels": 4, "out_channels": 3, "batch": 2},
    "softmax": {"channels": 5, "batch": 2},
}  # fmt: skip
OPTIONS = ("size", "kernel", "stride", "padding", "dilation", "channels", "out_channels", "batch")


def parser() -> command.Parser:
    """The options of ``python -m minicnn.explain``."""
    p = command.Parser("explain", "Show a layer forward and backward, cell by cell, on a page.")
    natural, positive = command.at_least(0), command.at_least(1)
    kinds = list(DEFAULTS)
    p.add("--op", "NAME", f"{', '.join(kinds)}; conv by default", choices=kinds, default="conv")
    p.add("--out", "FILE", "the page; explain.html by default", type=command.path)
    p.add("--no-open", None, "write the page, do not open it")
    p.add("--text", None, "print the numbers, write no page")
    p.group("an example of small whole numbers")
    p.add("--size", "HxW", "of the picture; 4x5 by default (pooling: 5x6)", type=pair(1))
    p.add("--kernel", "K", "3 by default (avg-pool: 2); 3x2 for 3 rows and 2 columns", type=pair(1))
    p.add("--stride", "S", "1 by default (pooling: 2)", type=pair(1))
    p.add(
        "--padding",
        "P",
        "1x0 by default (pooling: 0): rows above and below, no columns",
        type=pair(0),
    )
    p.add("--dilation", "D", "1 by default", type=pair(1))
    p.add(
        "--channels",
        "N",
        "of the input; 1 by default (dense: 4 features, softmax: 5 classes)",
        type=positive,
    )
    p.add("--out-channels", "N", "of the output; 1 by default (dense: 3)", type=positive)
    p.add("--batch", "N", "images; 1 by default (dense, softmax: 2 rows)", type=positive)
    p.add("--seed", "N", "of the numbers; 0 by default", type=natural)
    p.group("a trained layer on a real picture")
    p.add("--run", "DIR", "the folder of python -m minicnn.train", type=command.path)
    p.add("--layer", "K", "net[K], a convolution; the first one by default", type=natural)
    p.add("--image", "I", "of the test images; 0 by default", type=natural)
    p.add("--data-dir", "DIR", "look for the data set's files here only", type=command.path)
    return p  # fmt: skip


def pair(least: int) -> Callable[[str], Pair]:
    """An argument type: "3" as (3, 3), "3x2" or "3,2" as (3, 2)."""

    def two(text: str) -> Pair:
        parts = text.lower().replace("×", "x").replace(",", "x").split("x")
        numbers = [int(part) if part.isascii() and part.isdigit() else -1 for part in parts]
        if len(numbers) not in (1, 2) or min(numbers) < least:
            raise argparse.ArgumentTypeError(
                f"{text!r}; wanted a number of at least {least}, or two like 3x2"
            )
        return numbers[0], numbers[-1]

    return two


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return command.run(parser(), _explain, argv)


def _explain(options: argparse.Namespace) -> int:
    explained, about = _from_run(options) if options.run else (_example(options), "")
    if options.text:
        if options.out:
            raise ValueError("--text prints and writes no page; wanted it without --out")
        say(str(explained).rstrip("\n"))
        return 0
    path = options.out or Path("explain.html")
    write_whole(path, explained.html(about))
    say(f"written to {path}")
    if not options.no_open:
        webbrowser.open(path.resolve().as_uri())
    return 0


# An example ---------------------------------------------------------------------------------------


def _example(options: argparse.Namespace) -> Any:
    """The operation on small whole numbers, so that sums can be followed in the head."""
    for name in ("layer", "image", "data_dir"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} needs --run DIR")
    sizes = dict(DEFAULTS[options.op])
    for name in OPTIONS:
        given = getattr(options, name)
        if given is not None and name not in sizes:
            raise ValueError(f"--{name.replace('_', '-')} does not apply to --op {options.op}")
        if given is not None:
            sizes[name] = given
    rng = np.random.default_rng(options.seed or 0)
    makers: dict[str, Callable[..., Any]] = {
        "conv": _convolution,
        "max-pool": _max_pool,
        "avg-pool": _avg_pool,
        "dense": _dense,
        "softmax": _softmax,
    }
    return makers[options.op](rng, **sizes)


def _convolution(
    rng: np.random.Generator,
    size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    channels: int,
    out_channels: int,
    batch: int,
) -> Any:
    shape, weight = (batch, channels, *size), (out_channels, channels, *kernel)
    output = output_sizes(size, kernel, stride, padding, dilation)
    conv_page.check_size(shape, weight, padding, output)
    layer = nn.Conv2d(channels, out_channels, kernel, stride, padding, dilation)
    layer.weight.data = distinct(rng, weight)
    layer.bias.data = signed(rng, (out_channels,))  # type: ignore[union-attr]
    dy = signed(rng, (batch, out_channels, *output)) if min(output) > 0 else None
    return conv_page.conv2d(layer, rng.integers(1, 10, shape), dy)


def _max_pool(
    rng: np.random.Generator,
    size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    channels: int,
    batch: int,
) -> Any:
    shape = (batch, channels, *size)
    pool.check_size(shape, kernel)
    picture = np.arange(size[0] * size[1]) % 99 + 1
    x = np.stack([rng.permutation(picture) for _ in range(batch * channels)]).reshape(shape)
    dy = _signed_like_output(rng, shape, (kernel, stride, padding, dilation))
    return pool.max_pool2d(nn.MaxPool2d(kernel, stride, padding, dilation), x, dy)


def _avg_pool(
    rng: np.random.Generator,
    size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    channels: int,
    batch: int,
) -> Any:
    shape = (batch, channels, *size)
    pool.check_size(shape, kernel)
    dy = _signed_like_output(rng, shape, (kernel, stride, padding, (1, 1)))
    x = rng.integers(1, 10, shape)
    return pool.avg_pool2d(nn.AvgPool2d(kernel, stride, padding), x, dy)


def _signed_like_output(
    rng: np.random.Generator, shape: tuple[int, ...], window: tuple[Pair, Pair, Pair, Pair]
) -> np.ndarray | None:
    """A gradient from above, if there is an output."""
    output = output_sizes(shape[2:], *window)
    return signed(rng, (*shape[:2], *output)) if min(output) > 0 else None


def _dense(rng: np.random.Generator, channels: int, out_channels: int, batch: int) -> Any:
    dense.check_size(batch, channels, out_channels)
    layer = nn.Linear(channels, out_channels)
    layer.weight.data = signed(rng, (out_channels, channels))
    layer.bias.data = signed(rng, (out_channels,))  # type: ignore[union-attr]
    x, dy = rng.integers(1, 10, (batch, channels)), signed(rng, (batch, out_channels))
    return dense.linear(layer, x, dy)


def _softmax(rng: np.random.Generator, channels: int, batch: int) -> Any:
    loss.check_size(batch, channels)
    logits = rng.integers(-2, 5, (batch, channels))
    return loss.cross_entropy(logits, rng.integers(0, channels, batch))


def signed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Whole numbers from -3 to 3, none of them 0."""
    return (rng.integers(1, 4, shape) * rng.choice([-1, 1], shape)).astype(np.float64)


def distinct(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Kernels of 1, -1, 2, -2... in any order: no two weights alike, so that a flip shows."""
    cells = np.arange(2, 2 + shape[-2] * shape[-1])
    weights = cells // 2 * np.where(cells % 2, -1.0, 1.0)
    planes = [rng.permutation(weights) for _ in range(shape[0] * shape[1])]
    return np.stack(planes).reshape(shape)


# A trained layer ----------------------------------------------------------------------------------


def _from_run(options: argparse.Namespace) -> tuple[Any, str]:
    """A convolution of the run's net, on what it sees of one test image, with its gradient."""
    given = [name for name in (*OPTIONS, "seed") if getattr(options, name) is not None]
    if given or options.op != "conv":
        name = given[0].replace("_", "-") if given else "op"
        raise ValueError(f"--{name} does not apply to --run: the net says what there is")
    net, config = load_run(options.run)
    layers = list(net)  # type: ignore[call-overload]
    convolutions = [k for k, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    if not convolutions:
        raise ValueError(f"--run is {options.run}, a net without a convolution; wanted one with")
    layer = convolutions[0] if options.layer is None else options.layer
    if layer not in convolutions:
        wanted = ", ".join(map(str, convolutions))
        raise ValueError(f"--layer is {layer}, no convolution; wanted one of {wanted}")
    test = load_test_set(config, options.data_dir)
    image = options.image or 0
    if image >= len(test):
        raise ValueError(f"--image is {image}; wanted one of 0..{len(test) - 1}")
    label = int(test.labels[image])
    x, dy = _through(layers, layer, test.images[image], label)
    about = (
        f"net[{layer}] of {config['model']}, on test image {image} of {config['dataset']} "
        f"({test.classes[label]}); dy comes from its cross-entropy"
    )
    return conv_page.conv2d(layers[layer], x, dy), about


def _through(layers: list[Any], layer: int, picture: np.ndarray, label: int) -> tuple[Any, Any]:
    """What ``layers[layer]`` gets as x going forward and as dy coming back."""
    x = Tensor((picture / 255).astype(np.float32).reshape(1, 1, *picture.shape[-2:]))
    with kernels.by_reference():
        for below in layers[:layer]:
            x = below(x)
        y = layers[layer](x)
        y.retain_grad()
        logits = y
        for above in layers[layer + 1 :]:
            logits = above(logits)
        F.cross_entropy(logits, Tensor(np.array([label]))).backward()
    return x, y.grad


if __name__ == "__main__":
    command.process(main)
