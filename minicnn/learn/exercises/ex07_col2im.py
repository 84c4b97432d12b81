import numpy as np


def col2im(columns, x_shape, kernel_size, stride, padding, dilation):
    """columns: (N, C KH KW, OH OW), x_shape: (N, C, H, W), the others pairs; returns x_shape."""
    # BEGIN
    N, C, H, W = x_shape
    (KH, KW), (SH, SW), (PH, PW), (DH, DW) = kernel_size, stride, padding, dilation
    OH = (H + 2 * PH - DH * (KH - 1) - 1) // SH + 1
    OW = (W + 2 * PW - DW * (KW - 1) - 1) // SW + 1
    columns = columns.reshape(N, C, KH, KW, OH, OW)
    framed = np.zeros((N, C, H + 2 * PH, W + 2 * PW), columns.dtype)
    for i, j in np.ndindex(KH, KW):
        top, left = i * DH, j * DW
        bottom, right = top + SH * (OH - 1) + 1, left + SW * (OW - 1) + 1
        framed[:, :, top:bottom:SH, left:right:SW] += columns[:, :, i, j]
    return framed[:, :, PH : PH + H, PW : PW + W]
    # END
