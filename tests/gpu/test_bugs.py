"""Each bug on purpose in the kernels is noticed by some rung; the kernels themselves by none."""

from __future__ import annotations

import shutil

import pytest

from tests.gpu import bugs, texts

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


@pytest.fixture(scope="module")
def noticed() -> dict[str, tuple[str, str]]:
    return bugs.all_noticed()


@pytest.mark.parametrize("bug", bugs.BUGS, ids=lambda bug: bug.what)
def test_a_bug_is_noticed(noticed: dict[str, tuple[str, str]], bug: bugs.Bug) -> None:
    if bug.what not in noticed:
        pytest.skip("needs CuPy and NVRTC")
    rung, problem = noticed[bug.what]
    print(f"{bug.file}, {bug.what}: {rung}, {problem}")
    assert rung
    assert "CompileError" not in problem  # a bug that g++ refuses is none


@pytest.mark.parametrize("rung", ["emulator", "width"])
def test_the_kernels_are_right(rung: str) -> None:
    """The sanitizer's word is in test_sanitized.py, NVRTC's in test_nvrtc.py."""
    assert bugs.trial(rung, texts.everything()) == (None, sorted(texts.names()))
