"""tf.Tensor, tf.Variable, tf.GradientTape and tf.data, against what TensorFlow 2.8.0 gave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Code = Callable[[Any], Any]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda tf: tf.constant([[1.0, 2.0], [3.0, 4.0]]),
            "<tf.Tensor: shape=(2, 2), dtype=float32, numpy=\n"
            "array([[1., 2.],\n       [3., 4.]], dtype=float32)>",
        ),
        (
            lambda tf: tf.constant([1, 2]),
            "<tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 2], dtype=int32)>",
        ),
        (lambda tf: tf.constant(3.0), "<tf.Tensor: shape=(), dtype=float32, numpy=3.0>"),
        (
            lambda tf: tf.Variable([1.0, 2.0]),
            "<tf.Variable 'Variable:0' shape=(2,) dtype=float32, "
            "numpy=array([1., 2.], dtype=float32)>",
        ),
        (lambda tf: tf.constant(1.0).dtype, "tf.float32"),
        (lambda tf: tf.zeros((1, 28, 3)).shape, "TensorShape([1, 28, 3])"),
        (lambda tf: (3, *tf.zeros(2).shape), "(3, 2)"),
        (lambda tf: (1,) + tf.zeros((2, 5)).shape + (1,), "TensorShape([1, 2, 5, 1])"),  # noqa: RUF005
        (lambda tf: tf.zeros((4, 5, 6)).shape[1:], "TensorShape([5, 6])"),
    ],
)
def test_what_a_cell_shows(make: Code, text: str, tf: Any) -> None:
    assert repr(make(tf)) == text


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda tf: tf.constant([[1.0, 2.0], [3.0, 4.0]]),
            "tf.Tensor(\n[[1. 2.]\n [3. 4.]], shape=(2, 2), dtype=float32)",
        ),
        (lambda tf: tf.constant([1, 2]), "tf.Tensor([1 2], shape=(2,), dtype=int32)"),
        (lambda tf: tf.constant(True), "tf.Tensor(True, shape=(), dtype=bool)"),
        (lambda tf: tf.constant(1.0).dtype, "<dtype: 'float32'>"),
        (lambda tf: tf.zeros((1, 28, 28, 6)).shape, "(1, 28, 28, 6)"),
        (lambda tf: tf.zeros(2).shape, "(2,)"),
        (lambda tf: f"{tf.constant(1.23456):.3f} {tf.constant([1.2])}", "1.235 [1.2]"),
    ],
)
def test_what_print_writes(make: Code, text: str, tf: Any) -> None:
    assert str(make(tf)) == text


@pytest.mark.parametrize(
    ("compute", "dtype", "cells"),
    [
        (lambda tf: tf.constant([1.0]) + 1, "float32", [2]),
        (lambda tf: tf.constant([1.0]) + np.array([2.0]), "float32", [3]),
        (lambda tf: np.array([2.0]) + tf.constant([1.0]), "float32", [3]),
        (lambda tf: np.float32(2) * tf.constant([1.5]), "float32", [3]),
        (lambda tf: tf.constant([3]) / tf.constant([2]), "float64", [1.5]),
        (lambda tf: tf.constant([3], dtype=tf.uint8) / 2, "float32", [1.5]),
        (lambda tf: tf.constant([7, -7]) // 2, "int32", [3, -4]),
        (lambda tf: tf.constant([1.0, 2.0]) == tf.constant([1.0, 3.0]), "bool", [True, False]),
        (lambda tf: tf.reduce_mean(tf.constant([1, 2])), "int32", 1),
        (lambda tf: tf.reduce_sum(tf.constant([[1, 2], [3, 5]]), axis=0), "int32", [4, 7]),
        (lambda tf: tf.argmax([[1.0, 5.0], [7.0, 2.0]]), "int64", [1, 0]),
        (lambda tf: tf.argmax([[1.0, 5.0], [7.0, 2.0]], axis=1), "int64", [1, 0]),
        (lambda tf: tf.cast([1.7, -1.7], tf.int32), "int32", [1, -1]),
        (lambda tf: tf.size([[1.0, 2.0]]), "int32", 2),
        (lambda tf: tf.range(1, 7, 2), "int32", [1, 3, 5]),
        (lambda tf: tf.range(2, dtype=tf.float32), "float32", [0, 1]),
        (lambda tf: tf.constant(np.array([1.0])), "float64", [1]),
        (lambda tf: tf.constant(5, shape=(2,)), "int32", [5, 5]),
        (lambda tf: 2 ** tf.constant([3.0]), "float32", [8]),
        (lambda tf: tf.one_hot([0, 2], 3)[1], "float32", [0, 0, 1]),
        (lambda tf: tf.maximum([1.0, 5.0], 2.0), "float32", [2, 5]),
        (lambda tf: tf.where([True, False], [1.0, np.inf], [np.inf, 2.0]), "float32", [1, 2]),
        (lambda tf: tf.gather([[1, 2], [3, 4], [5, 6]], [2, 0])[:, 1], "int32", [6, 2]),
        (lambda tf: tf.reduce_sum([tf.Variable([1.0, 2.0]), [3.0, 4.0]], 0), "float32", [4, 6]),
        (lambda tf: tf.boolean_mask([[1, 2], [3, 4]], tf.one_hot([0, 1], 2)), "int32", [1, 4]),
        (lambda tf: tf.constant([1.0, 2.0, 3.0])[[True, False, True]], "float32", [1, 3]),
        (lambda tf: tf.constant([2.0, 3.0]) * [tf.constant(5.0), 7], "float32", [10, 21]),
        (lambda tf: tf.reduce_min(tf.constant([3, 0, 2], dtype=tf.uint8)), "uint8", 0),
        (lambda tf: tf.linspace(0, 3, 4), "float64", [0, 1, 2, 3]),
        (lambda tf: tf.stack([2, tf.constant(1.0)]), "float32", [2, 1]),
        (lambda tf: tf.math.rsqrt([4.0]), "float32", [0.5]),
        (lambda tf: tf.abs(tf.constant([-1.5, 0.0, 2.0])), "float32", [1.5, 0, 2]),
        (lambda tf: tf.squeeze(tf.expand_dims([1.0, 2.0], 0)), "float32", [1, 2]),
        (lambda tf: tf.concat(([[1.0]], [[2.0]]), 1)[0], "float32", [1, 2]),
        (lambda tf: tf.matmul([[1.0, 2.0]], [[3.0, 4.0]], transpose_b=True)[0], "float32", [11]),
    ],
)  # fmt: skip
def test_arithmetic_and_its_dtypes(compute: Code, dtype: str, cells: Any, tf: Any) -> None:
    result = compute(tf)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result.numpy(), cells)


def test_comparing_with_none_is_false(tf: Any) -> None:
    x = tf.constant([1.0])
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711


def test_a_tensor_is_not_changed_by_its_array(tf: Any) -> None:
    array = np.ones(3, np.float32)
    x = tf.constant(array)
    array[0] = 5
    x.numpy()[1] = 7
    np.testing.assert_array_equal(x, [1, 1, 1])


def test_a_part_of_a_variable_is_assigned(tf: Any) -> None:
    x = tf.Variable(tf.ones((3, 5)))
    x[:, 1:3].assign(tf.zeros(x[:, 1:3].shape))
    x[2, 4].assign(7.0)
    x.assign_sub(tf.ones((3, 5)))
    np.testing.assert_array_equal(x.numpy(), [[0, -1, -1, 0, 0]] * 2 + [[0, -1, -1, 0, 6]])


def test_what_was_read_from_a_variable_stays(tf: Any) -> None:
    v = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    read = [v.value(), tf.convert_to_tensor(v), v[0], tf.reshape(v, (4,)), tf.transpose(v)]
    read.append(tf.stop_gradient(v))
    with tf.GradientTape() as tape:
        y = v * v
        v.assign_add(tf.ones((2, 2)))
    before = [[1, 2], [3, 4]]
    assert [x.numpy().sum() for x in read] == [10, 10, 3, 10, 10, 10]
    np.testing.assert_array_equal(tape.gradient(y, v), np.multiply(2, before))
    np.testing.assert_array_equal(v.numpy(), np.add(1, before))


def gradient(tf: Any, f: Code, start: list[float], **options: Any) -> Any:
    x = tf.Variable(start)
    with tf.GradientTape(**options) as tape:
        y = f(x)
    return tape.gradient(y, x)


@pytest.mark.parametrize(
    ("f", "start", "wanted"),
    [
        (lambda tf: tf.abs, [1.0, -2.0, 0.0], [1, -1, 0]),
        (lambda tf: tf.nn.relu, [1.0, -2.0, 0.0], [1, 0, 0]),
        (lambda tf: tf.reduce_max, [1.0, 2.0, 2.0], [0, 0.5, 0.5]),
        (lambda tf: lambda x: tf.maximum(x, 2.0), [1.0, 2.0, 3.0], [0, 1, 1]),
        (lambda tf: lambda x: x * x, [1.0, 2.0], [2, 4]),  # of a vector: of its sum
        (lambda tf: lambda x: x, [1.0, 2.0], [1, 1]),
    ],
)
def test_gradients(f: Code, start: list[float], wanted: list[float], tf: Any) -> None:
    np.testing.assert_allclose(gradient(tf, f(tf), start), wanted)


def test_only_what_is_watched_inside_the_tape_has_a_gradient(tf: Any) -> None:
    x = tf.Variable(3.0)
    before = x * 2  # a constant for the tape
    with tf.GradientTape() as tape:
        y = before * x
    assert float(tape.gradient(y, x)) == 6
    assert tape_of(tf, tf.Variable(3.0, trainable=False)) is None
    assert tape_of(tf, x, watch_accessed_variables=False) is None
    assert tape_of(tf, tf.constant(3.0)) is None
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([x, before])
        y = before * x
    assert [float(g) for g in tape.gradient(y, [before, x])] == [3, 6]


def tape_of(tf: Any, x: Any, **options: Any) -> Any:
    with tf.GradientTape(**options) as tape:
        y = x * x
    return tape.gradient(y, x)


def test_a_layers_weight_that_is_not_watched_has_no_gradient(tf: Any) -> None:
    layer = tf.keras.layers.Dense(2)
    layer(np.ones((1, 3)))
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(layer.kernel)
        y = layer(np.ones((1, 3)))
    kernel, bias = tape.gradient(y, layer.weights)
    np.testing.assert_array_equal(kernel, np.ones((3, 2)))
    assert bias is None


def test_what_one_tape_recorded_is_a_constant_for_the_next(tf: Any) -> None:
    x = tf.Variable(3.0)
    with tf.GradientTape() as first:
        y = x * x
    with tf.GradientTape() as second:
        z = y * x
    assert float(second.gradient(z, x)) == 9
    assert float(first.gradient(y, x)) == 6


def test_gradients_of_what_was_computed_on_the_way(tf: Any) -> None:
    x = tf.Variable(3.0)
    with tf.GradientTape(persistent=True) as tape:
        y = x * x
        z = y * y
    assert [float(g) for g in tape.gradient(z, [x, y])] == [108, 18]
    assert float(tape.gradient(y, x)) == 6
    assert float(tape.gradient([y, z], x)) == 114


def test_an_optimiser_that_has_no_gradient_says_where_to_compute(tf: Any) -> None:
    x = tf.Variable(1.0)
    with tf.GradientTape() as tape:
        pass
    with pytest.raises(ValueError, match=r"inside `with tf\.GradientTape\(\) as tape:`"):
        tf.keras.optimizers.SGD(0.1).apply_gradients([(tape.gradient(x * 2, x), x)])


def test_data_sets(tf: Any) -> None:
    numbers = tf.data.Dataset.range(7)
    assert [x.numpy().tolist() for x in numbers.batch(3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [x.numpy().tolist() for x in numbers.batch(3, drop_remainder=True).take(1)] == [
        [0, 1, 2]
    ]
    assert int(tf.data.experimental.cardinality(numbers.batch(3))) == 3
    assert int(numbers.repeat().cardinality()) == -1
    assert len(numbers.repeat(2).batch(4).skip(1)) == 3
    assert [int(n) for n in numbers.take(2).concatenate(numbers.skip(5))] == [0, 1, 5, 6]
    doubled = tf.data.Dataset.zip((numbers, numbers.map(lambda n: n * 2)))
    assert [(int(a), int(b)) for a, b in doubled.filter(lambda a, b: a > 4)] == [(5, 10), (6, 12)]


def test_rows_are_shuffled_within_the_buffer_and_stay_together(tf: Any) -> None:
    x, y = np.arange(30.0).reshape(10, 3), np.arange(10)
    rows = tf.data.Dataset.from_tensor_slices((x, y))
    tf.random.set_seed(3)
    orders = [[int(b) for _, b in rows.shuffle(4)] for _ in range(2)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == list(range(10))
    assert all(number < place + 4 for place, number in enumerate(orders[0]))
    for a, b in rows.shuffle(10).batch(4):
        np.testing.assert_array_equal(a, x[b.numpy()])
    fixed = rows.shuffle(10, seed=1, reshuffle_each_iteration=False)
    assert [int(b) for _, b in fixed] == [int(b) for _, b in fixed] != list(range(10))


def test_pictures_are_resized_as_tensorflow_does(tf: Any) -> None:
    small = np.arange(12, dtype="float32").reshape(1, 3, 4, 1)
    large = tf.image.resize(small, (5, 6)).numpy()[0, :, :, 0]
    np.testing.assert_allclose(large[1], [1.6, 2.1, 2.767, 3.433, 4.1, 4.6], atol=1e-3)
    shrunk = tf.image.resize(np.arange(48.0).reshape(1, 6, 8, 1), (3, 3)).numpy()[0, :, :, 0]
    np.testing.assert_allclose(shrunk[0], [4.833, 7.5, 10.167], atol=1e-3)
    framed = tf.image.resize_with_pad(np.ones((1, 3, 4, 1)), 6, 6).numpy()[0, :, :, 0]
    assert framed.sum(axis=1).tolist() == [6, 6, 6, 6, 0, 0]


def test_padding_has_a_mode_before_its_number(tf: Any) -> None:
    x, frame = tf.ones((1, 2, 2, 1)), tf.constant([[0, 0], [1, 0], [1, 0], [0, 0]])
    padded = tf.pad(x, frame, "CONSTANT")
    np.testing.assert_array_equal(padded[0, :, :, 0], [[0, 0, 0], [0, 1, 1], [0, 1, 1]])
    assert float(tf.reduce_sum(tf.pad(x, frame, constant_values=2))) == 4 + 5 * 2
    with pytest.raises(ValueError, match="mode is 0; wanted 'CONSTANT'"):
        tf.pad(x, frame, 0)


def test_products_over_one_axis_of_each(tf: Any) -> None:
    draw = np.random.default_rng(0).random
    a, b = draw((2, 3, 4)), draw((4, 2, 5))
    np.testing.assert_allclose(tf.tensordot(a, b, axes=1), np.tensordot(a, b, 1))
    assert tf.tensordot(b[:, 0, 0], a[0, 0], axes=1).shape == []
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"shapes \(4,\) and \(2, 3, 4\)"):
        tf.tensordot(tf.ones(4), tf.ones((2, 3, 4)), axes=1)


def test_clipping(tf: Any) -> None:
    np.testing.assert_array_equal(
        tf.clip_by_value([1.0, 2.0, 3.0], 1.5, float("inf")), [1.5, 2.0, 3.0]
    )


def test_options_of_data_sets_are_known_or_refused(tf: Any) -> None:
    numbers = tf.data.Dataset.range(5)
    assert len(numbers.batch(2, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)) == 3
    for wrong in (
        lambda: numbers.batch(2, drop_remander=True),
        lambda: numbers.map(abs, foo=3),
        lambda: tf.data.Dataset.from_generator(lambda: iter(()), args=(1,)),
    ):
        with pytest.raises(TypeError, match=r"drop_remander|foo|args"):
            wrong()
    made = tf.data.Dataset.from_generator(lambda: iter([(1, 2)]), (tf.float32, tf.int64))
    assert [x.dtype for x in next(iter(made))] == [tf.float32, tf.int64]


def test_what_is_cached_stays(tf: Any) -> None:
    rows = tf.data.Dataset.from_tensor_slices(np.arange(50.0))
    drawn = rows.map(lambda x: x + tf.random.uniform((), dtype=tf.float64))
    for data in (drawn.cache(), rows.shuffle(50).cache(), rows.shuffle(50).batch(9).cache()):
        first, second = ([x.numpy().tolist() for x in data] for _ in range(2))
        assert first == second
        assert len(first) == len(data)
    assert list(drawn.as_numpy_iterator()) != list(drawn.as_numpy_iterator())
