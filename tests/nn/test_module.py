"""What a module refuses as a part of itself, and what it takes as its state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, nn


def small_net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten())


def arrays(net: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}


# Assigning ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [np.ones((3, 2)), [[1.0, 2.0]], 1.0, "weight", Tensor([1.0]), nn.ReLU(), np.tanh]
)
def test_a_parameter_is_replaced_by_a_parameter_or_none(value: Any) -> None:
    layer: Any = nn.Linear(2, 3)
    kind, weight = type(value).__name__, layer.weight
    with pytest.raises(
        TypeError,
        match=f"^Linear: weight is a parameter; wanted a Parameter or None, received {kind}$",
    ):
        layer.weight = value
    assert layer.weight is weight
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]


@pytest.mark.parametrize("value", [np.ones(2), [1.0, 2.0], 0.5, np.tanh])
def test_a_buffer_is_replaced_by_a_tensor_or_none(value: Any) -> None:
    norm: Any = nn.BatchNorm2d(2)
    with pytest.raises(TypeError, match=r"^BatchNorm2d: running_mean is a buffer; wanted a Tensor"):
        norm.running_mean = value
    assert "running_mean" in norm.state_dict()
    norm.running_mean = None
    assert "running_mean" not in norm.state_dict()


@pytest.mark.parametrize("value", [np.tanh, lambda x: x, np.ones(2), Tensor([1.0]), 3])
def test_a_layer_is_replaced_by_a_layer(value: Any) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head: Any = nn.Linear(2, 3)

    net = Net()
    with pytest.raises(TypeError, match=r"^Net: head is a layer; wanted a Module or None, receiv"):
        net.head = value
    assert [name for name, _ in net.named_modules()] == ["", "head"]


@pytest.mark.parametrize("value", [np.tanh, None, nn.Parameter([1.0]), np.ones(2)])
def test_a_sequential_does_not_lose_a_layer(value: Any) -> None:
    net = small_net()
    with pytest.raises(TypeError, match=r"^Sequential: 2 is a layer; wanted a Module, received "):
        setattr(net, "2", value)
    assert len(net) == 4
    setattr(net, "2", nn.Tanh())
    assert [type(layer).__name__ for layer in net][2] == "Tanh"


# Loading ------------------------------------------------------------------------------------------


def test_load_state_dict_returns_what_did_not_match_as_torch() -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = (
        small_net(),
        torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)),
    )
    result = ours.load_state_dict(theirs.state_dict())
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    assert repr(result) == repr(theirs.load_state_dict(theirs.state_dict()))

    state = {"z": np.ones(1), "1.bias": np.ones(2, np.float32), "a.b": np.ones(1)}
    missing, unexpected = ours.load_state_dict(state, strict=False)
    expected = theirs.load_state_dict({k: torch.tensor(v) for k, v in state.items()}, strict=False)
    assert missing == expected.missing_keys
    assert unexpected == expected.unexpected_keys == ["z", "a.b"]
    assert repr(ours.load_state_dict(state, strict=False)).startswith(
        "IncompatibleKeys(['0.weight'"
    )


@pytest.mark.parametrize("wrong", [None, [], "net.safetensors", [("0.weight", 1)]])
def test_a_state_that_is_no_mapping_is_named(wrong: Any) -> None:
    with pytest.raises(
        TypeError,
        match=r"^load_state_dict: state is of type \w+; wanted a mapping .*minicnn\.load\(",
    ):
        small_net().load_state_dict(wrong)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("lazy", [False, True])
def test_the_prefix_of_a_wrapper_is_named_with_the_cure(prefix: str, lazy: bool) -> None:
    net, state = small_net(), arrays(small_net())
    wrapped = {prefix + name: array for name, array in state.items()}
    fresh = nn.Sequential(nn.LazyConv2d(2, 3), nn.BatchNorm2d(2)) if lazy else net
    with pytest.raises(KeyError) as caught:
        fresh.load_state_dict(wrapped)
    message = caught.value.args[0]
    assert f"all its names begin with {prefix!r}" in message
    cure = message[message.index("load {") + 5 :]
    fresh.load_state_dict(eval(cure, {"state": wrapped}))
    np.testing.assert_array_equal(arrays(fresh)["0.weight"], state["0.weight"])
    if not lazy:
        assert len(net.load_state_dict(wrapped, strict=False).missing_keys) == len(state) - 1


def test_a_part_that_is_called_module_is_no_wrapper() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(2, 3)

    a, b = Net(), Net()
    a.load_state_dict(b.state_dict())
    np.testing.assert_array_equal(a.module.weight.numpy(), b.module.weight.numpy())


def test_batch_norm_of_an_old_file_has_no_count_of_batches() -> None:
    torch = pytest.importorskip("torch")
    net, theirs = (
        small_net(),
        torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)),
    )
    net(Tensor(np.ones((2, 1, 5, 5), np.float32)))
    old = dict(theirs.state_dict())
    del old["1.num_batches_tracked"]
    assert net.load_state_dict(old) == ([], [])
    assert theirs.load_state_dict(old) == ([], [])
    assert net.state_dict()["1.num_batches_tracked"].item() == 1
    np.testing.assert_array_equal(net.state_dict()["1.running_var"].numpy(), np.ones(2))
    with pytest.raises(KeyError, match=r"missing \['1.running_var'\]"):
        net.load_state_dict({k: v for k, v in old.items() if k != "1.running_var"})


def test_half_precision_is_widened_exactly() -> None:
    torch = pytest.importorskip("torch")
    for dtype in (torch.float16, torch.bfloat16):
        theirs = torch.nn.Linear(3, 2).to(dtype)
        net = nn.Linear(3, 2)
        net.load_state_dict(theirs.state_dict())
        np.testing.assert_array_equal(net.weight.numpy(), theirs.weight.detach().float().numpy())
        net.load_state_dict(dict(theirs.named_parameters()))  # which require gradients
        assert net.weight.dtype == np.float32
    net.load_state_dict({"weight": np.full((2, 3), 1 / 3, np.float16), "bias": np.zeros(2)})
    assert net.weight.numpy()[1, 2] == np.float32(np.float16(1 / 3))


def test_a_layer_of_a_sequential_is_replaced_by_its_number() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    net[-1] = nn.Linear(4, 5)
    net[1] = nn.Tanh()
    assert [type(layer) for layer in net] == [nn.Linear, nn.Tanh, nn.Linear]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert net(Tensor(np.ones((6, 3), np.float32))).shape == (6, 5)
    with pytest.raises(IndexError):
        net[3] = nn.ReLU()
    with pytest.raises(TypeError, match="0 is a layer; wanted a Module, received int"):
        net[0] = 3  # type: ignore[assignment]


@pytest.mark.parametrize(
    "layer",
    [
        *(nn.ReLU(), nn.Softmax(1), nn.LogSoftmax(1), nn.Dropout(), nn.Flatten(), nn.MaxPool2d(2)),
        *(nn.Identity(), nn.CrossEntropyLoss(), nn.NLLLoss(), nn.AvgPool2d(2), nn.Sequential()),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_without_parameters_is_a_module_too(layer: nn.Module) -> None:
    assert layer.training
    assert not layer.eval().training
    assert list(layer.parameters()) == list(layer.children()) == []
    assert layer.state_dict() == {}


def test_whatever_is_set_or_deleted_counts_as_a_change() -> None:
    """By which a compiled step knows that it has to look at its net again."""
    layer, seen = nn.Linear(3, 2), {nn.Module.changes}
    layer.note = "new"
    seen.add(nn.Module.changes)
    del layer.note  # type: ignore[attr-defined]
    assert not hasattr(layer, "note")
    seen.add(nn.Module.changes)
    layer.register_buffer("mean", Tensor(np.zeros(2)))
    seen.add(nn.Module.changes)
    layer.register_forward_hook(lambda module, inputs, output: None)
    seen.add(nn.Module.changes)
    assert len(seen) == 5


def test_a_layer_that_stands_twice_is_one_module() -> None:
    shared = nn.Linear(3, 3)
    net = nn.Sequential(shared, nn.ReLU(), shared)
    assert [type(module) for module in net.modules()] == [nn.Sequential, nn.Linear, nn.ReLU]
    assert [name for name, _ in net.named_modules()] == ["", "0", "1"]


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("register_buffer", (1, Tensor([1.0])), "register_buffer: name is of type int; wanted a t"),
        ("register_buffer", ("mean", 1.0), "register_buffer: mean is a float; wanted a Tensor"),
        ("register_forward_hook", (1,), "register_forward_hook: hook is .* int; wanted a function"),
        ("named_modules", (1,), "named_modules: prefix is of type int; wanted a text"),
        ("apply", (1,), "apply: function is of type int; wanted a function of a module"),
        ("summary", (3,), "summary: input_shape is 3, of type int; wanted a shape like"),
        ("summary", ((3, 1.5),), "summary: a size of input_shape is 1.5, of type float; wanted an"),
    ],
)
def test_arguments_of_other_types_are_named(
    method: str, arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(TypeError, match=f"^{message}"):
        getattr(nn.ReLU(), method)(*arguments)


def test_what_is_missing_is_said_even_if_nothing_is_too_much() -> None:
    found = nn.Linear(3, 2).load_state_dict({"weight": np.ones((2, 3))}, strict=False)
    assert "bias" in repr(found)
    found = nn.Linear(3, 2, bias=False).load_state_dict(nn.Linear(3, 2).state_dict(), strict=False)
    assert "bias" in repr(found)


@pytest.mark.parametrize("name", ["stride", "padding", "dilation", "groups"])
def test_a_convolution_names_what_differs_from_the_defaults(name: str) -> None:
    options: Any = {name: 2}
    text = repr(nn.Conv2d(4, 4, 3, **options))
    assert f"{name}=2" in text or f"{name}=(2, 2)" in text
    assert "padding=1" in repr(nn.Conv2d(4, 4, 3, padding=1)).replace("(1, 1)", "1")
    plain = repr(nn.Conv2d(4, 4, 3))
    assert not [word for word in ("padding", "dilation", "groups") if word in plain]
