"""The hot loops: plain arrays in, plain arrays out.

Three modules hold functions of the same names and signatures:

* ``reference``, for any array module, is written to be read: it says what a kernel means;
* ``cpu`` computes the same with compiled loops (Numba) on NumPy arrays, shared among threads;
* ``gpu`` computes the same in CUDA C on CuPy arrays.

``of(array)`` picks the module that fits an array. Layout everywhere: N images, C channels,
H rows, W columns, C-contiguous.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .arrays import Array, array_module, is_host
from .interrupts import held

if TYPE_CHECKING:
    from . import reference

    class Kernels:
        """What ``of`` gives, to a type checker: a module with the functions of ``reference``."""

        __name__: str
        adadelta = staticmethod(reference.adadelta)
        adam = staticmethod(reference.adam)
        avg_pool = staticmethod(reference.avg_pool)
        avg_pool_backward = staticmethod(reference.avg_pool_backward)
        class_indices = staticmethod(reference.class_indices)
        col2im = staticmethod(reference.col2im)
        conv2d = staticmethod(reference.conv2d)
        conv2d_dweight = staticmethod(reference.conv2d_dweight)
        conv2d_dx = staticmethod(reference.conv2d_dx)
        count_batch = staticmethod(reference.count_batch)
        im2col = staticmethod(reference.im2col)
        load_batch = staticmethod(reference.load_batch)
        matmul = staticmethod(reference.matmul)
        max_pool = staticmethod(reference.max_pool)
        max_pool_backward = staticmethod(reference.max_pool_backward)
        moments = staticmethod(reference.moments)
        norm_backward = staticmethod(reference.norm_backward)
        norm_sums = staticmethod(reference.norm_sums)
        normalise = staticmethod(reference.normalise)
        random_uniform = staticmethod(reference.random_uniform)
        reduce_losses = staticmethod(reference.reduce_losses)
        relu = staticmethod(reference.relu)
        relu_backward = staticmethod(reference.relu_backward)
        sgd = staticmethod(reference.sgd)
        sigmoid = staticmethod(reference.sigmoid)
        sigmoid_backward = staticmethod(reference.sigmoid_backward)
        softmax_cross_entropy = staticmethod(reference.softmax_cross_entropy)
        softmax_cross_entropy_backward = staticmethod(reference.softmax_cross_entropy_backward)
        sum_over = staticmethod(reference.sum_over)
        tanh = staticmethod(reference.tanh)
        tanh_backward = staticmethod(reference.tanh_backward)

    class HostKernels(Kernels):
        """``reference`` or ``cpu``."""

        get_num_threads = staticmethod(reference.get_num_threads)
        set_num_threads = staticmethod(reference.set_num_threads)


def of(array: Array) -> Kernels:
    """The module whose kernels fit ``array``: ``cpu`` for NumPy arrays, ``gpu`` for CuPy's.

    ``MINICNN_KERNELS=reference`` in the environment (or a missing Numba or threadpoolctl, or a
    Numba that is switched off by ``NUMBA_DISABLE_JIT=1``) chooses ``reference`` for NumPy arrays;
    ``MINICNN_KERNELS=cpu`` is the default. The choice is made once a process.
    """
    if _by_reference.get():
        return _import("reference")
    return host_kernels() if is_host(array) else _import("gpu")


_by_reference: ContextVar[bool] = ContextVar("by_reference", default=False)


@contextmanager
def by_reference() -> Iterator[None]:
    """Inside, ``of`` gives the reference kernels, so that nothing is compiled for small arrays."""
    token = _by_reference.set(True)
    try:
        yield
    finally:
        _by_reference.reset(token)


@functools.cache
def host_kernels() -> HostKernels:
    """The kernel set for NumPy arrays.

    Raises:
        ValueError: ``MINICNN_KERNELS`` is neither ``cpu`` nor ``reference``.
    """
    name = os.environ.get("MINICNN_KERNELS", "cpu")
    if name not in ("cpu", "reference"):
        raise ValueError(f"MINICNN_KERNELS is {name!r}; wanted 'cpu' or 'reference'")
    switched_off = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("0", "")
    missing = any(importlib.util.find_spec(name) is None for name in ("numba", "threadpoolctl"))
    if switched_off or missing:
        name = "reference"
    return _import(name)


def seconds_compiling() -> float:
    """How long this process has waited for kernels to be compiled, or loaded from disk."""
    jit = sys.modules.get(f"{__name__}.cpu.jit")  # not there before the first compiled kernel
    return 0.0 if jit is None else jit.seconds_compiling


@functools.cache
def _import(name: str) -> Any:
    with held():  # some packages swallow what is raised while they are imported
        return importlib.import_module(f"{__name__}.{name}")


__all__ = [
    "Array",
    "array_module",
    "by_reference",
    "host_kernels",
    "is_host",
    "of",
    "seconds_compiling",
]
