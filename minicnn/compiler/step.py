"""Where pickles of version 0.1 look for compiled nets and steps, which are now in ``cpu/step``."""

from .cpu.step import CpuPredictor as Predictor
from .cpu.step import CpuStep as CompiledStep
from .means import Means as Counts

__all__ = ["CompiledStep", "Counts", "Predictor"]
