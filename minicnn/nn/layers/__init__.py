"""The layers: names, arguments, defaults and initial weights of torch.nn."""

from .activation import Dropout, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from .containers import Identity, Sequential
from .conv import Conv2d, LazyConv2d
from .linear import LazyLinear, Linear
from .loss import CrossEntropyLoss, NLLLoss
from .norm import BatchNorm2d
from .pool import AvgPool2d, MaxPool2d
from .shape import Flatten, ZeroPad2d

__all__ = [
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Identity",
    "LazyConv2d",
    "LazyLinear",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "NLLLoss",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "ZeroPad2d",
]
