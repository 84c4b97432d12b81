"""Nets to and from other software: ``torch/``, ``onnx/``, and ``c/`` for what has neither.

Their public faces are ``minicnn.interop``, ``minicnn.onnx`` and ``minicnn.export``;
docs/exchange.md shows the use of the first two.
"""
