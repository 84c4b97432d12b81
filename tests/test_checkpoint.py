"""minicnn.save and minicnn.load: safetensors files, whole or not at all."""

import json
import os
import pickle
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import minicnn
from minicnn import Tensor, models, nn

ARRAYS: dict[str, np.ndarray] = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "transposed": np.arange(6, dtype=np.float64).reshape(2, 3).T,
    "every other": np.arange(10, dtype=np.int32)[::2],
    "backwards": np.arange(4, dtype=np.float32)[::-1],
    "broadcast": np.broadcast_to(np.float32(3), (2, 2)),
    "fortran": np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4)),
    "scalar": np.array(5),
    "empty": np.ones((0, 3), np.float32),
    "bytes": np.arange(3, dtype=np.uint8),
    "flags": np.array([True, False]),
}


def assert_same(loaded: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert set(loaded) == set(expected)
    for name, value in expected.items():
        assert np.asarray(loaded[name]).dtype == np.asarray(value).dtype, name
        np.testing.assert_array_equal(np.asarray(loaded[name]), np.asarray(value), err_msg=name)


def net() -> nn.Sequential:
    layers = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))
    layers(Tensor(np.random.default_rng(0).random((5, 1, 4, 4)).astype(np.float32)))
    return layers


@pytest.mark.parametrize("as_text", [False, True])
def test_a_net_makes_the_round_trip(tmp_path: Path, as_text: bool) -> None:
    path = tmp_path / "net.safetensors"
    trained, fresh = net(), net()

    minicnn.save(trained, str(path) if as_text else path)
    state = minicnn.load(str(path) if as_text else path)
    fresh.load_state_dict(state)

    assert_same(state, trained.state_dict())
    assert_same(fresh.state_dict(), trained.state_dict())
    assert state["1.num_batches_tracked"].shape == ()
    assert state["1.num_batches_tracked"].item() == 1


def test_arrays_of_any_layout_keep_their_values(tmp_path: Path) -> None:
    minicnn.save(ARRAYS, tmp_path / "arrays")
    assert_same(minicnn.load(tmp_path / "arrays"), ARRAYS)


def test_a_mapping_may_hold_tensors_arrays_and_numbers(tmp_path: Path) -> None:
    minicnn.save({"a": Tensor([1.0, 2.0]), "b": np.ones(2), "c": 1.5}, tmp_path / "state")
    assert_same(
        minicnn.load(tmp_path / "state"),
        {"a": np.array([1, 2], np.float32), "b": np.ones(2), "c": np.float32(1.5)},
    )


def test_loaded_tensors_can_be_learnt(tmp_path: Path) -> None:
    minicnn.save({"w": np.ones(2, np.float32)}, tmp_path / "state")
    w = nn.Parameter(minicnn.load(tmp_path / "state")["w"])

    (w * 2).sum().backward()
    minicnn.optim.SGD([w], lr=1).step()

    np.testing.assert_array_equal(w.numpy(), [-1, -1])


def test_safetensors_itself_reads_and_writes_the_same(tmp_path: Path) -> None:
    minicnn.save(ARRAYS, tmp_path / "ours")
    assert_same(safetensors.numpy.load_file(tmp_path / "ours"), ARRAYS)

    contiguous = {name: array.copy(order="C") for name, array in ARRAYS.items()}
    safetensors.numpy.save_file(contiguous, tmp_path / "theirs")
    assert_same(minicnn.load(tmp_path / "theirs"), ARRAYS)


@pytest.mark.parity
def test_pytorch_reads_and_writes_the_same(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    ours = models.lenet()
    layers = [
        *(torch.nn.Conv2d(1, 6, 5, padding=2), torch.nn.Sigmoid(), torch.nn.AvgPool2d(2)),
        *(torch.nn.Conv2d(6, 16, 5), torch.nn.Sigmoid(), torch.nn.AvgPool2d(2)),
        *(torch.nn.Flatten(), torch.nn.Linear(400, 120), torch.nn.Sigmoid()),
        *(torch.nn.Linear(120, 84), torch.nn.Sigmoid(), torch.nn.Linear(84, 10)),
    ]
    theirs = torch.nn.Sequential(*layers)
    x = np.random.default_rng(0).random((2, 1, 28, 28)).astype(np.float32)

    minicnn.save(ours, tmp_path / "ours")
    theirs.load_state_dict(load_file(tmp_path / "ours"))
    np.testing.assert_allclose(
        ours(Tensor(x)).numpy(), theirs(torch.tensor(x)).detach().numpy(), atol=1e-5
    )
    state = {name: tensor + 1 for name, tensor in theirs.state_dict().items()}
    save_file(state, tmp_path / "theirs")
    assert_same(minicnn.load(tmp_path / "theirs"), state)


@pytest.mark.parametrize("obj", [[Tensor([1.0])], Tensor([1.0]), None, "net"])
def test_only_modules_and_mappings_are_saved(tmp_path: Path, obj: Any) -> None:
    with pytest.raises(
        TypeError, match=r"^save: obj is of type \w+; wanted a Module or a state_dict$"
    ):
        minicnn.save(obj, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def damaged() -> dict[str, bytes]:
    content = safetensors.numpy.save({"a": np.arange(100, dtype=np.float32)})
    header_size = struct.unpack("<Q", content[:8])[0]

    def of_dtype(name: str, size: int) -> bytes:
        header = {"a": {"dtype": name, "shape": [1], "data_offsets": [0, size]}}
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + b"\0" * size

    return {
        "empty": b"",
        "text": b"epoch,loss\n1,2.3\n" * 10,
        "a pickle": b"\x80\x04}\x94." * 20,
        "cut in the header": content[: header_size // 2],
        "cut in the data": content[:-1],
        "too long": content + b"\0",
        "broken header": content[:12] + b"\xff" + content[13:],
        "unknown dtype": of_dtype("X9", 4),
        "dtype that NumPy does not have": of_dtype("F8_E4M3", 1),
        "complex numbers": of_dtype("C64", 8),
    }


@pytest.mark.parametrize(("content"), damaged().values(), ids=damaged().keys())
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"broken\.safetensors (is not a safetens|holds a dtype that)"
    ):
        minicnn.load(path)


@pytest.mark.parametrize("number", [1.0, -0.15625, 65504.0, 2.0**-24, np.inf, np.nan, -0.0])
def test_half_precision_is_widened_exactly(tmp_path: Path, number: float) -> None:
    half = np.array([[number, 1]], np.float16)
    safetensors.numpy.save_file({"w": half}, tmp_path / "half")
    w = minicnn.load(tmp_path / "half")["w"]
    assert w.dtype == np.float32
    np.testing.assert_array_equal(w.numpy(), half.astype(np.float32))
    assert np.signbit(w.numpy()[0, 0]) == np.signbit(half[0, 0])


def test_every_bfloat16_is_widened_exactly(tmp_path: Path) -> None:
    """A bfloat16 is the upper half of a float32."""
    bits = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    header = {"w": {"dtype": "BF16", "shape": [256, 256], "data_offsets": [0, bits.nbytes]}}
    text = json.dumps(header).encode()
    path = tmp_path / "bfloat16"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bits.astype("<u2").tobytes())
    w = minicnn.load(path)["w"].numpy()
    assert w.dtype == np.float32
    np.testing.assert_array_equal(w.view(np.uint32) >> 16, bits)
    np.testing.assert_array_equal(w.view(np.uint32) & 0xFFFF, 0)
    assert (w[0x3F, 0x80], w[0xC0, 0x49]) == (1, -3.140625)


@pytest.mark.parity
def test_pytorchs_bfloat16_is_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    w = torch.linspace(-3, 3, 15).reshape(3, 5).to(torch.bfloat16)
    save_file({"w": w}, tmp_path / "half")
    np.testing.assert_array_equal(minicnn.load(tmp_path / "half")["w"].numpy(), w.float().numpy())


def test_names_come_in_the_files_order(tmp_path: Path) -> None:
    """safetensors itself gives them in another order in each process."""
    names = [f"{k}.{part}" for k in (10, 2, 0, 7, 31, 4) for part in ("weight", "bias")]
    path = tmp_path / "net"
    minicnn.save({name: np.full(2, k, np.float32) for k, name in enumerate(names)}, path)
    loaded = minicnn.load(path)
    assert list(loaded) == sorted(names)  # the order in which safetensors writes one dtype
    assert [loaded[name].numpy()[0] for name in names] == list(range(12))
    path.write_bytes(
        safetensors.numpy.save({"b": np.zeros(1, "i8"), "a": np.zeros(1, "f4")}, {"by": "us"})
    )
    assert list(minicnn.load(path)) == ["b", "a"]


OTHER_KINDS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "web page": (b"\n<!doctype html><title>404</title>", "a web page .*download the file itself"),
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "Git-LFS .*git lfs pull"),
    "gzip": (b"\x1f\x8b\x08\0\0\0\0\0", "a gzip file; unpack it"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "an HDF5 file .* import h5py, minicnn; "),
    "pickle": (b"\x80\x04}\x94." * 20, "a Python pickle; if you trust it"),
    "old PyTorch": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(9),
                    r"a PyTorch file .*interop\.load_state_dict"),
    "broken zip": (b"PK\x03\x04" + bytes(9), "a zip archive; unpack it"),
    "Parquet": (b"PAR1" + bytes(9), "a Parquet file; wanted one that minicnn.save wrote"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), OTHER_KINDS.values(), ids=OTHER_KINDS.keys())
def test_a_file_of_another_kind_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "net.pt"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"^.*net\.pt is not a safetensors file.* {said}"
    ) as caught:
        minicnn.load(path)
    assert "\n" not in str(caught.value)


def test_a_damaged_safetensors_file_is_no_pickle(tmp_path: Path) -> None:
    """A header of 640 bytes: the file begins with 80 02, like a pickle."""
    (tmp_path / "net").write_bytes(struct.pack("<Q", 640) + b'{"a": ' + bytes(700))
    with pytest.raises(ValueError, match="not a safetensors file, or damaged: "):
        minicnn.load(tmp_path / "net")


def as_told(message: str) -> None:
    """Run the lines that the message gives."""
    exec(message.split("convert it with: ")[1].split(" (Keras")[0], {})


@pytest.mark.parametrize("kind", ["npz", "npy", "pkl"])
def test_a_file_of_another_kind_is_converted_as_the_message_says(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"it's a net.{kind}"
    arrays = {"0.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
    if kind == "npz":
        np.savez(path, **arrays)  # type: ignore[arg-type]
    elif kind == "npy":
        np.save(path, arrays["0.weight"])
    else:
        path.write_bytes(pickle.dumps(arrays))
    with pytest.raises(
        ValueError, match=r"a net.*; (if you trust it, )?convert it with: "
    ) as caught:
        minicnn.load(path)
    as_told(str(caught.value))
    assert_same(minicnn.load(path.with_suffix(".safetensors")), arrays)


def test_a_keras_archive_is_unpacked_first(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", "")
    with pytest.raises(ValueError, match=r"a Keras archive .* convert its model\.weights\.h5"):
        minicnn.load(tmp_path / "net.keras")


def test_an_hdf5_file_is_converted_as_the_message_says(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file["layer/0"] = np.arange(6, dtype=np.float32).reshape(2, 3)
        file["layer/1"] = np.ones(2)
    with pytest.raises(ValueError, match="an HDF5 file") as caught:
        minicnn.load(tmp_path / "net.h5")
    as_told(str(caught.value))
    loaded = minicnn.load(tmp_path / "net.safetensors")
    assert {name: array.shape for name, array in loaded.items()} == {
        "layer/0": (2, 3),
        "layer/1": (2,),
    }


@pytest.mark.parity
@pytest.mark.parametrize("zipped", [True, False])
def test_pytorchs_own_file_is_converted_as_the_message_says(tmp_path: Path, zipped: bool) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(3, 2)
    path = tmp_path / "net.pt"
    torch.save(layer.state_dict(), path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"a PyTorch file \(torch\.save\); convert") as caught:
        minicnn.load(path)
    as_told(str(caught.value))
    assert_same(minicnn.load(tmp_path / "net.safetensors"), layer.state_dict())


@pytest.mark.parametrize("name", ["net.pt", "NET.PTH", "net.npz", "net.h5"])
def test_a_name_of_another_format_is_warned_of(tmp_path: Path, name: str) -> None:
    with pytest.warns(
        UserWarning, match=r"is a safetensors file, which .* wanted a name like (?i:net)\.saf"
    ) as warned:
        minicnn.save(ARRAYS, tmp_path / name)
    assert [warning.filename for warning in warned] == [__file__]
    assert_same(minicnn.load(tmp_path / name), ARRAYS)


def test_saving_over_a_link_writes_the_file_that_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    target, link = tmp_path / "disk" / "net.safetensors", tmp_path / "latest.safetensors"
    link.symlink_to(target)
    for number in (0, 1):  # before the file is there, and after
        minicnn.save({"a": np.full(3, number)}, link)
        assert link.is_symlink()
        assert_same(minicnn.load(target), {"a": np.full(3, number)})
    assert [path.name for path in target.parent.iterdir()] == ["net.safetensors"]
    target.unlink()
    target.parent.rmdir()
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*disk"):
        minicnn.save(ARRAYS, link)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"is a folder; wanted a file .*minicnn\.load_run"):
        minicnn.load(tmp_path)


def test_a_missing_file_or_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.safetensors"):
        minicnn.load(tmp_path / "nothing.safetensors")
    with pytest.raises(FileNotFoundError, match="missing"):
        minicnn.save(net(), tmp_path / "missing" / "net.safetensors")


@pytest.mark.parametrize("interruption", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", [(os, "replace"), (Path, "open"), (os, "chmod")])
def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interruption: BaseException,
    step: tuple[Any, str],
) -> None:
    path = tmp_path / "net.safetensors"
    minicnn.save({"a": np.zeros(3)}, path)
    before = path.read_bytes()

    def interrupt(*_: Any, **__: Any) -> None:
        raise interruption

    with monkeypatch.context() as patch:
        patch.setattr(*step, interrupt)
        with pytest.raises(type(interruption)):
            minicnn.save({"a": np.ones(3)}, path)

    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]


def test_a_state_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    minicnn.save({"a": np.zeros(3)}, path)
    with pytest.raises(TypeError, match="complex128"):
        minicnn.save({"a": np.ones(3, complex)}, path)
    assert_same(minicnn.load(path), {"a": np.zeros(3)})


def test_a_saved_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    minicnn.save({"a": np.zeros(3)}, tmp_path / "saved")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "saved")]
    assert modes[0] == modes[1]
