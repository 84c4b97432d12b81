"""The net's own parameters, as a compiled step reads and updates them."""

from __future__ import annotations

import numpy as np

from minicnn import optim
from minicnn.kernels import tiles

from .plan import Plan


class Parameters:
    """Copies the parameters into the plan's ``weights``, and takes the optimiser's steps.

    A net has its parameters in many small arrays; to visit each from Python takes longer than to
    compute. So the kernels get a table of addresses, kept up to date, since an array may be
    exchanged between two steps (``load_state_dict``, ``p.data = ...``). If one is not as a kernel
    wants it (contiguous, writable, of the plan's dtype), all are visited from Python after all.
    """

    def __init__(self, plan: Plan, weights: np.ndarray):
        self.weights = weights
        self.tensors = [tensor for tensor, _ in plan.parameters.values()]
        self.learn = [tensor.requires_grad for tensor in self.tensors]
        self.row_of = {number: row for row, number in enumerate(plan.parameters)}
        self.shapes = [tensor.shape for tensor in self.tensors]
        self.slices = [slice(at, at + tensor.size) for tensor, at in plan.parameters.values()]
        self.table: np.ndarray = np.zeros(len(self.tensors), tiles.PARAMETER)
        self.table["place"] = [part.start for part in self.slices]
        self.table["size"] = [tensor.size for tensor in self.tensors]
        self.arrays: list[np.ndarray | None] = [None] * len(self.tensors)
        self.velocities: list[np.ndarray | None] = [None] * len(self.tensors)
        self.are_plain = True

    def are_known(self) -> bool:
        """Whether all have the arrays that they had at the last ``take``, and learn as at first."""
        rows = zip(self.tensors, self.arrays, self.learn, strict=True)
        return all(p.data is array and p.requires_grad is learns for p, array, learns in rows)

    def take(self) -> None:
        """Copy all of them, as they are now."""
        for row, tensor in enumerate(self.tensors):
            if tensor.data is not self.arrays[row]:
                self.arrays[row] = tensor.data
                self.table[row]["address"] = self._address(row, tensor.data)
                self.are_plain = bool(self.table["address"].all())
        if self.are_plain:
            tiles.take(self.table, self.weights)
            return
        for row, tensor in enumerate(self.tensors):
            np.copyto(self.part_of(row, self.weights), tensor.data)

    def step(self, optimizer: optim.SGD, gradients: np.ndarray) -> None:
        """``optimizer.step()`` with gradients that lie as ``weights`` do."""
        learned = {
            i: row
            for i, p in enumerate(optimizer.params)
            if p.requires_grad and (row := self.row_of.get(id(p))) is not None
        }
        if not self.are_plain:
            for i, row in learned.items():
                optimizer.update(i, self.part_of(row, gradients))
            return
        if optimizer.momentum:
            for i, row in learned.items():
                self._find_velocity(optimizer, i, row)
        rows = [*learned.values()]
        table = self.table if len(rows) == len(self.table) else self.table[rows]
        tiles.update(table, gradients, *map(float, optimizer.settings()))

    def part_of(self, row: int, flat: np.ndarray) -> np.ndarray:
        """The part of a flat array that belongs to the parameter of this row, in its shape."""
        return flat[self.slices[row]].reshape(self.shapes[row])

    def _find_velocity(self, optimizer: optim.SGD, i: int, row: int) -> None:
        v, is_new = optimizer.velocity_of(i)
        assert v is not None  # with momentum there is one
        if v is not self.velocities[row]:
            if not self._address(row, v):
                v = optimizer.velocity[i] = np.array(v, order="C")
            self.velocities[row] = v
            self.table[row]["velocity"] = self._address(row, v)
        self.table[row]["is_new"] = is_new

    def _address(self, row: int, array: np.ndarray) -> int:
        """Where a kernel finds the array; 0 if that is not as it wants it."""
        is_plain = array.flags.carray and array.dtype == self.weights.dtype
        alike = array.shape == self.shapes[row]
        return int(array.ctypes.data) if is_plain and alike else 0
