"""The folder that a training run leaves behind.

config.json          what was trained, on what, how
metrics.jsonl        a line an epoch:   ``History.epochs``
curve.jsonl          five lines an epoch: ``History.curve``
curves.png           the picture of it
model.safetensors    the trained parameters, in PyTorch's names and layouts
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from minicnn import models, plots
from minicnn.checkpoint import load, save
from minicnn.files import write_whole
from minicnn.nn import Module
from minicnn.training import History


class Run:
    """Writes the run's folder: measurements and weights after each epoch, the picture at the end.

    Args:
        folder: made with its parents; it must not hold anything yet.
        config: what ``config.json`` shall say; ``load_run`` needs ``model`` and ``model_args``.

    Raises:
        FileExistsError: the folder holds something already.
        OSError: it cannot be made.
    """

    def __init__(self, folder: str | Path, config: dict[str, Any]):
        self.folder, self.config = Path(folder), config
        self.folder.mkdir(parents=True, exist_ok=True)
        if any(self.folder.iterdir()):
            raise FileExistsError(f"{self.folder} is not empty; wanted a new or an empty folder")
        write_whole(self.folder / "config.json", json.dumps(config, indent=2) + "\n")

    def write(self, net: Module, history: History) -> None:
        """Bring measurements and weights up to date."""
        for name, rows in (("metrics", history.epochs), ("curve", history.curve)):
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            write_whole(self.folder / f"{name}.jsonl", lines)
        save(net, self.folder / "model.safetensors")

    def draw(self, history: History) -> None:
        """Draw the curves."""
        title = f"{self.config['model']} on {self.config['dataset']}"
        write_whole(self.folder / "curves.png", plots.png(plots.curves(history.curve, title)))


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a file of one JSON object a line."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def load_run(folder: str | Path) -> tuple[Module, dict[str, Any]]:
    """The trained net of a run's folder, in evaluation mode, and its configuration.

    Raises:
        FileNotFoundError: a file of the run is missing.
        ValueError: a file is damaged, or does not fit the others.
    """
    folder = Path(folder)
    try:
        config = json.loads((folder / "config.json").read_text())
        net = models.build(config["model"], **config["model_args"])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / 'config.json'} is not a run's configuration: {error}"
        ) from None
    try:
        net.load_state_dict(load(folder / "model.safetensors"))
    except KeyError as error:
        raise ValueError(f"{folder / 'model.safetensors'} does not fit: {error}") from None
    return net.eval(), config
