"""The table that ``net.summary(input_shape)`` prints."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.checks import check_integer, check_sequence
from minicnn.nn.modes import in_evaluation_mode
from minicnn.tensor import Tensor, no_grad


def table(net: Any, input_shape: tuple[int, ...]) -> str:
    """Each layer's class, output shape, parameters and multiply-adds, in the order of their use."""
    check_sequence("summary: input_shape", input_shape, "a shape like (1, 1, 28, 28)")
    for size in input_shape:
        check_integer("summary: a size of input_shape", size, 0)
    rows = [("layer", "output shape", "parameters", "multiply-adds")]
    products = 0

    def record(layer: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        nonlocal products
        own, work = sum(p.size for p in layer.parameters()), layer.multiply_adds(inputs, output)
        products += work
        rows.append((type(layer).__name__, str(output.shape), f"{own:,}", f"{work:,}"))

    layers = [module for module in net.modules() if not list(module.children())]
    handles = [layer.register_forward_hook(record) for layer in layers]
    try:
        with in_evaluation_mode(net), no_grad():
            net(_zeros(net, input_shape))
    finally:
        for handle in handles:
            handle.remove()

    parameters = sum(p.size for p in net.parameters())
    rows.append(("total", "", f"{parameters:,}", f"{products:,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    align = "<<>>"
    lines = [
        "  ".join(f"{row[i]:{align[i]}{widths[i]}}" for i in range(4)).rstrip() for row in rows
    ]
    rule = "-" * max(len(line) for line in lines)
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _zeros(net: Any, shape: tuple[int, ...]) -> Tensor:
    """Zeros of the dtype and device of the net's parameters."""
    first = next((p for m in net.modules() for p in m._parameters.values()), None)
    dtype, device = (first.dtype, first.device) if first is not None else (np.float32, "cpu")
    return Tensor(np.zeros(shape, dtype), device=device)
