"""Convolutions of compiled steps, at awkward sizes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, kernels, nn, optim
from minicnn.compiler.gpu import tiling
from minicnn.device import to_device, to_host
from minicnn.kernels import reference
from minicnn.nn import functional as F
from tests.gpu.general import general_form

pytestmark = pytest.mark.usefixtures("cupy")

Layers = tuple[nn.Module, ...]
LAYERS: dict[str, tuple[tuple[int, int, int], Callable[[], Layers]]] = {  # (C, H, W), layers
    "plain": ((3, 9, 11), lambda: (nn.Conv2d(3, 5, (3, 2)),)),
    "padded": ((2, 6, 7), lambda: (nn.Conv2d(2, 3, (5, 3), padding=(2, 1)), nn.Tanh())),
    "1x1": ((7, 5, 6), lambda: (nn.Conv2d(7, 9, 1), nn.ReLU())),
    "as large as the picture": ((2, 5, 7), lambda: (nn.Conv2d(2, 11, (5, 7)), nn.Sigmoid())),
    "strides": ((2, 13, 12), lambda: (nn.Conv2d(2, 3, 3, stride=(2, 3), padding=(1, 2)),)),
    "strides over cells that no window sees": ((2, 12, 11), lambda: (nn.Conv2d(2, 3, 2, 4),)),
    "dilation": ((2, 14, 13), lambda: (nn.Conv2d(2, 3, (3, 2), 1, (2, 1), (3, 4)), nn.ReLU())),
    "strides and dilation": (
        (2, 17, 19), lambda: (nn.Conv2d(2, 4, (4, 3), (3, 2), (4, 3), (2, 3)), nn.Sigmoid())
    ),
    "a long kernel": ((1, 3, 40), lambda: (nn.Conv2d(1, 3, (2, 31), padding=(0, 2)),)),
    "windows far apart": ((2, 2, 130), lambda: (nn.Conv2d(2, 3, (1, 7), stride=(1, 40)),)),
    "many channels": ((37, 4, 4), lambda: (nn.Conv2d(37, 41, 3, padding=1), nn.ReLU())),
    "no bias": ((3, 8, 6), lambda: (nn.Conv2d(3, 10, 3, bias=False),)),
    "average": (
        (2, 11, 13), lambda: (nn.Conv2d(2, 5, 3), nn.Sigmoid(), nn.AvgPool2d((2, 3)))
    ),
    "average without activation": (
        (2, 8, 10), lambda: (nn.Conv2d(2, 3, 3, padding=1), nn.AvgPool2d((4, 2)))
    ),
    "average by a divisor": (
        (2, 8, 7), lambda: (nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AvgPool2d(2, divisor_override=3))
    ),
    "maximum": (
        (3, 12, 10), lambda: (nn.Conv2d(3, 9, (3, 2), 1, 1), nn.ReLU(), nn.MaxPool2d((3, 2)))
    ),
    "maximum without activation": (
        (2, 9, 9), lambda: (nn.Conv2d(2, 6, 2, stride=2), nn.MaxPool2d(2))
    ),
    "maximum of the whole picture": (
        (2, 5, 6), lambda: (nn.Conv2d(2, 3, 2), nn.Tanh(), nn.MaxPool2d((4, 4), (4, 4)))
    ),
    "windows that overlap": (
        (2, 9, 9), lambda: (nn.Conv2d(2, 3, 2), nn.Tanh(), nn.MaxPool2d(3, stride=2))
    ),
    "windows too large for a thread": (
        (2, 12, 12), lambda: (nn.Conv2d(2, 3, 3), nn.Sigmoid(), nn.AvgPool2d(5))
    ),
    "poolings that reach out": (
        (2, 9, 8), lambda: (nn.Conv2d(2, 3, 2), nn.ReLU(), nn.MaxPool2d(2, padding=1))
    ),
    "a pooling of a pooling": (
        (2, 13, 13), lambda: (nn.Conv2d(2, 3, 2), nn.AvgPool2d(2), nn.ReLU(), nn.MaxPool2d(3))
    ),
}  # fmt: skip
ROOMS = {"usual": tiling.ROOM, "small": 400, "tiny": 60}
CHOICES = tiling.forward, tiling.dinput, tiling.dweight


@pytest.fixture(params=ROOMS)
def room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Cells of shared memory: pictures larger than it are cut into strips, kernels into pieces."""
    monkeypatch.setattr(tiling, "ROOM", ROOMS[request.param])
    for choice in CHOICES:
        choice.cache_clear()
    yield ROOMS[request.param]
    for choice in CHOICES:
        choice.cache_clear()


def net_of(name: str) -> nn.Module:
    """The layers between two others, so that x of theirs is an activation's result."""
    (c, h, w), layers = LAYERS[name]
    minicnn.manual_seed(5)
    net = nn.Sequential(
        nn.Conv2d(1, c, 1), nn.Tanh(), *layers(), nn.Flatten(), nn.LazyLinear(4, bias=False)
    )
    net(Tensor(np.zeros((1, 1, h, w), np.float32)))
    return net.to("float64")


def gradients(name: str, n: int, device: str) -> dict[str, np.ndarray]:
    """Loss, logits and gradients of a step, by eager mode on the CPU or a plan on the GPU."""
    net, rng = net_of(name), np.random.default_rng(2)
    x, y = rng.standard_normal((n, 1, *LAYERS[name][0][1:])), rng.integers(0, 4, n)
    if device == "cpu":
        with kernels.by_reference():
            logits = net(Tensor(x))
            loss = F.cross_entropy(logits, Tensor(y))
            loss.backward()
        found = {name: p.grad.numpy() for name, p in net.named_parameters() if p.grad is not None}
    else:
        optimizer = optim.SGD(net.to("gpu").parameters(), 0.1)
        step = minicnn.compile(net, nn.CrossEntropyLoss(), optimizer)
        loss, logits = step(Tensor(to_device(x, "gpu")), Tensor(to_device(y, "gpu")))
        found = {name: g.numpy() for name, g in step.gradients().items()}
    return {"loss": loss.numpy(), "logits": logits.numpy(), **found}


def assert_equal(name: str, n: int) -> None:
    ours, theirs = gradients(name, n, "gpu"), gradients(name, n, "cpu")
    assert ours.keys() == theirs.keys()
    for what, expected in theirs.items():
        np.testing.assert_allclose(
            ours[what], expected, rtol=1e-9, atol=1e-12 * abs(expected).max(), err_msg=what
        )


@pytest.mark.parametrize("name", LAYERS)
def test_of_every_kind_in_shared_memory_of_every_size(room: int, name: str) -> None:
    with general_form():
        assert_equal(name, 5)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("name", ["average", "maximum", "strides and dilation"])
def test_the_order_of_threads_does_not_matter(cupy: Any, room: int, name: str, order: int) -> None:
    with general_form():
        expected = gradients(name, 5, "gpu")
        cupy.set_thread_order(order)
        for what, ours in gradients(name, 5, "gpu").items():
            np.testing.assert_array_equal(ours, expected[what], err_msg=what)


@pytest.mark.parametrize("name", ["average", "maximum", "strides and dilation", "many channels"])
def test_with_sizes_as_literals(name: str) -> None:
    assert_equal(name, 3)


@pytest.mark.parametrize("room", ["tiny"], indirect=True)
@pytest.mark.parametrize("axis", [2, 3])
def test_cells_that_no_window_sees_may_be_infinite(room: int, axis: int) -> None:
    """A piece of a kernel of 5 has 3 taps: the sixth, which is none, is at such a cell."""
    rng, kernel, stride = np.random.default_rng(2), [1, 1], [1, 1]
    kernel[axis - 2], stride[axis - 2] = 5, 6
    x, y = rng.standard_normal((2, 1, 17, 17)), rng.integers(0, 4, 2)
    x[(slice(None),) * axis + (slice(5, None, 6),)] = np.inf
    found = []
    for device in ("cpu", "gpu"):
        minicnn.manual_seed(5)
        conv = nn.Conv2d(1, 3, tuple(kernel), tuple(stride))
        net = nn.Sequential(conv, nn.Flatten(), nn.Linear(3 * 3 * 17, 4)).to("float64").to(device)
        step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1))
        pictures, labels = (Tensor(to_device(a, device)) for a in (x, y))
        with general_form():
            found.append(step(pictures, labels)[1].numpy())
    assert np.isfinite(found[0]).all()
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9)


def test_a_nan_among_the_weights_stays_in_its_channel(room: int) -> None:
    """Where the last chunk of channels has fewer than the others, the next one's are at hand."""
    conv = nn.Conv2d(37, 4, (3, 2)).to("float64")
    conv.weight.data[2] = np.nan
    predict = minicnn.compile(nn.Sequential(conv, nn.Flatten()).to("gpu"))
    with general_form():
        y = predict(Tensor(to_device(np.ones((2, 37, 4, 5)), "gpu"))).numpy()
    bad = np.isnan(y).reshape(2, 4, -1)
    assert bad[:, 2].all()
    assert not bad[:, [0, 1, 3]].any()


@pytest.mark.parametrize("room", ["tiny"], indirect=True)
@pytest.mark.parametrize("axis", [0, 1])
def test_cells_that_a_window_does_not_see_are_free_of_its_gradient(room: int, axis: int) -> None:
    gpu: Any = importlib.import_module("minicnn.kernels.gpu.launch")
    (h, kh, oh), (w, kw, ow) = [(17, 5, 13), (3, 1, 3)][:: 1 if axis == 0 else -1]
    size = tiling.Geometry(1, 1, h, w, kh, kw, 1, 1, 0, 0, 1, 1, oh, ow)
    way, dy = tiling.dinput(size), np.zeros((oh, ow))
    assert (5 % way.ci, 5 % way.cj)[axis] != 0
    dy[0, 0] = np.inf
    of_dy, weights, dx = (to_device(a, "gpu") for a in (dy, np.ones((kh, kw)), np.zeros((h, w))))
    winner = to_device(np.zeros(1, np.uint8), "gpu")
    numbers = 1, 0, 0, 0, 1, 1, *size, *way
    gpu.kernel("conv_dinput", "float64")(
        (way.blocks(size, 1),),
        (way.threads,),
        (of_dy, of_dy, winner, weights, dx, dx, *map(np.int32, numbers)),
        shared_mem=8 * way.shared(size),
    )
    expected = np.zeros((h, w))
    expected[:kh, :kw] = np.inf
    np.testing.assert_array_equal(to_host(dx), expected)


# a picture, and windows whose tiles reach beyond the last one, to cells that no window sees
UNSEEN: dict[str, tuple[tuple[int, int], Any]] = {  # size, stride, padding and dilation
    "below": ((32, 7), ((3, 2), (6, 1), (0, 0), (1, 1))),
    "below, in a frame": ((30, 7), ((3, 2), (6, 1), (1, 0), (1, 1))),
    "on the right": ((2, 70), ((2, 3), (1, 4), (0, 0), (1, 1))),
    "between taps": ((3, 40), ((2, 2), (1, 1), (0, 0), (1, 23))),
}


@pytest.mark.parametrize("room", ["small"], indirect=True)
@pytest.mark.parametrize(
    ("name", "is_general"), [*((name, True) for name in UNSEEN), ("on the right", False)]
)
def test_a_weights_gradient_is_free_of_cells_that_no_window_sees(
    room: int, name: str, is_general: bool
) -> None:
    """They are infinite, and 0 times infinity is nan."""
    picture, window = UNSEEN[name]
    rng, y = np.random.default_rng(2), np.array([2, 0, 1])
    columns = reference.im2col(np.ones((3, 2, *picture)), *window)
    times_seen = reference.col2im(columns, (3, 2, *picture), *window)
    x = np.where(times_seen > 0, rng.standard_normal(times_seen.shape), np.inf)
    found: list[dict[str, Any]] = []
    for device in ("cpu", "gpu"):
        minicnn.manual_seed(5)
        net = nn.Sequential(nn.Conv2d(2, 3, *window), nn.Tanh(), nn.Flatten(), nn.LazyLinear(4))
        net(Tensor(x.astype(np.float32)))
        net = net.to("float64").to(device)
        step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1))
        with general_form() if is_general else nullcontext():
            step(Tensor(to_device(x, device)), Tensor(to_device(y, device)))
        found.append(step.gradients())
    for name, theirs in found[0].items():
        assert np.isfinite(theirs.numpy()).all()
        np.testing.assert_allclose(found[1][name].numpy(), theirs.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 300])
def test_few_images_and_many(n: int) -> None:
    with general_form(), np.errstate(all="ignore"):
        if n:
            assert_equal("average", n)
        else:
            assert not any(
                g.any() for name, g in gradients("average", 0, "gpu").items() if "." in name
            )


# How the work is cut up --------------------------------------------------------------------------

SIZES = {
    "lenet's first": tiling.Geometry(6, 1, 28, 28, 5, 5, 1, 1, 2, 2, 1, 1, 28, 28),
    "lenet's second": tiling.Geometry(16, 6, 14, 14, 5, 5, 1, 1, 0, 0, 1, 1, 10, 10),
    "large pictures": tiling.Geometry(96, 3, 224, 224, 11, 11, 4, 4, 2, 2, 1, 1, 55, 55),
    "large kernels": tiling.Geometry(3, 5, 700, 900, 31, 29, 1, 1, 15, 14, 8, 9, 490, 676),
    "large strides": tiling.Geometry(8, 3, 512, 512, 16, 32, 16, 32, 0, 0, 1, 1, 32, 16),
    "many channels": tiling.Geometry(1024, 2048, 7, 7, 1, 1, 1, 1, 0, 0, 1, 1, 7, 7),
    "a line": tiling.Geometry(4, 2, 1, 20_000, 1, 9, 1, 1, 0, 4, 1, 1, 1, 20_000),
    "windows far apart": tiling.Geometry(8, 1, 1, 16_384, 1, 4096, 1, 2048, 0, 0, 1, 1, 1, 7),
    "taps far apart": tiling.Geometry(4, 1, 1, 8000, 1, 7, 1, 1, 0, 0, 1, 1100, 1, 1400),
    "few cells seen": tiling.Geometry(1, 1, 1, 20_000, 1, 3, 1, 4096, 0, 0, 1, 1, 1, 4),
}


@pytest.mark.parametrize("name", SIZES)
def test_any_size_is_cut_so_that_it_fits(name: str) -> None:
    size = SIZES[name]
    for way in (tiling.forward(size), tiling.dinput(size), tiling.dweight(size)):
        assert way is not None
        assert way.shared(size) <= tiling.ROOM
        assert 32 <= way.threads <= tiling.THREADS
        assert way.threads % 32 == 0


@pytest.mark.parametrize("name", ["lenet's first", "lenet's second"])
def test_no_kernel_of_lenets_leaves_the_gpu_idle(name: str) -> None:
    size = SIZES[name]
    forward, dinput, dweight = (
        tiling.forward(size, (2, 2)),
        tiling.dinput(size),
        tiling.dweight(size),
    )
    assert forward is not None
    assert forward.blocks(size, 256, is_pooled=True) >= 100
    assert dinput.blocks(size, 256) >= 100
    assert dweight.parts(size, 256) * dweight.groups(size) >= 100


def test_windows_that_no_thread_can_take_are_left_to_the_poolings_kernel() -> None:
    size = SIZES["lenet's first"]
    assert tiling.forward(size, (4, 4)) is not None
    assert tiling.forward(size, (5, 4)) is None
