"""Small sets of every kind that can be trained on, written to a folder."""

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from minicnn.data.idx import write_idx

TRAIN_LABELS = [0, 1, 2, 0, 1, 2, 2, 1, 0, 0]
TEST_LABELS = [2, 0, 1, 1]
HEIGHT, WIDTH = 8, 9


def pictures(labels, height=HEIGHT, width=WIDTH, channels=0, seed=0):
    """Noise, brighter with the label: uint8 (N, H, W), or (N, C, H, W)."""
    shape = (len(labels), *([channels] if channels else []), height, width)
    noise = np.random.default_rng(seed).integers(0, 60, shape)
    bright = 60 * np.array(labels).reshape(-1, *[1] * (len(shape) - 1))
    return (noise + bright).astype(np.uint8)


def idx(folder: Path, prefix="", test="t10k", dtype=np.uint8, end=".gz", shift=0) -> Path:
    """Four IDX files; ``shift`` is added to the labels."""
    folder.mkdir(parents=True, exist_ok=True)
    code = {np.dtype(np.uint8): "ubyte", np.dtype(np.int32): "int"}[np.dtype(dtype)]
    for part, labels, seed in (("train", TRAIN_LABELS, 1), (test, TEST_LABELS, 2)):
        column = np.array(labels, dtype) + dtype(shift)
        write_idx(pictures(labels, seed=seed), folder / f"{prefix}{part}-images-idx3-ubyte{end}")
        write_idx(column, folder / f"{prefix}{part}-labels-idx1-{code}{end}")
    return folder


def npz(path: Path, **changes) -> Path:
    """Keras' four arrays, some of them changed, or None: left out."""
    arrays = {
        "x_train": pictures(TRAIN_LABELS, seed=1),
        "y_train": np.array(TRAIN_LABELS),
        "x_test": pictures(TEST_LABELS, seed=2),
        "y_test": np.array(TEST_LABELS),
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def csv(path: Path, labels, seed=1, head=True, label=True, side=8, **size) -> Path:
    """A line for each label."""
    images = pictures(labels, **{"height": side, "width": side, **size}, seed=seed)
    rows = images.reshape(len(labels), -1)
    lines = [",".join(map(str, row)) for row in rows]
    if label:
        lines = [f"{k},{line}" for k, line in zip(labels, lines, strict=True)]
    names = ["label"] * label + [f"pixel{i}" for i in range(rows.shape[1])]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([",".join(names)] * head + lines) + "\n")
    return path


def picture_folder(folder: Path, labels, names=("ant", "bee", "cat"), channels=0, seed=1) -> Path:
    """A PNG for each label, in a folder for each class."""
    for i, (image, label) in enumerate(
        zip(pictures(labels, channels=channels, seed=seed), labels, strict=True)
    ):
        path = folder / names[label] / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0) if channels else image).save(path)
    return folder


def zipped(path: Path) -> Path:
    """An archive that is no NumPy archive."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    return path
