"""What a training measures, written for TensorBoard (extra ``tensorboard``)."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minicnn.files import expand, make_folder
from minicnn.train.callbacks import Callback, Training
from minicnn.train.watch import gradient_norms

SCALARS = ("loss", "train_acc", "val_acc", "test_acc")


def check_installed() -> None:
    """Raise an ImportError that says what to install, unless tensorboardX is there."""
    try:
        import tensorboardX  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{error.name} is not installed; TensorBoard's files need the extra tensorboard: "
            "pip install '.[tensorboard]'"
        ) from error


class TensorBoard(Callback):
    """Writes an epoch's figures into ``folder``, as step 1, 2, ...

    ``loss``, ``train_acc`` (means over the epoch), ``val_acc``, ``test_acc`` (after it, where
    measured), ``lr``, and ``gradient/<layer>``: how long the gradient of the epoch's last batch is.
    A training that is resumed goes on at its step; what was written of later ones is hidden.

    Args:
        folder: made with its parents. TensorBoard shows each folder below its ``--logdir`` as a
            run.
        config: shown as text, and its numbers, texts and switches as hyperparameters.

    Raises:
        ImportError: tensorboardX is not installed.
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: str | Path, config: Mapping[str, Any] | None = None):
        check_installed()
        self.folder, self.config = expand(folder), dict(config or {})
        make_folder(self.folder)
        self.file: Any = None
        self.lr = 0.0
        self.norms: dict[str, float] = {}

    def on_batch(self, training: Training) -> None:
        if self.file is None:
            self._begin(training.epoch)
        if training.batch == len(training.loader):
            self.lr, self.norms = training.optimizer.lr, gradient_norms(training)

    def on_epoch(self, training: Training) -> None:
        from tensorboardX.summary import scalar

        epoch = training.history.epochs[-1]
        values = {name: epoch[name] for name in SCALARS if epoch.get(name) is not None}
        values["lr"] = self.lr
        for layer, norm in self.norms.items():
            _, *name = re.findall(r"\w+", layer)  # net.body[3] (Linear)
            values[f"gradient/{'.'.join(name)}"] = norm
        for tag, value in values.items():
            self._write(step=epoch["epoch"], summary=scalar(tag, value))
        self.file.flush()

    def on_end(self, training: Training) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def _begin(self, epoch: int) -> None:
        """Open a file; hide what others of the folder have of this epoch and later ones."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog
        from tensorboardX.summary import hparams, text

        # Not SummaryWriter: its flush() does not wait for its queue. The name has the second in it.
        self.file = EventsWriter(str(self.folder / "events"), f".{secrets.token_hex(4)}")
        self._write(step=epoch, session_log=SessionLog(status=SessionLog.START))
        if self.config:
            shown = f"```\n{json.dumps(self.config, indent=2)}\n```"
            self._write(summary=text("config", shown))
            simple = {
                k: v for k, v in self.config.items() if isinstance(v, bool | int | float | str)
            }
            # the scalars that TensorBoard shows next to the hyperparameters
            for summary in hparams(simple, dict.fromkeys(("loss", "test_acc"), 0.0)):
                self._write(summary=summary)

    def _write(self, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self.file.write_event(Event(wall_time=time.time(), **content))
