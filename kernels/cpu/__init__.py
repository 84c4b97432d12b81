"""The kernels as compiled loops (Numba, see ``jit``), shared among threads.

Same names and signatures as ``reference``, which says what each one means. A public function makes
its arguments C-contiguous, allocates the result and shares a loop named ``_like_it`` among the
threads (``threads.share``): each gets a run of pictures, planes or cells, ``first`` to before
``last``, and writes only to these, so no two threads ever write to the same cell.
"""

from __future__ import annotations

from ..reference import class_indices, count_batch, load_batch, reduce_losses
from .activation import relu, relu_backward, sigmoid, sigmoid_backward, tanh, tanh_backward
from .conv import col2im, conv2d, conv2d_dweight, conv2d_dx, im2col
from .linear import matmul
from .loss import softmax_cross_entropy, softmax_cross_entropy_backward
from .norm import moments, norm_backward, norm_sums, normalise
from .optim import adadelta, adam, sgd
from .pool import avg_pool, avg_pool_backward, max_pool, max_pool_backward
from .random import random_uniform
from .sums import sum_over
from .threads import get_num_threads, set_num_threads

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
    "get_num_threads",
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
    "set_num_threads",
    "sgd",
    "sigmoid",
    "sigmoid_backward",
    "softmax_cross_entropy",
    "softmax_cross_entropy_backward",
    "sum_over",
    "tanh",
    "tanh_backward",
]
