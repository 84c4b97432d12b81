"""Slips planted in convolutions, in many people's styles."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.learn.planted import slipped

# forward


@slipped("forward", "flipped")
def y1(x, w, b):
    views = sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", views, w[..., ::-1, ::-1]) + b.reshape(1, -1, 1, 1)


@slipped("forward", "bias_forgotten")
def y2(x, w, b):
    return np.einsum("nchwij,ocij->nohw", sliding_window_view(x, w.shape[2:], axis=(2, 3)), w)


@slipped("forward", "bias_too_often")
def y3(x, w, b):
    oh, ow = x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1
    out = np.zeros((len(x), len(w), oh, ow))
    for c in range(x.shape[1]):
        for i in range(oh):
            for j in range(ow):
                win = x[:, c, i : i + w.shape[2], j : j + w.shape[3]]
                out[:, :, i, j] += np.tensordot(win, w[:, c], ([1, 2], [1, 2])) + b
    return out


@slipped("forward", "channels_last")
def y4(x, w, b):
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    out = np.zeros((N, F, H - HH + 1, W - WW + 1))
    for f in range(F):
        for c in range(C):
            views = sliding_window_view(x[:, c], (HH, WW), axis=(1, 2))
            out[:, f] = (views * w[f, c]).sum((-1, -2)) + b[f]
    return out


@slipped("forward", "channels_mixed")
def y5(x, w, b):
    views = sliding_window_view(x.sum(1), w.shape[2:], axis=(1, 2))
    return np.einsum("nhwij,oij->nohw", views, w.sum(axis=1)) + b[None, :, None, None]


@slipped("forward", "overwritten")
def y6(x, w, b):
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    out = np.zeros((N, F, H - HH + 1, W - WW + 1))
    for n in range(N):
        for f in range(F):
            for p in range(out.shape[2]):
                for q in range(out.shape[3]):
                    for c in range(C):
                        for i in range(HH):
                            for j in range(WW):
                                out[n, f, p, q] = x[n, c, p + i, q + j] * w[f, c, i, j]
                    out[n, f, p, q] += b[f]
    return out


@slipped("forward", "mean")
def y7(x, w, b):
    views = sliding_window_view(x, w.shape[2:], axis=(2, 3))[:, None]
    return (views * w[:, :, None, None]).mean(axis=(2, -1, -2)) + b[:, None, None]


@slipped("forward", "outputs_short")
def y8(x, w, b):
    oh, ow = x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1
    out = np.zeros((len(x), len(w), oh, ow)) + b[:, None, None]
    for i in range(oh - 1):
        for j in range(ow - 1):
            win = x[:, :, i : i + w.shape[2], j : j + w.shape[3]]
            out[:, :, i, j] += np.tensordot(win, w, ([1, 2, 3], [1, 2, 3]))
    return out


@slipped("forward", "output_small")
def y9(x, w, b):
    oh, ow = x.shape[2] - w.shape[2], x.shape[3] - w.shape[3]
    kh, kw = w.shape[2:]
    rows = [
        [np.tensordot(x[:, :, i : i + kh, j : j + kw], w, ([1, 2, 3],) * 2) + b for j in range(ow)]
        for i in range(oh)
    ]
    return np.array(rows).transpose(2, 3, 0, 1)


@slipped("forward", "window_short")
def y10(x, w, b):
    oh, ow = x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1
    out = np.zeros((len(x), len(w), oh, ow))
    for i in range(w.shape[2] - 1):
        for j in range(w.shape[3] - 1):
            out += np.einsum("nchw,oc->nohw", x[:, :, i : i + oh, j : j + ow], w[:, :, i, j])
    return out + b.reshape(-1, 1, 1)


@slipped("forward", "rows_for_columns")
def y11(x, w, b):
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    out = np.zeros((N, F, H - HH + 1, W - WW + 1))
    for n, f, p, q in np.ndindex(out.shape):
        out[n, f, p, q] = (x[n, :, p : p + HH, q : q + WW] * w[f].transpose(0, 2, 1)).sum() + b[f]
    return out


# db


@slipped("dbias", "mean")
def b1(dy):
    return np.mean(dy, axis=(0, 2, 3))


@slipped("dbias", "mean_of_images")
def b2(dy):
    m = dy.shape[0]
    return 1 / m * np.sum(dy, axis=(0, 2, 3))


@slipped("dbias", "images_last")
def b3(dy):
    for example in dy:
        grad = example.sum(axis=(1, 2))
    return grad


@slipped("dbias", "all_kernels")
def b4(dy):
    return np.full((dy.shape[1],), np.sum(dy))


@slipped("dbias", "other_axes")
def b5(dy):
    return dy.sum(axis=(1, 2, 3))


@slipped("dbias", "first_place")
def b6(dy):
    return np.array([sum(image[o][0][0] for image in dy) for o in range(dy.shape[1])])


# dW


@slipped("dweight", "flipped")
def w1(dy, x):
    KH, KW = x.shape[2] - dy.shape[2] + 1, x.shape[3] - dy.shape[3] + 1
    grad = np.empty((dy.shape[1], x.shape[1], KH, KW))
    for i in range(KH):
        for j in range(KW):
            patch = x[:, :, i : i + dy.shape[2], j : j + dy.shape[3]]
            grad[:, :, KH - 1 - i, KW - 1 - j] = np.einsum("nohw,nchw->oc", dy, patch)
    return grad


@slipped("dweight", "overwritten")
def w2(dout, x):
    N, F, OH, OW = dout.shape
    HH, WW = x.shape[2] - OH + 1, x.shape[3] - OW + 1
    dw = np.zeros((F, x.shape[1], HH, WW))
    for n in range(N):
        for f in range(F):
            for i in range(OH):
                for j in range(OW):
                    dw[f] = dout[n, f, i, j] * x[n, :, i : i + HH, j : j + WW]
    return dw


@slipped("dweight", "mean_of_images")
def w3(dy, x):
    v = sliding_window_view(x, dy.shape[2:], axis=(2, 3))
    return np.tensordot(dy, v, axes=([0, 2, 3], [0, 4, 5])) / x.shape[0]


@slipped("dweight", "images_last")
def w4(dy, x):
    for d, image in zip(dy, x, strict=True):
        v = sliding_window_view(image, dy.shape[2:], axis=(1, 2))
        dw = np.einsum("ohw,cijhw->ocij", d, v)
    return dw


@slipped("dweight", "images_first")
def w5(dy, x):
    v = sliding_window_view(x[0], dy.shape[2:], axis=(1, 2))
    return np.einsum("ohw,cijhw->ocij", dy[0], v)


@slipped("dweight", "channels_mixed")
def w6(dy, x):
    v = sliding_window_view(x.sum(1, keepdims=True) + 0 * x, dy.shape[2:], axis=(2, 3))
    return np.einsum("nohw,ncijhw->ocij", dy, v)


@slipped("dweight", "all_kernels")
def w7(dy, x):
    v = sliding_window_view(x, dy.shape[2:], axis=(2, 3))
    return np.stack([np.einsum("nohw,ncijhw->cij", dy, v)] * dy.shape[1])


@slipped("dweight", "dy_forgotten")
def w8(dy, x):
    v = sliding_window_view(x, dy.shape[2:], axis=(2, 3)).sum(axis=(0, 4, 5))
    return np.array([v for _ in range(dy.shape[1])])


@slipped("dweight", "outputs_short")
def w9(dy, x):
    N, F, OH, OW = dy.shape
    HH, WW = x.shape[2] - OH + 1, x.shape[3] - OW + 1
    dw = np.zeros((F, x.shape[1], HH, WW))
    for i in range(OH - 1):
        for j in range(OW - 1):
            dw += np.tensordot(dy[:, :, i, j], x[:, :, i : i + HH, j : j + WW], (0, 0))
    return dw


@slipped("dweight", "transposed_to")
def w10(dy, x):
    v = sliding_window_view(x, dy.shape[2:], axis=(2, 3))
    return np.einsum("nohw,ncijhw->coij", dy, v)


@slipped("dweight", "other_order")
def w11(dy, x):
    v = sliding_window_view(x, dy.shape[2:], axis=(2, 3))
    dw = np.einsum("nohw,ncijhw->cijo", dy, v)
    return dw.reshape(dy.shape[1], x.shape[1], v.shape[2], v.shape[3])


@slipped("dweight", "not_summed_over")
def w12(dy, x):
    v = sliding_window_view(x, dy.shape[2:], axis=(2, 3))
    return np.einsum("nohw,ncijhw->nocij", dy, v)


# dx


@slipped("dx", "flipped")
def x1(dy, w):
    kh, kw = w.shape[2:]
    padded = np.pad(dy, [(0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)])
    views = sliding_window_view(padded, (kh, kw), axis=(2, 3))
    return np.einsum("nohwij,ocij->nchw", views, w)


@slipped("dx", "flipped_rows")
def x2(dy, w):
    kh, kw = w.shape[2:]
    padded = np.pad(dy, [(0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)])
    views = sliding_window_view(padded, (kh, kw), axis=(2, 3))
    return np.einsum("nohwij,ocij->nchw", views, w[:, :, :, ::-1])


@slipped("dx", "overwritten")
def x3(dout, w):
    N, F, OH, OW = dout.shape
    _, C, HH, WW = w.shape
    dx = np.zeros((N, C, OH + HH - 1, OW + WW - 1))
    for n in range(N):
        for i in range(OH):
            for j in range(OW):
                dx[n, :, i : i + HH, j : j + WW] = (w * dout[n, :, i, j, None, None, None]).sum(0)
    return dx


@slipped("dx", "kernels_last")
def x4(dout, w):
    N, F, OH, OW = dout.shape
    _, C, HH, WW = w.shape
    for f in range(F):
        dx = np.zeros((N, C, OH + HH - 1, OW + WW - 1))
        for i in range(OH):
            for j in range(OW):
                dx[:, :, i : i + HH, j : j + WW] += w[f] * dout[:, f, i, j].reshape(-1, 1, 1, 1)
    return dx


@slipped("dx", "kernels_mixed")
def x5(dy, w):
    (n, o, oh, ow), (_, c, kh, kw) = dy.shape, w.shape
    dx = np.zeros((n, c, oh + kh - 1, ow + kw - 1))
    for i in range(kh):
        for j in range(kw):
            total = dy.sum(axis=1)[:, None] * w.sum(0)[None, :, i, j, None, None]
            dx[:, :, i : i + oh, j : j + ow] += total
    return dx


@slipped("dx", "no_frame")
def x6(dy, w):
    views = sliding_window_view(dy, w.shape[2:], axis=(2, 3))
    return np.einsum("nohwij,ocij->nchw", views, np.flip(w, axis=(2, 3)))


@slipped("dx", "negative_index")
def x7(dy, w):
    (n, o, oh, ow), (_, c, kh, kw) = dy.shape, w.shape
    dx = np.zeros((n, c, oh + kh - 1, ow + kw - 1))
    for h in range(dx.shape[2]):
        for v in range(dx.shape[3]):
            for i in range(kh):
                for j in range(kw):
                    if h - i < oh and v - j < ow:
                        dx[:, :, h, v] += dy[:, :, h - i, v - j] @ w[:, :, i, j]
    return dx


@slipped("dx", "other_side")
def x8(dy, w):
    (n, o, oh, ow), (_, c, kh, kw) = dy.shape, w.shape
    dx = np.zeros((n, c, oh + kh - 1, ow + kw - 1))
    padded = np.pad(dy, ((0, 0), (0, 0), (0, 2 * kh), (0, 2 * kw)))
    for h, v in np.ndindex(dx.shape[2:]):
        dx[:, :, h, v] = np.tensordot(
            padded[:, :, h : h + kh, v : v + kw], w, ([1, 2, 3], [0, 2, 3])
        )
    return dx


@slipped("dx", "averaged")
def x9(dy, w):
    (n, o, oh, ow), (_, c, kh, kw) = dy.shape, w.shape
    dx, seen = np.zeros((n, c, oh + kh - 1, ow + kw - 1)), np.zeros((oh + kh - 1, ow + kw - 1))
    for p in range(oh):
        for q in range(ow):
            dx[:, :, p : p + kh, q : q + kw] += np.einsum("no,ocij->ncij", dy[:, :, p, q], w)
            seen[p : p + kh, q : q + kw] += 1
    return dx / seen


@slipped("dx", "channels_first")
def x10(dout, w):
    N, F, OH, OW = dout.shape
    _, C, HH, WW = w.shape
    dx = np.zeros((N, C, OH + HH - 1, OW + WW - 1))
    for n, f, i, j in np.ndindex(dout.shape):
        dx[n, :, i : i + HH, j : j + WW] += w[f][0] * dout[n, f, i, j]
    return dx


# with a stride


@slipped("stride", "stride_ignored")
def s1(dy, w, x_shape, stride):
    dx = np.zeros(x_shape)
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            dx[:, :, i : i + w.shape[2], j : j + w.shape[3]] += np.tensordot(dy[:, :, i, j], w, 1)
    return dx


@slipped("stride", "remainder_ignored")
def s2(dy, w, x_shape, stride):
    dx = np.zeros(x_shape)
    for h, v in np.ndindex(*x_shape[2:]):
        for i, j in np.ndindex(*w.shape[2:]):
            p, q = (h - i) // stride[0], (v - j) // stride[1]
            if 0 <= p < dy.shape[2] and 0 <= q < dy.shape[3]:
                dx[:, :, h, v] += dy[:, :, p, q] @ w[:, :, i, j]
    return dx


@slipped("stride", "left_over_missing")
def s3(dy, w, x_shape, stride):
    (N, O, OH, OW), (sh, sw) = dy.shape, stride
    kh, kw = w.shape[2:]
    spread = np.zeros((N, O, (OH - 1) * sh + 1, (OW - 1) * sw + 1))
    spread[:, :, ::sh, ::sw] = dy
    padded = np.pad(spread, ((0, 0), (0, 0), (kh - 1,) * 2, (kw - 1,) * 2))
    views = sliding_window_view(padded, (kh, kw), axis=(2, 3))
    return np.einsum("nohwij,ocij->nchw", views, np.flip(w, (2, 3)))


@slipped("stride", "left_over_first")
def s4(dy, w, x_shape, stride):
    short = s3(dy, w, x_shape, stride)
    return np.pad(short, [(0, 0), (0, 0)] + [(x_shape[k] - short.shape[k], 0) for k in (2, 3)])


@slipped("stride", "overwritten")
def s5(dy, w, x_shape, stride):
    dx = np.zeros(x_shape)
    for p in range(dy.shape[2]):
        for q in range(dy.shape[3]):
            a, b = p * stride[0], q * stride[1]
            dx[:, :, a : a + w.shape[2], b : b + w.shape[3]] = np.tensordot(dy[:, :, p, q], w, 1)
    return dx


@slipped("stride", "stride_of_one_axis")
def s6(dy, w, x_shape, stride):
    dx = np.zeros((*x_shape[:2], 40, 40))
    for p, q in np.ndindex(dy.shape[2:]):
        a, b = p * stride[0], q * stride[0]
        dx[:, :, a : a + w.shape[2], b : b + w.shape[3]] += np.tensordot(dy[:, :, p, q], w, 1)
    return dx[:, :, : x_shape[2], : x_shape[3]]


# im2col and col2im


def _out(x_shape, k, s, p, d):
    return [
        (size + 2 * pp - dd * (kk - 1) - 1) // ss + 1
        for size, kk, ss, pp, dd in zip(x_shape[2:], k, s, p, d, strict=True)
    ]


def _indices(k, s, d, out):
    rows = np.arange(k[0])[:, None] * d[0] + np.arange(out[0]) * s[0]
    cols = np.arange(k[1])[:, None] * d[1] + np.arange(out[1]) * s[1]
    return slice(None), slice(None), rows[:, None, :, None], cols[None, :, None, :]


def _framed(x, p, **how):
    return np.pad(x, [(0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])], **how)


@slipped("im2col", "dilation_ignored")
def i1(x, k, s, p, d):
    out = _out(x.shape, k, s, p, d)
    return _framed(x, p)[_indices(k, s, (1, 1), out)].reshape(len(x), -1, out[0] * out[1])


@slipped("im2col", "dilation_ignored")
def i8(x, k, s, p, d):
    out = _out(x.shape, k, s, p, (1, 1))
    return _framed(x, p)[_indices(k, s, (1, 1), out)].reshape(len(x), -1, out[0] * out[1])


@slipped("im2col", "row_order")
def i2(x, k, s, p, d):
    out = _out(x.shape, k, s, p, d)
    six = _framed(x, p)[_indices(k, s, d, out)]
    return six.transpose(0, 2, 3, 1, 4, 5).reshape(len(x), -1, out[0] * out[1])


@slipped("im2col", "column_order")
def i3(x, k, s, p, d):
    out = _out(x.shape, k, s, p, d)
    six = _framed(x, p)[_indices(k, s, d, out)]
    return six.swapaxes(4, 5).reshape(len(x), -1, out[0] * out[1])


@slipped("im2col", "rows_for_windows")
def i4(x, k, s, p, d):
    out = _out(x.shape, k, s, p, d)
    xp, rows = _framed(x, p), []
    for i in range(out[0]):
        for j in range(out[1]):
            a, b = i * s[0], j * s[1]
            window = xp[:, :, a : a + d[0] * (k[0] - 1) + 1 : d[0], b : b + d[1] * k[1] : d[1]]
            rows.append(window[..., : k[1]].reshape(len(x), -1))
    return np.stack(rows, axis=1)


@slipped("im2col", "edge")
def i5(x, k, s, p, d):
    out = _out(x.shape, k, s, p, d)
    return _framed(x, p, mode="edge")[_indices(k, s, d, out)].reshape(len(x), -1, out[0] * out[1])


@slipped("im2col", "padding_ignored")
def i6(x, k, s, p, d):
    out = _out(x.shape, k, s, (0, 0), d)
    return x[_indices(k, s, d, out)].reshape(len(x), -1, out[0] * out[1])


@slipped("im2col", "frame_at_start")
def i7(x, k, s, p, d):
    out = _out(x.shape, k, s, p, d)
    xp = np.pad(x, [(0, 0), (0, 0), (2 * p[0], 0), (2 * p[1], 0)])
    return xp[_indices(k, s, d, out)].reshape(len(x), -1, out[0] * out[1])


@slipped("col2im", "overwritten")
def c1(columns, x_shape, k, s, p, d):
    out = _out(x_shape, k, s, p, d)
    N, C, H, W = x_shape
    framed = np.zeros((N, C, H + 2 * p[0], W + 2 * p[1]))
    framed[_indices(k, s, d, out)] += columns.reshape(N, C, *k, *out)  # no np.add.at
    return framed[:, :, p[0] : p[0] + H, p[1] : p[1] + W]


@slipped("col2im", "frame_kept")
def c2(columns, x_shape, k, s, p, d):
    out = _out(x_shape, k, s, p, d)
    N, C, H, W = x_shape
    framed = np.zeros((N, C, H + 2 * p[0], W + 2 * p[1]))
    np.add.at(framed, _indices(k, s, d, out), columns.reshape(N, C, *k, *out))
    return framed


@slipped("col2im", "padding_ignored")
def c3(columns, x_shape, k, s, p, d):
    return c2(columns, x_shape, k, s, p, d)[:, :, : x_shape[2], : x_shape[3]]


@slipped("col2im", "frame_cut_at_end")
def c4(columns, x_shape, k, s, p, d):
    return c2(columns, x_shape, k, s, p, d)[:, :, 2 * p[0] :, 2 * p[1] :]


@slipped("col2im", "row_order")
def c5(columns, x_shape, k, s, p, d):
    out = _out(x_shape, k, s, p, d)
    N, C, H, W = x_shape
    framed = np.zeros((N, C, H + 2 * p[0], W + 2 * p[1]))
    six = columns.reshape(N, *k, C, *out).transpose(0, 3, 1, 2, 4, 5)
    np.add.at(framed, _indices(k, s, d, out), six)
    return framed[:, :, p[0] : p[0] + H, p[1] : p[1] + W]


@slipped("col2im", "strides_exchanged")
def c6(columns, x_shape, k, s, p, d):
    out = _out(x_shape, k, s, p, d)
    N, C, H, W = x_shape
    framed = np.zeros((N, C, H + 40, W + 40))
    np.add.at(framed, _indices(k, s[::-1], d, out), columns.reshape(N, C, *k, *out))
    return framed[:, :, p[0] : p[0] + H, p[1] : p[1] + W]
