import numpy as np


def dbias(dy):
    """dy: (N, O, OH, OW); returns db: (O,)."""
    # BEGIN
    return dy.sum(axis=(0, 2, 3))
    # END
