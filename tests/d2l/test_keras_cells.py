"""Cells of the second edition's TensorFlow tab, in our own words; libraries under the facade."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.d2l.facades import helpers
from tests.d2l.few import SAMPLE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def d2l(tf: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The facade's ``d2l.tensorflow``, which reads the sample and leaves no figures."""
    monkeypatch.setattr(helpers, "dataset", SAMPLE)
    monkeypatch.setattr(helpers, "leave", lambda figure: None)
    from d2l import tensorflow

    return tensorflow


def test_lenet_is_trained_by_the_chapters_names(
    tf: Any, d2l: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = tf.keras.layers

    def net() -> Any:
        return tf.keras.models.Sequential(
            [
                layers.Conv2D(filters=6, kernel_size=5, activation="sigmoid", padding="same"),
                layers.AvgPool2D(pool_size=2, strides=2),
                layers.Conv2D(filters=16, kernel_size=5, activation="sigmoid"),
                layers.AvgPool2D(pool_size=2, strides=2),
                layers.Flatten(),
                layers.Dense(120, activation="sigmoid"),
                layers.Dense(10),
            ]
        )

    x = tf.random.uniform((1, 28, 28, 1))
    shapes = []
    for layer in net().layers:
        x = layer(x)
        shapes.append(f"{layer.__class__.__name__} {x.shape}")
    assert shapes == [
        "Conv2D (1, 28, 28, 6)", "AveragePooling2D (1, 14, 14, 6)", "Conv2D (1, 10, 10, 16)",
        "AveragePooling2D (1, 5, 5, 16)", "Flatten (1, 400)", "Dense (1, 120)", "Dense (1, 10)",
    ]  # fmt: skip
    train_iter, test_iter = d2l.load_data_fashion_mnist(batch_size=250)
    capsys.readouterr()
    trained = d2l.train_ch6(net, train_iter.take(2), test_iter.take(1), 2, 0.5, d2l.try_gpu())
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("loss 2.")
    assert ", train acc 0." in first
    assert second.endswith(" examples/sec on /CPU:0")
    accuracy = d2l.evaluate_accuracy(trained, test_iter.take(1))
    assert f"test acc {accuracy:.3f}" in first


def test_batches_are_cut_first_and_shuffled_then(tf: Any, d2l: Any) -> None:
    train_iter, test_iter = d2l.load_data_fashion_mnist(300)
    epochs = [{y.numpy().tobytes(): x for x, y in train_iter} for _ in range(2)]
    assert epochs[0].keys() == epochs[1].keys()  # the same batches
    assert list(epochs[0]) != list(epochs[1])  # in another order
    x, y = next(iter(test_iter))
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((300, 28, 28, 1), "float32", (300,), "int32")
    assert 0.9 < float(tf.reduce_max(x)) <= 1
    assert next(iter(d2l.load_data_fashion_mnist(7, resize=32)[0]))[0].shape == (7, 32, 32, 1)


def test_keras_own_data(tf: Any, d2l: Any) -> None:
    (x, y), (x_test, _) = tf.keras.datasets.fashion_mnist.load_data()
    assert (x.shape[1:], x.dtype, y.dtype, len(x_test)) == ((28, 28), np.uint8, np.uint8, 1000)
    rows = tf.keras.utils.to_categorical(y, 10)
    np.testing.assert_array_equal(rows.argmax(axis=1), y)
    with pytest.raises(AttributeError, match="no attribute 'output'; write x = layer"):
        _ = tf.keras.layers.Flatten().output


def test_channels_and_pooling_by_hand(tf: Any, d2l: Any) -> None:
    x = d2l.tensor([[[0.0, 1, 2], [3, 4, 5], [6, 7, 8]], [[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]])
    k = d2l.tensor([[[0.0, 1], [2, 3]], [[1.0, 2], [3, 4]]])
    both = tf.reduce_sum([d2l.corr2d(a, b) for a, b in zip(x, k, strict=True)], axis=0)
    np.testing.assert_array_equal(both, [[56, 72], [104, 120]])
    assert d2l.stack((k, k + 1, k + 2), 0).shape == (3, 2, 2, 2)
    pictures = d2l.reshape(d2l.arange(16, dtype=d2l.float32), (1, 4, 4, 1))
    pooled = tf.keras.layers.MaxPool2D(pool_size=[3, 3], padding="same", strides=2)(pictures)
    assert pooled.numpy().ravel().tolist() == [10, 11, 14, 15]


def test_softmax_regression_from_scratch(
    tf: Any, d2l: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = tf.Variable(tf.random.normal((784, 10), 0, 0.01))
    b = tf.Variable(tf.zeros(10))

    def net(x: Any) -> Any:
        return tf.nn.softmax(tf.matmul(tf.reshape(x, (-1, 784)), w) + b)

    def cross_entropy(y_hat: Any, y: Any) -> Any:
        return -tf.math.log(tf.reduce_sum(y_hat * tf.one_hot(y, 10), axis=1))

    train_iter, test_iter = d2l.load_data_fashion_mnist(100)
    before = d2l.evaluate_accuracy(net, test_iter)
    for _ in range(2):
        loss, _ = d2l.train_epoch_ch3(net, train_iter, cross_entropy, d2l.Updater([w, b], 0.1))
    assert loss < 1.5
    assert d2l.evaluate_accuracy(net, test_iter) > before + 0.3
    assert d2l.evaluate_loss(net, test_iter, cross_entropy) < 1.5


def test_the_same_with_keras(tf: Any, d2l: Any) -> None:
    net = tf.keras.models.Sequential()
    net.add(tf.keras.layers.Flatten(input_shape=(28, 28, 1)))
    net.add(tf.keras.layers.Dense(10))
    assert net.get_weights()[0].shape == (784, 10)  # built at once, as its input's shape is known
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainer = tf.keras.optimizers.SGD(learning_rate=0.1)
    train_iter, _ = d2l.load_data_fashion_mnist(100)
    first = d2l.train_epoch_ch3(net, train_iter, loss, trainer)
    second = d2l.train_epoch_ch3(net, train_iter, loss, trainer)
    assert second[0] < first[0]
    assert second[1] > first[1] > 0.3


LIBRARIES = """
from minicnn import d2l
d2l.install("tensorflow")
import tensorflow as tf
import matplotlib
matplotlib.use("agg")
import numpy as np
from d2l import tensorflow as d2l
from scipy import interpolate, optimize
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression

x = tf.linspace(0, 3, 40)  # float64: SciPy's steps are too fine for float32
line, = d2l.plt.plot(x, tf.exp(-x))
print(line.get_ydata()[0] == 1)
(rate,), _ = optimize.curve_fit(lambda x, a: np.exp(-a * x), x, tf.exp(-2 * x))
print(round(float(rate), 3))
print(round(float(interpolate.interp1d(x, x * x)(2.0)), 2))
points = tf.concat((tf.random.normal((30, 2)), tf.random.normal((30, 2)) + 9.0), 0)
labels = tf.concat((tf.zeros(30, tf.int32), tf.ones(30, tf.int32)), 0)
print(LogisticRegression().fit(points, labels).score(points, labels))
print(sorted(np.bincount(KMeans(2, n_init=1).fit(points).labels_)))
"""


@pytest.mark.long
def test_libraries_take_the_facades_tensors(tmp_path: Path) -> None:
    for name in ("scipy", "sklearn"):
        pytest.importorskip(name)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLCONFIGDIR": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", LIBRARIES], env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.splitlines()[1:]
    assert said == ["True", "2.0", "4.0", "1.0", "[np.int64(30), np.int64(30)]"]
