"""Compiled convolutions by Winograd's algorithm: the same sums with fewer products."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, optim
from minicnn.compiler.cpu import form as forms
from minicnn.compiler.cpu import winograd
from minicnn.kernels.winograd import STRIDED, matrices, strided_matrices
from minicnn.nn import functional as F
from minicnn.nn.arguments import pair

PICTURE = (7, 9, 13)  # channels, lines, columns


@pytest.mark.parametrize(("outputs", "taps"), [(2, 3), (4, 3), (4, 5), (3, 2)])
def test_the_matrices_are_exact(outputs: int, taps: int) -> None:
    rng = np.random.default_rng((outputs, taps))
    row, kernel = rng.integers(-9, 10, outputs + taps - 1), rng.integers(-9, 10, taps)
    to_outputs, of_weights, of_inputs = matrices(outputs, taps)
    y = to_outputs @ ((of_weights @ kernel) * (of_inputs @ row))
    assert all(type(number) is Fraction for number in y)
    assert y.tolist() == [kernel @ row[k : k + taps] for k in range(outputs)]


def test_those_of_stride_2_are_exact_too() -> None:
    rng = np.random.default_rng(2)
    row, kernel = rng.integers(-9, 10, 9), rng.integers(-9, 10, 3)
    to_outputs, of_weights, of_inputs = strided_matrices()
    at_points = np.full(5, Fraction(0))
    np.add.at(at_points, list(STRIDED), (of_weights @ kernel) * (of_inputs @ row))
    assert (to_outputs @ at_points).tolist() == [kernel @ row[2 * k :][:3] for k in range(4)]


@pytest.mark.parametrize("taps", [2, 3])
def test_points_lose_less_to_rounding_than_whole_ones(taps: int) -> None:
    def largest_sum(to_outputs: Any, of_weights: Any, of_inputs: Any) -> Fraction:
        at_points = abs(of_weights).sum(axis=1) * abs(of_inputs).sum(axis=1)
        return max(abs(to_outputs) @ at_points)

    whole = matrices(4, taps, among=7)  # 0, 1, -1, 2, -2
    assert largest_sum(*matrices(4, taps)) < largest_sum(*whole)


def net_of(
    dtype: str, *size: Any, before: Any = 1, outputs: int = 10, **options: Any
) -> nn.Sequential:
    minicnn.manual_seed(3)
    conv = nn.Conv2d(7, outputs, *size, **options)
    net = nn.Sequential(nn.Conv2d(7, 7, before), nn.Tanh(), conv, nn.Flatten(), nn.LazyLinear(5))
    net(Tensor(np.zeros((1, *PICTURE), np.float32)))
    return net.to(dtype)


def step_of(net: nn.Module, **options: Any) -> minicnn.compiler.CompiledStep:
    loss, optimizer = nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.0)
    return minicnn.compile(net, loss, optimizer, **options)


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "F(4, 3)": ((2, 3), {}),
    "F(4, 3), padding": ((2, 3), {"padding": (2, 1)}),
    "F(4, 5)": ((2, 5), {"padding": (1, 2)}),
    "F(4, 5), of a square kernel": (5, {"bias": False}),
    "F(4, 3), more padding than picture": ((4, 3), {"padding": (8, 3)}),
    "F(4x4, 3x3)": (3, {}),
    "F(4x4, 3x3), padding": (3, {"padding": (1, 2)}),
    "F(4x4, 3x3), 17 channels": (3, {"outputs": 17}),  # one more than a line has lanes
    "F(4x4, 3x3), no bias": (3, {"padding": (3, 0), "bias": False}),
    "F(4x4, 3x3, stride 2)": (3, {"stride": 2}),
    "F(4x4, 3x3, stride 2), padding": (3, {"stride": 2, "padding": (1, 4)}),
    "F(4x4, 3x3, stride 2), no window sees the last column": (3, {"stride": 2, "before": (2, 4)}),
    "F(4x4, 3x3, stride 2), no bias": (3, {"stride": 2, "padding": 1, "bias": False}),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_results_and_gradients_are_eagers(
    case: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, (size, options) = case.partition(")")[0], CASES[case]
    kernel_size = pair("kernel", size)
    stride = pair("stride", options.get("stride", 1))
    kinds = [f for f in forms.forms_of(kernel_size, stride) if f.is_square == ("x" in name)]
    of_this_size = {kernel_size: kinds}  # the net's first convolution has none
    monkeypatch.setattr(forms, "forms_of", lambda size, stride: of_this_size.get(size, []))
    monkeypatch.setattr(forms, "WORTH", 100)
    net, rng = net_of(dtype, size, **options), np.random.default_rng(5)
    x, y = rng.standard_normal((37, *PICTURE)).astype(dtype), rng.integers(0, 5, 37)
    step = step_of(net)
    _, logits = step(x, y)
    assert f", {name})" in str(step.plan)
    expected = net(Tensor(x))
    nn.CrossEntropyLoss()(expected, Tensor(y)).backward()
    pairs: list[Any] = [(logits, expected)]
    pairs += [(step.gradients()[name], p.grad) for name, p in net.named_parameters()]
    for ours, theirs in pairs:
        error = np.abs(ours.numpy() - theirs.numpy()).max() / np.abs(theirs.numpy()).max()
        assert error < (1e-12 if dtype == "float64" else 3e-6)


@pytest.mark.parametrize(
    ("size", "padding", "lines", "strips"),
    [(3, 1, 9, 9), ((2, 3), (0, 1), 8, 4), (5, 2, 9, 3), ((3, 5), (0, 2), 7, 1)],
)
def test_a_first_convolution_goes_through_strips_of_lines(
    size: Any, padding: Any, lines: int, strips: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel_size = pair("kernel", size)
    rows = [form for form in forms.forms_of(kernel_size, (1, 1)) if not form.is_square]
    monkeypatch.setattr(forms, "forms_of", lambda size, stride: rows)
    monkeypatch.setattr(forms, "WORTH", 100)
    a_line = 10 * rows[0].points * 4 * 16 * 8  # bytes: channels, points, pieces, images, a number
    monkeypatch.setattr(winograd, "LINES_BYTES", lines // strips * a_line)
    monkeypatch.setattr(winograd, "SHORTEST", 64 * (lines // strips))
    minicnn.manual_seed(3)
    conv = nn.Conv2d(7, 10, size, padding=padding)
    net = nn.Sequential(conv, nn.Flatten(), nn.LazyLinear(5))
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((37, *PICTURE)), rng.integers(0, 5, 37)
    net(Tensor(x.astype(np.float32)))
    step = step_of(net.to("float64"))
    _, logits = step(x, y)
    repeated = [line.again[1] for line in step.plan.lines if line.again[1]]
    assert repeated == ([strips] * 2 if strips > 1 else [])  # forward and backward
    expected = net(Tensor(x))
    nn.CrossEntropyLoss()(expected, Tensor(y)).backward()
    np.testing.assert_allclose(logits.numpy(), expected.numpy(), rtol=1e-11, atol=1e-11)
    for name, p in net.named_parameters():
        assert p.grad is not None
        gradient = step.gradients()[name].numpy()
        np.testing.assert_allclose(gradient, p.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_a_weight_used_twice_gets_both_gradients() -> None:
    """On pictures of different sizes, for which different forms may be best."""
    minicnn.manual_seed(4)
    twice = nn.Conv2d(7, 7, 3, padding=1)
    net = nn.Sequential(twice, nn.MaxPool2d(3), twice, nn.Flatten(), nn.LazyLinear(5))
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal((37, *PICTURE)), rng.integers(0, 5, 37)
    net(Tensor(x.astype(np.float32)))
    step = step_of(net.to("float64"))
    step(x, y)
    nn.CrossEntropyLoss()(net(Tensor(x)), Tensor(y)).backward()
    assert twice.weight.grad is not None
    ours, theirs = step.gradients()["0.weight"].numpy(), twice.weight.grad.numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


class Twice(nn.Module):
    """One weight, with one stride after the other."""

    def __init__(self, strides: tuple[int, int]):
        super().__init__()
        self.weight, self.strides = nn.Parameter(minicnn.randn(7, 7, 3, 3) / 5), strides

    def forward(self, x: Tensor) -> Tensor:
        for stride in self.strides:
            x = F.conv2d(x, self.weight, stride=stride, padding=1)
        return x


@pytest.mark.parametrize(("strides", "at_points"), [((2, 2), 2), ((2, 1), 1), ((1, 2), 1)])
def test_a_weight_used_with_two_strides_goes_to_the_points_of_the_first(
    strides: tuple[int, int], at_points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "WORTH", 100)
    minicnn.manual_seed(4)
    net = nn.Sequential(nn.Conv2d(7, 7, 1), Twice(strides), nn.Flatten(), nn.LazyLinear(5))
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal((37, *PICTURE)), rng.integers(0, 5, 37)
    net(Tensor(x.astype(np.float32)))
    step = step_of(net.to("float64"))
    step(x, y)
    assert str(step.plan).count(", F(4") == at_points
    nn.CrossEntropyLoss()(net(Tensor(x)), Tensor(y)).backward()
    for name, p in net.named_parameters():
        assert p.grad is not None
        ours = step.gradients()[name].numpy()
        np.testing.assert_allclose(ours, p.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_where_only_the_bias_learns_no_strip_is_left_out() -> None:
    """The way back then has nothing to do strip by strip."""
    minicnn.manual_seed(4)
    conv, rng = nn.Conv2d(16, 32, 3, padding=1), np.random.default_rng(9)
    net = nn.Sequential(conv, nn.Flatten(), nn.Linear(32 * 16 * 16, 3))
    x, y = rng.standard_normal((37, 16, 16, 16)).astype(np.float32), rng.integers(0, 3, 37)
    conv.weight.requires_grad = False
    step = step_of(net)
    for _ in range(2):  # groups and steps that come later use the same memory
        _, logits = step(x, y)
        np.testing.assert_allclose(logits.numpy(), net(Tensor(x)).numpy(), atol=1e-4)
    assert "F(4x4" in str(step.plan)


def test_a_weight_used_at_points_and_directly_is_put_in_order_by_one_kind_of_instruction() -> None:
    """Threads take these instructions in any order: two kinds would add at the same time."""
    minicnn.manual_seed(4)
    twice, first = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(7, 16, 1)
    net = nn.Sequential(first, twice, nn.MaxPool2d(7), twice, nn.Flatten(), nn.LazyLinear(5))
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal((37, *PICTURE)), rng.integers(0, 5, 37)
    net(Tensor(x.astype(np.float32)))
    step = step_of(net.to("float64"))
    step(x, y)
    forms = [line.what for line in step.plan.lines if line.name == "conv" and "3x3" in line.what]
    assert ["F(" in form for form in forms] == [True, False]
    kinds = {type(line.op).__name__ for line in step.plan.epilogue}
    assert kinds == {"WeightGradient"}
    nn.CrossEntropyLoss()(net(Tensor(x)), Tensor(y)).backward()
    assert twice.weight.grad is not None
    ours, theirs = step.gradients()["1.weight"].numpy(), twice.weight.grad.numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_without_it_sums_of_whole_numbers_are_exact() -> None:
    """Small whole numbers: every product and every sum is one that float32 can hold."""
    net, rng = net_of("float32", 3, padding=1), np.random.default_rng(6)
    for p in net.parameters():
        p.data[...] = rng.integers(-3, 4, p.shape)
    conv = nn.Sequential(net[2], nn.Flatten())
    x = rng.integers(-3, 4, (19, *PICTURE)).astype(np.float32)
    predict = minicnn.compile(conv, winograd=False)
    ours = predict(x).numpy()
    assert ", F(" not in str(predict.plan)
    np.testing.assert_array_equal(ours, conv.to("float64")(Tensor(x.astype(np.float64))).numpy())
