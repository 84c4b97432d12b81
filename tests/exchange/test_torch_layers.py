"""``interop.from_torch`` and ``to_torch``: PyTorch's layers and minicnn's."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import interop, models, nn

from .nets import FRAMED_SIZE, computed, draw, every_layer_framed

torch: Any = pytest.importorskip("torch")
pytestmark = pytest.mark.parity


def by_torch(module: Any, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return module(torch.from_numpy(x)).numpy()


def assert_same_bits(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert list(ours) == list(theirs)
    for name, tensor in ours.items():
        a, b = np.asarray(tensor.numpy()), np.asarray(theirs[name].numpy())
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), name


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_a_net_of_every_layer_there_and_back() -> None:
    net, x = every_layer_framed(), draw((3, *FRAMED_SIZE), -1, 1)

    theirs = interop.to_torch(net)
    again = interop.from_torch(theirs)

    assert_same_bits(net.state_dict(), theirs.state_dict())
    assert_same_bits(again.state_dict(), theirs.state_dict())
    assert [type(layer) for layer in again.modules()] == [type(layer) for layer in net.modules()]
    np.testing.assert_allclose(by_torch(theirs, x), computed(net, x), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(computed(again, x), computed(net, x))
    assert_same_bits(interop.to_torch(again).state_dict(), theirs.state_dict())


def torchs_own() -> Any:
    """A net as PyTorch's users write it: named, nested, in a class derived from Sequential."""

    class Block(torch.nn.Sequential):  # type: ignore[misc]
        def __init__(self, channels: int) -> None:
            super().__init__(
                torch.nn.Conv2d(channels, 6, (3, 2), stride=(1, 2), groups=2, bias=False),
                torch.nn.BatchNorm2d(6, momentum=None),
                torch.nn.ReLU(inplace=True),
            )

    return torch.nn.Sequential(
        OrderedDict(
            features=Block(4),
            pool=torch.nn.AvgPool2d((2, 3), (1, 2), (1, 0), True, False, 5),
            drop=torch.nn.Dropout(0.25),
            flat=torch.nn.Flatten(),
            head=torch.nn.Linear(108, 3),
        )
    )


def test_names_modes_and_gradients_are_carried() -> None:
    theirs = torchs_own()
    theirs.features.eval()
    theirs.head.weight.requires_grad_(False)
    theirs(torch.from_numpy(draw((4, 4, 7, 12))))  # in training: batch norm is in evaluation

    ours = interop.from_torch(theirs)

    assert_same_bits(ours.state_dict(), theirs.state_dict())
    for net in (ours, interop.to_torch(ours)):
        assert [m.training for m in net.modules()] == [m.training for m in theirs.modules()]
        needs = {name: p.requires_grad for name, p in net.named_parameters()}
        assert needs == {name: p.requires_grad for name, p in theirs.named_parameters()}
    x = draw((5, 4, 7, 12))
    np.testing.assert_allclose(computed(ours.eval(), x), by_torch(theirs.eval(), x), atol=1e-5)
    ours.features[0].weight.data[...] = 0  # a copy: theirs is as it was
    assert theirs.features[0].weight.abs().sum() > 0


def test_training_goes_on_alike_in_both() -> None:
    theirs = torchs_own()
    theirs.drop.p = 0.0
    ours = interop.from_torch(theirs)
    x, y = draw((6, 4, 7, 12)), np.array([0, 2, 1, 1, 0, 2])
    for _ in range(2):
        torch.nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(y)).backward()
        nn.functional.cross_entropy(ours(minicnn.Tensor(x)), minicnn.Tensor(y)).backward()
        for net in (theirs, ours):
            for p in net.parameters():
                p.data -= 0.1 * p.grad.data
            net.zero_grad()
    for name, tensor in ours.state_dict().items():
        np.testing.assert_allclose(tensor.numpy(), theirs.state_dict()[name], rtol=1e-4, atol=1e-6)


@pytest.mark.long
def test_a_converted_net_can_be_compiled(compiled_kernels: None) -> None:
    named = OrderedDict(
        first=torch.nn.Linear(7, 4), act=torch.nn.Tanh(), last=torch.nn.Linear(4, 3)
    )
    ours, x = interop.from_torch(torch.nn.Sequential(named)), draw((5, 7))
    np.testing.assert_allclose(minicnn.compile(ours)(x).numpy(), computed(ours, x), atol=1e-6)


@pytest.mark.parametrize("name", models.PRESETS)
def test_the_presets_there_and_back(name: str) -> None:
    net, x = models.build(name).eval(), draw((2, 1, 28, 28))
    theirs = interop.to_torch(net)
    assert_same_bits(net.state_dict(), theirs.state_dict())
    np.testing.assert_allclose(by_torch(theirs, x), computed(net, x), rtol=0, atol=1e-5)


def test_dtypes_are_carried_and_halves_widened() -> None:
    assert interop.from_torch(torch.nn.Linear(2, 3).double()).weight.dtype == np.float64
    assert interop.to_torch(nn.Linear(2, 3).double()).weight.dtype == torch.float64
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 3).half(), torch.nn.Linear(3, 1).bfloat16())
    with pytest.warns(UserWarning, match=r"4 tensors in bfloat16 and float16 became float32"):
        ours = interop.from_torch(theirs)
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name].numpy(), tensor.float().numpy())


def test_what_is_shared_stays_shared() -> None:
    layer, tied = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
    tied.weight = layer.weight
    theirs = torch.nn.Sequential(layer, torch.nn.Tanh(), layer, tied)

    ours: Any = interop.from_torch(theirs)

    assert ours[0] is ours[2]
    assert ours[3] is not ours[0]
    assert ours[3].weight is ours[0].weight
    back = interop.to_torch(ours)
    assert back[0] is back[2]
    assert back[3].weight is back[0].weight
    assert len(list(back.parameters())) == len(list(theirs.parameters())) == 3


def test_losses_and_lazy_layers_convert() -> None:
    weight = torch.tensor([1.0, 2.0, 0.5])
    theirs = torch.nn.CrossEntropyLoss(weight, ignore_index=1, label_smoothing=0.1)
    x, y = draw((4, 3)), np.array([0, 2, 1, 2])
    loss = interop.from_torch(theirs)(minicnn.Tensor(x), minicnn.Tensor(y)).item()
    expected = theirs(torch.tensor(x), torch.tensor(y)).item()
    assert loss == pytest.approx(expected, rel=1e-6)
    back = interop.to_torch(nn.NLLLoss(minicnn.Tensor([1, 3]), reduction="sum"))
    assert (back.weight.tolist(), back.reduction) == ([1, 3], "sum")

    lazy = torch.nn.Sequential(torch.nn.LazyConv2d(4, 3, bias=False), torch.nn.LazyLinear(2))
    ours: Any = interop.from_torch(lazy)
    assert [type(layer) for layer in ours] == [nn.LazyConv2d, nn.LazyLinear]
    assert ours(minicnn.rand(1, 3, 5, 6)).shape == (1, 4, 3, 2)
    assert ours[0].bias is None
    assert isinstance(interop.to_torch(nn.LazyLinear(3)), torch.nn.LazyLinear)


def test_random_draws_go_on_as_if_nothing_was_converted() -> None:
    theirs = torchs_own()
    minicnn.manual_seed(3)
    torch.manual_seed(3)
    before = minicnn.rand(2).numpy(), torch.rand(2)
    minicnn.manual_seed(3)
    torch.manual_seed(3)
    interop.to_torch(interop.from_torch(theirs))
    np.testing.assert_array_equal(minicnn.rand(2).numpy(), before[0])
    assert torch.equal(torch.rand(2), before[1])


class Residual(torch.nn.Module):  # type: ignore[misc]
    """A module of somebody's own."""

    def forward(self, x: Any) -> Any:
        return x + 1


class Reversed(torch.nn.Sequential):  # type: ignore[misc]
    """A Sequential that computes something else."""

    def forward(self, x: Any) -> Any:
        return x


def hooked() -> Any:
    layer = torch.nn.ReLU()
    layer.register_forward_hook(lambda *_: None)
    return layer


def with_a_mask() -> Any:
    layer = torch.nn.Linear(2, 2)
    layer.register_buffer("mask", torch.ones(2))
    return layer


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (torch.nn.GELU(), r"layer 0\.1 \(GELU\): minicnn has no such layer"),
        (torch.nn.BatchNorm1d(3), r"\(BatchNorm1d\): minicnn has no such layer"),
        (Residual(), r"\(Residual\): its forward\(\) is not read; .*torch\.onnx\.export"),
        (Reversed(), r"\(Reversed\): it has a forward\(\) of its own"),
        (torch.nn.DataParallel(torch.nn.ReLU()), r"\(DataParallel\): .* convert its \.module"),
        (
            type("OptimizedModule", (torch.nn.Module,), {})(),
            r"\(OptimizedModule\): .* convert its \._orig_mod",
        ),
        (torch.nn.Conv2d(1, 2, 3, padding_mode="reflect"), r"padding_mode is 'reflect'"),
        (torch.nn.MaxPool2d(2, return_indices=True), "return_indices is True"),
        (torch.nn.Softmax(), "dim is None"),
        (hooked(), "it has forward hooks"),
        (with_a_mask(), "it has mask, which"),
        (torch.nn.Linear(2, 3, dtype=torch.complex64), "its weight is torch.complex64"),
        (torch.nn.Linear(2, 3, device="meta"), "its weight is torch.float32, .* on meta"),
    ],
)
def test_what_does_not_convert_is_named(module: Any, message: str) -> None:
    net = torch.nn.Sequential(torch.nn.Sequential(torch.nn.Tanh(), module), torch.nn.GELU())
    with pytest.raises(ValueError, match=rf"^from_torch: .*{message}.*; layer 1 \(GELU\)"):
        interop.from_torch(net)


def test_what_does_not_convert_back_is_named() -> None:
    class Own(nn.Module):
        """Somebody's own."""

    net = nn.Sequential(nn.Sequential(Own()), Own())
    told = r"^to_torch: layer 0\.0 \(Own\): it is none .*; layer 1 \(Own\): it is none"
    with pytest.raises(ValueError, match=told):
        interop.to_torch(net)
    with pytest.raises(TypeError, match=r"net is of type Linear; wanted a module of minicnn"):
        interop.to_torch(torch.nn.Linear(2, 3))
    with pytest.raises(TypeError, match=r"module is of type Linear; wanted a torch\.nn\.Module"):
        interop.from_torch(nn.Linear(2, 3))
