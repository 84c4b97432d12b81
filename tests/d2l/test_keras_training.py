"""compile, fit, callbacks and optimisers, against what TensorFlow 2.8.0 gave (with Keras 2.8)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

BATCH, BATCHES = 16, 20

# The mean loss of the epoch after each of 20 batches, then accuracy of the epoch, loss and accuracy
# of the evaluation, and a few logits: LeNet of ``lenet`` below, from the same weights and pictures.
SGD = (
    [
        2.740679, 2.668218, 2.687487, 3.016595, 3.081191, 3.081517, 3.083374, 3.18074, 3.096154,
        3.046163, 2.97505, 2.919697, 2.875269, 2.848765, 2.810905, 2.785379, 2.773137, 2.745209,
        2.731162, 2.7178,
    ],
    0.095238, 2.369081, 0.12381, [-0.47005, 0.7831, 0.60827],
)  # fmt: skip
MOMENTUM = (
    [
        2.740679, 2.483868, 2.437764, 2.435118, 2.455435, 2.475335, 2.468303, 2.474417, 2.599587,
        2.607076, 2.61543, 2.591988, 2.589317, 2.647849, 2.65898, 2.645159, 2.673365, 2.68776,
        2.690592, 2.695252,
    ],
    0.107937, 2.645763, 0.111111, [-0.49627, -0.33762, 1.8622],
)  # fmt: skip
ADAM = (
    [
        2.740679, 2.560034, 2.557179, 2.576779, 2.599659, 2.583173, 2.578286, 2.527447, 2.554952,
        2.541344, 2.545393, 2.54042, 2.5279, 2.539963, 2.547642, 2.531452, 2.561339, 2.570651,
        2.576846, 2.577621,
    ],
    0.07619, 2.375854, 0.088889, [0.18219, -0.74139, -0.00452],
)  # fmt: skip


def lenet(tf: Any) -> Any:
    layers = tf.keras.layers
    return tf.keras.models.Sequential(
        [
            layers.Conv2D(6, 5, activation="sigmoid", padding="same"),
            layers.AvgPool2D(2, 2),
            layers.Conv2D(16, 5, activation="sigmoid"),
            layers.AvgPool2D(2, 2),
            layers.Flatten(),
            layers.Dense(120, activation="sigmoid"),
            layers.Dense(84, activation="sigmoid"),
            layers.Dense(10),
        ]
    )


@pytest.mark.parametrize(
    ("optimizer", "wanted"),
    [
        (lambda o: o.SGD(0.5), SGD),
        (lambda o: o.SGD(0.1, momentum=0.9), MOMENTUM),
        (lambda o: o.Adam(0.01), ADAM),
    ],
)
def test_lenet_is_trained_as_by_keras(optimizer: Any, wanted: Any, tf: Any) -> None:
    losses, accuracy, test_loss, test_accuracy, logits = wanted
    net = lenet(tf)
    net.build((None, 28, 28, 1))
    rng = np.random.default_rng(3)
    net.set_weights([rng.uniform(-0.3, 0.3, w.shape) for w in net.get_weights()])
    count = BATCHES * BATCH - 5  # the last batch is smaller
    x = rng.random((count, 28, 28, 1)).astype("float32")
    y = rng.integers(0, 10, count).astype("int32")
    net.compile(
        optimizer=optimizer(tf.keras.optimizers),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    seen: list[float] = []

    class Watch(tf.keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(logs["loss"])

    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)
    history = net.fit(batches, verbose=0, callbacks=[Watch()]).history
    np.testing.assert_allclose(seen, losses, rtol=1e-5)
    assert list(history) == ["loss", "accuracy"]
    assert history["loss"] == [pytest.approx(losses[-1], rel=1e-5)]
    assert history["accuracy"] == [pytest.approx(accuracy, abs=1e-6)]
    found = net.evaluate(batches, verbose=0, return_dict=True)
    assert found == pytest.approx({"loss": test_loss, "accuracy": test_accuracy}, rel=1e-4)
    assert net.evaluate(batches, verbose=0) == [found["loss"], found["accuracy"]]
    np.testing.assert_allclose(net.predict(x[:3], verbose=0)[0][:3], logits, atol=2e-4)


@pytest.mark.parametrize(
    ("make", "rates", "wanted"),
    [
        (lambda o: o.SGD(0.1), [None] * 6, [-0.091194, 0.182388]),
        (
            lambda o: o.SGD(0.1, momentum=0.9),
            [None, None, 0.01, None, 0.5, None],
            [-3.707876, 7.415752],
        ),
        (
            lambda o: o.SGD(0.1, momentum=0.9, nesterov=True),
            [None, None, 0.01, None],
            [0.298675, -0.597349],
        ),
        (lambda o: o.Adam(0.1), [None] * 6, [0.413001, -1.413202]),
        (lambda o: o.Adam(0.1, amsgrad=True), [None] * 6, [0.413001, -1.413202]),
        (lambda o: o.Adam(0.1, epsilon=0.1), [None] * 6, [0.758396, -1.668443]),
        (lambda o: o.Adadelta(1.0), [None] * 6, [0.986352, -1.986352]),
    ],
)
def test_optimisers(make: Any, rates: list[float | None], wanted: list[float], tf: Any) -> None:
    optimizer, w = make(tf.keras.optimizers), tf.Variable([1.0, -2.0])
    for i, rate in enumerate(rates, 1):
        if rate is not None:
            optimizer.learning_rate = rate
        optimizer.apply_gradients([(tf.constant([0.5, -1.0]) * i + w * 0.1, w)])
    np.testing.assert_allclose(w, wanted, rtol=1e-5)
    assert optimizer.iterations == len(rates)


def small(tf: Any, **options: Any) -> Any:
    """A compiled net of one layer, and data that it can learn."""
    tf.random.set_seed(0)
    net = tf.keras.Sequential([tf.keras.layers.Dense(3)])
    net.compile(
        "sgd",
        tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 70)
    return net, (np.eye(3)[y] + rng.normal(0, 0.1, (70, 3))), y


def test_arrays_are_cut_into_batches_of_32(tf: Any) -> None:
    net, x, y = small(tf)
    batches: list[int] = []
    watch = tf.keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batches.append(batch)
    )
    history = net.fit(x, y, epochs=4, verbose=0, callbacks=watch, validation_data=(x, y))
    assert batches == [0, 1, 2] * 4
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert history.epoch == [0, 1, 2, 3]
    assert history.history["val_loss"][-1] == pytest.approx(net.evaluate(x, y, verbose=0)[0])


def test_callbacks_are_called_in_order(tf: Any) -> None:
    net, x, y = small(tf)
    calls: list[str] = []

    class Log(tf.keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:  # as the book's, without super().__init__()
            self.name = "log"

    for name in ("train_begin", "epoch_begin", "epoch_end", "train_end"):

        def called(self: Any, *values: Any, name: str = name) -> None:
            calls.append(f"{name} {values[0] if name.startswith('epoch') else ''}".strip())

        setattr(Log, f"on_{name}", called)
    log = Log()
    net.fit(x, y, epochs=2, batch_size=70, verbose=0, callbacks=[log])
    assert calls == [
        "train_begin", "epoch_begin 0", "epoch_end 0", "epoch_begin 1", "epoch_end 1", "train_end",
    ]  # fmt: skip
    assert log.model is net
    assert log.params == {"verbose": 0, "epochs": 2, "steps": 1}


def test_what_verbose_prints(tf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    net, x, y = small(tf)
    capsys.readouterr()
    net.fit(x, y, epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[::2] == ["Epoch 1/2", "Epoch 2/2"]
    numbers = r"- loss: \d\.\d{4} - accuracy: [01]\.\d{4}"
    assert re.fullmatch(rf"3/3 - \d+s {numbers} - \d+m?s/epoch - \d+m?s/step", lines[1])
    net.evaluate(x, y)
    assert re.fullmatch(rf"3/3 \[={{30}}\] - \d+s \d+m?s/step {numbers}\n", capsys.readouterr().out)


def test_training_stops_and_its_rate_follows_a_schedule(tf: Any) -> None:
    net, x, y = small(tf)
    callbacks = tf.keras.callbacks
    rates: list[float] = []
    halved = callbacks.LearningRateScheduler(lambda epoch, rate: rate * (0.5 if epoch else 1))
    watch = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(float(net.optimizer.learning_rate))
    )
    stop = callbacks.EarlyStopping("accuracy", min_delta=2.0, patience=2)
    history = net.fit(x, y, epochs=9, verbose=0, callbacks=[halved, watch, stop])
    assert rates == pytest.approx([0.01, 0.005, 0.0025])
    assert len(history.epoch) == 3


def test_a_frozen_layer_stays(tf: Any) -> None:
    net, x, y = small(tf)
    layers = [tf.keras.layers.Dense(4, trainable=False), tf.keras.layers.Dense(3)]
    net = tf.keras.Sequential(layers)
    net.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    net.build((None, 3))
    before = net.get_weights()
    assert isinstance(net.train_on_batch(x, y), float)
    changed = [bool((a != b).any()) for a, b in zip(before, net.get_weights(), strict=True)]
    assert changed == [False, False, True, True]


def test_a_loop_of_ones_own_learns_a_kernel(tf: Any) -> None:
    """As the book learns an edge detector: gradients inside the tape, weights set as arrays."""
    x = np.ones((6, 8), np.float32)
    x[:, 2:6] = 0
    y = (x[:, :-1] - x[:, 1:]).reshape(1, 6, 7, 1)
    layer = tf.keras.layers.Conv2D(1, (1, 2), use_bias=False)
    x = tf.reshape(x, (1, 6, 8, 1))
    layer(x)
    for _ in range(40):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(layer.weights[0])
            loss = abs(layer(x) - y) ** 2
            step = tf.multiply(3e-2, tape.gradient(loss, layer.weights[0]))
            layer.set_weights([layer.weights[0] - step])
    np.testing.assert_allclose(layer.get_weights()[0].reshape(2), [1, -1], atol=0.05)


def test_callbacks_hear_of_validation_evaluation_and_prediction(tf: Any) -> None:
    net, x, y = small(tf)
    calls: list[str] = []
    names = ("begin", "end", "batch_begin", "batch_end")
    watch = tf.keras.callbacks.LambdaCallback(
        **{
            f"on_{phase}_{name}": lambda *values, called=f"{phase} {name}": calls.append(called)
            for phase in ("test", "predict")
            for name in names
        }
    )
    batches = ["batch_begin", "batch_end"] * 3
    test = [f"test {name}" for name in ("begin", *batches, "end")]
    net.fit(x, y, verbose=0, callbacks=[watch], validation_data=(x, y))
    assert calls == test
    net.evaluate(x, y, verbose=0, callbacks=[watch])
    assert calls == test * 2
    assert net.predict(x, verbose=0, callbacks=[watch]).shape == (70, 3)
    assert calls[len(test) * 2 :] == [f"predict {name}" for name in ("begin", *batches, "end")]


@pytest.mark.parametrize(
    ("kind", "first", "then"),
    [
        ("SGD", {"momentum": 0.9}, {"momentum": 0.0}),
        ("SGD", {"momentum": 0.9}, {"nesterov": True}),
        ("Adam", {}, {"beta_1": 0.1}),
        ("Adam", {}, {"beta_2": 0.1}),
        ("Adam", {}, {"epsilon": 0.1}),
        ("Adadelta", {}, {"rho": 0.1}),
        ("Adadelta", {}, {"epsilon": 0.1}),
    ],
)
def test_a_changed_setting_holds_from_the_next_step_on(
    kind: str, first: dict[str, Any], then: dict[str, Any], tf: Any
) -> None:
    """The second step is another one with the change; with the old setting it is the same again."""
    ends = []
    for change in ({}, then, {name: first[name] for name in then if name in first}):
        optimizer, w = getattr(tf.keras.optimizers, kind)(0.1, **first), tf.Variable([1.0])
        for grad in (3.0, 0.5):
            optimizer.apply_gradients([(tf.constant([grad]), w)])
            for name, value in change.items():
                setattr(optimizer, name, value)
        ends.append(float(w[0]))
    assert ends[0] == ends[2] != ends[1]


def test_momentum_that_is_taken_away(tf: Any) -> None:
    optimizer, w = tf.keras.optimizers.SGD(0.1, momentum=0.9), tf.Variable(1.0)
    optimizer.apply_gradients([(tf.constant(3.4), w)])
    optimizer.momentum = 0.0
    optimizer.apply_gradients([(tf.constant(2.92), w)])
    assert float(w) == pytest.approx(1 - 0.34 - 0.292)
