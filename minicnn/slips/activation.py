"""The slips of a sigmoid, forward and backward."""

from __future__ import annotations

import numpy as np

from .conv import Catalogue
from .sums import Array

# All are functions of x and dy, of one shape.


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), by an exp that never overflows."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


Y: Catalogue = {
    "sign_of_x": (lambda x, dy: sigmoid(-x),),
    "tanh": (lambda x, dy: np.tanh(x),),
    "unstable": (lambda x, dy: np.exp(x) / (1 + np.exp(x)),),
    "half_plus": (lambda x, dy: 0.5 + sigmoid(x),),
    "linear_part": (lambda x, dy: 0.25 * x + 0.5,),
    "softmax_for_sigmoid": (lambda x, dy: np.exp(x - x.max()) / np.exp(x - x.max()).sum(),),
    "log_sigmoid": (lambda x, dy: np.log(sigmoid(np.maximum(x, -700))),),
}
DX: Catalogue = {
    "dy_forgotten": (lambda x, dy: sigmoid(x) * (1 - sigmoid(x)),),
    "x_for_y": (lambda x, dy: dy * x * (1 - x),),
    "derivative_of_tanh": (lambda x, dy: dy * (1 - sigmoid(x) ** 2),),
    "derivative_at_y": (lambda x, dy: dy * sigmoid(sigmoid(x)) * (1 - sigmoid(sigmoid(x))),),
    "factor_forgotten": (lambda x, dy: dy * sigmoid(x), lambda x, dy: dy * (1 - sigmoid(x))),
    "plus_for_minus": (lambda x, dy: dy * sigmoid(x) * (1 + sigmoid(x)),),
    "square_for_product": (
        lambda x, dy: dy * sigmoid(x) ** 2,
        lambda x, dy: dy * (1 - sigmoid(x)) ** 2,
    ),
    "times_x": (lambda x, dy: dy * x * sigmoid(x) * (1 - sigmoid(x)),),
    "passed_on": (lambda x, dy: dy, lambda x, dy: dy * np.ones_like(x)),
    "derivative_for_gradient": (lambda x, dy: dy + sigmoid(x) * (1 - sigmoid(x)),),
    "sign_of_gradient": (lambda x, dy: -dy * sigmoid(x) * (1 - sigmoid(x)),),
    "unstable": (lambda x, dy: dy * np.exp(-x) / (1 + np.exp(-x)) ** 2,),
}
