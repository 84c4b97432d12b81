import numpy as np


def dense_backward(dy, x, weight):
    """dy: (M, O), x: (M, K), weight: (O, K), of y = x W^T + b; returns dx, dW, db."""
    # BEGIN
    return dy @ weight, dy.T @ x, dy.sum(axis=0)
    # END
