"""minicnn.nn: modules, layers, containers, lazy layers and the summary."""

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, models, nn, no_grad
from minicnn.nn import functional as F
from minicnn.nn.module import RemovableHandle
from minicnn.nn.summary import table


class Block(nn.Module):
    """A bit of everything: parameters, a buffer, layers, layers inside layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.scale = nn.Parameter([1.0])
        self.register_buffer("offset", Tensor([0.5]))
        self.head = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(12, 4), nn.ReLU()))

    offset: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.conv(x)) * self.scale + self.offset)


def values(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


def assert_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def images(*shape: int, dtype: str = "float32") -> Tensor:
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(dtype))


# Attributes ---------------------------------------------------------------------------------------


def test_parameters_buffers_and_modules_register_by_assignment() -> None:
    block = Block()

    assert [name for name, _ in block.named_parameters()] == [
        "scale",
        "conv.weight",
        "conv.bias",
        "norm.weight",
        "norm.bias",
        "head.1.0.weight",
        "head.1.0.bias",
    ]
    assert [name for name, _ in block.named_modules()] == [
        "",
        "conv",
        "norm",
        "head",
        "head.0",
        "head.1",
        "head.1.0",
        "head.1.1",
    ]
    assert list(block.children()) == [block.conv, block.norm, block.head]
    assert list(block.parameters()) == [p for _, p in block.named_parameters()]
    assert next(iter(block.modules())) is block
    assert all(p.requires_grad for p in block.parameters())


def test_a_plain_tensor_is_no_part_of_the_state() -> None:
    module = nn.Module()
    module.constant = Tensor([1.0])
    module.number = 3
    assert module.state_dict() == {}


def test_a_replacement_takes_the_place_of_the_original() -> None:
    block = Block()
    names = list(block.state_dict())

    block.conv = nn.Conv2d(2, 3, 3)
    block.scale = nn.Parameter([2.0])
    block.offset = Tensor([3.0])

    assert list(block.state_dict()) == names
    assert block.state_dict()["scale"].item() == 2
    assert block.state_dict()["offset"].item() == 3


def test_a_replacement_of_another_kind_leaves_no_trace() -> None:
    block: Any = Block()

    block.norm = None
    block.conv = nn.Parameter([1.0])
    block.offset = nn.Parameter([2.0])

    assert [name for name, _ in block.named_parameters()] == [
        "scale",
        "conv",
        "offset",
        "head.1.0.weight",
        "head.1.0.bias",
    ]
    assert [name for name, _ in block.named_modules()][:2] == ["", "head"]


def test_what_is_deleted_is_gone() -> None:
    block = Block()

    del block.conv, block.norm, block.scale, block.offset

    assert list(block.state_dict()) == ["head.1.0.weight", "head.1.0.bias"]
    assert [name for name, _ in block.named_modules()][1] == "head"
    assert not hasattr(block, "conv")
    with pytest.raises(AttributeError, match="conv"):
        del block.conv


def test_only_tensors_are_buffers() -> None:
    with pytest.raises(TypeError, match=r"^register_buffer: mean is a ndarray; wanted a Tensor$"):
        nn.Module().register_buffer("mean", np.zeros(3))  # type: ignore[arg-type]


def test_a_buffer_is_saved_and_moved_but_not_learnt() -> None:
    module: Any = nn.Module()
    module.register_buffer("mean", Tensor([1.0, 2.0]))

    module.to("float64")

    assert list(module.parameters()) == []
    assert module.mean.dtype == np.float64
    assert module.state_dict()["mean"].dtype == np.float64


@pytest.mark.parametrize("part", [nn.ReLU, lambda: nn.Parameter([1.0])])
def test_forgetting_super_init_is_named(part: Callable[[], Any]) -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            self.part = part()

    with pytest.raises(
        AttributeError, match=r"^Forgetful: call super\(\).__init__\(\) before assigning part$"
    ):
        Forgetful()


def test_shared_parts_are_listed_once_and_saved_under_each_name() -> None:
    layer, activation = nn.Linear(3, 3), nn.ReLU()
    net = nn.Sequential(layer, activation, layer, activation)
    tied = nn.Linear(3, 3)
    tied.weight = layer.weight
    net.append(tied)

    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "4.bias"]
    assert [name for name, _ in net.named_modules()] == ["", "0", "1", "4"]
    assert list(net.children()) == [layer, activation, tied]
    assert list(net.state_dict()) == [
        f"{i}.{name}" for i in (0, 2, 4) for name in ("weight", "bias")
    ]
    assert len(list(net)) == len(net) == 5


def test_gradients_of_a_shared_layer_add_up() -> None:
    layer = nn.Linear(2, 2, bias=False)
    x = images(3, 2, dtype="float64")
    layer.to("float64")

    nn.Sequential(layer, layer)(x).sum().backward()

    assert layer.weight.grad is not None
    shared = layer.weight.grad.numpy()
    first, second = copy.deepcopy(layer), copy.deepcopy(layer)
    first.zero_grad()
    second.zero_grad()
    second(first(x)).sum().backward()
    assert first.weight.grad is not None
    assert second.weight.grad is not None
    np.testing.assert_allclose(shared, first.weight.grad.numpy() + second.weight.grad.numpy())


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r"^Silent has no forward\(\)$"):
        type("Silent", (nn.Module,), {})()(1)


# Walking, modes, moving ---------------------------------------------------------------------------


def test_apply_goes_from_the_inside_out_and_returns_the_module() -> None:
    block, order = Block(), list[nn.Module]()

    returned = block.apply(order.append)

    assert returned is block
    assert [type(m).__name__ for m in order] == [
        "Conv2d",
        "BatchNorm2d",
        "Flatten",
        "Linear",
        "ReLU",
        "Sequential",
        "Sequential",
        "Block",
    ]


def test_train_and_eval_reach_every_module() -> None:
    block = Block()

    assert all(m.training for m in block.modules())
    assert block.eval() is block
    assert not any(m.training for m in block.modules())
    assert block.train() is block
    assert all(m.training for m in block.modules())
    block.head.eval()
    assert [m.training for m in block.modules()] == [True] * 3 + [False] * 5


def test_to_converts_floating_point_numbers_in_place() -> None:
    block = Block()
    block(images(2, 2, 4, 4)).sum().backward()
    parameters = list(block.parameters())

    assert block.to("float64") is block

    assert all(a is b for a, b in zip(block.parameters(), parameters, strict=True))
    for name, tensor in block.state_dict().items():
        tracked = name.endswith("num_batches_tracked")
        assert tensor.dtype == (np.int64 if tracked else np.float64), name
    for p in parameters:
        assert p.grad is not None
        assert p.grad.dtype == np.float64
    assert block(images(2, 2, 4, 4, dtype="float64")).dtype == np.float64


def test_to_cpu_changes_nothing() -> None:
    block = Block()
    arrays = [p.data for p in block.parameters()]

    block.to("cpu")

    assert all(p.data is array for p, array in zip(block.parameters(), arrays, strict=True))


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_a_net_cannot_be_made_of_integers(dtype: str) -> None:
    net = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=rf"^to: a net in {dtype}; wanted float32 or float64$"):
        net.to(dtype)
    assert net.weight.dtype == np.float32


def test_zero_grad_forgets_all_gradients() -> None:
    block = Block()
    block(images(2, 2, 4, 4)).sum().backward()
    assert all(p.grad is not None for p in block.parameters())

    block.zero_grad()

    assert all(p.grad is None for p in block.parameters())


def test_forward_hooks_see_inputs_and_output_until_removed() -> None:
    layer, seen = nn.ReLU(), list[tuple[Any, ...]]()
    x = Tensor([-1.0, 1.0])

    handle = layer.register_forward_hook(lambda *received: seen.append(received))
    y = layer(x)
    handle.remove()
    layer(x)

    assert isinstance(handle, RemovableHandle)
    assert len(seen) == 1
    module, inputs, output = seen[0]
    assert module is layer
    assert inputs == (x,)
    assert output is y


def test_a_hook_may_remove_itself() -> None:
    layer, seen = nn.ReLU(), list[str]()
    handles: list[RemovableHandle] = []

    def first(*_: Any) -> None:
        seen.append("first")
        handles[0].remove()

    handles.append(layer.register_forward_hook(first))
    layer.register_forward_hook(lambda *_: seen.append("second"))
    layer(Tensor([1.0]))
    layer(Tensor([1.0]))

    assert seen == ["first", "second", "second"]


def test_repr_shows_the_tree_of_layers() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.Sequential(nn.BatchNorm2d(6), nn.MaxPool2d(2), nn.AvgPool2d((2, 3), stride=1)),
        nn.Conv2d(4, 6, (1, 2), (2, 1), "valid", 2, 2, bias=False),
        nn.Dropout(0.25),
        nn.Linear(3, 4, bias=False),
        nn.LazyConv2d(3, 5),
        nn.LazyLinear(4),
        nn.Flatten(),
    )
    assert repr(net) == "\n".join(
        [
            "Sequential(",
            "  (0): Conv2d(1, 6, kernel_size=(5, 5), padding=2)",
            "  (1): Sequential(",
            "    (0): BatchNorm2d(6, eps=1e-05, momentum=0.1)",
            "    (1): MaxPool2d(2, stride=2, padding=0)",
            "    (2): AvgPool2d((2, 3), stride=1, padding=0)",
            "  )",
            "  (2): Conv2d(4, 6, kernel_size=(1, 2), stride=(2, 1), padding='valid', dilation=2, "
            "groups=2, bias=False)",
            "  (3): Dropout(p=0.25)",
            "  (4): Linear(3, 4, bias=False)",
            "  (5): LazyConv2d(3, kernel_size=(5, 5))",
            "  (6): LazyLinear(4)",
            "  (7): Flatten()",
            ")",
        ]
    )
    assert repr(nn.Sequential()) == "Sequential()"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copied_net_computes_the_same_and_shares_nothing(copied: Callable[[Any], Any]) -> None:
    net = Block()
    x = images(2, 2, 4, 4)
    net(x)

    twin = copied(net)
    assert_same(values(twin), values(net))
    assert twin.conv.weight is dict(twin.named_parameters())["conv.weight"]
    np.testing.assert_array_equal(twin.eval()(x).numpy(), net.eval()(x).numpy())
    twin.conv.weight.data += 1
    twin.norm.running_mean.data += 1

    assert not np.array_equal(twin.conv.weight.numpy(), net.conv.weight.numpy())
    assert not np.array_equal(values(twin)["norm.running_mean"], values(net)["norm.running_mean"])


def test_a_copied_lazy_net_is_still_lazy() -> None:
    net = nn.Sequential(nn.LazyLinear(3))
    twin = pickle.loads(pickle.dumps(copy.deepcopy(net)))
    assert twin(images(2, 5)).shape == (2, 3)
    assert type(net[0]) is nn.LazyLinear


# state_dict ---------------------------------------------------------------------------------------


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


# Sequential ---------------------------------------------------------------------------------------


def test_sequential_iterates_indexes_and_slices() -> None:
    layers = [nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)]
    net = nn.Sequential(*layers)

    assert list(net) == layers
    assert len(net) == 3
    assert net[0] is layers[0]
    assert net[-1] is layers[2]
    for part in (net[1:], net[-2:]):
        assert isinstance(part, nn.Sequential)
        assert list(part) == layers[1:]
        assert list(part.state_dict()) == ["1.weight", "1.bias"]
    with pytest.raises(IndexError):
        net[3]


def test_sequential_applies_its_modules_in_order() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Tanh(), nn.Linear(3, 4)), nn.ReLU())
    x = images(5, 2)

    y = net(x)
    for layer in net:
        x = layer(x)

    np.testing.assert_array_equal(y.numpy(), x.numpy())
    assert nn.Sequential()(x) is x


def test_append_adds_at_the_end() -> None:
    net = nn.Sequential(nn.ReLU()).append(nn.Linear(1, 1))
    assert list(net.state_dict()) == ["1.weight", "1.bias"]


@pytest.mark.parametrize("wrong", [1, None, [nn.ReLU()], nn.ReLU, F.relu])
def test_sequential_refuses_what_is_no_module(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^Sequential: wanted modules, received \w+$"):
        nn.Sequential(nn.ReLU(), wrong)


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


def test_batch_norm_moves_its_running_statistics_in_training_only() -> None:
    norm, x = nn.BatchNorm2d(3), images(4, 3, 5, 2)

    norm(x)
    norm.eval()(x)

    data = x.numpy()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, var = data.mean((0, 2, 3)), data.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(norm.running_mean.numpy(), 0.1 * mean, rtol=1e-4)
    np.testing.assert_allclose(norm.running_var.numpy(), 0.9 + 0.1 * var, rtol=1e-4)
    assert norm.num_batches_tracked.item() == 1


def test_batch_norm_normalises_each_channel_in_training() -> None:
    y = nn.BatchNorm2d(3)(images(4, 3, 5, 2) * 3 + 2).numpy()
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.var((0, 2, 3)), 1, rtol=1e-4)


def test_batch_norm_wants_pictures() -> None:
    with pytest.raises(ValueError, match=r"^BatchNorm2d: input has shape \(2, 3\); wanted \(N, C"):
        nn.BatchNorm2d(3)(images(2, 3))


@pytest.mark.parity
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"momentum": None},
        {"momentum": 0.3, "eps": 1e-2},
        {"affine": False},
        {"track_running_stats": False},
        {"affine": False, "track_running_stats": False},
    ],
)
def test_batch_norm_is_pytorchs_over_several_batches(arguments: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    ours = nn.BatchNorm2d(3, **arguments)
    ours.to("float64")
    theirs = torch.nn.BatchNorm2d(3, **arguments).double()
    rng = np.random.default_rng(0)
    if ours.weight is not None and ours.bias is not None:
        state = {"weight": rng.random(3), "bias": rng.random(3)}
        ours.load_state_dict(state, strict=False)
        theirs.load_state_dict({k: torch.tensor(v) for k, v in state.items()}, strict=False)

    for training in (False, True, True, True, False):
        ours.train(training)
        theirs.train(training)
        x = rng.standard_normal((4, 3, 2, 5)) * rng.random() + rng.random()
        a, b = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, expected = ours(a), theirs(b)
        dy = rng.standard_normal(x.shape)
        y.backward(dy)
        expected.backward(torch.tensor(dy))
        np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-12)
        assert a.grad is not None
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-8, atol=1e-11)

    state_of_theirs = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state_of_theirs)
    for name, tensor in ours.state_dict().items():
        np.testing.assert_allclose(tensor.numpy(), state_of_theirs[name], rtol=1e-12)


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


# Lazy layers --------------------------------------------------------------------------------------


def lazy_net() -> nn.Sequential:
    return nn.Sequential(
        nn.LazyConv2d(6, 5, padding=2, groups=1),
        nn.Sigmoid(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(10),
    )


def test_lazy_layers_become_plain_ones_at_their_first_input() -> None:
    net = lazy_net()

    y = net(images(2, 3, 8, 8))

    assert y.shape == (2, 10)
    conv, linear = net[0], net[4]
    assert type(conv) is nn.Conv2d
    assert type(linear) is nn.Linear
    assert conv.in_channels == 3
    assert linear.in_features == 6 * 4 * 4
    assert "Lazy" not in repr(net)
    assert sum(p.size for p in net.parameters()) == 6 * 3 * 25 + 6 + 96 * 10 + 10
    y.sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_lazy_layers_draw_the_weights_of_plain_ones() -> None:
    lazy = nn.LazyConv2d(4, (3, 2), (2, 1), 1, 2, 2, bias=False)
    lazy(images(1, 6, 9, 9))
    minicnn.manual_seed(7)  # as the fixture did
    plain = nn.Conv2d(6, 4, (3, 2), (2, 1), 1, 2, 2, bias=False)

    assert_same(values(lazy), values(plain))
    assert repr(lazy) == repr(plain)


@pytest.mark.parametrize(
    "use",
    [
        lambda net: list(net.parameters()),
        lambda net: list(net.named_parameters()),
        lambda net: net.state_dict(),
        lambda net: net.zero_grad(),
        lambda net: minicnn.optim.SGD(net.parameters()),
        lambda net: net.load_state_dict({}, strict=False),
    ],
)
@pytest.mark.parametrize("layer", [nn.LazyLinear(2), nn.LazyConv2d(2, 3)])
def test_lazy_layers_have_no_parameters_before(
    use: Callable[[nn.Module], Any], layer: nn.Module
) -> None:
    with pytest.raises(RuntimeError, match=r"^Lazy\w+ has no parameters before its first input:"):
        use(nn.Sequential(nn.ReLU(), layer))


def test_lazy_layers_keep_mode_and_hooks_and_call_these_once() -> None:
    layer, seen = nn.LazyLinear(2), list[str]()
    layer.eval()
    handle = layer.register_forward_hook(lambda m, *_: seen.append(type(m).__name__))

    layer(images(3, 4))
    assert seen == ["Linear"]
    assert not layer.training
    handle.remove()
    layer(images(3, 4))
    assert seen == ["Linear"]


def test_lazy_layers_follow_the_dtype_of_their_input() -> None:
    net = lazy_net().to("float64")
    assert net(images(1, 1, 4, 4, dtype="float64")).dtype == np.float64
    assert {p.dtype for p in net.parameters()} == {np.dtype(np.float64)}
    with pytest.raises(TypeError, match="int64"):
        nn.LazyLinear(2)(Tensor(np.ones((2, 3), np.int64)))


def test_apply_reaches_lazy_layers_before_and_after() -> None:
    net, before, after = lazy_net(), list[str](), list[str]()
    net.apply(lambda m: before.append(type(m).__name__))
    net(images(1, 1, 4, 4))
    net.apply(lambda m: after.append(type(m).__name__))

    assert before[0] == "LazyConv2d"
    assert after[0] == "Conv2d"


def test_lazy_layers_take_their_sizes_from_a_loaded_state() -> None:
    trained, fresh = lazy_net(), lazy_net()
    x = images(2, 3, 8, 8)
    trained(x)

    fresh.load_state_dict(trained.state_dict())

    assert type(fresh[0]) is nn.Conv2d
    assert type(fresh[4]) is nn.Linear
    np.testing.assert_array_equal(fresh(x).numpy(), trained(x).numpy())


def test_lazy_convolution_in_groups_takes_its_size_from_a_loaded_state() -> None:
    plain, lazy = nn.Conv2d(6, 4, 3, groups=2), nn.LazyConv2d(4, 3, groups=2)
    lazy.load_state_dict(plain.state_dict())
    assert lazy.in_channels == 6


def test_lazy_layers_refuse_impossible_first_inputs_and_stay_lazy() -> None:
    conv, linear = nn.LazyConv2d(6, 3, groups=3), nn.LazyLinear(2)
    with pytest.raises(ValueError, match="groups is 3"):
        conv(images(1, 4, 5, 5))
    with pytest.raises(ValueError, match=r"input has shape \(\); wanted"):
        linear(Tensor(1.0))
    assert type(conv) is nn.LazyConv2d
    assert type(linear) is nn.LazyLinear


# summary ------------------------------------------------------------------------------------------


def test_summary_of_lenet_shows_the_chapters_shapes(capsys: pytest.CaptureFixture[str]) -> None:
    models.lenet().summary((1, 1, 28, 28))

    # multiply-adds: 28·28·6·25, 10·10·16·6·25, 400·120, 120·84, 84·10
    assert capsys.readouterr().out == (
        "layer      output shape     parameters  multiply-adds\n"
        "-----------------------------------------------------\n"
        "Conv2d     (1, 6, 28, 28)          156        117,600\n"
        "Sigmoid    (1, 6, 28, 28)            0              0\n"
        "AvgPool2d  (1, 6, 14, 14)            0              0\n"
        "Conv2d     (1, 16, 10, 10)       2,416        240,000\n"
        "Sigmoid    (1, 16, 10, 10)           0              0\n"
        "AvgPool2d  (1, 16, 5, 5)             0              0\n"
        "Flatten    (1, 400)                  0              0\n"
        "Linear     (1, 120)             48,120         48,000\n"
        "Sigmoid    (1, 120)                  0              0\n"
        "Linear     (1, 84)              10,164         10,080\n"
        "Sigmoid    (1, 84)                   0              0\n"
        "Linear     (1, 10)                 850            840\n"
        "-----------------------------------------------------\n"
        "total                           61,706        416,520\n"
    )


def test_summary_of_the_first_editions_net() -> None:
    lines = table(models.build("lenet-max"), (1, 1, 28, 28)).splitlines()
    shapes = [line.split("(")[1].split(")")[0] for line in lines if "(" in line]

    assert [shape for i, shape in enumerate(shapes) if i in (0, 2, 3, 5, 6)] == [
        "1, 6, 24, 24",
        "1, 6, 12, 12",
        "1, 16, 8, 8",
        "1, 16, 4, 4",
        "1, 256",
    ]
    # 24·24·6·25 + 8·8·16·6·25 + 256·120 + 120·84 + 84·10
    assert lines[-1].split() == ["total", "44,426", "281,640"]


def test_summary_of_a_batch_multiplies_the_work_not_the_parameters() -> None:
    lines = table(models.lenet(), (3, 1, 28, 28)).splitlines()
    assert "(3, 16, 10, 10)" in lines[5]
    assert lines[-1].split() == ["total", "61,706", "1,249,560"]


def test_summary_counts_groups_and_rows() -> None:
    conv = nn.Conv2d(4, 6, (3, 2), groups=2)
    assert conv.multiply_adds((), conv(images(1, 4, 5, 5))) == (3 * 4) * 6 * (2 * 3 * 2)
    linear = nn.Linear(5, 3)
    assert linear.multiply_adds((), linear(images(2, 7, 5))) == 14 * 15


def test_summary_sizes_lazy_layers_and_lists_each_once() -> None:
    net = lazy_net()
    lines = table(net, (2, 1, 28, 28)).splitlines()

    assert [line.split()[0] for line in lines[2:-2]] == [
        "Conv2d",
        "Sigmoid",
        "AvgPool2d",
        "Flatten",
        "Linear",
    ]
    assert type(net[4]) is nn.Linear
    assert net[4].in_features == 1176


def test_summary_leaves_the_net_as_it_was() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.ReLU())
    net[2].eval()
    seen: list[nn.Module] = []
    net[3].register_forward_hook(lambda m, *_: seen.append(m))
    before, modes = values(net), [m.training for m in net.modules()]

    table(net, (2, 1, 6, 6))

    assert_same(values(net), before)
    assert [m.training for m in net.modules()] == modes
    assert [len(m._forward_hooks) for m in net.modules()] == [0, 0, 0, 0, 1]
    assert len(seen) == 1
    assert all(p.grad is None for p in net.parameters())


def test_summary_cleans_up_after_an_input_that_does_not_fit() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout())
    with pytest.raises(ValueError, match="channels"):
        net.summary((1, 3, 6, 6))
    assert all(m.training for m in net.modules())
    assert not any(m._forward_hooks for m in net.modules())


def test_summary_draws_no_random_numbers_and_follows_the_nets_dtype() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Dropout()).to("float64")
    minicnn.manual_seed(1)
    expected = minicnn.rand(3).numpy()
    minicnn.manual_seed(1)
    table(net, (2, 3))
    np.testing.assert_array_equal(minicnn.rand(3).numpy(), expected)


def test_a_net_under_no_grad_records_nothing() -> None:
    net = Block()
    with no_grad():
        y = net(images(2, 2, 4, 4))
    assert not y.requires_grad
