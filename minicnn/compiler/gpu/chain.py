"""The dense layers that end a net, in one launch: forward, the loss, and what flows back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import ops
from minicnn.kernels import Array

from ..table import shapes
from .program import GpuLowering, Program, Value

IMAGES = 2  # that a block takes through all layers, as in kernels/gpu/chain.cu
CELLS = 3072  # that a block has for them in shared memory
# Every block reads all weights. A layer of which the blocks would read more does better alone.
WEIGHTS_READ = 8 << 20


@dataclass
class Link:
    """A layer of a chain: what it reads, its result, and how it gets from the one to the other.

    Attributes:
        weight: of a dense layer; None: a dropout.
        other: a dense layer's bias, or a dropout's key.
        rate: a dropout's p.
        dx: where the gradient with respect to x will lie, once the chain's launch is added.
    """

    x: Value
    y: Value
    weight: Array | None
    other: Array | None
    rate: float
    needs_dinput: bool
    dx: Array | None = None

    @property
    def flops(self) -> int:
        return 0 if self.weight is None else 2 * self.x.array.shape[0] * self.weight.size


class Chain:
    """Collects layers, the result of each being what the next one reads."""

    def __init__(self) -> None:
        self.links: list[Link] = []

    def add(
        self,
        layer: GpuLowering,
        x: Value,
        y: Value,
        weight: Array | None,
        other: Array | None,
        rate: float = 0.0,
    ) -> Link:
        """Add a layer: see ``Link``."""
        self.links.append(Link(x, y, weight, other, rate, layer.needs_dinput))
        return self.links[-1]

    def add_prediction(self, program: Program) -> None:
        """Add the launch that computes the results."""
        self._add(program, "dense_chain", "", (), sum(link.flops for link in self.links))

    def add_loss(self, program: Program, loss: tuple[Any, ...], choices: tuple[Any, ...]) -> Array:
        """Add the launch that computes losses and gradients too. Returns that by the result.

        loss, choices: what the kernel of the loss wants between and after logits and sizes.
        """
        for link in self.links:
            link.dx = program.value(link.x.shape).array if link.needs_dinput else None
        # what flows back through a layer costs as much as what went forward
        flops = sum(link.flops * (1 + link.needs_dinput) for link in self.links)
        dlogits = program.value(self.links[-1].y.shape).array
        labels, weight, settings, of_images = loss
        self._add(program, "dense_chain_loss", ", cross-entropy",
                  (labels, weight, settings, dlogits, of_images, *choices), flops)  # fmt: skip
        return dlogits

    def _add(
        self, program: Program, kernel: str, last: str, loss: tuple[Any, ...], flops: int
    ) -> None:
        links, rows, begin = self.links, [], 0
        for link in links:
            (k,), (o,), end = link.x.shape, link.y.shape, begin + _room(link.x)
            arrays = link.weight, link.other, link.y.array, link.dx
            addresses = map(program.address, arrays)
            rows.append([*addresses, k, o, begin, end, link.y.kind, link.x.kind])
            begin = end
        # one begins where the last one ends: what it reads is the other's result
        name = ("Linear" if len(links) == 1 else f"{len(links)} dense layers") + last
        what = shapes(links[0].x.shape, *(link.y.shape for link in links))
        tables = (
            program.constant(rows, np.uint64),
            program.constant([link.rate for link in links], program.dtype),
        )
        blocks = max(1, -(-program.images // IMAGES))
        # passed, not literals: the table differs from net to net, the kernel does not
        passed = np.int32(len(links)), np.int32(begin + _room(links[-1].y)), program.n
        program.launch(kernel, name, what, blocks, links[0].x.array, *tables, *passed, *loss,
                       flops=flops)  # fmt: skip
        # what the kernel finds by addresses
        program.plan.launches[-1].bytes += sum(
            array.nbytes
            for link in links
            for array in (link.weight, link.other, link.y.array, link.dx)
            if array is not None
        )


def form_chain(lowerings: Sequence[GpuLowering], images: int) -> Chain | None:
    """Make a chain of the layers that end a net, as far back as a block has room for their cells.

    Returns None, and leaves the layers alone, where no dense layer can be in it.
    """
    members: list[GpuLowering] = []
    room = 0
    for number in range(len(lowerings), 0, -1):
        lowering = lowerings[number - 1]
        is_last = number == len(lowerings)
        if not _can_be_a_link(lowering, images) or (lowering.readers > 1 and not is_last):
            break
        if _is_computed(lowering):
            # on the way back gradients lie where the results did
            room += _rounded(lowering.stage.output_shape[0])
            if IMAGES * (room + _rounded(lowering.stage.input_shape[0])) > CELLS:
                break
        members.append(lowering)
        if lowering.stage.inputs != (number - 1,):
            break  # what comes before it in the list is not what it reads
    if not any(isinstance(m.stage.operation, ops.Linear) for m in members):
        return None
    chain = Chain()
    for member in members:
        member.chain = chain
    return chain


def _can_be_a_link(lowering: GpuLowering, images: int) -> bool:
    stage = lowering.stage
    if len(stage.input_shape) != 1 or len(stage.output_shape) != 1:
        return False
    if isinstance(stage.operation, ops.Linear):
        return stage.parameters[0].size * -(-images // IMAGES) <= WEIGHTS_READ
    return isinstance(stage.operation, ops.Dropout | ops.Reshape) or lowering.is_applied


def _is_computed(lowering: GpuLowering) -> bool:
    """Whether it is a link: flattening, and an activation of the layer before, are none."""
    return isinstance(lowering.stage.operation, ops.Linear | ops.Dropout)


def _room(value: Value) -> int:
    return _rounded(value.shape[0])


def _rounded(cells: int) -> int:
    """Up to a multiple of 4: a layer's cells begin where four can be read at once."""
    return -(-cells // 4) * 4
