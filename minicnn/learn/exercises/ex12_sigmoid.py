import numpy as np


def sigmoid(x, dy):
    """x and dy of any shape; returns y = 1 / (1 + exp(-x)), and dx, both of that shape."""
    # BEGIN
    e = np.exp(-np.abs(x))  # between 0 and 1
    y = np.where(x >= 0, 1, e) / (1 + e)
    return y, dy * y * (1 - y)
    # END
