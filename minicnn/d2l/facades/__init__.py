"""The books' frameworks, as far as this engine carries their chapters: MXNet, PyTorch, TensorFlow.

A facade has a framework's names, and for each the engine does what the framework does. What
the engine cannot do has no name here, and an argument that it cannot honour is an error.

    installing.py   install() and uninstall(): whose module ``import torch`` finds
    modules.py      a module whose missing names say what there is
    arrays.py       operators, for an array that wraps a tensor
    helpers.py      the book's figures and batches, the same under each framework
    gluon/          mxnet, d2lzh and d2l.mxnet
    pytorch/        torch and d2l.torch
    keras/          tensorflow and d2l.tensorflow
"""
