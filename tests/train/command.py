"""The command, called with few epochs."""

from __future__ import annotations

FAST = ["--dataset", "fashion-mnist-sample", "--model", "mlp", "--hidden", "8"]
