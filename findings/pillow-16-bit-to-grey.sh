#!/usr/bin/env bash
# A grey PNG of 16 bits, converted to 8 bits by Pillow.
#
# One would guess: convert("L") scales, so that half grey stays half grey.
# What is so: it cuts off at 255. Of 65,536 levels all but the 255 darkest become white, in
#   convert("RGB") too; nothing is raised or warned of.
# Why it matters to a CNN engine: Image.open(path).convert("L") is how nearly every tutorial reads a
#   picture for prediction. A 16-bit scan is an empty white sheet to the net, which answers all the
#   same. The arrays (numpy.asarray(image)) are right: divide them by 65535.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pillow==13.0.0 numpy==2.4.6
cat > "$folder/program.py" <<'PROGRAM'
import io
import platform

import numpy as np
import PIL
from PIL import Image

print(f"Python {platform.python_version()}, Pillow {PIL.__version__}, numpy {np.__version__}")
levels = np.array([[0, 100, 255, 256, 16384, 32768, 49152, 65535]], np.uint16)
file = io.BytesIO()
Image.fromarray(levels).save(file, "PNG")
image = Image.open(file)
print("mode               ", image.mode)
print("16 bits            ", *np.asarray(image)[0])
print('convert("L")       ', *np.asarray(image.convert("L"))[0])
print('convert("RGB"), red', *np.asarray(image.convert("RGB"))[0, :, 0])
print("scaled             ", *(np.asarray(image)[0] / 257).round().astype(int))
assert np.asarray(image.convert("L"))[0, 4] == 255, "it scales now"
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
