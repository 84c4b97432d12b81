import numpy as np


def forward(x, weight, bias):
    """x: (N, C, H, W), weight: (O, C, KH, KW), bias: (O,); returns y: (N, O, OH, OW)."""
    # BEGIN
    N, C, H, W = x.shape
    O, _, KH, KW = weight.shape
    y = np.zeros((N, O, H - KH + 1, W - KW + 1))
    for n, o, oh, ow in np.ndindex(y.shape):
        y[n, o, oh, ow] = bias[o]
        for c, i, j in np.ndindex(C, KH, KW):
            y[n, o, oh, ow] += weight[o, c, i, j] * x[n, c, oh + i, ow + j]
    return y
    # END
