"""Each bug on purpose in the kernels is noticed by some rung; the kernels themselves by none."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.gpu import bugs, texts

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")

ALL = [*bugs.BUGS, *bugs.races(), *bugs.lifetimes()]
SAMPLE = [  # for each rung one that is soon noticed
    "norm_moments: every block counts",
    "copy_cells: cells in 32 bits",
    "softmax: a class too many",
    "a double among the floats",
    "max_pool_backward: not atomic",
    "a stream does not wait for the last one",
]


@pytest.fixture(scope="module")
def noticed() -> dict[str, tuple[str, str]]:
    return {what: (rung, problem) for what, rung, problem in bugs.all_noticed(ALL)}


@pytest.mark.long
@pytest.mark.parametrize("bug", ALL, ids=lambda bug: bug.what)
def test_a_bug_is_noticed(noticed: dict[str, tuple[str, str]], bug: bugs.Bug) -> None:
    if bug.what not in noticed:
        pytest.skip("needs CuPy and NVRTC")
    assert_noticed(bug, *noticed[bug.what])


@pytest.mark.parametrize("bug", [b for b in ALL if b.what in SAMPLE], ids=lambda bug: bug.what)
def test_one_of_each_kind_is_noticed_by_its_rung(bug: bugs.Bug) -> None:
    if bug.rung in bugs.NEED_NVRTC and not bugs.has_nvrtc():
        pytest.skip("needs CuPy and NVRTC")
    rung, problem = bugs.noticed(bug)
    assert_noticed(bug, rung, problem)
    assert rung == bug.rung


def assert_noticed(bug: bugs.Bug, rung: str, problem: str) -> None:
    print(f"{bug.file}, {bug.what}: {rung}, {problem}")
    assert rung
    assert "CompileError" not in problem  # a bug that g++ refuses is none


def test_bugs_are_where_they_are_said_to_be() -> None:
    assert len({bug.what for bug in ALL}) == len(ALL) >= 100
    for bug in ALL:
        assert bugs.seeded(bug) != texts.everything(), bug.what


@pytest.mark.parametrize(
    ("change", "kernels"),
    [
        ("wanted != 0{- && image < count-})", {"dense_chain", "dense_chain_loss"}),
        ("if ({-decoupled-}{+false+}) kept", {"adam", "update_adam"}),
        (  # dense_chain by way of a mask
            "0xBB67AE8{-5-}{+4+}u",
            {"random_uniform", "dropout", "dense_chain", "dense_chain_loss"},
        ),
    ],
)
def test_with_a_bug_go_the_kernels_that_have_it(change: str, kernels: set[str]) -> None:
    bug = next(bug for bug in bugs.BUGS if bug.change == change)
    left = bugs.alone(bugs.seeded(bug))
    assert {*re.findall(r"__global__ void (\w+)\(", left)} == kernels


def test_each_kind_of_bug_has_one_in_the_sample() -> None:
    assert sorted({bug.rung for bug in ALL}) == sorted(b.rung for b in ALL if b.what in SAMPLE)


@pytest.mark.long
@pytest.mark.parametrize("rung", ["emulator", "width"])
def test_the_kernels_are_right(rung: str) -> None:
    """The sanitizer's word is in test_sanitized.py, NVRTC's in test_nvrtc.py and test_ptx.py."""
    assert bugs.trial(rung, texts.everything()) == (None, sorted(texts.names()))
