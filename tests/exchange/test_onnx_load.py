"""``minicnn.onnx.load``: files of its own, and nodes as other exporters write them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import models, nn
from minicnn.onnx import export, load

from .nets import FRAMED_SIZE, by_onnxruntime, computed, draw, every_layer_framed, settled
from .test_onnx_export import POOLS

onnx: Any = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

Step = tuple[str, list[Any], dict[str, Any]]  # operator, constant inputs, attributes


def step(operator: str, *constants: Any, **attributes: Any) -> Step:
    return operator, list(constants), attributes


def write_chain(
    path: Path, shape: tuple[Any, ...], *steps: Step, opset: int = 17, dtype: Any = np.float32
) -> Path:
    """A file of nodes one after the other, whose constants are stored next to them."""
    helper, to_array = onnx.helper, onnx.numpy_helper.from_array
    nodes, stored, value = [], [], "x"
    for i, (operator, constants, attributes) in enumerate(steps):
        names = [f"c{i}.{k}" for k in range(len(constants))]
        stored += [to_array(np.asarray(c), n) for c, n in zip(constants, names, strict=True)]
        nodes.append(helper.make_node(operator, [value, *names], [f"v{i}"], f"n{i}", **attributes))
        value = f"v{i}"
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(value, kind, None)],
        stored,
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])
    path.write_bytes(onnx.shape_inference.infer_shapes(model).SerializeToString())
    return path


def assert_same(net: nn.Module, path: Path, x: np.ndarray, given: np.ndarray | None = None) -> None:
    """The net computes of ``x`` what ONNX Runtime makes of the file and ``x``, or ``given``."""
    expected = by_onnxruntime(path, x if given is None else given)
    largest = max(1, abs(expected).max())
    np.testing.assert_allclose(computed(net, x), expected, rtol=0, atol=1e-6 * largest)


# Its own files ------------------------------------------------------------------------------------


def test_a_net_of_every_layer_comes_back(tmp_path: Path) -> None:
    net, path = every_layer_framed(), tmp_path / "net.onnx"
    export(net, path, draw((2, *FRAMED_SIZE)))
    again = load(path)
    for batch in (1, 64):
        x = draw((batch, *FRAMED_SIZE), -1, 1)
        np.testing.assert_allclose(computed(again, x), computed(net, x), rtol=0, atol=1e-6)
    assert not any(layer.training for layer in again.modules())


@pytest.mark.parametrize("name", models.PRESETS)
def test_the_presets_come_back_with_their_weights(name: str, tmp_path: Path) -> None:
    net, path = models.build(name, dropout=0.0), tmp_path / "net.onnx"
    export(net, path, draw((1, 1, 28, 28)))
    again = load(path)
    assert [type(layer) for layer in again] == [type(layer) for layer in net]
    for ours, theirs in zip(again.parameters(), net.parameters(), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("size", [(13, 10), (11, 15)])
@pytest.mark.parametrize("pool", POOLS, ids=range(len(POOLS)))
def test_windows_over_the_edges_come_back(
    pool: nn.Module, size: tuple[int, int], tmp_path: Path
) -> None:
    x, path = draw((2, 3, *size), -2, 1), tmp_path / "net.onnx"
    export(pool, path, x)
    np.testing.assert_allclose(computed(load(path), x), computed(pool, x), rtol=0, atol=1e-6)


def test_a_file_for_pictures_of_any_size_comes_back(tmp_path: Path) -> None:
    net = settled(nn.Sequential(nn.Conv2d(3, 4, 2, padding="same"), nn.MaxPool2d(2), nn.Tanh()))
    export(net, tmp_path / "net.onnx")
    again, x = load(tmp_path / "net.onnx"), draw((2, 3, 7, 10))
    np.testing.assert_array_equal(computed(again, x), computed(net, x))


def test_batch_norm_keeps_what_training_needs(tmp_path: Path) -> None:
    net = settled(nn.Sequential(nn.BatchNorm2d(3, eps=1e-3, momentum=0.25)))
    export(net, tmp_path / "net.onnx", draw((1, 3, 2, 2)))
    again: Any = load(tmp_path / "net.onnx")
    assert (again[0].eps, again[0].momentum) == (pytest.approx(1e-3), 0.25)


# As others write them -----------------------------------------------------------------------------

DICE = np.random.default_rng(16)


def weights(shape: int | tuple[int, ...]) -> np.ndarray:
    """float32 in [-1, 1), the same whichever tests are run."""
    return DICE.uniform(-1, 1, shape).astype(np.float32)


CHAINS: dict[str, tuple[tuple[int, ...], list[Step], int]] = {
    "Gemm, scaled": ((5,), [
        step("Gemm", weights((5, 3)), weights((1, 3)), alpha=0.5, beta=2.0),
        step("Gemm", weights((4, 3)), weights(()), transB=1, beta=-1.5),
        step("Gemm", weights((4, 2))),
    ], 17),
    "MatMul and Add": ((5,), [
        step("MatMul", weights((5, 3))), step("Add", weights(3)),
        step("Relu"), step("MatMul", weights((3, 2))), step("Add", weights(())),
    ], 17),
    "Conv and Add": ((2, 5, 7), [
        step("Conv", weights((3, 2, 2, 3))), step("Add", weights((1, 3, 1, 1))),
        step("Conv", weights((3, 1, 2, 1)), weights(3), group=3), step("Relu"),
    ], 17),
    "auto_pad": ((2, 6, 9), [
        step("Conv", weights((3, 2, 3, 4)), auto_pad="SAME_UPPER", strides=[2, 2]),
        step("Conv", weights((3, 3, 2, 2)), auto_pad="SAME_LOWER"),
        step("Conv", weights((3, 3, 2, 2)), auto_pad="SAME_UPPER"),
        step("MaxPool", auto_pad="SAME_UPPER", kernel_shape=[2, 2], strides=[2, 2]),
        step("Conv", weights((2, 3, 1, 2)), auto_pad="VALID"),
    ], 17),
    "a window that would begin in the padding": ((2, 4, 5), [
        step("MaxPool", kernel_shape=[1, 3], strides=[1, 2], pads=[0, 1, 0, 2], ceil_mode=1),
    ], 17),
    "average of odd padding": ((2, 6, 9), [
        step("AveragePool", kernel_shape=[2, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
        step("AveragePool", kernel_shape=[2, 2], pads=[1, 0, 0, 1], count_include_pad=1),
        step("AveragePool", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1, count_include_pad=1),
    ], 17),
    "global pooling": ((2, 6, 9), [
        step("Conv", weights((3, 2, 1, 1))), step("GlobalAveragePool"), step("Flatten"),
        step("MatMul", weights((3, 4))),
    ], 17),
    "global maximum, squeezed": ((2, 6, 9), [
        step("GlobalMaxPool"), step("Squeeze", np.array([2, 3])), step("MatMul", weights((2, 4))),
    ], 17),
    "ReduceMean": ((2, 6, 9), [
        step("ReduceMean", axes=[2, 3], keepdims=0), step("MatMul", weights((2, 4))),
    ], 17),
    "ReduceMean of opset 18": ((2, 6, 9), [
        step("ReduceMean", np.array([-1, -2])), step("Reshape", np.array([0, -1])),
    ], 18),
    "opset 9": ((2, 4, 3), [
        step("Pad", pads=[0, 0, 1, 0, 0, 0, 0, 2]), step("Conv", weights((2, 2, 2, 2))),
        step("BatchNormalization", weights(2), weights(2), weights(2), weights(2) ** 2),
        step("Dropout", ratio=0.25), step("Flatten"), step("Softmax"), step("Identity"),
    ], 9),
    "Softmax over channels": ((3, 4, 2), [step("Softmax", axis=1), step("LogSoftmax")], 13),
    "Dropout of opset 13": ((5,), [step("Dropout", np.float32(0.3)), step("Sigmoid")], 13),
    "Flatten, counted from the end": ((3, 4, 2), [step("Flatten", axis=-3)], 13),
    "part of the axes": ((3, 4, 2), [step("Reshape", np.array([0, 0, -1]))], 17),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_nodes_as_others_write_them(name: str, tmp_path: Path) -> None:
    shape, steps, opset = CHAINS[name]
    path = write_chain(tmp_path / "net.onnx", ("N", *shape), *steps, opset=opset)
    assert_same(load(path), path, draw((4, *shape), -1, 1))


KERAS_HEAD = [step("Relu"), step("Transpose", perm=[0, 2, 3, 1])]


@pytest.mark.parametrize(
    ("channels", "first", "call"),
    [
        (2, step("Transpose", perm=[0, 3, 1, 2]), r"\.transpose\(0, 3, 1, 2\)"),
        (1, step("Reshape", np.array([-1, 1, 6, 9])), r"\.reshape\(-1, 1, 6, 9\)"),
    ],
)
def test_channels_last_as_tensorflow_writes_them(
    channels: int, first: Step, call: str, tmp_path: Path
) -> None:
    """Convolution, pooling, back to channels last, the bias there; flattened, two dense layers."""
    path = write_chain(
        tmp_path / "net.onnx",
        ("N", 6, 9, channels),
        first,
        step("Conv", draw((3, channels, 3, 2)), auto_pad="SAME_UPPER", strides=[1, 2]),
        step("Transpose", perm=[0, 2, 3, 1]),
        step("Add", draw(3)),
        step("Transpose", perm=[0, 3, 1, 2]),
        step("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
        step("Transpose", perm=[0, 2, 3, 1]),
        step("Relu"),
        step("Softmax", axis=-1),
        step("Reshape", np.array([-1, 18])),
        step("Tanh"),
        step("MatMul", draw((18, 4))),
        step("Add", draw(4)),
        step("Gemm", draw((4, 2))),
    )
    with pytest.warns(UserWarning, match=rf"net\.onnx: the net takes .* x as x{call}$"):
        net = load(path)
    given = draw((5, 6, 9, channels), -1, 1)
    assert_same(net, path, np.ascontiguousarray(given.transpose(0, 3, 1, 2)), given)


def test_weights_as_inputs_and_computed_weights(tmp_path: Path) -> None:
    """Files of IR version 3 list weights among the inputs; some transpose them on the way."""
    weight, helper = draw((3, 5)), onnx.helper
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], ["b"], value=onnx.numpy_helper.from_array(draw(3))),
            helper.make_node("Transpose", ["w"], ["wt"], perm=[1, 0]),
            helper.make_node("MatMul", ["x", "wt"], ["h"]),
            helper.make_node("Add", ["b", "h"], ["y"]),
        ],
        "g",
        [info("x", 1, ["N", 5]), info("w", 1, [3, 5])],
        [info("y", 1, ["N", 3])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, ir_version=3, opset_imports=[helper.make_opsetid("", 9)])
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    assert_same(load(path), path, draw((4, 5)))


@pytest.mark.parametrize(
    ("opset", "operator", "attributes", "shape", "taken_by", "input_shape"),
    [
        (11, "Unsqueeze", {"axes": [2]}, (2, 1, 3), "Conv", [1, 1, 4, 5]),
        (10, "Pad", {"pads": [1, 0, 2, 1]}, (3, 4), "MatMul", [2, 6]),
    ],
)
def test_constants_of_an_old_file_are_computed_as_that_version_has_it(
    opset: int,
    operator: str,
    attributes: dict[str, Any],
    shape: tuple[int, ...],
    taken_by: str,
    input_shape: list[int],
    tmp_path: Path,
) -> None:
    """Before opset 13 the axes of Unsqueeze are an attribute, before 11 the pads of Pad."""
    path, helper, c = tmp_path / "net.onnx", onnx.helper, weights(shape)
    nodes = [
        helper.make_node(operator, ["c"], ["w"], **attributes),
        helper.make_node(taken_by, ["x", "w"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(*v) for v in (("x", 1, input_shape), ("y", 1, None))]
    stored = [onnx.numpy_helper.from_array(c, "c")]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], stored)
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opsets), path)
    assert_same(load(path), path, draw(tuple(input_shape)))


def test_an_old_softmax_of_constants_is_refused(tmp_path: Path) -> None:
    """ONNX's evaluator has only the one over one axis: findings/onnx-reference-old-softmax.sh."""
    path, helper, c = tmp_path / "net.onnx", onnx.helper, weights((2, 1, 3, 2))
    nodes = [
        helper.make_node("Softmax", ["c"], ["w"]),
        helper.make_node("Conv", ["x", "w"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(*v) for v in (("x", 1, [1, 1, 4, 5]), ("y", 1, None))]
    stored = [onnx.numpy_helper.from_array(c, "c")]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], stored)
    for opset, is_read in ((12, False), (13, True)):
        opsets = [helper.make_opsetid("", opset)]
        onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opsets), path)
        if is_read:
            assert_same(load(path), path, draw((1, 1, 4, 5)))
        else:
            with pytest.raises(ValueError, match=r"Softmax.*before opset 13"):
                load(path)


def test_weights_next_to_the_file_are_read_or_missed(tmp_path: Path) -> None:
    net, path = nn.Linear(40, 50), tmp_path / "net.onnx"
    export(net, path)
    onnx.save(
        onnx.load(path), path, save_as_external_data=True, location="net.data", size_threshold=0
    )
    loaded: Any = load(path)[0]
    np.testing.assert_array_equal(loaded.weight.numpy(), net.weight.numpy())
    (tmp_path / "net.data").unlink()
    with pytest.raises(ValueError, match=r"net\.onnx is damaged, .*net\.data"):
        load(path)


def test_halves_and_doubles(tmp_path: Path) -> None:
    path, weight = tmp_path / "net.onnx", draw((5, 3))
    write_chain(path, ("N", 5), step("MatMul", weight.astype(np.float16)), dtype=np.float16)
    with pytest.warns(UserWarning, match=r"1 tensors in float16 or bfloat16 became float32"):
        layer: Any = load(path)[0]
    np.testing.assert_array_equal(layer.weight.numpy(), weight.astype(np.float16).T)
    assert layer.weight.dtype == np.float32
    write_chain(path, ("N", 5), step("MatMul", weight.astype(float)), dtype=np.float64)
    layer = load(path)[0]
    assert layer.weight.dtype == np.float64


def test_random_draws_go_on_as_if_nothing_was_loaded(tmp_path: Path) -> None:
    export(nn.Linear(4, 3), tmp_path / "net.onnx")
    minicnn.manual_seed(3)
    expected = minicnn.rand(2).numpy()
    minicnn.manual_seed(3)
    load(tmp_path / "net.onnx")
    np.testing.assert_array_equal(minicnn.rand(2).numpy(), expected)


# What is not read ---------------------------------------------------------------------------------


def test_all_nodes_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = write_chain(
        tmp_path / "net.onnx",
        ("N", 2, 6, 9),
        step("Conv", draw((3, 2, 1, 1))),
        step("LeakyRelu"),
        step("AveragePool", kernel_shape=[2, 2], dilations=[2, 1]),
        step("LeakyRelu"),
        step("HardSigmoid"),
        step("Conv", draw((2, 3, 2, 2))),
        step("Add", draw((1, 2, 1, 6))),
        step("Mul", draw(())),
        step("Reshape", np.array([0, 3, 2, -1])),
        opset=19,
    )
    with pytest.raises(ValueError, match=r"net\.onnx has what minicnn does not read: ") as caught:
        load(path)
    told = str(caught.value)
    for part in (
        "AveragePool 'n2': dilations are (2, 1)",
        "Add 'n6': it adds (1, 2, 1, 6)",
        "Mul 'n7': wanted an average pooling",
        "Reshape 'n8': it makes (0, 3, 2, -1)",
        "LeakyRelu (2 nodes, the first 'n1'): minicnn has no such operator",
        "HardSigmoid ('n4'): minicnn has no such operator",
    ):
        assert part in told
    assert told.count("; ") == 7
    assert "\n" not in told


@pytest.mark.parametrize(
    ("shape", "steps", "message"),
    [
        ((2, 6, 9), [step("Pad", np.array([0, 1, 0, 0] * 2))], "wanted rows and columns alone"),
        ((2, 6, 9), [step("Pad", np.array([0] * 8), np.float32(1))], "with other than zeros"),
        ((2, 6, 9), [step("Pad", np.array([0, 0, 1, 0, 0, 0, 0, 2]), np.float32(-np.inf)),
                     step("Relu")], "only a max pooling takes"),
        ((2, 6, 9), [step("Transpose", perm=[0, 2, 3, 1]), step("Relu"),
                     step("Transpose", perm=[0, 3, 1, 2])], "its result is transposed"),
        ((2, 6, 9), [step("Relu"), step("Transpose", perm=[0, 2, 3, 1]),
                     step("MaxPool", kernel_shape=[1, 1])], r"transposed to \(0, 2, 3, 1\); wan"),
        ((2, 6, 9), [step("AveragePool", kernel_shape=[2, 2]), step("Mul", weights((1, 2, 1, 1)))],
         "an average pooling multiplied by a number"),
        ((2, 6, 9), [step("AveragePool", kernel_shape=[2, 2]), step("Mul", np.float32(0.3))],
         r"an average times 0\.3 is none of an AvgPool2d"),
        ((2, 6), [step("Conv", weights((3, 2, 2)))], r"has 3 axes; wanted \(N, C, H, W\)"),
        ((2, 6), [step("MatMul", weights((3, 6, 2)))], r"the constant has \(3, 6, 2\)"),
        ((3,), [step("Add", weights(3))], "wanted a constant added to a dense layer"),
        ((2, 6, 9), [step("Flatten", axis=2)], "axis is 2; wanted 1"),
        ((2, 6, 9), [step("Relu"), step("ReduceMean", axes=[1])], r"over the axes \[1\]"),
        ((2, "H", 9), [step("GlobalAveragePool")], "leaves the picture's size open"),
        ((2, 6, 9), [step("MaxPool", kernel_shape=[2, 2], pads=[2, 0, 1, 0])], "padding"),
        ((2, 6, 9), [step("Pad", np.array([0, 0, 1, 0, 0, 0, 0, 2]), np.float32(-np.inf)),
                     step("Transpose", perm=[0, 1, 3, 2])], "only a max pooling takes"),
        ((2, 6, 9), [step("Pad", np.array([0, 0, 1, 0] * 2), np.float32(-np.inf)),
                     step("Pad", np.array([0, 0, 0, 1] * 2), np.float32(-np.inf)),
                     step("MaxPool", kernel_shape=[3, 3])], "only a max pooling takes"),
        ((6,), [step("MatMul", weights((6, 4))), step("Add", weights((1, 1, 4)))], "of 2 axes"),
        ((6,), [step("Gemm", weights((6, 4)), weights((2, 4)))], r"it adds \(2, 4\); wanted a"),
        ((6,), [step("Gemm", weights((6, 4)), weights((4, 1)))], r"it adds \(4, 1\); wanted a"),
        ((6,), [step("Dropout", np.float32(0.5), np.array(True))], "training_mode is true"),
    ],
    ids=range(20),
)  # fmt: skip
def test_what_cannot_be_read_is_said(
    shape: tuple[int, ...], steps: list[Step], message: str, tmp_path: Path
) -> None:
    path = write_chain(tmp_path / "net.onnx", ("N", *shape), *steps)
    with pytest.raises(ValueError, match=message):
        load(path)


def test_a_bias_for_each_picture_is_none_of_a_dense_layer(tmp_path: Path) -> None:
    steps = step("MatMul", weights((6, 2))), step("Add", weights((2, 1)))
    with pytest.raises(ValueError, match=r"it adds \(2, 1\); wanted a number for each channel"):
        load(write_chain(tmp_path / "net.onnx", (2, 6), *steps))


def test_kernels_that_are_computed_from_the_input_are_refused(tmp_path: Path) -> None:
    node, info = (
        onnx.helper.make_node("Conv", ["c", "x"], ["y"]),
        onnx.helper.make_tensor_value_info,
    )
    pictures = onnx.numpy_helper.from_array(weights((4, 3, 2, 2)), "c")
    graph = onnx.helper.make_graph(
        [node], "g", [info("x", 1, [4, 3, 2, 2])], [info("y", 1, None)], [pictures]
    )
    model = onnx.helper.make_model(graph, ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(ValueError, match="it takes the result as its input 1; wanted 0"):
        load(tmp_path / "net.onnx")


def test_operators_of_another_domain_are_not_onnxs(tmp_path: Path) -> None:
    path, helper = tmp_path / "net.onnx", onnx.helper
    node = helper.make_node("Relu", ["x"], ["y"], "first", domain="com.example")
    value = [helper.make_tensor_value_info(name, 1, [2, 5]) for name in "xy"]
    graph = helper.make_graph([node], "g", value[:1], value[1:])
    opsets = [helper.make_opsetid("com.example", 1)]
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opsets), path)
    with pytest.raises(ValueError, match=r"com\.example\.Relu \('first'\): minicnn has no such op"):
        load(path)


def test_shapes_are_inferred_once_however_much_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = write_chain(tmp_path / "net.onnx", (2, 5), *[step("Elu"), step("Relu")] * 4)
    infer, calls = onnx.shape_inference.infer_shapes, []

    def counted(*args: Any, **options: Any) -> Any:
        calls.append(args)
        return infer(*args, **options)

    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", counted)
    with pytest.raises(ValueError, match="4 nodes, the first 'n0'"):
        load(path)
    assert len(calls) == 1


def test_a_graph_that_is_no_chain_is_refused(tmp_path: Path) -> None:
    helper = onnx.helper
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["x"], ["a"], "first"),
            helper.make_node("Tanh", ["x"], ["b"], "second"),
            helper.make_node("Add", ["a", "b"], ["y"], "sum"),
        ],
        "g",
        [info("x", 1, ["N", 5]), info("z", 1, ["N", 5])],
        [info("y", 1, ["N", 5]), info("a", 1, ["N", 5])],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"2 inputs, \['x', 'z'\]; wanted one; ") as caught:
        load(tmp_path / "net.onnx")
    assert "Tanh 'second': it takes an earlier result" in str(caught.value)
    assert "Add 'sum': it joins several results" in str(caught.value)
    assert "outputs ['y', 'a']; wanted one" in str(caught.value)


def test_files_of_other_kinds_and_damaged_ones_are_refused_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    export(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), path)
    whole = path.read_bytes()
    for content in (b"", b"hello world", b"\x80\x04}\x94.", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"net\.onnx is ") as caught:
            load(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"none\.onnx"):
        load(tmp_path / "none.onnx")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)


def test_a_flipped_bit_never_ends_in_another_error(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    export(nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(8, 3)), path,
           draw((1, 1, 3, 3)))  # fmt: skip
    whole, dice = path.read_bytes(), np.random.default_rng(5)
    for bit in dice.integers(0, 8 * len(whole), 100):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        with contextlib.suppress(ValueError, UserWarning):
            load(path)


def test_onnx_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match=r"onnx is not installed: pip install '\.\[onnx"):
        load("net.onnx")
    with pytest.raises(ModuleNotFoundError, match="onnx is not installed"):
        export(nn.Linear(2, 3), "net.onnx")
