"""A convolution, cell by cell.

numbers.py computes it, ways.py its gradients again in other ways. page.py, grids.py and
questions.py make the page, with rules.js, col2im.js and checks.js in it; text.py prints it.
"""

from .page import ExplainedConvolution, conv2d
from .terms import Factor, Product

__all__ = ["ExplainedConvolution", "Factor", "Product", "conv2d"]
