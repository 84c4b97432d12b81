"""Operations: each a forward and its hand-derived backward, side by side, on plain arrays."""

from .activation import Dropout, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from .arithmetic import (
    Add,
    Divide,
    Exp,
    Log,
    Max,
    Mean,
    Multiply,
    Negate,
    Power,
    Sqrt,
    Subtract,
    Sum,
)
from .conv import Conv2d
from .conv_by_image import Conv2dByImage
from .linear import Linear, MatMul
from .loss import IgnoreRows, NegativeLogLikelihood, SoftmaxCrossEntropy
from .norm import BatchNorm, FixedBatchNorm
from .operation import RESULT, Operation
from .pieces import InPieces
from .pool import AvgPool2d, MaxPool2d
from .shape import Cast, Concatenate, Index, Move, Pad, Reshape, Transpose

__all__ = [
    "RESULT",
    "Add",
    "AvgPool2d",
    "BatchNorm",
    "Cast",
    "Concatenate",
    "Conv2d",
    "Conv2dByImage",
    "Divide",
    "Dropout",
    "Exp",
    "FixedBatchNorm",
    "IgnoreRows",
    "InPieces",
    "Index",
    "Linear",
    "Log",
    "LogSoftmax",
    "MatMul",
    "Max",
    "MaxPool2d",
    "Mean",
    "Move",
    "Multiply",
    "Negate",
    "NegativeLogLikelihood",
    "Operation",
    "Pad",
    "Power",
    "ReLU",
    "Reshape",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Sqrt",
    "Subtract",
    "Sum",
    "Tanh",
    "Transpose",
]
