"""The optimisers by the name that this module had once: pickles made then ask for it."""

from .adadelta import Adadelta
from .adam import Adam, AdamW
from .optimizer import Optimizer, ParamGroup
from .sgd import SGD

__all__ = ["SGD", "Adadelta", "Adam", "AdamW", "Optimizer", "ParamGroup"]
