"""minicnn.models: both editions of LeNet, and every exercise of the chapter."""

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, models, nn

PICTURES = Tensor(np.random.default_rng(0).random((2, 1, 28, 28)).astype(np.float32))


def size(net: nn.Module) -> int:
    return sum(p.size for p in net.parameters())


def kinds(net: nn.Sequential) -> list[str]:
    return [type(layer).__name__ for layer in net]


def weights(net: nn.Sequential) -> list[np.ndarray]:
    return [layer.weight.numpy() for layer in net if isinstance(layer, nn.Conv2d | nn.Linear)]


def test_lenet_is_the_second_editions_net() -> None:
    net = models.lenet()

    assert kinds(net) == [
        *["Conv2d", "Sigmoid", "AvgPool2d"] * 2,
        "Flatten",
        *["Linear", "Sigmoid"] * 2,
        "Linear",
    ]
    assert [w.shape for w in weights(net)] == [
        (6, 1, 5, 5),
        (16, 6, 5, 5),
        (120, 400),
        (84, 120),
        (10, 84),
    ]
    assert size(net) == 61_706
    assert net(PICTURES).shape == (2, 10)


@pytest.mark.parametrize("model", ["lenet", "lenet-max", "lenet-plus", "mlp"])
def test_nets_for_other_pictures_and_classes(model: str) -> None:
    net = models.build(model, image_shape=(3, 20, 33), classes=4)
    pictures = Tensor(np.random.default_rng(0).random((2, 3, 20, 33)).astype(np.float32))
    assert net(pictures).shape == (2, 4)


def test_max_pooling_without_padding_is_the_first_editions_net() -> None:
    net = models.lenet(pool="max", padding=0)

    assert kinds(net)[2] == kinds(net)[5] == "MaxPool2d"
    assert weights(net)[2].shape == (120, 256)
    assert size(net) == 44_426
    assert net(PICTURES).shape == (2, 10)


@pytest.mark.parametrize(
    ("arguments", "shapes"),
    [
        ({"kernel_size": 3}, [(6, 1, 3, 3), (16, 6, 3, 3), (120, 16 * 6 * 6)]),
        ({"kernel_size": 7, "padding": 3}, [(6, 1, 7, 7), (16, 6, 7, 7), (120, 16 * 4 * 4)]),
        ({"channels": (8, 12)}, [(8, 1, 5, 5), (12, 8, 5, 5), (120, 12 * 5 * 5)]),
        (
            {"channels": (4, 8, 16), "kernel_size": 3},
            [(4, 1, 3, 3), (8, 4, 3, 3), (16, 8, 3, 3), (120, 16 * 2 * 2)],
        ),
        ({"channels": (5,)}, [(5, 1, 5, 5), (120, 5 * 14 * 14)]),
        ({"hidden": (32,)}, [(6, 1, 5, 5), (16, 6, 5, 5), (32, 400), (10, 32)]),
        ({"hidden": ()}, [(6, 1, 5, 5), (16, 6, 5, 5), (10, 400)]),
        ({"hidden": (9, 8, 7)}, [(6, 1, 5, 5), (16, 6, 5, 5), (9, 400), (8, 9), (7, 8), (10, 7)]),
        ({"padding": 4}, [(6, 1, 5, 5), (16, 6, 5, 5), (120, 16 * 6 * 6)]),
    ],
)
def test_sizes_follow_from_the_arguments(
    arguments: dict[str, Any], shapes: list[tuple[int, ...]]
) -> None:
    net = models.lenet(**arguments)
    assert [w.shape for w in weights(net)][: len(shapes)] == shapes
    assert net(PICTURES).shape == (2, 10)


@pytest.mark.parametrize(
    ("activation", "kind"), [("sigmoid", nn.Sigmoid), ("relu", nn.ReLU), ("tanh", nn.Tanh)]
)
def test_the_activation_stands_after_every_layer_but_the_last(
    activation: str, kind: type[nn.Module]
) -> None:
    assert [type(layer) for layer in models.lenet(activation=activation)].count(kind) == 4
    assert [type(layer) for layer in models.mlp((5, 4), activation=activation)] == [
        nn.Flatten,
        nn.Linear,
        kind,
        nn.Linear,
        kind,
        nn.Linear,
    ]


def test_batch_norm_stands_behind_each_convolution_and_dropout_before_each_dense_layer() -> None:
    net = models.lenet(batch_norm=True, dropout=0.25, activation="relu", pool="max")
    assert kinds(net) == [
        *["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"] * 2,
        "Flatten",
        *["Dropout", "Linear", "ReLU"] * 2,
        *["Dropout", "Linear"],
    ]
    assert {layer.p for layer in net if isinstance(layer, nn.Dropout)} == {0.25}
    assert [layer.num_features for layer in net if isinstance(layer, nn.BatchNorm2d)] == [6, 16]
    mlp = models.mlp((5, 4), dropout=0.5)  # not on the pixels
    dense = ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert kinds(mlp) == ["Flatten", *dense]
    assert len({id(layer) for layer in mlp}) == len(mlp)


def test_lenet_starts_from_xavier_weights_and_zero_biases() -> None:
    net = models.lenet()
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            w = layer.weight.numpy()
            fan_out, fan_in = w.shape[0], w[0].size
            if isinstance(layer, nn.Conv2d):
                fan_out *= w[0, 0].size
            bound = np.sqrt(6 / (fan_in + fan_out))
            assert 0.9 * bound < np.abs(w).max() <= bound
            assert layer.bias is not None
            np.testing.assert_array_equal(layer.bias.numpy(), 0)


@pytest.mark.parametrize(
    ("init", "deviation"),
    [
        ("xavier_uniform", np.sqrt(2 / 520)),
        ("xavier_normal", np.sqrt(2 / 520)),
        ("kaiming_uniform", np.sqrt(2 / 400)),
        ("kaiming_normal", np.sqrt(2 / 400)),
        ("normal", 0.01),
        ("default", 1 / np.sqrt(3 * 400)),
    ],
)
def test_every_init_gives_its_deviation(init: str, deviation: float) -> None:
    for net, inputs in ((models.lenet(init=init), 2), (models.mlp((), init=init), 0)):
        assert all(np.isfinite(w).all() for w in weights(net))
        zero = all(not p.numpy().any() for n, p in net.named_parameters() if n.endswith("bias"))
        assert zero == (init != "default")
        if inputs:
            assert weights(net)[inputs].std() == pytest.approx(deviation, rel=0.03)
    uniform = "uniform" in init or init == "default"
    largest = np.abs(weights(models.lenet(init=init))[2]).max()
    assert (largest <= 1.8 * deviation) == uniform


def test_initializer_leaves_other_layers_and_missing_biases_alone() -> None:
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.BatchNorm2d(2), nn.ReLU())
    net.apply(models.initializer("normal"))
    assert isinstance(net[0], nn.Linear)
    assert np.abs(net[0].weight.numpy()).max() < 0.1
    np.testing.assert_array_equal(net.state_dict()["1.weight"].numpy(), 1)


def test_mlp_is_dense_layers_after_flatten() -> None:
    net = models.mlp()
    assert kinds(net) == ["Flatten", "Linear", "ReLU", "Linear"]
    assert [w.shape for w in weights(net)] == [(256, 784), (10, 256)]
    assert size(net) == 203_530
    assert net(PICTURES).shape == (2, 10)


def test_the_seed_repeats_a_net() -> None:
    first = models.lenet()
    minicnn.manual_seed(7)  # as the fixture did
    again = models.lenet()
    for a, b in zip(weights(first), weights(again), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pool": "min"}, "pool is 'min'; wanted one of avg, max"),
        ({"activation": "swish"}, "activation is 'swish'; wanted one of sigmoid, relu, tanh"),
        ({"init": "orthogonal"}, "init is 'orthogonal'; wanted one of xavier_uniform, "),
        (
            {"kernel_size": 28, "padding": 0},
            r"lenet: convolution 1 with kernel_size 28 and padding 0 leaves too little of a "
            r"28 x 28 picture; wanted at least 2 x 2 to pool",
        ),
        ({"channels": (1, 2, 3, 4)}, r"lenet: convolution 3 .* 5 x 5 picture"),
        ({"channels": (0,)}, "channels: a size is 0"),
        ({"hidden": (0,)}, "hidden: a size is 0"),
    ],
)
def test_impossible_nets_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        models.lenet(**arguments)


def test_the_smallest_picture_that_can_be_pooled_is_allowed() -> None:
    net = models.lenet(kernel_size=27, padding=0, channels=(3,))
    assert weights(net)[1].shape == (120, 3)
    assert net(PICTURES).shape == (2, 10)


@pytest.mark.parametrize(("name", "parameters"), [("lenet", 61_706), ("lenet-max", 44_426)])
def test_build_makes_the_presets(name: str, parameters: int) -> None:
    assert size(models.build(name)) == parameters


def test_build_changes_arguments_of_a_preset() -> None:
    net = models.build("lenet-max", padding=2, activation="relu")
    assert size(net) == 61_706
    assert "MaxPool2d" in kinds(net)
    assert "ReLU" in kinds(net)
    assert weights(models.build("mlp", hidden=[7]))[0].shape == (7, 784)


def test_build_refuses_unknown_names_and_arguments() -> None:
    with pytest.raises(
        ValueError, match=r"^model is 'alexnet'; wanted one of lenet, lenet-max, lenet-plus"
    ):
        models.build("alexnet")
    with pytest.raises(ValueError, match=r"^pool does not apply to mlp; it has hidden, activation"):
        models.build("mlp", pool="max")
