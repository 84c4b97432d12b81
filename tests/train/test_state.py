"""``fit(..., resume=...)``: a training that was stopped goes on to the same bits."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import data, nn, optim
from minicnn.optim import lr_scheduler
from minicnn.train import state as states
from minicnn.train.callbacks import Callback, Training
from minicnn.train.state import Checkpoint

EPOCHS = 3
BATCHES = 5  # of 70 images: the last one is smaller

OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.2),
    "adam": lambda p: optim.Adam(p, lr=0.01, amsgrad=True, betas=(0.8, 0.99)),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
    "adadelta": lambda p: optim.Adadelta(p, rho=0.8),
}
SCHEDULES: dict[str, Callable[[optim.Optimizer], lr_scheduler.LRScheduler]] = {
    "cosine": lambda o: optim.CosineAnnealingLR(o, EPOCHS),
    "step": lambda o: optim.StepLR(o, 2, gamma=0.3),
    "milestones": lambda o: optim.MultiStepLR(o, [1, 1, 2], gamma=0.3),
    "lambda": lambda o: optim.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
}


class StoppedError(Exception):
    """What a power cut is in these tests."""


class StopAt(Callback):
    """Ends a training after a batch of an epoch; batch 0: after the epoch."""

    def __init__(self, epoch: int, batch: int):
        self.place = epoch, batch

    def on_batch(self, training: Training) -> None:
        if (training.epoch, training.batch) == self.place:
            raise StoppedError

    def on_epoch(self, training: Training) -> None:
        if (training.epoch, 0) == self.place:
            raise StoppedError


class Setup:
    """A small net with dropout and batch norm, and all that trains it."""

    def __init__(
        self, few: data.Dataset, optimizer: str = "momentum", schedule: str = "cosine", **how: Any
    ):
        self.how = {"seed": None, "shuffle": True, "compile": False, **how}
        self.net = nn.Sequential(
            nn.Conv2d(1, 2, (5, 4), stride=(3, 4)), nn.BatchNorm2d(2, momentum=None), nn.ReLU(),
            nn.Flatten(), nn.Dropout(0.3), nn.Linear(112, 10),
        )  # fmt: skip
        raw, shuffle, seed = self.how["compile"], self.how["shuffle"], self.how["seed"]
        self.loader = data.DataLoader(few, 70, shuffle, seed, raw=raw)
        self.test = data.DataLoader(few[:45], 20, raw=raw)
        self.optimizer = OPTIMIZERS[optimizer](self.net.parameters())
        self.schedule = SCHEDULES[schedule](self.optimizer) if schedule else None

    def fit(self, *callbacks: Callback, **more: Any) -> minicnn.History:
        return minicnn.fit(
            self.net,
            self.loader,
            self.test,
            optimizer=self.optimizer,
            schedule=self.schedule,
            callbacks=callbacks,
            compile=self.how["compile"],
            quiet=True,
            **{"epochs": EPOCHS, **more},
        )


def result(setup: Setup, history: minicnn.History) -> dict[str, Any]:
    """All that has to be equal in the end."""
    seconds = ("seconds", "eval_seconds", "examples_per_sec")
    return {
        "net": {name: tensor.numpy().tobytes() for name, tensor in setup.net.state_dict().items()},
        "lr": setup.optimizer.lr,
        "epochs": [{k: v for k, v in e.items() if k not in seconds} for e in history.epochs],
        "curve": history.curve,
        "examples": history.examples,
        "random": minicnn.random.get_rng_state(),
    }


def in_one_go(few: data.Dataset, *how: Any, **more: Any) -> dict[str, Any]:
    minicnn.manual_seed(3)
    setup = Setup(few, *how, **more)
    return result(setup, setup.fit())


def in_pieces(
    few: data.Dataset, path: Path, places: list[tuple[int, int]], *how: Any, **more: Any
) -> dict[str, Any]:
    """The same training, stopped at each of these places."""
    minicnn.manual_seed(3)
    for k, place in enumerate(places):
        setup = Setup(few, *how, **more)
        with pytest.raises(StoppedError):
            setup.fit(Checkpoint(path, 1), StopAt(*place), **({"resume": path} if k else {}))
        minicnn.manual_seed(99)  # another process
    setup = Setup(few, *how, **more)
    return result(setup, setup.fit(resume=path))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("optimizer", "schedule", "seed"),
    [
        ("sgd", "", 5),
        ("momentum", "cosine", None),
        ("adam", "milestones", None),
        ("adamw", "step", 5),
        ("adadelta", "lambda", None),
    ],
)
def test_a_training_in_pieces_has_the_bits_of_one_in_one_go(
    few: data.Dataset,
    tmp_path: Path,
    compiled: bool,
    optimizer: str,
    schedule: str,
    seed: int | None,
    compiled_kernels: None,
) -> None:
    how: Any = {"compile": compiled, "seed": seed}
    expected = in_one_go(few, optimizer, schedule, **how)
    places = [(1, 2), (1, BATCHES), (2, 0), (3, 1)]
    assert in_pieces(few, tmp_path / "state", places, optimizer, schedule, **how) == expected


def test_a_state_of_before_the_first_update_is_the_whole_training(
    few: data.Dataset, tmp_path: Path
) -> None:
    expected = in_one_go(few)
    minicnn.manual_seed(3)
    setup = Setup(few)
    history = minicnn.History()
    start = Training(setup.net, setup.optimizer, setup.schedule, setup.loader, None, history, 3)
    states.save(start, tmp_path / "state")
    minicnn.manual_seed(8)
    setup = Setup(few)
    assert result(setup, setup.fit(resume=tmp_path / "state")) == expected


def test_ctrl_c_waits_for_the_end_of_an_update_and_keeps_the_state(
    few: data.Dataset, tmp_path: Path
) -> None:
    expected = in_one_go(few)
    minicnn.manual_seed(3)
    setup = Setup(few)
    calls: list[int] = []

    def interrupted(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 7:  # the second batch of the second epoch; the test set is measured too
            signal.raise_signal(signal.SIGINT)

    step = setup.optimizer.step

    def watched() -> None:
        interrupted()
        step()

    setup.optimizer.step = watched  # type: ignore[method-assign]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            setup.fit(Checkpoint(tmp_path / "state"))
    finally:
        signal.signal(signal.SIGINT, before)
    kept = states.load(tmp_path / "state").facts
    assert (kept["epoch"], kept["batch"]) == (2, 2)
    setup = Setup(few)
    assert result(setup, setup.fit(resume=tmp_path / "state")) == expected


def test_ctrl_c_while_the_net_is_measured_costs_nothing(few: data.Dataset, tmp_path: Path) -> None:
    expected = in_one_go(few)

    class Interrupted(data.DataLoader):
        def __iter__(self) -> Any:
            raise KeyboardInterrupt

    minicnn.manual_seed(3)
    setup = Setup(few)
    setup.test = Interrupted(few[:45], 20)
    with pytest.raises(KeyboardInterrupt):
        setup.fit(Checkpoint(tmp_path / "state"))
    kept = states.load(tmp_path / "state")
    assert (kept.facts["epoch"], kept.facts["batch"], kept.epochs_done) == (1, BATCHES, 0)
    setup = Setup(few)
    assert result(setup, setup.fit(resume=tmp_path / "state")) == expected


def test_a_second_ctrl_c_comes_within_an_update_and_keeps_the_state_of_before(
    few: data.Dataset, tmp_path: Path
) -> None:
    setup = Setup(few)
    step, calls = setup.optimizer.step, list[int]()

    def interrupted() -> None:
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        step()

    setup.optimizer.step = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        setup.fit(Checkpoint(tmp_path / "state"))
    kept = states.load(tmp_path / "state").facts
    assert (kept["epoch"], kept["batch"]) == (1, BATCHES)


def test_a_training_that_is_over_does_nothing_more_and_one_with_more_epochs_goes_on(
    few: data.Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    minicnn.manual_seed(3)
    setup = Setup(few, "adam", "step")
    expected = result(setup, setup.fit(Checkpoint(path)))
    setup = Setup(few, "adam", "step")
    assert result(setup, setup.fit(resume=path)) == expected
    setup = Setup(few, "adam", "step")
    longer = result(setup, setup.fit(resume=path, epochs=5))
    assert longer == in_one_go_of_five(few)


def in_one_go_of_five(few: data.Dataset) -> dict[str, Any]:
    minicnn.manual_seed(3)
    setup = Setup(few, "adam", "step")
    return result(setup, setup.fit(epochs=5))


def test_loaders_of_other_kinds_go_on_too(few: data.Dataset, tmp_path: Path) -> None:
    """A list of batches, and a pair of arrays, which ``fit`` cuts and shuffles itself."""
    pixels = few.images[:, None].astype(np.float32) / 255
    batches = [(pixels[i : i + 70], few.labels[i : i + 70]) for i in range(0, 300, 70)]
    for train in (batches, (pixels, few.labels)):
        results = []
        for path in (None, tmp_path / "state"):
            minicnn.manual_seed(3)
            setup = Setup(few)
            setup.loader = train  # type: ignore[assignment]
            if path:
                with pytest.raises(StoppedError):
                    setup.fit(Checkpoint(path, 1), StopAt(2, 1))
                minicnn.manual_seed(5)
                setup = Setup(few)
                setup.loader = train  # type: ignore[assignment]
            results.append(result(setup, setup.fit(resume=path)))
        assert results[0] == results[1]


# What is refused ----------------------------------------------------------------------------------


@pytest.fixture
def kept(few: data.Dataset, tmp_path: Path) -> Path:
    """The state of a training that was stopped in its second epoch."""
    with pytest.raises(StoppedError):
        Setup(few).fit(Checkpoint(tmp_path / "state", 2), StopAt(2, 3))
    return tmp_path / "state"


def test_a_single_changed_bit_is_noticed(kept: Path, rng: np.random.Generator) -> None:
    content = kept.read_bytes()
    places = rng.choice(8 * len(content), 300, replace=False)
    seal = content.index(states.SEAL)
    inside = range(8 * seal, 8 * (seal + len(states.SEAL) + states.DIGITS))
    for bit in (*places, *inside, 8 * len(content) - 1):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="damaged"):
            states._parsed(bytes(damaged), kept)
    kept.write_bytes(content[:-1])
    with pytest.raises(ValueError, match="damaged"):
        states.load(kept)


def test_another_kind_of_file_is_no_state(tmp_path: Path) -> None:
    minicnn.save({"a": minicnn.ones(2)}, tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="is not the state of a training"):
        states.load(tmp_path / "net.safetensors")
    with pytest.raises(FileNotFoundError):
        states.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"optimizer": "adam"}, "optimizer is Adam; the state's training has SGD"),
        ({"schedule": ""}, "schedule is None; the state's training has CosineAnnealingLR"),
        ({"seed": 3}, "seed is 3; the state's training has None"),
        ({"shuffle": False}, "shuffle is False; the state's training has True"),
    ],
)
def test_another_training_is_refused_and_left_as_it_is(
    few: data.Dataset, kept: Path, change: dict[str, Any], told: str
) -> None:
    setup = Setup(few, **change)
    before, drawn = setup.net.state_dict(), minicnn.random.get_rng_state()
    arrays = {name: tensor.numpy().copy() for name, tensor in before.items()}
    with pytest.raises(ValueError, match=f"^resume: {told}$"):
        setup.fit(resume=kept)
    for name, tensor in setup.net.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), arrays[name])
    assert minicnn.random.get_rng_state() == drawn


def test_other_images_labels_and_nets_are_refused(few: data.Dataset, kept: Path) -> None:
    images, labels = few.images.copy(), few.labels.copy()
    images[-1, -1, -1] ^= 1
    labels[0] = (labels[0] + 1) % 10
    for pair in ((images, few.labels), (few.images, labels)):
        with pytest.raises(ValueError, match="not the images and labels of the state's training"):
            Setup(data.Dataset(*pair, few.classes)).fit(resume=kept)
    for net in (nn.Linear(3, 10), nn.Linear(2, 10).to("float64")):
        setup = Setup(few)
        setup.net[5] = net
        setup.optimizer.params[4:] = net.parameters()
        with pytest.raises(ValueError, match=r"the state is another net's: they differ in 5\."):
            setup.fit(resume=kept)
    setup = Setup(few)
    setup.loader.batch_size = 71
    with pytest.raises(ValueError, match="batch_size is 71; the state's training has 70"):
        setup.fit(resume=kept)


def test_fewer_epochs_than_were_trained_are_refused(few: data.Dataset, kept: Path) -> None:
    with pytest.raises(ValueError, match="epochs is 1; the state is in epoch 2"):
        Setup(few).fit(resume=kept, epochs=1)


def test_seconds_and_the_first_loss_are_kept_too(few: data.Dataset, kept: Path) -> None:
    facts = states.load(kept).facts
    assert facts["first_loss"] == pytest.approx(2.3, abs=0.8)
    facts["seconds"], facts["first_loss"] = 1000.0, 1e-6
    setup, seen = Setup(few), list[Training]()

    class Look(Callback):
        def on_epoch(self, training: Training) -> None:
            seen.append(training)

    history = setup.fit(Look(), resume=states.State(states.load(kept).arrays, facts))
    assert history.epochs[0]["seconds"] < 1000 < history.epochs[1]["seconds"] < 1100
    assert history.epochs[2]["seconds"] < 1000
    assert seen[0].watch.first == 1e-6


def test_no_state_is_kept_while_an_update_is_under_way(few: data.Dataset, tmp_path: Path) -> None:
    setup = Setup(few)
    history = minicnn.History()
    training = Training(setup.net, setup.optimizer, None, setup.loader, None, history, 3)
    training.is_whole = False
    with pytest.raises(RuntimeError, match="an update is under way"):
        states.save(training, tmp_path / "state")
    training.is_whole = True
    setup.optimizer.lr = np.float64(0.5)  # a number all the same
    states.save(training, tmp_path / "state")
    setup.optimizer.helper = object()
    with pytest.raises(TypeError, match="a state holds numbers, texts and arrays; received <obj"):
        states.save(training, tmp_path / "state")


@pytest.mark.parametrize("every", [0, -3, 2.5, "7"])
def test_what_would_fail_after_an_epoch_is_refused_before_it(every: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"every is {every!r}; wanted None or an int >= 1"):
        Checkpoint(tmp_path / "state", every)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        Checkpoint(tmp_path / "nowhere" / "state")


def test_facts_may_be_changed_before_a_training_goes_on(few: data.Dataset, kept: Path) -> None:
    state = states.load(kept)
    json.dumps(state.facts)  # all of them are plain
    state.facts["optimizer"]["momentum"] = 0.0
    setup = Setup(few)
    setup.fit(resume=state)
    assert setup.optimizer.momentum == 0.0  # type: ignore[attr-defined]


def test_forged_facts_are_refused(few: data.Dataset, kept: Path) -> None:
    state = states.load(kept)
    state.facts["streams"]["random"]["seed"] = -1
    with pytest.raises(ValueError, match=r"seed is -1; wanted an integer in 0\.\.2\*\*64 - 1$"):
        Setup(few).fit(resume=state)


def test_numbers_of_numpy_are_numbers_in_a_state_that_goes_on(
    few: data.Dataset, kept: Path
) -> None:
    state, setup = states.load(kept), Setup(few)
    state.facts["optimizer"]["lr"] = np.float32(0.25)
    state.facts["schedule"]["T_max"] = np.int64(4)
    setup.schedule.eta_min = np.float64(0.0)  # type: ignore[union-attr]
    setup.fit(resume=state)
    assert type(setup.schedule.T_max) is int  # type: ignore[union-attr]
    state.facts["optimizer"]["lr"] = np.array([0.25])
    with pytest.raises(ValueError, match=r"^resume: a state holds numbers, .* received array"):
        Setup(few).fit(resume=state)
