"""Data of your own: IDX files, Keras' .npz, CSV, a folder of pictures for each class, arrays.

    train, test = minicnn.data.from_folder("pictures")

``kinds`` finds out which kind a folder holds; each kind has a file. Whatever it was, two
``Dataset`` come out of it: uint8 pictures of one size, labels 0..K-1, and the names of the classes.
``docs/data.md`` shows each kind.
"""

from minicnn.data.own.arrays import from_arrays
from minicnn.data.own.csv_files import from_csv
from minicnn.data.own.idx_files import from_idx
from minicnn.data.own.kinds import from_folder
from minicnn.data.own.npz_file import from_npz
from minicnn.data.own.picture_files import from_pictures, read_picture

__all__ = [
    "from_arrays",
    "from_csv",
    "from_folder",
    "from_idx",
    "from_npz",
    "from_pictures",
    "read_picture",
]
