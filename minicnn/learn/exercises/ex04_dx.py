import numpy as np


def dx(dy, weight):
    """dy: (N, O, OH, OW), weight: (O, C, KH, KW); returns dx: (N, C, H, W)."""
    # BEGIN
    N, O, OH, OW = dy.shape
    _, C, KH, KW = weight.shape
    out = np.zeros((N, C, OH + KH - 1, OW + KW - 1))
    for n, o, oh, ow in np.ndindex(dy.shape):
        for c, i, j in np.ndindex(C, KH, KW):
            out[n, c, oh + i, ow + j] += dy[n, o, oh, ow] * weight[o, c, i, j]
    return out
    # END
