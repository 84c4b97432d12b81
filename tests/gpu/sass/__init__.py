"""How many machine instructions a kernel takes, counted without a GPU.

``assembly`` has CUDA C compiled by NVRTC and taken apart by nvdisasm; ``warps`` goes through the
instructions as a GPU's warps would, as far as integers, predicates and branches go; ``meanings``,
``floats`` and ``memory`` say what these instructions do; ``launches`` knows what a training step
launches.
``python -m tests.gpu.floor`` prints the counts.
"""
