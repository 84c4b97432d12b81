#!/usr/bin/env bash
# Pixels divided by 255 on a GPU: NVRTC with -ftz=true, which is what CuPy passes.
#
# One would guess: flushing subnormal numbers to zero changes subnormal numbers. A division of float32 is
#   rounded correctly unless -prec-div=false or -use_fast_math asks for less; 1 / 255 to 255 / 255 are no
#   subnormal numbers.
# What is so: for GPUs from sm_100 on (Blackwell), the compiler makes of x / 255.0f a product by the rounded
#   reciprocal, if -ftz=true is given, even together with -prec-div=true. For sm_90 and older, and without
#   -ftz, it stays a division. 126 of the 256 values of a pixel then have another last digit.
# Why it matters to a CNN engine: the same net on the same pictures starts from other numbers on the newest
#   GPUs than on older ones and on the CPU, from one source and with the same options. Quotients by any
#   constant are affected. __fdiv_rn(x, 255.0f) stays a division.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q nvidia-cuda-nvrtc==13.5.37 numpy==2.4.6
cat > "$folder/program.py" <<'PROGRAM'
import ctypes
from pathlib import Path

import numpy as np
import nvidia

KERNEL = """
extern "C" __global__ void divide(const unsigned char* pixels, float* x) {
  x[threadIdx.x] = QUOTIENT;
}
"""
(library,) = [p for d in nvidia.__path__ for p in Path(d).rglob("libnvrtc.so*")]
nvrtc = ctypes.CDLL(str(library))
major, minor = ctypes.c_int(), ctypes.c_int()
nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
reciprocal = np.float32(1) / np.float32(255)
pixels = np.arange(256, dtype=np.float32)
other = int((pixels / np.float32(255) != pixels * reciprocal).sum())
print(f"NVRTC {major.value}.{minor.value}: what becomes of a division by 255, in PTX; "
      f"a product by the rounded 1 / 255 is another number for {other} of 256 pixels")
assert other == 126


def instruction(quotient, *options):
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    text = KERNEL.replace("QUOTIENT", quotient).encode()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, b"divide.cu", 0, None, None)
    words = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
    assert nvrtc.nvrtcCompileProgram(program, len(options), words) == 0
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, ptx)
    found = {line.split()[0] for line in ptx.value.decode().splitlines() if "0f3B808081" in line}
    if not found:
        found = {w for line in ptx.value.decode().splitlines() for w in line.split() if w.startswith("div.")}
    return " ".join(sorted(found))


PLAIN, NAMED = "pixels[threadIdx.x] / 255.0f", "__fdiv_rn(pixels[threadIdx.x], 255.0f)"
for architecture in ("sm_75", "sm_90", "sm_100", "sm_120"):
    arch = f"-arch={architecture}"
    flushed = instruction(PLAIN, arch, "-ftz=true", "-prec-div=true")
    kept, named = instruction(PLAIN, arch), instruction(NAMED, arch, "-ftz=true")
    print(f"{architecture}: x / 255.0f with -ftz=true -prec-div=true {flushed}, without {kept}; "
          f"__fdiv_rn with -ftz=true {named}")
    assert flushed.startswith("mul" if architecture in ("sm_100", "sm_120") else "div.rn")
    assert kept.startswith("div.rn") and named.startswith("div.rn")
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
