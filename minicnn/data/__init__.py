"""Data sets: find or download them, verify them, and cut them into batches.

train, test = minicnn.data.load("fashion-mnist")
for x, y in minicnn.data.DataLoader(train, batch_size=256, shuffle=True): ...

Data of your own: from_folder, from_arrays (docs/data.md).
"""

from minicnn.data.dataset import Dataset
from minicnn.data.errors import DatasetError, DatasetNotFoundError, IdxError
from minicnn.data.find import load
from minicnn.data.idx import read_idx
from minicnn.data.loader import DataLoader
from minicnn.data.normalising import mean_and_std
from minicnn.data.own import (
    from_arrays,
    from_csv,
    from_folder,
    from_idx,
    from_npz,
    from_pictures,
    read_picture,
)
from minicnn.data.split import split_off

__all__ = [
    "DataLoader",
    "Dataset",
    "DatasetError",
    "DatasetNotFoundError",
    "IdxError",
    "from_arrays",
    "from_csv",
    "from_folder",
    "from_idx",
    "from_npz",
    "from_pictures",
    "load",
    "mean_and_std",
    "read_idx",
    "read_picture",
    "split_off",
]
