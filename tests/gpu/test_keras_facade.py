"""The TensorFlow facade with a GPU: what is made in its scope lies there, batches follow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minicnn import d2l


@pytest.fixture
def tf(cupy: Any) -> Iterator[Any]:
    d2l.install("tensorflow")
    yield sys.modules["tensorflow"]
    d2l.uninstall()


def trained(tf: Any, device: str) -> tuple[list[np.ndarray], float, str]:
    """Weights, loss and the kernel's device after two epochs, from the same start."""
    tf.random.set_seed(5)
    layers = tf.keras.layers
    with tf.distribute.OneDeviceStrategy(device).scope():
        net = tf.keras.Sequential(
            [
                layers.Conv2D(2, 3, padding="same", strides=2, activation="sigmoid"),
                layers.BatchNormalization(),
                layers.AvgPool2D(2, padding="same"),
                layers.Flatten(),
                layers.Dense(3),
            ]
        )
        net.compile(
            tf.keras.optimizers.SGD(0.1, momentum=0.9),
            tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(11, 9, 7, 1)).astype("float32"), rng.integers(0, 3, 11)
    history = net.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    assert net.evaluate(x, y, verbose=0, return_dict=True).keys() == {"loss", "accuracy"}
    return net.get_weights(), history["loss"][-1], net.layers[0].kernel.device


def test_a_net_made_in_the_scope_is_trained_on_the_gpu(tf: Any) -> None:
    assert next(iter(tf.config.list_physical_devices("GPU"))).name.endswith("GPU:0")
    weights, loss, device = trained(tf, "/GPU:0")
    assert device.endswith("device:GPU:0")
    wanted, wanted_loss, host = trained(tf, "/CPU:0")
    assert host.endswith("device:CPU:0")
    assert loss == pytest.approx(wanted_loss, rel=1e-5)
    for a, b in zip(weights, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_tensors_of_both_devices_are_computed_on_the_gpu(tf: Any) -> None:
    with tf.device("/GPU:0"):
        a = tf.Variable([1.0, -2.0])
    assert a.device.endswith("GPU:0")
    with tf.GradientTape() as tape:
        y = abs(a * tf.constant([2.0, 3.0]) - 1.0)
    assert y.device.endswith("GPU:0")
    np.testing.assert_array_equal(y.numpy(), [1, 7])
    gradient = tape.gradient(y, a)
    np.testing.assert_array_equal(gradient.numpy(), [2, -3])
    a.assign_sub(gradient)
    np.testing.assert_array_equal(a.numpy(), [-1, 1])
