"""The emulator: right kernels give right results in any order, wrong ones are noticed."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest

from tests.gpu import emulator, sanitizer
from tests.gpu.emulator import CompileError, LaunchError, Library

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")

ORDERS = range(6)
F32, I32 = np.float32, np.int32

TEXT = """
#ifndef REAL
#define REAL float
#endif
typedef REAL real;

// columns[(i, j), (oh, ow)] = x_padded[oh + i, ow + j]; K x K window, padding 1
extern "C" __global__ void im2col(const real* __restrict__ x, real* columns, int H, int W, int K) {
    int OW = W + 3 - K, places = (H + 3 - K) * OW;
    for (int k = blockIdx.x * blockDim.x + threadIdx.x; k < K * K * places;
         k += gridDim.x * blockDim.x) {
        int tap = k / places, place = k % places;
        int h = place / OW + tap / K - 1, w = place % OW + tap % K - 1;
        columns[k] = h >= 0 && h < H && w >= 0 && w < W ? x[h * W + w] : real(0);
    }
}

__device__ __forceinline__ void meet(bool really) {
    if (really) __syncthreads();
}

template <bool SYNC>
__device__ void tree_sum(const real* x, real* y) {
    __shared__ real part[64];
    part[threadIdx.x] = x[blockIdx.x * 64 + threadIdx.x];
    meet(true);
    for (int away = 32; away > 0; away /= 2) {
        if (threadIdx.x < away) part[threadIdx.x] += part[threadIdx.x + away];
        meet(SYNC);
    }
    if (threadIdx.x == 0) y[blockIdx.x] = part[0];
}
extern "C" __global__ void sum(const real* x, real* y) { tree_sum<true>(x, y); }
extern "C" __global__ void sum_without_barrier(const real* x, real* y) { tree_sum<false>(x, y); }

// Every thread of a warp gets its sum.
extern "C" __global__ void warp_sums(const real* x, real* down, real* butterfly) {
    real a = x[threadIdx.x], b = a;
    for (int away = 16; away > 0; away /= 2) a += __shfl_down_sync(0xffffffffu, a, away);
    for (int bit = 16; bit > 0; bit /= 2) b += __shfl_xor_sync(0xffffffffu, b, bit);
    down[threadIdx.x] = __shfl_sync(0xffffffffu, a, 0);
    butterfly[threadIdx.x] = b;
}
extern "C" __global__ void next_lane(const real* x, real* y) {
    y[threadIdx.x] = __shfl_down_sync(0xffffffffu, x[threadIdx.x], 1);
}

extern "C" __global__ void early_exit(int alive) {
    if (threadIdx.x >= alive) return;
    __syncthreads();
}
extern "C" __global__ void two_barriers() {
    if (threadIdx.x % 2)
        __syncthreads();
    else
        __syncthreads();
}
extern "C" __global__ void warp_parted(int* y) {
    if (threadIdx.x < 16)
        y[threadIdx.x] = __shfl_down_sync(0xffffffffu, 1, 1);
    else
        __syncthreads();
}

extern "C" __global__ void shared_memory(real* y) {
    __shared__ real cell[2];
    y[blockIdx.x] = cell[1];
    if (blockIdx.x == 0) cell[1] = 1;
}

extern "C" __global__ void room(const real* x, real* y, int begin) {
    extern __shared__ real cell[];
    int k = threadIdx.x, last = blockDim.x - 1;
    cell[begin + k] = x[k];
    __syncthreads();
    y[k] = cell[begin + last - k];
    y[last + 1] = cell[0];
}
extern "C" __global__ void __launch_bounds__(64) types(
    const unsigned char* bytes, // a comment, with a comma
    real* __restrict__ y,
    long long total, /* int old, */
    unsigned long long seed, double d, float f) { y[0] = bytes[0] + total + seed + d + f; }

extern "C" __global__ void count(unsigned int* n, real* y) {
    atomicAdd(n, 1u);
    atomicAdd(&y[blockIdx.y], real(0.5));
}
// Who comes first, second... before a barrier, and after it.
extern "C" __global__ void ranks(int* n, int* before, int* after) {
    before[atomicAdd(&n[0], 1)] = threadIdx.x;
    __syncthreads();
    after[atomicAdd(&n[1], 1)] = threadIdx.x;
}
extern "C" __global__ void extremes(real* y) {
    y[0] = max(y[0], real(1));
    y[1] = min(real(2), y[1]);
}

extern "C" __global__ void copy_next(const real* x, real* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i + 1];
}
"""


@pytest.fixture(scope="module")
def library() -> Library:
    return emulator.build(TEXT)


@pytest.mark.parametrize("order", ORDERS)
def test_indexing_as_in_a_convolution(library: Library, order: int) -> None:
    x = np.arange(12, dtype=F32).reshape(3, 4) + 1
    columns = np.full((4, 4 * 5), np.nan, F32)
    library.launch("im2col", (3,), (16,), (x, columns, I32(3), I32(4), I32(2)), order)
    padded = np.pad(x, 1)
    wanted = [padded[i : i + 4, j : j + 5].ravel() for i in range(2) for j in range(2)]
    np.testing.assert_array_equal(columns, wanted)


def sums(library: Library, kernel: str, order: int) -> tuple[np.ndarray, np.ndarray]:
    """What the kernel sums up, and what the sums are."""
    x = np.arange(3 * 64, dtype=F32)
    y = np.full(3, np.nan, F32)
    library.launch(kernel, (3,), (64,), (x, y), order)
    return y, x.reshape(3, 64).sum(axis=1)


@pytest.mark.parametrize("order", ORDERS)
def test_sum_through_shared_memory(library: Library, order: int) -> None:
    np.testing.assert_array_equal(*sums(library, "sum", order))


def test_a_missing_barrier_shows_in_some_order(library: Library) -> None:
    results = [sums(library, "sum_without_barrier", order) for order in ORDERS]
    right = [np.array_equal(*result) for result in results]
    assert right[1]  # backward every summand happens to be ready
    assert not all(right)


@pytest.mark.parametrize("order", ORDERS)
def test_sums_through_shuffles(library: Library, order: int) -> None:
    x = np.random.default_rng(order).integers(0, 99, 96).astype(F32)
    down, butterfly = np.zeros_like(x), np.zeros_like(x)
    library.launch("warp_sums", (1,), (96,), (x, down, butterfly), order)
    wanted = x.reshape(3, 32).sum(axis=1).repeat(32)
    np.testing.assert_array_equal(down, wanted)
    np.testing.assert_array_equal(butterfly, wanted)


def test_a_shuffle_gets_nan_from_a_lane_that_does_not_exist(library: Library) -> None:
    x, y = np.arange(40, dtype=F32), np.zeros(40, F32)
    library.launch("next_lane", (1,), (40,), (x, y))
    wanted = [*range(1, 32), 31, *range(33, 40), np.nan]  # 31: no lane after the last one
    np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("order", ORDERS)
def test_threads_that_part_at_a_barrier(library: Library, order: int) -> None:
    library.launch("early_exit", (1,), (40,), (I32(40),), order)
    with pytest.raises(LaunchError, match=r"^early_exit: divergent barrier: .*line.* has exited$"):
        library.launch("early_exit", (1,), (40,), (I32(39),), order)
    with pytest.raises(LaunchError, match=r"divergent barrier: .* line .*, .* line "):
        library.launch("two_barriers", (1,), (2,), (), order)


@pytest.mark.parametrize("order", ORDERS)
def test_deadlock(library: Library, order: int) -> None:
    with pytest.raises(LaunchError, match=r"deadlock: .* in the shuffle .*, .* at the barrier "):
        library.launch("warp_parted", (1,), (32,), (np.zeros(32, I32),), order)


def test_the_emulator_works_on_after_an_error(library: Library) -> None:
    with pytest.raises(LaunchError):
        library.launch("early_exit", (1,), (64,), (I32(1),))
    np.testing.assert_array_equal(*sums(library, "sum", 2))


def test_shared_memory_holds_nan_before_each_block(library: Library) -> None:
    y = np.zeros(3, F32)
    library.launch("shared_memory", (3,), (1,), (y,))
    assert np.isnan(y).all()


SWAP = """
#ifndef REAL
#define REAL float
#endif
__device__ inline void swap(void* y, int k) {
    __shared__ REAL cells[64];
    ((REAL*)y)[k] = cells[k];
    cells[k] = 1;
}
typedef REAL real;
extern "C" __global__ void look(real* y) { swap(y, threadIdx.x); }
"""


def test_shared_memory_is_a_librarys_own() -> None:
    """That of an inline function has one name in both dtypes, and two sizes."""
    for real in ("float32", "float64", "float32"):
        library, y = emulator.build(SWAP, real), np.zeros(64, real)
        for _ in range(2):
            library.launch("look", (1,), (64,), (y,))
            assert np.isnan(y).all(), real


def test_memory_of_the_launchs_size_is_shared(library: Library) -> None:
    x, y = np.arange(5, dtype=F32), np.zeros(6, F32)
    library.launch("room", (1,), (5,), (x, y, np.int32(1)), shared=24)
    np.testing.assert_array_equal(y, [4, 3, 2, 1, 0, np.nan])


def test_a_block_gets_no_more_shared_memory_than_a_gpu_has(library: Library) -> None:
    x, y = np.arange(5, dtype=F32), np.zeros(6, F32)
    with pytest.raises(LaunchError, match="room: 49153 bytes of shared memory; at most 49152"):
        library.launch("room", (1,), (5,), (x, y, np.int32(1)), shared=49_153)


def test_parameters_are_read_from_the_text(library: Library) -> None:
    read = [(p.name, p.c_type, p.is_pointer, p.is_constant) for p in library.signatures["types"]]
    assert read == [
        ("bytes", "unsigned char", True, True),
        ("y", "real", True, False),
        ("total", "long long", False, False),
        ("seed", "unsigned long long", False, False),
        ("d", "double", False, False),
        ("f", "float", False, False),
    ]
    assert library.signatures["two_barriers"] == []
    assert emulator.signatures(TEXT, "float64")["types"][1].dtype == np.float64


@pytest.mark.parametrize(
    "text",
    [
        "\n__global__ void f(int n) {}",  # not extern "C"
        'extern "C" __global__ void f(half* x) {}',
        'extern "C" __global__ void f(int** x) {}',
    ],
)
def test_other_kernels_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^line 2: wanted|^f: cannot read the parameter"):
        emulator.signatures(text)


GOOD: list[Any] = [np.array([3], np.uint8), np.zeros(1, F32), np.int64(1), np.uint64(2)]
GOOD += [np.float64(1.5), F32(0.25)]


def test_arguments_of_the_right_types(library: Library) -> None:
    library.launch("types", (1,), (1,), GOOD)
    assert GOOD[1] == 7.75


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bytes", np.array([3], np.int8)),
        ("bytes", 3),
        ("y", np.zeros(1)),
        ("y", np.zeros((2, 2), F32).T[0]),
        ("y", np.broadcast_to(F32(1), (1,))),  # read-only
        ("total", 1),
        ("total", I32(1)),
        ("total", np.ones(1, np.int64)),
        ("d", 1.5),
        ("f", np.float64(0.25)),
    ],
)
def test_arguments_of_other_types_are_named(library: Library, name: str, value: Any) -> None:
    names = ["bytes", "y", "total", "seed", "d", "f"]
    args = [value if name == other else good for other, good in zip(names, GOOD, strict=True)]
    with pytest.raises(TypeError, match=f"^types: argument '{name}' is .*; wanted a "):
        library.launch("types", (1,), (1,), args)


def test_another_number_of_arguments(library: Library) -> None:
    with pytest.raises(TypeError, match=r"^types: 5 arguments; wanted 6"):
        library.launch("types", (1,), (1,), GOOD[:5])


@pytest.mark.parametrize(
    ("grid", "block"),
    [
        ((0,), (1,)),
        ((1, 65536), (1,)),
        ((1,), (0,)),
        ((1,), (1025,)),
        ((1,), (1, 1, 65)),
        ((1,), (65,)),  # its __launch_bounds__ are 64
    ],
)
def test_sizes_that_cuda_refuses(library: Library, grid: Any, block: Any) -> None:
    with pytest.raises(LaunchError, match=r"^types: "):
        library.launch("types", grid, block, GOOD)


def test_grids_and_blocks_of_three_dimensions_and_atomics(library: Library) -> None:
    n, y = np.zeros(1, np.uint32), np.zeros(3, F32)
    library.launch("count", (2, 3, 4), (5, 2, 3), (n, y), order=3)
    assert n == 24 * 30
    np.testing.assert_array_equal(y, 0.5 * 8 * 30)


def test_orders_of_threads(library: Library) -> None:
    def turns(order: int) -> list[list[int]]:
        n, before, after = np.zeros(2, I32), np.zeros(8, I32), np.zeros(8, I32)
        library.launch("ranks", (1,), (8,), (n, before, after), order)
        return [before.tolist(), after.tolist()]

    assert turns(0) == [[*range(8)]] * 2
    assert turns(1) == [[*range(7, -1, -1)]] * 2
    drawn = [*turns(2), *turns(3)]
    assert all(sorted(turn) == [*range(8)] for turn in drawn)
    assert len({tuple(turn) for turn in drawn}) == 4
    assert turns(2) == drawn[:2]


def test_max_and_min_forget_nan_as_cuda_does(library: Library) -> None:
    y = np.full(2, np.nan, F32)
    library.launch("extremes", (1,), (1,), (y,))
    np.testing.assert_array_equal(y, [1, 2])


def test_real_can_be_double() -> None:
    x, y = np.arange(4.0) + 1e-12, np.zeros(3)
    library = emulator.build(TEXT, "float64")
    library.launch("copy_next", (1,), (4,), (x, y, I32(3)))
    np.testing.assert_array_equal(y, x[1:])


def test_errors_of_the_compiler_name_the_line() -> None:
    with pytest.raises(CompileError, match=r"kernels\.cu:2:.*nonsense"):
        emulator.build('\nextern "C" __global__ void f(int n) { nonsense; }')


def test_the_sanitizer_sees_a_read_out_of_bounds() -> None:
    x, y = np.arange(8, dtype=F32), np.zeros(7, F32)
    after = sanitizer.launch(TEXT, "copy_next", (1,), (8,), (x, y, I32(7)))
    np.testing.assert_array_equal(after[1], x[1:])
    with pytest.raises(sanitizer.SanitizerError, match="heap-buffer-overflow"):
        sanitizer.launch(TEXT, "copy_next", (1,), (8,), (x, np.zeros(8, F32), I32(8)))
