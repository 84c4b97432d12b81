"""How Keras makes names of classes."""

from __future__ import annotations

import re


def snake(kind: str) -> str:
    """``average_pooling2d`` of ``AveragePooling2D``."""
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", kind)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
