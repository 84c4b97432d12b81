"""Training from a data set on the device: a step gathers its batch by itself, on the stand-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, data, nn, optim
from minicnn.compiler.gpu.told import Told
from minicnn.device import to_device, to_host
from minicnn.train.batches import Inputs, gathers
from minicnn.train.loop import fit
from tests.gpu.general import general_form


@pytest.fixture(autouse=True)
def general(cupy: Any) -> Iterator[None]:
    with general_form():
        yield


SIZE, IMAGES = 6, 28  # four whole batches and one of four images
COUNTED = (
    "h2d", "d2h", "synchronisations", "allocations", "launches", "cupy_kernels", "graph_launches",
)  # fmt: skip
SCALED: dict[str, Any] = {"normalise": ([0.3, 0.6], [0.2, 0.4])}
OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "momentum": lambda params: optim.SGD(params, 0.1, momentum=0.9, dampening=0.2),
    "adam": lambda params: optim.Adam(params, 0.01),
}


class Given(data.DataLoader):
    """A loader whose batches are copied to a step: what is no plain loader may be anything."""


@pytest.fixture
def dataset() -> data.Dataset:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (IMAGES, 2, 3, 4), np.uint8)
    return data.Dataset(pixels, rng.integers(0, 5, IMAGES), 5)


def small_net() -> Any:
    minicnn.manual_seed(2)
    layers = nn.Flatten(), nn.Linear(24, 7), nn.Tanh(), nn.Dropout(0.3), nn.Linear(7, 5)
    return nn.Sequential(*layers).to("gpu")


def fitted(loader: Any, optimizer: str = "momentum", **how: Any) -> tuple[Any, Any]:
    """The bytes of the parameters, and what was measured, after two epochs."""
    net = small_net()
    options = {"epochs": 2, "quiet": True, "compile": True, **how}
    history = fit(net, loader, optimizer=OPTIMIZERS[optimizer](net.parameters()), **options)
    return [p.numpy().tobytes() for p in net.parameters()], history.curve


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("shuffle", "how"), [(True, {"raw": True}), (False, {}), (True, SCALED)])
def test_gathered_batches_are_those_of_the_loader(
    dataset: data.Dataset, shuffle: bool, how: dict[str, Any], optimizer: str
) -> None:
    ours, theirs = (
        fitted(kind(dataset, SIZE, shuffle, 3, "gpu", **how), optimizer, divide_by=SIZE)
        for kind in (data.DataLoader, Given)
    )
    assert ours == theirs


def test_numbers_are_gathered_as_pixels_are(dataset: data.Dataset) -> None:
    numbers = (dataset.images / 255).astype(np.float32)
    inputs = Inputs(numbers, dataset.labels, 5)
    loaders = (data.DataLoader(part, SIZE, True, 3, "gpu", raw=True) for part in (inputs, dataset))
    ours, theirs = map(fitted, loaders)
    assert ours == theirs


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_is_one_launch(cupy: Any, dataset: data.Dataset, optimizer: str) -> None:
    seen: list[dict[str, int]] = []

    class Count(minicnn.Callback):
        def on_batch(self, training: minicnn.Training) -> None:
            seen.append({k: n for k in COUNTED if (n := getattr(cupy.counters, k))})
            cupy.reset_counters()

    loader = data.DataLoader(dataset, SIZE, True, 3, "gpu", raw=True)
    fitted(loader, optimizer, epochs=4, callbacks=[Count()])
    third, fourth = seen[10:15], seen[15:20]
    # each batch is a point of the curve here, for which the two means are copied on the device
    one = {"graph_launches": 1, "cupy_kernels": 2, "allocations": 2}
    assert third[1:4] == [one] * 3
    assert third[4] == one | read(10)  # five points at the epoch's end
    # the whole epoch's means, which then become 0; the order, and where it lies
    sent = {"h2d": 2, "cupy_kernels": 4, "allocations": 3}
    assert fourth[0] == one | read(2) | sent


def read(numbers: int) -> dict[str, int]:
    return {"d2h": numbers, "synchronisations": numbers}


def test_a_step_of_ones_own_in_between_changes_nothing_of_the_order(dataset: data.Dataset) -> None:
    def run(also: bool) -> list[float]:
        net = small_net().eval()
        step: Any = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.0))
        x, y = (to_device(a, "gpu") for a in (dataset.images, dataset.labels))
        order = to_device(np.random.default_rng(1).permutation(IMAGES), "gpu")
        step.read_from(x, y, order, SIZE, batch=1)
        losses = []
        for images in (SIZE, SIZE, SIZE, 4):
            losses.append(step.take(images)[0].item())
            if also:
                step(Tensor(x[:3]), Tensor(y[:3]))
        return losses

    assert run(True) == run(False)
    assert len(set(run(False))) == 4


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_that_was_not_launched_is_taken_again(
    dataset: data.Dataset, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    def run(interrupts: bool) -> tuple[list[float], list[bytes], Any]:
        net = small_net().eval()
        ours = OPTIMIZERS[optimizer](net.parameters())
        step: Any = minicnn.compile(net, nn.CrossEntropyLoss(), ours)
        step.read_from(*on_gpu(dataset), None, SIZE)
        losses = []
        for _ in range(4):
            if interrupts:
                with monkeypatch.context() as patch:
                    patch.setattr("minicnn.compiler.gpu.engine.GpuEngine.run", interrupted)
                    with pytest.raises(KeyboardInterrupt):
                        step.take(SIZE)
            losses.append(step.take(SIZE)[0].item())
        return losses, [p.numpy().tobytes() for p in net.parameters()], getattr(ours, "steps", None)

    assert run(True) == run(False)


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def test_the_batch_is_what_callbacks_see(dataset: data.Dataset) -> None:
    seen: list[Any] = []

    class Look(minicnn.Callback):
        def on_batch(self, training: minicnn.Training) -> None:
            seen.append((training.x.numpy(), training.y.numpy()))

    loader = data.DataLoader(dataset, SIZE, True, 3, "gpu", raw=True)
    fitted(loader, epochs=1, callbacks=[Look()])
    loader.epoch = 0
    for (x, y), (pixels, labels) in zip(seen, loader, strict=True):
        np.testing.assert_array_equal(x, pixels.numpy() / np.float32(255))
        np.testing.assert_array_equal(y, labels.numpy())


def test_what_is_sent_half_is_sent_again(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(to_device(np.zeros(2), "gpu"))
    told.tell((1.0, 2.0))
    with monkeypatch.context() as patch:
        patch.setattr(cupy.cuda, "get_current_stream", interrupted)
        with pytest.raises(KeyboardInterrupt):
            told.tell((3.0, 4.0))
    told.tell((1.0, 2.0))  # by now the device may have the others
    assert to_host(told.array).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(("order", "left"), [(None, 4), (5, 0), (30, 6), (99, 28)])
def test_no_more_is_taken_than_is_left(dataset: data.Dataset, order: int | None, left: int) -> None:
    step = a_step()
    rows = None if order is None else to_device(np.arange(order) % IMAGES, "gpu")
    step.read_from(*on_gpu(dataset), rows, SIZE, batch=4)
    for images in (left + 1, 100, -1):
        with pytest.raises(
            ValueError, match=f"images is {images}; batch 4 of 6 rows each has {left} left"
        ):
            step.take(images)
    if left:
        step.take(left)
        assert step.means.read()["loss"] > 0


def a_step() -> Any:
    net = small_net()
    return minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1))


def on_gpu(dataset: data.Dataset) -> tuple[Any, Any]:
    return to_device(dataset.images, "gpu"), to_device(dataset.labels, "gpu")


def short(a: Any) -> Any:
    return a.astype("int32")


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"labels": short}, TypeError, "labels is int32; wanted int64"),
        ({"order": short}, TypeError, "order is int32; wanted int64"),
        ({"labels": lambda a: a[::2]}, ValueError, "labels is not C-contiguous"),
        ({"order": lambda a: a[::2]}, ValueError, "order is not C-contiguous"),
        ({"pictures": lambda a: a.transpose(0, 1, 3, 2)}, ValueError, "pictures is not C-contig"),
        ({"pictures": lambda a: a[:9]}, ValueError, "28 labels, 9 pictures; wanted one each"),
        ({"labels": lambda a: a[:9]}, ValueError, "9 labels, 28 pictures; wanted one each"),
        ({"labels": lambda a: a.reshape(28, 1)}, ValueError, r"labels has shape \(28, 1\)"),
        ({"order": lambda a: a.reshape(4, 7)}, ValueError, r"order has shape \(4, 7\)"),
        ({"labels": to_host}, TypeError, "labels is on cpu; wanted gpu:0"),
        ({"order": to_host}, TypeError, "order is on cpu; wanted gpu:0"),
        ({"pictures": lambda a: to_device(a, "gpu:1")}, TypeError, "pictures is on gpu:1"),
        ({"size": lambda a: -6}, ValueError, "size is -6, batch is 1; wanted 0 or more"),
        ({"batch": lambda a: -1}, ValueError, "size is 6, batch is -1; wanted 0 or more"),
    ],
)
def test_rows_that_would_be_read_wrongly_are_refused(
    dataset: data.Dataset, change: dict[str, Any], error: type[Exception], says: str
) -> None:
    pictures, labels = on_gpu(dataset)
    rows: dict[str, Any] = {
        "pictures": pictures, "labels": labels,
        "order": to_device(np.arange(IMAGES), "gpu"), "size": SIZE, "batch": 1,
    }  # fmt: skip
    with pytest.raises(error, match=f"compile: read_from: {says}"):
        a_step().read_from(**rows | {name: change[name](rows[name]) for name in change})


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda a: a.astype("float64"), ValueError, r"float64 \(2, 2, 1, 1\), pictures are uint8"),
        (lambda a: a[:1], ValueError, r"float32 \(1, 2, 1, 1\), .*; wanted float32 \(2, 2, 1, 1\)"),
        (lambda a: a[:, ::-1], ValueError, "not C-contiguous"),
        (to_host, TypeError, "on cpu; wanted gpu:0"),
    ],
)
def test_a_scale_that_would_be_read_wrongly_is_refused(
    dataset: data.Dataset, change: Callable[[Any], Any], error: type[Exception], says: str
) -> None:
    rows = *on_gpu(dataset), None, SIZE
    scale = data.DataLoader(dataset, device="gpu", **SCALED).scale
    with pytest.raises(error, match=f"compile: read_from: scale is {says}"):
        a_step().read_from(*rows, scale=change(scale))


def test_only_rows_on_the_steps_own_device_are_gathered(dataset: data.Dataset) -> None:
    net = small_net()
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1))
    raw = data.DataLoader(dataset, SIZE, device="gpu", raw=True)
    as_numbers = data.DataLoader(dataset, SIZE, device="gpu")  # float32
    assert gathers(step, raw)
    assert gathers(step, as_numbers)
    for loader in (
        data.DataLoader(dataset, SIZE, device="gpu:1", raw=True),
        data.DataLoader(dataset, SIZE, raw=True),
        Given(dataset, SIZE, device="gpu", raw=True),
    ):
        assert not gathers(step, loader)
    shared = data.DataLoader(dataset, SIZE, device="gpu", raw=True)
    shared.share = lambda rows: (0, rows // 2)
    assert not gathers(step, shared)
    net.to("float64")
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1))
    assert gathers(step, raw)
    assert not gathers(step, as_numbers)
    with pytest.raises(RuntimeError, match="take is called after read_from, not before"):
        step.take(SIZE)  # type: ignore[attr-defined]
