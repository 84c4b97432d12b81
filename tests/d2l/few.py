"""A few pictures, and what a notebook shows."""

from __future__ import annotations

SAMPLE = "fashion-mnist-sample"
