"""What readers do wrong in the TensorFlow cells, and what the message says to write: it works."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

X = np.random.default_rng(0).random((4, 28, 28, 1)).astype("float32")


def net(tf: Any) -> Any:
    layers = tf.keras.layers
    return tf.keras.Sequential([layers.Conv2D(2, 5), layers.Flatten(), layers.Dense(10)])


def test_pictures_with_the_channels_first(tf: Any) -> None:
    made = net(tf)
    made(X)
    first = X.transpose(0, 3, 1, 2)
    with pytest.raises(ValueError, match=r"write tf\.transpose\(X, \[0, 2, 3, 1\]\)"):
        made(first)
    made(tf.transpose(first, [0, 2, 3, 1]))
    with pytest.raises(ValueError, match="data_format is 'channels_first'"):
        tf.keras.layers.MaxPool2D(2, data_format="channels_first")


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_batch_with_the_channels_first_leaves_a_new_net_new(tf: Any, padding: str) -> None:
    layers = tf.keras.layers
    net = tf.keras.Sequential(
        [layers.Conv2D(6, 5, padding=padding), layers.AvgPool2D(2), layers.Flatten()]
    )
    X = tf.random.uniform((4, 1, 28, 26))
    answer = r"\(batch, height, width, channels\); channels come last: write tf.transpose\(X, \["
    with pytest.raises(ValueError, match=answer):
        net(X)
    assert net(tf.transpose(X, [0, 2, 3, 1])).shape[0] == 4
    assert [w.shape for w in net.get_weights()] == [(5, 5, 1, 6), (6,)]
    with pytest.raises(ValueError, match=r"an earlier batch had 1 channels: .* make a new net"):
        net(tf.random.uniform((4, 28, 26, 3)))


def test_pictures_without_channels_or_batch(tf: Any) -> None:
    with pytest.raises(ValueError, match=r"expected min_ndim=4, found ndim=3.*X\[tf.newaxis\]"):
        net(tf)(X[0])
    net(tf)(X[0][tf.newaxis])
    net(tf)(tf.reshape(X[:, :, :, 0], (-1, 28, 28, 1)))


def test_fit_before_compile(tf: Any) -> None:
    made, y = net(tf), np.array([0, 3, 9, 1])
    with pytest.raises(RuntimeError, match=r"You must compile your model.*net\.compile\("):
        made.fit(X, y)
    made.compile(
        optimizer="sgd",
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    made.fit(X, y, verbose=0)


def test_one_hot_rows_for_a_sparse_loss(tf: Any) -> None:
    losses = tf.keras.losses
    logits, rows = net(tf)(X), tf.one_hot([0, 3, 9, 1], 10)
    sparse = losses.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.raises(ValueError, match=r"CategoricalCrossentropy, or tf\.argmax\(y, axis=1\)"):
        sparse(rows, logits)
    other = losses.CategoricalCrossentropy(from_logits=True)(rows, logits)
    assert float(sparse(tf.argmax(rows, axis=1), logits)) == pytest.approx(float(other))
    with pytest.raises(ValueError, match=r"they are exchanged: write loss\(y, net\(X\)\)"):
        sparse(logits, tf.constant([0, 3, 9, 1]))
    with pytest.raises(ValueError, match="for class numbers use"):
        losses.CategoricalCrossentropy(from_logits=True)(tf.constant([0, 3, 9, 1]), logits)


@pytest.mark.parametrize(
    ("use", "advice"),
    [
        (lambda x: x.argmax(1), r"tf\.argmax\(x, axis=1\)"),
        (lambda x: x.asnumpy(), r"x\.numpy\(\)"),
        (lambda x: x.to("cpu"), "moved to the net's device by itself"),
        (lambda x: x.reshape(-1), r"tf\.reshape\(x, shape\)"),
        (lambda x: x.sum(), r"tf\.reduce_sum\(x\)"),
        (lambda x: x.backward(), r"tape\.gradient"),
        (lambda x: x.item(), r"float\(x\)"),
        (lambda x: x.assign(1.0), r"x = tf\.Variable\(x\)"),
    ],
)
def test_other_frameworks_names_of_arrays(use: Any, advice: str, tf: Any) -> None:
    with pytest.raises(AttributeError, match=f"EagerTensor object has no attribute.*{advice}"):
        use(tf.constant([[1.0]]))


@pytest.mark.parametrize(
    ("use", "advice"),
    [
        (lambda net: net.parameters(), "net.trainable_variables"),
        (lambda net: net.collect_params(), "net.trainable_variables"),
        (lambda net: net.initialize(), "kernel_initializer="),
        (lambda net: net.to("cuda"), "tf.device"),
        (lambda net: net.eval(), "training=False"),
        (lambda net: net.state_dict(), r"net.get_weights\(\)"),
        (lambda net: net.layers[0].weight, "layer.kernel"),
    ],
)
def test_other_frameworks_names_of_nets(use: Any, advice: str, tf: Any) -> None:
    with pytest.raises(AttributeError, match=f"object has no attribute.*{advice}"):
        use(net(tf))


def test_weights_before_shapes_are_known(tf: Any) -> None:
    made = net(tf)
    assert made.get_weights() == []
    with pytest.raises(ValueError, match=r"not yet been built.*net\.build\(\(None, 28, 28, 1\)\)"):
        made.summary()
    with pytest.raises(AttributeError, match=r"no attribute 'kernel'; write net\.build"):
        _ = made.layers[0].kernel
    with pytest.raises(ValueError, match=r"expecting 0 weights; .*net\.build"):
        made.set_weights([np.ones(3)])
    made.build((None, 28, 28, 1))
    assert made.layers[0].kernel.shape == (5, 5, 1, 2)


def test_a_tensor_is_written_into(tf: Any) -> None:
    x = tf.constant([1.0, 2.0])
    with pytest.raises(
        TypeError, match=r"does not support item assignment; write x = tf\.Variable"
    ):
        x[0] = 5.0
    x = tf.Variable(x)
    x[0].assign(5.0)
    np.testing.assert_array_equal(x, [5, 2])


def test_dtypes_are_mixed(tf: Any) -> None:
    a, b = tf.constant([1]), tf.constant([1.5])
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"int32 and a float32 tensor.*tf\.cast"
    ):
        a + b
    with pytest.raises(TypeError, match=r"Cannot convert 1\.5 to EagerTensor of dtype int32"):
        a + 1.5
    assert float(tf.cast(a, tf.float32) + b) == 2.5


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"verbose": 5}, "verbose is 5; wanted 0, 1, 2 or 'auto'"),
        ({"callbacks": [print]}, "wanted objects of tf.keras.callbacks.Callback"),
        ({"workers": 2}, r"fit: minicnn has no workers \(received 2\)"),
        ({"validation_split": 0.1}, "fit: minicnn has no validation_split"),
    ],
)
def test_arguments_of_fit(option: dict[str, Any], message: str, tf: Any) -> None:
    made = net(tf)
    made.compile("sgd", "mse")
    with pytest.raises((TypeError, ValueError), match=message):
        made.fit(X, np.zeros((4, 10)), **option)


def test_a_callback_that_was_not_made(tf: Any) -> None:
    made = net(tf)
    made.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"received History: write History\(\.\.\.\)"):
        made.fit(X, np.zeros((4, 10)), callbacks=[tf.keras.callbacks.History], verbose=0)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda tf: tf.keras.optimizers.SGD(0.1).step(), r"write optimizer\.apply_gradients\(zip"),
        (lambda tf: tf.keras.optimizers.SGD(0.1).zero_grad(), "leave it out"),
        (
            lambda tf: tf.keras.optimizers.SGD(0.1).apply_gradients([X]),
            r"received \w+; write zip\(gradients, net\.trainable_variables\)",
        ),
        (lambda tf: tf.keras.layers.MaxPool2D(2, stride=2), r"no stride .*; it has strides"),
        (lambda tf: tf.keras.layers.Conv2D(6, 5, padding=2), "padding is 2; wanted 'valid' or"),
        (lambda tf: tf.keras.layers.Dense(3, activation="gelu2"), "Unknown activation"),
        (lambda tf: tf.keras.layers.Dense(3, kernel_regularizer="l2"), "no kernel_regularizer"),
        (lambda tf: tf.keras.layers.Conv2D(channels=6, kernel_size=5), "filters"),
        (lambda tf: tf.keras.Sequential([tf.keras.layers.Flatten]), r"write Flatten\(\.\.\.\)"),
        (lambda tf: net(tf).compile("adagrad", "mse"), "wanted adadelta, adam, sgd"),
        (lambda tf: net(tf).compile("sgd", "hinge"), "Unknown loss: 'hinge'"),
        (lambda tf: tf.keras.layers.Dense(3)(tf.keras.Input((4,))), "functional API"),
        (lambda tf: tf.keras.Model(inputs=1, outputs=2), "functional API"),
        (lambda tf: tf.matmul([1.0, 2.0], [3.0, 4.0]), "wanted matrices"),
        (lambda tf: tf.reshape([1.0, 2.0, 3.0], (2, 2)), "3 values, but the requested shape"),
        (lambda tf: tf.constant([1.0, 2.0])[[0, 1]], r"tf\.gather"),
        (lambda tf: tf.device("gpu zero"), "wanted '/CPU:0' or '/GPU:0'"),
        (lambda tf: tf.log, r"write tf\.math\.log"),
        (lambda tf: tf.keras.layers.LSTM, "it has"),
    ],
)
def test_other_mistakes(write: Any, message: str, tf: Any) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError), match=message):
        write(tf)


def test_derivatives_of_derivatives(tf: Any) -> None:
    x = tf.Variable(2.0)
    with tf.GradientTape() as outer, tf.GradientTape() as inner:
        y = x * x
    assert float(outer.gradient(y, x)) == float(inner.gradient(y, x)) == 4
    with pytest.raises(RuntimeError, match=r"write tf\.GradientTape\(persistent=True\)"):
        inner.gradient(y, x)
    with tf.GradientTape():
        with tf.GradientTape() as inner:
            y = x * x
        with pytest.raises(NotImplementedError, match="first derivatives only"):
            inner.gradient(y, x)


def test_the_net_instead_of_the_function_that_makes_it(tf: Any) -> None:
    import d2l.tensorflow as d2l

    with pytest.raises(TypeError, match=r"write train_ch6\(net, \.\.\.\), without the parenth"):
        d2l.train_ch6(net(tf), [], [], 1, 0.1, d2l.try_gpu())


def test_a_devices_name_instead_of_the_device(tf: Any) -> None:
    import d2l.tensorflow as d2l

    with pytest.raises(TypeError, match=r"device is 'cpu'; wanted d2l\.try_gpu\(\)"):
        d2l.train_ch6(lambda: net(tf), [], [], 1, 0.1, "cpu")
    with pytest.raises(AttributeError, match=r"it is the first edition's; write d2l\.train_ch6"):
        _ = d2l.train_ch5


def test_no_epochs(tf: Any) -> None:
    import d2l.tensorflow as d2l

    with pytest.raises(ValueError, match="train_ch6: num_epochs is 0; wanted at least 1"):
        d2l.train_ch6(lambda: net(tf), [], [], 0, 0.1, d2l.try_gpu())
    with pytest.raises(ValueError, match="train_ch3: num_epochs is 0; wanted at least 1"):
        d2l.train_ch3(net(tf), [], [], None, 0, None)


def test_compile_without_an_optimizer(tf: Any) -> None:
    made, y = net(tf), np.array([[0.0], [3.0], [9.0], [1.0]])
    with pytest.raises(ValueError, match=r"optimizer is missing.*write compile\(optimizer='sgd'"):
        made.compile(loss="mse")
    made.compile(optimizer="sgd", loss="mse")
    made.evaluate(X, tf.ones((4, 10)) * y, verbose=0)


def test_no_examples(tf: Any) -> None:
    import d2l.tensorflow as d2l

    loss = tf.keras.losses.MeanSquaredError()
    for measure in (
        lambda: d2l.evaluate_accuracy(net(tf), []),
        lambda: d2l.evaluate_loss(net(tf), [], loss),
        lambda: d2l.train_epoch_ch3(net(tf), [], loss, tf.keras.optimizers.SGD()),
    ):
        with pytest.raises(ValueError, match="data_iter has no examples"):
            measure()
