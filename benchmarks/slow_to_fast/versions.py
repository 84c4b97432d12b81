"""All versions, in the order in which the page goes through them."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

from minicnn import kernels, ops, rungs

from . import conv, cuda, pool, tiles
from .version import Version, alone, shared

DIRECTIONS = {"conv": ("forward", "dW", "dX"), "max_pool": ("forward", "dX")}
VERSIONS = {
    "conv": [
        Version("loops", "the definition, in Python", conv.loops, once=True),
        Version("compiled", "the loops of the definition, compiled", conv.compiled_loops),
        Version("im2col", "columns and one matrix product, in NumPy",
                partial(conv.im2col, rungs.Im2col)),
        Version("eager", "im2col compiled, on threads: F.conv2d",
                partial(conv.im2col, ops.Conv2d)),
        Version("images", "16 images innermost, no columns",
                partial(conv.images_innermost, alone)),
        Version("threads", "a share of the tiles for each thread",
                partial(conv.images_innermost, shared)),
        Version("tiles", "sums in registers: minicnn.compile", tiles.conv),
        Version("cuda", "tiles, sizes as literals", cuda.conv, on_gpu=True),
    ],
    "max_pool": [
        Version("loops", "the definition, in Python", pool.loops, once=True),
        Version("numpy", "all windows at once, a cell at a time",
                partial(pool.by_operation, kernels.by_reference)),
        Version("compiled", "the loops of the definition, compiled", pool.compiled_loops),
        Version("eager", "no test inside the picture, threads: F.max_pool2d",
                partial(pool.by_operation, nullcontext)),
        Version("images", "16 images innermost, no branches",
                partial(pool.images_innermost, alone)),
        Version("threads", "a share of the tiles for each thread",
                partial(pool.images_innermost, shared)),
        Version("tiles", "four windows in registers: minicnn.compile", tiles.max_pool),
        Version("cuda", "a thread for each window", cuda.max_pool, on_gpu=True),
    ],
}  # fmt: skip
