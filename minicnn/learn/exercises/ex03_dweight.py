import numpy as np


def dweight(dy, x):
    """dy: (N, O, OH, OW), x: (N, C, H, W); returns dW: (O, C, KH, KW)."""
    # BEGIN
    N, O, OH, OW = dy.shape
    _, C, H, W = x.shape
    KH, KW = H - OH + 1, W - OW + 1
    dW = np.zeros((O, C, KH, KW))
    for n, o, oh, ow in np.ndindex(dy.shape):
        for c, i, j in np.ndindex(C, KH, KW):
            dW[o, c, i, j] += dy[n, o, oh, ow] * x[n, c, oh + i, ow + j]
    return dW
    # END
