"""Freed memory stays in the process: what the C library is asked."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import pytest

from minicnn.kernels.cpu import memory


def test_glibc_is_asked_to_keep_what_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[int, int] = {}
    libc = SimpleNamespace(mallopt=asked.__setitem__)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: libc)
    monkeypatch.setattr("sys.platform", "linux")
    memory.keep_freed_memory.__wrapped__()
    assert asked == {-1: 256 << 20, -3: 32 << 20}  # as malloc.h numbers trim and mmap thresholds


@pytest.mark.parametrize("libc", [SimpleNamespace(), None])
def test_another_c_library_is_asked_nothing(
    libc: SimpleNamespace | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: libc)
    monkeypatch.setattr("sys.platform", "darwin" if libc is None else "linux")
    memory.keep_freed_memory.__wrapped__()
