"""One number, followed through a whole net: which cells it is made of, and those what.

    from minicnn import explain

    followed = explain.follow(net, x, y)  # a Sequential, a picture, its class
    followed.terms("conv1.dW", 3, 0, 2, 2)  # the products that this cell is the sum of
    followed.paths("conv1.dW", 3, 0, 2, 2)  # all ways from it to p - t, the ten largest

``python -m minicnn.explain --run DIR --follow`` writes the page of a run. net.py reads the layers,
numbers.py has the engine compute them, rules.py says what each cell is made of, paths.py walks on.
states.py and page.py make the page; its scripts have the same rules (layers.js).
"""

from .numbers import Followed, follow
from .paths import Path, Paths

__all__ = ["Followed", "Path", "Paths", "follow"]
