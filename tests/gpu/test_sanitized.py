"""Every kernel, under AddressSanitizer and UBSan: nothing outside of an array is touched."""

from __future__ import annotations

import shutil

import pytest

from tests.gpu import bugs, texts


@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_no_kernel_leaves_its_arrays() -> None:
    assert bugs.trial("sanitizer", texts.everything()) == (None, sorted(texts.names()))
