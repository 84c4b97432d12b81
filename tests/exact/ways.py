"""Ways to compute a case: what is set for it, and the results of the case there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, kernels, nn, optim
from minicnn.compiler.gpu import tiling
from minicnn.device import gpu_problem, to_device
from tests.exact.nets import Exact
from tests.exact.operations import Operation
from tests.gpu.general import general_form
from tests.gpu.pretend import standin_for_cupy
from tests.kernels.geometry import three_threads

LOSS = nn.CrossEntropyLoss(reduction="sum")

C = TypeVar("C", Exact, Operation)


class Setting(NamedTuple):
    """What is set.

    Attributes:
        kernels: "reference", "cpu", or "gpu": CUDA C in the emulator.
        by_image: convolutions lay out the columns of one image at a time.
        group: tiles of a group, at most, in a compiled step on the CPU.
        literal: a compiled step's sizes are written into its kernels on the GPU.
        room: cells of shared memory of a block there: little cuts pictures and kernels into pieces.
        order: of the threads there, as in ``tests.gpu.emulator``.
    """

    dtype: str = "float64"
    kernels: str = "cpu"
    threads: int = 1
    by_image: bool = False
    group: int = 1
    literal: bool = False
    room: int = tiling.ROOM
    order: int = 0

    @property
    def device(self) -> str:
        return "gpu" if self.kernels == "gpu" else "cpu"

    @contextmanager
    def made(self) -> Iterator[None]:
        """Inside, all is set so."""
        with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
            patch.setenv("MINICNN_KERNELS", "reference" if self.kernels == "reference" else "cpu")
            kernels.host_kernels.cache_clear()
            stack.callback(kernels.host_kernels.cache_clear)
            patch.setattr("minicnn.compiler.cpu.step.LARGEST_GROUP", self.group)
            patch.setattr("minicnn.compiler.cpu.engine.WORTH_A_THREAD", 1)
            if self.by_image:
                patch.setattr("minicnn.nn.functional.conv.CACHED_BYTES", 0)
            stack.enter_context(three_threads())  # and the least work is shared among them
            minicnn.set_num_threads(self.threads)
            if self.kernels == "gpu":
                stack.enter_context(self._on_gpu(patch))
            yield

    @contextmanager
    def _on_gpu(self, patch: pytest.MonkeyPatch) -> Iterator[None]:
        patch.setattr(tiling, "ROOM", self.room)
        with standin_for_cupy() as cupy, ExitStack() as stack:
            for cached in (gpu_problem, tiling.forward, tiling.dinput, tiling.dweight):
                cached.cache_clear()
                stack.callback(cached.cache_clear)
            if not self.literal:
                stack.enter_context(general_form())
            cupy.set_thread_order(self.order)
            yield
            cupy.set_thread_order(0)


class Way(NamedTuple):
    """How a case is computed."""

    compute: Callable[[Any, Setting], list[np.ndarray]]
    setting: Setting


# Single operations --------------------------------------------------------------------------------


def operated(case: Operation, setting: Setting) -> list[np.ndarray]:
    """y, the gradients of the parameters, the gradient of x."""
    return _operated(case, setting, [slice(None)])


def operated_in_parts(case: Operation, setting: Setting) -> list[np.ndarray]:
    """Three parts of the batch, whose gradients add up."""
    return _operated(case, setting, _parts(len(case.x)))


def _operated(case: Operation, setting: Setting, parts: list[slice]) -> list[np.ndarray]:
    device, module = setting.device, case.module(setting.dtype).to(setting.device)
    x, dy = (to_device(a.astype(setting.dtype), device) for a in (case.x, case.dy))
    leaf = Tensor(x, requires_grad=True)
    ys = [module(leaf[part]) for part in parts]
    for y, part in zip(ys, parts, strict=True):
        y.backward(dy[part])
    return [_joined(ys), *map(_gradient, (*module.parameters(), leaf))]


OPERATIONS = {
    "im2col, NumPy": Way(operated, Setting(kernels="reference")),
    "by image, NumPy": Way(operated, Setting("float32", kernels="reference", by_image=True)),
    "im2col, Numba": Way(operated, Setting("float32")),
    "im2col, Numba, 3 threads": Way(operated, Setting(threads=3)),
    "by image, Numba": Way(operated, Setting(by_image=True)),
    "by image, Numba, 2 threads": Way(operated, Setting("float32", threads=2, by_image=True)),
    "by image, Numba, 5 threads": Way(operated, Setting(threads=5, by_image=True)),
    "in parts, Numba, 3 threads": Way(operated_in_parts, Setting("float32", threads=3)),
}
OPERATIONS_ON_GPU = {
    "im2col, CUDA": Way(operated, Setting("float32", kernels="gpu")),
    "im2col, CUDA, in parts": Way(operated_in_parts, Setting(kernels="gpu", order=2)),
}

# Nets ---------------------------------------------------------------------------------------------


def eager(case: Exact, setting: Setting) -> list[np.ndarray]:
    """Logits, the gradients of the parameters, the gradient of the pictures."""
    return _eager(case, setting, [slice(None)])


def eager_in_parts(case: Exact, setting: Setting) -> list[np.ndarray]:
    """Three parts of the batch, whose gradients add up."""
    return _eager(case, setting, _parts(len(case.y)))


def _eager(case: Exact, setting: Setting, parts: list[slice]) -> list[np.ndarray]:
    net, (x, y) = case.net(setting.dtype, setting.device), case.batch(setting.dtype, setting.device)
    x.requires_grad = True
    logits = []
    for part in parts:
        logits.append(net(x[part]))
        LOSS(logits[-1], y[part]).backward()
    return [_joined(logits), *map(_gradient, (*net.parameters(), x))]


def compiled(case: Exact, setting: Setting, winograd: bool = False) -> list[np.ndarray]:
    """A compiled step, whose gradients lie in its engine."""
    net = case.net(setting.dtype, setting.device)
    step = minicnn.compile(net, LOSS, optim.SGD(net.parameters(), lr=0.0), winograd=winograd)
    _, logits = step(*case.batch(setting.dtype, setting.device))
    assert winograd == (", F(4" in str(step.plan))
    of = step.gradients()
    return [logits.numpy(), *(of[name].numpy() for name, _ in net.named_parameters())]


def compiled_at_points(case: Exact, setting: Setting) -> list[np.ndarray]:
    """By Winograd's algorithm, in float64: what it leaves to rounding is taken away."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minicnn.compiler.cpu.form.WORTH", 100)
        ours = compiled(case, setting, winograd=True)
    whole = [np.rint(a / case.unit) * case.unit for a in ours]
    for a, b in zip(ours, whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=case.unit / 100)
    return whole


def predicted(case: Exact, setting: Setting) -> list[np.ndarray]:
    """Up to 8 images go one by one, with pixels in the lanes; more as in a step."""
    predict = minicnn.compile(case.net(setting.dtype, setting.device), winograd=False)
    return [predict(case.batch(setting.dtype, setting.device)[0]).numpy()]


NETS = {
    "the reference kernels": Way(eager, Setting(kernels="reference")),
    "eager": Way(eager, Setting("float32")),
    "eager, 3 threads": Way(eager, Setting(threads=3)),
    "eager, in parts": Way(eager_in_parts, Setting("float32", threads=3)),
    "compiled": Way(compiled, Setting("float32")),
    "compiled, 3 threads": Way(compiled, Setting(threads=3)),
    "compiled, large groups": Way(compiled, Setting("float32", threads=2, group=4)),
    "predicted": Way(predicted, Setting("float32")),
    "predicted, 3 threads": Way(predicted, Setting(threads=3)),
}
ON_GPU = {
    "eager, CUDA": Way(eager, Setting("float32", "gpu")),
    "compiled, CUDA": Way(compiled, Setting("float32", "gpu")),
    "compiled, CUDA, little room": Way(compiled, Setting("float64", "gpu", room=300, order=2)),
    "compiled, CUDA, least room": Way(compiled, Setting("float64", "gpu", room=60, order=1)),
    "predicted, CUDA": Way(predicted, Setting("float32", "gpu", order=3)),
}
LITERAL = {
    "compiled, CUDA, sizes as literals": Way(compiled, Setting("float32", "gpu", literal=True)),
}
AT_POINTS = {
    "Winograd's": Way(compiled_at_points, Setting()),
    "Winograd's, 3 threads, large groups": Way(compiled_at_points, Setting(threads=3, group=4)),
}


def _parts(images: int) -> list[slice]:
    """Of a batch, none of them empty."""
    ends = sorted({0, math.ceil(images / 3), math.ceil(images / 2), images})
    return [slice(first, last) for first, last in pairwise(ends)]


def _joined(parts: list[Tensor]) -> np.ndarray:
    return np.concatenate([part.numpy() for part in parts])


def _gradient(p: Tensor) -> np.ndarray:
    assert p.grad is not None
    return p.grad.numpy()


def differing(way: Way, cases: Sequence[C]) -> tuple[int, list[str]]:
    """How many cases were computed so, and those whose results are not the loops', bit for bit."""
    seen, wrong, dtype = 0, [], way.setting.dtype
    with way.setting.made():
        for case in cases:
            if case.fits(dtype):
                seen += 1
                ours = way.compute(case, way.setting)
                wrong += [str(case)] if not are_equal(ours, case.results, dtype) else []
    return seen, wrong


def are_equal(ours: list[np.ndarray], results: list[np.ndarray], dtype: str) -> bool:
    """Bit for bit. A way may have the first of the results alone."""
    pairs = zip(ours, results, strict=False)
    return all(a.dtype == dtype and np.array_equal(a, b) for a, b in pairs)
