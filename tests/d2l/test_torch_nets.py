"""The PyTorch tab's modules, losses, optimizers and data do what PyTorch's do."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.d2l.facades.modules import as_tree
from minicnn.d2l.facades.pytorch import modules

ours = as_tree(modules())["torch"]
nn = ours.nn
rng = np.random.default_rng(6)


def lenet(n: Any) -> Any:
    return n.Sequential(
        n.Conv2d(1, 3, kernel_size=5, padding=2), n.Sigmoid(), n.AvgPool2d(2, stride=2),
        n.Conv2d(3, 4, kernel_size=(3, 2), stride=(1, 2), bias=False), n.BatchNorm2d(4), n.ReLU(),
        n.MaxPool2d((2, 1)), n.Flatten(), n.Linear(4 * 2 * 3, 7), n.Tanh(), n.Dropout(0.0),
        n.Linear(7, 5),
    )  # fmt: skip


class Block(nn.Module):  # type: ignore[misc, name-defined]
    """A reader's own."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.scale = nn.Parameter(ours.ones(1))
        self.register_buffer("seen", ours.zeros(1))
        self.again = self.conv

    def forward(self, X: Any) -> Any:  # noqa: N803
        Y = nn.functional.relu(self.conv(X)) * self.scale
        Y += X
        return Y


OPTIMIZERS = {
    "SGD": {"lr": 0.3},
    "SGD with momentum": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True},
    "Adam": {"lr": 0.01},
    "AdamW": {"lr": 0.01, "amsgrad": True},
    "Adadelta": {"rho": 0.8},
}


@pytest.mark.parity
@pytest.mark.parametrize("how", OPTIMIZERS)
def test_steps_are_pytorchs(how: str, torch: Any) -> None:
    x = rng.normal(size=(4, 6, 1, 12, 13)).astype(np.float32)
    y = rng.integers(0, 5, (4, 6))
    real = lenet(torch.nn)
    start = {name: value.numpy().copy() for name, value in real.state_dict().items()}
    results = []
    for t in (torch, ours):
        net = lenet(t.nn) if t is ours else real
        assert list(net.state_dict()) == list(start)
        net.load_state_dict({name: t.from_numpy(v.copy()) for name, v in start.items()})
        optimizer = getattr(t.optim, how.split()[0])(net.parameters(), **OPTIMIZERS[how])
        loss, losses = t.nn.CrossEntropyLoss(), []
        schedule = t.optim.lr_scheduler.MultiStepLR(optimizer, [1, 3], gamma=0.5)
        for X, labels in zip(x, y, strict=True):
            optimizer.zero_grad()
            mean = loss(net(t.from_numpy(X)), t.from_numpy(labels))
            mean.backward()
            optimizer.step()
            schedule.step()
            losses.append(mean.item())
        net.eval()
        with t.no_grad():
            scores = net(t.from_numpy(x[0]))
        results.append((losses, scores.numpy(), schedule.get_last_lr()))
    (losses, scores, rates), (own_losses, own_scores, own_rates) = results
    np.testing.assert_allclose(own_losses, losses, rtol=1e-5)
    np.testing.assert_allclose(own_scores, scores, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(own_rates, rates)


@pytest.mark.parity
def test_losses_are_pytorchs(torch: Any) -> None:
    scores, y = rng.normal(size=(6, 5)).astype(np.float32), rng.integers(0, 5, 6)
    weight = rng.random(5).astype(np.float32)
    for make in (
        lambda t: t.nn.CrossEntropyLoss(),
        lambda t: t.nn.CrossEntropyLoss(reduction="none", ignore_index=2),
        lambda t: t.nn.CrossEntropyLoss(t.from_numpy(weight), reduction="sum"),
        lambda t: t.nn.CrossEntropyLoss(label_smoothing=0.1),
        lambda t: t.nn.NLLLoss(reduction="sum"),
        lambda t: lambda a, b: t.nn.functional.nll_loss(a.log_softmax(1), b),
        lambda t: lambda a, b: t.nn.functional.cross_entropy(a, b, reduction="sum"),
        lambda t: lambda a, b: t.nn.MSELoss()(a, t.nn.functional.one_hot(b, 5).float()),
        lambda t: lambda a, b: t.nn.L1Loss(reduction="none")(a[:, 0], b.float()),
    ):
        real, own = (make(t)(t.from_numpy(scores), t.from_numpy(y)) for t in (torch, ours))
        np.testing.assert_allclose(own.numpy(), real.numpy(), rtol=1e-5)


def test_losses_follow_what_is_set_on_them() -> None:
    x, y = ours.ones(2, 3), ours.tensor([0, 1])
    for loss, scores in ((nn.CrossEntropyLoss(), x), (nn.NLLLoss(), -x), (nn.MSELoss(), x[:, 0])):
        target = y if scores.ndim == 2 else y.float()
        mean = loss(scores, target)
        loss.reduction = "sum"
        np.testing.assert_allclose(loss(scores, target).item(), 2 * mean.item(), rtol=1e-6)
    first, _ = losses = nn.CrossEntropyLoss(), nn.NLLLoss(reduction="none")
    for loss in losses:
        loss.ignore_index = 1
    assert losses[1](x, y)[1] == 0
    first.label_smoothing = 2.0
    with pytest.raises(RuntimeError, match=r"label_smoothing is 2\.0"):
        first(x, y)


def test_a_readers_own_module() -> None:
    net = nn.Sequential(Block(2), nn.Flatten(), nn.LazyLinear(3))
    block = net[0]
    assert [name for name, _ in block.named_parameters()] == ["scale", "conv.weight", "conv.bias"]
    assert list(block.state_dict()) == [
        "scale", "seen", "conv.weight", "conv.bias", "again.weight", "again.bias",
    ]  # fmt: skip
    assert [name for name, _ in block.named_children()] == ["conv"]
    assert [type(m).__name__ for m in net.modules()] == [
        "Sequential", "Block", "Conv2d", "Flatten", "LazyLinear",
    ]  # fmt: skip
    with pytest.raises(RuntimeError, match="LazyLinear has no parameters before its first input"):
        list(net.parameters())
    X = ours.randn(2, 2, 4, 5)
    net(X).sum().backward()
    assert type(net[2]) is nn.Linear
    assert (net[2].in_features, net[2].weight.shape) == (40, (3, 40))
    assert all(p.grad is not None and p.grad.shape == p.shape for p in net.parameters())
    assert block.conv.weight is block.conv.weight
    assert next(block.parameters()) is block.scale
    net.zero_grad(set_to_none=False)
    assert block.scale.grad.tolist() == [0]
    net.zero_grad()
    assert block.scale.grad is None
    assert not net.eval()[0].conv.training
    assert net.train()[0].conv.training
    net.double()
    assert {str(v.dtype) for v in net.state_dict().values()} == {"torch.float64"}
    assert net(X.double()).dtype is ours.float64
    assert net.to("cpu").float().to(ours.float64).to(X) is net
    assert block.seen.dtype is ours.float32
    norm = nn.BatchNorm2d(2).double()
    assert (norm.running_var.dtype, norm.num_batches_tracked.dtype) == (ours.float64, ours.int64)
    block.seen = ours.ones(1)
    assert dict(block.named_buffers())["seen"].tolist() == [1]
    block.requires_grad_(False)
    assert not any(p.requires_grad for p in block.parameters())
    del block.again
    with pytest.raises(AttributeError, match="'Block' object has no attribute 'again'"):
        _ = block.again
    with pytest.raises(TypeError, match="conv is one of its modules; wanted a module or None"):
        block.conv = 3
    with pytest.raises(NotImplementedError, match=r"Module has no forward\(self, X\)"):
        nn.Module()(X)


def test_layers_follow_what_is_assigned() -> None:
    layer = nn.Conv2d(1, 1, (1, 2), bias=False)
    assert layer.bias is None
    layer.weight = nn.Parameter(ours.tensor([[[[1.0, -1.0]]]]))
    X = ours.tensor([[[[1.0, 5.0, 2.0]]]])
    assert layer(X).tolist() == [[[[-4, 3]]]]
    layer(X).sum().backward()
    assert layer.weight.grad.shape == (1, 1, 1, 2)
    layer.weight.data = ours.ones(1, 1, 1, 2)
    assert layer(X).tolist() == [[[[6, 7]]]]
    layer.stride = (1, 2)
    assert layer(X).tolist() == [[[[6]]]]
    pool = nn.MaxPool2d(2)
    pool.stride = 1
    assert pool(ours.ones(1, 3, 4)).shape == (1, 2, 3)
    drop = nn.Dropout(0.5)
    drop.p = 1.0
    assert drop(ours.ones(3)).tolist() == [0, 0, 0]
    assert drop.eval()(ours.ones(3)).tolist() == [1, 1, 1]
    assert layer.kernel_size == (1, 2)
    assert layer.in_channels == layer.out_channels == 1


def test_parameters_that_two_layers_share_are_listed_once() -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3, bias=False)
    second.weight = first.weight
    net = nn.Sequential(first, nn.Tanh(), second, first)
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias"]
    X = ours.eye(3)
    net(X).sum().backward()
    before = second(X)
    ours.optim.SGD(net.parameters(), lr=0.5).step()
    moved = (before - second(X)).T
    np.testing.assert_allclose(moved.detach().numpy(), 0.5 * first.weight.grad.numpy(), atol=1e-5)
    assert second.weight is first.weight


def test_sequential_is_a_list_of_layers() -> None:
    net = nn.Sequential(OrderedDict([("conv", nn.Conv2d(1, 2, 3)), ("flat", nn.Flatten())]))
    assert net.conv is net[0] is net[-2]
    assert list(net._modules) == ["conv", "flat"]
    assert [type(m).__name__ for m in net[1:]] == ["Flatten"]
    assert list(net[:1].state_dict()) == ["conv.weight", "conv.bias"]
    net.add_module("last", nn.Identity(1, two=3))
    assert net.append(nn.ReLU())[3](ours.tensor([-1.0])).tolist() == [0]
    net[3] = nn.Sigmoid()
    assert repr(net[3]) == "Sigmoid()"
    del net[0]
    assert list(net._modules) == ["flat", "last", "3"]
    numbered = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.ReLU()).extend([nn.Sigmoid()])
    del numbered[1]
    assert list(numbered._modules) == ["0", "1", "2"]
    assert len(nn.ModuleList([nn.ReLU(), nn.Tanh()])[1:]) == 1
    with pytest.raises(IndexError, match="Sequential: index 3 is out of range; it has 3"):
        numbered[3]
    with pytest.raises(TypeError, match="Sequential: received list; wanted modules"):
        nn.Sequential([nn.ReLU()])
    with pytest.raises(KeyError, match=r"name is 'a.b'; wanted a new one without dots"):
        net.add_module("a.b", nn.ReLU())


def test_states_go_from_net_to_net() -> None:
    first, second = lenet(nn), lenet(nn)
    state = first.state_dict()
    assert str(second.load_state_dict(state)) == "<All keys matched successfully>"
    for name, value in second.state_dict().items():
        assert value.tolist() == state[name].tolist()
    first[0].weight.data.zero_()
    assert state["0.weight"].norm().item() == 0  # it shares the net's memory
    assert second[0].weight.norm().item() > 0
    assert nn.Sequential(nn.LazyLinear(3)).load_state_dict(
        nn.Sequential(nn.Linear(4, 3)).state_dict()
    )
    with pytest.raises(RuntimeError, match="state_dict does not fit: missing"):
        first.load_state_dict({})
    with pytest.raises(RuntimeError, match=r"0.weight has shape \(1,\)"):
        first.load_state_dict({**state, "0.weight": ours.ones(1)})
    assert first.load_state_dict({}, strict=False).missing_keys[0] == "0.weight"


def test_files_hold_tensors_lists_and_states(tmp_path: Path) -> None:
    x, y = ours.arange(4), ours.ones(2, 3)
    for saved in (x, [y, x, y], {"x": x, "y": y}, lenet(nn).state_dict()):
        ours.save(saved, tmp_path / "file")
        loaded = ours.load(tmp_path / "file", map_location=ours.device("cpu"))
        assert type(loaded) is (OrderedDict if isinstance(saved, dict) else type(saved))
        both = [sorted(t.items()) if isinstance(t, dict) else t for t in (saved, loaded)]
        assert repr(both[1]) == repr(both[0])
    for wrong in (lenet(nn), {"x": 3}, "net"):
        with pytest.raises(TypeError, match="save: obj is"):
            ours.save(wrong, tmp_path / "file")
    (tmp_path / "file").write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match="is not a safetensors file but a zip archive"):
        ours.load(tmp_path / "file")


def test_hooks_see_and_change_outputs() -> None:
    net, shapes = lenet(nn), []
    handles = [m.register_forward_hook(lambda m, x, y: shapes.append(y.shape)) for m in net]
    X = ours.rand(2, 1, 12, 13)
    net(X)
    assert shapes[0] == (2, 3, 12, 13)
    assert len(shapes) == len(net)
    for handle in handles:
        handle.remove()
    net[0].register_forward_hook(lambda m, x, y: y * 0)
    assert net[0](X).norm().item() == 0
    assert len(shapes) == len(net)


def test_default_weights_are_pytorchs_bands() -> None:
    ours.manual_seed(0)
    for layer, fan_in in ((nn.Linear(25, 4000), 25), (nn.Conv2d(3, 900, (2, 4)), 24)):
        for tensor in (layer.weight, layer.bias):
            largest = tensor.abs().max().item()
            assert 0.97 / fan_in**0.5 < largest <= 1 / fan_in**0.5
    weight = nn.Linear(30, 60).weight
    assert nn.init.xavier_uniform_(weight) is weight
    assert 0.9 < weight.abs().max().item() / (6 / 90) ** 0.5 <= 1
    nn.init.normal_(weight, mean=3, std=0.01)
    assert abs(weight.mean().item() - 3) < 0.01
    assert nn.init.zeros_(weight).norm().item() == 0


def test_groups_have_settings_of_their_own() -> None:
    w, b = ours.ones(2, requires_grad=True), ours.ones(1, requires_grad=True)
    optimizer = ours.optim.SGD([{"params": w, "weight_decay": 0.5}, {"params": [b]}], lr=0.1)
    (w.sum() * 2 + b.sum()).backward()
    optimizer.step()
    np.testing.assert_allclose(w.detach().numpy(), 1 - 0.1 * 2.5)
    np.testing.assert_allclose(b.detach().numpy(), 0.9)
    for group in optimizer.param_groups:
        group["lr"] *= 10
    optimizer.step()
    np.testing.assert_allclose(b.detach().numpy(), -0.1, atol=1e-6)
    assert optimizer.param_groups[1]["params"][0] is b
    optimizer.zero_grad()
    assert w.grad is None
    rates = []
    schedule = ours.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch))
    for _ in range(3):
        rates.append(schedule.get_last_lr())
        schedule.step()
    assert rates == [[1, 1], [0.5, 0.5], [1 / 3, 1 / 3]]
    assert schedule.last_epoch == 3


def test_batches_of_tensors_and_of_a_readers_data_set() -> None:
    X, y = ours.arange(14).reshape(7, 2), ours.arange(7)
    loader = ours.utils.data.DataLoader(ours.utils.data.TensorDataset(X, y), 3, shuffle=True)
    assert len(loader) == 3
    ours.manual_seed(2)
    epochs = [[y.tolist() for _, y in loader] for _ in range(2)]
    assert epochs[0] != epochs[1]
    assert sorted(i for part in epochs[0] for i in part) == list(range(7))
    assert [len(part) for part in epochs[0]] == [3, 3, 1]
    for a, b in loader:
        assert (a[:, 0] == b * 2).all()

    class Squares(ours.utils.data.Dataset):  # type: ignore[misc, name-defined]
        def __len__(self) -> int:
            return 5

        def __getitem__(self, i: int) -> Any:
            return ours.ones(2) * i, i * i, float(i)

    batches = list(ours.utils.data.DataLoader(Squares(), batch_size=2, drop_last=True))
    assert len(batches) == 2
    a, squares, halves = batches[1]
    assert a.tolist() == [[2, 2], [3, 3]]
    assert (squares.tolist(), squares.dtype) == ([4, 9], ours.int64)
    assert halves.dtype is ours.float64
    with pytest.raises(ValueError, match=r"DataLoader: sampler is .*; minicnn has sampler=None"):
        ours.utils.data.DataLoader(Squares(), 2, sampler=range(3))
