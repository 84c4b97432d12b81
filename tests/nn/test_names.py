"""Layers, losses and functions name their arguments as PyTorch does, and take them by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, data, nn
from minicnn.compiler.record import record
from minicnn.nn import functional as F
from tests.oracle import assert_agrees_with_torch

PICTURES = (2, 3, 6, 5)
MAKE: dict[str, Callable[[Any], Any]] = {  # of minicnn.nn or torch.nn, and the shape of an input
    "Sequential": lambda nn: nn.Sequential(nn.ReLU(), nn.Identity()),
    "Conv2d": lambda nn: nn.Conv2d(3, 4, 3),
    "LazyConv2d": lambda nn: nn.LazyConv2d(4, 3),
    "Linear": lambda nn: nn.Linear(5, 4),
    "LazyLinear": lambda nn: nn.LazyLinear(4),
    "MaxPool2d": lambda nn: nn.MaxPool2d(2),
    "AvgPool2d": lambda nn: nn.AvgPool2d(2),
    "ZeroPad2d": lambda nn: nn.ZeroPad2d((1, 0, 2, 3)),
    "Flatten": lambda nn: nn.Flatten(),
    "Sigmoid": lambda nn: nn.Sigmoid(),
    "ReLU": lambda nn: nn.ReLU(inplace=True),
    "Tanh": lambda nn: nn.Tanh(),
    "Softmax": lambda nn: nn.Softmax(dim=1),
    "LogSoftmax": lambda nn: nn.LogSoftmax(dim=-1),
    "Identity": lambda nn: nn.Identity(54, unused=True),
    "Dropout": lambda nn: nn.Dropout(0.5, inplace=True).eval(),
    "BatchNorm2d": lambda nn: nn.BatchNorm2d(3),
    "CrossEntropyLoss": lambda nn: nn.CrossEntropyLoss(),
    "NLLLoss": lambda nn: nn.NLLLoss(),
}
LOSSES = ("CrossEntropyLoss", "NLLLoss")


def test_every_module_is_looked_at() -> None:
    """A new one belongs into ``MAKE``."""
    kinds = {name for name in nn.__all__ if inspect.isclass(getattr(nn, name))}
    assert kinds - {"Module", "Parameter"} == MAKE.keys()


@pytest.mark.parametrize("name", MAKE)
def test_a_module_takes_its_input_by_name(name: str) -> None:
    module = MAKE[name](nn)
    if name in LOSSES:
        logits, target = minicnn.randn(7, 4), Tensor(np.arange(7) % 4)
        expected = module(logits, target)
        results = [module(input=logits, target=target), module(logits, target=target)]
    else:
        x = minicnn.randn(*PICTURES)
        expected = module(x)
        results = [module(input=x)]
    for result in results:
        np.testing.assert_array_equal(result.numpy(), expected.numpy())


@pytest.mark.parity
@pytest.mark.parametrize("name", MAKE)
def test_a_module_names_its_arguments_as_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = getattr(nn, name), getattr(torch.nn, name)
    assert names_of(ours.forward) == names_of(theirs.forward)


@pytest.mark.parity
@pytest.mark.parametrize(
    "name",
    ["relu", "sigmoid", "tanh", "softmax", "log_softmax", "dropout", "batch_norm", "pad",
     "cross_entropy", "nll_loss"],
)  # fmt: skip
def test_a_function_names_its_arguments_as_pytorch(name: str) -> None:
    """Those that PyTorch writes in Python: the others have no signature there."""
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, name)
    assert is_part_in_order(names_of(getattr(F, name)), names_of(theirs))


def names_of(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def is_part_in_order(names: list[str], of: list[str]) -> bool:
    """Whether ``names`` stand in ``of`` in this order, others between them."""
    rest = iter(of)
    return all(name in rest for name in names)


# What layers compute ------------------------------------------------------------------------------


def test_softmax_and_log_softmax_by_their_definitions() -> None:
    array = np.random.default_rng(1).standard_normal((3, 4, 2))
    for dim in (0, 1, -1):
        p = np.exp(array) / np.exp(array).sum(dim, keepdims=True)
        for softmax in (nn.Softmax(dim)(Tensor(array)), Tensor(array).softmax(dim=dim)):
            np.testing.assert_allclose(softmax.numpy(), p, rtol=1e-12)
        np.testing.assert_allclose(
            nn.LogSoftmax(dim)(Tensor(array)).numpy(), np.log(p), rtol=1e-12, atol=1e-12
        )
    assert repr(nn.Sequential(nn.Softmax(1), nn.LogSoftmax(dim=-1))) == (
        "Sequential(\n  (0): Softmax(dim=1)\n  (1): LogSoftmax(dim=-1)\n)"
    )
    for kind in (nn.Softmax, nn.LogSoftmax):
        with pytest.raises(TypeError, match="dim"):  # PyTorch guesses one, and warns
            kind()  # type: ignore[call-arg]


@pytest.mark.parity
@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
def test_softmax_layers_are_pytorchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    assert_agrees_with_torch(
        MAKE[name](nn),
        np.random.default_rng(1).standard_normal((3, 4, 2)),
        theirs=MAKE[name](torch.nn),
    )


@pytest.mark.parity
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll_loss_is_pytorchs(reduction: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    log_p, weight = rng.standard_normal((5, 3)), rng.random(3)
    target = np.array([0, 2, 1, 0, 2])
    options: Any = {"ignore_index": 1, "reduction": reduction}
    assert_agrees_with_torch(
        lambda x, t: nn.NLLLoss(Tensor(weight), **options)(x, t),
        log_p,
        target,
        theirs=lambda x, t: torch.nn.NLLLoss(torch.from_numpy(weight), **options)(x, t),
    )


def test_log_softmax_and_nll_loss_are_cross_entropy() -> None:
    logits = Tensor(np.random.default_rng(3).standard_normal((5, 3)))
    target = Tensor(np.array([0, 2, 1, 1, 2]))
    loss = nn.NLLLoss()(nn.LogSoftmax(dim=1)(logits), target)
    assert loss.item() == pytest.approx(nn.CrossEntropyLoss()(logits, target).item(), rel=1e-14)
    weighted = nn.NLLLoss(weight=Tensor([1.0, 2.0, 3.0]))
    assert list(weighted.state_dict()) == ["weight"]
    assert weighted.to("float64").weight.dtype == np.float64  # type: ignore[union-attr]


def test_identity_returns_its_input_and_leaves_no_trace() -> None:
    x = minicnn.randn(2, 3)
    layer = nn.Identity(7, anything=True)
    assert layer(x) is x
    assert list(layer.parameters()) == []
    net = nn.Sequential(nn.Flatten(), nn.Identity(), nn.Linear(6, 4))
    stages = record(net, np.zeros((2, 1, 2, 3), np.float32))  # what a compiled net computes
    assert [stage.operation.name for stage in stages] == ["Reshape", "Linear"]


def test_inplace_is_taken_and_the_input_stays_as_it_is() -> None:
    array = np.array([-1.0, 2.0, -3.0])
    x = Tensor(array.copy())
    for layer in (nn.ReLU(inplace=True), nn.ReLU(True), lambda x: F.relu(x, inplace=True)):
        np.testing.assert_array_equal(layer(x).numpy(), [0, 2, 0])
    nn.Dropout(1.0, inplace=True)(x)
    F.dropout(x, 1.0, training=True, inplace=True)
    np.testing.assert_array_equal(x.numpy(), array)
    assert repr(nn.ReLU()) == "ReLU()"
    assert repr(nn.ReLU(inplace=True)) == "ReLU(inplace=True)"


def test_a_loader_knows_its_data_set() -> None:
    train, _ = data.load("fashion-mnist-sample")
    few = train[:70]
    loader = data.DataLoader(few, batch_size=32)
    assert loader.dataset is few
    assert (len(loader.dataset), len(loader)) == (70, 3)


FLATTENED: list[Callable[[Tensor], Tensor]] = [
    lambda x: x.view(x.size(0), -1),
    lambda x: x.view(-1, 3 * 4),
    lambda x: x.flatten(1),
    lambda x: minicnn.flatten(x, start_dim=1),
    lambda x: x.flatten(start_dim=-3, end_dim=-1),
]


@pytest.mark.parametrize("flatten", FLATTENED)
def test_a_net_that_flattens_by_pytorchs_names_is_a_chain_to_compile(
    flatten: Callable[[Tensor], Tensor],
) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(12, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(flatten(F.relu(x, inplace=True)))

    stages = record(Net(), np.zeros((2, 1, 3, 4), np.float32))
    assert [stage.operation.name for stage in stages] == ["ReLU", "Reshape", "Linear"]
    assert stages[1].output_shape == (12,)


def test_a_net_is_moved_and_converted_by_name() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    for convert, dtype in (("double", np.float64), ("float", np.float32)):
        assert getattr(net, convert)() is net
        assert {p.dtype for p in net.parameters()} == {np.dtype(dtype)}
    assert net.cpu() is net
    if not minicnn.cuda.is_available():
        with pytest.raises(minicnn.DeviceError, match=r"^device gpu:0 cannot be used: "):
            net.cuda()


def test_dropouts_default_is_a_half() -> None:
    y = F.dropout(Tensor(np.ones(100, np.float32))).numpy()
    assert set(y.tolist()) == {0, 2}
