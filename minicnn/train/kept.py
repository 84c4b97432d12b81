"""The states that a training leaves on its way, to be looked back at.

``python -m minicnn.train --keep-states N`` writes ``states/<updates>.safetensors`` into the run's
folder: the net before the first update, after N updates, after 2 N, and at the end. A file holds

    net.<name>         the net's state_dict after these updates
    gradient.<name>    the gradient that the next update subtracts, the batch's
    velocity.<name>    with momentum, what the optimiser has kept for that update

and among its metadata ``step``: lr, momentum and weight_decay of that update. The next update of
the last file never came: it has the net alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minicnn import json_files
from minicnn.device import to_host
from minicnn.files import make_folder, write_whole
from minicnn.formats import in_short, shown
from minicnn.optim import SGD
from minicnn.train.callbacks import Callback, Training
from minicnn.train.config import check_rows

FOLDER = "states"
PARTS = ("net", "gradient", "velocity")
STEP = ("lr", "momentum", "weight_decay")
Arrays = dict[str, np.ndarray]


class KeptState(NamedTuple):
    """A state of a training, and what its next update does: p = p - lr v for each parameter p, with
    v = momentum velocity + gradient + weight_decay p.

    Attributes:
        update: how many updates led to it.
        net: the net's state_dict.
        gradient: by the parameters' names; empty where no update followed.
        velocity: the same; empty without momentum, and before the first update.
        step: ``lr``, ``momentum`` and ``weight_decay`` of the next update; empty without it.
    """

    update: int
    net: Arrays
    gradient: Arrays
    velocity: Arrays
    step: dict[str, float]


class KeptStates(Callback):
    """Keeps the net after every N-th update in a file of its own, and the next update's gradient.

    Args:
        folder: of the files. Where there is none yet, the training is new: it is made, and the
            initial net kept.
        every: N.
        training: the one to keep the states of, not begun yet.

    Raises:
        ValueError: ``every`` is not an int >= 1.
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: Path, every: int, training: Training):
        if not isinstance(every, int | np.integer) or every < 1:
            raise ValueError(f"KeptStates: every is {shown(every)}; wanted an int >= 1")
        self.folder, self.every = folder, every
        if not folder.is_dir():
            make_folder(folder)
            self._keep(training, 0)

    def on_batch(self, training: Training) -> None:
        """Keep this state if it is the turn of one; add its update to the state before."""
        done = updates_of(training)
        if (done - 1) % self.every == 0:
            self._complete(training, done - 1)
        if done % self.every == 0:
            self._keep(training, done)

    def on_epoch(self, training: Training) -> None:
        """Keep the last state of the training."""
        if training.epoch == training.epochs:
            self._keep(training, updates_of(training))

    def _path(self, update: int) -> Path:
        return self.folder / f"{update:06d}.safetensors"

    def _keep(self, training: Training, update: int) -> None:
        arrays = {f"net.{name}": value.data for name, value in training.net.state_dict().items()}
        for name, velocity in _velocities(training).items():
            arrays[f"velocity.{name}"] = velocity
        _write(self._path(update), arrays, {})

    def _complete(self, training: Training, update: int) -> None:
        """Add the update that has just been made to the file of the state that it started from."""
        optimizer, path = training.optimizer, self._path(update)
        if not isinstance(optimizer, SGD) or not path.exists():
            return
        lr, momentum, dampening, decay, *others = optimizer.settings()
        if dampening or any(others):  # another formula than ``KeptState`` has
            return
        arrays: dict[str, Any] = dict(_read(path)[0])
        for name, gradient in training.step.gradients().items():
            arrays[f"gradient.{name}"] = gradient.data
        _write(path, arrays, {"lr": lr, "momentum": momentum, "weight_decay": decay})


def updates_of(training: Training) -> int:
    """How many updates a training has made."""
    return max(0, training.epoch - 1) * len(training.loader) + training.batch


def _velocities(training: Training) -> dict[str, Any]:
    """What SGD keeps of each parameter, by the parameters' names; nothing before the first step."""
    optimizer = training.optimizer
    if not isinstance(optimizer, SGD) or not optimizer.momentum:
        return {}
    kept = zip(optimizer.params, optimizer.velocity, strict=True)
    by_id = {id(p): v for p, v in kept if v is not None}
    return {n: by_id[id(p)] for n, p in training.net.named_parameters() if id(p) in by_id}


# The files ----------------------------------------------------------------------------------------


def _write(path: Path, arrays: dict[str, Any], step: dict[str, float]) -> None:
    from safetensors.numpy import save

    content = {name: np.array(to_host(array), order="C") for name, array in arrays.items()}
    write_whole(path, save(content, {"step": json.dumps(step)}))


def _read(path: Path) -> tuple[Arrays, dict[str, float]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = path.read_bytes()
    try:
        arrays = load(content)
        header = json_files.parsed(content[8 : 8 + int.from_bytes(content[:8], "little")])
        step = json_files.parsed(header["__metadata__"]["step"])
        _check(arrays, step)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        told = in_short(error)
        raise ValueError(f"{path} is not a state that was kept, or damaged: {told}") from None
    return arrays, step


def _check(arrays: Arrays, step: Any) -> None:
    """Refuse what ``KeptStates`` does not write."""
    unknown = [name for name in arrays if name.partition(".")[0] not in PARTS]
    if unknown:
        raise ValueError(f"{unknown[0]} is none of {', '.join(PARTS)}")
    if not isinstance(step, dict) or step.keys() not in (set(), {*STEP}):
        raise ValueError(f"step is {shown(step)}; wanted {', '.join(STEP)}")
    check_rows([step], ())


def state_files(run: Path) -> dict[int, Path]:
    """The files of the states that a run has kept, by their numbers of updates, in order."""
    files = sorted((run / FOLDER).glob("*.safetensors"))
    return {int(path.stem): path for path in files if path.stem.isdecimal()}


def read_state(path: Path) -> KeptState:
    """Read one of them.

    Raises:
        OSError: it cannot be read.
        ValueError: it is another kind of file, or damaged.
    """
    arrays, step = _read(path)
    parts: dict[str, Arrays] = {part: {} for part in PARTS}
    for key, array in arrays.items():
        part, _, name = key.partition(".")
        parts[part][name] = array
    return KeptState(int(path.stem), **parts, step=step)
