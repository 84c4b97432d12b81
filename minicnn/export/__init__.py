"""``python -m minicnn.export``: a trained net for other software; ``to_c`` for a net of your own.

For the other kinds there are ``minicnn.onnx.export`` and ``minicnn.interop.to_torch``.
"""

from __future__ import annotations

from minicnn.exchange.c import Exported
from minicnn.exchange.c import export as to_c
from minicnn.export.options import main, parser

__all__ = ["Exported", "main", "parser", "to_c"]
