"""A compiled step on a GPU: the net's kernels with their buffers, replayed as one CUDA graph.

``lower`` turns each stage of the net into launches: those of ``conv``, ``linear`` and so on, with
the kernels of ``kernels/gpu/conv.cu``, ``linear.cu`` and so on. ``program`` collects the launches,
``engine`` runs them, ``step`` is what a user calls.

An activation is computed by the kernel before it, and on the way back its slope by the kernel
after it; a pooling is part of the convolution before it, whose work is cut up as ``tiling``
chooses; the dense layers that end a net are one launch with the loss (``chain``), the gradients
of their weights another (``products``). So LeNet's step is 9 launches. All buffers are allocated
once; learning rate, dropout keys and the sums of the epoch lie in device memory. The launches are
captured once for a batch size, and replayed with one call a step.
"""
