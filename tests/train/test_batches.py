"""What ``fit`` and ``evaluate`` take for batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import data, models, nn, optim
from minicnn.train.batches import batches_of, gathers


def trained(train: Any, test: Any = None, dtype: Any = np.float32) -> tuple[nn.Module, Any]:
    """A net and its history after two epochs, from the same start each time."""
    minicnn.manual_seed(3)
    net = models.mlp(hidden=(5,)).to(dtype)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    return net, minicnn.fit(net, train, test, optimizer=optimizer, epochs=2, quiet=True)


def assert_equal_weights(one: nn.Module, other: nn.Module) -> None:
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_a_data_set_and_pairs_are_cut_into_shuffled_batches_of_256(few: data.Dataset) -> None:
    held = few[200:]
    net, history = trained(data.DataLoader(few, 256, shuffle=True), data.DataLoader(held, 256))
    numbers = few.images.astype(np.int64)
    for train in (few, (few.images, few.labels), (numbers[:, None], few.labels.tolist())):
        same, again = trained(train, (held.images, held.labels))
        assert_equal_weights(net, same)
        assert [e["test_acc"] for e in again.epochs] == [e["test_acc"] for e in history.epochs]
    share = minicnn.evaluate(net, (few.images, few.labels))
    assert share == minicnn.evaluate(net, few) == minicnn.evaluate(net, data.DataLoader(few, 71))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_point_images_are_taken_as_they_are_in_the_dtype_of_the_net(
    few: data.Dataset, dtype: Any
) -> None:
    centred = (few.images - 72.0) / 90.0  # float64
    net, history = trained((centred, few.labels), dtype=dtype)
    loader = batches_of("", (centred, few.labels), net, shuffle=False)
    (x, y), (rest, _) = loader
    assert (x.shape, rest.shape, x.dtype) == ((256, 1, 28, 28), (44, 1, 28, 28), dtype)
    np.testing.assert_array_equal(x.data, centred[:256, None].astype(dtype))
    np.testing.assert_array_equal(y.data, few.labels[:256])
    assert history.epochs[1]["loss"] < history.epochs[0]["loss"] < 3


def test_images_of_the_nets_dtype_are_not_copied() -> None:
    images = np.ones((3, 1, 2, 2), np.float32)
    loader = batches_of("", (images, [0, 1, 0]), models.mlp(hidden=(5,)), shuffle=False)
    assert np.shares_memory(loader.images, images)


@pytest.mark.usefixtures("compiled_kernels")
def test_a_step_gathers_no_batches_that_ranks_share(few: data.Dataset) -> None:
    net, loader = models.mlp(hidden=(5,)), data.DataLoader(few, 64, raw=True)
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.1))
    step.gathers = True  # as on a GPU
    assert gathers(step, loader)
    loader.share = lambda size: (0, size)
    assert not gathers(step, loader)


def test_rows_of_numbers_are_an_input_too() -> None:
    points = np.random.default_rng(0).normal(size=(90, 3))
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    labels = (points[:, 0] > points[:, 2]).astype(int)
    optimizer = optim.SGD(net.parameters(), lr=0.5)
    minicnn.fit(net, (points, labels), optimizer=optimizer, epochs=80, quiet=True)
    assert minicnn.evaluate(net, (points, labels)) > 0.9


@pytest.mark.parametrize(
    ("labels", "error", "told"),
    [
        ([0, 1], ValueError, r"^labels have shape \(2,\); wanted \(3,\)"),
        ([0.0, 1.0, 1.0], TypeError, "^labels are float64; wanted integers"),
        (["a", "b", "b"], TypeError, "numpy.unique"),
        ([0, -1, 2], ValueError, r"^labels are -1\.\.2; wanted 0\.\.2"),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_labels_are_checked(labels: Any, error: type[Exception], told: str, dtype: Any) -> None:
    net = models.mlp(hidden=(3,))
    with pytest.raises(error, match=told):
        minicnn.evaluate(net, (np.ones((3, 28, 28), dtype), labels))
