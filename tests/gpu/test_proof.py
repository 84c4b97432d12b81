"""``python -m benchmarks.gpu_proof``: rehearsed to its end on the stand-in, and its parts alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu_proof import __main__ as command
from benchmarks.gpu_proof import counters, entry, parts
from benchmarks.gpu_proof.running import FAILED, LEFT_OUT, PASSED, Outcome, Part, run
from benchmarks.gpu_proof.sizes import SMALL, WHOLE

ROOT = Path(__file__).parents[2]
STANDIN = Path(__file__).parent / "standin"
NVIDIAS = ("ncu", "compute-sanitizer")


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """Where the rehearsal wrote, and the cells of each part's row in its record."""
    out = tmp_path_factory.mktemp("proof")
    paths = os.pathsep.join(map(str, (STANDIN, ROOT)))
    line = [
        sys.executable,
        "-m",
        "benchmarks.gpu_proof",
        "--small",
        "--minutes",
        "60",
        "--out",
        str(out),
    ]
    path = path_without(NVIDIAS, tmp_path_factory.mktemp("programs"))
    env = {**os.environ, "PATH": path, "PYTHONPATH": paths, "MINICNN_ON": "standin"}
    done = subprocess.run(line, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [row.strip("| ").split(" | ") for row in (out / "entry.md").read_text().splitlines()]
    names = {part.name for part in parts.parts(SMALL, out)}
    return out, {row[0]: row for row in rows if row[0] in names}


def path_without(names: tuple[str, ...], empty: Path) -> str:
    """PATH; a folder that has one of these programs gives way to links to all its others."""
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    for i, folder in enumerate(folders):
        if any((folder / name).exists() for name in names):
            folders[i] = empty / str(i)
            folders[i].mkdir()
            for program in folder.iterdir():
                if program.name not in names:
                    (folders[i] / program.name).symlink_to(program)
    return os.pathsep.join(map(str, folders))


@pytest.mark.long
def test_every_part_ends_and_is_in_the_record(rehearsed: Any) -> None:
    out, rows = rehearsed
    assert list(rows) == [part.name for part in parts.parts(SMALL, out)]
    assert list(rows).index("suite") < list(rows).index("lenet-torch-eager")
    assert {row[2] for row in rows.values()} == {PASSED, LEFT_OUT}
    for name in ("machine", "selfcheck", "repeat", "replays", "kernels", "train", "suite"):
        assert rows[name][2] == PASSED
        assert (out / f"{name}.txt").read_text()
    assert rows["selfcheck"][4] == "74 checks; everything agrees"
    assert rows["repeat"][4] == "two runs equal bit for bit, losses the CPU's"


@pytest.mark.long
def test_missing_tools_are_named(rehearsed: Any) -> None:
    _, rows = rehearsed
    for name in ("memcheck", "racecheck", "ncu"):
        tool = "ncu" if name == "ncu" else "compute-sanitizer"
        assert rows[name][2:] == [LEFT_OUT, "0", f"{tool} missing"]
    assert rows["lenet-torch-graph"][4] in ("PyTorch sees no GPU", "torch missing")


@pytest.mark.long
def test_the_record_names_the_machine_and_has_the_tables(rehearsed: Any) -> None:
    text = (rehearsed[0] / "entry.md").read_text()
    assert "- GPU: a stand-in for a GPU, 8 GiB, compute capability 9.0; CuPy 14" in text
    assert f"- Python: {sys.version.split()[0]}" in text
    for title in ("The same numbers", "A step", "lenet: an epoch of 8 images, ms"):
        assert f"**{title}**" in text
    assert "| minicnn graph |" in text


# A part -------------------------------------------------------------------------------------------


def python(code: str, **more: Any) -> Part:
    return Part("one", "a part", 60, (sys.executable, "-c", code), **more)


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("print('3 of 3')", PASSED, "3 of 3"),
        ("raise KeyError('so')", FAILED, "KeyError: 'so'"),
        ("import sys; print('half'); sys.exit(9)", FAILED, "half"),
        ("import sys; sys.exit(9)", FAILED, "exit status 9"),
        ('print(\'result: {"said": "5 us", "rival": false}\')', PASSED, "5 us"),
        ('print(\'result: {"said": "5 u\')', PASSED, 'result: {"said": "5 u'),
        ("print('result: 5')", PASSED, "result: 5"),
    ],
)
def test_a_part_says_how_it_ended(tmp_path: Path, code: str, status: str, said: str) -> None:
    outcome = run(python(code), tmp_path, 60)
    assert (outcome.status, outcome.said) == (status, said)


def test_a_part_that_hangs_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    child = "import time; time.sleep(60); open('late', 'w')"
    code = (
        f"import subprocess, sys, time; print('began', flush=True); "
        f"subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    )
    began = time.perf_counter()
    outcome = run(python(code), tmp_path, 1.5)
    assert time.perf_counter() - began < 30
    assert outcome.status == FAILED
    assert outcome.said.startswith("stopped after ")
    assert outcome.said.endswith("s; began")


def test_what_is_missing_or_too_late_is_left_out(tmp_path: Path) -> None:
    def left_out(part: Part, before: list[Outcome], seconds: float) -> str:
        outcome = command._outcome(part, before, tmp_path, seconds)
        assert outcome.status == LEFT_OUT
        return outcome.said

    missing = python("", tools=("no-such-tool", "sh"), packages=("no_such_package", "numpy"))
    assert left_out(missing, [], 60) == "no-such-tool, no_such_package missing"
    assert left_out(python(""), [], 1.0) == "no time left"
    assert left_out(python("import time; time.sleep(30)"), [], 3.5) == "no time left"
    blind = Outcome(python(""), PASSED, "", result={"rival": False})
    assert left_out(python("", rival=True), [blind], 60) == "PyTorch sees no GPU"
    seeing = Outcome(python(""), PASSED, "", result={"rival": True})
    assert command._outcome(python("", rival=True), [seeing], tmp_path, 60).status == PASSED


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--minutes", "0"], "argument --minutes: '0'; wanted a number above 0"),
        (["--minutes", "ten"], "argument --minutes: 'ten'; wanted a number above 0"),
        (["--outt", "x"], "unrecognized arguments: --outt x"),
        ([], "no NVIDIA driver was found"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "_problem", lambda records: "no NVIDIA driver was found")
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"python -m benchmarks.gpu_proof: error: {says}\n"


def test_a_stand_in_is_not_recorded(cupy: Any) -> None:
    assert command._problem(records=False) is None
    assert command._problem(records=True) == "--record: this is no GPU but a stand-in"


# What they say ------------------------------------------------------------------------------------


def test_a_number_that_differs_is_wrong(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.gpu_proof import measures

    losses = {"gpu": iter([[1.0], [1.0 + 2**-52], [1.02], [1.0]]), "cpu": iter([[1.0]] * 2)}
    weights: list[Any] = []

    def trained(model: str, images: Any, size: int, device: str = "gpu", dtype: str = "") -> Any:
        return next(losses[device]), weights

    monkeypatch.setattr(measures, "trained", trained)
    with pytest.raises(measures.WrongError, match="lenet wrong") as error:
        measures.repeat(SMALL)
    found = error.value.result["tables"][0][1][1]
    assert found == ["lenet", "1", "DIFFERENT", "2.0e-02", "0.0e+00"]


@pytest.mark.parametrize(
    ("says", "text", "said"),
    [
        (parts.of_pytest, "x\n12 passed, 3 skipped in 1.25s\n\n", "12 passed, 3 skipped in 1.25s"),
        (parts.of_pytest, "1 failed, 2 passed in 9.0s (x) =", "1 failed, 2 passed in 9.0s"),
        (parts.of_pytest, "no tests at all\n", "no tests at all"),
        (parts.of_sanitizer, "==== ERROR SUMMARY: 0 errors\nresult: {}", "ERROR SUMMARY: 0 errors"),
        (parts.of_train, "1\n12,345 examples/sec on gpu:0\nwritten", "12,345 examples/sec"),
        (parts.of_selfcheck, "a  OK\nb  OK\nall agrees\n", "2 checks; all agrees"),
    ],
)  # fmt: skip
def test_what_the_output_of_others_says(says: Any, text: str, said: str) -> None:
    assert says(text) == said


NCU = """==PROF== Connected to process 9
==PROF== Profiling "conv_forward": 0%....100% - 1 pass
"ID","Process ID","Kernel Name","Grid Size","gpu__time_duration.sum","smsp__inst_executed.sum"
"","","","","ns","inst"
"0","9","conv_forward(const float *, int)","(1568, 1, 1)","14,720","812,345"
"1","9","update_sgd","(188, 10, 1)","2048",""
"""


def test_what_ncu_counts_is_a_table() -> None:
    head, conv, update = counters.table(NCU)
    assert head[:4] == ["kernel", "grid", "us", "warp instructions, thousands"]
    assert conv == ["conv_forward", "(1568, 1, 1)", "14.7", "812", "", "", "", ""]
    assert update[:4] == ["update_sgd", "(188, 10, 1)", "2.05", ""]
    assert counters.table("ncu: no permission") == [head]


# The record ---------------------------------------------------------------------------------------


def test_a_record_has_a_row_a_part_and_one_table_for_all_sides() -> None:
    def side(name: str, ms: float) -> Outcome:
        row = {"question": "lenet: an epoch", "case": "", "side": name, "unit": "ms", "runs": [ms]}
        return Outcome(python(""), PASSED, f"{ms} ms | all", 2.4, {"rows": [row]})

    sides = [side("minicnn graph", 20.0), side("torch eager", 50.0)]
    text = entry.entry(sides, "2026-01-02", 9.6, "it")
    assert text.startswith("## 2026-01-02: unknown GPU\n\n`it`, 10 s:\n\n| part |")
    assert text.count("| one | a part | passed | 2 |") == 2
    assert "20.0 ms / all" in text
    assert "| minicnn graph | 20.0 | 20.0 | 20.0 | 0.40 |" in text


def test_the_newest_record_comes_first(tmp_path: Path) -> None:
    page = tmp_path / "runs.md"
    page.write_text(
        "# Runs on real GPUs\n\nThere is none yet: why.\n\nEach entry, the newest first\n"
    )
    entry.record("## first\n\ntext\n", page)
    entry.record("## second\n\ntext\n", page)
    text = page.read_text()
    assert text.startswith("# Runs on real GPUs\n\n")
    assert "There is none yet" not in text
    assert text.endswith("\n\n## second\n\ntext\n\n## first\n\ntext\n")


def test_small_and_whole_have_the_same_parts() -> None:
    whole, small = parts.parts(WHOLE, Path("out")), parts.parts(SMALL, Path("out"))
    assert [part.name for part in whole] == [part.name for part in small]
