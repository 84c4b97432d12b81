"""minicnn.data.DataLoader: every image once an epoch, in an order that the seed gives."""

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.data import DataLoader, Dataset
from minicnn.data.normalising import mean_and_std

N, H, W = 103, 4, 5


@pytest.fixture
def numbered() -> Dataset:
    """Image i has the label i, and its first pixel is i."""
    images = np.random.default_rng(0).integers(0, 256, (N, H, W), dtype=np.uint8)
    images[:, 0, 0] = np.arange(N)
    return Dataset(images, np.arange(N), tuple(map(str, range(N))))


def epoch(loader: DataLoader) -> list[int]:
    return [int(label) for _, y in loader for label in y.numpy()]


def test_batches_in_order(numbered):
    loader = DataLoader(numbered, 25)
    batches = [(x.numpy(), y.numpy()) for x, y in loader]
    assert len(loader) == len(batches) == 5
    assert [x.shape for x, _ in batches] == [(25, 1, H, W)] * 4 + [(3, 1, H, W)]
    assert [y.shape for _, y in batches] == [(25,)] * 4 + [(3,)]
    assert {(x.dtype.name, y.dtype.name) for x, y in batches} == {("float32", "int64")}
    pixels = np.concatenate([x for x, _ in batches])
    np.testing.assert_array_equal(pixels[:, 0], numbered.images.astype(np.float32) / 255)
    assert (pixels.min(), pixels.max()) == (0, 1)
    assert epoch(loader) == list(range(N))


@pytest.mark.parametrize(("size", "batches"), [(1, N), (N - 1, 2), (N, 1), (N + 1, 1)])
def test_batch_sizes(numbered, size, batches):
    loader = DataLoader(numbered, size, shuffle=True)
    assert len(loader) == sum(1 for _ in loader) == batches
    assert sorted(epoch(loader)) == list(range(N))


def test_shuffled_images_keep_their_labels(numbered):
    for x, y in DataLoader(numbered, 20, shuffle=True, seed=3):
        expected = numbered.images[y.numpy()][:, None].astype(np.float32) / 255
        np.testing.assert_array_equal(x.numpy(), expected)


def test_seeded_orders(numbered):
    first, second = (DataLoader(numbered, 20, shuffle=True, seed=3) for _ in range(2))
    orders = [epoch(first) for _ in range(3)]
    assert all(sorted(order) == list(range(N)) for order in orders)
    assert len(set(map(tuple, orders))) == 3
    minicnn.manual_seed(0)  # changes nothing: the loader has its own seed
    assert [epoch(second) for _ in range(3)] == orders
    assert epoch(DataLoader(numbered, 20, shuffle=True, seed=4)) != orders[0]


def test_the_order_that_a_seed_gives_stays_the_same_from_version_to_version(numbered):
    """Whoever repeats a published run needs it; a NumPy that shuffles differently shows here."""
    seven = Dataset(numbered.images[:7], numbered.labels[:7], numbered.classes)
    loader = DataLoader(seven, 3, shuffle=True, seed=5)
    assert [epoch(loader), epoch(loader)] == [[1, 4, 2, 3, 6, 5, 0], [4, 2, 0, 6, 5, 3, 1]]


def test_order_does_not_depend_on_the_batch_size(numbered):
    orders = [epoch(DataLoader(numbered, size, shuffle=True, seed=3)) for size in (1, 20, N)]
    assert orders[0] == orders[1] == orders[2]


def test_epoch_can_be_set_to_resume(numbered):
    loader = DataLoader(numbered, 20, shuffle=True, seed=3)
    orders = [epoch(loader) for _ in range(3)]
    assert loader.epoch == 3
    resumed = DataLoader(numbered, 20, shuffle=True, seed=3)
    resumed.epoch = 2
    assert epoch(resumed) == orders[2]


def test_without_a_seed_manual_seed_gives_the_order(numbered):
    loader = DataLoader(numbered, 20, shuffle=True)
    minicnn.manual_seed(5)
    orders = [epoch(loader), epoch(loader)]
    assert orders[0] != orders[1]
    assert epoch(loader) not in orders
    minicnn.manual_seed(5)
    assert [epoch(loader), epoch(loader)] == orders


def test_two_iterators_do_not_disturb_each_other(numbered):
    one, two = (DataLoader(numbered, 20, shuffle=True, seed=3) for _ in range(2))
    expected = [epoch(one), epoch(one)]
    pair = list(zip(iter(two), iter(two), strict=True))
    orders = [[int(label) for batch in pair for label in batch[i][1].numpy()] for i in (0, 1)]
    assert orders == expected


@pytest.mark.parametrize("shuffle", [False, True])
def test_raw_gives_the_bytes(numbered, shuffle):
    for x, y in DataLoader(numbered, 20, shuffle=shuffle, raw=True):
        assert x.numpy().dtype == np.uint8
        np.testing.assert_array_equal(x.numpy()[:, 0], numbered.images[y.numpy()])


def test_the_images_are_not_copied(numbered):
    loader = DataLoader(numbered, 20)
    assert np.shares_memory(loader.images, numbered.images)
    x, y = next(iter(DataLoader(numbered, 20, raw=True)))
    assert np.shares_memory(x.data, numbered.images)
    assert np.shares_memory(y.data, numbered.labels)


def test_numpys_arrays_are_cut_without_the_chosen_kernels(numbered, monkeypatch):
    monkeypatch.setattr("minicnn.kernels.of", None)  # which may load Numba
    ((x, _),) = DataLoader(numbered, 200)
    assert len(x) == len(numbered)


def test_a_loader_knows_its_set_and_the_sizes_of_its_batches(numbered):
    loader = DataLoader(numbered, 40, seed=0)
    assert loader.dataset is numbered
    assert [loader.images_in(batch) for batch in range(3)] == [40, 40, 23]
    loader.share = lambda size: (1, size)
    assert [y.tolist()[0] for _, y in loader] == [1, 41, 81]


def test_raw_batches_lie_in_memory_of_their_own(numbered):
    batches = list(DataLoader(numbered, 20, shuffle=True, seed=3, raw=True))
    labels = [label for _, y in batches for label in y.tolist()]
    assert sorted(labels) == list(range(103))


def test_elsewhere_what_is_picked_lies_in_memory_that_is_kept_for_its_size(numbered, monkeypatch):
    monkeypatch.setattr("minicnn.data.loader.is_host", lambda array: False)  # as on a GPU
    loader, images = DataLoader(numbered, 2), numbered.images
    first = loader._pick(images, np.array([3, 1]))
    np.testing.assert_array_equal(first, images[[3, 1]])
    assert loader._pick(images, np.array([5, 4])) is first
    np.testing.assert_array_equal(first, images[[5, 4]])


def test_two_grey_levels_have_a_standard_deviation():
    two = Dataset(np.array([[[0, 255]]], np.uint8), [0], 1)
    assert mean_and_std(two) == ([0.5], [0.5])


def test_batches_do_not_share_memory_with_each_other(numbered):
    (a, _), (b, _) = list(DataLoader(numbered, 60))
    assert not np.shares_memory(a.data, b.data)


def test_images_are_not_changed(numbered):
    before = numbered.images.copy()
    for shuffle in (False, True):
        epoch(DataLoader(numbered, 20, shuffle=shuffle))
    np.testing.assert_array_equal(numbered.images, before)


def test_images_with_channels():
    images = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    x, _ = next(iter(DataLoader(Dataset(images, np.array([0, 1]), ("a", "b")), 2)))
    np.testing.assert_array_equal(x.numpy(), images.astype(np.float32) / 255)


def test_no_images_no_batches(numbered):
    loader = DataLoader(numbered[:0], 20, shuffle=True)
    assert len(loader) == 0
    assert list(loader) == []


@pytest.mark.parametrize("size", [0, -1, 2.0, "32", None])
def test_batch_size_must_be_a_count(numbered, size):
    with pytest.raises(ValueError, match=f"batch_size is {size!r}; wanted an int >= 1"):
        DataLoader(numbered, size)


@pytest.mark.parametrize("seed", [-1, 0.5, "a"])
def test_seed_must_be_a_number(numbered, seed):
    with pytest.raises(ValueError, match=f"seed is {seed!r}; wanted None or an int >= 0"):
        DataLoader(numbered, 20, seed=seed)


@pytest.mark.parametrize("arguments", [([[1]], [0]), ([[1]], [0], 32), (([[1]], [0]),), (None, 2)])
def test_what_is_cut_is_a_dataset(arguments):
    with pytest.raises(
        TypeError, match=r"dataset is (list|tuple|NoneType); wanted a Dataset: data\.D"
    ):
        DataLoader(*arguments)


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("num_workers", "leave it out"),
        ("pin_memory", "leave it out"),
        ("drop_last", "cut the data set"),
        ("generator", "seed=0"),
        ("sampler", r"DataLoader\(dataset\[indices\]"),
        ("collate_fn", "leave it out"),
        ("batchsize", "wanted batch_size, shuffle, seed, device, raw or normalise"),
    ],
)
def test_what_only_pytorchs_loader_takes_is_named(numbered, name, cure):
    with pytest.raises(TypeError, match=f"DataLoader has no argument {name}; .*{cure}"):
        DataLoader(numbered, 20, **dict[str, Any]({name: 1}))


def test_drop_last_as_the_message_says(numbered):
    batch_size = 25
    dataset = numbered
    dataset = dataset[: len(dataset) // batch_size * batch_size]
    assert [len(y) for _, y in DataLoader(dataset, batch_size)] == [25] * 4


def test_a_batch_has_one_image_unless_said(numbered):
    assert len(DataLoader(numbered)) == N


def test_normalised_pixels_have_mean_0_and_standard_deviation_1_in_each_channel():
    images = np.random.default_rng(1).integers(0, 256, (11, 3, 4, 5), dtype=np.uint8)
    images[:, 1] //= 4
    colours = Dataset(images, np.zeros(11, int), 2)
    mean, std = minicnn.data.mean_and_std(colours)
    expected = images / 255
    np.testing.assert_allclose(mean, expected.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, expected.std(axis=(0, 2, 3)), rtol=1e-12)
    (x, _), (last, _) = DataLoader(colours, 6, normalise=(mean, std))
    pixels = np.concatenate([x.numpy(), last.numpy()])
    assert pixels.dtype == np.float32
    expected -= np.reshape(mean, (3, 1, 1))
    expected /= np.reshape(std, (3, 1, 1))
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


def test_normalising_by_numbers_for_grey_pictures(numbered):
    for pair in ((0.25, 0.5), ([0.25], [0.5])):
        x, _ = next(iter(DataLoader(numbered, N, normalise=pair)))
        expected = (numbered.images[:, None] / 255 - 0.25) / 0.5
        np.testing.assert_allclose(x.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("pair", [0.5, (0.5,), (0, 0), (0, np.nan), ([0, 0], [1, 1]), "ab", {}])
def test_what_is_no_mean_and_standard_deviation_is_refused(numbered, pair):
    with pytest.raises(
        ValueError, match=r"normalise is .*; wanted \(mean, std\), each with 1 numb"
    ):
        DataLoader(numbered, normalise=pair)


def test_raw_pixels_are_not_normalised(numbered):
    with pytest.raises(ValueError, match="raw is True with normalise; wanted one"):
        DataLoader(numbered, raw=True, normalise=(0.5, 0.5))
    numbered.images[:] = 7
    with pytest.raises(ValueError, match="dataset: channel 0 has one value everywhere"):
        minicnn.data.mean_and_std(numbered)
