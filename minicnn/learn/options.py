"""``python -m minicnn.learn``: the course on the command line."""

from __future__ import annotations

import argparse
import webbrowser
from collections.abc import Callable
from pathlib import Path

from minicnn import command
from minicnn.data.catalogue import CATALOGUE
from minicnn.files import check_folder, expand, make_folder, write_whole
from minicnn.language import reader_of
from minicnn.terminal import say

from .course import COURSE, Exercise
from .export import ASSIGNMENT, CONFIG, missing_setting
from .export import export as write_notebooks
from .judge import NOT_BEGUN, RIGHT, judge
from .layers import USED
from .running import SECONDS
from .show import has_page, page_of
from .training import train as train_with
from .words import LANGUAGES, said, typed_for

EXAMPLES = {
    "start course": "a folder with a file for each exercise",
    "check": "your answers, in order, up to the first that is not right yet",
    "check 3": "one of them",
    "hint 3": "a hint for it; again for the next one, the third is the formula",
}
HELP = {
    "start DIR": "make a folder with a file for each exercise",
    "check [N]": "judge your answers, up to the first that is not right, or one",
    "hint [N]": "a hint, and the next one; the third is the formula",
    "show [N]": "a page of all numbers, opened at the first that is wrong",
    "status": "all exercises, a line each",
    "reveal N": "print a right answer",
    "train": "train LeNet with your own layers",
    "export": "write the course as an assignment for nbgrader",
}
HINTS = ".hints"  # a file in the folder: how many hints each exercise has had


def parser() -> command.Parser:
    """The options of ``python -m minicnn.learn``."""
    about = "Write the backward passes yourself, and be told which slip a wrong one has."
    rows = [f"  {call:14}{does}" for call, does in HELP.items()]
    p = command.Parser("learn", "\n".join([about, "", "commands:", *rows]), EXAMPLES)
    p.usage = f"{p.prog} COMMAND [N or DIR] [options]"
    p.add("command", "COMMAND", "one of these", nargs="?", choices=list(COMMANDS))
    p.add("what", "N", "the number of an exercise, or the folder of start", nargs="?")
    p.add(
        "--in",
        "DIR",
        "the folder that start has made",
        "this one",
        type=command.path,
        dest="folder",
    )
    p.add(
        "--seconds",
        "S",
        "that an answer may take",
        default=SECONDS,
        type=command.at_least(1),
    )
    p.group("show")
    p.add("--no-open", None, "write the page, show.html, do not open it")
    p.group("train")
    p.add("--model", "NAME", "lenet or lenet-max", default="lenet", choices=["lenet", "lenet-max"])
    names = list(CATALOGUE)
    p.add("--dataset", "NAME", ", ".join(names), "fashion-mnist, else its sample", choices=names)
    p.add("--epochs", "N", "passes over the data", "10; lenet-max 5", type=command.at_least(1))
    p.group("export")
    p.add(
        "--nbgrader",
        "DIR",
        "the folder of a course of nbgrader, to write notebooks into",
        "none",
        type=command.path,
    )
    p.group("all commands")
    p.add(
        "--lang",
        "LANG",
        "en, zh or ja: of what is said",
        "the language of your system, else English",
        choices=list(LANGUAGES),
    )
    return p


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return command.run(parser(), _learn, argv)


def _learn(options: argparse.Namespace) -> int:
    if options.command is None:
        raise ValueError(f"no command; wanted one of {', '.join(COMMANDS)}, as in --help")
    options.lang = options.lang or reader_of()
    return COMMANDS[options.command](options)


# The folder ---------------------------------------------------------------------------------------


def start(options: argparse.Namespace) -> int:
    """Make the folder, with a file for each exercise that is not there yet."""
    if options.what == "":  # of a shell's variable that is not set
        raise ValueError("start: DIR is an empty name")
    folder = options.folder if options.what is None else expand(options.what)
    if folder is None and _is_course(Path()):
        folder = Path.cwd()
    if folder is None:
        raise ValueError("start: no folder; wanted a name, as python -m minicnn.learn start course")
    make_folder(folder)
    missing = [e for e in COURSE.values() if not (folder / e.file).exists()]
    for exercise in missing:
        write_whole(folder / exercise.file, text_of(exercise, options.lang))
    say(said("started", options.lang, count=len(COURSE), folder=folder, file=COURSE[1].file))
    if len(missing) < len(COURSE):
        say(said("started_again", options.lang, count=len(COURSE) - len(missing)))
    return 0


def text_of(exercise: Exercise, language: str) -> str:
    """The file that a learner begins with."""
    title = said("exercise", language, number=exercise.number, title=title_of(exercise, language))
    task = said(f"{exercise.name}.task", language).strip("\n")
    head = said("head", language, number=exercise.number)
    hole = f'    raise NotImplementedError("{said("hole", language)}")\n'
    return f'"""{title}\n\n{task}\n\n{head}\n"""\n\n{exercise.with_hole(hole)}'


def title_of(exercise: Exercise, language: str) -> str:
    return said(f"{exercise.name}.title", language)


def _folder(options: argparse.Namespace) -> Path:
    """The learner's folder.

    Raises:
        ValueError: it has none of the exercises.
    """
    folder: Path = options.folder or Path()
    if not _is_course(folder):
        where = f"--in {folder}" if options.folder else "this folder"
        raise ValueError(
            f"{where} has no exercises; wanted the folder that start has made, or --in DIR"
        )
    return folder


def _is_course(folder: Path) -> bool:
    try:
        return any((folder / exercise.file).is_file() for exercise in COURSE.values())
    except OSError:  # such as a name that is too long
        return False


def _exercise(options: argparse.Namespace) -> Exercise:
    """The exercise of the number that was typed.

    Raises:
        ValueError: there is none.
    """
    number = options.what or ""
    if not (number.isascii() and number.isdecimal() and int(number) in COURSE):
        got = "no number" if options.what is None else f"exercise {number or repr(number)}"
        raise ValueError(f"{options.command}: {got}; wanted a number from 1 to {len(COURSE)}")
    return COURSE[int(number)]


def _current(options: argparse.Namespace, folder: Path) -> Exercise:
    """The exercise of the number that was typed; without one the first that is not right."""
    if options.what is not None:
        return _exercise(options)
    for exercise in COURSE.values():
        if judge(exercise, folder, options.lang, options.seconds, silent=True).state != RIGHT:
            return exercise
    raise ValueError(f"{options.command}: all exercises are right; wanted a number")


# The commands -------------------------------------------------------------------------------------


def check(options: argparse.Namespace) -> int:
    """Judge one answer, or all of them up to the first that is not right."""
    folder, language = _folder(options), options.lang
    chosen = list(COURSE.values()) if options.what is None else [_exercise(options)]
    for exercise in chosen:
        verdict = judge(exercise, folder, language, options.seconds)
        say(f"{exercise.number:2}  {title_of(exercise, language)}: {verdict.line}")
        if verdict.state != RIGHT:
            key = "ask_show" if verdict.diagnosis and has_page(exercise) else "ask_hint"
            told = said(key, language, number=exercise.number, here=typed_for(folder))
            say(f"    {told}")
            return 0 if verdict.state == NOT_BEGUN and not options.what else 1
    following = COURSE.get(chosen[-1].number + 1)
    if following:
        say(f"    {said('next', language, file=following.file)}")
    else:
        say(said("all_right", language, count=len(COURSE), here=typed_for(folder)))
    return 0


def hint(options: argparse.Namespace) -> int:
    """The next hint of an exercise; after the third, the third again."""
    folder = _folder(options)
    exercise = _current(options, folder)
    memory = folder / HINTS
    had = dict(_hints_had(memory))
    step = min(had.get(exercise.number, 0) + 1, 3)
    had[exercise.number] = step
    write_whole(memory, "".join(f"{number} {count}\n" for number, count in sorted(had.items())))
    say(f"{exercise.number:2}  {title_of(exercise, options.lang)}: {_step(options.lang, step)}")
    say(said(f"{exercise.name}.hint{step}", options.lang))
    return 0


def _step(language: str, step: int) -> str:
    return said("hints", language, step=step)


def _hints_had(memory: Path) -> list[tuple[int, int]]:
    """The number of each exercise, and how many hints it has had."""
    lines = memory.read_text(encoding="utf-8").splitlines() if memory.is_file() else []
    rows = [line.split() for line in lines]
    return [
        (int(row[0]), int(row[1])) for row in rows if len(row) == 2 and "".join(row).isdecimal()
    ]


def status(options: argparse.Namespace) -> int:
    """All exercises, a line each."""
    folder = _folder(options)
    for exercise in COURSE.values():
        verdict = judge(exercise, folder, options.lang, options.seconds, silent=True)
        state = said(f"state.{verdict.state}", options.lang)
        say(f"{exercise.number:2}  {state:10}  {title_of(exercise, options.lang)}")
    return 0


def show(options: argparse.Namespace) -> int:
    """The explorer at the first wrong cell of an answer, its number next to the right one."""
    folder, language = _folder(options), options.lang
    exercise = _current(options, folder)
    if not has_page(exercise):
        raise ValueError(f"show: {said('no_page', language, number=exercise.number)}")
    verdict = judge(exercise, folder, language, options.seconds)
    path = folder / "show.html"
    write_whole(path, page_of(exercise, verdict, language))
    say(f"{exercise.number:2}  {title_of(exercise, language)}: {verdict.line}")
    say(said("written", language, path=path))
    if not options.no_open:
        webbrowser.open(path.resolve().as_uri())
    return 0


def reveal(options: argparse.Namespace) -> int:
    """A right answer, printed."""
    say(_exercise(options).answer.rstrip("\n"))
    return 0


def train(options: argparse.Namespace) -> int:
    """LeNet with the learner's layers, once the exercises that it needs are right."""
    folder, language = _folder(options), options.lang
    for exercise in COURSE.values():
        if exercise.name in USED:
            verdict = judge(exercise, folder, language, options.seconds, silent=True)
            if verdict.state != RIGHT:
                here = typed_for(folder)
                say(said("not_yet", language, number=exercise.number, here=here))
                return 1
    return train_with(folder, options.model, options.dataset, options.epochs, language)


def export(options: argparse.Namespace) -> int:
    """The course as an assignment for nbgrader."""
    if options.nbgrader is None:
        raise ValueError("export: no --nbgrader DIR; wanted the folder of a course of nbgrader")
    with command.naming(options, "nbgrader"):
        check_folder(options.nbgrader)
    paths = write_notebooks(options.nbgrader, options.lang)
    where = {"folder": options.nbgrader, "assignment": ASSIGNMENT}
    say(said("exported", options.lang, count=len(paths), **where))
    line = missing_setting(options.nbgrader)
    if line:
        say(said("own_config", options.lang, file=options.nbgrader / CONFIG, line=line))
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "start": start,
    "check": check,
    "hint": hint,
    "show": show,
    "status": status,
    "reveal": reveal,
    "train": train,
    "export": export,
}
