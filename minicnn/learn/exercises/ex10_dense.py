import numpy as np


def dense_backward(dy, x, weight):
    """dy: (M, O), x: (M, K), weight: (O, K), of y = x W^T + b; returns dx, dW, db."""
    # BEGIN
    (M, O), (_, K) = dy.shape, x.shape
    dx, dW, db = np.zeros(x.shape), np.zeros(weight.shape), np.zeros(O)
    for m, o in np.ndindex(M, O):
        dx[m] += dy[m, o] * weight[o]
        dW[o] += dy[m, o] * x[m]
        db[o] += dy[m, o]
    return dx, dW, db
    # END
