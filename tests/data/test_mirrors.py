"""minicnn.data.load: mirrors that lie or lead astray, disks that are full, several programs."""

import errno
import gzip
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from minicnn import data
from minicnn.data import DatasetNotFoundError, download
from minicnn.data.catalogue import CATALOGUE, FILES, SAMPLE_FOLDER
from tests.data.test_download import good, send
from tests.data.tiny import TINY, assert_tiny

Handler = BaseHTTPRequestHandler


def headers(handler: Handler, **named: str) -> None:
    handler.send_response(200)
    for name, value in named.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def stalls(handler: Handler, file: str) -> None:
    """Half of the file, then nothing."""
    content = gzip.compress(TINY[file])
    headers(handler, Content_Length=str(len(content)))
    handler.wfile.write(content[: len(content) // 2])
    handler.wfile.flush()
    time.sleep(1)


def too_short_a_length(handler: Handler, file: str) -> None:
    content = gzip.compress(TINY[file])
    send(handler, content, length=len(content) - 9)


def no_length(handler: Handler, file: str) -> None:
    """Cut off, and nothing tells that it is."""
    headers(handler)
    handler.wfile.write(gzip.compress(TINY[file])[:-9])


def a_length_that_is_none(handler: Handler, file: str) -> None:
    headers(handler, Content_Length="many")
    handler.wfile.write(gzip.compress(TINY[file])[:-9])


def a_page(handler: Handler, file: str) -> None:
    """As networks answer everything until one has logged in."""
    send(handler, b"<!DOCTYPE html><title>Welcome</title>")


def no_http(handler: Handler, file: str) -> None:
    handler.wfile.write(b"220 mail.example ESMTP\r\n")


def without_end(handler: Handler, file: str) -> None:
    headers(handler)
    try:
        while True:
            handler.wfile.write(bytes(1 << 16))
    except OSError:  # the reader has left
        pass


def a_bomb(handler: Handler, file: str) -> None:
    """4 MB of zeros in 20 kB, to be unpacked while it is transferred."""
    content = gzip.compress(bytes(1 << 22))
    headers(handler, Content_Encoding="gzip", Content_Length=str(len(content)))
    handler.wfile.write(content)


def another_set(handler: Handler, file: str) -> None:
    """Whole and known files, as MNIST's where Fashion-MNIST is asked for."""
    send(handler, (SAMPLE_FOLDER / f"{file}.gz").read_bytes())


def redirect(to: str) -> Callable[[Handler, str], None]:
    """An answer that sends everybody there."""

    def answer(handler: Handler, file: str) -> None:
        handler.send_response(302)
        handler.send_header("Location", to.format(file=file))
        handler.end_headers()

    return answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (stalls, "ConnectionError"),
        (too_short_a_length, "sent a wrong or damaged file"),
        (no_length, "sent a wrong or damaged file"),
        (a_page, "sent a wrong or damaged file"),
        (a_length_that_is_none, "sent a wrong or damaged file"),
        (another_set, "sent a wrong or damaged file"),
        (no_http, "ConnectionError"),
        (without_end, "sent a wrong or damaged file"),
        (a_bomb, "sent a wrong or damaged file"),
        (redirect("/only/{file}.gz"), "HTTP 302"),
        (redirect("file:///etc/hostname"), "InvalidSchema"),
        (redirect("http://127.0.0.1:9/{file}"), "ConnectionError"),
    ],
)
def test_a_mirror_that_fails_is_named_and_leaves_nothing(
    mirrors, register, cache, monkeypatch, answer, reason
):
    if answer is stalls:
        monkeypatch.setattr(download, "_TIMEOUT", (3.0, 0.5))
    monkeypatch.setattr(download, "_MOST_BYTES", 1 << 20)
    register(mirrors.add("only", answer), mirrors.add("good", good))
    assert_tiny(*data.load("tiny"))
    for file in cache.iterdir():
        file.unlink()
    register(mirrors.add("only", answer))
    with pytest.raises(DatasetNotFoundError, match=rf"\(127.0.0.1:\d+: {reason}\)"):
        data.load("tiny")
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_mirror_that_has_moved_is_followed(mirrors, register, cache, status):
    def moved(handler: Handler, file: str) -> None:
        handler.send_response(status)
        handler.send_header("Location", f"/good/{file}.gz")
        handler.end_headers()

    mirrors.add("good", good)
    register(mirrors.add("moved", moved))
    assert_tiny(*data.load("tiny"))
    assert len(list(cache.iterdir())) == 4


def test_a_transfer_that_is_unpacked_on_the_way_is_the_same_file(mirrors, register, cache):
    """Some servers take the .gz for the encoding of the transfer."""

    def unpacked(handler: Handler, file: str) -> None:
        content = gzip.compress(TINY[file])
        headers(handler, Content_Encoding="gzip", Content_Length=str(len(content)))
        handler.wfile.write(content)

    register(mirrors.add("only", unpacked))
    assert_tiny(*data.load("tiny"))
    assert_tiny(*data.load("tiny"))  # from the cache


def test_a_full_disk_is_no_fault_of_the_mirrors(mirrors, register, cache, monkeypatch):
    def full(file: object, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    register(mirrors.add("first", good), mirrors.add("second", good))
    monkeypatch.setattr(download._Bounded, "write", full)
    with pytest.raises(
        DatasetNotFoundError, match=rf"cannot write to {cache} \(No space left on device\)"
    ):
        data.load("tiny")
    assert len(mirrors.asked) == 1
    assert list(cache.iterdir()) == []


def test_certificates_that_are_not_there_are_no_fault_of_the_disk(register, cache, monkeypatch):
    register("https://127.0.0.1:9/a", "http://127.0.0.1:9/b")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/absent/bundle.pem")
    told = (
        r"127\.0\.0\.1:9: Could not find .*: /absent/bundle\.pem; 127\.0\.0\.1:9: ConnectionError"
    )
    with pytest.raises(DatasetNotFoundError, match=told):
        data.load("tiny")


PROGRAM = """
import sys
from minicnn import data
from minicnn.data.catalogue import CATALOGUE, Source
digests = dict(zip(sys.argv[2::2], sys.argv[3::2]))
CATALOGUE["tiny"] = Source(tuple("0123456789"), digests, None, (sys.argv[1],))
print("ready", flush=True)
sys.stdin.readline()
print(data.load("tiny")[1].labels.tolist())
"""


def test_two_programs_that_download_at_once_both_have_it(mirrors, register, cache):
    """At the same time, neither waiting for the other: no file comes before both ask."""
    both = threading.Barrier(2)

    def once_both_have_asked(handler: Handler, file: str) -> None:
        if file == FILES[0]:
            both.wait(60)
        good(handler, file)

    mirror = mirrors.add("only", once_both_have_asked)
    register(mirror)
    digests = [word for pair in CATALOGUE["tiny"].sha256.items() for word in pair]
    command = [sys.executable, "-c", PROGRAM, mirror, *digests]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    programs: list[Any] = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for program in programs:
        assert program.stdout.readline() == "ready\n"
    for program in programs:
        program.stdin.write("go\n")
        program.stdin.flush()
    assert [program.communicate(timeout=60)[0] for program in programs] == ["[9, 2, 6]\n"] * 2
    assert len(mirrors.asked) == 8
    assert sorted(path.suffix for path in cache.iterdir()) == [".gz"] * 4
