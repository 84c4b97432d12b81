"""What nobody wants a gradient for is not computed: the costly products return None instead."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from minicnn.nn import functional as F
from minicnn.tensor import Tensor

OPERATIONS: dict[str, tuple[Callable[..., Tensor], list[tuple[int, ...]]]] = {
    "conv2d": (F.conv2d, [(2, 3, 6, 5), (4, 3, 2, 3), (4,)]),
    "conv2d without bias": (F.conv2d, [(2, 3, 6, 5), (4, 3, 2, 3)]),
    "linear": (F.linear, [(5, 3), (4, 3), (4,)]),
    "linear without bias": (F.linear, [(5, 3), (4, 3)]),
    "matmul": (lambda a, b: a @ b, [(5, 3), (3, 4)]),
    "multiply": (lambda a, b: a * b, [(5, 3), (1, 3)]),
    "power": (lambda a, b: a**b, [(5, 3), (3,)]),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_only_the_gradients_that_are_wanted_are_computed(
    name: str, kernel_set: str, rng: np.random.Generator
) -> None:
    function, shapes = OPERATIONS[name]
    arrays = [1 + rng.random(shape) for shape in shapes]
    of_all = function(*(Tensor(array, requires_grad=True) for array in arrays))
    assert of_all.node is not None
    dy = rng.standard_normal(of_all.shape)
    everything = of_all.node.operation.backward(dy)
    for wanted in range(len(arrays)):
        inputs = [Tensor(array, requires_grad=i == wanted) for i, array in enumerate(arrays)]
        y = function(*inputs)
        assert y.node is not None
        gradients = y.node.operation.backward(dy)
        computed = [i for i, gradient in enumerate(gradients) if gradient is not None]
        assert computed == [wanted], name
        np.testing.assert_array_equal(gradients[wanted], everything[wanted])
