"""Matrix products in a compiled step on a GPU: what dense layers become, several in a launch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from minicnn.kernels import Array
from minicnn.kernels.arrays import NONE

from ..table import shapes
from .program import Program

FORWARD, DINPUT, DWEIGHT = range(3)  # what is done to a sum, as in kernels/gpu/linear.cu
ENOUGH = 256  # blocks of a launch that keep a GPU busy, with tiles as large as they can be
LONG = 512  # terms of a sum: only longer ones are split


@dataclass
class Product:
    """out(m, n) = the sum over k of a(m, k) b(k, n), and what becomes of it.

    Attributes:
        sizes: M, N, K.
        steps: how far apart are the cells of a along m and k, and those of b along k and n.
        what: FORWARD, DINPUT or DWEIGHT.
        extra: the bias; x, if it is an activation's result; dbias.
        kind: the activation of the result; of x.
        splits: into how many sums the sum over k is cut, each with a place in ``out``.
    """

    a: Array
    b: Array
    out: Array
    extra: Array | None
    sizes: tuple[int, int, int]
    steps: tuple[int, int, int, int]
    what: int
    kind: int = NONE
    splits: int = 1

    @property
    def flops(self) -> int:
        m, n, k = self.sizes
        return 2 * m * n * k

    @property
    def length(self) -> int:
        """Of a split: four neighbouring cells are in the same one."""
        return -(-self.sizes[2] // (4 * self.splits)) * 4

    def row(self, program: Program) -> tuple[int, ...]:
        """Its row in the table of products."""
        arrays = self.a, self.b, self.out, self.extra
        numbers = *self.sizes, *self.steps, self.length, self.what, self.kind
        return (*(program.address(a) for a in arrays), *numbers)

    def tiles(self, size: int) -> tuple[int, int]:
        """How many cover the result; dbias is one more column."""
        m, n, _ = self.sizes
        return -(-m // size), -(-(n + (self.what == DWEIGHT)) // size)

    def blocks(self, size: int) -> list[tuple[int, int, int]]:
        """The tile of each block, and its split."""
        across, along = self.tiles(size)
        return list(product(range(across), range(along), range(self.splits)))


def splits_of(rows: int, columns: int, length: int) -> int:
    """Into how many sums to cut those of a result that has too few tiles for a GPU."""
    tiles = -(-rows // 16) * -(-columns // 16)
    return max(1, min(ENOUGH // max(1, tiles), length // LONG))


def tile_of(products: list[Product]) -> int:
    """The size of the tiles of a launch: large ones read less, but there have to be enough."""
    return next((t for t in (64, 32) if sum(len(p.blocks(t)) for p in products) >= ENOUGH), 16)


def add_products(program: Program, name: str, what: str, products: list[Product]) -> None:
    """Add a launch that computes them all."""
    tile = tile_of(products)
    places = [(number, *block) for number, p in enumerate(products) for block in p.blocks(tile)]
    grid, places = max(1, len(places)), places or [(0, 0, 0, 0)]  # an empty batch has no tiles
    table = program.constant([p.row(program) for p in products], np.uint64)
    program.launch(f"dense_{tile}", name, what, grid, table, program.constant(places, np.int32),
                   flops=sum(p.flops for p in products))  # fmt: skip
    moved = {id(a): a.nbytes for p in products for a in (p.a, p.b, p.out, p.extra) if a is not None}
    program.plan.launches[-1].bytes = sum(moved.values())


def add_product(program: Program, name: str, what: str, it: Product) -> None:
    """Add a launch for a result, or for dx; a second one where its sums are split."""
    if it.splits == 1:
        add_products(program, name, what, [it])
        return
    y, is_backward = it.out, it.what == DINPUT
    # (splits, M, N): nobody adds to a cell that another block writes
    it.out = program.buffer(it.splits, *y.shape)
    add_products(program, name, what, [it])
    saved = it.extra if is_backward and it.extra is not None else y
    arrays = it.out, saved, y
    program.over_cells("dense_sum", name, what, y.size, arrays, it.splits, it.kind,
                       int(is_backward))  # fmt: skip


def add_pending(program: Program) -> None:
    """Add a launch for the gradients of weights that nobody has been in a hurry to compute."""
    products, program.pending = program.pending, []
    if products:
        name, last = "dense dweight, dbias", products[-1].sizes
        what = f"{len(products)} layers" if len(products) > 1 else shapes(last[:2])
        add_products(program, name, what, products)
