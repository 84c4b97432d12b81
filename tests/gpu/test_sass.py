"""Instructions are counted as a GPU would issue them: kernels whose loops are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("cupy_backends.cuda.libs.nvrtc", reason="needs CuPy and NVRTC")
from tests.gpu.sass import assembly
from tests.gpu.sass.launches import Counted, Launch, chosen, counted

if assembly.nvdisasm() is None:
    pytest.skip("needs nvidia-cuda-nvdisasm", allow_module_level=True)

ROUNDS = """
#define ROUNDS(count) \\
    _Pragma("unroll 1") for (int round = 0; round < (count); round++) s = s * a[0] + 1.0f
"""
BLOCKS, THREADS = 3, 96
ARCHITECTURES = ["sm_75", "sm_90", "sm_120"]


def launch(name: str, code: str, *numbers: int, table: Any = (), threads: int = THREADS) -> Launch:
    n, m, d = (*numbers, 0, 0, 0)[:3]
    a, cells = np.zeros(BLOCKS * THREADS + 2, np.float32), np.array(table, np.int64)
    arguments = a, cells, np.int32(n), np.int32(m), np.int64(d)
    return Launch(name, code, (), (BLOCKS,), (threads,), arguments)


def kernel(name: str, body: str) -> str:
    """A kernel with this body, which may use s, t, the integers n, m, d and a table."""
    return (
        f'extern "C" __global__ void {name}(float* a, const long long* table, int n, int m,'
        " long long d) {\n"
        "    float s = a[1];\n    int t = blockIdx.x * blockDim.x + threadIdx.x;\n"
        f"    {body}\n    a[2 + t] = s;\n}}\n"
    )


def count(body: str, *numbers: int, architecture: str = "sm_90", **options: Any) -> Counted:
    code = ROUNDS + kernel("kernel", body)
    return counted(launch("kernel", code, *numbers, **options), architecture)


def rounds(per_thread: np.ndarray) -> float:
    """How often a warp goes round: as often as the thread that does it most; in the mean."""
    return float(per_thread.reshape(-1, 32).max(1).clip(0).mean())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_loop_is_counted_round_by_round(architecture: str) -> None:
    few, many = (count("ROUNDS(n);", n, architecture=architecture) for n in (5, 305))
    assert (few.of("FFMA"), many.of("FFMA")) == (5, 305)
    body = (many.instructions - few.instructions) / 300
    assert body == round(body)
    assert 4 <= body <= 8  # load, FFMA, add, compare, branch


T = np.arange(BLOCKS * THREADS)
N, M, D = -1003, 37, 5_000_000_017
EXPRESSIONS = {  # in C, and what it is for the thread T
    "t / m": T // M,
    "t % m": T % M,
    "(n - t) / m + 40": 40 - (T - N) // M,
    "(n - t) % m + 40": 40 - (T - N) % M,
    "(unsigned) t * 2654435761u / (unsigned) m % 50": T * 2654435761 % 2**32 // M % 50,
    "(d * t) / (d / 11) % 64": D * T // (D // 11) % 64,
    "(int) ((d * t) % m)": D * T % M,
    "(int) (d * t >> 29) & 63": D * T >> 29 & 63,
    "(t << 3 ^ n) & 63": (T << 3 ^ N) & 63,
    "min(t, m) + max(n, -t) + 300": np.minimum(T, M) + np.maximum(N, -T) + 300,
    "abs(n + 5 * t) / 20": abs(N + 5 * T) // 20,
    "__mulhi(t * 1234567, n * 123456) & 63": T * 1234567 * (N * 123456) >> 32 & 63,
    "t < m ? 3 : t > 2 * m && t != 80 ? 7 : 11": np.where(
        T < M, 3, np.where((T > 2 * M) & (T != 80), 7, 11)
    ),
    "d * t > 3 * d + m ? 9 : 4": np.where(D * T > 3 * D + M, 9, 4),
    "(t & 7) * m + (t >> 3) * 5 - 30": (T & 7) * M + (T >> 3) * 5 - 30,
    "(int) (((unsigned long long) t << 40) / (d + t) % 60)": (T << 40) // (D + T) % 60,
    "t % 7 * (t % 5)": T % 7 * (T % 5),
    "__popc(t * 2654435) + __clz(t + 1)": np.array(
        [bin(t * 2654435 % 2**32).count("1") + 32 - (t + 1).bit_length() for t in T.tolist()]
    ),
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_integers_are_computed(architecture: str) -> None:
    bodies = {f"of_{k}": f"ROUNDS({expression});" for k, expression in enumerate(EXPRESSIONS)}
    code = ROUNDS + "".join(kernel(*pair) for pair in bodies.items())
    for name, (expression, expected) in zip(bodies, EXPRESSIONS.items(), strict=True):
        counts = counted(launch(name, code, N, M, D), architecture)
        assert counts.doubtful == (), expression
        assert counts.of("FFMA") == rounds(expected), expression


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_switch_jumps_to_its_case(architecture: str) -> None:
    cases = " ".join(
        f"case {k}: a[9 + n] = {k}; ROUNDS(n + {k * k}); atomicAdd(a + {3 * k}, s); break;"
        for k in range(8)
    )
    body = f"switch ((t / 32 * 5 + m) % 8) {{ {cases} }}"
    counts = count(body, 2, 1, architecture=architecture)
    assert any(i.op == "BRX" for i in counts.kernel.instructions)
    case = (T // 32 * 5 + 1) % 8
    assert counts.of("FFMA") == rounds(2 + case**2)


def test_both_sides_of_a_branch_are_counted_where_threads_part() -> None:
    sides = "if (t % 64 < 40) { ROUNDS(7); } else { ROUNDS(m); }"
    first = T.reshape(-1, 32) % 64 < 40
    per_warp = 7 * first.any(1) + 11 * (~first).any(1)
    assert count(sides, 0, 11).of("FFMA") == np.mean(per_warp)


def test_threads_that_parted_meet_again() -> None:
    """What follows is counted once, not once a side; inside of a loop too."""
    parted = "for (int k = 0; k < n; k++) { if (t + k & 1) { ROUNDS(m); } ROUNDS(5); }"
    assert count(parted, 6, 2).of("FFMA") == 6 * (2 + 5)


def test_threads_that_leave_are_not_waited_for() -> None:
    some = "if (t % 32 >= n) return; ROUNDS(t % 32 + 1); __syncthreads(); ROUNDS(4);"
    assert count(some, 9).of("FFMA") == 9 + 4
    assert count(some, 0).of("FFMA") == 0


def test_a_block_of_fewer_threads_than_its_warps_have() -> None:
    assert count("ROUNDS(t % 40);", threads=40).of("FFMA") == np.mean([31, 39] * 3)


def test_what_the_host_put_into_memory_is_read() -> None:
    assert count("ROUNDS(table[2 * n]);", 1, table=[7, 8, 9]).of("FFMA") == 9


def test_a_branch_that_depends_on_data_is_reported() -> None:
    counts = count("if (s > 0) { ROUNDS(n); } else { ROUNDS(m); }", 30, 40)
    assert len(counts.doubtful) == 1
    assert counts.of("FFMA") == 70  # both sides


def test_a_division_of_floats_is_counted_without_its_last_resort() -> None:
    counts = count("s = a[n] / a[m];", 3, 5)
    assert counts.doubtful == ()
    assert any(i.op == "CALL" for i in counts.kernel.instructions)
    assert counts.of("CALL") == 0


BANKS = {  # the words that the threads 0 to 31 of a warp read: how long it takes
    "all[t]": 1,
    "all[2 * t]": 2,
    "all[3 * t]": 1,
    "all[7]": 1,
    "all[t / 8 * 32]": 4,
    "all[32 * t]": 32,
    "all[33 * t]": 1,
    "all[t % 5 < 2 ? 32 * t : 1]": 13,
    "((float2*)all)[t].x + ((float2*)all)[t].y": 2,
    "((float4*)all)[t].x * ((float4*)all)[t].y + ((float4*)all)[t].w": 4,
    "((float4*)all)[t / 16].x * ((float4*)all)[t / 16].y + ((float4*)all)[t / 16].w": 1,
}


def test_a_bank_of_shared_memory_serves_a_word_a_cycle() -> None:
    """Threads that want other words of the same bank wait for each other."""
    begin = "__shared__ __align__(16) float all[1100]; all[t] = s; __syncthreads();"
    bodies = {f"of_{k}": f"{begin} s += {read};" for k, read in enumerate(BANKS)}
    code = ROUNDS + "".join(kernel(*pair) for pair in bodies.items())
    for name, (read, expected) in zip(bodies, BANKS.items(), strict=True):
        counts = counted(launch(name, code, threads=32), "sm_90")
        assert counts.of("LDS") == counts.of("STS") == 1
        of_store = 1
        assert counts.cycles_of_banks.sum() - of_store == expected, read


def test_a_sample_has_a_block_of_every_part() -> None:
    blocks = chosen(1000, 7)
    assert (blocks // (1000 / 7)).astype(int).tolist() == list(range(7))
    assert chosen(5, 7).tolist() == [0, 1, 2, 3, 4]
