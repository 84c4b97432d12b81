import numpy as np


def max_pool_dx(dy, x, kernel_size, stride):
    """dy: (N, C, OH, OW), x: (N, C, H, W), the others pairs; returns dx: (N, C, H, W)."""
    # BEGIN
    (KH, KW), (SH, SW) = kernel_size, stride
    bottom, right = SH * (dy.shape[2] - 1) + 1, SW * (dy.shape[3] - 1) + 1
    largest, winner = np.full(dy.shape, -np.inf), np.zeros(dy.shape, int)
    for k, (i, j) in enumerate(np.ndindex(KH, KW)):  # what all windows see at their cell (i, j)
        cell = x[:, :, i : i + bottom : SH, j : j + right : SW]
        winner = np.where(cell > largest, k, winner)  # >: of equal cells the first one stays
        largest = np.maximum(cell, largest)
    dx = np.zeros(x.shape)
    for k, (i, j) in enumerate(np.ndindex(KH, KW)):
        dx[:, :, i : i + bottom : SH, j : j + right : SW] += np.where(winner == k, dy, 0)
    return dx
    # END
