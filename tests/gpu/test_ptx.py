"""NVIDIA's PTX, executed: right kernels pass, each mistake is found, with threads and lines."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest

from tests.gpu import bugs, emulator, ptx, texts
from tests.gpu.emulator import LaunchError

pytestmark = pytest.mark.skipif(
    shutil.which("g++") is None or not ptx.is_there(), reason="needs g++, CuPy and NVRTC"
)

F32, I32 = np.float32, np.int32
HEAD = """#ifndef REAL
#define REAL float
#endif
typedef REAL real;
"""
KERNEL = (
    'extern "C" __global__ void {name}(real* x, real* y, const real* __restrict__ c, int n) {{\n'
)
RIGHT = {
    "barrier between": """
        __shared__ real cells[64];
        cells[threadIdx.x] = x[threadIdx.x];
        __syncthreads();
        y[threadIdx.x] = cells[63 - threadIdx.x];""",
    "warp's barrier between": """
        __shared__ real cells[64];
        cells[threadIdx.x] = x[threadIdx.x];
        __syncwarp();
        y[threadIdx.x] = cells[threadIdx.x ^ 31];
        __syncwarp();
        cells[threadIdx.x ^ 1] = 0;""",
    "atomic operations": "atomicAdd(&y[0], x[threadIdx.x]);",
    "neighbouring bytes": """
        ((unsigned char*)y)[blockIdx.x * blockDim.x + threadIdx.x] = 1;""",
    "one thread alone": "for (int i = 0; i < n; i++) if (threadIdx.x == 0) y[0] += x[i];",
    "the last block adds": """
        __shared__ bool is_last;
        int* counter = (int*)(y + 8);
        if (threadIdx.x == 0) {
            y[blockIdx.x] = x[blockIdx.x];
            __threadfence();
            is_last = atomicAdd(counter, 1) == gridDim.x - 1;
            __threadfence();
        }
        __syncthreads();
        if (is_last && threadIdx.x == 5) y[9] = y[0] + y[1];""",
    "as many as the launch says": """
        if (threadIdx.x < n) y[threadIdx.x] = tanh(x[threadIdx.x]) + exp(c[threadIdx.x]);""",
    "parted lanes": """
        int sum = 0;
        for (int i = 0; i < threadIdx.x % 7; i++) sum += i % 2 ? i : -i;
        sum = __shfl_xor_sync(0xffffffffu, sum, 3);
        switch (threadIdx.x % 5) {
            case 0: sum += 3; break;
            case 1: sum *= 5; break;
            case 3: sum -= n; break;
            default: sum = -sum;
        }
        if (blockIdx.x == 0) y[threadIdx.x] = sum;""",
}
WRONG = {
    "two blocks add": (
        "y[0] += x[threadIdx.x];",
        r"thread \(0, 0, 0\) of block \d \(line 6: y\[0\] \+= .*\) (reads|writes) y\[0\], which "
        r"thread \(0, 0, 0\) of block \d \(line 6: .*\) has written",
        1,
    ),
    "two threads write": ("y[threadIdx.x / 2] = x[0];", r"writes y\[\d+\], which thread", 2),
    "no barrier": (
        """
        __shared__ real cells[64];
        cells[threadIdx.x] = x[threadIdx.x];
        y[threadIdx.x] = cells[63 - threadIdx.x];""",
        r"line [89]: .*(reads|writes) shared memory at 0x\w+, which thread .*\(line [89]: ",
        64,
    ),
    "no barrier before the next round": (
        """
        __shared__ real cell;
        for (int i = 0; i < 2; i++) {
            if (threadIdx.x == 0) cell = x[i];
            __syncthreads();
            y[threadIdx.x] = cell;
        }""",
        r"line 9: .*writes shared memory .*\(line 11: .* has read",
        64,
    ),
    "a warp's barrier for two warps": (
        """
        __shared__ real cells[64];
        cells[threadIdx.x] = x[threadIdx.x];
        __syncwarp();
        y[threadIdx.x] = cells[63 - threadIdx.x];""",
        r"(reads|writes) shared memory .* which thread",
        64,
    ),
    "a shuffle is no barrier": (
        """
        __shared__ real cells[32];
        cells[threadIdx.x] = x[threadIdx.x];
        real other = __shfl_xor_sync(0xffffffffu, x[threadIdx.x], 1);
        y[threadIdx.x] = cells[threadIdx.x ^ 1] + other;""",
        r"reads shared memory .* has written",
        32,
    ),
    "the last block without a fence": (
        """
        int* counter = (int*)(y + 8);
        y[blockIdx.x] = x[blockIdx.x];
        if (atomicAdd(counter, 1) == gridDim.x - 1) y[9] = y[0] + y[1];""",
        r"reads y\[\d\], which thread .* has written",
        1,
    ),
    "an atomic operation and a plain one": (
        "if (blockIdx.x) atomicAdd(&y[0], 1); else y[0] = 1;",
        r"y\[0\], which thread",
        1,
    ),
    "one cell too far": (
        "if (blockIdx.x == 0) y[threadIdx.x + 1] = 0;",
        r"thread \(63, 0, 0\) of block 0 \(line 6: .*\) accesses 4 bytes outside of every array",
        64,
    ),
    "a wild address": ("*(real*)(n * 12345676ll) = 0;", "outside of every array", 1),
    "shared memory's end": (
        "__shared__ real cells[64]; cells[threadIdx.x + n] = 1; y[threadIdx.x] = cells[0];",
        "outside of every array",
        64,
    ),
    "another variable's memory": (
        """
        __shared__ real cells[32], others[64];
        cells[threadIdx.x] = others[threadIdx.x] = 1;
        __syncthreads();
        y[threadIdx.x] = cells[0] + others[n];""",
        r"line 8: .*accesses 4 bytes outside of every array",
        64,
    ),
    "two at an odd place": (
        "if (blockIdx.x == 0) *(float2*)(y + n) = make_float2(1, 2);",
        "accesses 8 bytes at an address that is no multiple of it",
        1,
    ),
    "constant, but written": (
        "if (blockIdx.x == 0) y[threadIdx.x] = __ldg(&y[threadIdx.x]) + 1;",
        r"touches y\[\d+\], which is read as constant and written",
        32,
    ),
    "threads part at a barrier": (
        "if (threadIdx.x < 40) __syncthreads();",
        "waits at a barrier, thread .* has ended",
        64,
    ),
    "two barriers": (
        """
        if (threadIdx.x < n) { __syncthreads(); y[threadIdx.x] = 1; }
        else { y[threadIdx.x] = 2; __syncthreads(); y[threadIdx.x] = 3; }""",
        "waits at a barrier, thread .* at another one",
        64,
    ),
    "a shuffle of lanes that left": (
        "if (threadIdx.x < 9) y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, x[threadIdx.x], 1);",
        "waits for other lanes for ever",
        32,
    ),
    "without an end": (
        "for (volatile real* at = y; *at == 0;) n++; y[1] = n;",
        "does not come to an end",
        1,
    ),
}  # fmt: skip


def library_of(body: str, name: str = "wrong", architecture: str = "sm_90") -> ptx.Library:
    return ptx.build(f"{HEAD}{KERNEL.format(name=name)}{body}\n}}", "float32", architecture)


def launch(library: emulator.Library, threads: int, blocks: int = 2, order: int = 0) -> Any:
    """x: 64 numbers, y: 64 zeros, c: 64 more; n: 3."""
    x, y = np.linspace(-2, 2, 64, dtype=F32), np.zeros(64, F32)
    name = next(iter(library.signatures))
    library.launch(name, (blocks,), (threads,), (x, y, x.copy(), I32(3)), order)
    return x, y


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("what", RIGHT)
def test_right_kernels_pass(what: str, order: int) -> None:
    body = RIGHT[what]
    blocks = 2 if "block" in body or "atomic" in body else 1
    source = emulator.build(f"{HEAD}{KERNEL.format(name='right')}{body}\n}}")
    threads = 64 if "63" in body else 32
    ours, theirs = (
        launch(library, threads, blocks, order)[1]
        for library in (library_of(body, "right"), source)
    )
    np.testing.assert_allclose(ours, theirs, rtol=2e-6)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("what", WRONG)
def test_wrong_ones_are_named(what: str, order: int) -> None:
    body, message, threads = WRONG[what]
    with pytest.raises(LaunchError, match=f"^wrong: .*{message}"):
        launch(library_of(body), threads, 2, order)


TABLE = (
    'extern "C" __global__ void by_table(const unsigned long long* table, int n) {\n'
    "    ((float*)table[0])[threadIdx.x] = ((const float*)table[1])[threadIdx.x + n];\n}"
)


def test_addresses_in_a_table_lead_to_known_arrays_only(monkeypatch: pytest.MonkeyPatch) -> None:
    library = ptx.build(TABLE)
    x, y = np.arange(8, dtype=F32), np.zeros(8, F32)
    table = np.array([y.ctypes.data, x.ctypes.data], np.uint64)
    alive = [(a.ctypes.data, a.ctypes.data + a.nbytes) for a in (x, y)]
    monkeypatch.setattr(ptx, "reachable", [])
    known: Any = [lambda: alive]
    monkeypatch.setattr("tests.gpu.ptx.library.reachable", known)
    library.launch("by_table", (1,), (8,), (table, I32(0)))
    np.testing.assert_array_equal(y, x)
    with pytest.raises(LaunchError, match="outside of every array"):
        library.launch("by_table", (1,), (8,), (table, I32(1)))
    alive.pop(0)  # x has been freed
    with pytest.raises(LaunchError, match="outside of every array"):
        library.launch("by_table", (1,), (8,), (table, I32(0)))


def test_what_is_not_known_is_named() -> None:
    library = library_of('asm volatile("nanosleep.u32 1;");')
    with pytest.raises(
        ptx.UnknownError, match=r"wrong: PTX line \d+, 'nanosleep.u32 1': the opcode"
    ):
        launch(library, 1)


def test_a_wrong_source_is_a_compilers_error() -> None:
    with pytest.raises(emulator.CompileError, match="nonsense"):
        library_of("nonsense;")


def test_approximations_may_be_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """exp and tanh in float32 use the hardware's ex2 and rcp."""
    library = library_of("if (blockIdx.x == 0) y[threadIdx.x] = exp(x[threadIdx.x]);")
    x, near = launch(library, 64)
    monkeypatch.setattr("tests.gpu.ptx.machine.ULPS", 0)
    _, nearest = launch(library, 64)
    assert (near != nearest).any()
    np.testing.assert_allclose(near, np.exp(x.astype(float)), rtol=5e-7)


def test_subnormal_numbers_are_flushed() -> None:
    x, y = np.full(1, 1e-39, F32), np.ones(1, F32)
    body = "if (threadIdx.x == 0) y[0] = x[0] * 2;"
    for build, wanted in ((ptx.build, 0), (emulator.build, 2 * x[0])):
        library = build(f"{HEAD}{KERNEL.format(name='flush')}{body}\n}}")
        library.launch("flush", (1,), (1,), (x, y, x, I32(0)))
        assert y[0] == wanted


# The kernels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["sm_90", "sm_120"])
def test_all_kernels_are_right_and_free_of_races(architecture: str) -> None:
    """Those of a compiled step too, in float64: ``trial.py``."""
    assert bugs.trial(architecture, texts.everything()) == (None, sorted(texts.names()))
