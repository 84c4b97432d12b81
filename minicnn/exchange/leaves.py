"""The layers of a net, for those who write each of them down."""

from __future__ import annotations

from collections.abc import Iterator

from minicnn import nn


def leaves(net: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers of nested ``Sequential``s with their names, in the order of their computation."""
    if type(net).forward is not nn.Sequential.forward or "forward" in vars(net):
        yield name, net
        return
    for child, module in net._modules.items():
        yield from leaves(module, f"{name}.{child}" if name else child)
