"""Layers that compute nothing: no C function is made of them."""

from __future__ import annotations

from typing import Any

from .step import Place


def from_layer(layer: Any, operation: Any, place: Place) -> None:
    """No step. The cells of a picture stay where they are: in row order."""


def flatten_from_layer(layer: Any, operation: Any, place: Place) -> None:
    """No step: flattened cells are the same cells in the same order.

    Raises:
        ValueError: the pictures of a batch become one row.
    """
    axes = len(place.input_shape) + 1
    if layer.start_dim % axes == 0 and layer.end_dim % axes != 0:
        raise ValueError(f"{place.title} joins the pictures of a batch")
