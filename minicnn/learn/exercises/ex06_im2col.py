import numpy as np


def im2col(x, kernel_size, stride, padding, dilation):
    """x: (N, C, H, W), the others pairs (of rows, of columns); returns (N, C KH KW, OH OW)."""
    # BEGIN
    N, C, H, W = x.shape
    (KH, KW), (SH, SW), (PH, PW), (DH, DW) = kernel_size, stride, padding, dilation
    OH = (H + 2 * PH - DH * (KH - 1) - 1) // SH + 1
    OW = (W + 2 * PW - DW * (KW - 1) - 1) // SW + 1
    framed = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
    columns = np.zeros((N, C, KH, KW, OH, OW), x.dtype)
    for i, j in np.ndindex(KH, KW):
        top, left = i * DH, j * DW
        bottom, right = top + SH * (OH - 1) + 1, left + SW * (OW - 1) + 1
        columns[:, :, i, j] = framed[:, :, top:bottom:SH, left:right:SW]
    return columns.reshape(N, C * KH * KW, OH * OW)
    # END
