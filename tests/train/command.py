"""The command, called with few epochs, and what it says when it refuses."""

from __future__ import annotations

import pytest

from minicnn import train

FAST = ["--dataset", "fashion-mnist-sample", "--model", "mlp", "--hidden", "8"]


def complaint(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line with which the command refuses these options."""
    with pytest.raises(SystemExit) as ended:
        train.main(list(argv))
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said.removeprefix("python -m minicnn.train: error: ").rstrip("\n")
