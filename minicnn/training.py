"""Where pickles of version 0.1 look for ``History``, which is now in ``train/measure``."""

from .train.measure import History

__all__ = ["History"]
