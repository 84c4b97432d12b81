"""The kernels in CUDA C, on CuPy arrays.

Same names and signatures as ``reference``, which says what each one means. Each ``*.py`` launches
the kernels of the ``*.cu`` of the same name (``launch`` says how; ``literal``, how a compiled step
does). docs/gpu.md tells how all this is checked on machines without a GPU.
"""

from __future__ import annotations

from ..reference import (
    conv2d,
    conv2d_dweight,
    conv2d_dx,
    matmul,
    moments,
    norm_backward,
    norm_sums,
    normalise,
    relu,
    relu_backward,
    tanh,
    tanh_backward,
)
from .activation import sigmoid, sigmoid_backward
from .batches import class_indices, count_batch, load_batch, reduce_losses
from .conv import col2im, im2col
from .loss import softmax_cross_entropy, softmax_cross_entropy_backward
from .optim import adadelta, adam, sgd
from .pool import avg_pool, avg_pool_backward, max_pool, max_pool_backward
from .random import random_uniform
from .sums import sum_over

__all__ = [
    "adadelta",
    "adam",
    "avg_pool",
    "avg_pool_backward",
    "class_indices",
    "col2im",
    "conv2d",
    "conv2d_dweight",
    "conv2d_dx",
    "count_batch",
    "im2col",
    "load_batch",
    "matmul",
    "max_pool",
    "max_pool_backward",
    "moments",
    "norm_backward",
    "norm_sums",
    "normalise",
    "random_uniform",
    "reduce_losses",
    "relu",
    "relu_backward",
    "sgd",
    "sigmoid",
    "sigmoid_backward",
    "softmax_cross_entropy",
    "softmax_cross_entropy_backward",
    "sum_over",
    "tanh",
    "tanh_backward",
]
