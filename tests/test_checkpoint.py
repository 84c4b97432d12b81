"""minicnn.save and minicnn.load: safetensors files, whole or not at all."""

import json
import os
import stat
import struct
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
    with pytest.raises(TypeError, match=r"^save: wanted a Module or a state_dict, received \w+$"):
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
        "dtype that NumPy does not have": of_dtype("BF16", 2),
    }


@pytest.mark.parametrize(("content"), damaged().values(), ids=damaged().keys())
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"broken\.safetensors (is not a safetens|holds a dtype that)"
    ):
        minicnn.load(path)


def test_a_missing_file_or_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.safetensors"):
        minicnn.load(tmp_path / "nothing.safetensors")
    with pytest.raises(FileNotFoundError, match="missing"):
        minicnn.save(net(), tmp_path / "missing" / "net.safetensors")


@pytest.mark.parametrize("interruption", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["replace", "fdopen", "chmod"])
def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interruption: BaseException,
    step: str,
) -> None:
    path = tmp_path / "net.safetensors"
    minicnn.save({"a": np.zeros(3)}, path)
    before = path.read_bytes()

    def interrupt(*_: Any, **__: Any) -> None:
        raise interruption

    with monkeypatch.context() as patch:
        patch.setattr(os, step, interrupt)
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
