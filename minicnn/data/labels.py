"""The labels of an IDX file, as one column of whole numbers."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from minicnn.data.errors import IdxError

QMNIST_COLUMNS = 8  # class, NIST's series, writer, digit's number...: facebookresearch/qmnist


def label_column(labels: NDArray[Any], path: Path) -> NDArray[Any]:
    """(N,) of (N,), (N, 1) or QMNIST's (N, 8), whose first column is the class.

    Raises:
        IdxError: another shape, or no whole numbers. The message names ``path``.
    """
    columns = labels.shape[1] if labels.ndim == 2 else 0
    if labels.ndim == 2 and columns in (1, QMNIST_COLUMNS):
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise IdxError(
            f"{path}: {labels.dtype} of shape {labels.shape}; wanted labels, whole numbers (N,) or "
            f"QMNIST's (N, {QMNIST_COLUMNS})"
        )
    return labels
