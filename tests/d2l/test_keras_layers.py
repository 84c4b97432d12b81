"""Keras' layers, losses and metrics, against what TensorFlow 2.8.0 gave (with Keras 2.8)."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest

from minicnn import d2l

SIZE = (2, 6, 7, 3)


def pictures() -> np.ndarray:
    return np.random.default_rng(0).normal(size=SIZE).astype("float32")


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "shape", "total", "check"),
    [
        (3, 1, "same", 1, (2, 6, 7, 4), 101.624, 1115.51),
        (3, 2, "same", 1, (2, 3, 4, 4), -11.537, 310.47),
        (3, (3, 1), "same", 1, (2, 2, 7, 4), 38.701, 370.21),
        (3, (3, 1), "valid", 1, (2, 2, 5, 4), 46.028, 267.7),
        ((2, 5), 1, "same", 1, (2, 6, 7, 4), -108.795, 1216.74),
        ((2, 5), 2, "same", 1, (2, 3, 4, 4), -55.815, 370.21),
        ((2, 5), 2, "valid", 1, (2, 3, 2, 4), -17.314, 170.86),
        (4, 1, "same", 1, (2, 6, 7, 4), -181.951, 1141.44),
        (4, (3, 1), "same", 1, (2, 2, 7, 4), -35.145, 388.96),
        (3, 1, "same", 2, (2, 6, 7, 4), 151.361, 1219.46),
    ],
)
def test_convolutions(
    kernel: Any,
    stride: Any,
    padding: str,
    dilation: int,
    shape: tuple[int, ...],
    total: float,
    check: float,
    tf: Any,
) -> None:
    x = pictures()
    layer = tf.keras.layers.Conv2D(
        4, kernel, strides=stride, padding=padding, dilation_rate=dilation
    )
    layer(x)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape).astype("float32") for w in layer.get_weights()])
    y = layer(x)
    assert y.shape == shape
    assert layer.kernel.shape[2:] == (3, 4)
    cells = y.numpy()
    assert float(cells.sum()) == pytest.approx(total, abs=2e-3)
    by_place = (
        cells * np.arange(cells.size).reshape(cells.shape) % 7
    )  # finds cells that changed places
    assert float(by_place.sum()) == pytest.approx(check, abs=0.02)


@pytest.mark.parametrize(
    ("kind", "window", "stride", "padding", "shape", "last", "total"),
    [
        ("AvgPool2D", 2, None, "same", (2, 3, 4, 3), -0.7955, -2.165),
        ("AvgPool2D", 3, 2, "same", (2, 3, 4, 3), -0.5513, 5.41),
        ("AvgPool2D", 3, 2, "valid", (2, 2, 3, 3), -0.482, 0.35),
        ("AvgPool2D", (2, 3), (2, 3), "same", (2, 3, 3, 3), -0.5513, 0.342),
        ("AvgPool2D", 4, 1, "same", (2, 6, 7, 3), -0.5513, 1.1),
        ("MaxPool2D", 2, None, "same", (2, 3, 4, 3), -0.1643, 63.685),
        ("MaxPool2D", 3, 2, "same", (2, 3, 4, 3), 0.7876, 101.905),
        ("MaxPool2D", 3, 2, "valid", (2, 2, 3, 3), 0.696, 53.139),
        ("MaxPool2D", 4, 1, "same", (2, 6, 7, 3), 0.7876, 417.794),
        ("MaxPool2D", (3, 2), 1, "same", (2, 6, 7, 3), -0.1643, 283.579),
    ],
)
def test_pooling(
    kind: str,
    window: Any,
    stride: Any,
    padding: str,
    shape: tuple[int, ...],
    last: float,
    total: float,
    tf: Any,
) -> None:
    y = getattr(tf.keras.layers, kind)(window, strides=stride, padding=padding)(pictures())
    assert y.shape == shape
    assert float(y[0, -1, -1, 0]) == pytest.approx(last, abs=1e-4)
    assert float(tf.reduce_sum(y)) == pytest.approx(total, abs=2e-3)


def test_the_same_frame_has_gradients(tf: Any) -> None:
    """Of odd frames, which the engine gets as padded pictures: against finite differences."""
    apart = np.random.default_rng(0).permutation(126) * 0.2  # no maximum changes within a step
    x = tf.Variable(apart.reshape(1, *SIZE[1:]).astype("float32"))
    step, direction = 1e-2, np.random.default_rng(2).normal(size=x.shape).astype("float32")
    for layer in (
        tf.keras.layers.Conv2D(2, (2, 4), strides=(2, 1), padding="same"),
        tf.keras.layers.AvgPool2D((3, 2), strides=2, padding="same"),
        tf.keras.layers.MaxPool2D((3, 2), strides=2, padding="same"),
    ):
        with tf.GradientTape() as tape:
            y = layer(x)
            places = np.arange(int(tf.size(y)), dtype="float32").reshape(y.shape)
            loss = tf.reduce_sum(y * places)
        slope = float(tf.reduce_sum(tape.gradient(loss, x) * direction))
        ends = [layer(x + s * step * direction).numpy().astype(float) for s in (1, -1)]
        wanted = ((ends[0] - ends[1]) * places).sum() / (2 * step)
        assert slope == pytest.approx(wanted, rel=0.01, abs=0.1)


def test_flatten_keeps_the_channels_of_a_pixel_together(tf: Any) -> None:
    layers = tf.keras.layers
    x = pictures()
    pooled = layers.MaxPool2D(1)(x)  # now held with the channels first
    for y in (layers.Flatten()(x), layers.Flatten()(pooled)):
        np.testing.assert_array_equal(y, x.reshape(2, -1))
    assert layers.Flatten()(tf.constant([1.0, 2.0])).shape == (2, 1)


def test_elements_keep_their_places_whatever_the_layout(tf: Any) -> None:
    x = pictures()
    held = tf.keras.layers.MaxPool2D(1)(x)
    for y, wanted in (
        (held + 1, x + 1),
        (held * x, x * x),
        (x - held, x - x),
        (held * tf.constant([1.0, 2.0, 3.0]), x * [1, 2, 3]),
        (tf.nn.relu(-held), np.maximum(-x, 0)),
        (held[1, 2:, :, 0], x[1, 2:, :, 0]),
        (tf.reduce_mean(held, axis=(1, 2)), x.mean(axis=(1, 2))),
        (tf.keras.layers.GlobalAvgPool2D()(held), x.mean(axis=(1, 2))),
        (tf.concat((held, x), 3), np.concatenate((x, x), 3)),
        (tf.keras.layers.Concatenate()([held, held * 2]), np.concatenate((x, 2 * x), 3)),
    ):
        np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-5, atol=1e-6)


def test_names_are_counted_as_keras_counts_them(tf: Any) -> None:
    layers = tf.keras.layers
    tf.keras.backend.clear_session()
    made = [
        layers.Conv2D(1, 1), layers.Conv2D(1, 1), layers.AvgPool2D(), layers.MaxPool2D(),
        layers.Flatten(), layers.Dense(1), layers.BatchNormalization(), layers.GlobalAvgPool2D(),
        tf.keras.Sequential(), layers.Dense(1, name="last"),
    ]  # fmt: skip
    assert [layer.name for layer in made] == [
        "conv2d", "conv2d_1", "average_pooling2d", "max_pooling2d", "flatten", "dense",
        "batch_normalization", "global_average_pooling2d", "sequential", "last",
    ]  # fmt: skip
    made[5](np.ones((1, 2)))
    assert made[5].kernel.name == "dense/kernel:0"
    assert layers.AvgPool2D.__name__ == "AveragePooling2D"


def test_weights_begin_as_in_keras(tf: Any) -> None:
    layer = tf.keras.layers.Conv2D(6, 5)
    layer.build((None, 28, 28, 1))
    kernel, bias = layer.get_weights()
    bound = math.sqrt(6 / (25 * 1 + 25 * 6))  # Glorot and Bengio's
    assert 0.9 * bound < abs(kernel).max() <= bound
    assert not bias.any()
    given = tf.keras.layers.Dense(
        3, kernel_initializer=tf.keras.initializers.Constant(2.0), bias_initializer="ones"
    )
    np.testing.assert_array_equal(given(np.ones((1, 4))), [[9, 9, 9]])
    drawn = tf.keras.initializers.HeNormal(seed=0)((50, 40, 3, 2)).numpy()
    assert drawn.std() == pytest.approx(math.sqrt(2 / (2000 * 3)), rel=0.03)


@pytest.mark.parametrize(
    ("shape", "trained", "later", "mean", "variance"),
    [
        (
            SIZE,
            [0.23185, -0.16219, 0.5959],
            [0.12681, -0.13233, 0.63964],
            [-0.001277, 0.000292, 0.000828],
            [1.002078, 0.999999, 0.998853],
        ),
        (
            (5, 3),
            [1.28325, -0.7778, 1.68252],
            [1.06701, -0.9189, 0.80848],
            [0.001259, 0.000917, -0.001386],
            [0.995361, 1.006963, 0.993133],
        ),
    ],
)
def test_batch_normalization(
    shape: tuple[int, ...],
    trained: list[float],
    later: list[float],
    mean: list[float],
    variance: list[float],
    tf: Any,
) -> None:
    """Of pictures the moving variance takes the unbiased one, of rows the biased one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=SIZE).astype("float32")
    if len(shape) == 2:
        x = rng.normal(size=shape).astype("float32")
    layer = tf.keras.layers.BatchNormalization()
    for training, wanted in ((True, trained), (False, later)):
        y = layer(x, training=training).numpy()
        np.testing.assert_allclose(y.ravel()[:3], wanted, atol=2e-5)
    np.testing.assert_allclose(layer.moving_mean, mean, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, variance, atol=1e-6)
    assert [w.name.split("/")[1] for w in layer.weights] == [
        "gamma:0", "beta:0", "moving_mean:0", "moving_variance:0",
    ]  # fmt: skip
    assert len(layer.trainable_weights) == 2


def test_dropout_drops_in_training_only(tf: Any) -> None:
    x = np.ones((40, 30), "float32")
    layer = tf.keras.layers.Dropout(0.25)
    np.testing.assert_array_equal(layer(x), x)
    kept = layer(x, training=True).numpy()
    assert set(np.round(kept.ravel(), 4)) == {0.0, np.float32(1.3333)}
    assert (kept == 0).mean() == pytest.approx(0.25, abs=0.06)
    net = tf.keras.Sequential([layer])
    np.testing.assert_array_equal(net(x), x)
    assert (net(x, training=True).numpy() == 0).any()
    assert (net(x, True).numpy() == 0).any()


def test_losses(tf: Any) -> None:
    losses = tf.keras.losses
    logits, y = tf.constant([[2.0, 1.0, 0.0], [0.0, 3.0, -1.0]]), tf.constant([0, 2])
    sparse = losses.SparseCategoricalCrossentropy
    p = tf.constant([[0.2, 0.5, 0.5], [1.0, 0.3, 0.5]])
    rows = tf.one_hot(y, 3)
    checked: list[tuple[Any, Any]] = [
        (sparse(from_logits=True)(y, logits), 2.236745),
        (sparse()(y, tf.nn.softmax(logits)), 2.236745),
        (sparse(from_logits=True, reduction="none")(y, logits), [0.407606, 4.065884]),
        (sparse(from_logits=True)([[0], [2]], logits), 2.236745),
        (sparse()(y, tf.constant([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])), 16.118095),
        (sparse()(y, p), 1.5363467),
        (losses.CategoricalCrossentropy()(rows, p), 1.5363467),
        (
            losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)(rows, logits),
            2.2034116,
        ),
        (losses.MeanSquaredError()([[1.0, 2.0]], [[3.0, 5.0]]), 6.5),
        (losses.MeanAbsoluteError()([[1.0, 2.0]], [[3.0, 5.0]]), 2.5),
    ]
    for loss, wanted in checked:
        np.testing.assert_allclose(loss, wanted, rtol=1e-6)


def test_probabilities_have_the_gradient_of_their_logits(tf: Any) -> None:
    y = tf.constant([0, 2])
    found = []
    for from_logits in (True, False):
        logits = tf.Variable([[2.0, 1.0, 0.0], [0.0, 3.0, -1.0]])
        with tf.GradientTape() as tape:
            scores = logits if from_logits else tf.nn.softmax(logits)
            loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits)(y, scores)
        found.append(tape.gradient(loss, logits).numpy())
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_metrics(tf: Any) -> None:
    metrics = tf.keras.metrics
    y, scores = tf.constant([0, 2, 1]), tf.constant([[2.0, 1, 0], [0, 3, -1], [0, 1, 0]])
    accuracy = metrics.SparseCategoricalAccuracy()
    accuracy.update_state(y, scores)
    accuracy.update_state(y[:1], scores[:1])
    assert (accuracy.name, float(accuracy.result())) == ("sparse_categorical_accuracy", 0.75)
    accuracy.reset_state()
    assert float(accuracy.result()) == 0
    assert float(metrics.CategoricalAccuracy()(tf.one_hot(y, 3), scores)) == pytest.approx(2 / 3)
    assert float(metrics.MeanSquaredError()([[1.0, 2.0]], [[3.0, 5.0]])) == 6.5
    mean = metrics.Mean()
    mean([1.0, 2.0])
    assert float(mean(6.0)) == 3


SUMMARY = """\
Model: "sequential"
_________________________________________________________________
 Layer (type)                Output Shape              Param #
=================================================================
 conv2d (Conv2D)             (None, 28, 28, 6)         156

 average_pooling2d (AverageP  (None, 14, 14, 6)        0
 ooling2D)

 flatten (Flatten)           (None, 1176)              0

 dense (Dense)               (None, 10)                11770

=================================================================
Total params: 11,926
Trainable params: 11,926
Non-trainable params: 0
_________________________________________________________________
"""


def test_a_summary_is_printed_as_by_keras(tf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    layers = tf.keras.layers
    tf.keras.backend.clear_session()
    net = tf.keras.models.Sequential(
        [
            layers.Conv2D(6, 5, padding="same"),
            layers.AvgPool2D(),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    net.build((None, 28, 28, 1))
    capsys.readouterr()
    net.summary()
    assert capsys.readouterr().out == SUMMARY


def test_weights_are_listed_layer_by_layer(tf: Any) -> None:
    layers = tf.keras.layers
    net = tf.keras.Sequential([layers.Dense(2), layers.BatchNormalization(), layers.Dense(1)])
    net.build((None, 3))
    assert [v.name.split("/")[1] for v in net.weights] == [
        "kernel:0", "bias:0", "gamma:0", "beta:0", "moving_mean:0", "moving_variance:0",
        "kernel:0", "bias:0",
    ]  # fmt: skip
    assert len(net.trainable_weights) == 6
    net.layers[0].trainable = False
    assert net.get_weights()[0].shape == (3, 2)
    assert len(net.trainable_weights) == 4


def test_activations(tf: Any) -> None:
    """Of -1 and 2."""
    activations: dict[str, list[float]] = {
        "elu": [-0.6321, 2], "softplus": [0.3133, 2.1269], "swish": [-0.2689, 1.7616],
        "sigmoid": [0.2689, 0.8808], "tanh": [-0.7616, 0.964], "softmax": [0.0474, 0.9526],
        "log_softmax": [-3.0486, -0.0486], "relu": [0, 2], "linear": [-1, 2],
    }  # fmt: skip
    for name, wanted in activations.items():
        y = tf.keras.layers.Activation(name)(tf.constant([[-1.0, 2.0]]))
        np.testing.assert_allclose(y.numpy()[0], wanted, atol=1e-4)


def test_layers_of_ones_own(tf: Any) -> None:
    class Scaled(tf.keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, start: float):
            super().__init__()
            self.start = start

        def build(self, input_shape: Any) -> None:
            self.factor = self.add_weight(
                name="w",
                shape=(input_shape[-1],),
                initializer=tf.keras.initializers.Constant(self.start),
            )

        def call(self, inputs: Any) -> Any:
            return inputs * self.factor

    class Net(tf.keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.parts = [Scaled(2.0), Scaled(3.0)]
            self.shift = tf.Variable(1.0)

        def call(self, inputs: Any) -> Any:
            for part in self.parts:
                inputs = part(inputs)
            return inputs + self.shift

    tf.keras.backend.clear_session()
    net, x = Net(), np.array([[1.0, -1.0]])
    with tf.GradientTape() as tape:
        y = net(x)
    np.testing.assert_array_equal(y, [[7, -5]])
    names = [v.name for v in net.trainable_variables]
    assert names == ["net/scaled/w:0", "net/scaled_1/w:0", "Variable:0"]  # a net's own come last
    first, second, shift = tape.gradient(y, net.trainable_variables)
    assert float(shift) == 2
    np.testing.assert_array_equal(first, [3, -3])
    np.testing.assert_array_equal(second, [2, -2])
    net.parts[0].trainable = False
    assert len(net.trainable_variables) == 2
    assert len(net.get_weights()) == 3


def test_dropout_may_drop_everything(tf: Any) -> None:
    with tf.GradientTape() as tape:
        x = tf.Variable(tf.ones((2, 3)))
        y = tf.keras.layers.Dropout(1.0)(x, training=True)
    np.testing.assert_array_equal(y, np.zeros((2, 3)))
    np.testing.assert_array_equal(tape.gradient(y, x), np.zeros((2, 3)))


def test_layers_are_counted_from_0_after_each_install(tf: Any) -> None:
    tf.keras.layers.Dense(1)
    d2l.uninstall()
    d2l.install("tensorflow")
    assert sys.modules["tensorflow"].keras.layers.Dense(1).name == "dense"
