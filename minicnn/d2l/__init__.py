"""The helpers of *Dive into Deep Learning* on this engine, so that a reader can type along.

    import minicnn as torch
    from minicnn import d2l, nn

    train_iter, test_iter = d2l.load_data_fashion_mnist(batch_size=256)
    d2l.train_ch6(net, train_iter, test_iter, num_epochs=10, lr=0.9, device=d2l.try_gpu())

Names, arguments and printed lines are those of the LeNet chapters (A. Zhang, Z. C. Lipton, M. Li,
A. J. Smola; https://d2l.ai); the code is ours. ``train_ch5`` belongs to the first edition,
``train_ch6`` to the second; ``train_ch3`` trains the net of dense layers that LeNet is compared
with. Each function says where it differs from the book.

``install("mxnet")`` (``"pytorch"``, ``"tensorflow"``) goes further: from then on the book's own
cells run as they are printed, their imports included, on this engine.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from minicnn.d2l.batches import get_fashion_mnist_labels, load_data_fashion_mnist
from minicnn.d2l.counting import (
    Accumulator,
    Timer,
    accuracy,
    evaluate_accuracy,
    evaluate_accuracy_gpu,
    size,
)
from minicnn.d2l.curves import Animator
from minicnn.d2l.facades.installing import install, uninstall
from minicnn.d2l.names import complaint
from minicnn.d2l.pictures import show_images
from minicnn.d2l.training import (
    init_weights,
    sgd,
    train_ch3,
    train_ch5,
    train_ch6,
    train_epoch_ch3,
)
from minicnn.device import try_gpu
from minicnn.plots import pyplot

__all__ = [
    "Accumulator",
    "Animator",
    "Timer",
    "accuracy",
    "evaluate_accuracy",
    "evaluate_accuracy_gpu",
    "get_fashion_mnist_labels",
    "init_weights",
    "install",
    "load_data_fashion_mnist",
    "sgd",
    "show_images",
    "size",
    "train_ch3",
    "train_ch5",
    "train_ch6",
    "train_epoch_ch3",
    "try_gpu",
    "uninstall",
]

plt: Any  # Matplotlib's pyplot, loaded by the first ``d2l.plt``

if not TYPE_CHECKING:  # a type checker would take it for any name

    def __getattr__(name: str) -> Any:
        if name == "plt":
            return pyplot()
        raise AttributeError(complaint(name), name=name, obj=sys.modules[__name__])
