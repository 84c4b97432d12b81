"""Training on a GPU, from the loader to the command line, on the stand-in."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import data, models, nn, optim
from minicnn.compiler.gpu import program
from minicnn.train.loop import EagerStep, evaluate, fit
from tests.gpu.hardware import ON_HARDWARE

STANDIN = Path(__file__).parent / "standin"
ROOT = Path(__file__).parent.parent.parent
STEPS, BATCH = 10, 8

pytestmark = pytest.mark.usefixtures("cupy")


@pytest.fixture(scope="module")
def sample() -> data.Dataset:
    return data.load("fashion-mnist-sample")[0][:160]


def losses(model: str, device: str, compiled: bool, sample: data.Dataset) -> list[float]:
    minicnn.manual_seed(0)
    net = models.build(model).to(device)
    make = minicnn.compile if compiled else EagerStep
    step: Any = make(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.9))
    batches = data.DataLoader(sample, BATCH, shuffle=True, seed=1, device=device, raw=compiled)
    return [step(x, y)[0].item() for x, y in batches]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("model", ["lenet", "lenet-max"])
def test_10_steps_have_the_losses_of_the_cpu(
    model: str, compiled: bool, sample: data.Dataset
) -> None:
    some = sample[: STEPS * BATCH]
    expected, ours = losses(model, "cpu", False, some), losses(model, "gpu", compiled, some)
    assert len(ours) == STEPS
    np.testing.assert_allclose(ours, expected, rtol=2e-5)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_fit_measures_what_the_cpu_measures(compiled: bool, sample: data.Dataset) -> None:
    train, test = sample[:100], sample[100:140]

    def history(device: str) -> Any:
        minicnn.manual_seed(0)
        net = models.mlp(hidden=(20,)).to(device)
        loaders = [
            data.DataLoader(part, 16, shuffle, 1, device, raw=compiled)
            for part, shuffle in ((train, True), (test, False))
        ]
        optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.5)
        return fit(net, *loaders, optimizer=optimizer, epochs=2, quiet=True, compile=compiled)

    ours, theirs = history("gpu"), history("cpu")
    for a, b in zip(ours.epochs, theirs.epochs, strict=True):
        assert (a["train_acc"], a["test_acc"]) == (b["train_acc"], b["test_acc"])
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
    for a, b in zip(ours.curve, theirs.curve, strict=True):
        assert a["epoch"] == b["epoch"]
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        assert a["train_acc"] == b["train_acc"]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_a_training_that_was_stopped_within_an_epoch_goes_on_to_the_same_bits(
    compiled: bool, sample: data.Dataset, tmp_path: Path
) -> None:
    class Stop(minicnn.Callback):
        def on_batch(self, training: minicnn.Training) -> None:
            if (training.epoch, training.batch) == (2, 3):
                raise EOFError

    def trained(*callbacks: minicnn.Callback, **more: Any) -> tuple[Any, ...]:
        net: Any = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(784, 10)).to("gpu")
        loader = data.DataLoader(sample[:100], 16, True, device="gpu", raw=compiled)  # 7 batches
        how: Any = {"optimizer": optim.Adam(net.parameters()), "compile": compiled, **more}
        history = fit(net, loader, epochs=3, callbacks=callbacks, quiet=True, **how)
        return net[2].weight.numpy().tobytes(), history.curve

    minicnn.manual_seed(4)
    expected = trained()
    minicnn.manual_seed(4)
    path = tmp_path / "state"
    with pytest.raises(EOFError):
        trained(minicnn.Checkpoint(path, 3), Stop())
    minicnn.manual_seed(5)
    assert trained(resume=path) == expected


def test_an_epoch_reads_its_means_once_and_sends_its_order_once(
    cupy: Any, sample: data.Dataset
) -> None:
    net = models.mlp(hidden=(20,)).to("gpu")
    loader = data.DataLoader(sample[:96], BATCH, shuffle=True, seed=1, device="gpu", raw=True)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    counts: list[tuple[int, int, int, int]] = []

    def remember(history: Any) -> None:
        c = cupy.counters
        counts.append((c.h2d, c.d2h, c.graph_launches, c.launches))
        cupy.reset_counters()

    fit(
        net, loader, optimizer=optimizer, epochs=3, quiet=True, compile=True, after_epoch=[remember]
    )
    sent, read, graphs, launches = counts[2]
    assert sent == 2  # the order of the epoch, and where it lies
    assert read == 2 * 6  # loss and correct, of five points and the whole, at the epoch's end
    assert (graphs, launches) == (96 // BATCH, 0)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_compiling_is_said_and_is_no_part_of_the_first_epoch(
    cupy: Any, compiled: bool, sample: data.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch, literal = (
        importlib.import_module(f"minicnn.kernels.gpu.{name}") for name in ("launch", "literal")
    )
    device = importlib.import_module("minicnn.device")  # minicnn.device is a function
    compile, clock, ahead = cupy.RawModule.compile, time.perf_counter, [0.0]
    slowly, said = list[Any](), list[str]()

    def slow(module: Any) -> None:
        ahead[0] += 1000 * (module not in slowly)  # once each
        slowly.append(module)
        compile(module)

    @contextmanager
    def recorded(text: str) -> Iterator[None]:
        before = ahead[0]
        yield
        said.extend([text] * (ahead[0] > before))

    monkeypatch.setattr(cupy.RawModule, "compile", slow)
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + ahead[0])
    for module in (device, program):
        monkeypatch.setattr(module, "said_if_slow", recorded)
    launch.modules.clear()
    for known in (launch.kernel, literal._module):
        known.cache_clear()
    net = models.mlp(hidden=(20,)).to("gpu")
    loader = data.DataLoader(sample[:16], BATCH, device="gpu", raw=compiled)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    history = fit(net, loader, optimizer=optimizer, epochs=1, quiet=True, compile=compiled)
    assert said == [device.COMPILING]
    assert history.epochs[0]["seconds"] < 1000
    assert history.examples_per_sec > 16 / 1000


def test_the_data_lie_on_the_device_as_bytes(cupy: Any, sample: data.Dataset) -> None:
    loader = data.DataLoader(sample, BATCH, shuffle=True, seed=1, device="gpu", raw=True)
    assert loader.images.dtype == np.uint8
    expected = list(data.DataLoader(sample, BATCH, shuffle=True, seed=1, raw=True))
    next(iter(loader))
    cupy.reset_counters()
    loader.epoch = 0
    for (x, y), (x_host, y_host) in zip(loader, expected, strict=True):
        np.testing.assert_array_equal(x.numpy(), x_host.numpy())
        np.testing.assert_array_equal(y.numpy(), y_host.numpy())
    assert cupy.counters.h2d == 1
    assert cupy.counters.d2h == 2 * len(expected)  # those of this test


def test_evaluate_and_checkpoints(tmp_path: Path, sample: data.Dataset) -> None:
    minicnn.manual_seed(0)
    net = models.mlp(hidden=(20,)).to("gpu")
    minicnn.save(net.state_dict(), tmp_path / "net.safetensors")
    twin = models.mlp(hidden=(20,))
    twin.load_state_dict(minicnn.load(tmp_path / "net.safetensors"))
    on_gpu = evaluate(net, data.DataLoader(sample, 32, device="gpu"))
    assert on_gpu == evaluate(twin, data.DataLoader(sample, 32))
    twin.to("gpu:1").load_state_dict(net.state_dict())
    assert {p.device for p in twin.parameters()} == {"gpu:1"}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_the_second_gpu_trains_as_the_first(compiled: bool, sample: data.Dataset) -> None:
    def history(device: str) -> Any:
        minicnn.manual_seed(0)
        net = models.build("lenet-max", channels=(2, 3), hidden=(9,)).to(device)
        train = data.DataLoader(sample[:32], 16, True, 1, device, raw=compiled)
        test = data.DataLoader(sample[:16], 16, device=device, raw=compiled)
        optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.5)
        done = fit(net, train, test, optimizer=optimizer, epochs=2, quiet=True, compile=compiled)
        assert {p.device for p in net.parameters()} == {device}
        return [(e["loss"], e["test_acc"]) for e in done.epochs]

    assert history("gpu:1") == history("gpu:0")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_loop_of_ones_own_runs_on_the_second_gpu(smoothing: float, sample: data.Dataset) -> None:
    def run(device: str) -> list[float]:
        minicnn.manual_seed(0)
        net: Any = nn.Sequential(
            nn.Conv2d(1, 2, 5, stride=4), nn.BatchNorm2d(2), nn.ReLU(), nn.Dropout(0.2),
            nn.Flatten(), nn.Linear(72, 10),
        ).to(device)  # fmt: skip
        nn.init.xavier_uniform_(net[0].weight)
        loss_of = nn.CrossEntropyLoss(label_smoothing=smoothing)
        optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.5)
        numbers = []
        for x, y in data.DataLoader(sample[:24], BATCH, device=device):
            logits = net(x)
            loss = loss_of(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            numbers += [loss.item(), float((logits.argmax(1) == y).sum())]
        return [*numbers, net[1].running_mean.sum().item()]

    assert run("gpu:1") == run("gpu:0")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_an_eager_step_waits_for_nothing(cupy: Any, sample: data.Dataset, smoothing: float) -> None:
    net = models.lenet().to("gpu")
    loss = nn.CrossEntropyLoss(label_smoothing=smoothing)
    step = EagerStep(net, loss, optim.SGD(net.parameters(), lr=0.1))
    loader = data.DataLoader(sample[:24], BATCH, device="gpu")
    for x, y in loader:
        cupy.reset_counters()
        step(x, y)
    counts = cupy.counters
    assert (counts.h2d, counts.d2h, counts.synchronisations) == (0, 0, 0)


def test_an_eager_step_of_lenet_takes_66_launches(cupy: Any, sample: data.Dataset) -> None:
    """From the loader to the sums of the epoch, counted on the stand-in."""
    net = models.lenet().to("gpu")
    step = EagerStep(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.1))
    batches = iter(data.DataLoader(sample[:24], BATCH, shuffle=True, device="gpu"))
    step(*next(batches))
    cupy.reset_counters()
    batch = next(batches)
    assert cupy.counters.launches + cupy.counters.cupy_kernels == 1  # gathered, divided by 255
    step(*batch)
    assert cupy.counters.launches + cupy.counters.cupy_kernels == 66


@pytest.mark.parametrize("target", [10, -1])
def test_a_label_that_is_no_class_makes_the_loss_nan(target: int) -> None:
    x = minicnn.randn(4, 10).to("gpu")
    y = minicnn.Tensor([1, target, 2, 3], dtype="int64", device="gpu")
    assert np.isnan(nn.functional.cross_entropy(x, y).item())
    assert np.isnan(nn.functional.nll_loss(x, y).item())


def test_a_net_and_a_batch_on_two_devices_are_named(sample: data.Dataset) -> None:
    net = models.mlp(hidden=(20,)).to("gpu:1")
    x, _ = next(iter(data.DataLoader(sample, 4, device="gpu")))
    with pytest.raises(RuntimeError, match="tensors on gpu:0 and gpu:1"):
        net(x)


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT)] if ON_HARDWARE else [str(STANDIN), str(ROOT)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment}
    line = [sys.executable, "-m", *arguments]
    return subprocess.run(line, capture_output=True, text=True, env=env, check=False)


SMALL = ["--dataset", "fashion-mnist-sample", "--model", "mlp", "--hidden", "8", "--epochs", "1"]


@pytest.mark.parametrize("flags", [[], ["--no-compile"]], ids=["compiled", "eager"])
@pytest.mark.parametrize("device", ["gpu", "gpu:1", "auto"])
def test_the_command_line_trains_on_a_gpu(tmp_path: Path, device: str, flags: list[str]) -> None:
    out = tmp_path / "run"
    ended = command("minicnn.train", "--device", device, "--out", str(out), *SMALL, *flags)
    assert ended.returncode == 0, ended.stderr
    name = "gpu:1" if device == "gpu:1" else "gpu:0"
    assert f"device {name}, {'eager' if flags else 'compiled'}" in ended.stdout
    net, config = minicnn.load_run(out)
    assert (config["device"], next(net.parameters()).device) == (name, "cpu")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["minicnn.train", "--device", "gpu:5"], "it does not exist: this machine has 2 GPU(s)"),
        (["minicnn.selfcheck", "--device", "gpu:5"], "device gpu:5 cannot be used: it does not"),
        (["minicnn.selfcheck", "--device", "tpu"], "device is 'tpu'"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(arguments: list[str], says: str) -> None:
    ended = command(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert says in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_too_little_memory_is_one_line(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import cupy, minicnn.train as t\n"
        "import minicnn.data as d\n"
        "def full(*a, **k): raise cupy.cuda.memory.OutOfMemoryError(1024, 2048)\n"
        "d.DataLoader = full\n"
        f"raise SystemExit(t.main(['--device', 'gpu', *{SMALL}]))\n"
    )
    env = {**os.environ, "PYTHONPATH": f"{STANDIN}{os.pathsep}{ROOT}"}
    ended = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env=env, check=False, cwd=tmp_path
    )
    assert ended.returncode == 2
    assert "out of memory; try a smaller batch" in ended.stderr
    assert ended.stderr.count("\n") == 1
