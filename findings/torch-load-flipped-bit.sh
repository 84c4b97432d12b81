#!/usr/bin/env bash
# A flipped bit in a file of torch.save.
#
# One would guess: the file is a zip archive with a CRC-32 of each record, so torch.load refuses a
#   damaged one, as unzip and Python's zipfile do.
# What is so: torch.load does not look at the checksums. A flipped bit in the numbers is read as another
#   number, without a word; with mmap=True too.
# Why it matters to a CNN engine: a bad disk or a cut-off download that is filled with zeros gives a net
#   that computes something else. Compare the checksums first: zipfile.ZipFile(path).testzip() is None.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cat > "$folder/program.py" <<'PROGRAM'
import platform
import random
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch

print(f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}")
path = Path(sys.argv[1])
weights = torch.arange(1000, dtype=torch.float32)
torch.save({"w": weights}, path)
whole = path.read_bytes()

damaged = bytearray(whole)
damaged[whole.index(weights[500:510].numpy().tobytes()) + 2] ^= 0x40
path.write_bytes(damaged)
print("One bit of the number 500 is flipped:")
for mmap in (False, True):
    read = torch.load(path, weights_only=True, mmap=mmap)["w"]
    print(f"  torch.load(mmap={mmap}) reads {read[500].item():g}")
    assert read[500] != 500 and (read != weights).sum() == 1
print(f"  zipfile says that {zipfile.ZipFile(path).testzip()} is bad")
assert zipfile.ZipFile(path).testzip() is not None

dice, others = random.Random(5), 0
for _ in range(1000):
    content, bit = bytearray(whole), dice.randrange(8 * len(whole))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    try:
        read = torch.load(path, weights_only=True)["w"]
    except Exception:
        continue
    others += not torch.equal(read, weights)
print(f"1,000 files of {len(whole):,} bytes with one bit flipped anywhere: {others} are read as other "
      "numbers")
assert others > 500
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" "$folder/net.pt"
