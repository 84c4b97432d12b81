"""The course as an assignment for nbgrader: a notebook for each exercise, with hidden tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minicnn.files import make_folder, write_whole

from .course import BEGIN, COURSE, END, Exercise
from .words import said

ASSIGNMENT = "backward"
CONFIG = "nbgrader_config.py"
LIMIT = (
    "c.ExecutePreprocessor.timeout = 120  "
    "# seconds for a cell: an answer may hold a loop without an end"
)
SETTINGS = f"""c = get_config()
c.CourseDirectory.course_id = "minicnn"
c.CourseDirectory.db_assignments = [{{"name": "{ASSIGNMENT}"}}]
{LIMIT}
"""
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
POINTS = 1  # for a right answer


def export(folder: Path, language: str) -> list[Path]:
    """Write ``source/backward/*.ipynb`` and, where there is none yet, ``nbgrader_config.py``.

    Nothing is written over: the settings of a course, and the notebooks in it, may be a teacher's.
    What nbgrader makes of them for the students (``nbgrader generate_assignment backward``) has
    neither the solutions nor the tests. Students and the one who grades need minicnn.

    Returns:
        The paths of the notebooks.

    Raises:
        ImportError: nbformat is not installed.
        ValueError: a notebook is there already, with another content; nothing is written then.
    """
    source = folder / "source" / ASSIGNMENT
    notebooks = {
        source / exercise.file.replace(".py", ".ipynb"): notebook(exercise, language)
        for exercise in COURSE.values()
    }
    for path, content in notebooks.items():
        if path.exists() and path.read_bytes() != content.encode():
            raise ValueError(
                f"{path} is there already and differs from the one to be written; "
                "wanted another folder, or that file moved away"
            )
    make_folder(source)
    for path, content in notebooks.items():
        write_whole(path, content)
    if not (folder / CONFIG).exists():
        write_whole(folder / CONFIG, SETTINGS)
    return list(notebooks)


def missing_setting(folder: Path) -> str:
    """The line that the settings of a course lack, where they were there before; else ""."""
    return "" if LIMIT in (folder / CONFIG).read_text(encoding="utf-8").splitlines() else LIMIT


def notebook(exercise: Exercise, language: str) -> str:
    """The notebook of an exercise, with its solution and its hidden tests, as a file's content."""
    try:
        import nbformat
        from nbformat import v4
    except ImportError as error:
        raise ImportError(
            "nbformat is not installed; python -m minicnn.learn export needs the extra nbgrader: "
            "pip install '.[nbgrader]'"
        ) from error

    title = said(f"{exercise.name}.title", language)
    head = said("exercise", language, number=exercise.number, title=title)
    task = said(f"{exercise.name}.task", language).strip("\n")
    solution = exercise.solved.replace(BEGIN, "    ### BEGIN SOLUTION\n")
    solution = solution.replace(END, "    ### END SOLUTION\n").rstrip("\n")
    test = (
        "from minicnn.learn import grade\n\n"
        f"### BEGIN HIDDEN TESTS\ngrade({exercise.number}, {exercise.function})\n"
        "### END HIDDEN TESTS"
    )
    name = exercise.name
    cells = [
        v4.new_markdown_cell(f"# {head}\n\n{task}", **_part(f"{name}-task", locked=True)),
        v4.new_code_cell(solution, **_part(name, solution=True)),
        v4.new_code_cell(test, **_part(f"{name}-test", grade=True, locked=True, points=POINTS)),
    ]
    made = v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    nbformat.validate(made)
    text: str = nbformat.writes(made)
    return text + "\n"


def _part(name: str, **changed: Any) -> dict[str, Any]:
    """The cell's identity, and what nbgrader has to know about it."""
    about = {"grade": False, "locked": False, "solution": False, "task": False, **changed}
    return {
        "id": name,
        "metadata": {"nbgrader": {"schema_version": 3, "grade_id": name, **about}},
    }
