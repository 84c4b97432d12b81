import numpy as np


def avg_pool_dx(dy, x_shape, kernel_size, stride):
    """dy: (N, C, OH, OW), x_shape: (N, C, H, W), the others pairs; returns dx: x_shape."""
    # BEGIN
    (KH, KW), (SH, SW) = kernel_size, stride
    dx = np.zeros(x_shape)
    for n, c, oh, ow in np.ndindex(dy.shape):
        dx[n, c, oh * SH : oh * SH + KH, ow * SW : ow * SW + KW] += dy[n, c, oh, ow] / (KH * KW)
    return dx
    # END
