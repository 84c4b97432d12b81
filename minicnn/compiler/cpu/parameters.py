"""The net's own parameters, as a compiled step reads and updates them."""

from __future__ import annotations

from operator import is_not

import numpy as np

from minicnn import optim
from minicnn.kernels.cpu.ready import Form
from minicnn.kernels.tiles import parameters as tiles
from minicnn.kernels.tiles.instruction import address_of, form_for, row_of, write

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
        self.kernels: dict[str, int] = {}  # the addresses of the optimisers' kernels
        self.update = row_of(tiles.Update)
        self.is_prepared = False
        self.rows: list[int] = []  # of the parameters that the optimiser changes
        self.chosen = self.table  # these rows
        self.settings = np.zeros(tiles.MOST_SETTINGS)

    def forms(self, optimizer: optim.Optimizer | None) -> list[Form]:
        """Of the kernel that updates the parameters."""
        return [] if optimizer is None else [self._form_of_update(optimizer)]

    def _form_of_update(self, optimizer: optim.Optimizer) -> Form:
        kernel = tiles.UPDATES[optimizer.kernel]
        return form_for(kernel, tiles.Update, self.weights.dtype, where=tiles.Places)

    def kernel_of(self, optimizer: optim.Optimizer) -> int:
        """The address of the kernel of the optimiser's step: from the disk, or compiled now."""
        if optimizer.kernel not in self.kernels:
            self.kernels[optimizer.kernel] = address_of(self._form_of_update(optimizer))
        return self.kernels[optimizer.kernel]

    def are_known(self) -> bool:
        """Whether all have the arrays of the last ``look_up``, and learn as at first."""
        rows = zip(self.tensors, self.arrays, self.learn, strict=True)
        return all(p.data is array and p.requires_grad is learns for p, array, learns in rows)

    def fit(self) -> bool:
        """Whether all have the shape and dtype of the plan, and learn as at first."""
        dtype, rows = self.weights.dtype, zip(self.tensors, self.shapes, self.learn, strict=True)
        return all(
            p.shape == shape and p.dtype == dtype and p.requires_grad is learns
            for p, shape, learns in rows
        )

    def look_up(self) -> bool:
        """Find all of them, as they are now. Where no kernel can copy them (False), copy them.

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
        if not are_plain:
            self.copy()
        return are_plain

    def copy(self) -> None:
        """Copy all of them without a kernel."""
        for row, tensor in enumerate(self.tensors):
            np.copyto(self.part_of(row, self.weights), tensor.data)

    def prepare(self, optimizer: optim.Optimizer, gradients: np.ndarray) -> np.ndarray | None:
        """The row of the optimiser's step, an ``Update``; None if a kernel cannot take the step.

        gradients: they lie as ``weights`` do.
        """
        learned = self._learned(optimizer)
        rows = [*learned.values()]
        # one that the optimiser holds twice has two states, and its row has room for one
        self.is_prepared = self.are_plain and len(set(rows)) == len(rows)
        if not self.is_prepared:
            self.rows = []
            return None
        if optimizer.keeps_state:
            for i, row in learned.items():
                self._find_state(optimizer, i, row)
        if rows != self.rows:
            self._choose(rows, gradients)
        settings = optimizer.settings()
        self.settings[: len(settings)] = settings
        if len(self.chosen) < len(self.table):
            self.chosen[:] = self.table[rows]
        return self.update

    def _choose(self, rows: list[int], gradients: np.ndarray) -> None:
        """Write the row of an ``Update`` that changes these parameters only."""
        # they are independent of each other, so their order does not matter
        self.chosen = self.table if len(rows) == len(self.table) else self.table[rows]
        arrays = {"parameters": self.chosen, "gradients": gradients, "settings": self.settings}
        write(tiles.Update, self.update, **arrays)
        self.rows = rows

    def finish(self, optimizer: optim.Optimizer, gradients: np.ndarray) -> None:
        """After a step: count the changes, or if no kernel has taken it, ``optimizer.step()``."""
        if self.is_prepared:
            for row in self.rows:
                self.tensors[row].increment_version()
            return
        for i, row in self._learned(optimizer).items():
            optimizer.update(i, self.part_of(row, gradients))

    def _learned(self, optimizer: optim.Optimizer) -> dict[int, int]:
        """The row of each parameter that the step changes, by its number in the optimiser."""
        params, row_of = optimizer.params, self.row_of
        return {i: row_of[id(params[i])] for i in learned_by(optimizer, row_of)}

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
