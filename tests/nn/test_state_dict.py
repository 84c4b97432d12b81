"""state_dict and load_state_dict: names, memory, PyTorch's files, what does not fit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.nn.blocks import Block, assert_same, images, values


def test_state_dict_shares_memory_and_is_detached() -> None:
    block = Block()
    state = block.state_dict()

    assert state["conv.weight"].data is block.conv.weight.data
    assert not any(tensor.requires_grad for tensor in state.values())


def torch_block(torch: Any) -> Any:
    class TorchBlock(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(2, 3, 3)
            self.norm = torch.nn.BatchNorm2d(3)
            self.scale = torch.nn.Parameter(torch.ones(1))
            self.register_buffer("offset", torch.full((1,), 0.5))
            self.head = torch.nn.Sequential(
                torch.nn.Flatten(),
                torch.nn.Sequential(torch.nn.Linear(12, 4), torch.nn.ReLU()),
            )

        def forward(self, x: Any) -> Any:
            return self.head(self.norm(self.conv(x)) * self.scale + self.offset)

    return TorchBlock()


@pytest.mark.parity
def test_state_dict_has_pytorchs_names_order_shapes_and_dtypes() -> None:
    torch = pytest.importorskip("torch")
    theirs, ours = torch_block(torch).state_dict(), Block().state_dict()

    assert list(ours) == list(theirs)
    for name, tensor in ours.items():
        assert tensor.shape == tuple(theirs[name].shape), name
        assert str(tensor.dtype) == str(theirs[name].dtype).removeprefix("torch."), name


@pytest.mark.parity
def test_a_loaded_torch_state_computes_the_same_in_both_modes() -> None:
    torch = pytest.importorskip("torch")
    theirs, ours = torch_block(torch).double(), Block()
    ours.to("float64")
    x = images(5, 2, 4, 4, dtype="float64")
    theirs(torch.tensor(x.numpy()))  # moves the running statistics

    ours.load_state_dict(theirs.state_dict())

    for mode in (True, False):
        ours.train(mode)
        theirs.train(mode)
        expected = theirs(torch.tensor(x.numpy())).detach().numpy()
        np.testing.assert_allclose(ours(x).numpy(), expected, rtol=1e-9, atol=1e-12)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in values(ours).items()})
    assert ours.norm.num_batches_tracked.item() == 2


def test_load_state_dict_copies_and_converts() -> None:
    a, b = Block(), Block()
    b.to("float64")
    weight = b.conv.weight

    b.load_state_dict(a.state_dict())

    assert_same(values(a), values(b.to("float32")))
    assert b.conv.weight is weight
    assert not np.shares_memory(a.conv.weight.data, b.conv.weight.data)


def test_load_state_dict_takes_arrays_and_its_own_state() -> None:
    block = Block()
    before = values(block)

    block.load_state_dict(block.state_dict())
    assert_same(values(block), before)
    doubled = {name: 2 * value for name, value in before.items()}
    block.load_state_dict(doubled)
    assert_same(values(block), doubled)


def broken(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    state: dict[str, Any] = values(Block())
    change(state)
    return state


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        (broken(lambda s: s.pop("norm.bias")), KeyError, r"missing \['norm.bias'\], unknown \[\]"),
        (broken(lambda s: s.update(x=1)), KeyError, r"missing \[\], unknown \['x'\]"),
        (
            broken(lambda s: s.update({"head.1.0.bias": np.ones(5)})),
            ValueError,
            r"^state_dict: head.1.0.bias has shape \(5,\), this net's has \(4,\)$",
        ),
        (broken(lambda s: s.update({"scale": np.ones(())})), ValueError, "scale has shape"),
        (
            broken(lambda s: s.update({"head.1.0.bias": np.ones(4, complex)})),
            TypeError,
            "complex128",
        ),
        (broken(lambda s: s.update({"head.1.0.bias": ["a"] * 4})), TypeError, "real numbers"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(
    state: dict[str, Any], error: type[Exception], message: str
) -> None:
    block = Block()
    before = values(block)
    with pytest.raises(error, match=message):
        block.load_state_dict(state)
    assert_same(values(block), before)


def test_not_strict_loads_what_there_is() -> None:
    block = Block()
    before = values(block)

    block.load_state_dict({"scale": np.array([9.0]), "unknown": np.ones(3)}, strict=False)

    assert block.scale.item() == 9
    after = values(block)
    assert_same({**after, "scale": before["scale"]}, before)
    with pytest.raises(ValueError, match="scale has shape"):
        block.load_state_dict({"scale": np.ones(2)}, strict=False)
