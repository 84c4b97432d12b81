"""Fixtures of the tests of data sets."""

import hashlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minicnn.data.catalogue import CATALOGUE, Source
from tests.data.tiny import TINY, Mirrors


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
