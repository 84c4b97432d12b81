"""minicnn.data.load: where data sets are looked for, verified, and downloaded from."""

import errno
import gzip
import hashlib
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pooch
import pytest
from PIL import Image

from minicnn import Tensor, data
from minicnn.data import Dataset, DatasetError, DatasetNotFoundError, IdxError, download
from minicnn.data.catalogue import CATALOGUE, FILES, SAMPLE_FOLDER, Source
from minicnn.data.idx import read_idx
from minicnn.data.make_sample import make_sample

SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
needs_fashion_mnist = pytest.mark.skipif(
    not SYSTEM_FOLDER.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)


# --- a data set of 5 + 3 images, known to the catalogue as "tiny" ---


def idx_files() -> dict[str, bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 28, 28), dtype=np.uint8)
    labels = bytes([3, 1, 4, 1, 5, 9, 2, 6])
    contents = (
        struct.pack(">IIII", 0x803, 5, 28, 28) + pixels[:5].tobytes(),
        struct.pack(">II", 0x801, 5) + labels[:5],
        struct.pack(">IIII", 0x803, 3, 28, 28) + pixels[5:].tobytes(),
        struct.pack(">II", 0x801, 3) + labels[5:],
    )
    return dict(zip(FILES, contents, strict=True))


TINY = idx_files()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """The cache folder of `tiny`, which is not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache" / "minicnn" / "tiny"


@pytest.fixture
def register(monkeypatch, tmp_path) -> Callable[..., None]:
    """Put `tiny` into the catalogue, with these mirrors."""

    def register(*mirrors: str) -> None:
        sha256 = {file: hashlib.sha256(content).hexdigest() for file, content in TINY.items()}
        classes = tuple("0123456789")
        places = tmp_path / "installed", mirrors
        source = Source(classes, sha256, *places, "`get tiny`, or ", torchvision="Tiny")
        monkeypatch.setitem(CATALOGUE, "tiny", source)

    register()
    return register


def fill(folder: Path, pack: Callable[[bytes], bytes] = gzip.compress) -> Path:
    """Write the four files of `tiny`."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in TINY.items():
        (folder / (file if pack is bytes else f"{file}.gz")).write_bytes(pack(content))
    return folder


def assert_tiny(train: Dataset, test: Dataset) -> None:
    assert train.images.tobytes() == TINY[FILES[0]][16:]
    assert train.labels.tolist() == [3, 1, 4, 1, 5]
    assert test.images.tobytes() == TINY[FILES[2]][16:]
    assert test.labels.tolist() == [9, 2, 6]


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
        f"{root} lacks {FILES[1]}; it holds a.csv, b.zip, c, d, e and 2 more; make arrays of other"
        f" formats: data.Dataset(images, labels, classes); unpack the archive; {wanted}"
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


# --- the mirrors ---


class Mirrors:
    """Several mirrors on one local server: /name/file, answered by what `folders[name]` says."""

    def __init__(self) -> None:
        self.folders: dict[str, Callable[[BaseHTTPRequestHandler, str], None]] = {}
        self.asked: list[str] = []
        mirrors = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirrors.asked.append(self.path)
                _, name, file = self.path.split("/")
                mirrors.folders[name](self, file.removesuffix(".gz"))

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def add(self, name: str, answer: Callable[[BaseHTTPRequestHandler, str], None]) -> str:
        self.folders[name] = answer
        return f"http://127.0.0.1:{self.server.server_port}/{name}"


@pytest.fixture
def mirrors(monkeypatch) -> Iterator[Mirrors]:
    mirrors = Mirrors()
    try:
        socket.create_connection(("127.0.0.1", mirrors.server.server_port), timeout=5).close()
    except OSError as error:
        pytest.skip(f"this machine cannot reach even itself: {error}")
    yield mirrors
    mirrors.server.shutdown()
    mirrors.server.server_close()


def send(handler: BaseHTTPRequestHandler, body: bytes, length: int | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def good(handler: BaseHTTPRequestHandler, file: str) -> None:
    send(handler, gzip.compress(TINY[file], compresslevel=1))


def not_found(handler: BaseHTTPRequestHandler, file: str) -> None:
    handler.send_error(404)


def garbage(handler: BaseHTTPRequestHandler, file: str) -> None:
    send(handler, gzip.compress(TINY[file][:-1] + b"\xff"))


def cut_off(handler: BaseHTTPRequestHandler, file: str) -> None:
    send(handler, gzip.compress(TINY[file])[:20], length=1000)


def silent(handler: BaseHTTPRequestHandler, file: str) -> None:
    time.sleep(1)


def test_mirrors_are_tried_in_order(mirrors, register, cache):
    register(
        mirrors.add("first", not_found), mirrors.add("second", garbage), mirrors.add("third", good)
    )
    assert_tiny(*data.load("tiny"))
    assert mirrors.asked == [f"/first/{FILES[0]}.gz", f"/second/{FILES[0]}.gz"] + [
        f"/third/{file}.gz" for file in FILES
    ]
    assert sorted(path.name for path in cache.iterdir()) == sorted(f"{file}.gz" for file in FILES)

    mirrors.asked.clear()
    assert_tiny(*data.load("tiny"))  # from the cache
    assert mirrors.asked == []


def test_only_what_is_missing_is_downloaded(mirrors, register, cache):
    register(mirrors.add("good", good))
    (fill(cache) / f"{FILES[2]}.gz").unlink()
    assert_tiny(*data.load("tiny"))
    assert mirrors.asked == [f"/good/{FILES[2]}.gz"]


def test_the_next_mirror_goes_on_where_one_failed(mirrors, register, cache):
    def half(handler: BaseHTTPRequestHandler, file: str) -> None:
        (good if file in FILES[:2] else not_found)(handler, file)

    register(mirrors.add("half", half), mirrors.add("good", good))
    assert_tiny(*data.load("tiny"))
    assert mirrors.asked[3:] == [f"/good/{FILES[2]}.gz", f"/good/{FILES[3]}.gz"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (not_found, "HTTP 404"),
        (garbage, "sent a wrong or damaged file"),
        (cut_off, "ChunkedEncodingError"),
        (silent, "ReadTimeout"),
    ],
)
def test_a_failed_transfer_leaves_nothing(mirrors, register, cache, monkeypatch, answer, reason):
    monkeypatch.setattr(download, "_TIMEOUT", (0.2, 0.2))
    mirror = mirrors.add("only", answer)
    register(mirror)
    with pytest.raises(DatasetNotFoundError, match=rf"\(127.0.0.1:\d+: {reason}\)"):
        data.load("tiny")
    assert list(cache.iterdir()) == []


def test_an_interruption_leaves_only_whole_files(mirrors, register, cache, monkeypatch):
    def interrupted(self: object, url: str, output_file: Path, pooch: object) -> None:
        content = gzip.compress(TINY[output_file.name])
        if output_file.name == FILES[1]:
            output_file.write_bytes(content[:10])
            raise KeyboardInterrupt
        output_file.write_bytes(content)

    register(mirrors.add("unused", good))
    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", interrupted)
    monkeypatch.setattr(tempfile, "tempdir", "/absent")  # a rename must not cross to another disk
    with pytest.raises(KeyboardInterrupt):
        data.load("tiny")
    assert [path.name for path in cache.iterdir()] == [f"{FILES[0]}.gz"]


def test_downloads_at_once_do_not_disturb_each_other(mirrors, register, cache):
    register(mirrors.add("good", good))
    with ThreadPoolExecutor(4) as pool:
        for train, test in pool.map(data.load, ["tiny"] * 4):
            assert_tiny(train, test)
    assert len(list(cache.iterdir())) == 4


def test_no_network_fails_fast_and_says_what_to_do(tmp_path, register, cache):
    register("http://127.0.0.1:9/a", "http://127.0.0.1:10/b")
    start = time.monotonic()
    with pytest.raises(DatasetNotFoundError) as caught:
        data.load("tiny")
    assert time.monotonic() - start < 5
    assert str(caught.value) == (
        f"tiny is not in {cache} nor in {tmp_path / 'installed'}; download failed"
        " (127.0.0.1:9: ConnectionError; 127.0.0.1:10: ConnectionError); `get tiny`, or put its"
        " four files into a folder and name that (load's root, --data-dir)"
    )
    assert isinstance(caught.value, FileNotFoundError)
    assert not isinstance(caught.value, DatasetError)


def test_unwritable_cache(tmp_path, cache, mirrors, register):
    register(mirrors.add("good", good))
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(DatasetNotFoundError, match=rf"cannot write to {cache} \(Not a directory\)"):
        data.load("tiny")
    assert mirrors.asked == []


# --- Dataset ---


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
    ],
)  # fmt: skip
def test_dataset_refuses_what_does_not_fit(images, labels, error, message):
    with pytest.raises(error, match=message):
        Dataset(images, labels, ("a", "b"))


@pytest.mark.parametrize("classes", [None, 2.0])
def test_classes_are_names_or_a_number(classes):
    with pytest.raises(TypeError, match=f"classes is {classes}; wanted names, or a number"):
        Dataset(np.zeros((2, 4, 4), "u1"), [0, 1], classes)


def test_few_channels_in_the_last_place_are_a_narrow_picture():
    assert Dataset(np.zeros((2, 3, 8, 4), "u1"), [0, 1], 2).images.shape == (2, 3, 8, 4)
    assert Dataset(np.zeros((2, 4, 3, 3), "u1"), [0, 1], 2).images.shape == (2, 4, 3, 3)
