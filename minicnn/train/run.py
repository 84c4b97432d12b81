"""The folder of a training run.

config.json          what was trained, on what, how
metrics.jsonl        a line an epoch:   ``History.epochs``
curve.jsonl          five lines an epoch: ``History.curve``
curves.png           the same as a picture
model.safetensors    the trained parameters, in PyTorch's names and layouts
best.safetensors     those of the epoch with the best ``val_acc``, if there is a validation set
state.safetensors    the whole state of the training, to go on from: see ``state``
states/              with --keep-states, the net on its way: see ``kept``
"""

from __future__ import annotations

import contextlib
import errno
import json
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minicnn import data, json_files, models, plots
from minicnn.checkpoint import load, save
from minicnn.data.catalogue import CATALOGUE
from minicnn.data.chosen import is_own, own_sets
from minicnn.data.sample import load_or_sample
from minicnn.files import check_folder, expand, make_folder, write_whole
from minicnn.formats import in_short, shown
from minicnn.kernels.interrupts import held
from minicnn.nn import Module
from minicnn.random import Budget, Draws, drawing_from
from minicnn.train import config as config_file
from minicnn.train import state
from minicnn.train.callbacks import Training
from minicnn.train.config import ROWS
from minicnn.train.measure import History
from minicnn.train.state import Checkpoint

STATE = "state.safetensors"


class Run:
    """Writes the run's folder: weights and measurements after each epoch, the picture at the end.

    A new folder appears with the initial weights and all other files but the picture: whenever a
    run is stopped, its folder can be loaded.

    Args:
        folder: made with its parents; it must not hold anything yet. None: runs/<time>.
        config: the content of ``config.json``; ``load_run`` needs ``model`` and ``model_args``.
        net: the net that is going to be trained.
        training: its training, not begun yet: the folder then has its state from the beginning.

    Raises:
        FileExistsError: the folder holds something already, or another run has just taken it.
        OSError: it cannot be made.
    """

    def __init__(
        self,
        folder: str | Path | None,
        config: dict[str, Any],
        net: Module,
        training: Training | None = None,
    ):
        self.config = config
        with held():
            if folder is None:
                self._make(_by_time(), net, training)
            elif (path := expand(folder)).is_dir():
                self._use(path, net, training)
            elif path.exists():
                raise FileExistsError(f"{path} is a file; wanted a new or an empty folder")
            else:
                check_folder(path)
                self._make([path], net, training)

    @classmethod
    def of(cls, folder: Path) -> Run:
        """The run of a folder that is there, to go on with."""
        run = cls.__new__(cls)
        run.folder, run.config = folder, config_file.read(folder / "config.json")
        return run

    def _use(self, folder: Path, net: Module, training: Training | None) -> None:
        """Fill a folder that exists and is empty."""
        if any(folder.iterdir()):
            raise FileExistsError(f"{folder} is not empty; wanted a new or an empty folder")
        (folder / "config.json").touch(exist_ok=False)  # two runs may have found it empty
        self.folder = folder
        self._fill(net, training)

    def _make(self, names: Sequence[Path], net: Module, training: Training | None) -> None:
        """Fill a folder under a hidden name, then give it the first name that is free."""
        parent = names[0].parent
        make_folder(parent)
        # a random name, not a process id: in containers all of those are 1
        hidden = parent / f".{names[0].name}.{secrets.token_hex(8)}"
        try:
            hidden.mkdir()
            self.folder = hidden
            self._fill(net, training)
            self.folder = _renamed(hidden, names)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(names[0])) from error
        finally:
            shutil.rmtree(hidden, ignore_errors=True)  # gone already if all went well

    def _fill(self, net: Module, training: Training | None) -> None:
        self.write(net, History())
        if training is not None:
            state.save(training, self.folder / STATE)
        self.write_config()

    def write_config(self) -> None:
        """Bring config.json up to date."""
        write_whole(self.folder / "config.json", json.dumps(self.config, indent=2) + "\n")

    def write(self, net: Module, history: History) -> None:
        """Bring weights and measurements up to date."""
        save(net, self.folder / "model.safetensors")
        for name, rows in (("metrics", history.epochs), ("curve", history.curve)):
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            write_whole(self.folder / f"{name}.jsonl", lines)

    def draw(self, history: History) -> None:
        """Draw the curves."""
        title = f"{self.config['model']} on {self.config['dataset']}"
        write_whole(self.folder / "curves.png", plots.png(plots.curves(history.curve, title)))


class Unwritten(Run):
    """A run whose folder another process keeps: the first of several ranks."""

    def __init__(self, folder: str | Path | None, config: dict[str, Any], *others: Any):
        self.folder, self.config = Path(folder or "runs"), config

    def write_config(self) -> None:
        """Nothing is written."""

    def write(self, net: Module, history: History) -> None:
        """Nothing is written."""

    def draw(self, history: History) -> None:
        """Nothing is drawn."""


class Keeper(Checkpoint):
    """Keeps the folder of a run up to date: each epoch everything, the state more often.

    Args:
        every: see ``Checkpoint``.
    """

    def __init__(self, run: Run, every: int | None):
        super().__init__(run.folder / STATE, every)
        self.run = run

    def on_epoch(self, training: Training) -> None:
        """Write everything; the state last, so that all else is as new as the state at least."""
        net, history = training.net, training.history
        if history.best_epoch == training.epoch:
            save(net, self.run.folder / "best.safetensors")
        self.run.write(net, history)
        super().on_epoch(training)


def _by_time() -> list[Path]:
    """runs/<time>, and the same with a number after it."""
    stem = Path("runs", time.strftime("%Y-%m-%d-%H%M%S"))
    return [stem, *(Path(f"{stem}-{number}") for number in range(2, 1000))]


def _renamed(folder: Path, names: Sequence[Path]) -> Path:
    """Rename the folder to the first free name; another run may take one at the same moment."""
    for name in names:
        if not name.exists():
            with contextlib.suppress(OSError):  # a folder with files: another run was faster
                return folder.rename(name)
    raise FileExistsError(errno.EEXIST, "is taken; wanted a new or an empty folder")


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a file of one JSON object a line."""
    return json_files.read_lines(expand(path))


def load_run(folder: str | Path) -> tuple[Module, dict[str, Any]]:
    """The trained net of a run's folder, in evaluation mode, and its configuration.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder, or a file of the run is missing.
        ValueError: a file is damaged, or does not fit the others.
    """
    folder = expand(folder)
    about, weights = folder / "config.json", folder / "model.safetensors"
    _check_has(folder, about, weights)
    config, state = config_file.read(about), load(weights)
    try:
        with drawing_from(Draws(0, Budget(weights.stat().st_size))):
            net = models.build(config["model"], **config["model_args"])
    except (ValueError, TypeError, MemoryError, OverflowError) as error:
        told = in_short(error)
        raise ValueError(
            f"{about} is not a run's configuration, or not of {weights.name}: {told}"
        ) from None
    try:
        net.load_state_dict(state)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{weights} does not fit config.json: {error.args[0]}") from None
    return net.eval(), config


def check_resumable(folder: Path) -> None:
    """Refuse a folder that holds no run, or one without a state.

    Raises:
        FileNotFoundError, NotADirectoryError: with what is missing.
    """
    _check_has(folder, folder / "config.json")
    if not (folder / STATE).exists():
        raise FileNotFoundError(
            f"{folder} has no {STATE}, so it cannot be resumed: an older minicnn trained it, or it "
            "was stopped before it had begun"
        )


def _check_has(folder: Path, *files: Path) -> None:
    for path in files:
        if not path.exists():
            raise _no_run(folder, path.name)


def read_measurements(
    folder: str | Path,
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """A run's configuration, its epochs and its curve's points, as ``History`` has them.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder, or a file of the run is missing.
        ValueError: a file is damaged.
    """
    folder = expand(folder)
    about, epochs = folder / "config.json", folder / "metrics.jsonl"
    curve = folder / "curve.jsonl"
    _check_has(folder, about, epochs, curve)
    config = config_file.read(about)
    read_rows = config_file.read_rows
    return config, read_rows(epochs, ROWS["epochs"]), read_rows(curve, ROWS["curve"])


def _no_run(folder: Path, missing: str) -> OSError:
    """The error for a folder that lacks a file of a run."""
    if folder.is_dir():
        runs = sorted(path.parent.name for path in folder.glob(f"*/{missing}"))
        holds = f"; it holds {', '.join(runs[:5])}{', ...' * (len(runs) > 5)}" if runs else ""
        return FileNotFoundError(
            f"{folder} is not the folder of a training run: it has no {missing}{holds}"
        )
    if folder.exists():
        return NotADirectoryError(f"{folder} is a file; wanted the folder of a training run")
    return FileNotFoundError(f"there is no folder {folder}; wanted that of a training run")


def load_test_set(config: dict[str, Any], folder: str | Path | None = None) -> data.Dataset:
    """The test pictures of a run's data: see ``load_sets``."""
    return load_sets(config, folder)[1]


def load_sets(
    config: dict[str, Any], folder: str | Path | None = None
) -> tuple[data.Dataset, data.Dataset]:
    """A run's training and test pictures; the sample's where Fashion-MNIST cannot be had.

    ``folder``: where its files are; by default where they were for the run, if that is still there.

    Raises:
        ValueError: the configuration names no known data set.
        DatasetError: data of your own are gone, or have other classes now.
        DatasetNotFoundError: another data set than Fashion-MNIST cannot be had.
    """
    if is_own(config):
        return own_sets(config, folder)
    name = config.get("dataset")
    if not isinstance(name, str):
        raise ValueError(f"config.json: dataset is {shown(name)}; wanted the name of a data set")
    then = config.get("data_dir")
    if folder is None and then is not None and Path(then).is_dir():
        folder = then
    if folder is not None and "dataset" not in config.get("options", {"dataset": name}):
        return own_sets(config, folder)  # known by what was in the files, whatever their names
    asked_for = None if name == "fashion-mnist" else name  # the sample is no test of digits
    _, train, test = load_or_sample(asked_for, folder, "sample_of_test")
    return train, test


def normalise_of(config: Mapping[str, Any]) -> tuple[list[float], list[float]] | None:
    """The mean and the standard deviation that the run's loaders were given as ``normalise``."""
    kept = config.get("normalise")
    return None if kept is None else (kept["mean"], kept["std"])


def classes_of(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The names of the run's classes; None where nobody knows them."""
    if config.get("classes"):
        return tuple(config["classes"])
    known = CATALOGUE.get(config.get("dataset", ""))
    return None if known is None else known.classes


def image_shape_of(config: Mapping[str, Any]) -> tuple[int, ...]:
    """(channels, height, width) of the pictures that the run's net takes."""
    return tuple(config["model_args"].get("image_shape", (1, 28, 28)))
