"""The folder that a training run leaves behind.

config.json          what was trained, on what, how
metrics.jsonl        a line an epoch:   ``History.epochs``
curve.jsonl          five lines an epoch: ``History.curve``
curves.png           the picture of it
model.safetensors    the trained parameters, in PyTorch's names and layouts
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from minicnn import data, models, plots
from minicnn.checkpoint import load, save
from minicnn.files import expand, write_whole
from minicnn.nn import Module
from minicnn.terminal import say
from minicnn.training import History


class Run:
    """Writes the run's folder: weights and measurements after each epoch, the picture at the end.

    Args:
        folder: made with its parents; it must not hold anything yet. None: runs/<time>.
        config: what ``config.json`` shall say; ``load_run`` needs ``model`` and ``model_args``.

    Raises:
        FileExistsError: the folder holds something already, or another run has just taken it.
        OSError: it cannot be made.
    """

    def __init__(self, folder: str | Path | None, config: dict[str, Any]):
        self.folder, self.config = _new_folder() if folder is None else expand(folder), config
        if self.folder.is_file():
            raise FileExistsError(f"{self.folder} is a file; wanted a new or an empty folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        if any(self.folder.iterdir()):
            raise FileExistsError(f"{self.folder} is not empty; wanted a new or an empty folder")
        path = self.folder / "config.json"
        path.touch(exist_ok=False)  # of two runs that found the folder empty, one gets it
        write_whole(path, json.dumps(config, indent=2) + "\n")

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


def _new_folder() -> Path:
    """Make runs/<time>, with a number after it where that is taken."""
    stem = Path("runs", time.strftime("%Y-%m-%d-%H%M%S"))
    stem.parent.mkdir(exist_ok=True)
    for number in range(1, 1000):
        folder = stem if number == 1 else Path(f"{stem}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{stem} and the 999 folders after it are taken")


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a file of one JSON object a line."""
    return [json.loads(line) for line in expand(path).read_text().splitlines()]


def load_run(folder: str | Path) -> tuple[Module, dict[str, Any]]:
    """The trained net of a run's folder, in evaluation mode, and its configuration.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder, or a file of the run is missing.
        ValueError: a file is damaged, or does not fit the others.
    """
    folder = expand(folder)
    config_file, weights = folder / "config.json", folder / "model.safetensors"
    for path in (config_file, weights):
        if not path.exists():
            raise _no_run(folder, path.name)
    try:
        config = json.loads(config_file.read_text())
        net = models.build(config["model"], **config["model_args"])
    except KeyError as error:
        raise ValueError(f"{config_file} is not a run's configuration: it lacks {error}") from None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{config_file} is not a run's configuration: {error}") from None
    state = load(weights)
    try:
        net.load_state_dict(state)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{weights} does not fit config.json: {error.args[0]}") from None
    return net.eval(), config


def _no_run(folder: Path, missing: str) -> OSError:
    """What is wrong with a folder that lacks a file of a run."""
    if folder.is_dir():
        return FileNotFoundError(
            f"{folder} is not the folder of a training run, or of one that was stopped in its first"
            f" epoch: it has no {missing}"
        )
    if folder.exists():
        return NotADirectoryError(f"{folder} is a file; wanted the folder of a training run")
    return FileNotFoundError(f"there is no folder {folder}; wanted that of a training run")


def load_test_set(config: dict[str, Any], folder: str | Path | None = None) -> data.Dataset:
    """The test pictures of a run's data set; the sample's where Fashion-MNIST is not there.

    ``folder``: where its files are, as for ``data.load``.

    Raises:
        ValueError: the configuration does not name a data set that is known.
        DatasetNotFoundError: another one, that is not there.
    """
    name = config.get("dataset")
    if not isinstance(name, str):
        raise ValueError(f"config.json: dataset is {name!r}; wanted the name of a data set")
    try:
        return data.load(name, folder)[1]
    except data.DatasetNotFoundError:
        if name != "fashion-mnist":
            raise
    say("NOTE: the whole fashion-mnist is not here; these are the sample's 1,000 test pictures")
    return data.load("fashion-mnist-sample")[1]
