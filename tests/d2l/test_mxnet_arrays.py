"""nd and np: shapes, dtypes and printed forms, as MXNet 1.9.1 gave them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.d2l.mxnet_here import mx, mx_np

__all__ = ["mx", "mx_np"]

CELLS = [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("X", "\n[[1. 2. 3.]\n [4. 5. 6.]]\n<NDArray 2x3 @cpu(0)>"),
        ("X == 2", "\n[[0. 1. 0.]\n [0. 0. 0.]]\n<NDArray 2x3 @cpu(0)>"),
        ("3 < X", "\n[[0. 0. 0.]\n [1. 1. 1.]]\n<NDArray 2x3 @cpu(0)>"),
        ("X.argmax(axis=1)", "\n[2. 2.]\n<NDArray 2 @cpu(0)>"),
        ("X.argmax(0)", "\n[1. 1. 1.]\n<NDArray 3 @cpu(0)>"),
        ("X.argmax()", "\n[5.]\n<NDArray 1 @cpu(0)>"),
        ("nd.argmax(X, axis=1)", "\n[2. 2.]\n<NDArray 2 @cpu(0)>"),
        ("X.sum()", "\n[21.]\n<NDArray 1 @cpu(0)>"),
        ("X.mean(axis=0)", "\n[2.5 3.5 4.5]\n<NDArray 3 @cpu(0)>"),
        ("X[0, 1]", "\n[2.]\n<NDArray 1 @cpu(0)>"),
        ("X[:, 1:2]", "\n[[2.]\n [5.]]\n<NDArray 2x1 @cpu(0)>"),
        ("X[nd.array([1])]", "\n[[4. 5. 6.]]\n<NDArray 1x3 @cpu(0)>"),
        ("nd.array(3)", "\n3.0\n<NDArray  @cpu(0)>"),
        ("nd.array([1, 2], dtype='int32')", "\n[1 2]\n<NDArray 2 @cpu(0)>"),
        ("nd.ones((2, 3), dtype='int32').sum()", "\n[6]\n<NDArray 1 @cpu(0)>"),
        ("nd.arange(2, 10, 3)", "\n[2. 5. 8.]\n<NDArray 3 @cpu(0)>"),
        ("X.reshape((0, -1, 1))[0]", "\n[[1.]\n [2.]\n [3.]]\n<NDArray 3x1 @cpu(0)>"),
        ("nd.concat(X, X)", "\n[[1. 2. 3. 1. 2. 3.]\n [4. 5. 6. 4. 5. 6.]]\n<NDArray 2x6 @cpu(0)>"),
        ("nd.stack(X[0], X[1])[1]", "\n[4. 5. 6.]\n<NDArray 3 @cpu(0)>"),
        ("nd.add_n(X, X, X)[1]", "\n[12. 15. 18.]\n<NDArray 3 @cpu(0)>"),
        ("nd.dot(X, X.T)", "\n[[14. 32.]\n [32. 77.]]\n<NDArray 2x2 @cpu(0)>"),
        ("nd.pick(X, nd.array([0, 2]))", "\n[1. 6.]\n<NDArray 2 @cpu(0)>"),
        ("nd.one_hot(nd.array([0, 2]), 3)", "\n[[1. 0. 0.]\n [0. 0. 1.]]\n<NDArray 2x3 @cpu(0)>"),
        ("nd.dot(X, nd.ones((3, 2, 4))).shape", "(2, 2, 4)"),  # over the second's first axis
        ("nd.dot(nd.ones((2, 4, 3)), X.T).shape", "(2, 4, 2)"),
        ("nd.dot(X[0], nd.arange(24).reshape((3, 4, 2)))[3]", "\n[100. 106.]\n<NDArray 2 @cpu(0)>"),
        ("nd.array([3, 1, 2], dtype='uint8').min()", "\n[1]\n<NDArray 1 @cpu(0)>"),
        ("nd.array([7, -128], dtype='int8').min()", "\n[-128]\n<NDArray 1 @cpu(0)>"),
        ("nd.array([0, 3], dtype='uint8').argmin(axis=0)", "\n[0]\n<NDArray 1 @cpu(0)>"),
        ("X.astype('int32').argmax(axis=1)", "\n[2 2]\n<NDArray 2 @cpu(0)>"),
        ("nd.clip(X[0], 2, math.inf)", "\n[2. 2. 3.]\n<NDArray 3 @cpu(0)>"),
        ("nd.minimum(X[0], math.inf)", "\n[1. 2. 3.]\n<NDArray 3 @cpu(0)>"),
        ("nd.maximum(X, 4)[0]", "\n[4. 4. 4.]\n<NDArray 3 @cpu(0)>"),
        ("nd.clip(X, 2, 4)[1]", "\n[4. 4. 4.]\n<NDArray 3 @cpu(0)>"),
        ("nd.abs(2 - X)[0]", "\n[1. 0. 1.]\n<NDArray 3 @cpu(0)>"),
        ("X % 4", "\n[[1. 2. 3.]\n [0. 1. 2.]]\n<NDArray 2x3 @cpu(0)>"),
        ("2 ** X[0]", "\n[2. 4. 8.]\n<NDArray 3 @cpu(0)>"),
        ("X.flatten().shape", "(2, 3)"),
        ("nd.ones((2, 3, 4)).flatten().shape", "(2, 12)"),
        ("X.dtype", "<class 'numpy.float32'>"),
        ("nd.array(numpy.arange(3)).dtype", "<class 'numpy.float32'>"),
        ("X.astype('int32').dtype", "<class 'numpy.int32'>"),
        ("(X.size, X.shape, X.context, len(X))", "(6, (2, 3), cpu(0), 2)"),
        ("X.as_in_context(mx.cpu()) is X", "True"),
        ("bool(X[0, 0] == 1)", "True"),
        ("[x.shape for x in X]", "[(3,), (3,)]"),
        ("X.asnumpy().dtype", "dtype('float32')"),
        ("(mx.cpu(), mx.gpu(1), mx.cpu() == mx.cpu(0))", "(cpu(0), gpu(1), True)"),
    ],
)
def test_nd(code: str, printed: str, mx: Any) -> None:
    names = {"nd": mx.nd, "mx": mx, "math": math, "numpy": np, "X": mx.nd.array(CELLS)}
    result = eval(code, names)
    assert repr(result) == printed


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("X", "array([[1., 2., 3.],\n       [4., 5., 6.]])"),
        ("str(X[0])", "'[1. 2. 3.]'"),
        ("X == 2", "array([[False,  True, False],\n       [False, False, False]])"),
        ("X.argmax(axis=1)", "array([2, 2], dtype=int64)"),
        ("X.argmax(1)", "array([2, 2], dtype=int64)"),
        ("X.sum()", "array(21.)"),
        ("X.sum().item()", "21.0"),
        ("f'{X.sum():.3f}'", "'21.000'"),
        ("(X > 2).sum()", "array(4, dtype=int64)"),
        ("(X > 2).astype(X.dtype)[0]", "array([0., 0., 1.])"),
        ("X.astype('int32').sum()", "array(21, dtype=int32)"),
        ("X.astype('int32') / 2", "array([[0.5, 1. , 1.5],\n       [2. , 2.5, 3. ]])"),
        ("X[0, 1]", "array(2.)"),
        ("X[X > 4]", "array([5., 6.])"),
        ("X[np.array([0, 1]), np.array([2, 0])]", "array([3., 4.])"),
        ("X.reshape(-1)", "array([1., 2., 3., 4., 5., 6.])"),
        ("X.flatten().shape", "(6,)"),
        ("np.array([1, 2]).dtype", "dtype('float32')"),
        ("np.array(numpy.arange(3.)).dtype", "dtype('float64')"),
        ("np.array([1, 2], dtype='int32')", "array([1, 2], dtype=int32)"),
        ("np.arange(4)", "array([0., 1., 2., 3.])"),
        ("np.concatenate((X, X), 1).shape", "(2, 6)"),
        ("np.stack((X, X), 0).shape", "(2, 2, 3)"),
        ("np.dot(X, X.T)", "array([[14., 32.],\n       [32., 77.]])"),
        ("np.dot(X, np.ones((4, 3, 2))).shape", "(2, 4, 2)"),  # over the second's last but one
        ("X[1].dot(np.arange(24).reshape((4, 3, 2)))[2]", "array([214., 229.])"),
        ("X.dot(np.array(2))[0]", "array([2., 4., 6.])"),
        ("np.array([0, 3], dtype='uint8').argmin()", "array(0, dtype=int64)"),
        ("np.array([7, -128], dtype='int8').min()", "array(-128, dtype=int8)"),
        ("(X > 1).min()", "array(False)"),
        ("np.clip(X[0], 2, np.inf)", "array([2., 2., 3.])"),
        ("np.maximum(X[0], np.array([np.inf, 0, 4]))", "array([inf,  2.,  4.])"),
        ("np.minimum(X[0], np.array([-np.inf, np.inf, 4]))", "array([-inf,   2.,   3.])"),
        ("np.maximum(np.array([1, numpy.nan]), np.array([numpy.nan, 0]))", "array([nan, nan])"),
        ("X @ X.T == np.matmul(X, X.T)", "array([[ True,  True],\n       [ True,  True]])"),
        ("np.abs(2 - X[0])", "array([1., 0., 1.])"),
        ("np.linalg.norm(np.array([3, 4]))", "array(5.)"),
        ("X.std()", "array(1.7078252)"),
        ("X.cumsum(axis=1)[1]", "array([ 4.,  9., 15.])"),
        ("2 ** X[0]", "array([2., 4., 8.])"),
        ("np.sin(np.zeros((2,)))", "array([0., 0.])"),
        ("npx.relu(X - 3)[0]", "array([0., 0., 0.])"),
        ("npx.softmax(np.zeros((1, 4)))", "array([[0.25, 0.25, 0.25, 0.25]])"),
        ("X.ctx", "cpu(0)"),
        ("X.as_in_ctx(npx.cpu()) is X", "True"),
        ("float(np.array([3]))", "3.0"),
        ("npx.num_gpus() >= 0", "True"),
        ("sum([X, X])[0]", "array([2., 4., 6.])"),
        ("np.random.uniform(size=(2, 3)).shape", "(2, 3)"),
        ("np.random.normal(0, 1, (4,)).dtype", "dtype('float32')"),
    ],
)
def test_np(code: str, printed: str, mx_np: Any) -> None:
    names = {"np": mx_np.np, "npx": mx_np.npx, "numpy": np, "X": mx_np.np.array(CELLS)}
    result = eval(code, names)
    assert (
        repr(result).replace("float32(3.5)", "np.float32(3.5)").replace("np.np.", "np.") == printed
    )


def test_arrays_are_written_in_place(mx: Any) -> None:
    X = mx.nd.zeros((3, 4))
    view, other = X[1], X
    X[:, 1:3] = 7
    X[2] = mx.nd.arange(4)
    X[0, 0] = mx.nd.array([5])  # one cell of any shape
    X += 1
    assert other is X
    assert X.asnumpy().tolist() == [[6, 8, 8, 1], [1, 8, 8, 1], [1, 2, 3, 4]]
    assert view.asnumpy().tolist() == [1, 8, 8, 1]
    copy = X.asnumpy()
    copy[:] = 0
    X[:] -= X / 2
    assert X[2].asnumpy().tolist() == [0.5, 1, 1.5, 2]


VIEWS = ["X[1]", "X[0, 1]", "X[0, 1, 2]", "X[0:1, 1]", "X[0, 0:1]", "X[::2]", "X[None]", "X[...]"]
COPIES = [
    "X[:, 1]", "X[0, :, 1]", "X[..., 0:1]", "X[::-1]", "X[[0]]", "X.T", "X.transpose((0, 1, 2))",
    "X.swapaxes(0, 1)", "X[0:1].squeeze()", "X.flatten()", "X.copy()",
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "code", "is_view"),
    [
        *((kind, code, True) for kind in ("nd", "np") for code in VIEWS),
        *((kind, code, False) for kind in ("nd", "np") for code in COPIES),
        ("nd", "X.reshape((4, 3))", True),
        ("nd", "nd.reshape(X, (4, 3))", False),
        ("nd", "X.expand_dims(0)", False),
        ("nd", "nd.add_n(X)", False),
        ("np", "X.reshape(4, 3)", False),
        ("np", "np.expand_dims(X, 0)", False),
        ("np", "npx.batch_flatten(X)", False),
    ],
)
def test_what_shares_memory(kind: str, code: str, is_view: bool, mx: Any) -> None:
    X = getattr(mx, kind).zeros((2, 2, 3))
    Y = eval(code, {"nd": mx.nd, "np": mx.np, "npx": mx.npx, "X": X})
    Y += 7
    assert X.asnumpy().any() == is_view
    assert Y.asnumpy().all()


def test_copies_hand_the_gradient_on(mx: Any) -> None:
    x = mx.nd.arange(6).reshape((2, 3))
    x.attach_grad()
    with mx.autograd.record():
        y = (x.T * x.T)[:, 1].expand_dims(0) * 2
    y.backward()
    assert x.grad.asnumpy().tolist() == [[0, 0, 0], [12, 16, 20]]


def test_draws_follow_the_seed(mx: Any) -> None:
    def draw() -> list[Any]:
        mx.random.seed(3)
        uniform = mx.nd.random.uniform(-2, 5, shape=(400,)).asnumpy()
        normal = mx.np.random.normal(3, 0.5, (400,)).asnumpy()
        return [uniform, normal, mx.np.random.randint(4, size=(9,)).asnumpy()]

    uniform, normal, whole = draw()
    assert -2 <= uniform.min() < -1.8
    assert 4.8 < uniform.max() < 5
    assert normal.mean() == pytest.approx(3, abs=0.1)
    assert normal.std() == pytest.approx(0.5, abs=0.06)
    assert set(whole) <= {0, 1, 2, 3}
    for again, before in zip(draw(), (uniform, normal, whole), strict=True):
        np.testing.assert_array_equal(again, before)


def test_libraries_compute_with_the_arrays(mx_np: Any) -> None:
    X = mx_np.np.array(CELLS)
    assert np.asarray(X).dtype == np.float32
    assert np.concatenate([X, X]).shape == (4, 3)
    assert np.mean(X) == 3.5
    np.testing.assert_allclose(np.exp(mx_np.nd.array([0, 1])), [1, np.e], rtol=1e-6)
    np.testing.assert_array_equal(np.arange(3) * X[0].asnumpy(), [0, 2, 6])
