"""``python -m minicnn.sweep``: many trainings, on this machine's cores or on a Dask cluster."""

from __future__ import annotations

from minicnn.sweep.options import main, parser

__all__ = ["main", "parser"]
