"""A compiled step on a GPU: the chain's kernels with their buffers, replayed as one CUDA graph.

The kernels are those of ``kernels/gpu/*.cu``. An activation is computed by the kernel before it,
and on the way back its slope by the kernel behind it, so LeNet's step is 18 launches. All buffers
are allocated once; learning rate, dropout keys and sums of the epoch lie in device memory; the
launches are captured once for each batch size and replayed with one call a step.
"""
