"""minicnn.data.load: mirrors, tried in order, and what a failed transfer leaves."""

import gzip
import hashlib
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import BinaryIO

import pooch
import pytest

from minicnn import data
from minicnn.data import DatasetError, DatasetNotFoundError, IdxError, download
from minicnn.data.catalogue import CATALOGUE, FILES, Source
from tests.data.tiny import TINY, assert_tiny, fill


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
    def interrupted(self: object, url: str, output_file: BinaryIO, pooch: object) -> None:
        name = Path(output_file.name).name
        content = gzip.compress(TINY[name])
        if name == FILES[1]:
            output_file.write(content[:10])
            raise KeyboardInterrupt
        output_file.write(content)

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


def test_where_only_the_published_files_md5_is_known_it_is_checked(mirrors, cache, monkeypatch):
    packed = {file: gzip.compress(content, mtime=0) for file, content in TINY.items()}

    def send_packed(handler: BaseHTTPRequestHandler, file: str) -> None:
        send(handler, packed[file])

    md5 = {file: hashlib.md5(content).hexdigest() for file, content in packed.items()}
    source = Source(tuple("0123456789"), {}, None, (mirrors.add("a", send_packed),), md5=md5)
    monkeypatch.setitem(CATALOGUE, "tiny", source)
    assert_tiny(*data.load("tiny"))
    (cache / f"{FILES[1]}.gz").unlink()
    monkeypatch.setitem(CATALOGUE, "tiny", replace(source, md5={**md5, FILES[1]: "0" * 32}))
    with pytest.raises(DatasetNotFoundError, match="sent a wrong or damaged file"):
        data.load("tiny")


def test_without_pooch_nothing_is_downloaded(mirrors, register, cache, monkeypatch):
    register(mirrors.add("good", good))
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DatasetNotFoundError, match=r"download failed \(pooch is not installed\)"):
        data.load("tiny")


def test_a_file_may_have_as_many_bytes_as_the_bound_and_none_more(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_MOST_BYTES", 4)
    with download._Bounded((tmp_path / "file").open("wb", buffering=0)) as file:
        file.write(b"123")
        file.write(b"4")
        with pytest.raises(IdxError, match=r"^more than 4 bytes$"):
            file.write(b"5")
    assert (tmp_path / "file").read_bytes() == b"1234"


@pytest.mark.parametrize("package", ["pooch", "requests"])
def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch, package):
    monkeypatch.setattr(download, "find_spec", lambda name: None if name == package else name)
    with pytest.raises(
        DatasetNotFoundError, match=rf"^download failed \({package} is not installed\)$"
    ):
        download.download({"file": "0" * 64}, (), tmp_path)
