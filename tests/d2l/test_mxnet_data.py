"""mxnet.gluon.data, as in MXNet 1.9.1."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from minicnn import data
from tests.d2l.few import SAMPLE
from tests.d2l.mxnet_here import mx, mx_np

__all__ = ["mx", "mx_np"]


@pytest.fixture
def pictures(mx: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Fashion-MNIST's test pictures: those of the sample."""
    facade = importlib.import_module("minicnn.d2l.facades.gluon.data")
    monkeypatch.setattr(facade.FashionMNIST, "name", SAMPLE)
    return mx.gluon.data.vision.FashionMNIST(train=False)


def test_pictures_are_bytes_and_batches_are_tensors(mx: Any, pictures: Any) -> None:
    expected = data.load(SAMPLE)[1]
    X, y = pictures[2]
    assert (X.shape, X.dtype, type(y), len(pictures)) == ((28, 28, 1), np.uint8, np.int32, 1000)
    assert pictures[1:4][0].shape == (3, 28, 28, 1)
    to_tensor = mx.gluon.data.vision.transforms.ToTensor()
    transformed = pictures.transform_first(to_tensor)
    np.testing.assert_array_equal(transformed[2][0].asnumpy()[0] * 255, expected.images[2])
    loader = mx.gluon.data.DataLoader(transformed, 300, num_workers=4)
    batches = list(loader)
    assert [len(y) for _, y in batches] == [300, 300, 300, 100]
    assert len(loader) == 4
    X, y = batches[3]
    assert (X.shape, X.dtype, y.dtype) == ((100, 1, 28, 28), np.float32, np.int32)
    np.testing.assert_array_equal(y.asnumpy(), expected.labels[900:])
    np.testing.assert_allclose(X.asnumpy()[:, 0] * 255, expected.images[900:], rtol=1e-6)
    again = pictures.transform(lambda x, y: (x.reshape((784,)), y + 1))
    X, y = next(iter(mx.gluon.data.DataLoader(again, 3)))
    assert X.shape == (3, 784)
    np.testing.assert_array_equal(y.asnumpy(), expected.labels[:3] + 1)


def test_an_order_of_its_own_each_epoch(mx: Any) -> None:
    nd = mx.nd
    dataset = mx.gluon.data.ArrayDataset(nd.arange(7).reshape((7, 1)), nd.arange(7))
    loader = mx.gluon.data.DataLoader(dataset, 3, shuffle=True, last_batch="discard")
    assert len(loader) == 2
    epochs = [np.concatenate([y.asnumpy() for _, y in loader]) for _ in range(2)]
    assert all(len(set(epoch)) == 6 for epoch in epochs)
    assert list(epochs[0]) != list(epochs[1])
    X, y = next(iter(loader))
    assert (X.shape, y.shape) == ((3, 1), (3,))
    np.testing.assert_array_equal(X.asnumpy()[:, 0], y.asnumpy())
    with pytest.raises(ValueError, match=r"arrays have lengths \[2, 3\]; wanted one length"):
        mx.gluon.data.ArrayDataset(nd.ones((2,)), nd.ones((3,)))


def test_transforms_are_composed(mx: Any, pictures: Any) -> None:
    transforms = mx.gluon.data.vision.transforms
    both = transforms.Compose([transforms.Resize((20, 14)), transforms.ToTensor()])
    assert both(pictures[0][0]).shape == (1, 14, 20)
    darker = transforms.Compose([transforms.ToTensor(), lambda x: x / 2])
    X, _ = next(iter(mx.gluon.data.DataLoader(pictures.transform_first(darker), 4)))
    assert 0.4 < X.max().asscalar() <= 0.5
    plain = mx.gluon.data.DataLoader([1.5, 2.5, 3.5], 2)
    assert [batch.asnumpy().tolist() for batch in plain] == [[1.5, 2.5], [3.5]]


def test_the_books_batches_of_arrays(mx_np: Any) -> None:
    first, second = importlib.import_module("d2lzh"), importlib.import_module("d2l.mxnet")
    X, y = second.synthetic_data(second.tensor([2, -3.4]), 4.2, 10)
    batches = list(second.load_array((X, y), 4, is_train=False))
    assert [(a.shape, b.shape) for a, b in batches] == [((4, 2), (4, 1))] * 2 + [((2, 2), (2, 1))]
    np.testing.assert_array_equal(batches[2][1].asnumpy(), y.asnumpy()[8:])
    rows = mx_np.nd.arange(7)
    seen = [b.asnumpy() for a, b in first.data_iter(3, rows, rows * 2)]
    assert [len(part) for part in seen] == [3, 3, 1]
    assert sorted(np.concatenate(seen)) == [0, 2, 4, 6, 8, 10, 12]
