#!/usr/bin/env bash
# tensorboardX: what is in the file after flush(), and after a second writer of the same folder.
#
# One would guess: flush() writes all that was added; two writers have two files.
# What is so: flush() does not wait for the queue from which a thread writes, so that what was added
#   just before is missing; and files are named by second and host alone, so that a writer opened in
#   the same second empties the file of the first.
# Why it matters to a CNN engine: a run that is killed after an epoch and resumed lacks that epoch.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q tensorboardX==2.6.5 numpy==2.4.6
cat > "$folder/program.py" <<'PROGRAM'
import platform
import sys
import time
from pathlib import Path

import tensorboardX
from tensorboardX import SummaryWriter

print(f"Python {platform.python_version()}, tensorboardX {tensorboardX.__version__}")
folder = Path(sys.argv[1])

missing = 0
for trial in range(20):
    writer = SummaryWriter(str(folder / f"flush-{trial}"))
    time.sleep(0.05)
    for step in range(5):
        writer.add_scalar("loss", step, step)
    writer.flush()
    (file,) = (folder / f"flush-{trial}").iterdir()
    missing += file.read_bytes().count(b"loss") < 5
    writer.close()
print(f"after flush() figures are missing in {missing} of 20 files")

time.sleep(1 - time.time() % 1)  # a second begins
for name in ("first", "second"):
    writer = SummaryWriter(str(folder / "same"))
    writer.add_scalar(name, 1.0, 1)
    writer.close()
files = list((folder / "same").iterdir())
kept = [name for name in ("first", "second") if any(name.encode() in f.read_bytes() for f in files)]
print(f"two writers in one second: {len(files)} file, with the figures of {kept}")
assert missing > 0
assert len(files) == 1 and kept == ["second"]
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" "$folder"
