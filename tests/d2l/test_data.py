"""The book's helpers for data: batches, sizes, classes, pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from minicnn import Tensor, d2l, data
from minicnn.d2l.batches import resampling_matrix
from minicnn.data import sample
from tests.d2l.few import SAMPLE


def test_batches_of_fashion_mnist_train_in_a_new_order_each_epoch_and_test_in_order() -> None:
    train, test = data.load(SAMPLE)
    train_iter, test_iter = d2l.load_data_fashion_mnist(256, dataset=SAMPLE)
    assert (len(train_iter), len(test_iter)) == (24, 4)
    first, second = ([y.numpy() for _, y in train_iter] for _ in range(2))
    assert not np.array_equal(first[0], second[0])
    assert sorted(np.concatenate(first)) == sorted(train.labels)
    x, y = next(iter(test_iter))
    np.testing.assert_array_equal(x.numpy(), test.images[:256, None] / np.float32(255))
    np.testing.assert_array_equal(y.numpy(), test.labels[:256])


@pytest.mark.parametrize("resize", [96, (40, 17), (14, 56), 28, 1])
def test_resized_pictures_are_pillows(resize: int | tuple[int, int]) -> None:
    train_iter, test_iter = d2l.load_data_fashion_mnist(30, resize, dataset=SAMPLE)
    height, width = (resize, resize) if isinstance(resize, int) else resize
    x, y = next(iter(test_iter))
    assert x.shape == (30, 1, height, width)
    assert x.dtype == np.float32
    assert next(iter(train_iter))[0].shape == x.shape
    test = data.load(SAMPLE)[1]
    np.testing.assert_array_equal(y.numpy(), test.labels[:30])
    for picture, original in zip(x.numpy(), test.images, strict=False):
        there = Image.fromarray(original).resize((width, height), Image.Resampling.BILINEAR)
        # Pillow rounds to whole grey values twice, after the rows and after the columns
        assert np.abs(picture[0] * 255 - np.asarray(there, np.float32)).max() < 1.01


def test_a_resampling_matrix_in_numbers() -> None:
    doubled = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    np.testing.assert_allclose(resampling_matrix(2, 4), doubled)
    np.testing.assert_allclose(  # halved: the weights reach over two cells to each side
        resampling_matrix(4, 2), np.array([[3, 3, 1, 0], [0, 1, 3, 3]]) / 7, rtol=1e-6
    )


@pytest.mark.parametrize(
    "resize", [np.int64(9), 9.0, np.float32(9), [9, 9], np.array([9, 9]), (np.int8(9), 9.0)]
)
def test_a_size_is_any_whole_number(resize: Any) -> None:
    _, test_iter = d2l.load_data_fashion_mnist(30, resize, dataset=SAMPLE)
    assert next(iter(test_iter))[0].shape == (30, 1, 9, 9)


@pytest.mark.parametrize(
    "resize", [0, (28, 0), (28,), (1, 2, 3), 9.5, np.nan, np.inf, "28", (28, None), True]
)
def test_a_size_that_is_none_is_refused(resize: Any) -> None:
    with pytest.raises(ValueError, match=r"resize is .*wanted a number of at least 1, or two"):
        d2l.load_data_fashion_mnist(8, resize, dataset=SAMPLE)


def test_without_the_whole_set_the_sample_stands_in_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = data.load

    def offline(name: str, root: Any = None) -> Any:
        if name == "fashion-mnist":
            raise data.DatasetNotFoundError("no network")
        return load(name, root)

    monkeypatch.setattr(sample, "load", offline)
    train_iter, _ = d2l.load_data_fashion_mnist(1000)
    assert len(train_iter) == 6
    printed = capsys.readouterr().out
    assert "NOT the published one" in printed
    assert "no network" in printed
    with pytest.raises(data.DatasetNotFoundError):  # asked for by name, nothing stands in
        d2l.load_data_fashion_mnist(1000, dataset="fashion-mnist")
    d2l.load_data_fashion_mnist(1000, dataset=SAMPLE)
    assert capsys.readouterr().out == ""


def test_the_folder_is_the_one_given(tmp_path: Path) -> None:
    with pytest.raises(data.DatasetError, match=r"with the four files of fashion-mnist"):
        d2l.load_data_fashion_mnist(8, root=tmp_path)


def test_classes_are_named_as_in_the_book() -> None:
    names = d2l.get_fashion_mnist_labels(Tensor(np.array([0, 1, 9])))
    assert names == ["t-shirt", "trouser", "ankle boot"]


def test_pictures_in_a_grid(few: data.Dataset) -> None:
    x, y = next(iter(data.DataLoader(few, 5)))
    axes = d2l.show_images(x, 2, 3, titles=d2l.get_fashion_mnist_labels(y), scale=2)
    assert len(axes) == 6
    for k in range(5):
        np.testing.assert_array_equal(axes[k].images[0].get_array(), x.numpy()[k, 0])
        assert axes[k].get_title() == few.classes[few.labels[k]].lower().removesuffix("/top")
    assert not axes[5].images
    assert tuple(axes[0].figure.get_size_inches()) == (6, 4)
    assert len(d2l.show_images(x.reshape(5, 28, 28), 1, 5)) == 5


def test_pictures_or_titles_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="imgs has 7 pictures; wanted at most the 2 x 3 places"):
        d2l.show_images(np.zeros((7, 4, 4)), 2, 3)
    with pytest.raises(ValueError, match="titles has 1 lines; wanted 2"):
        d2l.show_images(np.zeros((2, 4, 4)), 1, 2, titles=["a"])


@pytest.mark.parametrize("labels", [[3, 10], [-1]])
def test_a_label_of_no_class_is_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match=rf"labels are {labels[0]}\.\.{labels[-1]}; wanted 0\.\.9"):
        d2l.get_fashion_mnist_labels(labels)


def test_pictures_in_colours_are_shown_in_colours(rng: np.random.Generator) -> None:
    colours = rng.random((2, 5, 7, 3))
    for imgs in (colours, colours.transpose(0, 3, 1, 2), Tensor(colours.transpose(0, 3, 1, 2))):
        axes = d2l.show_images(imgs, 1, 2)
        np.testing.assert_array_equal(axes[1].images[0].get_array(), colours[1])
    grey = d2l.show_images(colours[..., :1], 1, 2)
    np.testing.assert_array_equal(grey[1].images[0].get_array(), colours[1, :, :, 0])
    with pytest.raises(ValueError, match=r"a picture of shape \(7,\); wanted \(H, W\) or"):
        d2l.show_images(np.zeros((5, 7)), 1, 5)


def test_a_notebook_shows_the_pictures(shown: list[str]) -> None:
    d2l.show_images(np.zeros((2, 4, 4)), 1, 2)
    assert shown == ["display"]
