"""A layer forward and backward: every number, and the sum it comes from.

    python -m minicnn.explain

writes a page that shows a convolution. In Python:

    from minicnn import explain
    explained = explain.conv2d(conv, x, dy)  # shows itself in a notebook; print() shows text
    explained.dx_terms(0, 0, 2, 3)  # the products that dx[0, 0, 2, 3] is the sum of
    explain.tape(loss)  # the operations that led to the loss, drawn
    explain.follow(net, x, y)  # a whole net on a picture: every number, and where it comes from
    explained.lang = "zh"  # or "en" or "ja", for the page and for text
"""

from minicnn.explain.conv import ExplainedConvolution, Factor, Product, conv2d
from minicnn.explain.explained import Explained
from minicnn.explain.follow import Followed, follow
from minicnn.explain.linear import linear
from minicnn.explain.loss import cross_entropy
from minicnn.explain.pool import avg_pool2d, max_pool2d
from minicnn.explain.receptive import receptive_field
from minicnn.explain.tape import Tape, tape

__all__ = [
    "Explained",
    "ExplainedConvolution",
    "Factor",
    "Followed",
    "Product",
    "Tape",
    "avg_pool2d",
    "conv2d",
    "cross_entropy",
    "follow",
    "linear",
    "max_pool2d",
    "receptive_field",
    "tape",
]
