"""Makes minicnn's sample of Fashion-MNIST: ``python -m minicnn.data.make_sample [FOLDER]``.

The first 6,000 training and the first 1,000 test images, in order. Whoever runs it gets the same
files, and the SHA-256 that it prints are those in catalogue.py.
"""

import gzip
import hashlib
import sys
from pathlib import Path

from minicnn.data.catalogue import FILES, SAMPLE_FOLDER
from minicnn.data.find import load
from minicnn.data.idx import write_idx


def make_sample(folder: Path, train_size: int = 6000, test_size: int = 1000) -> None:
    """Write the first images and labels of Fashion-MNIST into ``folder``, as four .gz IDX files.

    Raises: what ``minicnn.data.load("fashion-mnist")`` raises.
    """
    train, test = load("fashion-mnist")
    train, test = train[:train_size], test[:test_size]
    labels, test_labels = train.labels.astype("uint8"), test.labels.astype("uint8")
    arrays = (train.images, labels, test.images, test_labels)
    for file, array in zip(FILES, arrays, strict=True):
        write_idx(array, folder / f"{file}.gz")


def main() -> None:
    folder = Path(sys.argv[1]) if sys.argv[1:] else SAMPLE_FOLDER
    make_sample(folder)
    for file in FILES:
        content = gzip.decompress((folder / f"{file}.gz").read_bytes())
        print(hashlib.sha256(content).hexdigest(), file)


if __name__ == "__main__":
    main()
