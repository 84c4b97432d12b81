"""TensorBoard's files: what is in them, read with their own format."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import minicnn
from minicnn import data, models, optim, train
from minicnn.train.run import read_jsonl
from minicnn.train.tensorboard import TensorBoard
from tests.train.command import FAST


def events(folder: Path) -> Iterator[Any]:
    """The events of a folder: records of (length, its checksum, content, checksum)."""
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            yield Event.FromString(content[place + 12 : place + 12 + length])
            place += length + 16


def scalars(folder: Path) -> dict[str, list[Any]]:
    """(step, value) by tag, as TensorBoard shows them: a start hides its step and later ones."""
    found: dict[str, list[Any]] = {}
    for event in events(folder):
        if event.session_log.status:
            for points in found.values():
                points[:] = [point for point in points if point[0] < event.step]
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_the_option_writes_the_curves_of_the_run(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    out, logs = tmp_path / "run", tmp_path / "logs"
    options = [*FAST, "--epochs", "3", "--lr", "0.2", "--schedule", "cosine", "--quiet"]
    assert train.main([*options, "--out", str(out), "--tensorboard", str(logs)]) == 0
    found = scalars(logs / "run")
    for name in ("loss", "train_acc", "test_acc"):
        wanted = [
            (row["epoch"], pytest.approx(row[name])) for row in read_jsonl(out / "metrics.jsonl")
        ]
        assert found.pop(name) == wanted
    assert found.pop("lr") == [
        (k, pytest.approx(rate)) for k, rate in ((1, 0.2), (2, 0.15), (3, 0.05))
    ]
    assert set(found) == {"gradient/1.Linear", "gradient/3.Linear"}
    assert all(0 < value < 10 for _, value in found["gradient/1.Linear"])
    config = json.loads((out / "config.json").read_text())["options"]
    texts = [
        value.tensor.string_val[0].decode()
        for event in events(logs / "run")
        for value in event.summary.value
        if value.tag == "config/text_summary"
    ]
    assert [json.loads(text.strip("`\n")) for text in texts] == [config]


def test_a_training_that_goes_on_continues_at_its_step(few: data.Dataset, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    net, history = models.mlp(hidden=(3,)), minicnn.History()
    optimizer = optim.SGD(net.parameters(), lr=0.1)

    def fit(epochs: int) -> None:
        callback = TensorBoard(tmp_path)
        given: Any = {"optimizer": optimizer, "epochs": epochs, "history": history, "quiet": True}
        minicnn.fit(net, few, callbacks=[callback], **given)

    fit(3)
    del history.epochs[-1]  # stopped before the third epoch was kept
    fit(2)
    wanted = [(row["epoch"], pytest.approx(row["loss"])) for row in history.epochs]
    assert scalars(tmp_path)["loss"] == wanted
    assert [step for step, _ in wanted] == [1, 2, 3, 4]


def test_without_tensorboardx_the_extra_is_named_and_no_run_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(SystemExit) as ended:
        train.main([*FAST, "--tensorboard", str(tmp_path), "--out", str(tmp_path / "run")])
    assert ended.value.code == 2
    assert "pip install '.[tensorboard]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
