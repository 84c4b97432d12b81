"""Settings of SGD, and a parameter."""

import itertools
from typing import Any

import numpy as np

from minicnn import Tensor, optim

SETTINGS: list[dict[str, Any]] = [
    {
        "momentum": momentum,
        "dampening": dampening,
        "weight_decay": weight_decay,
        "nesterov": nesterov,
        "maximize": maximize,
    }
    for momentum, dampening, weight_decay, nesterov, maximize in itertools.product(
        (0, 0.9), (0, 0.3), (0, 0.05), (False, True), (False, True)
    )
    if not nesterov or (momentum and not dampening)
]


def parameter(*values: float) -> Tensor:
    return Tensor(np.array(values, np.float64), requires_grad=True)


def sgd(lr: float) -> optim.SGD:
    return optim.SGD([parameter(1)], lr=lr)
