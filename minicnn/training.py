"""Where programs and pickles of version 0.1 look for what is now in ``minicnn.train``."""

from .train.loop import EagerStep, evaluate, fit
from .train.measure import DivergedError, History

__all__ = ["DivergedError", "EagerStep", "History", "evaluate", "fit"]
