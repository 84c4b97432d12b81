"""Paths as people write them, and files that are whole or not there."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import minicnn
from minicnn import Tensor, files


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.expand("~/a/b") == tmp_path / "a" / "b"
    assert files.expand(Path("~")) == tmp_path
    assert files.expand("a/~") == Path("a/~")
    with pytest.raises(FileNotFoundError, match=r"^~nobody-at-all/x: no home folder .* ~nobody-at"):
        files.expand("~nobody-at-all/x")


def test_what_is_saved_with_a_tilde_is_loaded_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    minicnn.save({"w": Tensor([1.0, 2.0])}, "~/w")
    assert (tmp_path / "w").is_file()
    assert minicnn.load("~/w")["w"].shape == (2,)


def test_a_missing_folder_is_named_and_no_hidden_file(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "net.safetensors"
    with pytest.raises(FileNotFoundError) as raised:
        minicnn.save({"w": Tensor([1.0])}, path)
    assert raised.value.filename == str(path)
    assert raised.value.strerror == f"there is no folder {path.parent}"


def test_a_folder_in_the_files_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as raised:
        files.write_whole(tmp_path / "folder", "content")
    assert (raised.value.filename, raised.value.filename2) == (str(tmp_path / "folder"), None)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("old", [True, False])
def test_a_full_disk_names_the_file_and_what_survived(
    old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "net.safetensors"
    if old:
        path.write_text("of before")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left on device") as raised:
        files.write_whole(path, "new")
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename == str(path)
    assert ("file of before is still there" in str(raised.value)) == old
    assert [file.read_text() for file in tmp_path.iterdir()] == ["of before"] * old


def test_a_name_as_long_as_the_system_takes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    files.write_whole(path, "content")
    assert path.read_text() == "content"


def test_a_file_in_a_folders_place_is_named(tmp_path: Path) -> None:
    files.make_folder(tmp_path / "a" / "b")
    files.make_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "file").touch()
    for path in (tmp_path / "a" / "file", tmp_path / "a" / "file" / "c"):
        with pytest.raises(NotADirectoryError, match=r"a file|Not a directory") as raised:
            files.make_folder(path)
        assert str(raised.value.filename).startswith(str(tmp_path / "a" / "file"))


def test_what_is_no_path_is_named() -> None:
    with pytest.raises(TypeError, match=r"^path is 3, of type int; wanted a path$"):
        files.expand(3)  # type: ignore[arg-type]


def test_a_place_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for path in (tmp_path, tmp_path / "a" / "b"):
        files.check_folder(path)
    files.check_file(file)
    files.check_file(tmp_path / "new")
    for check, path, error, said in (
        (files.check_folder, file, NotADirectoryError, "this is a file; wanted a folder"),
        (files.check_folder, file / "a" / "b", NotADirectoryError, f"{file} is a file; wanted a f"),
        (files.check_file, tmp_path, IsADirectoryError, "this is a folder; wanted a file"),
        (files.check_file, tmp_path / "a" / "b", FileNotFoundError, "there is no folder"),
    ):
        with pytest.raises(error) as raised:
            check(path)
        assert str(raised.value.strerror).startswith(said)
        assert raised.value.filename == str(path)
    assert list(tmp_path.iterdir()) == [file]


def test_a_new_file_is_readable_as_others_are_and_an_old_one_as_it_was(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain", tmp_path / "ours"
    plain.write_bytes(b"")
    files.write_whole(path, b"1")
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    files.write_whole(path, b"2")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"2", 0o640)
    assert sorted(tmp_path.iterdir()) == [path, plain]


@pytest.mark.parametrize("path", [".", "/"])
def test_what_has_no_name_is_an_error_of_the_system(path: str) -> None:
    with pytest.raises(OSError, match=r"busy|director|permitted|denied"):
        files.write_whole(path, b"1")


def test_of_two_that_want_to_be_alone_in_a_folder_one_is(tmp_path: Path) -> None:
    with files.alone_in(tmp_path):
        with (
            pytest.raises(BlockingIOError, match="another process is working there") as raised,
            files.alone_in(tmp_path),
        ):
            pass
        assert raised.value.filename == str(tmp_path)
    with files.alone_in(tmp_path):
        pass


def test_without_locks_nobody_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "fcntl", None)  # as on Windows
        with files.alone_in(tmp_path), files.alone_in(tmp_path):
            pass

    def no_locks(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with files.alone_in(tmp_path), files.alone_in(tmp_path):
        pass
