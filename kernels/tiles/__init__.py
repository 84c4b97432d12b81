"""The kernels of a compiled plan: a whole training step over tiles of 16 images.

**Layout.** A tile holds 16 images with the image innermost: cell (c, h, w) of its 16 images lies in
16 neighbouring places, so every loop over images is one vector instruction, whatever the kernel,
stride or picture. A group is as many tiles as stay in a core's cache; a thread takes a group
through all instructions of the plan, forward and backward, then the next. After the flattening a
group's activations are a matrix (features, images of the group).

**Instructions.** Each file declares instructions and, next to each, the kernel that executes it:

* ``product``: convolution, dense layer, and the gradients of both;
* ``pool``, ``activation`` (with dropout), ``norm``, ``loss``;
* ``move``: pictures into tiles, frames around them, tiles to a matrix and back;
* ``join``: sums of results, and results one after the other.

``instruction`` says how an instruction reaches its kernel, ``program`` executes a plan's list of
them, ``step`` shares a step among threads, ``parameters`` reads and updates the net's own arrays.
``lanes`` is a vector register, ``blocks`` a block of them, and ``sums`` what a sum over images
needs of one. The plan is made in ``minicnn.compiler.cpu``; ``docs/compile.md`` executes one by
hand.
"""
