"""Data sets: find or download them, verify them, and cut them into batches.

train, test = minicnn.data.load("fashion-mnist")
for x, y in minicnn.data.DataLoader(train, batch_size=256, shuffle=True): ...

Data of your own: from_folder, from_arrays (docs/data.md).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from minicnn.data.dataset import Dataset
from minicnn.data.errors import DatasetError, DatasetNotFoundError, IdxError
from minicnn.data.find import load
from minicnn.data.idx import read_idx
from minicnn.data.loader import DataLoader
from minicnn.data.normalising import mean_and_std
from minicnn.data.split import split_off

if TYPE_CHECKING:
    from minicnn.data.own import (
        from_arrays as from_arrays,
    )
    from minicnn.data.own import (
        from_csv as from_csv,
    )
    from minicnn.data.own import (
        from_folder as from_folder,
    )
    from minicnn.data.own import (
        from_idx as from_idx,
    )
    from minicnn.data.own import (
        from_npz as from_npz,
    )
    from minicnn.data.own import (
        from_pictures as from_pictures,
    )
    from minicnn.data.own import (
        read_picture as read_picture,
    )
else:

    def __getattr__(name: str) -> Any:
        """The readers of your own data, which are loaded when the first of them is named."""
        if name.startswith("from_") or name == "read_picture":
            return getattr(import_module("minicnn.data.own"), name)
        raise AttributeError(f"module 'minicnn.data' has no attribute {name!r}")


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
