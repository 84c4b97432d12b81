"""A data set of 5 + 3 images, known to the catalogue as "tiny"."""

import gzip
import struct
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np

from minicnn.data import Dataset
from minicnn.data.catalogue import FILES


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
