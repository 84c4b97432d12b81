"""The course as an assignment for nbgrader: a notebook for each exercise, with hidden tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minicnn.files import make_folder, write_whole

from .course import BEGIN, COURSE, END, Exercise
from .words import said

ASSIGNMENT = "backward"
CONFIG = """c = get_config()
c.CourseDirectory.course_id = "minicnn"
c.CourseDirectory.db_assignments = [{"name": "backward"}]
c.ExecutePreprocessor.timeout = 120  # seconds for a cell: an answer may hold a loop without an end
"""
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
POINTS = 1  # for a right answer


def export(folder: Path, language: str) -> list[Path]:
    """Write ``nbgrader_config.py`` and ``source/backward/*.ipynb``; returns the notebooks' paths.

    What nbgrader makes of them for the students (``nbgrader generate_assignment backward``) has
    neither the solutions nor the tests. Students and the one who grades need minicnn.

    Raises:
        ImportError: nbformat is not installed.
    """
    source = folder / "source" / ASSIGNMENT
    make_folder(source)
    write_whole(folder / "nbgrader_config.py", CONFIG)
    paths = []
    for exercise in COURSE.values():
        path = source / exercise.file.replace(".py", ".ipynb")
        write_whole(path, notebook(exercise, language))
        paths.append(path)
    return paths


def notebook(exercise: Exercise, language: str) -> str:
    """The notebook of an exercise, with its solution and its hidden tests, as a file's content."""
    import nbformat
    from nbformat import v4

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
