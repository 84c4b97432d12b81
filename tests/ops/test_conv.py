"""Convolution: against its definition, PyTorch and finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, ops
from minicnn.compiler.record import record
from minicnn.nn import functional as F
from minicnn.nn.functional import conv
from tests import oracle
from tests.oracle import assert_functional_agrees

conv2d: Callable[..., Tensor] = F.conv2d  # the arguments often come as lists and dicts
by_loops: Callable[..., np.ndarray] = oracle.conv2d


class Case(NamedTuple):
    input: tuple[int, ...]
    weight: tuple[int, ...]
    options: dict[str, Any] = {}  # noqa: RUF012 (never changed)
    bias: bool = True


CASES = {
    "plain": Case((2, 3, 6, 5), (4, 3, 2, 3)),
    "no bias": Case((2, 3, 6, 5), (4, 3, 3, 2), bias=False),
    "square": Case((2, 3, 6, 6), (4, 3, 3, 3), {"stride": 2, "padding": 1}),
    "one channel, one kernel": Case((1, 1, 4, 4), (1, 1, 2, 2)),
    "stride that does not fit": Case((2, 2, 8, 9), (3, 2, 3, 2), {"stride": (2, 3)}),
    "stride larger than the kernel": Case((1, 2, 7, 8), (2, 2, 1, 2), {"stride": (3, 4)}),
    "padding": Case((2, 2, 4, 6), (3, 2, 3, 2), {"padding": (2, 1)}),
    "more padding than kernel": Case((1, 2, 3, 2), (2, 2, 2, 1), {"padding": (3, 2)}),
    "dilation": Case((1, 2, 8, 7), (2, 2, 2, 3), {"dilation": (3, 2)}),
    "1 x 1": Case((2, 3, 4, 5), (6, 3, 1, 1)),
    "1 x 1, stride 2": Case((2, 3, 5, 4), (2, 3, 1, 1), {"stride": 2}),
    "kernel as large as the padded input": Case((2, 2, 3, 4), (5, 2, 5, 4), {"padding": (1, 0)}),
    "groups": Case((2, 4, 5, 6), (6, 2, 3, 2), {"groups": 2}),
    "a group for each channel": Case((2, 3, 5, 4), (6, 1, 2, 3), {"groups": 3}, bias=False),
    "everything": Case(
        (2, 4, 10, 11),
        (6, 2, 3, 2),
        {"stride": (2, 3), "padding": (1, 2), "dilation": (2, 1), "groups": 2},
    ),
}
BEYOND_THE_LOOPS = {  # forms that conv2d turns into the plain one
    "same": Case((2, 2, 5, 6), (3, 2, 3, 5), {"padding": "same"}),
    "same, odd cells": Case((2, 2, 5, 6), (3, 2, 4, 2), {"padding": "same"}),
    "same, dilated, groups": Case(
        (2, 4, 7, 6), (2, 2, 2, 4), {"padding": "same", "dilation": (3, 1), "groups": 2}
    ),
    "valid": Case((2, 2, 5, 6), (3, 2, 3, 2), {"padding": "valid", "stride": (1, 2)}),
    "unbatched": Case((3, 6, 5), (4, 3, 2, 3), {"stride": (2, 1), "padding": (0, 1)}),
    "batch of none": Case((0, 3, 6, 5), (4, 3, 2, 3), {"padding": (1, 0)}),
}


def arrays_of(case: Case, rng: np.random.Generator) -> list[np.ndarray]:
    shapes = [case.input, case.weight, *([case.weight[:1]] if case.bias else [])]
    return [rng.standard_normal(shape) for shape in shapes]


def pairs(options: dict[str, Any]) -> dict[str, Any]:
    return {
        name: (value, value) if isinstance(value, int) and name != "groups" else value
        for name, value in options.items()
    }


def by_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """One image's columns at a time, as of a large batch."""
    monkeypatch.setattr(conv, "CACHED_BYTES", 0)


@pytest.fixture(params=["whole", "by image"])
def batch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How the columns are laid out: the batch's at once, or an image's."""
    if request.param == "by image":
        by_image(monkeypatch)


@pytest.mark.parametrize("name", CASES)
def test_forward_is_the_definition(
    name: str, kernel_set: str, batch: None, rng: np.random.Generator
) -> None:
    case = CASES[name]
    arrays = arrays_of(case, rng)
    y = conv2d(*map(Tensor, arrays), **case.options)
    expected = by_loops(*arrays, **pairs(case.options))
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", CASES | BEYOND_THE_LOOPS)
def test_gradients_are_those_of_finite_differences(
    name: str, kernel_set: str, batch: None, rng: np.random.Generator
) -> None:
    case = (CASES | BEYOND_THE_LOOPS)[name]
    inputs = [Tensor(array, requires_grad=True) for array in arrays_of(case, rng)]
    assert minicnn.gradcheck(lambda *xs: conv2d(*xs, **case.options), inputs)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("name", CASES | BEYOND_THE_LOOPS)
def test_values_and_gradients_are_those_of_torch(
    name: str, kernel_set: str, batch: None, rng: np.random.Generator
) -> None:
    case = (CASES | BEYOND_THE_LOOPS)[name]
    assert_functional_agrees("conv2d", *arrays_of(case, rng), **case.options)


def test_a_picture_of_numbers_one_can_follow(kernel_set: str) -> None:
    x = Tensor(np.arange(1.0, 10.0).reshape(1, 1, 3, 3), requires_grad=True)
    weight = Tensor(np.array([[[[1.0, 0.0], [0.0, -1.0]]]]), requires_grad=True)
    y = conv2d(x, weight)
    assert y.numpy().tolist() == [[[[-4, -4], [-4, -4]]]]  # 1 - 5, 2 - 6, 4 - 8, 5 - 9
    y.backward(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]))
    assert x.grad is not None
    assert weight.grad is not None
    assert x.grad.numpy().tolist() == [[[[1, 2, 0], [3, 3, -2], [0, -3, -4]]]]
    assert weight.grad.numpy().tolist() == [[[[37, 47], [67, 77]]]]


def test_the_kernel_is_not_flipped(kernel_set: str) -> None:
    x = np.zeros((1, 1, 3, 4))
    x[0, 0, 1, 2] = 1
    weight = np.arange(6.0).reshape(1, 1, 2, 3)
    y = conv2d(Tensor(x), Tensor(weight), padding=(1, 2)).numpy()[0, 0]
    np.testing.assert_array_equal(y[1:3, 2:5], weight[0, 0, ::-1, ::-1])
    assert np.count_nonzero(y) == 5


@pytest.mark.parametrize("kernel_size", [(2, 3), (4, 2), (1, 6)])
def test_same_puts_the_odd_cell_at_the_end(
    kernel_size: tuple[int, int], kernel_set: str, rng: np.random.Generator
) -> None:
    x, weight = rng.standard_normal((1, 2, 5, 7)), rng.standard_normal((3, 2, *kernel_size))
    before = [(k - 1) // 2 for k in kernel_size]
    after = [k - 1 - b for k, b in zip(kernel_size, before, strict=True)]
    framed = np.pad(x, ((0, 0), (0, 0), *zip(before, after, strict=True)))
    y = conv2d(Tensor(x), Tensor(weight), padding="same")
    assert y.shape == (1, 3, 5, 7)
    np.testing.assert_allclose(y.numpy(), by_loops(framed, weight), rtol=1e-10, atol=1e-10)


def test_cells_that_no_window_reaches_have_gradient_0(
    kernel_set: str, rng: np.random.Generator
) -> None:
    x = Tensor(rng.standard_normal((1, 2, 6, 7)), requires_grad=True)
    weight = Tensor(rng.standard_normal((1, 2, 2, 2)))
    conv2d(x, weight, stride=3).sum().backward()
    assert x.grad is not None
    reached = np.ix_([0], [0, 1], [0, 1, 3, 4], [0, 1, 3, 4])
    assert (x.grad.numpy()[reached] != 0).all()
    assert np.count_nonzero(x.grad.numpy()) == x.grad.numpy()[reached].size


def test_a_batch_of_none_works(kernel_set: str) -> None:
    x = Tensor(np.zeros((0, 2, 5, 4)), requires_grad=True)
    weight = Tensor(np.ones((3, 2, 2, 3)), requires_grad=True)
    bias = Tensor(np.ones(3), requires_grad=True)
    y = conv2d(x, weight, bias, stride=(1, 2))
    assert y.shape == (0, 3, 4, 1)
    y.sum().backward()
    assert x.grad is not None
    assert weight.grad is not None
    assert bias.grad is not None
    assert x.grad.shape == (0, 2, 5, 4)
    assert (weight.grad.numpy() == 0).all()
    assert (bias.grad.numpy() == 0).all()


def test_only_the_gradients_that_are_wanted_come(kernel_set: str, rng: np.random.Generator) -> None:
    arrays = [rng.standard_normal(shape) for shape in [(2, 2, 5, 4), (3, 2, 2, 3), (3,)]]
    every = [Tensor(array, requires_grad=True) for array in arrays]
    conv2d(*every).sum().backward()
    for wanted in range(3):
        inputs = [Tensor(array, requires_grad=i == wanted) for i, array in enumerate(arrays)]
        conv2d(*inputs).sum().backward()
        for i, x in enumerate(inputs):
            if i == wanted:
                np.testing.assert_array_equal(x.grad, every[i].grad)
            else:
                assert x.grad is None


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (
            [(1, 2, 5, 4), (3, 2, 2, 2)],
            {"padding": "same", "stride": 2},
            r"padding='same' needs stride 1, received stride \(2, 2\)",
        ),
        (
            [(1, 2, 5, 4), (3, 2, 4, 3)],
            {"padding": (0, 1), "dilation": 2},
            r"kernel \(4, 3\) with dilation \(2, 2\) is larger than the padded input: "
            r"input \(1, 2, 5, 4\), padding \(0, 1\)",
        ),
        (
            [(1, 3, 5, 4), (4, 2, 2, 2)],
            {},
            r"input \(1, 3, 5, 4\) has 3 channels, weight \(4, 2, 2, 2\) with groups=1 wants 2",
        ),
        (
            [(1, 4, 5, 4), (4, 4, 2, 2)],
            {"groups": 2},
            r"input \(1, 4, 5, 4\) has 4 channels, weight \(4, 4, 2, 2\) with groups=2 wants 8",
        ),
        (
            [(1, 6, 5, 4), (4, 2, 2, 2)],
            {"groups": 3},
            "groups is 3; wanted a divisor of the 4 output channels",
        ),
        ([(1, 2, 5, 4), (3, 2, 2, 2), (2,)], {}, r"bias has shape \(2,\); wanted \(3,\)"),
        ([(5, 4), (3, 2, 2, 2)], {}, r"input has shape \(5, 4\); wanted \(N, C, H, W\)"),
        ([(1, 2, 5, 4), (3, 2, 2)], {}, r"weight has shape \(3, 2, 2\); wanted \(O, C, KH, KW\)"),
        ([(1, 2, 5, 4), (3, 2, 2, 2)], {"padding": "full"}, "padding is 'full'"),
        ([(1, 2, 5, 4), (3, 2, 2, 2)], {"padding": -1}, "padding is -1; wanted .* at least 0"),
        ([(1, 2, 5, 4), (3, 2, 2, 2)], {"stride": (1, 0)}, r"stride is \(1, 0\); wanted"),
        ([(1, 2, 5, 4), (3, 2, 2, 2)], {"dilation": (1, 2, 3)}, r"dilation is \(1, 2, 3\); wanted"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    shapes: list[tuple[int, ...]], options: dict[str, Any], message: str
) -> None:
    tensors = [Tensor(np.zeros(shape)) for shape in shapes]
    with pytest.raises(ValueError, match=message):
        conv2d(*tensors, **options)


def test_mixed_dtypes_are_refused_with_the_way_out() -> None:
    x, weight = Tensor(np.zeros((1, 1, 3, 3))), Tensor(np.zeros((1, 1, 2, 2), np.float32))
    with pytest.raises(
        TypeError,
        match=r"conv2d: input is float64, weight is float32; "
        r"convert one, for example input\.to\('float32'\)",
    ):
        conv2d(x, weight)
    assert conv2d(x.to("float32"), weight).dtype == np.float32


# A large batch ------------------------------------------------------------------------------------


def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of 16 images, as on a GPU."""
    monkeypatch.setattr(conv, "is_host", lambda array: False)
    monkeypatch.setattr(conv, "KEPT_BYTES", 0)
    monkeypatch.setattr(conv, "PIECE_BYTES", 0)


@pytest.mark.parametrize("cut", [by_image, in_pieces])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("wanted", [(True, True, True), (True, False, False), (False, True, True)])
def test_a_large_batch_bit_by_bit_is_the_batch(
    cut: Callable[[pytest.MonkeyPatch], None],
    dtype: Any,
    bias: bool,
    wanted: tuple[bool, ...],
    kernel_set: str,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """37 images: not a multiple of a piece. Small whole numbers, so that every sum is exact."""
    arrays = [
        rng.integers(-4, 5, shape).astype(dtype) for shape in ((37, 4, 5, 6), (6, 2, 2, 3), 6)
    ]
    arrays = arrays[: 3 if bias else 2]
    u = rng.integers(-4, 5, (37, 6, 3, 6)).astype(dtype)

    def values() -> list[np.ndarray | None]:
        inputs = [Tensor(a, requires_grad=w) for a, w in zip(arrays, wanted, strict=False)]
        y = conv2d(*inputs, stride=(2, 1), padding=1, dilation=(1, 1), groups=2)
        y.backward(Tensor(u))
        return [y.numpy(), *(None if x.grad is None else x.grad.numpy() for x in inputs)]

    whole = values()
    cut(monkeypatch)
    for bit_by_bit, expected in zip(values(), whole, strict=True):
        np.testing.assert_array_equal(bit_by_bit, expected)


def test_only_a_large_batch_goes_by_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many columns as fit into the cache: 40 images of 8 windows with 3 · 2 · 2 cells."""
    x = Tensor(np.ones((40, 3, 3, 5), np.float32))
    w = Tensor(np.ones((7, 3, 2, 2), np.float32), requires_grad=True)
    columns = 40 * 8 * 12 * 4  # bytes
    for bytes, wanted in ((columns, ops.Conv2d), (columns - 1, ops.Conv2dByImage)):
        monkeypatch.setattr(conv, "CACHED_BYTES", bytes)
        node = conv2d(x, w).node
        assert node is not None
        assert type(node.operation) is wanted
        assert node.operation.name == "Conv2d"


@pytest.mark.parametrize("kernel", [(4, 3), (3, 4), (2, 7), (7, 2), (5, 3)])
def test_same_keeps_the_size_whatever_the_kernel(kernel: tuple[int, int]) -> None:
    x, w = Tensor(np.ones((1, 1, 8, 9))), Tensor(np.ones((1, 1, *kernel)))
    y = conv2d(x, w, padding="same")
    assert y.shape == x.shape
    assert y.numpy()[0, 0, 4, 4] == kernel[0] * kernel[1]


def test_what_a_large_batch_reads_again_must_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """x for dW, W for dx."""
    by_image(monkeypatch)
    for changed, wants in ((0, 1), (1, 0)):
        inputs = [Tensor(np.ones((2, 1, 4, 4))), Tensor(np.ones((1, 1, 2, 2)))]
        inputs[wants].requires_grad = True
        y = conv2d(*inputs)
        with minicnn.no_grad():
            inputs[changed] += 1
        with pytest.raises(RuntimeError, match=f"Conv2d needs its input {changed}"):
            y.sum().backward()


def test_only_what_is_large_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many columns as are kept, and images enough."""
    x, w = Tensor(np.ones((40, 1, 4, 4), np.float32)), Tensor(np.ones((1, 1, 2, 2), np.float32))
    w.requires_grad = True
    columns = 40 * 4 * 9 * 4  # bytes

    def cut() -> bool:
        y = conv2d(x, w)
        assert y.node is not None
        return isinstance(y.node.operation, ops.InPieces)

    in_pieces(monkeypatch)
    monkeypatch.setattr(conv, "KEPT_BYTES", columns)
    assert not cut()
    monkeypatch.setattr(conv, "KEPT_BYTES", columns - 1)
    assert cut()
    monkeypatch.setattr(conv, "PIECE_BYTES", columns)  # of an image: pieces of 40
    assert not cut()


def test_pieces_hold_as_many_images_as_their_columns_allow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At least 16. What nobody goes back through is cut where a piece is full."""
    x, w = Tensor(np.ones((40, 1, 4, 4), np.float32)), Tensor(np.ones((1, 1, 2, 2), np.float32))
    columns, seen = 4 * 9 * 4, list[Any]()  # bytes of an image
    apply = minicnn.apply

    def noted(operation: Any, *inputs: Tensor) -> Tensor:
        seen.append(operation.size if isinstance(operation, ops.InPieces) else None)
        return apply(operation, *inputs)

    in_pieces(monkeypatch)
    monkeypatch.setattr(conv, "apply", noted)
    monkeypatch.setattr(conv, "KEPT_BYTES", 40 * columns)
    monkeypatch.setattr(conv, "PIECE_BYTES", 20 * columns)
    conv2d(x, w)  # not recorded
    conv2d(x, Tensor(w.numpy(), requires_grad=True))  # kept whole
    monkeypatch.setattr(conv, "KEPT_BYTES", 0)
    monkeypatch.setattr(conv, "PIECE_BYTES", 0)
    conv2d(x[:17], w)
    conv2d(x[:16], w)
    assert seen == [20, None, 16, None]


@pytest.mark.parametrize("cut", [by_image, in_pieces])
def test_a_recording_for_a_plan_knows_the_whole_batch(
    cut: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forward of the user's own is recorded with as many pictures as there are."""
    cut(monkeypatch)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    stages = record(net, np.zeros((40, 1, 5, 6), np.float32))
    assert [type(stage.operation) for stage in stages] == [ops.Conv2d, ops.Reshape]
    assert stages[0].output_shape == (2, 3, 4)
