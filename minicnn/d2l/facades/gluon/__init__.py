"""mxnet, d2lzh and d2l.mxnet, on this engine: both editions' MXNet, as of version 1.9.1.

A file for each subject; what all of them say to readers' mistakes stands in ``mistakes``.

    context.py          mx.cpu(), mx.gpu(), MXNetError
    autograd.py         record(), variables and their gradients
    arrays.py           what both arrays share; functions.py: what they compute
    nd_arrays.py nd.py  the first edition's NDArray; its functions
    np_arrays.py np.py  the second edition's ndarray; its functions; npx.py: npx.set_np()...
    parameters.py       Parameter: numbers that may come with the first batch
    init.py             Xavier, Uniform, Normal...
    blocks.py           Block, Sequential; names.py: how MXNet counts them
    layers.py pooling.py norm.py losses.py   the layers
    trainer.py          Trainer; optimizers.py: MXNet's formulas
    data.py             DataLoader, MNIST, ToTensor
    first_edition.py    d2lzh; second_edition.py: d2l.mxnet
    modules.py          the table of modules
"""

from .modules import modules

__all__ = ["modules"]
