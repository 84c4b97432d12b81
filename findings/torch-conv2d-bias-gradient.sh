#!/usr/bin/env bash
# PyTorch's gradient of a convolution's bias, in float32.
#
# One would guess: the bias is added at every place, so its gradient is a sum over the batch and the
#   map, and a sum of 200,704 numbers is taken in pieces, as Tensor.sum() does: right to 5 digits.
# What is so: on the CPU, on one thread, it is a running sum: one number after the other is added to
#   a float32. When all summands are 0.1, the sum of LeNet's first layer (256 images, 28 x 28 places)
#   is off by 2 in 1000; Tensor.sum() of the same numbers by 2.5 in a million. Random summands, whose
#   rounding errors go both ways, are off by 1e-5. More threads hide a part of it: each sums a part.
# Why it matters to a CNN engine: a gradient check against PyTorch in float32 fails where the engine
#   is the more exact one. Compare bias gradients in float64, and sum in pieces or in double.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cat > "$folder/program.py" <<'PROGRAM'
import platform

import numpy as np
import torch

print(f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}, "
      f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, one thread")
torch.manual_seed(0)
torch.set_num_threads(1)
images = torch.rand(256, 1, 28, 28)
weight = torch.randn(6, 1, 5, 5, requires_grad=True)
bias = torch.zeros(6, requires_grad=True)
y = torch.nn.functional.conv2d(images, weight, bias, padding=2)
dy = torch.full_like(y, 0.1)
y.backward(dy)

gradient = bias.grad[0].item()
exact = dy.double().sum((0, 2, 3))[0].item()
summed = dy.sum((0, 2, 3))[0].item()
running = float(np.cumsum(dy[:, 0].numpy().ravel())[-1])
print("The gradient of conv2d's bias is a running float32 sum:")
print(f"  bias.grad          {gradient:.4f}")
print(f"  a running sum      {running:.4f}")
print(f"  dy.sum((0, 2, 3))  {summed:.4f}")
print(f"  in float64         {exact:.4f}")
assert gradient == running, "it is no longer the running sum"
assert abs(gradient - exact) / exact > 1e-3, "it is no longer off"
assert abs(summed - exact) / exact < 1e-5, "Tensor.sum() is no longer right"
PROGRAM
"$folder/venv/bin/python" "$folder/program.py"
