"""minicnn.data.load: where data sets are looked for and how they are verified."""

import dataclasses
import errno
import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from string import ascii_lowercase

import numpy as np
import pytest

from minicnn import data
from minicnn.data import DatasetError, DatasetNotFoundError, IdxError
from minicnn.data.catalogue import CATALOGUE, FILES, SAMPLE_FOLDER, Source, _emnist, _of
from minicnn.data.find import looking_in
from minicnn.data.idx import read_idx
from minicnn.data.make_sample import make_sample
from minicnn.data.sample import load_or_sample
from tests.data import own
from tests.data.tiny import TINY, assert_tiny, fill

SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
needs_fashion_mnist = pytest.mark.skipif(
    not SYSTEM_FOLDER.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)


# --- the names ---


def test_unknown_name_lists_the_known():
    with pytest.raises(
        ValueError, match="'cifar'; wanted one of fashion-mnist, fashion-mnist-sample, mnist"
    ):
        data.load("cifar")


def test_import_is_cheap():
    heavy = "pooch requests matplotlib"
    code = f"import minicnn.data, sys; print(*(set('{heavy}'.split()) & set(sys.modules)))"
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert output.split() == []


def test_a_batch_is_cut_without_compiled_kernels():
    code = (
        "import sys, minicnn.data as d; train = d.load('fashion-mnist-sample')[0][:9]; "
        "print(len([*d.DataLoader(train, 4, shuffle=True)]), 'numba' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "3 False\n"


# --- the sample that comes with minicnn ---


def test_sample(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    train, test = data.load("fashion-mnist-sample")
    assert (train.images.shape, test.images.shape) == ((6000, 28, 28), (1000, 28, 28))
    assert train.images.dtype == np.uint8
    assert train.labels.dtype == np.int64
    assert train.labels[:5].tolist() == [9, 0, 0, 3, 0]  # as in the full set
    assert test.labels[:5].tolist() == [9, 2, 1, 1, 6]
    assert train.classes[9] == "Ankle boot"
    assert set(train.labels) == set(range(10))
    assert list(tmp_path.iterdir()) == []


def test_sample_takes_no_root(tmp_path):
    with pytest.raises(ValueError, match="no folder is wanted for fashion-mnist-sample"):
        data.load("fashion-mnist-sample", root=tmp_path)


def test_sample_carries_its_licence():
    assert "Copyright (c) 2017 Zalando SE" in (SAMPLE_FOLDER / "LICENSE").read_text()


# --- the real sets ---


@pytest.mark.data
@needs_fashion_mnist
def test_fashion_mnist_from_the_system_package(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    train, test = data.load("fashion-mnist")
    assert (train.images.shape, test.images.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert np.bincount(train.labels).tolist() == [6000] * 10
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert train.images.mean() / 255 == pytest.approx(0.2860, abs=1e-4)  # as published
    assert list(tmp_path.iterdir()) == []

    small_train, small_test = data.load("fashion-mnist-sample")
    for sample, full in ((small_train, train), (small_test, test)):
        np.testing.assert_array_equal(sample.images, full.images[: len(sample)])
        np.testing.assert_array_equal(sample.labels, full.labels[: len(sample)])
        assert sample.classes == full.classes


@pytest.mark.data
@needs_fashion_mnist
def test_the_sample_can_be_made_again(tmp_path):
    make_sample(tmp_path)
    for file in FILES:
        made = read_idx(tmp_path / f"{file}.gz", CATALOGUE["fashion-mnist-sample"].sha256[file])
        assert made.dtype == np.uint8


@pytest.mark.data
@pytest.mark.skipif(
    "MINICNN_TEST_MNIST" not in os.environ, reason="MINICNN_TEST_MNIST names no folder with MNIST"
)
def test_mnist():
    train, test = data.load("mnist", root=os.environ["MINICNN_TEST_MNIST"])
    assert (len(train), len(test)) == (60000, 10000)
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert train.images.mean() / 255 == pytest.approx(0.1307, abs=1e-4)  # as published


# --- root ---


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("subfolder", ["", "tiny"])
def test_root(tmp_path, register, pack, subfolder):
    fill(tmp_path / subfolder, pack)
    assert_tiny(*data.load("tiny", root=str(tmp_path)))


def test_root_alone_is_searched(tmp_path, cache, register):
    fill(cache)
    root = fill(tmp_path / "root")
    (root / f"{FILES[1]}.gz").unlink()
    (root / f"{FILES[2]}.gz").unlink()
    with pytest.raises(DatasetError, match=f"{root} lacks {FILES[1]}, {FILES[2]}; wanted"):
        data.load("tiny", root=root)


def test_root_that_is_no_folder(tmp_path, register):
    with pytest.raises(
        DatasetError, match=f"^{tmp_path}/absent is no folder; wanted a folder with"
    ):
        data.load("tiny", root=tmp_path / "absent")


def test_root_with_another_file(tmp_path, register):
    root = fill(tmp_path)
    other = root / f"{FILES[0]}.gz"
    other.write_bytes(gzip.compress(TINY[FILES[0]][:-1] + b"\0"))
    with pytest.raises(IdxError, match=f"{other}: not the expected file") as caught:
        data.load("tiny", root=root)
    assert "delete" not in str(caught.value)


@pytest.mark.parametrize("place", ["tiny/tiny", "Tiny/raw", "raw"])
@pytest.mark.parametrize("name", ["{}.gz", "{}", "{}/{}"])
@pytest.mark.parametrize("dot", [False, True])
def test_folders_and_names_as_torchvision_kaggle_and_seven_zip_make_them(
    tmp_path, register, place, name, dot
):
    for file, content in TINY.items():
        written = file.replace("-idx", ".idx") if dot else file
        path = tmp_path / place / name.format(written, written)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    assert_tiny(*data.load("tiny", root=tmp_path))


def test_what_is_found_instead_of_a_file_is_named(tmp_path, register):
    root = fill(tmp_path / "root")
    (root / f"{FILES[1]}.gz").unlink()
    (root / f"{FILES[1]}.gz").symlink_to("/nowhere/labels.gz")
    wanted = "wanted a folder with the four files of tiny, plain or .gz"
    with pytest.raises(DatasetError) as caught:
        data.load("tiny", root=root)
    assert str(caught.value) == (
        f"{root} lacks {FILES[1]}; {FILES[1]}.gz is a link to /nowhere/labels.gz, which is not"
        f" there; {wanted}"
    )
    (root / f"{FILES[1]}.gz").unlink()
    for name in ("a.csv", "b.zip", "c", "d", "e", "f", "g"):
        (root / name).touch()
    with pytest.raises(DatasetError) as caught:
        data.load("tiny", root=root)
    assert str(caught.value) == (
        f"{root} lacks {FILES[1]}; it holds a.csv, b.zip, c, d, e and 2 more; data of your own: "
        f"data.from_folder, or --data-dir without --dataset; unpack the archive; {wanted}"
    )


def test_root_that_is_a_file_or_a_link_that_leads_nowhere(tmp_path, register):
    root = fill(tmp_path / "root")
    with pytest.raises(DatasetError, match=rf"gz is a file; .* of tiny: is it {root}\?$"):
        data.load("tiny", root=root / f"{FILES[0]}.gz")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(DatasetError, match="link is a link to nowhere, which is not there; wanted"):
        data.load("tiny", root=tmp_path / "link")


def test_a_file_of_another_data_set_is_named(tmp_path, register, monkeypatch):
    root = fill(tmp_path)
    others = {file: hashlib.sha256(file.encode()).hexdigest() for file in FILES}
    monkeypatch.setitem(CATALOGUE, "other", Source(tuple("0123456789"), CATALOGUE["tiny"].sha256))
    monkeypatch.setitem(CATALOGUE, "tiny", Source(tuple("0123456789"), others))
    path = root / f"{FILES[0]}.gz"
    with pytest.raises(IdxError) as caught:
        data.load("tiny", root=root)
    assert str(caught.value) == f"{path}: this is {FILES[0]} of other; wanted {FILES[0]} of tiny"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<!DOCTYPE html>\n<html>...", r"a web page \(HTML\)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "a Git-LFS pointer"),
        (b"PK\x03\x04 and so on", "a zip archive"),
        (b"PAR1 and so on", "a Parquet file"),
    ],
)
def test_another_kind_of_file_is_named(tmp_path, register, content, kind):
    path = fill(tmp_path) / f"{FILES[2]}.gz"
    for stored in (content, gzip.compress(content)):
        path.write_bytes(stored)
        with pytest.raises(
            IdxError, match=f"{path}: not an IDX file but {kind}.*: it starts with 0x"
        ):
            data.load("tiny", root=tmp_path)


def test_root_with_train_and_test_exchanged(tmp_path, register):
    root = fill(tmp_path)
    a, b = root / f"{FILES[1]}.gz", root / f"{FILES[3]}.gz"
    content = a.read_bytes()
    a.write_bytes(b.read_bytes())
    b.write_bytes(content)
    with pytest.raises(
        IdxError, match=f"{a}: this is {FILES[3]} of tiny; wanted {FILES[1]} of tiny"
    ):
        data.load("tiny", root=root)


# --- the cache, and the folder of a package ---


def test_cache_follows_xdg(cache, register):
    fill(cache)
    assert_tiny(*data.load("tiny"))


@pytest.mark.parametrize("value", [None, "", "relative"])
def test_cache_is_in_the_home_folder_otherwise(tmp_path, monkeypatch, register, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    if value is None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    fill(tmp_path / "home" / ".cache" / "minicnn" / "tiny")
    assert_tiny(*data.load("tiny"))


@pytest.mark.parametrize("damage", [lambda old: old[:-9], lambda old: gzip.compress(b"another")])
def test_damaged_cache_is_an_error_and_not_an_absence(cache, register, tmp_path, damage):
    fill(tmp_path / "installed")
    path = fill(cache) / f"{FILES[3]}.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DatasetError, match=f"{path}: .*; delete it, and it is downloaded again"):
        data.load("tiny")


def test_installed_package_serves_where_the_cache_is_incomplete(tmp_path, cache, register):
    fill(tmp_path / "installed")
    (fill(cache) / f"{FILES[0]}.gz").unlink()
    assert_tiny(*data.load("tiny"))
    assert len(list(cache.iterdir())) == 3


@pytest.fixture
def homeless(monkeypatch) -> None:
    """A user of a container: a number without a name, HOME not set."""

    def nobody(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr("pwd.getpwuid", nobody)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_the_other_places_are_looked_in(tmp_path, register):
    with pytest.raises(DatasetNotFoundError, match=f"not in {tmp_path}/installed; no home folder"):
        data.load("tiny")
    fill(tmp_path / "installed")
    assert_tiny(*data.load("tiny"))
    assert len(data.load("fashion-mnist-sample")[1]) == 1000


def test_a_cache_that_may_not_be_entered_is_none(tmp_path, cache, register, monkeypatch):
    fill(tmp_path / "installed")
    is_file = Path.is_file

    def forbidding(path: Path) -> bool:
        if cache in path.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", forbidding)
    assert_tiny(*data.load("tiny"))
    (tmp_path / "installed" / f"{FILES[0]}.gz").unlink()
    with pytest.raises(DatasetNotFoundError, match="tiny is not in"):
        data.load("tiny")


def test_a_root_may_begin_with_a_tilde(tmp_path, monkeypatch, register):
    monkeypatch.setenv("HOME", str(tmp_path))
    fill(tmp_path / "root")
    assert_tiny(*data.load("tiny", "~/root"))


def test_the_sets_of_the_catalogue_are_complete():
    for name, source in CATALOGUE.items():
        digests = source.sha256 or source.md5
        assert len(source.files) == len(set(source.files)) == 4, name
        assert not digests or tuple(digests) == source.files, name
        assert {len(digest) for digest in source.sha256.values()} <= {64}, name
        assert {len(digest) for digest in source.md5.values()} <= {32}, name
        assert bool(source.mirrors) <= bool(digests), name  # whatever is downloaded is checked
    classes = CATALOGUE["emnist-balanced"].classes
    assert (len(classes), classes[10], classes[36:]) == (47, "A", tuple("abdefghnqrt"))
    assert len(CATALOGUE["emnist-letters"].classes) == 26
    assert {name for name, source in CATALOGUE.items() if source.mirrors} == {
        *("fashion-mnist", "mnist", "kmnist", "qmnist")
    }
    with pytest.raises(dataclasses.FrozenInstanceError):
        CATALOGUE["mnist"].first_label = 1  # type: ignore[misc]


def test_a_split_of_emnist_is_described_by_what_differs():
    letters = _emnist("letters", ascii_lowercase, first_label=1)
    assert letters == CATALOGUE["emnist-letters"]
    assert letters.files[2] == "emnist-letters-test-images-idx3-ubyte"
    digests = CATALOGUE["mnist"].sha256
    assert _of(*digests.values()) == digests


def test_inside_looking_in_other_sets_are_looked_for_there_and_the_sample_where_it_is(
    tmp_path, register
):
    fill(tmp_path / "root")
    with looking_in(tmp_path / "root"):
        assert_tiny(*data.load("tiny"))
        assert len(data.load("fashion-mnist-sample")[0]) == 6000
    with pytest.raises(DatasetNotFoundError):
        data.load("tiny")


def test_without_a_name_the_sample_stands_in_for_what_cannot_be_had(cache, monkeypatch, capsys):
    nowhere = dataclasses.replace(CATALOGUE["fashion-mnist"], installed=None, mirrors=())
    monkeypatch.setitem(CATALOGUE, "fashion-mnist", nowhere)
    name, train, test = load_or_sample()
    assert (name, len(train), len(test)) == ("fashion-mnist-sample", 6000, 1000)
    assert capsys.readouterr().out.startswith("NOTE: the whole Fashion-MNIST is not on this")
    with pytest.raises(DatasetNotFoundError):
        load_or_sample("fashion-mnist")


def test_a_set_without_mirrors_says_where_it_is_to_be_had(cache):
    with pytest.raises(DatasetNotFoundError, match=r"no mirror .*; download https://.* unpack it"):
        data.load("emnist-letters")


def test_files_of_another_set_are_refused_where_no_digest_is_known(tmp_path, register):
    with pytest.raises(IdxError, match=f"this is {FILES[0]} of tiny; wanted {FILES[0]} of kmnist"):
        data.load("kmnist", root=fill(tmp_path))


def test_emnists_letters_are_turned_and_begin_with_a(tmp_path):
    own.idx(tmp_path / "gzip", "emnist-letters-", "test", shift=1)
    train, test = data.load("emnist-letters", root=tmp_path)
    expected = own.pictures(own.TRAIN_LABELS, seed=1).transpose(0, 2, 1)
    np.testing.assert_array_equal(train.images, expected)
    assert test.labels.tolist() == own.TEST_LABELS
    assert (test.classes[0], test.name) == ("a", "emnist-letters test")
    own.idx(tmp_path / "gzip", "emnist-letters-", "test", shift=0)
    with pytest.raises(
        DatasetError, match=r"train-images.* and emnist.*labels.* are -1\.\.1; want"
    ):
        data.load("emnist-letters", root=tmp_path)
