"""The net's own parameters, as a compiled step reads and updates them."""

from __future__ import annotations

from operator import is_not

import numpy as np

from minicnn import optim
from minicnn.kernels.cpu.jit import compiled
from minicnn.kernels.cpu.ready import Form, form_of
from minicnn.kernels.cpu.threads import share
from minicnn.kernels.tiles import parameters as tiles

from ..accepted import learned_by
from .plan import Plan


class Parameters:
    """Copies the parameters into the plan's ``weights``, and takes the optimiser's steps.

    A net has its parameters in many small arrays; to visit each from Python takes longer than to
    compute. So the kernels get a table of addresses, kept up to date, since an array may be
    exchanged between two steps (``net.to(...)``, ``p.data = ...``). If one is not as a kernel wants
    it (contiguous, writable, of the plan's dtype), Python visits all of them.
    """

    def __init__(self, plan: Plan, weights: np.ndarray):
        self.weights, self.size = weights, plan.parameters_size
        self.tensors = [tensor for tensor, _ in plan.parameters.values()]
        self.learn = [tensor.requires_grad for tensor in self.tensors]
        self.shapes = [tensor.shape for tensor in self.tensors]
        self.slices = [slice(at, at + tensor.size) for tensor, at in plan.parameters.values()]
        self.row_of = {number: row for row, number in enumerate(plan.parameters)}
        self.table: np.ndarray = np.zeros(len(self.tensors), tiles.PARAMETER)
        self.table["place"] = [part.start for part in self.slices]
        self.table["size"] = [tensor.size for tensor in self.tensors]
        # the arrays whose addresses stand in the table: kept, so that none of them is freed
        self.arrays: list[np.ndarray | None] = [None] * len(self.tensors)
        self.states: list[list[np.ndarray]] = [[] for _ in self.tensors]
        self.are_plain = False
        self.compiled: set[str] = set()  # the optimisers' kernels that are ready

    def forms(self, optimizer: optim.Optimizer | None) -> list[Form]:
        """Of the kernels that read the parameters, and update them."""
        take = form_of(tiles.take, 0, 0, self.table, self.weights)
        return [take] if optimizer is None else [take, self._form_of_update(optimizer)]

    def _form_of_update(self, optimizer: optim.Optimizer) -> Form:
        self.compiled.add(optimizer.kernel)
        settings = map(float, optimizer.settings())
        return form_of(tiles.UPDATES[optimizer.kernel], 0, 0, self.table, self.weights, *settings)

    def are_known(self) -> bool:
        """Whether all have the arrays that they had at the last ``take``, and learn as at first."""
        rows = zip(self.tensors, self.arrays, self.learn, strict=True)
        return all(p.data is array and p.requires_grad is learns for p, array, learns in rows)

    def fit(self) -> bool:
        """Whether all have the shape and dtype of the plan, and learn as at first."""
        dtype, rows = self.weights.dtype, zip(self.tensors, self.shapes, self.learn, strict=True)
        return all(
            p.shape == shape and p.dtype == dtype and p.requires_grad is learns
            for p, shape, learns in rows
        )

    def take(self) -> None:
        """Copy all of them, as they are now.

        Raises:
            ValueError: one has another shape than the plan was made for.
        """
        are_plain = True
        for row, tensor in enumerate(self.tensors):
            array = tensor.data
            if array is not self.arrays[row]:
                self._find(row, array)
            are_plain = are_plain and array.flags.carray and array.dtype == self.weights.dtype
        self.are_plain = are_plain
        if are_plain:
            # threads share the places, not the parameters: one may hold nearly all numbers
            share(tiles.take, self.size, self.size, self.table, self.weights)
            return
        for row, tensor in enumerate(self.tensors):
            np.copyto(self.part_of(row, self.weights), tensor.data)

    def step(self, optimizer: optim.Optimizer, gradients: np.ndarray) -> None:
        """``optimizer.step()`` with gradients that lie as ``weights`` do."""
        if optimizer.kernel not in self.compiled:
            compiled(*self._form_of_update(optimizer))
        learned = {
            i: self.row_of[id(optimizer.params[i])] for i in learned_by(optimizer, self.row_of)
        }
        rows = [*learned.values()]
        # one that the optimiser holds twice has two states, and its row has room for one
        if not self.are_plain or len(set(rows)) < len(rows):
            for i, row in learned.items():
                optimizer.update(i, self.part_of(row, gradients))
            return
        if optimizer.keeps_state:
            for i, row in learned.items():
                self._find_state(optimizer, i, row)
        # the rows are independent of each other, so their order does not matter
        table = self.table if len(rows) == len(self.table) else self.table[rows]
        update, settings = tiles.UPDATES[optimizer.kernel], map(float, optimizer.settings())
        share(update, self.size, self.size, table, gradients, *settings)
        for row in rows:
            self.tensors[row].increment_version()

    def part_of(self, row: int, flat: np.ndarray) -> np.ndarray:
        """The part of a flat array that belongs to the parameter of this row, in its shape."""
        return flat[self.slices[row]].reshape(self.shapes[row])

    def _find(self, row: int, array: np.ndarray) -> None:
        if array.shape != self.shapes[row]:
            raise ValueError(
                f"compile: a parameter has the shape {array.shape} now; the plan was made for "
                f"{self.shapes[row]}"
            )
        self.table[row]["address"] = array.ctypes.data
        self.arrays[row] = array  # the last thing: from now on the row counts as known

    def _find_state(self, optimizer: optim.Optimizer, i: int, row: int) -> None:
        """Put the addresses of what the optimiser keeps for a parameter into the table."""
        state, self.table[row]["step"] = optimizer.state_of(i)
        known = self.states[row]
        if len(state) != len(known) or any(map(is_not, state, known)):
            addresses = [array.ctypes.data for array in state]
            # 0 for what the optimiser does not keep: Adam without amsgrad has no third
            self.table[row]["state"] = addresses + [0] * (3 - len(addresses))
            self.states[row] = state
