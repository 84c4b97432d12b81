"""minicnn.data.Dataset: pictures and labels, and what does not fit."""

import re

import numpy as np
import pytest
from PIL import Image

from minicnn import Tensor
from minicnn.data import Dataset


def dataset(n: int = 10) -> Dataset:
    images = np.arange(n * 6, dtype=np.uint8).reshape(n, 2, 3)
    return Dataset(images, np.arange(n) % 3, ("a", "b", "c"), "letters")


def test_dataset_parts():
    letters = dataset()
    part = letters[2:5]
    assert len(part) == 3
    np.testing.assert_array_equal(part.images, letters.images[2:5])
    assert part.labels.tolist() == [2, 0, 1]
    assert np.shares_memory(part.images, letters.images)
    assert letters[np.array([9, 0])].labels.tolist() == [0, 0]
    assert letters[letters.labels == 1].labels.tolist() == [1, 1, 1]
    assert (part.classes, part.name) == (("a", "b", "c"), "letters")
    assert repr(part) == "<letters: 3 images of 2 x 3, 3 classes>"
    with pytest.raises(TypeError, match="index is 3; wanted a slice or an array"):
        letters[3]


def test_a_dataset_takes_what_numpy_makes_an_array_of():
    pixels = np.arange(5 * 6 * 4, dtype=np.uint8).reshape(5, 6, 4)
    labels = [0, 1, 2, 0, 1]
    same = [
        Dataset(pixels, labels, ("0", "1", "2")),
        Dataset(pixels.astype(np.int32), np.array(labels, np.uint8), ["0", "1", "2"]),
        Dataset(pixels.tolist(), tuple(labels), 3),
        Dataset([Image.fromarray(picture) for picture in pixels], labels, len(set(labels))),
        Dataset(Tensor(pixels), Tensor(np.array(labels)), 3),
        Dataset([Tensor(picture) for picture in pixels], labels, 3),
    ]
    assert same[0].images is pixels
    for made in same:
        assert (made.images.dtype.name, made.labels.dtype.name) == ("uint8", "int64")
        np.testing.assert_array_equal(made.images, pixels)
        assert made.labels.tolist() == labels
        assert made.classes == ("0", "1", "2")


@pytest.mark.parity
def test_a_dataset_takes_pytorchs_tensors():
    torch = pytest.importorskip("torch")
    pixels = torch.arange(5 * 6 * 4, dtype=torch.uint8).reshape(5, 6, 4)
    made = Dataset(pixels, torch.tensor([0, 1, 2, 0, 1]), 3)
    np.testing.assert_array_equal(made.images, pixels.numpy())
    assert made[torch.tensor([False, True, True, False, False])].labels.tolist() == [1, 2]
    with pytest.raises(
        TypeError, match=r"images are float32 0\.\.0\.4667; wanted uint8: \(images \*"
    ):
        Dataset(pixels / 255, [0, 1, 2, 0, 1], 3)


def test_a_dataset_is_indexed_by_anything_with_one_axis():
    letters = dataset()
    for index in ([9, 0], np.array([9, 0]), Tensor(np.array([9, 0])), range(9, -1, -9)):
        np.testing.assert_array_equal(letters[index].images, letters.images[[9, 0]])
    assert len(letters[[]]) == 0
    for wrong in (np.int64(3), (0, 1), 2.0, None, "a"):
        with pytest.raises(TypeError, match="wanted a slice or an array"):
            letters[wrong]


def test_a_dataset_is_not_a_loader():
    with pytest.raises(TypeError, match=r"wanted data\.DataLoader\(dataset, batch_size\)"):
        next(iter(dataset()))


@pytest.mark.parametrize(
    ("images", "labels", "error", "message"),
    [
        (np.zeros((2, 4), "u1"), [0, 1], ValueError, r"images have shape \(2, 4\)"),
        (np.zeros((2, 784), "u1"), [0, 1], ValueError, r": images\.reshape\(-1, 28, 28\)$"),
        (np.zeros((2, 32, 31, 3), "u1"), [0, 1], ValueError,
         r"shape \(2, 32, 31, 3\), channels last; .*: images\.transpose\(0, 3, 1, 2\)$"),
        ([np.zeros((4, 4)), np.zeros((4, 5))], [0, 1], ValueError, "images .* different shapes"),
        (np.full((2, 4, 4), 256), [0, 1], ValueError, r"images are 256\.\.256; wanted 0\.\.255"),
        (np.full((2, 4, 4), -1), [0, 1], ValueError, r"images are -1\.\.-1; wanted 0\.\.255"),
        (np.full((2, 4, 4), None), [0, 1], TypeError, "images are object; wanted"),
        (np.full((2, 4, 4), 0.5), [0, 1], TypeError,
         r'images are float64 0\.5\.\.0\.5; wanted uint8: \(images \* 255\)\.round\(\)'),
        (np.full((2, 4, 4), 2.0), [0, 1], TypeError,
         r'uint8: images\.round\(\)\.astype\("uint8"\)$'),
        (np.full((2, 4, 4), -1.0), [0, 1], TypeError, "before anything is subtracted"),
        (np.full((2, 4, 4), np.nan), [0, 1], TypeError, r"float64 nan\.\.nan; wanted uint8"),
        (np.ones((2, 4, 4), bool), [0, 1], TypeError, r'images\.astype\("uint8"\) \* 255$'),
        (np.zeros((2, 4, 4), "u1"), [0.0, 1.0], TypeError,
         r'labels are float64; wanted integers: labels\.astype\("int64"\)$'),
        (np.zeros((2, 4, 4), "u1"), ["a", "b"], TypeError, r"labels are <U1; .*numpy\.unique"),
        (np.zeros((2, 4, 4), "u1"), [0], ValueError, r"labels have shape \(1,\); wanted \(2,\)"),
        (np.zeros((2, 4, 4), "u1"), np.eye(2), ValueError, r"one an image: labels\.argmax\(1\)$"),
        (np.zeros((2, 4, 4), "u1"), [[0], [1]], ValueError, r"one an image: labels\[:, 0\]$"),
        (np.zeros((2, 4, 4), "u1"), [0, 2], ValueError, r"labels are 0\.\.2; wanted 0\.\.1"),
        (np.zeros((2, 4, 4), "u1"), [1, 2], ValueError, r"one of 2 classes: labels - 1$"),
        (np.zeros((2, 4, 4), "u1"), [-1, 1], ValueError, r"labels are -1\.\.1; wanted 0\.\.1"),
        (np.zeros(2, "u1"), [0, 1], ValueError, r"shape \(2,\); .*\(N, C, H, W\)$"),
        (np.zeros((2, 5), "u1"), [0, 1], ValueError, r"shape \(2, 5\); .*\(N, C, H, W\)$"),
        (np.zeros((0, 4, 4)), [], TypeError, r"float64 0\.\.0; wanted uint8: \(images \* 255\)"),
        (np.ones((2, 4, 4)), [0, 1], TypeError, r"float64 1\.\.1; wanted uint8: \(images \* 255\)"),
        (np.arange(0.0, 256, 255).reshape(2, 1, 1), [0, 1], TypeError,
         r'float64 0\.\.255; wanted uint8: images\.round\(\)\.astype\("uint8"\)$'),
        (np.full((2, 4, 4), 256.0), [0, 1], TypeError, "256; .* before anything is subtracted"),
        (np.zeros((2, 4, 4), "u1"), np.eye(3, dtype=int), ValueError, "one an image$"),
        (np.zeros((2, 4, 4), "u1"), np.zeros((2, 1, 1), int), ValueError, "one an image$"),
        (np.zeros((2, 4, 4), "u1"), [1, 3], ValueError, "one of 2 classes$"),
    ],
)  # fmt: skip
def test_dataset_refuses_what_does_not_fit(images, labels, error, message):
    with pytest.raises(error, match=message):
        Dataset(images, labels, ("a", "b"))


@pytest.mark.parametrize("classes", [None, 2.0, [["a"], ["b"]]])
def test_classes_are_names_or_a_number(classes):
    with pytest.raises(
        TypeError, match=f"classes is {re.escape(str(classes))}; wanted names, or a number"
    ):
        Dataset(np.zeros((2, 4, 4), "u1"), [0, 1], classes)


def test_few_channels_in_the_last_place_are_a_narrow_picture():
    assert Dataset(np.zeros((2, 3, 8, 4), "u1"), [0, 1], 2).images.shape == (2, 3, 8, 4)
    assert Dataset(np.zeros((2, 4, 3, 3), "u1"), [0, 1], 2).images.shape == (2, 4, 3, 3)
    assert Dataset(np.zeros((2, 4, 5, 3), "u1"), [0, 1], 2).images.shape == (2, 4, 5, 3)
    with pytest.raises(ValueError, match=r"shape \(2, 5, 6, 4\), channels last"):
        Dataset(np.zeros((2, 5, 6, 4), "u1"), [0, 1], 2)


def test_a_number_of_classes_is_bounded():
    with pytest.raises(ValueError, match=r"^classes is 1000001; wanted at most 1000000$"):
        Dataset(np.zeros((2, 3, 4), np.uint8), [0, 1], 10**6 + 1)


def test_what_fits_is_not_copied():
    images, labels = np.full((2, 3, 4), 255), np.array([0, 1])
    made = Dataset(images, labels, 10**6)
    assert (made.images == 255).all()
    assert np.shares_memory(made.labels, labels)
    assert len(made.classes) == 10**6


def test_a_class_name_stands_once():
    with pytest.raises(ValueError, match="classes has 'b' twice; wanted unlike names"):
        Dataset(np.zeros((2, 3, 4), np.uint8), [0, 2], ["a", "b", "b"])
