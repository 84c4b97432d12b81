"""Nets to and from other libraries: ``torch/`` and ``onnx/``.

Their public faces are ``minicnn.interop`` and ``minicnn.onnx``; docs/exchange.md shows their use.
"""
