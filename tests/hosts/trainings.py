"""Data for trainings of a second, and what they leave."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

from minicnn.data.catalogue import FILES

COUNTS = {"train": 200, "t10k": 50}


def write_pictures(folder: Path) -> Path:
    """Four IDX files of noise, labelled by chance."""
    rng = np.random.default_rng(20261129)
    folder.mkdir()
    for name in FILES:
        n = COUNTS[name.partition("-")[0]]
        pixels, labels = struct.pack(">4I", 0x803, n, 28, 28), struct.pack(">2I", 0x801, n)
        head, size, end = (pixels, n * 784, 256) if "idx3" in name else (labels, n, 10)
        (folder / name).write_bytes(head + rng.integers(0, end, size, dtype=np.uint8).tobytes())
    return folder


def epochs_of(run: Path) -> list[int]:
    """The epochs that ``metrics.jsonl`` has, in its order."""
    file = run / "metrics.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line)["epoch"] for line in lines]
