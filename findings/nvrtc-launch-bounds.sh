#!/usr/bin/env bash
# __launch_bounds__ with one number, and with a second that seems to say nothing.
#
# One would guess: __launch_bounds__(256) and __launch_bounds__(256, 1) mean the same. The second number
#   is the least number of blocks that a multiprocessor is to hold, and less than one block is none.
# What is so: they give other machine code. Without the 1 the assembler looks for a number of blocks of
#   its own and shares the registers out for that: the product below, whose threads keep 8 x 8 sums each,
#   takes 128 registers with (256), and 96 with (256, 1) or without any bound.
# Why it matters to a CNN engine: direct convolutions and dense layers keep tiles of sums in registers, and
#   blocks of 256 threads are the usual launch. A bound that is meant to help the compiler costs a third
#   more registers here; in a larger kernel of ours it made it store registers to memory (spill), for an
#   occupancy that nobody had asked for, which (256, 1) does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q nvidia-cuda-nvrtc==13.5.37
cat > "$folder/program.py" <<'PROGRAM'
import ctypes
import re
from pathlib import Path

import nvidia

KERNEL = """
extern "C" __global__ void BOUND product(const float* a, const float* b, float* c, int n) {
  float sums[8][8] = {};
  for (int k = 0; k < n; k++) {
    float x[8], y[8];
    for (int q = 0; q < 8; q++) {
      x[q] = a[(k * 8 + q) * 256 + threadIdx.x];
      y[q] = b[(k * 8 + q) * 256 + threadIdx.x];
    }
    for (int q = 0; q < 8; q++)
      for (int r = 0; r < 8; r++) sums[q][r] += x[q] * y[r];
  }
  for (int q = 0; q < 8; q++)
    for (int r = 0; r < 8; r++) c[(q * 8 + r) * 256 + threadIdx.x] = sums[q][r];
}
"""
(library,) = [p for d in nvidia.__path__ for p in Path(d).rglob("libnvrtc.so*")]
nvrtc = ctypes.CDLL(str(library))
major, minor = ctypes.c_int(), ctypes.c_int()
nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
print(f"NVRTC {major.value}.{minor.value}: registers of a thread, by the assembler's own report")


def registers(bound, architecture):
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    text = KERNEL.replace("BOUND", bound).encode()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, b"product.cu", 0, None, None)
    options = (ctypes.c_char_p * 2)(f"-arch={architecture}".encode(), b"--ptxas-options=-v")
    assert nvrtc.nvrtcCompileProgram(program, 2, options) == 0
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    return int(re.search(r"Used (\d+) registers", log.value.decode())[1])


for architecture in ("sm_75", "sm_90", "sm_120"):
    bounds = ["", "__launch_bounds__(256)", "__launch_bounds__(256, 1)"]
    none, one, two = (registers(bound, architecture) for bound in bounds)
    print(f"{architecture}: no bound {none}, (256) {one}, (256, 1) {two}")
    assert one > two == none
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
