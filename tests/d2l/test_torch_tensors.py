"""The PyTorch tab's tensors do what PyTorch's do: values, gradients, writing in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.d2l.facades.modules import as_tree
from minicnn.d2l.facades.pytorch import modules

ours = as_tree(modules())["torch"]
F = ours.nn.functional
rng = np.random.default_rng(8)

EXPRESSIONS = """
x.sum(1, dtype=t.float64); x.mean(dim=0, dtype=t.float64); x.abs(); abs(x); x.norm()
x.norm(dim=1); x.norm(1); x.var(); x.var(0); x.var(1, keepdim=True); x.var(unbiased=False)
x.std(False); x.std(0, correction=0); x.sum(axis=1, keepdims=True)
x.mean(dim=(0, 2), keepdim=True); x.max(); x.max(2)[0]; x.max(dim=-1, keepdim=True)[0]; x.min()
x.min(1)[0]; t.max(x, 1)[0]; t.maximum(x, -x); t.max(x, t.zeros_like(x)); t.minimum(x, x * 2)
t.maximum(x, t.zeros(4)); x.square(); x.pow(3); x.sub(1).mul(2).div(3).add(x); 1 - x; 2 / (x + 9)
x.transpose(0, 2); x.transpose(-1, -2); x.mT; x.permute(2, 0, 1); x[0].T; x.view(3, -1)
x[:, None]; x.flatten(1); x.reshape_as(t.ones(4, 6)); x.view_as(t.ones(6, 4)); x.squeeze()
x[..., ::2]; x[1, 2]; x[t.tensor([1, 0, 1])]; x[x > 0]; x[[0, 1], [2, 0]]; x @ x[0].T
x.matmul(x.mT); x[1, 2].dot(x[1, 1]); x * t.arange(4); t.cat((x, x), dim=1)
t.cat([x, x], axis=-1); t.stack([x, x], 1); x.softmax(1); t.log_softmax(x, 2); t.sigmoid(x)
t.tanh(x); t.relu(x); t.exp(x); t.log(x.abs()); t.sqrt(x.square()); -x; t.sum(x, dim=0)
x.double() * 2 + x; x * t.tensor(2.0, dtype=t.float64); x * t.ones(4, dtype=t.double)
f.softmax(x, dim=1); f.l1_loss(x, x * 2 - 1); f.mse_loss(x, x * 2, reduction="sum"); x.clone()
f.pad(x, (1, 2, 0, 1), value=3.0); f.avg_pool2d(x, (2, 1)); f.max_pool2d(x, 3, 2, 1); f.relu(x)
f.adaptive_avg_pool2d(x[None], (1, 2)); f.linear(x, t.ones(5, 4))
f.dropout(x, 0.9, training=False)
"""
COUNTED = """
x.argmax(); x.argmax(1); x.argmin(axis=2); x.max(1)[1]; x.min(1)[1]; (x > 0).sum(); (x > 0).all()
(x > 0).any(dim=1); x == x; x != x[0]; x <= 0.5; x.eq(1); i.sum(); i.sum(dtype=t.float32)
i.mean(dtype=t.float64); i.max(); i.min(); i.float() / 2; i / 4; i * 2 + 1; i.type(t.float32)
i.bool(); x.int(); i.long() @ i.T.long(); i.to(t.float64); t.arange(5); t.arange(1.0, 2, 0.25)
t.arange(3, 9, 2); t.linspace(0, 1, 5); t.eye(3); t.eye(2, 3); t.full((2, 3), 7)
t.full((2,), 0.5); t.zeros((2, 3), dtype=t.int32); t.ones(2, 3, dtype=bool); t.ones_like(i)
t.zeros_like(x); t.tensor([[1, 2], [3, 4]]); t.tensor([1, 2.5]); t.tensor(i.numpy())
t.tensor([t.tensor(1.0), t.tensor(2.0)]); t.Tensor([1, 2]); t.as_tensor([1, 2]); x.new; t.empty(0)
t.ones(2, dtype=float); f.one_hot(i.long()); f.one_hot(i.long(), 9); i.numel(); x.dim(); x.shape
len(x); x.shape.numel(); x.is_floating_point(); i.tolist(); x[0, 0, 0].item(); int(i[0, 0])
i.dtype; t.is_tensor(x); t.is_tensor(1); x.requires_grad; x.is_leaf; (x + 1).is_leaf; x.dtype
t.zeros(2, 0).size(); x.size(1); x.nelement(); bool(t.tensor(0)); x.stride; list(x[0, 0])
x == None
"""
GONE = ("x.new", "x.stride")  # names that the facade does not have


def _arrays() -> dict[str, np.ndarray]:
    return {"x": rng.normal(size=(2, 3, 4)).astype(np.float32), "i": rng.integers(0, 7, (4, 3))}


def _evaluated(expression: str, t: Any, arrays: dict[str, np.ndarray]) -> tuple[Any, Any]:
    x = t.tensor(arrays["x"], requires_grad=True)
    names = {"t": t, "f": t.nn.functional, "x": x, "i": t.tensor(arrays["i"])}
    return x, eval(expression, names)


@pytest.mark.parity
@pytest.mark.parametrize("expression", EXPRESSIONS.strip().replace("\n", "; ").split("; "))
def test_values_and_gradients_are_pytorchs(expression: str, torch: Any) -> None:
    arrays = _arrays()
    (x, real), (own_x, own) = (_evaluated(expression, t, arrays) for t in (torch, ours))
    assert (own.shape, str(own.dtype)) == (real.shape, str(real.dtype))
    np.testing.assert_allclose(own.detach().numpy(), real.detach().numpy(), rtol=1e-5, atol=1e-6)
    dy = np.asarray(rng.normal(size=real.shape)).astype(str(real.dtype).removeprefix("torch."))
    real.backward(torch.from_numpy(dy))
    own.backward(ours.from_numpy(dy))
    np.testing.assert_allclose(own_x.grad.numpy(), x.grad.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize("expression", COUNTED.strip().replace("\n", "; ").split("; "))
def test_what_has_no_gradient_is_pytorchs(expression: str, torch: Any) -> None:
    arrays = _arrays()
    if expression in GONE:
        with pytest.raises(AttributeError, match=f"no attribute '{expression[2:]}'"):
            _evaluated(expression, ours, arrays)
        return
    real, own = (_evaluated(expression, t, arrays)[1] for t in (torch, ours))
    assert repr(own) == repr(real)


def test_a_change_in_place_is_seen_under_each_name() -> None:
    a = ours.arange(6).reshape(2, 3).float()
    b, row, data = a, a[0], a.data
    a += 1
    a *= 2
    a[1] = 0
    a[:, 2:] -= 1
    assert b is a
    assert a.tolist() == data.tolist() == [[2, 4, 5], [0, 0, -1]]
    assert row.tolist() == [2, 4, 5]
    a.zero_()
    assert row.add_(1).tolist() == [1, 1, 1]
    assert a.sub_(1, alpha=2).div_(2).mul_(4).tolist() == [[-2, -2, -2], [-4, -4, -4]]
    assert a.fill_(3).copy_(ours.arange(3)).tolist() == [[0, 1, 2]] * 2
    a **= 2
    a /= 4
    assert a[0].tolist() == [0, 0.25, 1]
    ours.manual_seed(1)
    assert -3 < a.normal_(0, 0.5).mean() < 3
    assert a.uniform_(3, 4).min() >= 3


def test_in_place_under_a_gradient_is_followed() -> None:
    x = ours.tensor([1.0, -2, 3], requires_grad=True)
    y = x * 2
    alias = y
    y += x  # a residual block
    y *= 3
    ours.nn.ReLU(inplace=True)(y)
    assert alias is y
    assert y.tolist() == [9, 0, 27]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [9, 0, 9]
    total = ours.zeros(1)
    total += (x * x).sum()
    total.backward()
    assert x.grad.tolist() == [11, -4, 15]
    z = x.abs()
    assert z.grad_fn.name() == "AbsBackward0"
    z *= 3
    assert z.grad_fn.name() == "MulBackward0"
    with pytest.raises(RuntimeError, match=r"\+=: the result is float32 of shape \(2, 3\)"):
        z += ours.ones(2, 3)


@pytest.mark.parity
def test_numbers_written_into_a_tensor_keep_their_gradient(torch: Any) -> None:
    x, k = rng.normal(size=(4, 5)), rng.normal(size=(2, 3))
    gradients = []
    for t in (torch, ours):
        X, K = (t.tensor(a, dtype=t.float32, requires_grad=True) for a in (x, k))
        Y = t.zeros((3, 3))
        for i in range(3):
            for j in range(3):
                Y[i, j] = (X[i : i + 2, j : j + 3] * K).sum()
        assert repr(Y.grad_fn).startswith("<CopySlices")
        Y[1:, 0] = K[0, 1].double()  # broadcast, converted, over what was there
        Y[0, 2] = 3
        Y[2] *= 2
        (Y * t.arange(9).reshape(3, 3)).sum().backward()
        gradients.append((X.grad.numpy(), K.grad.numpy(), Y.detach().numpy()))
    for real, own in zip(*gradients, strict=True):
        np.testing.assert_allclose(own, real, rtol=1e-5, atol=1e-5)
    with pytest.raises(
        RuntimeError, match="wanted numbers and slices where a gradient is followed"
    ):
        Y[[0, 0]] = X[:2, :3]
    with pytest.raises(RuntimeError, match=r"write it inside 'with torch\.no_grad\(\):'"):
        X[0] = K[0, 0]


def test_roots_have_a_gradient_at_zero() -> None:
    for root in (lambda x: x.norm(), lambda x: x.norm(dim=0).sum(), lambda x: (x + 2).std()):
        x = ours.zeros(3, requires_grad=True)
        root(x).backward()
        assert x.grad.tolist() == [0, 0, 0]


def test_a_view_is_the_same_memory_or_refused() -> None:
    x = ours.zeros(2, 3)
    x.view(3, 2)[0, 1] = 5
    assert x[0, 1] == 5
    with pytest.raises(RuntimeError, match=r"do not lie in this order.*write x\.reshape\("):
        x.T.view(6)
    assert x.T.reshape_as(x).tolist() == [[0, 0, 5], [0, 0, 0]]
    for v in x:
        v += 1
    assert x.sum() == 11


def test_products_of_vectors_and_matrices() -> None:
    M, v = ours.ones(2, 2), ours.ones(2)
    assert (v.dot(v).item(), M.mv(v).tolist(), ours.mm(M, M).tolist()) == (2, [2, 2], [[2, 2]] * 2)
    for name, a, b in (("dot", M, v), ("mv", M, M), ("mm", M, v)):
        with pytest.raises(RuntimeError, match=f"{name}: wanted tensors of . and . axes, received"):
            getattr(ours, name)(a, b)


def test_weights_are_changed_as_the_book_changes_them() -> None:
    layer = ours.nn.Conv2d(1, 1, kernel_size=(1, 2), bias=False)
    X = ours.ones((1, 1, 6, 8))
    X[:, :, :, 2:6] = 0
    kernel = ours.tensor([[[[1.0, -1.0]]]])
    Y = F.conv2d(X, kernel)
    for _ in range(60):
        loss = ((layer(X) - Y) ** 2).sum()
        layer.zero_grad()
        loss.backward()
        layer.weight.data[:] -= 0.03 * layer.weight.grad
    np.testing.assert_allclose(layer.weight.data.numpy(), kernel.numpy(), atol=1e-2)
    w = ours.normal(0, 0.01, size=(3, 2), requires_grad=True)
    (w * 2).sum().backward()
    before = w.detach().clone()
    with ours.no_grad():
        w -= 0.5 * w.grad
        w.grad.zero_()
    assert w.is_leaf
    np.testing.assert_allclose(w.detach().numpy(), before.numpy() - 1, atol=1e-6)
    assert w.grad.tolist() == [[0, 0]] * 3
    w.data = ours.zeros(3, 2)
    assert w.tolist() == [[0, 0]] * 3


def test_copies_and_memory() -> None:
    import copy

    array = np.ones((2, 3), np.float32)
    shared, copied = ours.from_numpy(array), ours.tensor(array)
    array[0, 0] = 5
    assert shared[0, 0] == 5
    assert copied[0, 0] == 1
    assert ours.as_tensor(array).numpy() is array
    x = ours.nn.Parameter(shared)
    again = copy.deepcopy(x)
    assert type(again) is type(x)
    x.data[0, 0] = 7
    assert (array[0, 0], again[0, 0].item()) == (7, 5)
    with pytest.raises(TypeError, match=r"Parameter: data is of type ndarray; wanted a tensor"):
        ours.nn.Parameter(array)
    np.testing.assert_array_equal(np.exp(copied), np.exp(copied.numpy()))
    assert isinstance(np.ones(3) * ours.ones(3), ours.Tensor)
    assert isinstance(np.float64(2) * ours.ones(3), ours.Tensor)


def test_drawn_numbers_come_from_the_seed() -> None:
    def draws() -> list[Any]:
        ours.manual_seed(5)
        x = ours.rand(size=(2, 3), dtype=ours.float32)
        made = [x, ours.randn(4), ours.randint(3, (5,)), ours.randint(2, 9, (2,)), ours.randperm(6)]
        return [t.tolist() for t in [*made, ours.rand_like(x), ours.randn_like(x)]]

    first = draws()
    assert draws() == first
    assert sorted(first[4]) == [0, 1, 2, 3, 4, 5]
    assert ours.randn(2, 3, dtype=ours.float64).dtype is ours.float64
