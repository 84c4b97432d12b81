"""minicnn.data.read_idx: it reads what IDX can say, and refuses every damaged file."""

import gzip
import hashlib
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from minicnn.data import DatasetError, IdxError, read_idx
from minicnn.data.idx import write_idx
from minicnn.data.labels import label_column

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
HEADER = bytes.fromhex("00000803 00000002 00000003 00000004")
SOUND = HEADER + IMAGES.tobytes()


def put(folder: Path, content: bytes) -> Path:
    path = folder / "file-idx3-ubyte"
    path.write_bytes(content)
    return path


def peak_memory_of_refusing(path: Path) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(IdxError):
            read_idx(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_images(tmp_path, pack):
    images = read_idx(put(tmp_path, pack(SOUND)))
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, IMAGES)
    images[0] = 7  # writable


def test_labels(tmp_path):
    labels = read_idx(put(tmp_path, bytes.fromhex("00000801 00000003 05 00 09")))
    assert labels.tolist() == [5, 0, 9]


@pytest.mark.parametrize(
    ("code", "letter", "dtype"),
    [
        ("08", "B", np.uint8),
        ("09", "b", np.int8),
        ("0b", "h", np.int16),
        ("0c", "i", np.int32),
        ("0d", "f", np.float32),
        ("0e", "d", np.float64),
    ],
)
def test_every_type_is_big_endian(tmp_path, code, letter, dtype):
    numbers = [1, 2, 100]
    content = bytes.fromhex(f"0000{code}01 00000003") + struct.pack(f">3{letter}", *numbers)
    array = read_idx(put(tmp_path, content))
    assert array.dtype == dtype
    assert array.dtype.isnative
    assert array.tolist() == numbers

    write_idx(array, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == content


@pytest.mark.parametrize("shape", [(4, 1), (4, 8)])
def test_labels_are_the_first_column_of_one_or_of_qmnists(shape):
    labels = np.arange(shape[0] * shape[1], dtype=np.int32).reshape(shape)
    assert label_column(labels, Path("labels")).tolist() == labels[:, 0].tolist()


@pytest.mark.parametrize("labels", [np.zeros((4, 2), "u1"), np.zeros((4, 7, 8), "u1"), [0.5]])
def test_other_columns_are_no_labels(labels):
    with pytest.raises(IdxError, match=r"^labels: .*; wanted labels, whole numbers \(N,\) or QMN"):
        label_column(np.asarray(labels), Path("labels"))


def test_larger_than_one_chunk(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (3000, 28, 28), dtype=np.uint8)
    for name in ("plain", "zipped.gz"):
        write_idx(array, tmp_path / name)
        np.testing.assert_array_equal(read_idx(tmp_path / name), array)


def test_gzip_of_two_members_and_padding(tmp_path):
    content = gzip.compress(SOUND[:20]) + gzip.compress(SOUND[20:]) + bytes(512)
    np.testing.assert_array_equal(read_idx(put(tmp_path, content)), IMAGES)


def test_sha256_is_that_of_the_decompressed_file(tmp_path):
    digest = hashlib.sha256(SOUND).hexdigest()
    for pack in (bytes, gzip.compress):
        np.testing.assert_array_equal(read_idx(put(tmp_path, pack(SOUND)), digest), IMAGES)
    other = put(tmp_path, SOUND[:-1] + b"\xff")
    with pytest.raises(IdxError, match=f"{other}: not the expected file: SHA-256 .* not {digest}"):
        read_idx(other, digest)


def idx(magic: str, *lengths: int, data: bytes = b"") -> bytes:
    return bytes.fromhex(magic) + struct.pack(f">{len(lengths)}I", *lengths) + data


DAMAGED = {
    "empty": (b"", "too short for an IDX header: 0 bytes"),
    "half a magic number": (b"\0\0\x08", "too short for an IDX header: 3 bytes"),
    "half a header": (HEADER[:10], "IDX header of 3 dimensions: 10 bytes"),
    "header only": (HEADER, "too short"),
    "one byte short": (SOUND[:-1], r"too short: shape \(2, 3, 4\) takes 40 bytes"),
    "one byte long": (SOUND + b"x", "too long: bytes follow the 40"),
    "text": (b"<!DOCTYPE html>", r"not an IDX file but a web page \(HTML\): it starts with 0x3c21"),
    "little-endian": (b"\x03\x08\0\0" + SOUND[4:], "not an IDX file"),
    "type 0": (idx("00000003", 2, 3, 4, data=bytes(24)), "unknown IDX type code 0x00"),
    "type 0x0a": (idx("00000a01", 1, data=b"x"), "unknown IDX type code 0x0a"),
    "no dimension": (idx("00000800", data=b"x"), "0 dimensions"),
    "33 dimensions": (idx("00000821", *[1] * 33, data=b"x"), "33 dimensions"),
    "a length of 0": (idx("00000803", 0, 28, 28), r"a dimension is 0 in shape \(0, 28, 28\)"),
    "petabytes": (
        idx("00000803", *[2**32 - 1] * 3),
        "too short: .* takes 79228162458924105385300197391 bytes",
    ),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("fault", DAMAGED)
def test_damaged_files_are_refused(tmp_path, fault, pack):
    content, message = DAMAGED[fault]
    path = put(tmp_path, pack(content))
    with pytest.raises(IdxError, match=message) as caught:
        read_idx(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


ZIPPED = gzip.compress(SOUND, mtime=0)
DAMAGED_GZIP = {
    "truncated": ZIPPED[:-12],
    "header only": ZIPPED[:10],
    "magic only": ZIPPED[:2],
    "wrong checksum": ZIPPED[:-8] + bytes(4) + ZIPPED[-4:],
    "garbage inside": ZIPPED[:10] + b"\xff" * 20 + ZIPPED[30:],
    "garbage after": ZIPPED + b"garbage",
}


@pytest.mark.parametrize("fault", DAMAGED_GZIP)
def test_damaged_gzip_is_refused(tmp_path, fault):
    path = put(tmp_path, DAMAGED_GZIP[fault])
    with pytest.raises(IdxError, match=f"{path}: damaged gzip data"):
        read_idx(path)


def test_errors_are_of_the_expected_kinds(tmp_path):
    assert issubclass(IdxError, DatasetError)
    assert issubclass(DatasetError, ValueError)
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "absent")
    with pytest.raises(IsADirectoryError):
        read_idx(tmp_path)


def test_gzip_bomb_is_not_inflated(tmp_path):
    bomb = put(tmp_path, gzip.compress(SOUND + bytes(100_000_000)))
    assert peak_memory_of_refusing(bomb) < 10_000_000


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_declared_size_is_not_allocated(tmp_path, pack):
    """100 MB are declared, 100 kB are there."""
    liar = put(tmp_path, pack(idx("00000801", 100_000_000, data=bytes(100_000))))
    assert peak_memory_of_refusing(liar) < 10_000_000


def test_any_changed_byte_of_the_header(tmp_path):
    for position in range(len(HEADER)):
        for value in range(256):
            content = SOUND[:position] + bytes([value]) + SOUND[position + 1 :]
            try:
                array = read_idx(put(tmp_path, content))
            except IdxError:
                assert content != SOUND
            else:  # the same bytes: unchanged, or taken for int8
                assert array.shape == IMAGES.shape
                assert array.tobytes() == IMAGES.tobytes()


def test_any_flipped_bit_of_the_gzip(tmp_path):
    refused = 0
    for bit in range(8 * len(ZIPPED)):
        content = bytearray(ZIPPED)
        content[bit // 8] ^= 1 << bit % 8
        try:
            array = read_idx(put(tmp_path, bytes(content)))
        except IdxError:
            refused += 1
        else:  # the gzip header has bits that mean nothing: a time, an operating system
            np.testing.assert_array_equal(array, IMAGES)
    assert refused > 8 * (len(ZIPPED) - 10)


def test_any_truncation(tmp_path):
    for content in (SOUND, ZIPPED):
        for length in range(len(content)):
            with pytest.raises(IdxError):
                read_idx(put(tmp_path, content[:length]))


def test_write_idx_is_deterministic(tmp_path):
    write_idx(IMAGES, tmp_path / "a.gz")
    write_idx(IMAGES, tmp_path / "b.gz")
    content = (tmp_path / "a.gz").read_bytes()
    assert content == (tmp_path / "b.gz").read_bytes()
    assert gzip.decompress(content) == SOUND
    assert content[4:8] == bytes(4)  # no time


@pytest.mark.parametrize(
    "array", [np.zeros(3, np.int64), np.zeros(3, bool), np.zeros((0, 2), "u1")]
)
def test_write_idx_refuses_what_idx_cannot_say(tmp_path, array):
    with pytest.raises(ValueError, match=r"array .* wanted"):
        write_idx(array, tmp_path / "file")
    assert not (tmp_path / "file").exists()
