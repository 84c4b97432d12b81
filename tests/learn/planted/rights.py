"""Three right answers to every exercise: loops, NumPy on whole arrays, and something else."""

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from tests.learn.planted import right


@right("forward")
def f1(x, w, b):
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    out = np.zeros((N, F, 1 + H - HH, 1 + W - WW))
    for n in range(N):
        for f in range(F):
            for i in range(out.shape[2]):
                for j in range(out.shape[3]):
                    out[n, f, i, j] = np.sum(x[n, :, i : i + HH, j : j + WW] * w[f]) + b[f]
    return out


@right("forward")
def f2(x, w, b):
    views = sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", views, w) + b.reshape(1, -1, 1, 1)


@right("forward")
def f3(x, w, b):
    oh, ow = x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1
    parts = [
        np.tensordot(w[:, :, i, j], x[:, :, i : i + oh, j : j + ow], axes=(1, 1))
        for i in range(w.shape[2])
        for j in range(w.shape[3])
    ]
    return sum(parts).transpose(1, 0, 2, 3) + b[:, None, None]


@right("dbias")
def b1(dout):
    return np.sum(dout, axis=(0, 2, 3))


@right("dbias")
def b2(dy):
    grad = np.zeros(dy.shape[1])
    for example in dy:
        grad += example.reshape(len(example), -1).sum(1)
    return grad


@right("dbias")
def b3(dy):
    return np.array([dy[:, o].sum() for o in range(dy.shape[1])])


@right("dweight")
def w1(dy, x):
    KH, KW = x.shape[2] - dy.shape[2] + 1, x.shape[3] - dy.shape[3] + 1
    grad = np.empty((dy.shape[1], x.shape[1], KH, KW))
    for i in range(KH):
        for j in range(KW):
            patch = x[:, :, i : i + dy.shape[2], j : j + dy.shape[3]]
            grad[:, :, i, j] = np.einsum("nohw,nchw->oc", dy, patch)
    return grad


@right("dweight")
def w2(dy, x):
    v = sliding_window_view(x, dy.shape[2:], axis=(2, 3))
    return np.tensordot(dy, v, axes=([0, 2, 3], [0, 4, 5]))


@right("dweight")
def w3(dout, x):
    N, F, OH, OW = dout.shape
    HH, WW = x.shape[2] - OH + 1, x.shape[3] - OW + 1
    dw = np.zeros((F, x.shape[1], HH, WW))
    for n in range(N):
        for f in range(F):
            for i in range(OH):
                for j in range(OW):
                    dw[f] += dout[n, f, i, j] * x[n, :, i : i + HH, j : j + WW]
    return dw


@right("dx")
def x1(dout, w):
    N, F, OH, OW = dout.shape
    _, C, HH, WW = w.shape
    dx = np.zeros((N, C, OH + HH - 1, OW + WW - 1))
    for n in range(N):
        for f in range(F):
            for i in range(OH):
                for j in range(OW):
                    dx[n, :, i : i + HH, j : j + WW] += w[f] * dout[n, f, i, j]
    return dx


@right("dx")
def x2(dy, w):
    kh, kw = w.shape[2:]
    padded = np.pad(dy, [(0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)])
    views = sliding_window_view(padded, (kh, kw), axis=(2, 3))
    return np.einsum("nohwij,ocij->nchw", views, w[:, :, ::-1, ::-1])


@right("dx")
def x3(dy, w):
    (n, o, oh, ow), (_, c, kh, kw) = dy.shape, w.shape
    dcols = w.reshape(o, -1).T @ dy.reshape(n, o, -1)
    dcols = dcols.reshape(n, c, kh, kw, oh, ow)
    dx = np.zeros((n, c, oh + kh - 1, ow + kw - 1))
    for i in range(kh):
        for j in range(kw):
            dx[:, :, i : i + oh, j : j + ow] += dcols[:, :, i, j]
    return dx


@right("stride")
def s1(dy, w, x_shape, stride):
    dx = np.zeros(x_shape)
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            a, b = i * stride[0], j * stride[1]
            dx[:, :, a : a + w.shape[2], b : b + w.shape[3]] += np.tensordot(dy[:, :, i, j], w, 1)
    return dx


@right("stride")
def s2(dy, w, x_shape, stride):
    (N, C, H, W), (sh, sw) = x_shape, stride
    kh, kw = w.shape[2:]
    spread = np.zeros((N, len(w), H - kh + 1, W - kw + 1))
    spread[:, :, ::sh, ::sw] = dy
    padded = np.pad(spread, ((0, 0), (0, 0), (kh - 1,) * 2, (kw - 1,) * 2))
    views = sliding_window_view(padded, (kh, kw), axis=(2, 3))
    return np.einsum("nohwij,ocij->nchw", views, np.flip(w, (2, 3)))


@right("stride")
def s3(dy, w, x_shape, stride):
    dx = np.zeros(x_shape)
    for h in range(x_shape[2]):
        for ww in range(x_shape[3]):
            for i in range(w.shape[2]):
                for j in range(w.shape[3]):
                    p, r = divmod(h - i, stride[0])
                    q, s = divmod(ww - j, stride[1])
                    if r == s == 0 and 0 <= p < dy.shape[2] and 0 <= q < dy.shape[3]:
                        dx[:, :, h, ww] += dy[:, :, p, q] @ w[:, :, i, j]
    return dx


def _out(x_shape, k, s, p, d):
    return [
        (size + 2 * pp - dd * (kk - 1) - 1) // ss + 1
        for size, kk, ss, pp, dd in zip(x_shape[2:], k, s, p, d, strict=True)
    ]


@right("im2col")
def i1(x, kernel, stride, pad, dilation):
    OH, OW = _out(x.shape, kernel, stride, pad, dilation)
    xp = np.pad(x, [(0, 0), (0, 0), (pad[0],) * 2, (pad[1],) * 2])
    out = []
    for i in range(OH):
        for j in range(OW):
            a, b = i * stride[0], j * stride[1]
            rows = slice(a, a + dilation[0] * (kernel[0] - 1) + 1, dilation[0])
            cols = slice(b, b + dilation[1] * (kernel[1] - 1) + 1, dilation[1])
            out.append(xp[:, :, rows, cols].reshape(len(x), -1))
    return np.stack(out, axis=2)


@right("im2col")
def i2(x, kernel, stride, pad, dilation):
    OH, OW = _out(x.shape, kernel, stride, pad, dilation)
    xp = np.pad(x, [(0, 0), (0, 0), (pad[0],) * 2, (pad[1],) * 2])
    N, C = x.shape[:2]
    a, b, c, d = xp.strides
    view = as_strided(
        xp,
        (N, C, *kernel, OH, OW),
        (a, b, c * dilation[0], d * dilation[1], c * stride[0], d * stride[1]),
    )
    return view.reshape(N, C * kernel[0] * kernel[1], -1).copy()


@right("im2col")
def i3(x, kernel, stride, pad, dilation):
    OH, OW = _out(x.shape, kernel, stride, pad, dilation)
    xp = np.pad(x, [(0, 0), (0, 0), (pad[0],) * 2, (pad[1],) * 2])
    rows = np.arange(kernel[0])[:, None] * dilation[0] + np.arange(OH) * stride[0]
    cols = np.arange(kernel[1])[:, None] * dilation[1] + np.arange(OW) * stride[1]
    picked = xp[:, :, rows[:, None, :, None], cols[None, :, None, :]]
    return picked.reshape(len(x), -1, OH * OW)


@right("col2im")
def c1(columns, x_shape, kernel, stride, pad, dilation):
    OH, OW = _out(x_shape, kernel, stride, pad, dilation)
    N, C, H, W = x_shape
    cols = columns.reshape(N, C, *kernel, OH, OW)
    out = np.zeros((N, C, H + 2 * pad[0], W + 2 * pad[1]))
    for p in range(OH):
        for q in range(OW):
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    h, w = p * stride[0] + i * dilation[0], q * stride[1] + j * dilation[1]
                    out[:, :, h, w] += cols[:, :, i, j, p, q]
    return out[:, :, pad[0] : H + pad[0], pad[1] : W + pad[1]]


@right("col2im")
def c2(columns, x_shape, kernel, stride, pad, dilation):
    OH, OW = _out(x_shape, kernel, stride, pad, dilation)
    N, C, H, W = x_shape
    out = np.zeros((N, C, H + 2 * pad[0], W + 2 * pad[1]))
    rows = np.arange(kernel[0])[:, None] * dilation[0] + np.arange(OH) * stride[0]
    cols = np.arange(kernel[1])[:, None] * dilation[1] + np.arange(OW) * stride[1]
    index = (slice(None), slice(None), rows[:, None, :, None], cols[None, :, None, :])
    np.add.at(out, index, columns.reshape(N, C, *kernel, OH, OW))
    return out[:, :, pad[0] : H + pad[0], pad[1] : W + pad[1]]


@right("col2im")
def c3(columns, x_shape, kernel, stride, pad, dilation):
    OH, OW = _out(x_shape, kernel, stride, pad, dilation)
    N, C, H, W = x_shape
    cols = columns.reshape(N, C, *kernel, OH, OW)
    out = np.zeros((N, C, H + 2 * pad[0] + stride[0], W + 2 * pad[1] + stride[1]))
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            a, b = i * dilation[0], j * dilation[1]
            out[:, :, a : a + OH * stride[0] : stride[0], b : b + OW * stride[1] : stride[1]][
                :, :, :OH, :OW
            ] += cols[:, :, i, j]
    return out[:, :, pad[0] :, pad[1] :][:, :, :H, :W]


@right("max_pool")
def m1(dy, x, k, s):
    dx = np.zeros_like(x)
    for n in range(dy.shape[0]):
        for c in range(dy.shape[1]):
            for i in range(dy.shape[2]):
                for j in range(dy.shape[3]):
                    win = x[n, c, i * s[0] : i * s[0] + k[0], j * s[1] : j * s[1] + k[1]]
                    r, t = np.unravel_index(np.argmax(win), win.shape)
                    dx[n, c, i * s[0] + r, j * s[1] + t] += dy[n, c, i, j]
    return dx


@right("max_pool")
def m2(dy, x, k, s):
    OH, OW = dy.shape[2:]
    views = sliding_window_view(x, k, axis=(2, 3))[:, :, :: s[0], :: s[1]][:, :, :OH, :OW]
    which = views.reshape(*dy.shape, -1).argmax(-1)
    n, c, p, q = np.indices(dy.shape)
    dx = np.zeros(x.shape)
    np.add.at(dx, (n, c, p * s[0] + which // k[1], q * s[1] + which % k[1]), dy)
    return dx


@right("max_pool")
def m3(dy, x, k, s):
    dx = np.zeros(x.shape)
    for n, c, p, q in np.ndindex(*dy.shape):
        cells = [(p * s[0] + i, q * s[1] + j) for i in range(k[0]) for j in range(k[1])]
        h, w = max(cells, key=lambda cell: x[n, c, cell[0], cell[1]])
        dx[n, c, h, w] += dy[n, c, p, q]
    return dx


@right("avg_pool")
def a1(dy, x_shape, k, s):
    dx = np.zeros(x_shape)
    for i in range(k[0]):
        for j in range(k[1]):
            part = dx[:, :, i : i + s[0] * dy.shape[2] : s[0], j : j + s[1] * dy.shape[3] : s[1]]
            part[:, :, : dy.shape[2], : dy.shape[3]] += dy / (k[0] * k[1])
    return dx


@right("avg_pool")
def a2(dy, x_shape, k, s):
    dx = np.zeros(x_shape)
    for p in range(dy.shape[2]):
        for q in range(dy.shape[3]):
            share = dy[:, :, p, q, None, None] * np.full(k, 1 / np.prod(k))
            dx[:, :, p * s[0] : p * s[0] + k[0], q * s[1] : q * s[1] + k[1]] += share
    return dx


@right("avg_pool")
def a3(dy, x_shape, k, s):
    rows = np.zeros((x_shape[2], dy.shape[2]))
    cols = np.zeros((dy.shape[3], x_shape[3]))
    for p in range(dy.shape[2]):
        rows[p * s[0] : p * s[0] + k[0], p] = 1 / k[0]
    for q in range(dy.shape[3]):
        cols[q, q * s[1] : q * s[1] + k[1]] = 1 / k[1]
    return rows @ dy @ cols


@right("dense")
def d1(dout, x, w):
    return dout @ w, dout.T @ x, dout.sum(0)


@right("dense")
def d2(dy, x, w):
    dx = np.einsum("mo,ok->mk", dy, w)
    dw = np.einsum("mo,mk->ok", dy, x)
    return [dx, dw, np.einsum("mo->o", dy)]


@right("dense")
def d3(dy, x, w):
    dx = np.array([sum(dy[m, o] * w[o] for o in range(len(w))) for m in range(len(x))])
    dw = sum(np.outer(dy[m], x[m]) for m in range(len(x)))
    return dx, dw, sum(dy)


@right("cross_entropy")
def l1(scores, y):
    z = scores - np.max(scores, axis=1, keepdims=True)
    p = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    loss = -np.sum(log_p[range(len(y)), y]) / len(y)
    d = p.copy()
    d[range(len(y)), y] -= 1
    return loss, d / len(y)


@right("cross_entropy")
def l2(scores, y):
    total, grads = 0.0, []
    for row, label in zip(scores, y, strict=True):
        top = max(row)
        logsum = top + np.log(sum(np.exp(v - top) for v in row))
        total += logsum - row[label]
        grads.append([np.exp(v - logsum) - (k == label) for k, v in enumerate(row)])
    return total / len(y), np.array(grads) / len(y)


@right("cross_entropy")
def l3(scores, y):
    onehot = np.equal.outer(y, np.arange(scores.shape[1]))
    lse = np.logaddexp.reduce(scores, axis=1)
    return np.mean(lse - scores[onehot]), (np.exp(scores - lse[:, None]) - onehot) / len(scores)


@right("sigmoid")
def g1(x, dy):
    y = 0.5 * (1 + np.tanh(x / 2))
    return y, y * (1 - y) * dy


@right("sigmoid")
def g2(x, dout):
    s = 1 / (1 + np.exp(-x))
    return s, dout * s * (1.0 - s)


@right("sigmoid")
def g3(x, dy):
    y = np.empty_like(x)
    y[x >= 0] = 1 / (1 + np.exp(-x[x >= 0]))
    e = np.exp(x[x < 0])
    y[x < 0] = e / (1 + e)
    return y, (y - y**2) * dy


@right("sgd")
def o1(w, dw, v, lr, mu):
    v = mu * v + dw
    w = w - lr * v
    return w, v


@right("sgd")
def o2(w, dw, v, lr, mu):
    new = np.add(np.multiply(mu, v), dw)
    return np.subtract(w, np.multiply(lr, new)), new


@right("sgd")
def o3(w, g, v, lr, m):
    w, v = w.copy(), v.copy()
    for k in np.ndindex(w.shape):
        v[k] = m * v[k] + g[k]
        w[k] -= lr * v[k]
    return w, v
