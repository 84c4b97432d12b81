"""The dense layer, and one that learns its input features from its first input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minicnn.nn import arguments
from minicnn.nn import functional as F
from minicnn.nn.module import Module
from minicnn.tensor import Tensor

from .weights import Lazy, check_sizes, default_weights


class Linear(Module):
    """The dense layer y = x Wᵀ + b: see ``F.linear``; the formula stands in ``minicnn.ops.linear``.

    (..., in_features) -> (..., out_features). weight: (O, K), bias: (O,), both uniform in
    ±1 / sqrt(K).
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        super().__init__()
        self.out_features, self.has_bias = out_features, bias
        check_sizes(self, out_features=out_features)
        self._set_in_features(in_features)

    def _set_in_features(self, in_features: int) -> None:
        check_sizes(self, in_features=in_features)
        self.in_features = in_features
        self.weight, self.bias = default_weights((self.out_features, in_features), self.has_bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def multiply_adds(self, inputs: tuple[Any, ...], output: Tensor) -> int:
        return output.size * self.in_features

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + (
            "" if self.has_bias else ", bias=False"
        )


class LazyLinear(Lazy, Linear):
    """Takes ``in_features`` from its first input, and is a plain ``Linear`` from then on."""

    def __init__(self, out_features: int, bias: bool = True):
        Module.__init__(self)
        check_sizes(self, out_features=out_features)
        self.out_features, self.has_bias = out_features, bias

    def _become(self, in_features: int) -> None:
        self._set_in_features(in_features)
        self.__class__ = Linear  # type: ignore[assignment]

    def forward(self, input: Tensor) -> Tensor:
        input = arguments.as_input("LazyLinear", input)
        arguments.check_floating("LazyLinear", input)
        if input.ndim == 0:
            raise ValueError("LazyLinear: input has shape (); wanted (..., in_features)")
        self._become(input.shape[-1])
        self.to(input.dtype).to(input.device)
        return self.forward(input)  # of the plain class: hooks run once

    def _prepare_for_state(self, prefix: str, state: Mapping[str, Any]) -> None:
        weight = state.get(f"{prefix}weight")
        if weight is not None and weight.ndim == 2:
            self._become(weight.shape[1])

    def extra_repr(self) -> str:
        return f"{self.out_features}"
