"""PyTorch both ways: nets, and the weights that PyTorch saved.

``from_torch(module)``, ``to_torch(net)`` and ``load_state_dict(path)`` need PyTorch.
docs/exchange.md shows their use.
"""

from minicnn.exchange.torch.layers import from_torch, to_torch
from minicnn.exchange.torch.states import load_state_dict

__all__ = ["from_torch", "load_state_dict", "to_torch"]
