"""python -m minicnn.learn export: notebooks for nbgrader, and its own command line on them.

The second needs nbgrader, which brings all of Jupyter, in an environment of its own:

    pip install '.[nbgrader]' pytest pytest-xdist && pytest -m long tests/learn/test_export.py
"""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.learn import COURSE, grade
from minicnn.learn.options import main

WRONG = {  # what a wrong student writes, and what is said of it
    3: ("+=", "=", "The slip: = where += belongs"),
    13: ("w - lr", "w + lr", "The slip: uphill"),
}


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a course of nbgrader, with the exported assignment."""
    pytest.importorskip("nbformat")
    monkeypatch.setenv("LC_ALL", "C")
    assert main(["export", "--nbgrader", str(tmp_path)]) == 0
    return tmp_path


def read(path: Path) -> Any:
    import nbformat

    return nbformat.read(path, as_version=4)


def test_every_exercise_is_a_notebook_whose_solution_passes_its_tests(course: Path) -> None:
    for exercise in COURSE.values():
        path = course / "source" / "backward" / exercise.file.replace(".py", ".ipynb")
        text, solution, test = read(path).cells
        assert f"Exercise {exercise.number}: " in text.source
        names: dict[str, Any] = {}
        lines = solution.source.splitlines()
        begin, end = (lines.index(f"    ### {word} SOLUTION") for word in ("BEGIN", "END"))
        assert begin < end == len(lines) - 1
        exec(solution.source, names)
        exec(test.source, names)
        empty = [*lines[:begin], "    raise NotImplementedError", *lines[end + 1 :]]
        exec("\n".join(empty), names)
        with pytest.raises(AssertionError, match="not begun"):
            exec(test.source, names)
        flags = [cell.metadata.nbgrader for cell in (solution, test)]
        assert [(f.solution, f.grade, f.locked) for f in flags] == [
            (True, False, False),
            (False, True, True),
        ]


def test_a_wrong_function_is_refused_with_its_slip() -> None:
    with pytest.raises(AssertionError, match=r"The slip: 0\.5 is added"):
        grade(12, lambda x, dy: (COURSE[12].right(x, dy)[0] + 0.5, dy))


def test_what_cannot_tell_its_file_is_graded_too() -> None:
    def wrong(power: int, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        raise IndexError(power)

    grade(12, functools.partial(COURSE[12].right))
    with pytest.raises(AssertionError, match=r"IndexError: 3 \(called with"):
        grade(12, functools.partial(wrong, 3))


def test_ctrl_c_ends_a_grading() -> None:
    def interrupted(x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade(12, interrupted)


def test_the_settings_of_a_course_stay_and_the_line_that_they_lack_is_told(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = course / "nbgrader_config.py"
    assert "nbgrader_config.py" not in capsys.readouterr().out
    assert main(["export", "--nbgrader", str(course)]) == 0  # the same once more
    assert "nbgrader_config.py" not in capsys.readouterr().out
    file.write_text("c = get_config()\nc.CourseDirectory.course_id = 'mine'\n")
    assert main(["export", "--nbgrader", str(course)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert file.read_text() == "c = get_config()\nc.CourseDirectory.course_id = 'mine'\n"
    assert said[1] == f"{file} was there already and stays as it is; add this line to it:"
    assert said[2].strip().startswith("c.ExecutePreprocessor.timeout = 120")


def test_a_notebook_that_a_teacher_has_changed_is_not_written_over(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [COURSE[number].file.replace(".py", ".ipynb") for number in (1, 3)]
    first, changed = (course / "source" / "backward" / name for name in names)
    text = changed.read_text().replace("How much", "By how much")
    changed.write_text(text)
    first.unlink()
    with pytest.raises(SystemExit) as ended:
        main(["export", "--nbgrader", str(course)])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert f"{changed} is there already and differs" in said
    assert len(said.splitlines()) == 1
    assert changed.read_text() == text
    assert not first.exists()


def test_without_nbformat_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "nbformat", None)
    with pytest.raises(SystemExit) as ended:
        main(["export", "--nbgrader", str(tmp_path)])
    assert ended.value.code == 2
    assert "needs the extra nbgrader" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_export_wants_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["export"])
    assert ended.value.code == 2
    assert "export: no --nbgrader DIR" in capsys.readouterr().err


@pytest.mark.long
def test_nbgrader_gives_a_right_answer_its_point_and_a_wrong_one_none(course: Path) -> None:
    pytest.importorskip("nbgrader")
    nbgrader(course, "generate_assignment", "backward")
    import nbformat

    for number, (old, new, _) in WRONG.items():
        name = COURSE[number].file.replace(".py", ".ipynb")
        released = read(course / "release" / "backward" / name)
        assert "YOUR CODE HERE" in released.cells[1].source
        assert "HIDDEN" not in released.cells[2].source
        solved = read(course / "source" / "backward" / name).cells[1].source
        for student, answer in {"right": solved, "wrong": solved.replace(old, new)}.items():
            released.cells[1].source = answer
            folder = course / "submitted" / student / "backward"
            folder.mkdir(parents=True, exist_ok=True)
            nbformat.write(released, folder / name)
    for number, (_, _, said) in WRONG.items():
        name = COURSE[number].file.removesuffix(".py")
        nbgrader(course, "autograde", "backward", "--notebook", name)
        cell = read(course / "autograded" / "wrong" / "backward" / f"{name}.ipynb").cells[2]
        assert said in cell.outputs[-1].evalue
        assert scores(course, name) == {"right": 1.0, "wrong": 0.0}


def nbgrader(course: Path, *words: str) -> None:
    """nbgrader's own command line."""
    command = [sys.executable, "-m", "nbgrader", *words]
    done = subprocess.run(command, cwd=course, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


def scores(course: Path, name: str) -> dict[str, float]:
    """What nbgrader has given each student for a notebook."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        return {
            submission.student.id: notebook.score
            for submission in book.assignment_submissions("backward")
            for notebook in submission.notebooks
            if notebook.name == name
        }
