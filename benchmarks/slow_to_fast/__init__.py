"""One kernel from slow to fast: versions of convolution and of max pooling, checked and timed.

``python -m benchmarks.slow_to_fast`` runs them; docs/slow-to-fast.md goes through them.

layer     the sizes of a layer, its arrays, layers to be checked on
conv      the versions of convolution: forward, dW, dX
pool      the versions of max pooling: forward, dX
layout    16 images innermost: how the later versions lay arrays out
tiles     one operation as the compiled step runs it
cuda      the kernels for a GPU, or their emulation where there is none
race      checks every version against the first, and times them in turn
picture   how long an image takes, drawn
"""
