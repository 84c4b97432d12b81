"""minicnn.compile: a compiled step is eager's, whatever the net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn
from tests.compiler.nets import (
    DTYPES,
    NETS,
    NORMED,
    TOLERANCE,
    assert_gradients_are_the_slope,
    assert_same,
    assert_same_state,
    assert_step_is_eagers,
    batch,
    build,
    compiled,
    eager,
    frozen,
    of_picture,
    result_of,
    with_head,
)

pytestmark = pytest.mark.usefixtures("share_the_least_work")


@pytest.mark.parametrize("images", [1, 5, 16, 37])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETS)
def test_a_step_is_eagers(name: str, dtype: str, images: int) -> None:
    net = build(NETS[name], dtype)
    x, y = batch(images, dtype, classes=2 if name == "two-classes" else 5)
    assert_step_is_eagers(net, x, y, TOLERANCE[dtype])


@pytest.mark.parametrize("images", [5, 16, 37])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NORMED)
def test_a_step_with_batch_norm_is_eagers(name: str, dtype: str, images: int) -> None:
    assert_step_is_eagers(build(NORMED[name], dtype), *batch(images, dtype), TOLERANCE[dtype])


@pytest.mark.parametrize("name", [*NORMED, "dropout-everywhere"])
def test_a_step_in_evaluation_mode_is_eagers(name: str) -> None:
    net = build({**NETS, **NORMED}[name], "float64")
    net(Tensor(batch(9, seed=1)[0]))
    assert_step_is_eagers(net.eval(), *batch(21), 1e-11)


def test_norms_with_a_bias_in_common_add_to_its_gradient_one_after_the_other() -> None:
    """Threads take the epilogue's instructions at the same time."""

    def with_one_bias() -> nn.Module:
        layers = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        layers[3].bias = layers[1].bias
        return of_picture(*layers)

    net, (x, y) = build(with_one_bias, "float64").eval(), batch(21)
    step = compiled(net)
    assert_same(result_of(step, x, y), eager(net, x, y), 1e-11)
    assert [line.name for line in step.plan.epilogue].count("norm. dweight") == 1


@pytest.mark.parametrize("name", ["norm", "norm-not-affine", "norms-in-a-row", "norm-untracked"])
def test_batch_norm_in_many_groups(name: str) -> None:
    minicnn.set_num_threads(2)
    net = build(NORMED[name], "float64")
    assert_step_is_eagers(net, *batch(181), 1e-11)


@pytest.mark.parametrize("name", ["deep-conv-everything", "dropout-everywhere", "shared-dense"])
def test_many_groups(name: str) -> None:
    net = build(NETS[name], "float64")
    assert_step_is_eagers(net, *batch(181), 1e-11)


@pytest.mark.parametrize("images", [1, 37])
@pytest.mark.parametrize("dtype", DTYPES)
def test_vectors_instead_of_pictures(dtype: str, images: int) -> None:
    net = build(
        lambda: with_head((19,), nn.Tanh(), nn.Linear(19, 7), nn.Dropout(0.2), nn.ReLU()), dtype
    )
    assert_step_is_eagers(net, *batch(images, dtype, (19,)), TOLERANCE[dtype])


def test_a_picture_larger_than_a_group() -> None:
    shape = (5, 90, 75)
    net = build(
        lambda: with_head(shape, nn.Conv2d(5, 7, (3, 2), stride=(2, 1)), nn.MaxPool2d((7, 9))),
        "float64",
    )
    assert_step_is_eagers(net, *batch(18, shape=shape), 1e-11)


@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.Tanh, nn.ReLU])
@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.AvgPool2d((3, 2)),
        lambda: nn.AvgPool2d((2, 3), stride=1),
        lambda: nn.AvgPool2d(2, stride=(1, 3), padding=1),
        lambda: nn.AvgPool2d((3, 4), stride=2, padding=(1, 2), count_include_pad=False),
        lambda: nn.MaxPool2d(2),
        lambda: nn.MaxPool2d((2, 3), stride=1),
        lambda: nn.MaxPool2d(2, stride=(1, 3), padding=1),
        lambda: nn.MaxPool2d((3, 2), stride=2, padding=1, dilation=(1, 3)),
        lambda: nn.MaxPool2d((2, 3), stride=(2, 1), ceil_mode=True),
    ],
)
def test_windows_beside_each_other(
    make: Callable[[], nn.Module], activation: Callable[[], nn.Module]
) -> None:
    shape = (2, 6, 25)  # of the windows that padding cuts, some end a run of four
    layers = nn.Conv2d(2, 3, (1, 2)), activation(), make()
    net = build(lambda: with_head(shape, *layers), "float64")
    assert_step_is_eagers(net, *batch(18, shape=shape), 1e-11)


def test_an_infinite_gradient_stays_with_the_cell_that_won() -> None:
    net: Any = build(lambda: of_picture(nn.Conv2d(3, 2, (2, 1)), nn.MaxPool2d(2)), "float32")
    net[0].bias.data[:] = 5  # all scores of class 0 are large, and their gradient larger
    net[3].weight.data[0, 4] = 1e10
    x, y = np.abs(batch(3, "float32")[0]) + 0.1, np.array([1, 2, 3])
    with np.errstate(all="ignore"):
        theirs = eager(net, x, y, gradient=1e30)[2]
    ours = result_of(compiled(net), x, y, 1e30)[2]
    assert np.isinf(theirs["0.weight"]).any()
    for name, gradient in theirs.items():
        np.testing.assert_allclose(ours[name], gradient, rtol=1e-4, err_msg=name)


def test_windows_without_a_cell() -> None:
    shape = (2, 1, 1)
    pool = nn.MaxPool2d(2, padding=1, dilation=2)
    net = build(lambda: with_head(shape, nn.Conv2d(2, 3, 1), pool, nn.ReLU()), "float64")
    assert_step_is_eagers(net, *batch(18, shape=shape), 1e-11)


@pytest.mark.parametrize("name", ["norm", "norm-average", "norm-not-affine", "norm-untracked"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_running_statistics_move_as_eagers(name: str, dtype: str) -> None:
    ours, theirs = build(NORMED[name], dtype), build(NORMED[name], dtype)
    step = compiled(ours)
    for images in (5, 16, 37, 21):
        x, y = batch(images, dtype)
        step(x, y)
        theirs(Tensor(x))
    assert_same_state(ours, theirs, TOLERANCE[dtype])


def test_one_value_a_channel_has_no_statistics() -> None:
    net = build(lambda: with_head((3, 1, 1), nn.BatchNorm2d(3)), "float64")
    with pytest.raises(ValueError, match="1 value a channel"):
        compiled(net)(*batch(1, shape=(3, 1, 1)))


def test_frozen_layers_have_no_gradient_and_no_instructions_backward() -> None:
    step = compiled(build(lambda: frozen(3), "float64"))
    step(*batch(5))
    assert set(step.gradients()) == {"5.weight", "5.bias"}
    assert not [line for line in step.plan.lines if line.name.startswith("conv d")]


def test_thawing_a_layer_is_seen() -> None:
    net = build(lambda: frozen(1), "float64")
    step = compiled(net)
    step(*batch(5))
    for p in net.parameters():
        p.requires_grad = True
    assert_same(result_of(step, *batch(5)), eager(net, *batch(5)), 1e-11)


def test_freezing_a_layer_is_seen() -> None:
    net = build(lambda: frozen(0), "float64")
    step = compiled(net)
    step(*batch(5))
    for p in next(net.children()).parameters():
        p.requires_grad = False
    assert_same(result_of(step, *batch(5)), eager(net, *batch(5)), 1e-11)
    assert len([line for line in step.plan.lines if line.name == "conv dweight"]) == 1


@pytest.mark.parametrize("gradient", [0.0, 0.25, -3.0])
def test_the_gradient_to_begin_with(gradient: float) -> None:
    net = build(NETS["deep-conv-stride"], "float64")
    ours = result_of(compiled(net), *batch(7), gradient)
    assert_same(ours, eager(net, *batch(7), gradient=gradient), 1e-11)


@pytest.mark.parametrize(
    "name", ["deep-conv-everything", "max-pool-padding", "avg-pool-without-frame", "shared-dense"]
)
def test_gradients_are_the_slope_of_the_steps_own_loss(name: str, rng: np.random.Generator) -> None:
    assert_gradients_are_the_slope(build(NETS[name], "float64"), rng)
