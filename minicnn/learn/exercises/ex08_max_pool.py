import numpy as np


def max_pool_dx(dy, x, kernel_size, stride):
    """dy: (N, C, OH, OW), x: (N, C, H, W), the others pairs; returns dx: (N, C, H, W)."""
    # BEGIN
    (KH, KW), (SH, SW) = kernel_size, stride
    dx = np.zeros(x.shape)
    for n, c, oh, ow in np.ndindex(dy.shape):
        window = x[n, c, oh * SH : oh * SH + KH, ow * SW : ow * SW + KW]
        i, j = divmod(int(window.argmax()), KW)  # argmax: the first of equal cells
        dx[n, c, oh * SH + i, ow * SW + j] += dy[n, c, oh, ow]
    return dx
    # END
