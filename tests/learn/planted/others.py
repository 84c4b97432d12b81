"""Slips planted in pooling, dense layers, losses, sigmoids and steps, in many people's styles."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.learn.planted import slipped

# max pooling


@slipped("max_pool", "ties_all")
def m1(dy, x, k, s):
    dx = np.zeros_like(x)
    for n, c, p, q in np.ndindex(dy.shape):
        rows, cols = slice(p * s[0], p * s[0] + k[0]), slice(q * s[1], q * s[1] + k[1])
        window = x[n, c, rows, cols]
        dx[n, c, rows, cols] += (window == window.max()) * dy[n, c, p, q]
    return dx


@slipped("max_pool", "ties_split")
def m2(dy, x, k, s):
    dx = np.zeros_like(x)
    for n, c, p, q in np.ndindex(dy.shape):
        rows, cols = slice(p * s[0], p * s[0] + k[0]), slice(q * s[1], q * s[1] + k[1])
        mask = x[n, c, rows, cols] == np.max(x[n, c, rows, cols])
        dx[n, c, rows, cols] += mask / mask.sum() * dy[n, c, p, q]
    return dx


@slipped("max_pool", "ties_last")
def m3(dy, x, k, s):
    dx = np.zeros(x.shape)
    for n, c, p, q in np.ndindex(dy.shape):
        best, where = -np.inf, None
        for i in range(k[0]):
            for j in range(k[1]):
                if x[n, c, p * s[0] + i, q * s[1] + j] >= best:
                    best, where = x[n, c, p * s[0] + i, q * s[1] + j], (i, j)
        dx[n, c, p * s[0] + where[0], q * s[1] + where[1]] += dy[n, c, p, q]
    return dx


@slipped("max_pool", "overwritten")
def m4(dy, x, k, s):
    OH, OW = dy.shape[2:]
    views = sliding_window_view(x, k, axis=(2, 3))[:, :, :: s[0], :: s[1]][:, :, :OH, :OW]
    which = views.reshape(*dy.shape, -1).argmax(-1)
    n, c, p, q = np.indices(dy.shape)
    dx = np.zeros(x.shape)
    dx[n, c, p * s[0] + which // k[1], q * s[1] + which % k[1]] = dy
    return dx


@slipped("max_pool", "shared")
def m5(dy, x, k, s):
    dx = np.zeros(x.shape)
    for p, q in np.ndindex(dy.shape[2:]):
        part = dx[:, :, p * s[0] : p * s[0] + k[0], q * s[1] : q * s[1] + k[1]]
        part += dy[:, :, p : p + 1, q : q + 1] / (k[0] * k[1])
    return dx


@slipped("max_pool", "winner_of_channel_0")
def m6(dy, x, k, s):
    dx = np.zeros(x.shape)
    for n, p, q in np.ndindex(len(dy), *dy.shape[2:]):
        window = x[n, 0, p * s[0] : p * s[0] + k[0], q * s[1] : q * s[1] + k[1]]
        i, j = np.unravel_index(window.argmax(), k)
        dx[n, :, p * s[0] + i, q * s[1] + j] += dy[n, :, p, q]
    return dx


@slipped("max_pool", "corner")
def m7(dy, x, k, s):
    dx = np.zeros(x.shape)
    dx[:, :, : s[0] * dy.shape[2] : s[0], : s[1] * dy.shape[3] : s[1]] = dy
    return dx


@slipped("max_pool", "smallest")
def m8(dy, x, k, s):
    dx = np.zeros(x.shape)
    for n, c, p, q in np.ndindex(dy.shape):
        cells = [(p * s[0] + i, q * s[1] + j) for i in range(k[0]) for j in range(k[1])]
        h, w = min(cells, key=lambda cell: x[n, c, cell[0], cell[1]])
        dx[n, c, h, w] += dy[n, c, p, q]
    return dx


# average pooling


@slipped("avg_pool", "not_divided")
def a1(dy, x_shape, k, s):
    dx = np.zeros(x_shape)
    for p, q in np.ndindex(dy.shape[2:]):
        dx[:, :, p * s[0] : p * s[0] + k[0], q * s[1] : q * s[1] + k[1]] += dy[
            :, :, p, q, None, None
        ]
    return dx


@slipped("avg_pool", "overwritten")
def a2(dy, x_shape, k, s):
    dx = np.zeros(x_shape)
    for n, c, p, q in np.ndindex(dy.shape):
        share = dy[n, c, p, q] / np.prod(k)
        dx[n, c, p * s[0] : p * s[0] + k[0], q * s[1] : q * s[1] + k[1]] = share
    return dx


@slipped("avg_pool", "divided_by_a_side")
def a3(dy, x_shape, k, s):
    return a1(dy / k[0], x_shape, k, s)


@slipped("avg_pool", "stride_of_kernel")
def a4(dy, x_shape, k, s):
    spread = np.kron(dy / (k[0] * k[1]), np.ones(k))
    rows, cols = max(x_shape[2], spread.shape[2]), max(x_shape[3], spread.shape[3])
    dx = np.zeros((*x_shape[:2], rows, cols))
    dx[:, :, : spread.shape[2], : spread.shape[3]] = spread
    return dx[:, :, : x_shape[2], : x_shape[3]]


# a dense layer


@slipped("dense", "mean_of_images")
def d1(dy, x, w):
    m = x.shape[0]
    return dy @ w, dy.T @ x / m, dy.sum(axis=0) / m


@slipped("dense", "other_way_round")
def d2(dy, x, w):
    return dy.dot(w), x.T.dot(dy), dy.sum(0)


@slipped("dense", "other_axes")
def d3(dy, x, w):
    return dy @ w, dy.T @ x, dy.sum(axis=1)


@slipped("dense", "weight_transposed")
def d4(dy, x, w):
    return dy @ w.T, dy.T @ x, dy.sum(axis=0)


@slipped("dense", "overwritten")
def d5(dy, x, w):
    dw = np.zeros_like(w)
    for d, row in zip(dy, x, strict=True):
        dw[:] = np.outer(d, row)
    return np.einsum("mo,ok->mk", dy, w), dw, np.einsum("mo->o", dy)


@slipped("dense", "times_x")
def d6(dy, x, w):
    return x * (dy @ w), dy.T @ x, dy.sum(0)


@slipped("dense", "not_summed")
def d7(dy, x, w):
    return dy @ w, dy.T @ x, dy


@slipped("dense", "images_first")
def d8(dy, x, w):
    return dy @ w, sum(np.outer(d, row) for d, row in zip(dy, x, strict=True)), dy[0, :]


# softmax and cross-entropy


def _p(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _loss(z, t):
    return np.mean(np.logaddexp.reduce(z, axis=1) - z[np.arange(len(t)), t])


@slipped("cross_entropy", "unstable")
def l1(z, t):
    e = np.exp(z)
    p = e / np.sum(e, axis=1, keepdims=True)
    d = p.copy()
    d[np.arange(len(t)), t] -= 1
    return -np.mean(np.log(p[np.arange(len(t)), t])), d / len(t)


@slipped("cross_entropy", "unstable")
def l2(z, t):
    p = _p(z)
    loss = -sum(np.log(p[n, label]) for n, label in enumerate(t)) / len(t)
    return loss, (p - np.eye(z.shape[1])[t]) / len(t)


@slipped("cross_entropy", "epsilon")
def l3(z, t):
    p, onehot = _p(z), np.eye(z.shape[1])[t]
    return -np.sum(onehot * np.log(p + 1e-9)) / len(t), (p - onehot) / len(t)


@slipped("cross_entropy", "sum_for_mean")
def l4(z, t):
    d = _p(z)
    d[range(len(t)), t] -= 1
    return _loss(z, t) * len(t), d / len(t)


@slipped("cross_entropy", "not_divided")
def l5(z, t):
    return _loss(z, t), _p(z) - np.eye(z.shape[1])[t]


@slipped("cross_entropy", "divided_twice")
def l6(z, t):
    d = (_p(z) - np.eye(z.shape[1])[t]) / len(z)
    return _loss(z, t), d / len(z)


@slipped("cross_entropy", "targets_minus_p")
def l7(z, t):
    return _loss(z, t), (np.equal.outer(t, np.arange(z.shape[1])) - _p(z)) / len(t)


@slipped("cross_entropy", "gradient_of_p")
def l8(z, t):
    with np.errstate(all="ignore"):
        d = np.zeros(z.shape)
        d[np.arange(len(t)), t] = -1 / _p(z)[np.arange(len(t)), t] / len(t)
    return _loss(z, t), d


@slipped("cross_entropy", "targets_forgotten")
def l9(z, t):
    return _loss(z, t), np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True)) / len(z)


# sigmoid


@slipped("sigmoid", "dy_forgotten")
def g1(x, dy):
    y = 1 / (1 + np.exp(-x))
    return y, y * (1 - y)


@slipped("sigmoid", "x_for_y")
def g2(x, dy):
    return 1 / (1 + np.exp(-x)), dy * x * (1 - x)


@slipped("sigmoid", "derivative_of_tanh")
def g3(x, dy):
    y = 1 / (1 + np.exp(-x))
    return y, dy * (1 - np.square(y))


@slipped("sigmoid", "unstable")
def g4(x, dy):
    y = np.exp(x) / (np.exp(x) + 1)
    return y, dy * y * (1 - y)


@slipped("sigmoid", "sign_of_x")
def g5(x, dy):
    y = 1.0 / (1.0 + np.exp(x))
    return y, dy * y * (1 - y)


@slipped("sigmoid", "derivative_at_y")
def g6(x, dy):
    def s(v):
        return 1 / (1 + np.exp(-v))

    y = s(x)
    return y, dy * s(y) * (1 - s(y))


# a step of SGD


@slipped("sgd", "old_velocity")
def o1(w, dw, v, lr, mu):
    w = w - lr * v
    v = mu * v + dw
    return w, v


@slipped("sgd", "lr_in_velocity")
def o2(w, dw, v, lr, mu):
    v = mu * v + lr * dw
    return w - v, v


@slipped("sgd", "running_mean")
def o3(w, dw, v, beta_lr, beta):
    v = beta * v + (1 - beta) * dw
    return w - beta_lr * v, v


@slipped("sgd", "uphill")
def o4(w, dw, v, lr, mu):
    v = np.add(mu * v, dw)
    return w + lr * v, v


@slipped("sgd", "velocity_minus_gradient")
def o5(w, dw, v, lr, mu):
    v = mu * v - dw
    return w + lr * v, v


@slipped("sgd", "nesterov")
def o6(w, dw, v, lr, mu):
    v = mu * v + dw
    return w - lr * (dw + mu * v), v


@slipped("sgd", "momentum_forgotten")
def o7(w, dw, v, lr, mu):
    return w - lr * dw, mu * v + dw
