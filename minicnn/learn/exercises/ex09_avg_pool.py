import numpy as np


def avg_pool_dx(dy, x_shape, kernel_size, stride):
    """dy: (N, C, OH, OW), x_shape: (N, C, H, W), the others pairs; returns dx: (N, C, H, W)."""
    # BEGIN
    (KH, KW), (SH, SW) = kernel_size, stride
    bottom, right = SH * (dy.shape[2] - 1) + 1, SW * (dy.shape[3] - 1) + 1
    dx = np.zeros(x_shape)
    for i, j in np.ndindex(KH, KW):  # cell (i, j) of all windows
        dx[:, :, i : i + bottom : SH, j : j + right : SW] += dy / (KH * KW)
    return dx
    # END
