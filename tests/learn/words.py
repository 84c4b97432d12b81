"""Which translations of the course and of the slips are behind: ``python -m tests.learn.words``.

``python -m tests.learn.words confirm zh`` says that those of zh.toml are right again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from minicnn.language import catalogue
from minicnn.learn import words as of_course
from minicnn.slips import words as of_slips
from tests.confirmed import Translations

FOLDERS = {"learn": of_course.FOLDER, "slips": of_slips.FOLDER}


def sentences(language: str) -> dict[str, str]:
    """All sentences of a language, by ``learn/`` or ``slips/`` and their key."""
    return {
        f"{name}/{key}": said
        for name, folder in FOLDERS.items()
        for key, said in catalogue(folder, language).items()
    }


TRANSLATIONS = Translations(
    "tests.learn.words",
    sentences,
    of_course.LANGUAGES[1:],
    Path(__file__).with_name("confirmed.json"),
)

if __name__ == "__main__":
    sys.exit(TRANSLATIONS.main(sys.argv[1:]))
