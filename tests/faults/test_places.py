"""Where files are to go: full disks, folders that cannot be written, names in any language."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import train
from minicnn.compare import main as compare
from minicnn.explain.__main__ import main as explain
from minicnn.export.options import main as export
from minicnn.learn.options import main as start
from minicnn.predict.options import main as predict

from .running import FAST, ROOT, complaints, environment, printed, python

pytestmark = pytest.mark.long

# A command's words follow: what it mounts, nobody else sees, and it is gone when the command ends.
UNSHARED = ["unshare", "--mount", "sh", "-c"]
SMALL_DISK = 'mount -t tmpfs -o size=256k tmpfs "$1" && shift && exec "$@"'
READ_ONLY = (
    'for place in "$1" "$2"; do mount --bind "$place" "$place" && '
    'mount -o remount,bind,ro "$place"; done && shift 2 && exec "$@"'
)


@pytest.fixture(scope="session")
def mounts_are_possible() -> None:
    """Skips where this user may not mount anything."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare (util-linux)")
    tried = subprocess.run([*UNSHARED, "mount -t tmpfs tmpfs /mnt"], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"no mounts of one's own here: {tried.stderr.strip()}")


# Each command in turn writes into a folder that has no room, in one process.
ON_A_FULL_DISK = """
import contextlib, importlib, io, json, pathlib, sys
import minicnn
disk = pathlib.Path(sys.argv[1])
with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as file:
    while True:
        file.write(bytes(4096))
with contextlib.suppress(OSError), open(disk / "filler", "ab", buffering=0) as file:
    while True:
        file.write(b".")
for name, *arguments in json.loads(sys.argv[2]):
    main = importlib.import_module(name).main
    with contextlib.redirect_stdout(io.StringIO()):
        with contextlib.redirect_stderr(io.StringIO()) as told:
            try:
                status = main(arguments)
            except SystemExit as ended:
                status = ended.code
    left = sorted(str(path.relative_to(disk)) for path in disk.rglob("*"))
    print(json.dumps([status, told.getvalue(), left]))
"""


@pytest.mark.usefixtures("mounts_are_possible")
def test_on_a_full_disk_each_command_says_so_in_a_line_and_leaves_no_half_file(
    tmp_path: Path,
) -> None:
    disk, run = tmp_path / "disk", str(tmp_path / "run")
    disk.mkdir()
    assert train.main([*FAST, "--quiet", "--no-compile", "--out", run]) == 0
    out = str(disk / "out")
    commands = [
        ["minicnn.train", *FAST, "--no-compile", "--out", out],
        ["minicnn.explain.__main__", "--no-open", "--out", out],
        ["minicnn.export.__main__", "--run", run, "--out", out],
        ["minicnn.export.__main__", "--run", run, "--to", "onnx", "--out", out],
        ["minicnn.compare", run, run, "--out", out],
        ["minicnn.predict.__main__", "--run", run, "--index", "0", "--show", out],
        ["minicnn.visualize.__main__", "--run", run, "--out", out],
        ["minicnn.learn.__main__", "start", out],
        ["minicnn.sweep.__main__", "--grid", "lr=0.1,0.2", "--out", out],
    ]
    done = python(
        *("-c", ON_A_FULL_DISK, str(disk), json.dumps(commands)),
        before=[*UNSHARED, SMALL_DISK, "sh", str(disk)],
        cwd=ROOT,
    )
    for words, line in zip(commands, printed(done).splitlines(), strict=True):
        status, errors, left = json.loads(line)
        told = complaints(errors)
        assert (words[0], status, told.count("\n")) == (words[0], 2, 1), told
        assert "No space left on device" in told
        assert str(disk) in told
        assert left in (["filler"], ["filler", "out"]), (
            words
        )  # a folder may be there, nothing in it


# Nothing can be written but the run: neither kernels next to the sources nor anything at home.
AT_HOME = """
import sys
from minicnn import data, train
from minicnn.data.catalogue import CATALOGUE, Source
CATALOGUE["tiny"] = Source(("a",), {"x": ""}, None, ("http://127.0.0.1:9/a",), files=("x",))
status = train.main(sys.argv[1:])
try:
    data.load("tiny")
except FileNotFoundError as error:
    print(error)
sys.exit(status)
"""


@pytest.mark.usefixtures("mounts_are_possible")
def test_where_all_but_the_run_is_read_only_training_goes_on(tmp_path: Path) -> None:
    home, run = tmp_path / "home", tmp_path / "run"
    home.mkdir()
    ours = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "MPLCONFIGDIR")
    env = {name: value for name, value in environment().items() if name not in ours}
    done = python(
        *("-c", AT_HOME, *FAST, "--no-compile", "--out", str(run)),
        before=[*UNSHARED, READ_ONLY, "sh", str(home), str(ROOT)],
        env={**env, "HOME": str(home), "MINICNN_KERNELS": "reference"},
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert f"cannot write to {home}/.cache/minicnn/tiny (Read-only file system)" in done.stdout
    minicnn.load_run(run)
    assert (run / "curves.png").is_file()
    assert list(home.iterdir()) == []


ODD = ['a space and " and %s {0} and $_$', "訓練 обучение", "no \udcff UTF-8"]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.filterwarnings("ignore:boxes stand for")  # where no font has the characters
def test_any_name_of_a_folder_is_fine(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    run = folder / "run"
    quiet = ["--quiet", "--no-compile"]
    assert train.main([*FAST, *quiet, "--keep-states", "9", "--out", str(run)]) == 0
    assert train.main(["--resume", str(run), "--quiet", "--epochs", "3"]) == 0
    assert train.main(["--config", str(run / "config.json"), "--out", str(folder / "again")]) == 0
    assert compare([str(run), str(folder / "again"), "--out", str(folder / "curves.png")]) == 0
    assert explain(["--no-open", "--out", str(folder / "page.html")]) == 0
    assert export(["--run", str(run), "--out", str(folder / "net.c")]) == 0
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(folder / "7.png")
    assert predict(["--run", str(run), str(folder / "7.png")]) == 0
    assert start(["start", str(folder / "course")]) == 0


def test_where_only_ascii_is_known_a_path_is_still_said(tmp_path: Path) -> None:
    folder = tmp_path / "訓練"
    done = python(
        *("-m", "minicnn.train", *FAST, "--quiet", "--no-compile", "--out", str(folder)),
        env=environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"),
        cwd=ROOT,
    )
    assert printed(done) == f"{folder}\n"  # the bytes that came in
    minicnn.load_run(folder)
