"""Adam, AdamW and Adadelta: by hand and by PyTorch's, eager and compiled; what optimisers share."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, optim
from minicnn.kernels.cpu import threads
from minicnn.train.loop import EagerStep

compiled = pytest.mark.usefixtures("compiled_kernels")
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "adam": ("Adam", {}),
    "adam with all": (
        "Adam",
        {"lr": 0.02, "betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.1, "maximize": True},
    ),
    "adam without memory": ("Adam", {"betas": (0.0, 0.0)}),
    "amsgrad": ("Adam", {"amsgrad": True, "betas": (0.5, 0.6)}),
    "adamw": ("AdamW", {}),
    "adamw with all": ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True}),
    "adadelta": ("Adadelta", {}),
    "adadelta with all": (
        "Adadelta",
        {"lr": 0.5, "rho": 0.6, "eps": 1e-3, "weight_decay": 0.1, "maximize": True},
    ),
}
every_case = pytest.mark.parametrize("case", CASES)
every_kind = pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "Adadelta"])


def optimizer_of(case: str, params: Any, module: Any = optim) -> Any:
    kind, settings = CASES[case]
    return getattr(module, kind)(params, **settings)


def parameter(*values: float) -> Tensor:
    return Tensor(np.array(values, np.float64), requires_grad=True)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_case
def test_a_hundred_steps_are_pytorchs(case: str, dtype: str, kernel_set: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    starts = [rng.standard_normal(shape).astype(dtype) for shape in ((3, 2), (4,), ())]
    ours = [Tensor(start.copy(), requires_grad=True) for start in starts]
    theirs = [torch.tensor(start, requires_grad=True) for start in starts]
    a, b = optimizer_of(case, ours), optimizer_of(case, theirs, torch.optim)
    for step in range(100):
        a.lr = b.param_groups[0]["lr"] = a.lr * (0.5 if step == 60 else 1)
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            g = np.asarray(rng.standard_normal(p.shape) * (step != 50), dtype)  # once all are 0
            without = i == 1 and step in (0, 1, 7)  # a parameter that was not used in these steps
            p.grad = None if without else Tensor(g)
            q.grad = None if without else torch.tensor(g)
        a.step()
        b.step()
    tolerance = {"float32": 1e-5, "float64": 1e-13}[dtype]
    for p, q in zip(ours, theirs, strict=True):
        assert p.dtype == dtype
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=0, atol=tolerance)


def test_adams_first_step_is_lr_whatever_the_gradient() -> None:
    p = parameter(1, 2, 3)
    optimizer = optim.Adam([p], lr=0.5, eps=0)
    p.grad = Tensor(np.array([1e-3, -7.0, 1e3]))
    optimizer.step()
    np.testing.assert_allclose(p.numpy(), [0.5, 2.5, 2.5], rtol=1e-14)


def test_adam_by_hand() -> None:
    p = parameter(0)
    optimizer = optim.Adam([p], lr=1, betas=(0.5, 0.75), eps=1)
    seen = []
    for g in (2.0, -4.0):
        p.grad = Tensor(np.array([g]))
        optimizer.step()
        seen.append(p.item())
    # m = 1, -1.5; v = 1, 4.75; corrected: m 2, -2; v 4, 4.75 / 0.4375
    first = -2 / (2 + 1)
    np.testing.assert_allclose(seen, [first, first + 2 / (np.sqrt(4.75 / 0.4375) + 1)])


def test_decay_is_divided_by_the_gradients_size_in_adam_alone() -> None:
    for kind, expected in ((optim.Adam, 3.9), (optim.AdamW, 4 - 0.1 * 0.5 * 4 - 0.1)):
        p = parameter(4)
        p.grad = Tensor(np.array([7.0]))
        kind([p], lr=0.1, weight_decay=0.5, eps=0).step()
        np.testing.assert_allclose(p.numpy(), [expected])


def test_adadelta_by_hand() -> None:
    p = parameter(0)
    p.grad = Tensor(np.array([3.0]))
    optim.Adadelta([p], lr=2, rho=0.75, eps=1).step()
    # v = 0.25 · 9, d = 3 · 1 / sqrt(v + 1)
    np.testing.assert_allclose(p.numpy(), [-2 * 3 / np.sqrt(3.25)])


@every_kind
def test_a_parameter_in_another_memory_order_is_updated_in_place(
    kind: str, kernel_set: str
) -> None:
    arrays = [np.arange(6.0).reshape(2, 3).T, np.ascontiguousarray(np.arange(6.0).reshape(2, 3).T)]
    for array in arrays:
        p = Tensor(array, requires_grad=True)
        optimizer = getattr(optim, kind)([p], lr=0.1)
        for _ in range(2):
            p.grad = Tensor(np.arange(1.0, 7).reshape(3, 2))
            optimizer.step()
        assert p.data is array
    assert (arrays[0] != np.arange(6.0).reshape(2, 3).T).all()
    np.testing.assert_allclose(arrays[0], arrays[1], rtol=1e-14)


@every_kind
def test_state_survives_a_change_of_dtype_and_a_pickle(kind: str) -> None:
    def run(change: bool) -> list[np.ndarray]:
        minicnn.manual_seed(3)
        net = nn.Linear(3, 2).to("float64")
        settings: dict[str, Any] = {"momentum": 0.9} if kind == "SGD" else {}
        optimizer = getattr(optim, kind)(net.parameters(), lr=0.1, **settings)
        for step in range(3):
            optimizer.zero_grad()
            net(Tensor(np.arange(6.0).reshape(2, 3))).sum().backward()
            optimizer.step()
            if change and step == 0:
                net.to("float32").to("float64")
            if change and step == 1:
                net, optimizer = pickle.loads(pickle.dumps((net, optimizer)))
        return [p.numpy() for p in net.parameters()]

    for ours, wanted in zip(run(change=True), run(change=False), strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-6)


@every_case
def test_state_has_the_parameters_dtype(case: str) -> None:
    p = Tensor(np.ones(3, np.float32), requires_grad=True)
    optimizer = optimizer_of(case, [p])
    for dtype in ("float32", "float64"):
        p.data = p.data.astype(dtype)
        p.grad = Tensor(np.arange(3, dtype=dtype))
        optimizer.step()
        kept = [vars(optimizer).get(name, [None])[0] for name in ("m", "v", "largest", "u")]
        assert {array.dtype for array in kept if array is not None} == {np.dtype(dtype)}
        assert p.dtype == dtype


def test_a_pickle_of_an_earlier_release_still_descends() -> None:
    assert pickle.loads(b"cminicnn.optim\nSGD\n.") is optim.SGD
    p, v = parameter(1), np.array([2.0])
    old = {"lr": 0.5, "momentum": 0.9, "dampening": 0, "weight_decay": 0, "nesterov": False}
    sgd = optim.SGD.__new__(optim.SGD)
    vars(sgd).update(old, params=[p], maximize=False, velocity=[v])
    p.grad = Tensor(np.array([3.0]))
    sgd.step()
    np.testing.assert_allclose(p.numpy(), 1 - 0.5 * (0.9 * 2 + 3))
    assert optim.StepLR(sgd, 1).base_lr == 0.5


@every_kind
def test_gradients_are_forgotten_or_made_0(kind: str) -> None:
    p, without = parameter(1, 2), parameter(3)
    optimizer = getattr(optim, kind)([p, without])
    p.grad = Tensor(np.array([5.0, 6.0]))
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is not None
    assert p.grad.numpy().tolist() == [0, 0]
    assert without.grad is None
    optimizer.zero_grad()
    assert p.grad is None


@every_kind
def test_the_group_of_parameters_is_a_view_of_the_settings(kind: str) -> None:
    p = parameter(1)
    optimizer = getattr(optim, kind)([p], lr=0.5)
    (group,) = optimizer.param_groups
    assert group["lr"] == 0.5
    assert group["params"][0] is p
    for g in optimizer.param_groups:
        g["lr"] *= 0.1
    assert optimizer.lr == pytest.approx(0.05)
    with pytest.raises(KeyError, match=f"{kind} has no rate; it has params, lr,"):
        group["rate"] = 1.0


def test_settings_are_in_the_group_too() -> None:
    optimizer = optim.Adam([parameter(1)], betas=(0.5, 0.6))
    assert optimizer.param_groups[0]["betas"] == (0.5, 0.6)
    optimizer.param_groups[0]["weight_decay"] = 0.25
    assert optimizer.weight_decay == 0.25


@pytest.mark.parametrize(
    ("betas", "error", "says"),
    [
        ((0.9, 1.0), ValueError, r"betas\[1\] is 1.0; wanted less than 1"),
        ((-0.1, 0.9), ValueError, r"betas\[0\] is -0.1; wanted at least 0"),
        ((0.9, "0.99"), TypeError, r"betas\[1\] is '0.99', of type str; wanted a number"),
        (0.9, TypeError, "betas is 0.9; wanted a pair of numbers"),
        ((0.9, 0.99, 0.999), TypeError, r"betas is \(0.9, 0.99, 0.999\); wanted a pair of numbers"),
    ],
)
@pytest.mark.parametrize("kind", ["Adam", "AdamW"])
def test_betas_that_are_no_shares_are_refused(
    kind: str, betas: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=f"^{kind}: {says}$"):
        getattr(optim, kind)([parameter(1)], betas=betas)


def test_a_rho_over_1_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Adadelta: rho is 1.5; wanted at most 1$"):
        optim.Adadelta([parameter(1)], rho=1.5)


@every_kind
def test_an_array_that_cannot_be_written_is_refused_and_no_step_is_counted(kind: str) -> None:
    p = parameter(1)
    p.grad = Tensor(np.array([1.0]))
    optimizer = getattr(optim, kind)([p])
    p.data.flags.writeable = False
    with pytest.raises(ValueError, match=rf"^{kind}: the array of parameter 0 is read-only"):
        optimizer.step()
    assert getattr(optimizer, "steps", [0]) == [0]


# Compiled -----------------------------------------------------------------------------------------


def net_of(dtype: str) -> nn.Module:
    minicnn.manual_seed(5)
    layers = nn.Conv2d(1, 3, (2, 3)), nn.Tanh(), nn.Flatten(), nn.Linear(36, 7), nn.ReLU()
    return nn.Sequential(*layers, nn.Linear(7, 4)).to(dtype)


def batch(seed: int, dtype: str) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    return Tensor(rng.random((19, 1, 5, 5)).astype(dtype)), Tensor(rng.integers(0, 4, 19))


@compiled
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_case
def test_compiled_steps_are_eagers(case: str, dtype: str) -> None:
    """By turns with eager ones, frozen for a while, with exchanged arrays and another rate."""
    nets = [net_of(dtype) for _ in range(2)]
    optimizers = [optimizer_of(case, net.parameters()) for net in nets]
    loss = nn.CrossEntropyLoss()
    mine: Any = minicnn.compile(nets[0], loss, optimizers[0])
    mine_eager, theirs = (
        EagerStep(nets[0], loss, optimizers[0]),
        EagerStep(nets[1], loss, optimizers[1]),
    )
    for i in range(8):
        for net, optimizer in zip(nets, optimizers, strict=True):
            first, *_, last = net.parameters()
            first.requires_grad = i not in (0, 4)
            last.data = last.data.copy() if i == 3 else last.data
            first.data = np.asfortranarray(first.data) if i == 5 else first.data.copy()
            first.grad = None
            optimizer.lr *= 0.5 if i == 4 else 1
        (mine_eager if i == 6 else mine)(*batch(i, dtype))
        theirs(*batch(i, dtype))
    tolerance = {"float32": 2e-4, "float64": 1e-10}[dtype]
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=tolerance, atol=tolerance)
    assert getattr(optimizers[0], "steps", 0) == getattr(optimizers[1], "steps", 0)


@compiled
def test_an_optimizers_kernel_is_compiled_for_whom_it_serves_alone() -> None:
    def ready(optimizer: optim.Optimizer) -> set[str]:
        step: Any = minicnn.compile(net, nn.CrossEntropyLoss(), optimizer)
        step(*batch(0, "float32"))
        return set(step._engine(batch(0, "float32")[0].data).parameters.kernels)

    net = net_of("float32")
    assert ready(optim.SGD(net.parameters())) == {"sgd"}
    assert ready(optim.AdamW(net.parameters())) == {"adam"}


@compiled
def test_a_steps_optimizer_may_be_exchanged() -> None:
    nets = [net_of("float64") for _ in range(2)]
    makes: list[Any] = [minicnn.compile, EagerStep]
    steps = [
        make(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1, momentum=0.9))
        for net, make in zip(nets, makes, strict=True)
    ]
    for i in range(6):
        for step, net in zip(steps, nets, strict=True):
            if i == 2:
                step.optimizer = optim.Adam(net.parameters(), amsgrad=True)
            if i == 4:
                step.optimizer = optim.Adam(net.parameters())
            step(*batch(i, "float64"))
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-10, atol=1e-12)


@every_kind
def test_an_infinite_parameter_without_decay_stays_infinite(kind: str, kernel_set: str) -> None:
    """0 times an infinity would be NaN."""
    p = parameter(np.inf, 1)
    p.grad = Tensor(np.array([1.0, 1.0]))
    getattr(optim, kind)([p], weight_decay=0).step()
    assert p.numpy()[0] == np.inf


def test_threads_share_a_large_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "WORTH_SHARING", 0)
    for case in CASES:
        results = []
        for count in (1, 3):
            threads.set_num_threads(count)
            p = Tensor(np.linspace(-1, 1, 1001), requires_grad=True)
            p.grad = Tensor(np.linspace(2, -3, 1001))
            optimizer = optimizer_of(case, [p])
            optimizer.step(), optimizer.step()
            results.append(copy.copy(p.numpy()))
        np.testing.assert_array_equal(results[0], results[1])
