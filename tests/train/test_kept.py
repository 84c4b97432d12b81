"""The states that a training keeps on its way, with the update that followed each."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import data, nn, optim, train
from minicnn.train import kept, state
from minicnn.train import run as runs
from minicnn.train.callbacks import Callback, Training
from minicnn.train.kept import KeptStates, read_state, state_files
from minicnn.train.measure import History
from tests.train.command import FAST, complaint


class Seen(Callback):
    """All parameters after each update."""

    def __init__(self) -> None:
        self.nets: list[dict[str, np.ndarray]] = []

    def on_batch(self, training: Training) -> None:
        state = training.net.state_dict()
        self.nets.append({name: value.numpy().copy() for name, value in state.items()})


def keep(folder: Path, every: int, epochs: int = 2, **settings: Any) -> Seen:
    """Train a small net on 70 pictures, in batches of 20, and keep its states."""
    minicnn.manual_seed(0)
    pictures = np.random.default_rng(0).integers(0, 256, (70, 3, 5), np.uint8)
    net = nn.Sequential(nn.Conv2d(1, 2, (2, 3)), nn.Flatten(), nn.Linear(12, 4))
    loader = data.DataLoader(data.Dataset(pictures, np.arange(70) % 4, [*"abcd"]), 20, True, seed=1)
    optimizer = optim.SGD(net.parameters(), lr=0.1, **settings)
    training = Training(net, optimizer, None, loader, None, History(), epochs)
    seen = Seen()
    states = KeptStates(folder / "states", every, training)
    minicnn.fit(
        net, loader, optimizer=optimizer, epochs=epochs, callbacks=[states, seen], quiet=True
    )
    return seen


def test_every_third_update_the_first_and_the_last_are_kept(tmp_path: Path) -> None:
    seen = keep(tmp_path, 3)
    files = state_files(tmp_path)
    assert list(files) == [0, 3, 6, 8]
    for update, path in files.items():
        found = read_state(path)
        assert found.update == update
        for name, value in found.net.items():
            if update:
                np.testing.assert_array_equal(value, seen.nets[update - 1][name])
        assert bool(found.gradient) == bool(found.step) == (update < 8)


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9}, {"weight_decay": 0.3},
                                      {"momentum": 0.8, "weight_decay": 0.2}])  # fmt: skip
def test_a_state_and_its_update_give_the_next_state(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    keep(tmp_path, 1, **settings)
    found = [read_state(path) for path in state_files(tmp_path).values()]
    assert len(found) == 9
    for before, after in pairwise(found):
        step = before.step
        assert step["lr"] == 0.1
        for name, w in before.net.items():
            v = before.gradient[name] + step["weight_decay"] * w
            if step["momentum"] and before.update:
                v = step["momentum"] * before.velocity[name] + v
            assert np.abs(v).max() > 1e-3
            np.testing.assert_allclose(w - 0.1 * v, after.net[name], atol=3e-7)


def test_of_another_optimiser_the_update_is_not_told(tmp_path: Path) -> None:
    keep(tmp_path, 4, momentum=0.9, nesterov=True)
    assert [bool(read_state(path).step) for path in state_files(tmp_path).values()] == [False] * 3


def test_damaged_files_are_told_by_name(tmp_path: Path) -> None:
    path = tmp_path / "000007.safetensors"
    path.write_bytes(b"no state of a training")
    with pytest.raises(ValueError, match=r"000007\.safetensors is not a state that was kept"):
        read_state(path)


# The command --------------------------------------------------------------------------------------

OPTIONS = [
    *FAST,
    "--epochs",
    "2",
    "--batch-size",
    "700",
    "--keep-states",
    "5",
]  # 9 batches an epoch


class KilledError(Exception):
    """In the place of kill -9."""


def test_a_run_that_was_stopped_has_kept_the_same_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train.main([*OPTIONS, "--out", str(tmp_path / "whole")]) == 0

    def on_batch(keeper: runs.Keeper, training: Training) -> None:
        if (training.epoch, training.batch) == (2, 2):  # the update that the fifth state waits for
            raise KilledError
        state.Checkpoint.on_batch(keeper, training)

    with monkeypatch.context() as patch:
        patch.setattr(runs.Keeper, "on_batch", on_batch)
        with pytest.raises(KilledError):
            train.main([*OPTIONS, "--checkpoint-every", "1", "--out", str(tmp_path / "stopped")])
    assert not read_state(tmp_path / "stopped" / kept.FOLDER / "000010.safetensors").gradient
    assert train.main(["--resume", str(tmp_path / "stopped"), "--quiet"]) == 0
    whole, stopped = (state_files(tmp_path / name) for name in ("whole", "stopped"))
    assert list(whole) == list(stopped) == [0, 5, 10, 15, 18]
    for update, path in whole.items():
        assert path.read_bytes() == stopped[update].read_bytes(), update


def test_the_number_of_updates_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--keep-states" in complaint(capsys, "--keep-states", "0")
    with pytest.raises(ValueError, match="every is 0; wanted an int >= 1"):
        keep(Path("nowhere"), 0)
