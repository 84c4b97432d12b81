"""Layers: their first weights, the function each computes, PyTorch's arguments."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn
from minicnn.nn import functional as F
from tests.nn.blocks import images

# Layers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "fan_in"),
    [
        (lambda: nn.Linear(50, 80), 50),
        (lambda: nn.Conv2d(6, 80, (3, 5)), 6 * 15),
        (lambda: nn.Conv2d(6, 80, 3, groups=2), 3 * 9),
    ],
)
def test_default_weights_are_uniform_within_one_over_root_fan_in(
    make: Callable[[], nn.Linear | nn.Conv2d], fan_in: int
) -> None:
    layer = make()
    bound = 1 / np.sqrt(fan_in)
    assert layer.bias is not None
    for parameter, close in ((layer.weight, 0.05), (layer.bias, 0.4)):
        w = parameter.numpy()
        assert w.dtype == np.float32
        assert np.abs(w).max() <= bound
        assert np.abs(w).max() > 0.8 * bound
        assert np.var(w) == pytest.approx(bound**2 / 3, rel=close)
        assert abs(w.mean()) < 0.3 * bound


def test_layers_draw_different_weights_and_repeat_them_from_the_seed() -> None:
    a, b = nn.Linear(3, 4), nn.Linear(3, 4)
    minicnn.manual_seed(7)  # as the fixture did
    again = nn.Linear(3, 4)

    assert not np.array_equal(a.weight.numpy(), b.weight.numpy())
    np.testing.assert_array_equal(a.weight.numpy(), again.weight.numpy())


def functions() -> list[Any]:
    conv = nn.Conv2d(4, 6, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(1, 2), groups=2)
    linear, norm = nn.Linear(5, 3), nn.BatchNorm2d(4)
    norm.load_state_dict(
        {
            "weight": np.arange(1, 5),
            "bias": np.arange(4),
            "running_mean": np.ones(4),
            "running_var": np.full(4, 2),
            "num_batches_tracked": np.array(3),
        }
    )
    x = images(2, 4, 7, 5)
    return [
        (conv, x, lambda: F.conv2d(x, conv.weight, conv.bias, (1, 2), (2, 1), (1, 2), 2)),
        (linear, x, lambda: F.linear(x, linear.weight, linear.bias)),
        (nn.MaxPool2d(3, 2, 1, 1, True), x, lambda: F.max_pool2d(x, 3, 2, 1, 1, True)),
        (nn.MaxPool2d(2), x, lambda: F.max_pool2d(x, 2)),
        (
            nn.AvgPool2d(3, 2, 1, True, False, 5),
            x,
            lambda: F.avg_pool2d(x, 3, 2, 1, True, False, 5),
        ),
        (nn.AvgPool2d((2, 3)), x, lambda: F.avg_pool2d(x, (2, 3))),
        (nn.Flatten(), x, lambda: x.reshape(2, -1)),
        (nn.Flatten(0, 1), x, lambda: x.reshape(8, 7, 5)),
        (nn.Flatten(-2), x, lambda: x.reshape(2, 4, 35)),
        (nn.ZeroPad2d((1, 0, -1, 2)), x, lambda: F.pad(x, (1, 0, -1, 2))),
        (nn.ZeroPad2d(2), x, lambda: F.pad(x, (2, 2, 2, 2))),
        (nn.Sigmoid(), x, lambda: F.sigmoid(x)),
        (nn.ReLU(), x, lambda: F.relu(x)),
        (nn.Tanh(), x, lambda: F.tanh(x)),
        (nn.Dropout(0.3).eval(), x, lambda: x),
        (
            norm.eval(),
            x,
            lambda: F.batch_norm(
                x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False
            ),
        ),
    ]


@pytest.mark.parametrize(
    ("layer", "x", "function"), functions(), ids=[repr(case[0]) for case in functions()]
)
def test_a_layer_computes_its_function(
    layer: nn.Module, x: Tensor, function: Callable[[], Tensor]
) -> None:
    np.testing.assert_array_equal(layer(x).numpy(), function().numpy())


def test_dropout_drops_in_training_only() -> None:
    layer, x = nn.Dropout(0.5), Tensor(np.ones((100, 100), np.float32))

    y, z = layer(x).numpy(), layer(x).numpy()

    assert set(np.unique(y)) == {0.0, 2.0}
    assert y.mean() == pytest.approx(1, abs=0.05)
    assert not np.array_equal(y, z)
    assert layer.eval()(x) is x


def test_cross_entropy_loss_passes_its_arguments_on() -> None:
    logits, target = images(5, 3), Tensor(np.array([0, 1, 2, 1, 0]))
    weight = Tensor([1.0, 2.0, 3.0])

    loss = nn.CrossEntropyLoss(weight, ignore_index=2, reduction="sum", label_smoothing=0.1)
    expected = F.cross_entropy(logits, target, weight, 2, "sum", 0.1)

    assert loss(logits, target).item() == expected.item()
    plain = nn.CrossEntropyLoss()
    assert plain(logits, target).item() == F.cross_entropy(logits, target).item()
    assert plain.state_dict() == {}


def test_the_class_weights_of_a_loss_are_a_buffer_that_can_be_replaced() -> None:
    logits, target = images(5, 3, dtype="float64"), Tensor(np.array([0, 1, 2, 1, 0]))
    loss = nn.CrossEntropyLoss(Tensor([1.0, 2.0, 3.0]))

    loss.to("float64")
    loss.weight = Tensor(np.array([3.0, 2.0, 1.0]))

    assert list(loss.state_dict()) == ["weight"]
    expected = F.cross_entropy(logits, target, loss.weight)
    assert loss(logits, target).item() == expected.item()


@pytest.mark.parametrize("shape", [(3,), ()])
def test_flatten_refuses_axes_that_are_not_there(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^flatten: shape \(.*\) has no axes from start_dim 1 to"):
        nn.Flatten()(Tensor(np.ones(shape)))
    for start, end in ((2, 1), (1, 3), (-4, 1), (3, 3)):
        with pytest.raises(ValueError, match=rf"start_dim {start} to end_dim {end}$"):
            nn.Flatten(start, end)(Tensor(np.ones((2, 3, 4))))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv2d(0, 1, 1), "Conv2d: in_channels is 0; wanted an integer of at least 1"),
        (lambda: nn.Conv2d(1, 2.0, 1), "Conv2d: out_channels is 2.0"),  # type: ignore[arg-type]
        (lambda: nn.Conv2d(1, 1, 0), "Conv2d: kernel_size is 0"),
        (lambda: nn.Conv2d(1, 1, (1, 2, 3)), "Conv2d: kernel_size is"),
        (lambda: nn.Conv2d(3, 4, 1, groups=2), "Conv2d: groups is 2; wanted a divisor of in_cha"),
        (lambda: nn.Linear(-1, 2), "Linear: in_features is -1"),
        (lambda: nn.Linear(1, 0), "Linear: out_features is 0"),
        (lambda: nn.BatchNorm2d(0), "BatchNorm2d: num_features is 0"),
        (lambda: nn.Dropout(1.5), "Dropout: p is 1.5; wanted a probability from 0 to 1"),
    ],
)
def test_impossible_layers_are_refused_when_made(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


def test_a_net_in_float32_names_the_way_out_for_float64_input() -> None:
    with pytest.raises(TypeError, match=r"^conv2d: input is float64, weight is float32; convert"):
        nn.Conv2d(1, 1, 1)(Tensor(np.ones((1, 1, 2, 2))))
    with pytest.raises(TypeError, match=r"^linear: input is float64.*input\.to\('float32'\)"):
        nn.Linear(2, 1)(Tensor(np.ones((1, 2))))


# BatchNorm2d --------------------------------------------------------------------------------------


LAYERS: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = [
    ("Conv2d", (4, 6, 3), {}, (2, 4, 7, 5)),
    (
        "Conv2d",
        (4, 6, (3, 2)),
        {"stride": (1, 2), "padding": (2, 1), "dilation": (1, 2), "groups": 2, "bias": False},
        (2, 4, 7, 6),
    ),
    ("Conv2d", (4, 6, (5, 3)), {"padding": "same", "dilation": (1, 2)}, (2, 4, 7, 5)),
    ("Conv2d", (4, 6, 2), {"padding": "valid"}, (4, 7, 5)),
    ("Linear", (5, 3), {}, (2, 4, 5)),
    ("Linear", (5, 3), {"bias": False}, (5,)),
    ("MaxPool2d", (2,), {}, (2, 3, 7, 5)),
    (
        "MaxPool2d",
        ((3, 2),),
        {"stride": (2, 1), "padding": 1, "dilation": (1, 2), "ceil_mode": True},
        (2, 3, 8, 6),
    ),
    ("AvgPool2d", (2,), {}, (2, 3, 7, 5)),
    (
        "AvgPool2d",
        ((3, 2),),
        {"stride": 2, "padding": (1, 0), "ceil_mode": True, "count_include_pad": False},
        (2, 3, 8, 5),
    ),
    ("AvgPool2d", (2,), {"divisor_override": 3}, (3, 7, 5)),
    ("Flatten", (), {}, (2, 3, 4)),
    ("Flatten", (0, -2), {}, (2, 3, 4)),
    ("Sigmoid", (), {}, (2, 3)),
    ("ReLU", (), {}, (2, 3)),
    ("Tanh", (), {}, (2, 3)),
    ("Dropout", (0.0,), {}, (2, 3)),
    ("Dropout", (1.0,), {}, (2, 3)),
]


@pytest.mark.parity
@pytest.mark.parametrize(("name", "positional", "keywords", "shape"), LAYERS)
def test_a_layer_with_the_same_weights_is_pytorchs(
    name: str, positional: tuple[Any, ...], keywords: dict[str, Any], shape: tuple[int, ...]
) -> None:
    torch = pytest.importorskip("torch")
    ours: nn.Module = getattr(nn, name)(*positional, **keywords).to("float64")
    theirs = getattr(torch.nn, name)(*positional, **keywords).double()
    ours.load_state_dict(theirs.state_dict())
    rng = np.random.default_rng(0)
    array = rng.standard_normal(shape)
    x, t = Tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)

    y, expected = ours(x), theirs(t)
    dy = rng.standard_normal(y.shape)
    y.backward(dy)
    expected.backward(torch.tensor(dy))

    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    for a, b in [(x, t), *zip(ours.parameters(), theirs.parameters(), strict=True)]:
        assert a.grad is not None
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parity
@pytest.mark.parametrize("arguments", [{}, {"reduction": "sum", "label_smoothing": 0.2}])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_loss_is_pytorchs(arguments: dict[str, Any], weighted: bool) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    logits, target, weight = rng.random((6, 3)), np.array([0, 2, 1, -100, 1, 0]), rng.random(3)

    ours = nn.CrossEntropyLoss(Tensor(weight) if weighted else None, **arguments)
    theirs = torch.nn.CrossEntropyLoss(torch.tensor(weight) if weighted else None, **arguments)

    expected = theirs(torch.tensor(logits), torch.tensor(target)).item()
    assert ours(Tensor(logits), Tensor(target)).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parity
@pytest.mark.parametrize(
    "name",
    [
        "Conv2d",
        "Linear",
        "LazyConv2d",
        "LazyLinear",
        "MaxPool2d",
        "AvgPool2d",
        "Flatten",
        "Dropout",
        "BatchNorm2d",
        "CrossEntropyLoss",
        "NLLLoss",
        "ReLU",
    ],
)
def test_constructors_take_pytorchs_arguments(name: str) -> None:
    torch = pytest.importorskip("torch")
    theirs = inspect.signature(getattr(torch.nn, name)).parameters
    not_here = {"padding_mode", "device", "dtype", "return_indices", "size_average"}
    wanted = [(p.name, p.default) for p in theirs.values() if p.name not in {*not_here, "reduce"}]
    if name.endswith("BatchNorm2d"):
        wanted = [argument for argument in wanted if argument[0] != "bias"]  # newer than ours
    ours = [(p.name, p.default) for p in inspect.signature(getattr(nn, name)).parameters.values()]
    assert ours == wanted


@pytest.mark.parametrize("padding", [(1, 2, 3), (1, 2, 3, 4, 5), (1, 2.5, 1, 1), ("1", 1, 1, 1)])
def test_a_frame_has_one_or_four_widths(padding: Any) -> None:
    with pytest.raises(ValueError, match=r"^ZeroPad2d: padding is .*; wanted one or four integers"):
        nn.ZeroPad2d(padding)
    assert repr(nn.ZeroPad2d((1, 0, 2, 3))) == "ZeroPad2d((1, 0, 2, 3))"
