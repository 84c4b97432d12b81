import numpy as np


def stride_dx(dy, weight, x_shape, stride):
    """dy: (N, O, OH, OW), weight: (O, C, KH, KW), x_shape: (N, C, H, W), stride: (SH, SW).

    Returns dx: (N, C, H, W).
    """
    # BEGIN
    _, C, KH, KW = weight.shape
    SH, SW = stride
    out = np.zeros(x_shape)
    for n, o, oh, ow in np.ndindex(dy.shape):
        for c, i, j in np.ndindex(C, KH, KW):
            out[n, c, oh * SH + i, ow * SW + j] += dy[n, o, oh, ow] * weight[o, c, i, j]
    return out
    # END
