"""ONNX files: ``minicnn.onnx.export(net, path)`` and ``minicnn.onnx.load(path)``.

Needs the package onnx (the extra ``onnx``). docs/exchange.md shows how.
"""

from minicnn.exchange.onnx.export import export
from minicnn.exchange.onnx.load import load

__all__ = ["export", "load"]
