"""``data.split_off``: the last images of each class, in proportion."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import data


def numbered(labels: list[int]) -> data.Dataset:
    """Images whose one pixel is their number."""
    return data.Dataset(np.arange(len(labels), dtype=np.uint8)[:, None, None], labels, 3, "numbers")


def test_the_last_of_each_class_in_proportion_whatever_the_order() -> None:
    in_order = numbered([0] * 8 + [1] * 4 + [2] * 2)
    left, off = data.split_off(in_order, 7)
    assert off.images.ravel().tolist() == [4, 5, 6, 7, 10, 11, 13]
    assert left.images.ravel().tolist() == [0, 1, 2, 3, 8, 9, 12]
    mixed = in_order[[13, 0, 8, 1, 2, 9, 3, 4, 5, 10, 6, 12, 11, 7]]
    left, off = data.split_off(mixed, 7)
    assert np.bincount(off.labels).tolist() == [4, 2, 1]
    assert off.images.ravel().tolist() == [4, 5, 10, 6, 12, 11, 7]  # in their order
    assert (left.classes, off.name) == (mixed.classes, "numbers")


def test_of_classes_of_other_sizes_the_largest_gives_first() -> None:
    few = numbered([0, 1, 1, 1])
    assert data.split_off(few, 1)[1].images.ravel().tolist() == [3]
    assert data.split_off(few, 3)[1].images.ravel().tolist() == [0, 2, 3]


def test_of_equal_places_the_first_image_goes_first() -> None:
    images = np.arange(120, dtype=np.uint8)[:, None, None]
    _, off = data.split_off(data.Dataset(images, np.tile(np.arange(40), 3), 40), 20)
    assert off.images.ravel().tolist() == [*range(80, 100)]
    with pytest.raises(TypeError, match=r"^number is 1\.5, of type float; wanted an integer$"):
        data.split_off(off, 1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [1, 3, 13])
def test_every_image_is_in_one_of_the_two(number: int) -> None:
    left, off = data.split_off(numbered([2, 0, 1, 1, 0, 0, 2, 1, 1, 1, 0, 1, 1, 2]), number)
    assert len(off) == number
    assert sorted([*left.images.ravel(), *off.images.ravel()]) == [*range(14)]


@pytest.mark.parametrize("number", [-1, 0, 14, 15])
def test_some_have_to_stay_and_some_to_go(number: int) -> None:
    with pytest.raises(
        ValueError, match=rf"^number is {number}; wanted 1 to 13, so that some stay$"
    ):
        data.split_off(numbered([0] * 14), number)


def test_a_digest_knows_pixels_labels_and_shape() -> None:
    same, images = numbered([0, 1, 2, 1]), np.arange(4, dtype=np.uint8)
    assert numbered([0, 1, 2, 1]).digest == same.digest == same[:].digest
    others = [
        numbered([0, 1, 2, 2]),
        same[[1, 0, 2, 3]],
        data.Dataset(images.reshape(4, 1, 1, 1), same.labels, 3),
        data.Dataset(images.reshape(4, 1, 1) + np.uint8(1), same.labels, 3),
    ]
    assert len({same.digest, *(other.digest for other in others)}) == 5
