"""Training from a data set on the device: a step gathers its batch by itself, on the stand-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, data, nn, optim
from minicnn.device import to_device
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
@pytest.mark.parametrize("shuffle", [True, False])
def test_gathered_batches_are_those_of_the_loader(
    dataset: data.Dataset, shuffle: bool, optimizer: str
) -> None:
    ours, theirs = (
        fitted(kind(dataset, SIZE, shuffle, 3, "gpu", raw=True), optimizer, divide_by=SIZE)
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


def test_a_step_that_was_not_launched_is_taken_again(
    dataset: data.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = small_net().eval()
    step: Any = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.0))
    step.read_from(*(to_device(a, "gpu") for a in (dataset.images, dataset.labels)), None, SIZE)
    expected = [step.take(SIZE)[0].item() for _ in range(4)]
    step.read_from(*(to_device(a, "gpu") for a in (dataset.images, dataset.labels)), None, SIZE)
    found = []
    for _ in range(4):
        with monkeypatch.context() as patch:
            patch.setattr("minicnn.compiler.gpu.engine.GpuEngine.run", interrupted)
            with pytest.raises(KeyboardInterrupt):
                step.take(SIZE)
        found.append(step.take(SIZE)[0].item())
    assert found == expected


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


def test_only_rows_on_the_steps_own_device_are_gathered(dataset: data.Dataset) -> None:
    net = small_net()
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1))
    assert gathers(step, data.DataLoader(dataset, SIZE, device="gpu", raw=True))
    for loader in (
        data.DataLoader(dataset, SIZE, device="gpu:1", raw=True),
        data.DataLoader(dataset, SIZE, raw=True),
        data.DataLoader(dataset, SIZE, device="gpu"),
        Given(dataset, SIZE, device="gpu", raw=True),
    ):
        assert not gathers(step, loader)
    with pytest.raises(RuntimeError, match="take is called after read_from, not before"):
        step.take(SIZE)  # type: ignore[attr-defined]
