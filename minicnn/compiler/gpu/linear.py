"""The dense layer in a compiled step on a GPU: products, or a link of the last launch forward."""

from __future__ import annotations

from minicnn.kernels import Array

from ..record import CompileError
from ..table import shapes
from .chain import Link
from .products import (
    DINPUT,
    DWEIGHT,
    FORWARD,
    Product,
    add_product,
    add_products,
    splits_of,
)
from .program import GpuLowering, Program, Value


class GpuLinear(GpuLowering):
    """See ``ops.linear``. The gradients of all weights are computed together, late."""

    takes_activation = True
    link: Link

    def forward(self, program: Program, x: Value) -> Value:
        self.x, (w, b, has_bias) = x, self._parameters()
        if len(x.shape) != 1:
            raise CompileError("compile: wanted a dense layer after a flattening")
        (o, k), n = w.shape, program.images
        self.sizes = n, o, k
        y = program.value((o,), self.kind)
        if self.chain is not None:
            self.link = self.chain.add(self, x, y, w, b if has_bias else None)
            return y
        bias, splits = b if has_bias else None, splits_of(n, o, k)
        # w lies (O, K): along the sum, cells of both operands are neighbours
        it = Product(x.array, w, y.array, bias, (n, o, k), (k, 1, 1, k), FORWARD, self.kind, splits)
        add_product(program, self.title, shapes((k,), (o,)), it)
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        if any(self.learns):
            # nobody reads it before the update: it can wait for a launch that has to be made
            program.pending.append(self._dweight(program, dy))
        if self.chain is not None:
            return self.link.dx
        if not self.needs_dinput:
            return None
        (n, o, k), w, x, dx = self.sizes, self._parameters()[0], self.x, program.value(self.x.shape)
        # here the sum goes down the columns of w
        it = Product(
            dy, w, dx.array, x.array, (n, k, o), (o, 1, k, 1), DINPUT, x.kind, splits_of(n, k, o)
        )
        what = shapes((o,), (k,))
        if it.splits > 1:
            add_product(program, "dense dinput", what, it)
            return dx.array
        # this gradient is waited for: all others come along
        products, program.pending = [*program.pending, it], []
        name = "dense dinput" + ", dweight, dbias" * (len(products) > 1)
        add_products(program, name, what, products)
        return dx.array

    def _dweight(self, program: Program, dy: Array) -> Product:
        n, o, k = self.sizes
        splits, has_bias = splits_of(o, k + 1, n), len(self.stage.parameters) == 2
        dw, db = self._gradients(program, splits)  # the kernel computes both, wanted or not
        # both operands lie by image, and the sum is over images
        return Product(
            dy,
            self.x.array,
            dw,
            db if has_bias else None,
            (o, k, n),
            (1, o, k, 1),
            DWEIGHT,
            splits=splits,
        )
