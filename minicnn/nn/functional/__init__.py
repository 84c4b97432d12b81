"""The operations as functions of tensors: names, arguments and defaults of torch.nn.functional.

Each function checks its arguments, reduces the convenient forms (one picture instead of a batch,
a number for a pair, ``'same'``, groups) to the plain one, and applies the operation of
``minicnn.ops``, whose docstring holds formula and derivation.
"""

from .activation import dropout, log_softmax, relu, sigmoid, softmax, tanh
from .conv import conv2d
from .linear import linear
from .loss import cross_entropy, nll_loss
from .norm import batch_norm
from .pool import avg_pool2d, max_pool2d
from .shape import pad

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "conv2d",
    "cross_entropy",
    "dropout",
    "linear",
    "log_softmax",
    "max_pool2d",
    "nll_loss",
    "pad",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
]
