"""ONNX files: ``export.py`` writes a net, ``load.py`` reads one.

Cut by the engine's words: ``conv.py`` holds both ways of a convolution, and so for linear, pool,
activation, norm and shape. What an operator means stands in ONNX's own list:
https://onnx.ai/onnx/operators.
"""
