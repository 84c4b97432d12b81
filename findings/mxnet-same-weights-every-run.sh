#!/usr/bin/env bash
# MXNet without a seed: what differs between two runs of one program.
#
# One would guess: initial weights and the order of the batches, as in PyTorch and TensorFlow.
# What is so: every process begins with the same weights. MXNet's own generator starts from seed 0;
#   only the order of the batches differs, for Gluon's RandomSampler draws it from NumPy's.
# Why it matters to a CNN engine: figures published as "so many runs" are then one draw of the
#   weights. The rendered MXNet runs of a LeNet chapter spread over 0.010 in their loss; runs that
#   draw their weights spread wider, and lie elsewhere, although both are right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q mxnet==1.9.1 numpy==1.23.5 requests==2.31.0 graphviz==0.8.4
cat > "$folder/program.py" <<'PROGRAM'
import sys

from mxnet import gluon, init, nd
from mxnet.gluon import nn

net = nn.Sequential()
net.add(nn.Conv2D(channels=6, kernel_size=5, in_channels=1), nn.Dense(10, in_units=3456))
net.initialize(init.Xavier())
nd.save(sys.argv[1], [parameter.data() for parameter in net.collect_params().values()])
print(list(gluon.data.RandomSampler(1000)))
PROGRAM
run() { "$folder/venv/bin/python" "$folder/program.py" "$folder/$1" 2>/dev/null >"$folder/$1.order"; }
run first && run second
"$folder/venv/bin/python" -c "
import platform, mxnet, numpy
print(f'Python {platform.python_version()}, mxnet {mxnet.__version__}, numpy {numpy.__version__}')"
cmp "$folder/first" "$folder/second"
echo "two runs of one program, no seed set: the same initial weights, byte for byte;"
if cmp -s "$folder/first.order" "$folder/second.order"; then
  echo "the same order of 1,000 samples too"; exit 1
fi
echo "another order of the 1,000 samples:"
cut -c 1-30 "$folder/first.order" "$folder/second.order"
