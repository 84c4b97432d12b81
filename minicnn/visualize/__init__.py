"""``python -m minicnn.visualize``: pictures of a trained net.

activations-1.png, activations-2.png   what the first two layers make of chosen classes
filters.png                            the weights of the first two layers, where they see pictures
confusion.png                          which class is taken for which
mistakes.png                           the pictures that the net gets most wrong
gradients.png                          how much of the loss's gradient reaches each layer

The numbers in each picture come from a function of their own (``activations``, ``confusion``,
``most_wrong``...), to be used without the picture: ``numbers`` computes, ``draw`` draws.
"""

from __future__ import annotations

from minicnn.visualize.draw import (
    draw_activations,
    draw_confusion,
    draw_filters,
    draw_gradients,
    draw_mistakes,
)
from minicnn.visualize.numbers import (
    Layer,
    Predictions,
    activations,
    confusion,
    filters,
    gradient_norms,
    layers,
    most_confused,
    most_wrong,
    predict,
)
from minicnn.visualize.options import main, parser

__all__ = [
    "Layer",
    "Predictions",
    "activations",
    "confusion",
    "draw_activations",
    "draw_confusion",
    "draw_filters",
    "draw_gradients",
    "draw_mistakes",
    "filters",
    "gradient_norms",
    "layers",
    "main",
    "most_confused",
    "most_wrong",
    "parser",
    "predict",
]
