"""What ``fit`` and ``evaluate`` measure, refuse and say; ``test_fit`` has their results."""

from __future__ import annotations

import io
import math
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, compiler, data, models, nn, optim
from minicnn.kernels.cpu import jit
from minicnn.train import report
from minicnn.train.measure import DivergedError, LossWatch

needs_numba = pytest.mark.usefixtures("compiled_kernels")


@pytest.fixture
def few() -> data.Dataset:
    return data.load("fashion-mnist-sample")[0][:300]


def sgd(net: nn.Module, lr: float = 0.1) -> optim.SGD:
    return optim.SGD(net.parameters(), lr=lr)


# What is measured ---------------------------------------------------------------------------------


class Clock:
    """Time that passes only where a test says so."""

    now = 1000.0

    def perf_counter(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


class SlowBatches(data.DataLoader):
    """Batches that take 2 seconds each."""

    clock: Clock

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in super().__iter__():
            self.clock.now += 2
            yield batch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("minicnn.train.loop", "minicnn.compiler.engines", "minicnn.kernels.cpu.jit"):
        monkeypatch.setattr(f"{module}.time", clock)
    return clock


def test_evaluation_and_reports_are_no_part_of_the_seconds(
    few: data.Dataset, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    def slow_report(_: Any) -> None:
        clock.now += 500

    train, test = SlowBatches(few, 50), SlowBatches(few[:70], 10)  # 6 and 7 batches
    train.clock = test.clock = clock
    net = models.mlp(hidden=(3,))
    history = minicnn.fit(net, train, test, optimizer=sgd(net), epochs=2, after_epoch=[slow_report])
    for epoch in history.epochs:
        assert (epoch["seconds"], epoch["eval_seconds"]) == (12, 14)
        assert epoch["examples_per_sec"] == 300 / 12
    assert history.examples_per_sec == 600 / 24
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[4] for line in lines[1:3]] == ["12.00", "12.00"]


@needs_numba
def test_compiling_is_no_part_of_the_seconds(
    few: data.Dataset, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = compiler.engines.Compiled._record

    def slowly(*given: Any) -> Any:
        clock.now += 300
        return make(*given)

    monkeypatch.setattr(compiler.engines.Compiled, "_record", slowly)
    train = SlowBatches(few, 50)
    train.clock = clock
    net = models.mlp(hidden=(3,))
    history = minicnn.fit(net, train, optimizer=sgd(net), epochs=2, quiet=True, compile=True)
    assert clock.now > 1300
    assert [epoch["seconds"] for epoch in history.epochs] == [12, 12]


def test_kernels_that_are_compiled_on_the_way_are_no_part_of_the_seconds(
    few: data.Dataset, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In eager mode, where a kernel is compiled when it is first called."""
    kernel: Any = jit.jit(lambda x: x)
    monkeypatch.setattr(jit, "folder", lambda: None)
    compile = kernel._compiler.compile

    def slowly(*given: Any) -> Any:
        clock.now += 300
        return compile(*given)

    kernel._compiler.compile = slowly
    train = SlowBatches(few, 50)
    train.clock = clock
    net = models.mlp(hidden=(3,))
    net.register_forward_hook(lambda *_: kernel(2))
    history = minicnn.fit(net, train, optimizer=sgd(net), epochs=2, quiet=True)
    assert clock.now > 300
    assert [epoch["seconds"] for epoch in history.epochs] == [12, 12]


def test_evaluate_counts_without_dropout_and_with_running_statistics(few: data.Dataset) -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 5, stride=4), nn.BatchNorm2d(2), nn.Flatten(), nn.Dropout(0.9),
        nn.Linear(72, 10),
    )  # fmt: skip
    x = Tensor(few.images[:, None].astype(np.float32) / 255)
    for _ in range(3):
        net(x)  # the running statistics are on their way
    before = {name: t.numpy().copy() for name, t in net.state_dict().items()}
    share = float((net.eval()(x).argmax(1).numpy() == few.labels).mean())
    net.train()
    assert minicnn.evaluate(net, data.DataLoader(few, 70)) == share
    assert all(module.training for module in net.modules())
    for name, t in net.state_dict().items():
        np.testing.assert_array_equal(t.numpy(), before[name])


def test_fit_trains_in_training_mode_even_after_an_evaluation(few: data.Dataset) -> None:
    modes: list[bool] = []

    class Spy(nn.Module):
        def forward(self, input: Tensor) -> Tensor:
            modes.append(self.training)
            return input

    net = nn.Sequential(nn.Flatten(), Spy(), nn.Linear(784, 10)).eval()
    loader = data.DataLoader(few, 150)
    minicnn.fit(net, loader, loader, optimizer=sgd(net), epochs=2, quiet=True)
    assert modes == [True, True, False, False] * 2


# What is said -------------------------------------------------------------------------------------


def row(epoch: int, loss: float, accuracy: float, **more: Any) -> dict[str, Any]:
    figures = {"epoch": epoch, "loss": loss, "train_acc": accuracy, "test_acc": None}
    return {**figures, "seconds": 1.5, **more}


def printed_for(
    net: nn.Module,
    batches: int,
    *rows: dict[str, Any],
    moves: bool = True,
    batch: int = 0,
    validated: bool = False,
) -> str:
    """What a Printer says to these epochs of a net that changes, or does not.

    ``batch``: how many of the first epoch's were over when it began.
    """
    training: Any = types.SimpleNamespace(net=net, loader=range(batches), batch=batch)
    history = minicnn.History()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", io.StringIO())
        printer = report.Printer(training, validated)
        for figures in rows:
            history.epochs.append(figures)
            next(net.parameters()).data += 1e-3 * moves
            printer(history)
        return sys.stdout.getvalue()  # type: ignore[union-attr]


def test_a_line_an_epoch() -> None:
    net = models.lenet()
    printed = printed_for(net, 235, row(7, 0.4567, 0.8241, test_acc=0.7891, seconds=12.346))
    assert printed.splitlines() == [
        "epoch   loss  train acc  test acc  seconds",
        "    7  0.457      0.824     0.789    12.35",
    ]
    net = models.lenet()
    assert printed_for(net, 235, row(11, 1.2345, 0.5)).splitlines()[1].split() == [
        *("11", "1.234", "0.500", "1.50")
    ]
    measured = row(2, 0.5, 0.75, test_acc=0.25, val_acc=0.625, seconds=100)
    assert printed_for(net, 235, measured, validated=True).splitlines() == [
        "epoch   loss  train acc  val acc  test acc  seconds",
        "    2  0.500      0.750    0.625     0.250   100.00",
    ]


@pytest.mark.parametrize(
    ("epoch", "remark"),
    [(1, "on the plateau, as expected"), (4, "as expected"), (5, "still on the plateau")],
)
def test_the_plateau_is_expected_for_a_thousand_updates(epoch: int, remark: str) -> None:
    printed = printed_for(models.lenet(), 250, row(epoch, 2.304, 0.101))
    assert line_of(printed, epoch).endswith(remark)
    assert printed.count("log(10)") == 1


def line_of(printed: str, epoch: int) -> str:
    (line,) = (line for line in printed.splitlines() if line.startswith(f"{epoch:5}  "))
    return line


@pytest.mark.parametrize("init", ["normal", "default"])
def test_the_plateau_is_not_expected_where_the_weights_are_too_small_to_leave_it(init: str) -> None:
    printed = printed_for(models.lenet(init=init), 20, row(1, 2.303, 0.1), row(2, 2.303, 0.1))
    assert line_of(printed, 1).endswith("   on the plateau")
    assert "as expected" not in printed
    assert "Expected" not in printed
    assert printed.count("net.apply(...)") == 1


def test_a_net_off_the_plateau_is_no_matter_for_remarks() -> None:
    for figures in (row(1, 2.31, 0.26), row(1, 2.19, 0.2), row(1, 2.81, 0.2)):
        assert "plateau" not in printed_for(models.lenet(), 20, figures)
    assert "plateau" not in printed_for(models.lenet(activation="tanh"), 20, row(1, 2.3, 0.1))


def test_guessing_is_named_once_it_lasts() -> None:
    net = models.lenet(activation="relu")
    printed = printed_for(net, 60, row(1, 2.303, 0.1), row(2, 2.303, 0.1), row(3, 2.303, 0.1))
    assert line_of(printed, 1).endswith("1.50")  # 60 updates are not many
    assert line_of(printed, 2).endswith("no better than guessing")
    assert printed.count("Likely causes") == 1
    for figures in (row(2, 2.303, 0.16), row(2, 2.2, 0.1), row(2, 2.5, 0.1)):
        assert "guessing" not in printed_for(net, 60, figures)
    assert "guessing" not in printed_for(net, 50, row(2, 2.303, 0.1))  # 100 updates
    assert "guessing" in printed_for(net, 51, row(2, 2.303, 0.1))


@pytest.mark.parametrize(
    ("first", "others", "enough"), [(0.72, 0.72, True), (0.68, 0.72, False), (0.72, 0.68, False)]
)
def test_no_layer_has_less_than_seven_tenths_of_xaviers_spread(
    first: float, others: float, enough: bool
) -> None:
    net = models.lenet()
    for number, weight in enumerate(p for p in net.parameters() if p.ndim >= 2):
        fans = sum(weight.shape[:2]) * math.prod(weight.shape[2:])
        spread = math.sqrt(2 / fans) * (others if number else first)
        weight.data[:] = spread * np.sign(np.arange(weight.size) % 2 - 0.5).reshape(weight.shape)
    assert report.has_xaviers_spread(net) == enough


def test_a_plateau_that_a_high_rate_led_to_is_not_expected() -> None:
    printed = printed_for(models.lenet(), 60, row(1, 3.2, 0.1), row(2, 2.31, 0.1))
    assert "plateau" not in printed
    assert line_of(printed, 2).endswith("no better than guessing")


@pytest.mark.parametrize("net", [models.lenet(), models.lenet(activation="relu")])
def test_a_net_whose_parameters_stay_is_told_so(net: nn.Module) -> None:
    printed = printed_for(net, 60, row(1, 2.303, 0.1), row(2, 2.303, 0.1), moves=False)
    assert printed.count("no parameter of the net has changed") == 2
    assert "plateau" not in printed


def test_an_epoch_that_was_resumed_after_its_last_update_does_not_count_as_idle() -> None:
    idle: dict[str, Any] = {"moves": False, "batch": 60}
    printed = printed_for(models.lenet(), 60, row(3, 1.5, 0.4), row(4, 1.5, 0.4), **idle)
    assert printed.count("no parameter of the net has changed") == 1
    assert "no parameter" in line_of(printed, 4)


def test_after_epoch_comes_before_the_line(
    few: data.Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that weights are on the disk when their figures are read."""
    net, seen = models.mlp(hidden=(3,)), []

    def look(history: minicnn.History) -> None:
        seen.append((len(history.epochs), capsys.readouterr().out.count("\n")))

    minicnn.fit(net, data.DataLoader(few, 150), optimizer=sgd(net), epochs=2, after_epoch=[look])
    assert seen == [(1, 1), (2, 1)]  # the heading; the first epoch's line


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "stderr", [None, closed(), object()], ids=lambda stream: type(stream).__name__
)
def test_fit_needs_no_stderr(
    stderr: Any, few: data.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)
    net = models.mlp(hidden=(3,))
    assert minicnn.fit(net, data.DataLoader(few, 150), optimizer=sgd(net), epochs=1).examples == 300


def test_a_notebook_has_curves_above_and_bars_and_lines_in_one_place(
    few: data.Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "in_notebook", lambda: True)
    shown: list[str] = []

    def display(*_: Any, **__: Any) -> Any:
        shown.append(capsys.readouterr().out)
        return types.SimpleNamespace(update=lambda _: None)

    notebook = types.SimpleNamespace(Image=lambda png, retina: png, display=display)
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    net = models.mlp(hidden=(3,))
    minicnn.fit(net, data.DataLoader(few, 150), optimizer=sgd(net), epochs=2)
    assert shown == [""]  # before any line
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "epoch 1 of 2:   0%|          | 0/4 [" in captured.out
    assert "epoch 2 of 2:  50%|█████     | 2/4 [" in captured.out  # of all epochs
    assert "epoch   loss" in captured.out


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "error", "told"),
    [
        (None, TypeError, r"^fit: optimizer is None; wanted optim\.SGD\(net\.parameters\(\), lr="),
        ("sgd", TypeError, "^fit: optimizer is str; wanted"),
        (sgd(models.mlp(hidden=(3,))), ValueError, "^fit: optimizer holds none of net's parameter"),
    ],
    ids=["none", "a string", "another net's"],
)
def test_an_optimizer_that_trains_nothing_is_refused(
    optimizer: Any, error: type[Exception], told: str, few: data.Dataset
) -> None:
    with pytest.raises(error, match=told):
        minicnn.fit(models.mlp(hidden=(3,)), data.DataLoader(few, 100), optimizer=optimizer)


@pytest.mark.parametrize("epochs", [1.5, float("nan"), "3"])
def test_epochs_are_whole(epochs: Any, few: data.Dataset) -> None:
    net = models.mlp(hidden=(3,))
    with pytest.raises(TypeError, match=f"^fit: epochs is {epochs!r}, of type .*; wanted an int"):
        minicnn.fit(net, data.DataLoader(few, 100), optimizer=sgd(net), epochs=epochs, quiet=True)


def test_an_optimizer_of_some_of_the_parameters_is_fine(few: data.Dataset) -> None:
    net = models.mlp(hidden=(3,))
    last = list(net.parameters())[-1]
    elsewhere = nn.Parameter(np.zeros(2, np.float32))
    minicnn.fit(
        net, data.DataLoader(few, 100), optimizer=optim.SGD([elsewhere, last]), epochs=1, quiet=True
    )


@pytest.mark.parametrize("kind", ["Tensor", "ndarray", "tuple"])
def test_images_without_labels_are_refused_with_what_to_write(kind: str, few: data.Dataset) -> None:
    given: Any = {"Tensor": Tensor([1.0]), "ndarray": few.images, "tuple": (few, few)}[kind]
    net, loader = models.mlp(hidden=(3,)), data.DataLoader(few, 100)
    wanted = r"wanted a pair \(images, labels\), .*: data\.DataLoader\(dataset, batch_size=256\)$"
    with pytest.raises(TypeError, match=f"^fit: train is a {kind}; {wanted}"):
        minicnn.fit(net, given, optimizer=sgd(net))
    with pytest.raises(TypeError, match=f"^fit: test is a {kind}; {wanted}"):
        minicnn.fit(net, loader, given, optimizer=sgd(net))
    with pytest.raises(TypeError, match=f"^evaluate: loader is a {kind}; {wanted}"):
        minicnn.evaluate(net, given)


# Divergence ---------------------------------------------------------------------------------------


class Unscaled(data.DataLoader):
    """Pixels from 0 to 255, as floats."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return ((x * 255.0, y) for x, y in super().__iter__())


@needs_numba
@pytest.mark.parametrize("compiled", [False, True])
def test_a_loss_that_grows_a_hundredfold_is_divergence_and_unscaled_pixels_are_named(
    few: data.Dataset, compiled: bool
) -> None:
    net = models.mlp(hidden=(12,))
    history = minicnn.History()
    with pytest.raises(
        DivergedError,
        match=r"^the loss is [\d.]+e\+\d+ in epoch 1, \d+ at first: the net diverged; "
        r"try pixels from 0 to 1 \(here up to 255\) and a lower learning rate than 0\.9$",
    ):
        minicnn.fit(
            net,
            Unscaled(few, 20),
            optimizer=sgd(net, 0.9),
            quiet=True,
            compile=compiled,
            history=history,
        )
    assert history.epochs == []


def test_too_high_a_rate_alone_is_named_alone(few: data.Dataset) -> None:
    net = models.mlp(hidden=(12,))
    with pytest.raises(
        DivergedError, match=r" at first: the net diverged; try a lower learning rate than"
    ):
        minicnn.fit(net, data.DataLoader(few, 20), optimizer=sgd(net, 300.0), quiet=True)


def test_a_loss_that_grows_less_goes_on() -> None:
    x = Tensor(np.zeros((1, 1), np.float32))
    watch = LossWatch()
    watch.first = 2.5
    watch.check(250.0, 1, 0.1, x)
    with pytest.raises(DivergedError, match=r"the loss is 251 in epoch 3, 2\.5 at first"):
        watch.check(251.0, 3, 0.1, x)
    watch.first = 0.001  # of a net that was trained before
    watch.check(99.0, 1, 0.1, x)
    with pytest.raises(DivergedError, match="the loss is nan in epoch 1: the net"):
        watch.check(np.nan, 1, 0.1, x)


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (
            np.array([[-31, 4]], np.float32),
            r"try pixels from 0 to 1 \(here up to 31\) and a lower learning",
        ),
        (np.array([[-30, 30]], np.float32), "try a lower learning rate than 0.1"),
        (np.array([[255]], np.uint8), "try a lower learning rate than 0.1"),  # the step scales them
    ],
)
def test_unscaled_pixels_are_numbers_above_30(pixels: np.ndarray, said: str) -> None:
    with pytest.raises(DivergedError, match=said):
        LossWatch().check(np.inf, 1, 0.1, Tensor(pixels))


@needs_numba
@pytest.mark.parametrize("compile", [False, True])
def test_batches_of_numpy_arrays_train_as_those_of_tensors(compile: bool) -> None:
    rng = np.random.default_rng(3)
    arrays = [(rng.random((n, 1, 4, 3), np.float32), rng.integers(0, 2, n)) for n in (8, 5)]
    losses = []
    loaders: list[Any] = [arrays, [(Tensor(x), Tensor(y)) for x, y in arrays]]
    for batches in loaders:
        minicnn.manual_seed(1)
        net: Any = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
        options: Any = {"optimizer": optim.SGD(net.parameters(), lr=0.1), "compile": compile}
        history = minicnn.fit(net, batches, batches, epochs=2, quiet=True, **options)
        losses.append([(row["loss"], row["test_acc"]) for row in history.epochs])
    assert losses[0] == losses[1]
