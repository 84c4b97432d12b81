"""tensorflow and d2l.tensorflow, on this engine.

Checked against TensorFlow 2.8.0 (the book's, with Keras 2) and 2.21.0 (with Keras 3.15.1).

    dtypes.py, arrays.py       tf.Tensor: what it is, prints and computes
    taping.py, gradients.py    when what is recorded; tf.Variable and tf.GradientTape
    making.py, shaping.py, functions.py, names.py    the functions of tf; draws.py: tf.random
    neural.py, windows.py      tf.nn, activations, initialisers; padding='same'
    layer.py, layers.py        tf.keras.layers; naming.py: conv2d, conv2d_1...
    models.py, training.py     Model and Sequential; compile, fit, evaluate, predict
    summaries.py               model.summary()
    losses.py, metrics.py, optimizers.py, callbacks.py
    pipelines.py, pictures.py  tf.data, tf.image and the data sets
    devices.py                 tf.device and strategies
    helpers.py                 d2l.tensorflow
    mistakes.py                what to write instead
"""

from __future__ import annotations

from minicnn.d2l.facades.keras.table import modules

__all__ = ["modules"]
