"""minicnn.nn.init: each distribution by its formula, and by PyTorch's fans and gains."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn
from minicnn.nn import init

LINEAR, CONV = (60, 40), (20, 8, 5, 3)  # (O, K) and (O, C, KH, KW)
RELU = math.sqrt(2)


def empty(shape: tuple[int, ...], dtype: str = "float32") -> Tensor:
    return Tensor(np.full(shape, np.nan, dtype))


@pytest.mark.parametrize(
    ("shape", "fans"),
    [(LINEAR, (40, 60)), (CONV, (8 * 15, 20 * 15)), ((4, 3, 2), (6, 8)), ((1, 1), (1, 1))],
)
def test_fans_count_the_products_that_meet(shape: tuple[int, ...], fans: tuple[int, int]) -> None:
    assert init.fans(empty(shape)) == fans


@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize("fill", [init.xavier_uniform_, init.kaiming_normal_])
def test_fewer_than_two_axes_have_no_fans(
    fill: Callable[[Tensor], Tensor], shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"^init: tensor has shape \(.*\); wanted at least two ax"):
        fill(empty(shape))


# (fill, standard deviation for a weight (60, 40), for one (20, 8, 5, 3))
UNIFORM: list[tuple[Callable[..., Tensor], float, float]] = [
    (init.xavier_uniform_, math.sqrt(2 / 100), math.sqrt(2 / (28 * 15))),
    (lambda w: init.xavier_uniform_(w, gain=3), 3 * math.sqrt(2 / 100), 3 * math.sqrt(2 / 420)),
    (init.kaiming_uniform_, RELU / math.sqrt(40), RELU / math.sqrt(120)),
    (
        lambda w: init.kaiming_uniform_(w, mode="fan_out", nonlinearity="tanh"),
        5 / 3 / math.sqrt(60),
        5 / 3 / math.sqrt(300),
    ),
    (lambda w: init.kaiming_uniform_(w, a=1), 1 / math.sqrt(40), 1 / math.sqrt(120)),
]
NORMAL: list[tuple[Callable[..., Tensor], float, float]] = [
    (init.xavier_normal_, math.sqrt(2 / 100), math.sqrt(2 / 420)),
    (lambda w: init.xavier_normal_(w, gain=3), 3 * math.sqrt(2 / 100), 3 * math.sqrt(2 / 420)),
    (init.kaiming_normal_, RELU / math.sqrt(40), RELU / math.sqrt(120)),
    (
        lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="sigmoid"),
        1 / math.sqrt(60),
        1 / math.sqrt(300),
    ),
    (lambda w: init.normal_(w, std=0.2), 0.2, 0.2),
]


@pytest.mark.parametrize(("fill", "linear", "conv"), UNIFORM)
def test_uniform_weights_fill_their_bounds(
    fill: Callable[[Tensor], Tensor], linear: float, conv: float
) -> None:
    for shape, std in ((LINEAR, linear), (CONV, conv)):
        w = fill(empty(shape)).numpy()
        bound = math.sqrt(3) * std
        assert np.abs(w).max() <= bound
        assert np.abs(w).max() > 0.99 * bound
        assert w.std() == pytest.approx(std, rel=0.05)
        assert abs(w.mean()) < 0.1 * std


@pytest.mark.parametrize(("fill", "linear", "conv"), NORMAL)
def test_normal_weights_have_their_deviation(
    fill: Callable[[Tensor], Tensor], linear: float, conv: float
) -> None:
    for shape, std in ((LINEAR, linear), (CONV, conv)):
        w = fill(empty(shape)).numpy()
        assert w.std() == pytest.approx(std, rel=0.05)
        assert abs(w.mean()) < 0.1 * std
        assert 2.5 * std < np.abs(w).max() < 6 * std  # no uniform distribution reaches so far


def test_uniform_and_normal_take_their_parameters() -> None:
    u = init.uniform_(empty((1000,)), 2, 5).numpy()
    n = init.normal_(empty((1000,)), 7, 0.5).numpy()

    assert 2 <= u.min() < 2.05 < 4.95 < u.max() <= 5
    assert n.mean() == pytest.approx(7, abs=0.1)
    assert n.std() == pytest.approx(0.5, rel=0.1)
    assert init.uniform_(empty((9,))).numpy().min() >= 0


def test_constants() -> None:
    np.testing.assert_array_equal(init.constant_(empty((2, 3)), 1.5).numpy(), 1.5)
    np.testing.assert_array_equal(init.zeros_(empty(())).numpy(), 0)
    np.testing.assert_array_equal(init.ones_(empty((2,))).numpy(), 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_tensor_is_filled_in_place_and_returned(dtype: str) -> None:
    w = empty(LINEAR, dtype)
    array = w.data

    returned = init.xavier_uniform_(w)

    assert returned is w
    assert w.data is array
    assert w.dtype == dtype
    assert np.isfinite(array).all()


def test_filling_a_parameter_is_not_recorded() -> None:
    p = nn.Parameter(np.zeros((2, 2), np.float32))
    init.xavier_uniform_(p)
    assert p.is_leaf
    assert p.requires_grad


DRAWS: list[Callable[..., Tensor]] = [
    init.uniform_,
    init.normal_,
    init.xavier_uniform_,
    init.xavier_normal_,
    init.kaiming_uniform_,
    init.kaiming_normal_,
]


@pytest.mark.parametrize("fill", DRAWS)
def test_the_seed_repeats_the_weights(fill: Callable[..., Tensor]) -> None:
    minicnn.manual_seed(3)
    first, second = fill(empty(LINEAR)).numpy(), fill(empty(LINEAR)).numpy()
    minicnn.manual_seed(3)
    again = fill(empty(LINEAR)).numpy()

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("fill", DRAWS)
def test_an_explicit_generator_leaves_the_default_one_alone(fill: Callable[..., Tensor]) -> None:
    minicnn.manual_seed(3)
    expected = minicnn.rand(2).numpy()
    minicnn.manual_seed(3)

    a = fill(empty(LINEAR), generator=np.random.default_rng(1)).numpy()
    b = fill(empty(LINEAR), generator=np.random.default_rng(1)).numpy()

    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(minicnn.rand(2).numpy(), expected)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^nonlinearity is 'swish'; wanted one of linear, .*relu"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match=r"^nonlinearity is 'swish'"):
        init.kaiming_uniform_(empty(LINEAR), nonlinearity="swish")
    with pytest.raises(ValueError, match=r"^mode is 'fan'; wanted one of fan_in, fan_out$"):
        init.kaiming_normal_(empty(LINEAR), mode="fan")


@pytest.mark.parity
@pytest.mark.parametrize(
    ("fill", "name"),
    [
        (init.uniform_, "a"),
        (init.uniform_, "b"),
        (init.normal_, "mean"),
        (init.normal_, "std"),
        (init.constant_, "val"),
        (init.xavier_uniform_, "gain"),
        (init.xavier_normal_, "gain"),
        (init.kaiming_uniform_, "a"),
        (init.kaiming_normal_, "a"),
    ],
)
def test_what_is_no_number_and_no_tensor_is_named(fill: Callable[..., Tensor], name: str) -> None:
    with pytest.raises(TypeError, match=rf"^init: {name} is .*; wanted a number$"):
        fill(empty(LINEAR), **{name: "1"})
    with pytest.raises(TypeError, match=r"^init: tensor is of type list; wanted a Tensor$"):
        fill([[1.0, 2.0]], **{name: 1})


def test_numbers_that_make_no_distribution_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^init: std is -1; wanted at least 0$"):
        init.normal_(empty(LINEAR), std=-1)
    with pytest.raises(TypeError, match=r"^param is '1', of type str; wanted a number$"):
        init.calculate_gain("leaky_relu", "1")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [LINEAR, CONV, (3, 4, 2)])
def test_fans_are_pytorchs(shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    expected = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
    assert init.fans(empty(shape)) == expected


@pytest.mark.parity
@pytest.mark.parametrize(
    ("nonlinearity", "param"),
    [
        ("linear", None),
        ("conv2d", None),
        ("sigmoid", None),
        ("tanh", None),
        ("relu", None),
        ("leaky_relu", None),
        ("leaky_relu", 0.2),
        ("leaky_relu", 0),
    ],
)
def test_gains_are_pytorchs(nonlinearity: str, param: float | None) -> None:
    torch = pytest.importorskip("torch")
    expected = torch.nn.init.calculate_gain(nonlinearity, param)
    assert init.calculate_gain(nonlinearity, param) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("xavier_uniform_", {"gain": 2.0}),
        ("xavier_normal_", {}),
        ("kaiming_uniform_", {"a": 0.3}),
        ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("kaiming_normal_", {}),
        ("kaiming_normal_", {"a": math.sqrt(5), "mode": "fan_out"}),
    ],
)
def test_distributions_are_pytorchs(name: str, arguments: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    shape = (60, 30, 5, 3)
    ours = getattr(init, name)(empty(shape), **arguments).numpy()
    theirs = getattr(torch.nn.init, name)(torch.empty(shape), **arguments).numpy()

    quantiles = [0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999]
    np.testing.assert_allclose(
        np.quantile(ours, quantiles), np.quantile(theirs, quantiles), atol=0.05 * theirs.std()
    )


def test_a_weight_with_one_input_has_the_gain_itself() -> None:
    weight = nn.Parameter(np.zeros((500, 1), np.float32))
    init.kaiming_uniform_(weight, a=1)
    assert 0.95 < weight.numpy().max() / math.sqrt(3) <= 1


def test_the_defaults_of_uniform_and_normal_are_pytorchs() -> None:
    weight = nn.Parameter(np.zeros((2000, 1), np.float32))
    assert 0.99 < init.uniform_(weight).numpy().max() <= 1
    assert weight.numpy().min() < 0.01
    assert 0.9 < init.normal_(weight).numpy().std() < 1.1
    assert abs(weight.numpy().mean()) < 0.1
