"""Files that somebody made on purpose: small ones that ask for much, right in form and wrong."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import data, json_files, load_run, nn
from minicnn.exchange.onnx.limits import check_constant
from minicnn.exchange.onnx.writing import UnsupportedError
from minicnn.train import kept, state
from minicnn.train.run import read_measurements
from tests.hostile import makers
from tests.hostile.trying import bounded

pytestmark = pytest.mark.long

DEEP = "[" * 100_000


def forged_config(folder: Path, **changes: Any) -> Path:
    """The folder of a run whose configuration is changed."""
    makers.run(folder)
    config = {**makers.CONFIG, **changes}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_small_file_does_not_unpack_to_more_than_its_header_says(tmp_path: Path) -> None:
    header = struct.pack(">HBBI", 0, 8, 1, 100)
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb") as file:
        file.write(header)
        for _ in range(200):
            file.write(bytes(2**20))
    assert path.stat().st_size < 2**18
    with bounded(memory=2**26), pytest.raises(data.IdxError, match="too long"):
        data.read_idx(path)


def test_several_members_are_one_file_and_what_follows_them_is_refused(tmp_path: Path) -> None:
    whole = struct.pack(">HBBI", 0, 8, 1, 5) + bytes(range(5))
    path = tmp_path / "labels.gz"
    members = gzip.compress(whole[:7]) + gzip.compress(whole[7:])
    path.write_bytes(members)
    np.testing.assert_array_equal(data.read_idx(path), np.arange(5))
    for more in (b"x", gzip.compress(b"x"), b"<html>"):
        path.write_bytes(members + more)
        with pytest.raises(data.IdxError, match=r"labels\.gz: "):
            data.read_idx(path)


def test_a_forged_configuration_makes_no_gigantic_net(tmp_path: Path) -> None:
    """The file of weights has some hundred numbers; the net would have a billion."""
    arguments = {**makers.ARGUMENTS, "hidden": [30_000, 30_000]}
    folder = forged_config(tmp_path, model_args=arguments)
    with bounded(memory=2**27), pytest.raises(ValueError, match=r"more than the file of weights"):
        load_run(folder)


def test_loading_a_run_draws_nothing_from_the_process(tmp_path: Path) -> None:
    makers.run(tmp_path)
    minicnn.manual_seed(4)
    wanted = minicnn.rand(3).numpy()
    minicnn.manual_seed(4)
    load_run(tmp_path)
    np.testing.assert_array_equal(minicnn.rand(3).numpy(), wanted)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("classes", "ant", "classes is 'ant'; wanted the names"),
        ("classes", [1, 2, 3], "classes is"),
        ("normalise", {"mean": [0.5]}, "normalise is"),
        ("normalise", {"mean": [0.5], "std": [0]}, "normalise is"),
        ("image_size", [28], "image_size is"),
        ("epochs", -1, "epochs is -1; wanted an integer"),
        ("seed", True, "seed is True"),
        ("options", [], "options is"),
        ("model", 0, "model is a large integer"),
        ("dataset", "x" * 500, None),
    ],
)
def test_each_entry_of_a_configuration_has_its_kind(
    name: str, value: Any, told: str | None, tmp_path: Path
) -> None:
    folder = forged_config(tmp_path, **({name: value} if name != "model" else {}))
    if name == "model":
        (folder / "config.json").write_text(f'{{"model": {"1" * 4000}, "model_args": {{}}}}')
    if told is None:
        assert load_run(folder)[1][name] == value
        return
    with pytest.raises(ValueError, match=told) as error:
        load_run(folder)
    assert str(folder / "config.json") in str(error.value)
    assert len(str(error.value)) < 300 + len(str(folder))


def test_a_number_that_no_float_holds_is_none(tmp_path: Path) -> None:
    makers.run(tmp_path)
    (tmp_path / "curve.jsonl").write_text(f'{{"epoch": {10**30}, "loss": 1.0}}\n')
    with pytest.raises(ValueError, match=r"curve\.jsonl is damaged: row 1: epoch is 1000"):
        read_measurements(tmp_path)


def test_brackets_within_brackets_are_refused_not_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="brackets within brackets"):
        json_files.parsed(DEEP)
    for name, text in (("x.toml", f"hidden = {DEEP}"), ("x.json", f'{{"options": {DEEP}')):
        (tmp_path / name).write_text(text)
        with pytest.raises(SystemExit) as ended:
            minicnn.train.main(["--config", str(tmp_path / name)])
        assert ended.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_damaged_first_line_of_a_csv_is_not_taken_for_names(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    makers.csv(path)
    names, first, *others = path.read_text().splitlines()
    damaged = f"x{first}", f",{first[2:]}", f'"{first}', f"#{first}", f"x,{'1' * 5000}"
    for wrong in (*damaged, f"nan{first[1:]}", f"2.5{first[1:]}", f"x,nan,{first[2:]}"):
        path.write_text("\n".join([wrong, *others]))
        with pytest.raises(data.DatasetError, match=r"x\.csv: line 1"):
            data.from_csv(path, makers.SIDE)
    path.write_text("\n".join([names, f"#{first}", *others]))
    with pytest.raises(data.DatasetError, match=r"line 2, column 1 is '#"):
        data.from_csv(path, makers.SIDE)
    counted = ",".join(["label", *map(str, range(20))])  # as pandas names columns
    path.write_text("\n".join([counted, first, *others]))
    assert sum(map(len, data.from_csv(path, makers.SIDE))) == 9


def test_a_tiff_without_some_of_its_parts_is_not_read_as_black(tmp_path: Path) -> None:
    """Pillow gives 9 rows of numbers and 5 million of zeros."""
    from PIL import TiffImagePlugin

    path = tmp_path / "x.tiff"
    makers.picture(path, "I;16")
    content = path.read_bytes()
    height = struct.pack("<HHI", TiffImagePlugin.IMAGELENGTH, 4, 1)
    place = content.find(height[:4])
    assert place > 0
    path.write_bytes(content[: place + 8] + struct.pack("<I", 5_000_000) + content[place + 12 :])
    with pytest.raises(ValueError, match=r"x\.tiff cannot be read as a picture: it lacks some"):
        data.read_picture(path)


def test_sixteen_bits_are_rounded_to_eight() -> None:
    from minicnn.data.own.picture_files import _eight_bits

    pixels = np.arange(65536).reshape(256, 256)
    np.testing.assert_array_equal(_eight_bits(pixels), np.round(pixels / 257).astype(np.uint8))


def test_a_forged_state_of_a_training_is_refused_before_anything_changes(tmp_path: Path) -> None:
    path = tmp_path / "x.state"
    makers.state(path)
    for change, told in (
        ({"batch": 10**6}, "batch is 1000000; an epoch has 2"),
        ({"sums": ["x", 1, 2]}, "sums are"),
        ({"streams": {"loader": 0, "random": 3}}, "streams|random"),
        ({"optimizer": {"step": 0}}, "optimizer has"),
        (
            {"optimizer": {"x" * 500: 0}},
            r"optimizer has \['xxx*\.\.\.; wanted \['dampening', .*'\]$",
        ),
        ({"kinds": {"y": "x" * 500}}, r"y is None; the state's training has x{60}\.\.\.$"),
        ({"sums": ["x" * 500, 1, 2]}, "wanted the sum of losses and two counts$"),
    ):
        forged = state.load(path)
        forged.facts |= change
        training = makers.training()
        before = training.net.state_dict()["1.weight"].numpy().copy()
        with pytest.raises(ValueError, match=f"resume: .*({told})"):
            state.restore(training, forged)
        np.testing.assert_array_equal(training.net.state_dict()["1.weight"].numpy(), before)


def test_a_kept_state_holds_nothing_else(tmp_path: Path) -> None:
    makers.kept(tmp_path)
    (tmp_path / "states" / "notes.safetensors").write_bytes(b"")
    files = kept.state_files(tmp_path)
    assert list(files) == [0, 2, 4]
    from safetensors.numpy import save

    files[0].write_bytes(save({"other.x": np.zeros(1)}, {"step": "{}"}))
    with pytest.raises(ValueError, match=r"other\.x is none of net, gradient, velocity"):
        kept.read_state(files[0])


# ONNX ---------------------------------------------------------------------------------------------


def onnx_file(path: Path, nodes: list[Any], shape: list[int], **more: Any) -> Path:
    """A file of these nodes; the first takes ``input``, the last gives ``output``."""
    onnx = pytest.importorskip("onnx")
    make = onnx.helper
    values = [
        make.make_tensor_value_info(name, 1, size)
        for name, size in (("input", shape), ("output", None))
    ]
    graph = make.make_graph(nodes, "forged", values[:1], values[1:], more.pop("constants", []))
    opsets = [make.make_opsetid("", 17), make.make_opsetid("own", 1)]
    model = make.make_model(graph, opset_imports=opsets, ir_version=8, **more)
    path.write_bytes(model.SerializeToString())
    return path


def test_an_onnx_file_asks_for_no_gigantic_numbers(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    make, to = onnx.helper, onnx.numpy_helper.from_array
    path = tmp_path / "x.onnx"
    sizes = to(np.array([2**40]), "sizes")
    relu = make.make_node("Relu", ["input"], ["output"])
    large = make.make_node("ConstantOfShape", ["sizes"], ["unused"])
    onnx_file(path, [large, relu], [1, 1, 4, 5], constants=[sizes])
    with bounded(memory=2**28), pytest.raises(ValueError, match=r"its result would have 1,099,511"):
        minicnn.onnx.load(path)
    pads = to(np.array([0, 0, 10**5, 10**5, 0, 0, 10**5, 10**5]), "pads")
    frame = make.make_node("Pad", ["input", "pads"], ["output"])
    onnx_file(path, [frame], [1, 1, 4, 5], constants=[pads])
    with bounded(memory=2**28), pytest.raises(ValueError, match="its padded input would have"):
        minicnn.onnx.load(path)
    onnx_file(path, [relu], [2**40, 1, 4, 5])
    with bounded(memory=2**28):  # a batch that only the file's author has
        assert isinstance(minicnn.onnx.load(path)[0], nn.ReLU)
    pool = make.make_node("GlobalAveragePool", ["input"], ["output"])
    onnx_file(path, [pool], [1000, 3, 224, 224])  # it needs the picture's size alone
    assert isinstance(minicnn.onnx.load(path)[0], nn.AvgPool2d)


@pytest.mark.parametrize(
    ("operator", "shapes", "attributes", "cells"),
    [
        ("MatMul", [(1, 25088), (25088, 4096)], {}, None),
        ("MatMul", [(25088, 1), (1, 25088)], {}, "629,407,744"),
        ("MatMul", [(5, 1, 1, 9), (6000, 9, 9000)], {}, "270,000,000"),
        ("MatMul", [(25088,), (25088, 4096)], {}, None),
        ("MatMul", [(4096, 25088), (25088,)], {}, None),
        ("Gemm", [(64, 12544), (12544, 1024)], {}, None),
        ("Gemm", [(12544, 64), (1024, 12544)], {"transA": 1, "transB": 1}, None),
        ("Gemm", [(7, 20_000), (30_000, 7)], {"transA": 1, "transB": 1}, "600,000,000"),
        ("Conv", [(1, 3, 2000, 2000), (64, 3, 1, 1)], {}, None),
        ("Add", [(20_000, 1), (30_000,)], {}, "600,000,000"),
        ("Where", [(1,), (20_000, 1), (30_000,)], {}, "600,000,000"),
        ("Pad", [(3, 4)], {"pads": [0, 1, 0, 2]}, None),
        ("Pad", [(3, 4)], {"pads": [0, 10**5, 0, 2]}, None),
        ("Pad", [(3, 4)], {"pads": [20_000, 10_000, 1, 20_000]}, "600,200,016"),
    ],
)
def test_results_of_constants_are_counted_as_the_operator_shapes_them(
    operator: str, shapes: list[tuple[int, ...]], attributes: dict[str, Any], cells: str | None
) -> None:
    node = pytest.importorskip("onnx").helper.make_node(operator, [], ["y"], **attributes)
    arrays = [np.broadcast_to(np.float32(1), shape) for shape in shapes]
    told = pytest.raises(UnsupportedError, match=rf"its result would have {cells}")
    with told if cells else contextlib.nullcontext():
        check_constant(node, arrays)


def test_an_onnx_file_whose_functions_call_functions_is_not_written_out(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    make = onnx.helper
    opsets = [make.make_opsetid("", 17), make.make_opsetid("own", 1)]
    functions = []
    for i in range(30):
        kind, domain = ("Relu", "") if i == 0 else (f"f{i - 1}", "own")
        twice = [make.make_node(kind, [a], [b], domain=domain) for a, b in (("x", "y"), ("y", "z"))]
        functions.append(make.make_function("own", f"f{i}", ["x"], ["z"], twice, opsets))
    call = make.make_node("f29", ["input"], ["output"], domain="own")
    path = onnx_file(tmp_path / "x.onnx", [call], [1, 1, 4, 5], functions=functions)
    with (
        bounded(memory=2**28),
        pytest.raises(ValueError, match=r"functions would be 1,073,741,824"),
    ):
        minicnn.onnx.load(path)


def test_an_archive_that_holds_no_arrays_is_refused(tmp_path: Path) -> None:
    import zipfile

    path, array = tmp_path / "x.npz", io.BytesIO()
    np.save(array, makers.images(2))
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", array.getvalue() if name == "x_train" else b"text")
    with pytest.raises(data.DatasetError, match=r"x\.npz: y_train is no array"):
        data.from_npz(path)
