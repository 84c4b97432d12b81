"""Four rungs of convolution: equal, and each what it claims to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, kernels, ops, rungs
from minicnn.kernels import reference
from minicnn.nn import functional as F
from minicnn.winograd import Winograd
from tests import oracle

conv2d: Callable[..., Tensor] = rungs.conv2d  # the arguments come as lists and dicts
engines_conv2d: Callable[..., Tensor] = F.conv2d
by_loops: Callable[..., np.ndarray] = oracle.conv2d


def inputs_of(case: rungs.Case, rng: np.random.Generator) -> list[Tensor]:
    shapes = [case.input, case.weight, *([case.weight[:1]] if case.bias else [])]
    return [Tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("name", rungs.CASES)
def test_the_loops_are_the_definition(name: str, rng: np.random.Generator) -> None:
    case = rungs.CASES[name]
    inputs = inputs_of(case, rng)
    y = conv2d(*inputs, **case.options, rung="loops")
    expected = by_loops(*(x.numpy() for x in inputs), **case.options)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)


COMPUTED = [
    (rung, name)
    for rung in rungs.RUNGS
    for name, case in rungs.CASES.items()
    if not rungs.left_out(case, rung)
]


def test_winograd_alone_leaves_out_what_has_a_stride_or_a_dilation() -> None:
    every = {(rung, name) for rung in rungs.RUNGS for name in rungs.CASES}
    without = {"stride that does not fit", "dilation", "all of these"}
    assert every - set(COMPUTED) == {("winograd", name) for name in without}


@pytest.mark.parametrize(("rung", "name"), COMPUTED)
def test_every_rung_has_the_gradients_of_finite_differences(
    rung: str, name: str, rng: np.random.Generator
) -> None:
    case = rungs.CASES[name]
    inputs = inputs_of(case, rng)
    assert minicnn.gradcheck(lambda *xs: conv2d(*xs, **case.options, rung=rung), inputs)


@pytest.mark.parametrize("rung", rungs.RUNGS)
def test_every_rung_is_the_engines_convolution(rung: str, rng: np.random.Generator) -> None:
    case = rungs.CASES["more columns" if rung == "winograd" else "all of these"]
    ours, theirs = (inputs_of(case, np.random.default_rng(4)) for _ in range(2))
    y, expected = conv2d(*ours, **case.options, rung=rung), engines_conv2d(*theirs, **case.options)
    dy = rng.standard_normal(y.shape)
    y.backward(dy)
    expected.backward(dy)
    np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-12, atol=1e-12)
    for x, z in zip(ours, theirs, strict=True):
        assert x.grad is not None
        assert z.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), z.grad.numpy(), rtol=1e-12, atol=1e-12)


def test_the_switch_chooses_the_operation_and_its_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def spy(module: Any) -> None:
        im2col = module.im2col

        def watched(*arguments: Any) -> Any:
            asked.append(module.__name__.rpartition(".")[2])
            return im2col(*arguments)

        monkeypatch.setattr(module, "im2col", watched)

    for module in {kernels.host_kernels(), reference}:
        spy(module)
    x, weight = minicnn.randn(1, 1, 3, 3), Tensor(np.ones((1, 1, 2, 2), np.float32), True)
    nodes = {rung: rungs.conv2d(x, weight, rung=rung).node for rung in rungs.RUNGS}
    found = {rung: type(node.operation) for rung, node in nodes.items() if node is not None}
    assert found == {
        "loops": rungs.Loops,
        "im2col": rungs.Im2col,
        "winograd": Winograd,
        "fast": ops.Conv2d,
    }
    assert asked == ["reference", kernels.host_kernels().__name__.rpartition(".")[2]]


def test_every_product_stands_once_in_the_loops() -> None:
    """2 images, 3 kernels, 2 x 2 places, 2 channels, 2 x 1 cells."""
    x, weight = minicnn.randn(2, 2, 3, 2), Tensor(np.ones((3, 2, 2, 1), np.float32), True)
    node = rungs.conv2d(x, weight, rung="loops").node
    assert node is not None
    assert isinstance(node.operation, rungs.Loops)
    products = list(node.operation.products())
    assert len(products) == len(set(products)) == 2 * 3 * (2 * 2) * 2 * (2 * 1)
    assert ((1, 2, 1, 0), (2, 1, 1, 0), (1, 1, 2, 0)) in products


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"rung": "gpu"}, "rung is 'gpu'; wanted one of loops, im2col, winograd, fast"),
        ({"stride": 0}, "stride is 0"),
        ({"padding": -1}, "padding is -1"),
        ({"dilation": 4}, "larger than the padded input"),
    ],
)
def test_a_mistake_is_named(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        rungs.conv2d(minicnn.randn(1, 1, 4, 4), minicnn.randn(1, 1, 2, 2), **options)


@pytest.mark.parametrize("columns", [1, 4, 6, 9])  # of y, in pieces of four
@pytest.mark.parametrize("kw", [2, 3, 4, 5])
def test_winograds_convolution_is_the_definition(
    kw: int, columns: int, rng: np.random.Generator
) -> None:
    case = rungs.Case((2, 3, 4, columns + kw - 1), (4, 3, 2, kw), {})
    ours, theirs = (inputs_of(case, np.random.default_rng(kw)) for _ in range(2))
    y, expected = conv2d(*ours, rung="winograd"), conv2d(*theirs, rung="loops")
    dy = rng.standard_normal(expected.shape)
    y.backward(dy)
    expected.backward(dy)
    np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-12, atol=1e-12)
    for x, z in zip(ours, theirs, strict=True):
        assert x.grad is not None
        assert z.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), z.grad.numpy(), rtol=1e-12, atol=1e-12)


def test_winograd_multiplies_at_points_in_the_inputs_dtype() -> None:
    x, weight = minicnn.randn(3, 2, 5, 9), minicnn.randn(4, 2, 2, 3)  # OW 7: two pieces
    node = rungs.conv2d(Tensor(x.numpy(), requires_grad=True), weight, rung="winograd").node
    assert node is not None
    assert isinstance(node.operation, Winograd)
    assert node.operation.x.shape == (6, 2, 3, 5, 2)  # points, C, N, H, pieces
    assert node.operation.x.dtype == np.float32


def test_winograd_takes_a_batch_of_no_images() -> None:
    x, weight = Tensor(np.zeros((0, 2, 4, 7)), True), Tensor(np.ones((3, 2, 2, 3)), True)
    y = rungs.conv2d(x, weight, rung="winograd")
    y.backward(np.zeros((0, 3, 3, 5)))
    assert y.shape == (0, 3, 3, 5)
    assert x.grad is not None
    assert weight.grad is not None
    assert x.grad.shape == x.shape
    np.testing.assert_array_equal(weight.grad.numpy(), np.zeros(weight.shape))


@pytest.mark.parametrize(
    ("options", "columns", "complaint"),
    [
        ({"stride": (2, 1)}, 3, r"conv2d: stride is \(2, 1\); rung 'winograd' wants 1"),
        ({"dilation": 2}, 3, r"conv2d: dilation is \(2, 2\); rung 'winograd' wants 1"),
        ({}, 1, "conv2d: kernel has KW = 1; rung 'winograd' wants 2 to 5"),
        ({}, 6, "conv2d: kernel has KW = 6; rung 'winograd' wants 2 to 5"),
    ],
)
def test_what_winograd_does_not_compute_is_named(
    options: dict[str, Any], columns: int, complaint: str
) -> None:
    x, weight = minicnn.randn(1, 1, 8, 8), minicnn.randn(1, 1, 3, columns)
    with pytest.raises(ValueError, match=complaint):
        conv2d(x, weight, **options, rung="winograd")


# The command --------------------------------------------------------------------------------------


def test_the_command_proves_them_equal_and_times_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert rungs.main(["--images", "2", "--rounds", "1"]) == 0
    printed = capsys.readouterr().out
    assert "Equal up to rounding" in printed
    rows = [line.split() for line in printed.splitlines()]
    compared = [row for row in rows if row and row[0] in rungs.RUNGS and "e-" in row[-1] + row[-2]]
    assert len(compared) == len(COMPUTED) - len(rungs.CASES)  # without the loops
    assert "winograd  dilation                    left out: dilation is (3, 2)" in printed
    timed = [row for row in rows if row and row[0] in rungs.RUNGS][-4:]
    images = {"loops": "1", "im2col": "2", "winograd": "2", "fast": "2"}
    assert {row[0]: row[1] for row in timed} == images
    assert all(float(milliseconds) > 0 for row in timed for milliseconds in row[2:4])


def test_a_rung_that_differs_is_status_1_and_is_not_timed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(ops.Conv2d):
        def backward(self, dy: Any) -> Any:
            gradients: Any = super().backward(dy)
            return (gradients[0], gradients[1] * (1 + 1e-9), *gradients[2:])

    monkeypatch.setitem(rungs.RUNGS, "fast", Broken)
    assert rungs.main([]) == 1
    printed = capsys.readouterr().out
    assert "NOT EQUAL" in printed
    assert "How fast" not in printed


def test_a_nan_is_not_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rungs, "differences", lambda case, rung: [0.0, float("nan"), 0.0, 0.0])
    assert not rungs.compare()


def test_a_users_mistake_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        rungs.main(["--rounds", "0"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
