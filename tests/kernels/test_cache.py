"""Compiled kernels on disk: never older than their sources, never fatal, never without end."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llvmlite
import numba
import numpy as np
import pytest
from numba.core import config
from numba.core.registry import cpu_target

import minicnn
from minicnn.kernels.cpu import jit

KERNELS = jit.SOURCES
PACKAGE = Path(minicnn.__file__).parent

# Two steps of training: the second loss shows the first one's update.
STEP = """
import numpy as np, minicnn
from minicnn import nn, optim
minicnn.manual_seed(0)
net = nn.Sequential(
    nn.Conv2d(1, 3, (3, 2)), nn.Sigmoid(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(96, 4)
)
step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.1))
x, y = np.arange(20 * 68, dtype=np.uint8).reshape(20, 1, 4, 17), np.arange(20) % 4
print(*(step(x, y)[0].item() for _ in range(2)))
"""
SIGMOID = "import numpy as np, minicnn; print(minicnn.Tensor(np.float32([2])).sigmoid().item())"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the engine, without the sample of the data and without compiled kernels."""
    nothing = shutil.ignore_patterns("__pycache__", "*.gz", "kernels")
    shutil.copytree(PACKAGE, tmp_path / "minicnn", ignore=nothing)
    shutil.copytree(KERNELS, tmp_path / "kernels", ignore=nothing)
    return tmp_path


def run(code: str, checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    ours = ("NUMBA_", "MINICNN_", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=checkout,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def result(code: str, checkout: Path, **environment: str) -> str:
    ended = run(code, checkout, **environment)
    assert ended.returncode == 0, ended.stderr
    assert "Warning" not in ended.stderr
    return ended.stdout


def folders(checkout: Path) -> list[Path]:
    return sorted((checkout / "kernels" / "__pycache__").glob("minicnn-kernels/*"))


def kept(folder: Path) -> list[Path]:
    """The compiled kernels: next to them lie the empty files by which processes claim one."""
    return sorted(folder.glob("*.nbc"))


def edit(checkout: Path, source: str, old: str, new: str) -> None:
    path = checkout / "kernels" / source
    text = path.read_text()
    assert text.count(old) == 1, (source, old)
    path.write_text(text.replace(old, new))


# Sources that the kernels of a step and of its update compile in.
CHANGES = [
    ("cpu/optim.py", "undamped, sign = ", "lr, undamped, sign = 3 * lr, "),
    ("tiles/lanes.py", "ir.Constant(vector_of(x), [1.0]", "ir.Constant(vector_of(x), [2.0]"),
    ("tiles/transpose.py", "one = ir.Constant(x.type, [1.0]", "one = ir.Constant(x.type, [2.0]"),
    ("tiles/loss.py", "sum_loss += qw * (log_sum", "sum_loss += 2 * qw * (log_sum"),
]


@pytest.mark.long
def test_a_compiled_step_is_never_older_than_a_source(checkout: Path) -> None:
    """A change of each source, one after the other, in a tree whose cache is warm."""
    seen = [result(STEP, checkout)]
    assert result(STEP, checkout) == seen[0]
    for change in CHANGES:
        edit(checkout, *change)
        seen.append(result(STEP, checkout))
    assert len(set(seen)) == len(seen), seen

    # the activations' numbers are the compiler's too: old kernels would compute another activation
    edit(checkout, "arrays.py", "NONE, SIGMOID, TANH, RELU,", "NONE, TANH, RELU, SIGMOID,")
    assert result(STEP, checkout) == seen[-1]
    assert len(folders(checkout)) == len(seen) + 1


UPDATE = """
import minicnn
from minicnn import nn, optim
net = nn.Linear(1, 2, bias=False)
net.weight.data[:] = 1
step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.1))
step(minicnn.tensor([[2.0]]), [0])  # p is 1/2: the gradient is (1/2 - 1, 1/2) times 2
print(*net.weight.numpy().ravel())
"""


@pytest.mark.long
def test_an_update_is_never_older_than_the_file_it_calls_into(checkout: Path) -> None:
    assert result(UPDATE, checkout) == "1.1 0.9\n"
    edit(checkout, *CHANGES[0])
    assert result(UPDATE, checkout) == "1.3 0.7\n"
    edit(checkout, CHANGES[0][0], *reversed(CHANGES[0][1:]))
    before = [path.stat().st_mtime_ns for path in sorted(checkout.rglob("*.nbc"))]
    assert result(UPDATE, checkout) == "1.1 0.9\n"
    assert [path.stat().st_mtime_ns for path in sorted(checkout.rglob("*.nbc"))] == before


BITS = """
import numpy as np, minicnn
from minicnn import nn, optim
minicnn.manual_seed(0)
net = nn.Linear(99, 10)
sgd = optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
step = minicnn.compile(net, nn.CrossEntropyLoss(), sgd)
x = np.linspace(-1, 1, 16 * 99, dtype=np.float32).reshape(16, 99)
for _ in range(3):
    step(x, np.arange(16) % 10)
print(net.weight.numpy().tobytes().hex())
"""


@pytest.mark.long
def test_kernels_from_the_disk_give_the_bits_of_those_just_compiled(checkout: Path) -> None:
    """What a kernel calls must not be another function's copy in the process that compiles it."""
    assert result(BITS, checkout) == result(BITS, checkout)


def test_any_source_and_any_switch_leads_to_another_folder(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jit, "SOURCES", checkout / "kernels")
    digests = {jit.digest_of_sources()}
    sources = sorted((checkout / "kernels").rglob("*.py"))
    assert len(sources) > 20
    for source in sources:
        source.write_text(source.read_text() + "\n")
        digests.add(jit.digest_of_sources())
    assert len(digests) == len(sources) + 1

    everything = {jit._digest_of_everything()}
    for name, value in [("OPT", 1), ("BOUNDSCHECK", 1), ("LOOP_VECTORIZE", 0), ("CPU_NAME", "x")]:
        with monkeypatch.context() as patch:
            patch.setattr(config, name, value)
            everything.add(jit._digest_of_everything())
    for package in (numba, llvmlite, np):
        with monkeypatch.context() as patch:
            patch.setattr(package, "__version__", "0.0")
            everything.add(jit._digest_of_everything())
    with monkeypatch.context() as patch:
        codegen = type(cpu_target.target_context.codegen())
        patch.setattr(codegen, "magic_tuple", lambda self: ("triple", "cpu", "+avx1024"))
        everything.add(jit._digest_of_everything())
    assert len(everything) == 1 + 4 + 3 + 1
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 77)
    assert jit._digest_of_everything() in everything


def test_a_folder_that_cannot_be_written_costs_one_warning(checkout: Path) -> None:
    """Wherever it could lie there is a file in the way: as a read-only install without a home."""
    (checkout / "kernels" / "__pycache__").write_bytes(b"")
    ended = run(SIGMOID, checkout, HOME=str(checkout / "kernels" / "arrays.py"), XDG_CACHE_HOME="")
    assert float(ended.stdout) == pytest.approx(1 / (1 + np.exp(-2)))
    assert ended.stderr.count("Warning") == 1, ended.stderr
    assert "compiled again in every process" in ended.stderr
    assert str(checkout / "kernels" / "__pycache__") in ended.stderr


FULL_DISK = """
import pathlib, errno
def write_bytes(self, content):
    open(self, "wb").write(content[:100])
    raise OSError(errno.ENOSPC, "No space left on device")
pathlib.Path.write_bytes = write_bytes
"""


def test_a_full_disk_costs_one_warning_and_leaves_nothing_behind(checkout: Path) -> None:
    ended = run(FULL_DISK + SIGMOID, checkout)
    assert float(ended.stdout) == pytest.approx(1 / (1 + np.exp(-2)))
    assert ended.stderr.count("Warning") == 1, ended.stderr
    (folder,) = folders(checkout)
    assert f"{folder}: No space left on device" in ended.stderr
    assert not any(file.stat().st_size for file in folder.iterdir())


@pytest.fixture
def new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this process keeps kernels, in a folder of the test's."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    jit.folder.cache_clear()
    folder = jit.folder()
    assert folder is not None
    yield folder
    jit.folder.cache_clear()


def doubled() -> Any:
    return jit.jit(_double)


def _double(x: Any) -> Any:
    return 2 * x


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[:-1],
    "a bit flipped": lambda content: content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
    "something else": lambda content: b"<html>",
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_file_is_compiled_again_with_one_warning(new_folder: Path, what: str) -> None:
    assert (doubled()(4), doubled()(0.25)) == (8, 0.5)
    files = kept(new_folder)
    for file in files:
        file.write_bytes(DAMAGES[what](file.read_bytes()))
    jit._warned.cache_clear()
    with pytest.warns(UserWarning, match="is damaged .* NUMBA_CACHE_DIR=") as warned:
        assert (doubled()(5), doubled()(0.75)) == (10, 1.5)
    assert len(warned) == 1
    assert str(files[0].parent) in str(warned[0].message)
    jit._warned.cache_clear()
    again = doubled()
    assert (again(5), again(0.75)) == (10, 1.5)  # whole again, and no word about it
    assert sum(again.stats.cache_hits.values()) == 2


def test_folders_of_other_versions_do_not_pile_up(new_folder: Path) -> None:
    parent = new_folder.parent
    (parent.parent / "minicnn-mine").mkdir()  # in a folder that NUMBA_CACHE_DIR names
    for age in range(20):
        old = parent / f"{age:02}"
        old.mkdir()
        (old / "cpu.nbc").write_bytes(b"")
        os.utime(old, (1e9 - age, 1e9 - age))
    jit.folder.cache_clear()
    assert jit.folder() == new_folder
    left = {path.name for path in parent.iterdir()}
    newest = {f"{age:02}" for age in range(jit.FOLDERS_KEPT - 1)}
    assert left == {new_folder.name, *newest}
    assert (parent.parent / "minicnn-mine").exists()


def test_after_a_clock_was_set_back_the_folders_of_now_stay(new_folder: Path) -> None:
    """Ours, and one that another program uses; those that seem to be from tomorrow are the old."""
    tomorrow, other = time.time() + 86400, new_folder.parent / "other"
    other.mkdir()
    (new_folder / "kept.nbc").write_bytes(b"")
    for number in range(20):
        old = new_folder.parent / f"{number:02}"
        old.mkdir()
        os.utime(old, (tomorrow + number, tomorrow + number))
    jit.folder.cache_clear()
    assert jit.folder() == new_folder
    assert (new_folder / "kept.nbc").exists()
    assert other.exists()
    assert len(list(new_folder.parent.iterdir())) == jit.FOLDERS_KEPT


def test_what_a_folder_of_somebody_elses_has_is_used(
    new_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doubled()(4) == 8
    monkeypatch.setattr(jit, "_can_be_written", lambda place: False)
    jit.folder.cache_clear()
    again = doubled()
    assert again(5) == 10
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_kernel_is_not_kept_when_its_sources_changed_meanwhile(
    new_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jit, "digest_of_sources", lambda: "edited since")
    assert doubled()(4) == 8
    assert kept(new_folder) == []


@pytest.mark.parametrize(("users", "inside"), [(600, jit.SELDOM), (90_000, 90_000), (0, 0)])
def test_python_collects_seldom_while_it_compiles_and_as_before_afterwards(
    users: int, inside: int
) -> None:
    seen, before = [], gc.get_threshold()
    compile = lambda types: seen.append(gc.get_threshold())  # noqa: E731
    try:
        gc.set_threshold(users, 11, 12)
        jit.compiled(SimpleNamespace(compile=compile, overloads={(): None}), ())
        assert seen == [(inside, 11, 12)]
        assert gc.get_threshold() == (users, 11, 12)
    finally:
        gc.set_threshold(*before)


def test_each_type_of_argument_has_its_own_file(new_folder: Path) -> None:
    kernel = doubled()
    assert kernel(4) == 8
    assert kernel(0.25) == 0.5
    assert len(kept(new_folder)) == 2
    again = doubled()
    assert (again(4), again(0.25)) == (8, 0.5)
    assert sum(again.stats.cache_hits.values()) == 2


def test_numba_switched_off_means_the_reference_kernels(tmp_path: Path) -> None:
    code = (
        "import minicnn, sys; from minicnn import compiler, nn; "
        "print(compiler.is_available(), 'numba' in sys.modules); "
        "print(minicnn.Tensor([2.0]).sigmoid().item()); minicnn.compile(nn.Linear(2, 2))"
    )
    ended = run(code, PACKAGE.parent, NUMBA_DISABLE_JIT="1")
    assert ended.stdout.splitlines()[0] == "False False", ended.stderr
    assert "RuntimeError: compile: wanted the kernels 'cpu' (Numba)" in ended.stderr


def test_what_cannot_be_written_is_said_and_leaves_nothing_behind(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    (taken / "by a folder").mkdir(parents=True)
    for path in (taken, tmp_path / "missing" / "folder"):
        with pytest.raises(OSError) as raised:  # noqa: PT011
            jit._write_whole(path, b"kernel")
        assert raised.value.__context__ is None  # no other error on the way
    assert [*tmp_path.iterdir()] == [taken]
