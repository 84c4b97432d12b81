"""Arguments of functions and layers: their forms, and the messages of those that do not fit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, optim
from minicnn.nn import functional as F


def ones(*shape: int, dtype: str = "float32") -> Tensor:
    return Tensor(np.ones(shape, dtype))


# Pairs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stride", "padding", "dilation"])
@pytest.mark.parametrize("one", [(2,), [2]])
def test_a_sequence_of_one_is_a_pair_as_in_torch(name: str, one: Any) -> None:
    torch = pytest.importorskip("torch")
    x, w = minicnn.randn(2, 3, 9, 8), minicnn.randn(4, 3, 3, 2)
    options: dict[str, Any] = {name: one}
    y = F.conv2d(x, w, **options)
    assert y.shape != F.conv2d(x, w).shape
    theirs = torch.from_numpy(x.numpy()), torch.from_numpy(w.numpy())
    assert y.shape == tuple(torch.nn.functional.conv2d(*theirs, **options).shape)
    layer = nn.Conv2d(3, 4, (3, 2), **options)
    assert layer(x).shape == y.shape


@pytest.mark.parametrize("layer", [nn.MaxPool2d, nn.AvgPool2d])
@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"kernel_size": (3,)}, (1, 2, 3, 2)),
        ({"kernel_size": [3], "padding": (1,)}, (1, 2, 3, 3)),
        ({"kernel_size": 3, "stride": (2,)}, (1, 2, 4, 3)),
        ({"kernel_size": (3, 2), "stride": ()}, (1, 2, 3, 4)),
        ({"kernel_size": 3, "stride": []}, (1, 2, 3, 2)),
    ],
)
def test_pooling_takes_sequences_of_one_and_of_none(
    layer: Callable[..., nn.Module], arguments: dict[str, Any], shape: tuple[int, ...]
) -> None:
    torch = pytest.importorskip("torch")
    function = "max_pool2d" if layer is nn.MaxPool2d else "avg_pool2d"
    assert getattr(F, function)(ones(1, 2, 9, 8), **arguments).shape == shape
    assert layer(**arguments)(ones(1, 2, 9, 8)).shape == shape
    theirs = getattr(torch.nn.functional, function)(torch.ones(1, 2, 9, 8), **arguments)
    assert tuple(theirs.shape) == shape


@pytest.mark.parametrize("wrong", [(), (1, 1, 1), "2", 1.5, None])
def test_other_sequences_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"^conv2d: stride is .*; wanted one or two integers"):
        F.conv2d(ones(1, 1, 3, 3), ones(1, 1, 2, 2), stride=wrong)
    with pytest.raises(ValueError, match=r"^max_pool2d: kernel_size is .*; wanted one or two"):
        F.max_pool2d(ones(1, 1, 3, 3), wrong)


# Refused when made --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv2d(1, 2, 3, stride=0), "Conv2d: stride is 0; wanted"),
        (lambda: nn.Conv2d(1, 2, 3, dilation=(1, 0)), r"Conv2d: dilation is \(1, 0\)"),
        (lambda: nn.Conv2d(1, 2, 3, padding=-1), "Conv2d: padding is -1; wanted"),
        (lambda: nn.Conv2d(1, 2, 3, padding="foo"), "Conv2d: padding is 'foo'; wanted numbers"),
        (lambda: nn.Conv2d(1, 2, 3, 2, "same"), "Conv2d: padding='same' needs stride 1"),
        (lambda: nn.LazyConv2d(2, 3, stride=0), "LazyConv2d: stride is 0; wanted"),
        (lambda: nn.LazyConv2d(2, 3, padding="foo"), "LazyConv2d: padding is 'foo'"),
        (lambda: nn.LazyConv2d(2, 0), "LazyConv2d: kernel_size is 0"),
        (lambda: nn.LazyConv2d(0, 3), "LazyConv2d: out_channels is 0"),
        (lambda: nn.LazyConv2d(2, 3, groups=0), "LazyConv2d: groups is 0"),
        (lambda: nn.LazyConv2d(4, 3, groups=3), "LazyConv2d: groups is 3; wanted a divisor of out"),
        (lambda: nn.LazyLinear(0), "LazyLinear: out_features is 0"),
        (lambda: nn.MaxPool2d(0), "MaxPool2d: kernel_size is 0; wanted"),
        (lambda: nn.MaxPool2d(2, stride=0), "MaxPool2d: stride is 0; wanted"),
        (lambda: nn.MaxPool2d(2, dilation=0), "MaxPool2d: dilation is 0; wanted"),
        (
            lambda: nn.MaxPool2d(2, padding=2),
            r"MaxPool2d: padding \(2, 2\) is over half the kernel",
        ),
        (lambda: nn.AvgPool2d(0), "AvgPool2d: kernel_size is 0; wanted"),
        (lambda: nn.AvgPool2d((2, 3), padding=2), r"AvgPool2d: padding \(2, 2\) is over half"),
        (lambda: nn.AvgPool2d(2, divisor_override=0), "AvgPool2d: divisor_override is 0"),
        (lambda: nn.BatchNorm2d(3, eps=-1.0), "BatchNorm2d: eps is -1.0; wanted a positive"),
        (lambda: nn.CrossEntropyLoss(reduction="foo"), "CrossEntropyLoss: reduction is 'foo'"),
        (lambda: nn.NLLLoss(reduction="foo"), "NLLLoss: reduction is 'foo'"),
        (lambda: nn.CrossEntropyLoss(label_smoothing=2), "CrossEntropyLoss: label_smoothing is 2"),
    ],
)
def test_a_layer_refuses_its_arguments_when_made(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Dropout("0.5"), "Dropout: p is '0.5', of type str"),  # type: ignore[arg-type]
        (lambda: nn.BatchNorm2d(2, eps="1"), "BatchNorm2d: eps is '1', of"),  # type: ignore[arg-type]
        (lambda: nn.BatchNorm2d(2, 1e-5, "1"), "BatchNorm2d: momentum is '1', of"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_number_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}.* wanted a number$"):
        make()


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        (nn.CrossEntropyLoss, {"ignore_index": "1"}),
        (nn.NLLLoss, {"ignore_index": "1"}),
        (nn.Softmax, {"dim": "1"}),
        (nn.LogSoftmax, {"dim": "1"}),
        (nn.Flatten, {"start_dim": "1"}),
        (nn.Flatten, {"end_dim": "1"}),
    ],
)
def test_what_is_no_integer_is_named(layer: type, options: dict[str, Any]) -> None:
    (name,) = options
    message = rf"^{layer.__name__}: {name} is '1', of type str; wanted an integer$"
    with pytest.raises(TypeError, match=message):
        layer(**options)


@pytest.mark.parametrize(
    ("function", "arguments", "options", "message"),
    [
        ("avg_pool2d", (ones(1, 2, 2), 2), {"divisor_override": "4"}, "divisor_override is '4'"),
        ("batch_norm", (ones(2, 1), None, None), {"momentum": "1"}, "momentum is '1'"),
        ("conv2d", (ones(1, 1, 2, 2), None), {}, "weight is of type NoneType"),
        ("cross_entropy", (ones(1, 2), [0]), {"ignore_index": "1"}, "ignore_index is '1'"),
        ("cross_entropy", (ones(1, 2), ones(1, 2)), {"ignore_index": "1"}, "ignore_index is '1'"),
        ("cross_entropy", (ones(1, 2), [0]), {"label_smoothing": "1"}, "label_smoothing is '1'"),
        ("dropout", (ones(2), "0.5"), {}, "p is of type str"),
        ("linear", (ones(3, 1), None), {}, "weight is of type NoneType"),
        ("nll_loss", (ones(1, 2), [0]), {"ignore_index": "1"}, "ignore_index is '1'"),
        ("pad", (ones(2, 3), "12"), {}, "pad is of type str"),
        ("pad", (ones(2, 3), [1, 0.5]), {}, "a width of pad is 0.5"),
        ("pad", (ones(2, 3), [1, 0]), {"value": "0"}, "value is of type str"),
    ],
)
def test_a_function_refuses_another_type_by_name(
    function: str, arguments: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=rf"^{function}: {message}.*; wanted an? [\w ]+$"):
        getattr(F, function)(*arguments, **options)


@pytest.mark.parametrize("layer", [nn.Conv2d(1, 2, 3), nn.Linear(5, 2), nn.MaxPool2d(2)])
def test_pixels_come_with_the_cure(layer: nn.Module) -> None:
    message = refusal(layer, ones(2, 1, 5, 5, dtype="uint8"), TypeError)
    assert message.endswith("for example minicnn.Tensor(input).to('float32') / 255 for pixels")


def test_an_eps_of_0_is_for_evaluation() -> None:
    norm = nn.BatchNorm2d(2, eps=0.0)
    with pytest.raises(ValueError, match=r"^batch_norm: eps is 0.0; wanted a positive number in t"):
        norm(ones(3, 2, 2, 2))
    assert (norm.eval()(ones(3, 2, 2, 2)).numpy() == 1).all()


# Shapes that do not fit ---------------------------------------------------------------------------


def lenet(*without: int) -> nn.Sequential:
    layers = [
        nn.Conv2d(1, 6, 5, padding=2),
        nn.AvgPool2d(2),
        nn.Sequential(nn.Conv2d(6, 16, 5), nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Linear(400, 10),
    ]
    return nn.Sequential(*(layer for i, layer in enumerate(layers) if i not in without))


def refusal(net: Callable[[Any], Any], x: Any, error: type[Exception] = ValueError) -> str:
    with pytest.raises(error) as caught:
        net(x)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_forgotten_flatten_is_named() -> None:
    assert refusal(lenet(3), ones(64, 1, 28, 28)) == (
        "layer 3 (Linear): linear: input (64, 16, 5, 5) and weight (10, 400) do not fit; wanted "
        "(..., K) and (O, K); 16 * 5 * 5 is 400: put nn.Flatten() before the layer; "
        "the net received (64, 1, 28, 28)"
    )
    assert "28 * 28 is 784: put nn.Flatten()" in refusal(nn.Linear(784, 10), ones(5, 28, 28))


def test_one_picture_without_its_batch_axis_is_named() -> None:
    message = refusal(lenet(), ones(1, 28, 28))
    assert message.startswith("layer 4 (Linear): linear: input (16, 25) and weight (10, 400) do")
    assert "16 * 25 is 400: for one sample without a batch axis pass x[None]" in message
    assert message.endswith("the net received (1, 28, 28)")
    mlp = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    assert "28 * 28 is 784: for one sample without" in refusal(mlp, ones(28, 28))
    assert "for one picture pass x[None]" in refusal(nn.BatchNorm2d(3), ones(3, 4, 5))


def test_pictures_of_another_size_are_named_by_layer_and_size() -> None:
    assert refusal(lenet(), ones(8, 1, 32, 30)) == (
        "layer 4 (Linear): linear: input (8, 480) and weight (10, 400) do not fit; wanted (..., K) "
        "and (O, K); the net received (8, 1, 32, 30)"
    )
    small = refusal(lenet(), ones(8, 1, 7, 9))
    assert small.startswith("layer 2.0 (Conv2d): conv2d: kernel (5, 5) with dilation (1, 1) is lar")
    assert small.endswith("the net received (8, 1, 7, 9)")


@pytest.mark.parametrize(
    ("shape", "channels", "cure"),
    [
        (
            (64, 28, 28),
            1,
            "has 64 channels.*for (N, H, W), pictures of one channel, pass x[:, None]",
        ),
        (
            (5, 28, 27, 3),
            3,
            "has 28 channels.*it looks like (N, H, W, C): pass x.transpose(0, 3, 1, 2)",
        ),
        (
            (5, 28, 27, 1),
            1,
            "has 28 channels.*it looks like (N, H, W, C): pass x.transpose(0, 3, 1, 2)",
        ),
        ((28, 27, 3), 3, "has 28 channels.*it looks like (H, W, C): pass x.transpose(2, 0, 1)"),
        ((28, 27), 1, "wanted (N, C, H, W) or (C, H, W).*pass x[None, None]"),
    ],
)
def test_pictures_without_their_axis_of_channels_come_with_the_cure(
    shape: tuple[int, ...], channels: int, cure: str
) -> None:
    net, x = nn.Sequential(nn.Conv2d(channels, 2, 3), nn.ReLU()), ones(*shape)
    message = refusal(net, x)
    assert str(shape) in message
    assert message.count(str(shape)) == 1
    assert message.startswith("layer 0 (Conv2d): conv2d: input")
    for part in cure.split(".*"):
        assert part in message
    namespace = {"x": x}
    code = message[message.index("pass x") + 5 :]
    assert net(eval(code, namespace)).ndim == 4 - (len(shape) == 3 and channels == 3)


def test_a_layer_is_named_as_the_net_knows_it() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.ReLU(), nn.Linear(4, 3))
            self.head = nn.Linear(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.body(x))

    net = Net()
    assert refusal(net, ones(5, 6)).startswith("layer body.1 (Linear): linear: input (5, 6) and")
    assert refusal(net, ones(5, 4)).startswith("layer head (Linear): linear: input (5, 3) and")
    assert refusal(net.head, ones(5, 6)).startswith("linear: input (5, 6) and")
    assert refusal(net, ones(5, 4, dtype="float64"), TypeError).startswith(
        "layer body.1 (Linear): linear: input is float64, weight is float32; convert one"
    )


def test_other_errors_of_a_layer_pass_as_they_are() -> None:
    class OwnError(ValueError):
        def __init__(self, a: int, b: int):
            super().__init__(a, b)

    class Refuses(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise OwnError(1, 2)

    with pytest.raises(OwnError) as caught:
        nn.Sequential(nn.Sequential(Refuses()))(ones(1))
    assert caught.value.args == (1, 2)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((64, 28, 28), "layer 0 (Conv2d): conv2d: input (64, 28, 28) has 64 channels"),
        ((64, 28, 28, 1), "layer 0 (Conv2d): conv2d: input (64, 28, 28, 1) has 28 channels"),
        ((1, 28, 28), "layer 4 (Linear): linear: input (16, 25) and weight (10, 400) do not fit"),
        ((64, 1, 32, 32), "layer 4 (Linear): linear: input (64, 576) and weight (10, 400) do not"),
    ],
)
def test_a_compiled_net_says_the_same(shape: tuple[int, ...], message: str) -> None:
    net = lenet()
    expected = refusal(net, ones(*shape))
    assert expected.startswith(message)
    if minicnn.compiler.is_available():
        assert refusal(minicnn.compile(net.eval()), ones(*shape)) == expected
        step = minicnn.compile(net, nn.CrossEntropyLoss(), minicnn.optim.SGD(net.parameters()))
        labels = Tensor(np.zeros(shape[0], np.int64))
        assert refusal(lambda x: step(x, labels), ones(*shape)) == expected


# Inputs that are no tensors -----------------------------------------------------------------------

LAYERS: list[Callable[[], nn.Module]] = [
    lambda: nn.Conv2d(1, 2, 3),
    lambda: nn.LazyConv2d(2, 3),
    lambda: nn.MaxPool2d(2),
    lambda: nn.AvgPool2d(2),
    lambda: nn.BatchNorm2d(1),
    lambda: nn.Flatten(),
    lambda: nn.ZeroPad2d(1),
    lambda: nn.Linear(4, 2),
    lambda: nn.LazyLinear(2),
    lambda: nn.Dropout(),
]


@pytest.mark.parametrize("make", LAYERS)
def test_a_list_or_a_picture_of_a_library_is_refused_with_the_cure(
    make: Callable[[], nn.Module],
) -> None:
    class Picture:  # as of the Python imaging library
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return np.ones((4, 4), np.uint8)

    for x, kind in (([[[[1.0] * 4] * 4]], "list"), (Picture(), "Picture"), (None, "NoneType")):
        message = refusal(make(), x, TypeError)
        assert f"input is of type {kind}; wanted a Tensor, for example minicnn.Tensor(" in message


@pytest.mark.parametrize("make", LAYERS)
def test_an_array_is_taken(make: Callable[[], nn.Module]) -> None:
    layer, x = make().eval(), minicnn.rand(3, 1, 4, 4)
    expected = layer(x)
    given = layer(x.numpy())
    assert isinstance(given, Tensor)
    np.testing.assert_array_equal(given.numpy(), expected.numpy())


def test_a_tensor_of_torch_is_taken() -> None:
    torch = pytest.importorskip("torch")
    x = torch.ones(2, 1, 28, 28)
    assert lenet()(x).shape == (2, 10)
    assert F.cross_entropy(torch.zeros(2, 4), torch.tensor([1, 3])).item() == pytest.approx(
        1.3863, 1e-4
    )


# Lazy layers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: nn.LazyConv2d(2, 3), lambda: nn.LazyLinear(2)])
def test_pixels_into_a_lazy_layer_come_with_the_cure(make: Callable[[], nn.Module]) -> None:
    layer = make()
    message = refusal(layer, ones(2, 1, 5, 5, dtype="uint8"), TypeError)
    assert message.endswith(
        "input is uint8; wanted float32 or float64, for example "
        "minicnn.Tensor(input).to('float32') / 255 for pixels"
    )
    assert type(layer).__name__.startswith("Lazy")
    layer(ones(2, 1, 5, 5))
    assert not type(layer).__name__.startswith("Lazy")


@pytest.mark.parametrize("shape", [(5, 5), (5,), (), (1, 1, 1, 5, 5)])
def test_what_is_no_picture_does_not_size_a_lazy_convolution(shape: tuple[int, ...]) -> None:
    layer = nn.LazyConv2d(2, 3)
    message = refusal(layer, ones(*shape))
    assert message.startswith(f"LazyConv2d: input has shape {shape}; wanted (N, C, H, W) or (C, H")
    assert type(layer) is nn.LazyConv2d


def test_a_number_does_not_size_a_lazy_dense_layer() -> None:
    assert refusal(nn.LazyLinear(2), Tensor(1.0)) == (
        "LazyLinear: input has shape (); wanted (..., in_features)"
    )


@pytest.mark.parametrize("function", [F.log_softmax, F.dropout])
def test_integers_are_refused_by_name(function: Any) -> None:
    message = rf"^{function.__name__}: input is int64; wanted float32 or float64"
    with pytest.raises(TypeError, match=message):
        function(Tensor(np.ones((2, 3), np.int64)), **({} if function is F.dropout else {"dim": 1}))


@pytest.mark.parametrize("groups", [0, -1, 1.0, 4])
def test_groups_that_divide_nothing_are_refused(groups: Any) -> None:
    x, w = Tensor(np.ones((1, 2, 4, 5))), Tensor(np.ones((6, 1, 3, 2)))
    with pytest.raises(ValueError, match=f"^conv2d: groups is {groups}; wanted a divisor of the 6"):
        F.conv2d(x, w, groups=groups)


def test_a_bias_of_another_dtype_is_refused() -> None:
    bias = Tensor(np.ones(4, np.float64))
    x, w = (Tensor(np.ones(shape, np.float32)) for shape in ((2, 3), (4, 3)))
    with pytest.raises(TypeError, match=r"^linear: input is float32, bias is float64"):
        F.linear(x, w, bias)
    x, w = (Tensor(np.ones(shape, np.float32)) for shape in ((1, 3, 5, 4), (4, 3, 2, 1)))
    with pytest.raises(TypeError, match=r"^conv2d: input is float32, bias is float64"):
        F.conv2d(x, w, bias)


def test_what_has_a_dtype_alone_is_no_array() -> None:
    class Described:
        dtype = np.dtype("float32")

    with pytest.raises(TypeError, match=r"^conv2d: input is of type Described; wanted a Tensor"):
        F.conv2d(Described(), Tensor(np.ones((1, 1, 2, 2))))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "channels"), [((2, 3, 8, 7), 1), ((5, 8, 7), 2), ((2, 5, 8, 7), 3)]
)
def test_a_number_of_channels_that_cannot_be_explained_is_said_alone(
    shape: tuple[int, ...], channels: int
) -> None:
    with pytest.raises(ValueError, match=rf" with groups=1 wants {channels}$"):
        F.conv2d(Tensor(np.ones(shape)), Tensor(np.ones((4, channels, 3, 3))))


def test_a_number_that_is_nan_is_not_finite() -> None:
    weight = nn.Parameter(np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"gamma is nan; wanted a finite number$"):
        optim.StepLR(optim.SGD([weight], lr=0.1), 2, gamma=math.nan)
