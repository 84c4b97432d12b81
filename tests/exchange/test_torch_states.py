"""``interop.load_state_dict``: files of ``torch.save``."""

from __future__ import annotations

import argparse
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import interop, nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity


def small_net() -> Any:
    return torch.nn.Sequential(torch.nn.Conv2d(2, 3, (3, 2)), torch.nn.BatchNorm2d(3))


def saved(obj: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(obj, buffer, **options)
    return buffer.getvalue()


def assert_loads(state: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(state) == list(expected)
    for name, tensor in state.items():
        np.testing.assert_array_equal(tensor.numpy(), expected[name].numpy())
        assert str(tensor.dtype) == str(expected[name].dtype).removeprefix("torch.")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_is_read(zipped: bool, tmp_path: Path) -> None:
    theirs, path = small_net(), tmp_path / "net.pth"
    path.write_bytes(saved(theirs.state_dict(), _use_new_zipfile_serialization=zipped))
    state = interop.load_state_dict(path)
    assert_loads(state, theirs.state_dict())
    nn.Sequential(nn.Conv2d(2, 3, (3, 2)), nn.BatchNorm2d(3)).load_state_dict(state)


def test_a_part_is_named_and_not_guessed(tmp_path: Path) -> None:
    weights, ema = small_net().state_dict(), small_net().state_dict()
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(saved({"epoch": 3, "model": weights, "ema": ema, "optimizer": {"lr": 0.1}}))
    told = (
        r"checkpoint\.pt holds 'epoch' \(int\), 'model' \(OrderedDict\), 'ema' .*; "
        r"say which has the weights: key='model' or key='ema'$"
    )
    with pytest.raises(ValueError, match=told):
        interop.load_state_dict(path)
    assert_loads(interop.load_state_dict(path, key="ema"), ema)
    with pytest.raises(ValueError, match=r"key is 'net'; .* holds 'epoch' \(int\)"):
        interop.load_state_dict(path, key="net")
    with pytest.raises(ValueError, match=r"'epoch' holds an object of type int; wanted what"):
        interop.load_state_dict(path, key="epoch")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_the_prefix_of_a_wrapper_is_named_and_stripped(prefix: str, tmp_path: Path) -> None:
    expected, path = small_net().state_dict(), tmp_path / "net.pt"
    path.write_bytes(saved({prefix + name: tensor for name, tensor in expected.items()}))
    net = nn.Sequential(nn.Conv2d(2, 3, (3, 2)), nn.BatchNorm2d(3))
    with pytest.raises(KeyError) as caught:
        net.load_state_dict(interop.load_state_dict(path))
    assert f"load_state_dict(path, strip_prefix={prefix!r})" in caught.value.args[0]
    state = interop.load_state_dict(path, strip_prefix=prefix)
    assert_loads(state, expected)
    with pytest.raises(ValueError, match=r"strip_prefix is 'net\.', and .* has names without it"):
        interop.load_state_dict(path, strip_prefix="net.")


def test_halves_are_widened_with_a_note(tmp_path: Path) -> None:
    numbers, path = torch.tensor([1.5, -3e-5, 70.0]), tmp_path / "net.pt"
    path.write_bytes(saved({"a": numbers.half(), "b": numbers.bfloat16(), "c": numbers}))
    with pytest.warns(UserWarning, match=r"net\.pt: 2 tensors in bfloat16 and float16 became"):
        state = interop.load_state_dict(path)
    assert_loads(
        state, {"a": numbers.half().float(), "b": numbers.bfloat16().float(), "c": numbers}
    )


def zipped(change: Callable[[bytearray], Any]) -> bytes:
    content = bytearray(saved({"w": torch.arange(1000, dtype=torch.float32)}))
    change(content)
    return bytes(content)


def flip_a_number(content: bytearray) -> None:
    content[content.index(np.arange(500, 510, dtype=np.float32).tobytes()) + 2] ^= 0x40


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (saved(small_net()), r"holds more than tensors \(torch\.nn\.modules\.\S+\); wanted what"),
        (saved({"a": argparse.Namespace(b=1)}), r"more than tensors \(argparse\.Namespace\)"),
        (saved([torch.ones(2)]), r"holds an object of type list; wanted what torch\.save"),
        (saved({"a": torch.ones(2), "b": 1}), r"holds 'a' \(Tensor\), 'b' \(int\); wanted what"),
        (saved({"a": torch.ones(2, dtype=torch.complex64)}), r"a is torch\.complex64"),
        (b"", "is not a PyTorch file .*, it is empty$"),
        (b"hello world\n" * 9, "it is something else$"),
        (b"<!doctype html><p>", "it is a web page"),
        (
            b"\x40" + 7 * b"\0" + b'{"a":' + 60 * b" ",
            r"safetensors file; read it with minicnn\.load",
        ),
        (zipped(lambda c: c.__delitem__(slice(2000, None))), "is damaged: "),
        (zipped(flip_a_number), r"is damaged: \S+data/0 does not have its checksum$"),
        (saved({"a": torch.ones(9)}, _use_new_zipfile_serialization=False)[:-3], "is damaged: "),
    ],
    ids=range(12),
)
def test_what_cannot_be_read_is_said_in_a_line(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        interop.load_state_dict(path)
    assert "\n" not in str(caught.value)
    assert "net.pt" in str(caught.value)


def test_a_flipped_bit_is_never_read_as_other_numbers(tmp_path: Path) -> None:
    expected = {"w": torch.arange(1000, dtype=torch.float32)}
    whole, path = saved(expected), tmp_path / "net.pt"
    dice, refused = random.Random(5), 0
    for _ in range(100):
        content, bit = bytearray(whole), dice.randrange(8 * len(whole))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        try:
            state = interop.load_state_dict(path)
        except ValueError:
            refused += 1
        else:  # in a place where nothing stands
            assert_loads(state, expected)
    assert refused > 70


def test_a_folder_or_nothing_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        interop.load_state_dict(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"net\.pt"):
        interop.load_state_dict(tmp_path / "net.pt")


def test_a_stand_in_for_pytorch_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from minicnn.d2l.facades.modules import Facade

    monkeypatch.setitem(sys.modules, "torch", Facade("torch", "minicnn's", {}))
    with pytest.raises(ImportError, match=r"torch means minicnn here.*minicnn\.d2l\.uninstall"):
        interop.to_torch(nn.Linear(2, 3))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError, match="pip install torch"):
        interop.load_state_dict("net.pt")


def test_the_faces_are_loaded_when_they_are_named() -> None:
    assert minicnn.interop is interop
    with pytest.raises(AttributeError, match="has no attribute 'interopt'"):
        minicnn.interopt  # type: ignore[attr-defined]  # noqa: B018
