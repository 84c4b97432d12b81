"""Pictures in a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.checks import check_integer, check_number, check_sequence
from minicnn.plots import LiveFigure, in_notebook, own_style
from minicnn.tensor import Tensor


@own_style()
def show_images(
    imgs: Any,
    num_rows: int,
    num_cols: int,
    titles: Sequence[str] | None = None,
    scale: float = 1.5,
) -> np.ndarray:
    """Pictures in a grid, row by row; a notebook shows them.

    Args:
        imgs: (N, H, W) or (N, C, H, W), grey or in colours, or a list of pictures; N at most
            num_rows * num_cols.
        titles: a line above each picture.
        scale: the side of a picture, in inches.

    Returns:
        The Matplotlib axes, one for each place; ``axes[0].figure.savefig(path)`` saves the whole.

    Raises:
        ValueError: more pictures than places, or not as many titles as pictures.
    """
    from matplotlib.figure import Figure

    check_integer("show_images: num_rows", num_rows, 1)
    check_integer("show_images: num_cols", num_cols, 1)
    check_number("show_images: scale", scale, at_least=0.1)
    if titles is not None:
        check_sequence("show_images: titles", titles, "a line for each picture")
    pictures = [_picture(img) for img in imgs]
    if len(pictures) > num_rows * num_cols:
        raise ValueError(
            f"show_images: imgs has {len(pictures)} pictures; wanted at most the "
            f"{num_rows} x {num_cols} places"
        )
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(
            f"show_images: titles has {len(titles)} lines; wanted {len(pictures)}, one a picture"
        )
    figure = Figure(figsize=(num_cols * scale, num_rows * scale), layout="constrained")
    axes = figure.subplots(num_rows, num_cols, squeeze=False).ravel()
    for place in axes:
        place.set_axis_off()
    for place, picture in zip(axes, pictures, strict=False):
        place.imshow(picture, cmap="gray")
    for place, title in zip(axes, () if titles is None else titles, strict=False):
        place.set_title(title, fontsize="small")
    if in_notebook():
        LiveFigure().show(figure)
    return axes


def _picture(img: Any) -> np.ndarray:
    """(H, W) of (H, W) or (1, H, W); colours (H, W, 3) of (3, H, W) or (H, W, 3)."""
    array = img.numpy() if isinstance(img, Tensor) else np.asarray(img)
    if array.ndim == 3 and len(array) in (3, 4):
        array = np.moveaxis(array, 0, 2)
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)):
        return array
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[2]):
        return array[0] if len(array) == 1 else array[:, :, 0]
    raise ValueError(
        f"show_images: imgs has a picture of shape {array.shape}; wanted (H, W) or (C, H, W)"
    )
