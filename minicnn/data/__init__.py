"""Data sets: find or download them, verify them, and cut them into batches.

train, test = minicnn.data.load("fashion-mnist")
for x, y in minicnn.data.DataLoader(train, batch_size=256, shuffle=True): ...
"""

from minicnn.data.dataset import Dataset
from minicnn.data.errors import DatasetError, DatasetNotFoundError, IdxError
from minicnn.data.find import load
from minicnn.data.idx import read_idx
from minicnn.data.loader import DataLoader

__all__ = [
    "DataLoader",
    "Dataset",
    "DatasetError",
    "DatasetNotFoundError",
    "IdxError",
    "load",
    "read_idx",
]
