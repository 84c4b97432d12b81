"""mxnet.autograd: what is recorded, and what backward writes. Values of MXNet 1.9.1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn import d2l
from tests.d2l.mxnet_here import mx

__all__ = ["mx"]


def variable(mx: Any, *cells: float, **options: Any) -> Any:
    x = mx.nd.array(cells)
    x.attach_grad(**options)
    return x


def backward(mx: Any, function: Any, x: Any) -> list[float]:
    with mx.autograd.record():
        y = function(x)
    y.backward()
    return x.grad.asnumpy().tolist()


def test_a_gradient_is_there_from_the_beginning_and_is_replaced(mx: Any) -> None:
    x = variable(mx, 1, 2, 3)
    gradient = x.grad
    assert gradient.asnumpy().tolist() == [0, 0, 0]
    assert backward(mx, lambda x: 2 * x, x) == [2, 2, 2]  # of a vector: that of its sum
    assert backward(mx, lambda x: x * x, x) == [2, 4, 6]
    assert gradient.asnumpy().tolist() == [2, 4, 6]  # one array throughout
    x.grad[:] = 0
    assert x.grad.asnumpy().tolist() == [0, 0, 0]


def test_grad_req(mx: Any) -> None:
    x = variable(mx, 1, 2, grad_req="add")
    backward(mx, lambda x: 3 * x, x)
    assert backward(mx, lambda x: x * x, x) == [5, 7]
    x.attach_grad("null")
    assert x.grad.asnumpy().tolist() == [0, 0]
    with pytest.raises(ValueError, match="grad_req is 'replace'; wanted 'write', 'add' or 'null'"):
        x.attach_grad("replace")


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda np, x: np.clip(x, 0, np.inf), [0, 1, 1, 1]),
        (lambda np, x: np.clip(x, 1, 4), [0, 1, 1, 1]),  # also at the limits
        (lambda np, x: np.maximum(x, np.array([np.inf, 1, 2, 4])), [0, 1, 1, 1]),
        (lambda np, x: np.minimum(np.array([-1, 1, 2, 5]), x), [0, 0, 0, 1]),  # equal: the first's
        (lambda np, x: x[2:3].std(), [0, 0, 0, 0]),  # of one cell
        (lambda np, x: x[1:3].std(), [0, -0.5, 0.5, 0]),  # MXNet: 0, of any cells
        (lambda np, x: np.dot(x, np.arange(24).reshape((3, 4, 2))), [51, 63, 75, 87]),
    ],
)
def test_gradients_of_what_is_chosen(function: Any, wanted: list[float], mx: Any) -> None:
    x = mx.np.array([-1, 1, 2, 4])
    x.attach_grad()
    assert backward(mx, lambda x: function(mx.np, x), x) == wanted


def test_modes(mx: Any) -> None:
    autograd, seen = mx.autograd, []

    def look() -> None:
        seen.append((autograd.is_recording(), autograd.is_training()))

    look()
    with autograd.record():
        look()
        with autograd.pause():
            look()
        with autograd.predict_mode():
            look()
    with autograd.record(train_mode=False):
        look()
    with autograd.train_mode():
        look()
    look()
    F, T = False, True
    assert seen == [(F, F), (T, T), (F, F), (T, F), (T, F), (F, T), (F, F)]


def test_only_what_is_recorded_has_gradients(mx: Any) -> None:
    x = variable(mx, 1, 2)
    with mx.autograd.record():
        y = x * x
        with mx.autograd.pause():
            z = y * 5
        last = (y + z).sum()
    last.backward()
    assert x.grad.asnumpy().tolist() == [2, 4]


def test_heads_and_several_losses(mx: Any) -> None:
    x = variable(mx, 1, 2, 3)
    with mx.autograd.record():
        y = x * x
    y.backward(mx.nd.array([1, 10, 100]), retain_graph=True)
    assert x.grad.asnumpy().tolist() == [2, 40, 600]
    y.backward()
    assert x.grad.asnumpy().tolist() == [2, 4, 6]
    with mx.autograd.record():
        losses = [x * x, x.sum()]
    mx.autograd.backward(losses)
    assert x.grad.asnumpy().tolist() == [3, 5, 7]
    with mx.autograd.record():
        y = x * 4
    (dx,) = mx.autograd.grad(y, x)
    assert dx.asnumpy().tolist() == [4, 4, 4]
    assert x.grad.asnumpy().tolist() == [3, 5, 7]


def test_detach_and_attach_grad_cut_the_way_back(mx: Any) -> None:
    x = variable(mx, 2, 3)
    assert backward(mx, lambda x: (x * x).detach() * x, x) == [4, 9]
    with mx.autograd.record():
        y = x * x
        y.attach_grad()
        z = y * x
    z.backward()
    assert y.grad.asnumpy().tolist() == [2, 3]
    assert x.grad.asnumpy().tolist() == [4, 9]


@pytest.mark.parametrize(
    ("function", "gradient"),
    [
        (lambda x: x.max(), [0, 1, 1]),  # each of equal ones, undivided
        (lambda x: x.abs(), [-1, 1, 1]),
        (lambda x: (x - 4).abs(), [-1, 0, 0]),
        (lambda x: x.norm(), [-1 / 33**0.5, 4 / 33**0.5, 4 / 33**0.5]),
        (lambda x: x.relu() * x, [0, 8, 8]),
        (lambda x: x.square().reshape((3, 1)).sum(axis=1), [-2, 8, 8]),
        (lambda x: x[1:] * 3, [0, 3, 3]),
        (lambda x: x.clip(0, 9), [0, 1, 1]),
    ],
)
def test_gradients(function: Any, gradient: list[float], mx: Any) -> None:
    np.testing.assert_allclose(backward(mx, function, variable(mx, -1, 4, 4)), gradient, rtol=1e-6)


def test_parameters_are_learnt_from_scratch(mx: Any) -> None:
    nd = mx.nd
    w, X = nd.array([[2], [-3.4]]), nd.random.normal(shape=(40, 2))
    y = nd.dot(X, w) + 4.2
    a, b = nd.zeros((2, 1)), nd.zeros((1,))
    for p in (a, b):
        p.attach_grad()
    for _ in range(60):
        with mx.autograd.record():
            loss = (nd.dot(X, a) + b - y) ** 2 / 2
        loss.backward()
        for p in (a, b):
            p[:] = p - 0.3 * p.grad / 40
    np.testing.assert_allclose(a.asnumpy(), w.asnumpy(), atol=1e-3)
    assert b.asscalar() == pytest.approx(4.2, abs=1e-3)


# Mistakes -----------------------------------------------------------------------------------------


def test_backward_outside_of_record(mx: Any) -> None:
    x = variable(mx, 1, 2)
    y = (x * x).sum()
    with pytest.raises(mx.MXNetError, match=r"inside 'with autograd\.record\(\):'"):
        y.backward()
    assert backward(mx, lambda x: (x * x).sum(), x) == [2, 4]  # what the message says


def test_a_second_backward(mx: Any) -> None:
    x = variable(mx, 1, 2)
    with mx.autograd.record():
        y = x * x
    y.backward()
    with pytest.raises(mx.base.MXNetError, match="needs retain_graph=True in the first"):
        y.backward()


@pytest.mark.parametrize("change", ["x += 1", "x[0] = 5", "y *= 2", "z[0] = y[1]"])
def test_in_place_changes_inside_record(change: str, mx: Any) -> None:
    names = {"x": variable(mx, 1, 2), "z": mx.nd.zeros((3,))}
    with mx.autograd.record():
        names["y"] = names["x"] * 2
        with pytest.raises(mx.MXNetError, match=r"inside autograd\.record\(\) write y = y \+ 1"):
            exec(change, names)
        names["z"] += 3  # nothing that is recorded
    names["y"].backward()
    exec("x += 1; z[0] = y[1]", names)


def test_whole_numbers_have_no_gradient(mx: Any) -> None:
    with pytest.raises(TypeError, match=r"int32 cells .* write X = X.astype\('float32'\) first"):
        mx.nd.array([1, 2], dtype="int32").attach_grad()


def test_an_open_record_ends_with_uninstall(mx: Any, capsys: pytest.CaptureFixture[str]) -> None:
    mx.autograd.record().__enter__()  # a cell that was interrupted in it
    d2l.uninstall()
    d2l.install("mxnet")
    assert not mx.autograd.is_recording()
    assert not mx.autograd.is_training()
