"""python -m minicnn.learn: the folder, checks, hints, and what is said of code that misbehaves."""

from __future__ import annotations

import pickle
import shlex
import sys
from pathlib import Path

import pytest

from minicnn.learn import child
from minicnn.learn.course import COURSE
from minicnn.learn.judge import judge
from minicnn.learn.options import main


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's folder, English, and the folder one is in."""
    monkeypatch.setenv("LC_ALL", "C")
    assert main(["start", str(tmp_path / "course")]) == 0
    monkeypatch.chdir(tmp_path / "course")
    return tmp_path / "course"


def solve(folder: Path, number: int) -> None:
    """Write the right answer into the learner's file."""
    exercise = COURSE[number]
    (folder / exercise.file).write_text(exercise.answer)


def test_start_makes_a_file_with_a_hole_for_each_exercise(course: Path) -> None:
    for exercise in COURSE.values():
        text = (course / exercise.file).read_text()
        assert f"def {exercise.function}(" in text
        assert "NotImplementedError" in text
        assert f"Exercise {exercise.number}:" in text
        assert "BEGIN" not in text
        answer = exercise.answer.split('"""')[-1].strip()
        assert answer not in text


def test_start_again_keeps_what_was_written(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    solve(course, 3)
    (course / COURSE[4].file).unlink()
    assert main(["start", str(course)]) == 0
    assert f"{len(COURSE) - 1} files were there already" in capsys.readouterr().out
    assert (course / COURSE[3].file).read_text() == COURSE[3].answer
    assert (course / COURSE[4].file).is_file()


def test_a_file_that_is_missing_is_made_again_by_the_command_that_is_told(
    course: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = course / COURSE[1].file
    for here in (course, course.parent):
        monkeypatch.chdir(here)
        folder = [] if here == course else ["--in", str(course)]
        file.unlink()
        capsys.readouterr()
        assert main(["check", "1", *folder]) == 1
        missing, hint = capsys.readouterr().out.splitlines()
        command = missing.partition("; ")[2].removesuffix(" makes it again")
        assert command == " ".join(["python -m minicnn.learn start", *folder])
        assert main(shlex.split(command)[3:]) == 0
        assert file.is_file()
        assert hint.strip() == " ".join(["a hint: python -m minicnn.learn hint 1", *folder])


def test_start_wants_a_folder_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["start"])
    assert "start: no folder; wanted a name" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_digits_of_other_kinds_in_the_memory_of_hints_are_passed_over(course: Path) -> None:
    (course / ".hints").write_text("1 ²\n2 1\n", encoding="utf-8")
    assert main(["hint", "1"]) == 0
    assert (course / ".hints").read_text(encoding="utf-8") == "1 1\n2 1\n"


def test_check_goes_up_to_the_first_that_is_not_right(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    solve(course, 1)
    solve(course, 2)
    (course / COURSE[3].file).write_text(COURSE[3].answer.replace("+=", "="))
    capsys.readouterr()
    assert main(["check"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == " 1  a convolution, forward: right"
    assert said[2].startswith(" 3  the gradient of the weights: dW[0, 0, 0, 0] is ")
    assert "The slip: = where += belongs" in said[2]
    assert said[3].strip().startswith("see it: python -m minicnn.learn show 3 ")
    assert len(said) == 4


def test_all_right_leads_to_the_training(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in COURSE:
        solve(course, number)
    capsys.readouterr()
    assert main(["check"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.endswith(": right") for line in said] == [True] * len(COURSE) + [False]
    assert "python -m minicnn.learn train" in said[-1]


def test_options_may_stand_between_a_command_and_its_number(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for typed in ("check 3 --in {}", "check --in {} 3", "--in {} check 3"):
        assert main([word.format(course) for word in typed.split()]) == 1  # not begun
        said.append(capsys.readouterr().out)
    assert said[0].startswith(" 3  ")
    assert said[0] == said[1] == said[2]


def test_there_are_three_hints_and_the_third_is_the_formula(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    said = []
    for _ in range(4):
        assert main(["hint", "3"]) == 0
        said.append(capsys.readouterr().out)
    heads = [text.split("\n")[0] for text in said]
    assert heads == [f" 3  the gradient of the weights: hint {k} of 3" for k in (1, 2, 3, 3)]
    assert len(set(said)) == 3
    assert "dW[o, c, i, j] = sum over n, oh, ow of" in said[2]
    assert "= sum" not in said[0] + said[1]


def test_a_hint_without_a_number_is_for_the_first_that_is_not_right(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    solve(course, 1)
    capsys.readouterr()
    assert main(["hint"]) == 0
    assert capsys.readouterr().out.startswith(" 2  the gradient of the bias: hint 1 of 3")


def test_reveal_prints_the_answer_and_status_a_line_for_each(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    solve(course, 2)
    (course / COURSE[3].file).write_text("def dweight(dy, x):\n    return x\n")
    capsys.readouterr()
    assert main(["reveal", "2"]) == 0
    assert capsys.readouterr().out == COURSE[2].answer
    assert main(["status"]) == 0
    states = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    assert states == ["not", "right", "wrong"] + ["not"] * (len(COURSE) - 3)


# Code that misbehaves -----------------------------------------------------------------------------

FORWARD = "def forward(x, weight, bias):\n"
MISBEHAVING = {
    FORWARD + "    y = x\n    return y[100]\n": "line 3: IndexError: index 100 is out of bounds",
    FORWARD + "    return y[\n": "ex01_forward.py, line 2: SyntaxError",
    FORWARD + "    return\n": "forward returns None; wanted y: is there a return?",
    FORWARD + "    return 'y'\n": "forward returns str; wanted an array",
    FORWARD + "    return (x > 0)\n": "forward returns ndarray (bool); wanted an array",
    FORWARD + "    return x[:, 0]\n": "y has shape (2, 8, 6), wanted (2, 4, 6, 5)",
    FORWARD + "    x += 1\n    return x\n": "forward changes its input x;",
    FORWARD + "    raise SystemExit(3)\n": "line 2: SystemExit: 3",
    FORWARD + "    import os\n    os._exit(7)\n": "Python ended while it ran, with status 7",
    FORWARD + "    return input()\n": "line 2: EOFError",
    "import missing_package\n": "line 1: ModuleNotFoundError: No module named 'missing_package'",
    "def backward():\n    return 0\n": "ex01_forward.py has no function forward",
    FORWARD + "    raise ValueError('two\\nlines')\n": "line 2: ValueError: two lines (called with",
    FORWARD + "    return list(x)\n": "forward returns list; wanted an array",
    FORWARD + "    raise KeyboardInterrupt\n": "line 2: KeyboardInterrupt (called with",
    "import numpy as np\n"
    + FORWARD
    + "    return np.broadcast_to(x[0, 0, 0, 0], (10**8,) * 2)\n": ("Unable to allocate"),
    "raise KeyboardInterrupt\n": "ex01_forward.py, line 1: KeyboardInterrupt",
}


@pytest.mark.parametrize("text", MISBEHAVING, ids=list(range(len(MISBEHAVING))))
def test_code_that_misbehaves_is_told_so_in_one_line(
    text: str, course: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (course / COURSE[1].file).write_text(text)
    capfd.readouterr()
    assert main(["check", "1"]) == 1
    out, err = capfd.readouterr()
    assert MISBEHAVING[text] in out.splitlines()[0]
    assert len(out.splitlines()) == 2  # the second offers a hint
    assert err == ""


def test_a_loop_without_an_end_is_stopped_and_its_line_named(course: Path) -> None:
    text = FORWARD + "    n = 0\n    while True:\n        n += 1\n"
    (course / COURSE[1].file).write_text(text)
    verdict = judge(COURSE[1], course, seconds=0.5)
    assert verdict.state == "wrong"
    assert "still running after 0.5 s; does a loop never end?" in verdict.line
    assert "line 3:" in verdict.line or "line 4:" in verdict.line


def test_the_line_of_a_loop_is_found_in_a_folder_with_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "Übung 練習 \U0001f600"
    folder.mkdir()
    text = FORWARD + "    while True:\n        pass\n"
    (folder / COURSE[1].file).write_text(text)
    line = judge(COURSE[1], folder, seconds=0.5).line
    assert "line 2: still running" in line or "line 3: still running" in line


def test_results_are_there_as_a_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, job = tmp_path / COURSE[2].file, tmp_path / "job"
    file.write_text(COURSE[2].answer)
    arguments = [case.arguments for case in COURSE[2].cases]
    job.write_bytes(pickle.dumps((str(file), "dbias", arguments, 1, 60)))
    monkeypatch.setattr(sys, "path", [*sys.path])
    child.main(job, tmp_path / "results")
    assert len(pickle.loads((tmp_path / "results").read_bytes())) == len(arguments)

    def ended(path: Path, content: bytes) -> None:
        path.write_text("half")
        raise InterruptedError

    monkeypatch.setattr(Path, "write_bytes", ended)
    with pytest.raises(InterruptedError):
        child.main(job, tmp_path / "others")
    assert not (tmp_path / "others").exists()


def test_the_number_of_outputs_is_checked(course: Path) -> None:
    (course / COURSE[10].file).write_text("def dense_backward(dy, x, w):\n    return dy, x\n")
    line = judge(COURSE[10], course).line
    assert line == "dense_backward returns 2; wanted the 3 arrays dx, dW, db"


def test_what_the_learner_prints_is_shown(course: Path, capfd: pytest.CaptureFixture[str]) -> None:
    solve(course, 2)
    with (course / COURSE[2].file).open("a") as file:
        file.write("\nprint('a question of mine')\n")
    judge(COURSE[2], course)
    assert capfd.readouterr().out == "a question of mine\n"
    judge(COURSE[2], course, silent=True)
    assert capfd.readouterr().out == ""


def test_code_that_runs_where_rows_and_columns_agree_is_judged_there(course: Path) -> None:
    lines = [  # with one output NumPy stretches W[:, o]: no case to judge by
        "dx = 0 * x",
        "for m, o in np.ndindex(dy.shape):",
        "    dx[m] += dy[m, o] * weight[:, o]",
        "return dx, dy.T @ x, dy.sum(axis=0)",
    ]
    text = COURSE[10].with_hole("".join(f"    {line}\n" for line in lines))
    (course / COURSE[10].file).write_text(text)
    line = judge(COURSE[10], course).line
    assert "ValueError" in line
    assert "; where rows and columns agree it runs: dx[0, 0] is" in line
    assert "W is transposed" in line


def test_code_that_is_right_where_rows_and_columns_agree_is_told_so(course: Path) -> None:
    text = COURSE[5].answer.replace("SH, SW = stride", "SW, SH = stride")
    text = text.replace("np.zeros(x_shape)", "np.zeros(x_shape)[:, :, :, :9]")
    (course / COURSE[5].file).write_text(text)
    line = judge(COURSE[5], course).line
    assert "IndexError" in line
    assert "; where rows and columns agree it is right: a size of the rows stands" in line


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("dy.sum(axis=(0, 2, 3))", "; this is with one image; where it runs: right"),
        ("dy.sum(axis=(0, 2))", "; this is with one image; where it runs: db has shape (4, 5)"),
    ],
)
def test_code_that_fails_in_a_simpler_case_is_told_which(
    returned: str, said: str, course: Path
) -> None:
    text = COURSE[2].with_hole(f"    dy[1]\n    return {returned}\n")
    (course / COURSE[2].file).write_text(text)
    line = judge(COURSE[2], course).line
    assert "IndexError" in line
    assert said in line
    assert "rows and columns agree" not in line


# What is typed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["check", "14"], "check: exercise 14; wanted a number from 1 to 13"),
        (["reveal"], "reveal: no number; wanted a number from 1 to 13"),
        (["reveal", "two"], "reveal: exercise two; wanted a number from 1 to 13"),
        (["check", "--in", "elsewhere"], "--in elsewhere has no exercises; wanted the folder"),
        (["grade"], "invalid choice: 'grade'"),
    ],
)
def test_a_mistake_in_what_is_typed_is_one_line_and_status_2(
    typed: list[str], said: str, course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    try:
        status: object = main(typed)
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1
