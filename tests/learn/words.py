"""Which translations of the course and of the slips are behind: ``python -m tests.learn.words``.

``python -m tests.learn.words confirm zh`` says that those of zh.toml are right again. What is
confirmed is the translation of one English text, whose hash is kept in confirmed.json.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from minicnn.language import catalogue
from minicnn.learn import words as of_course
from minicnn.slips import words as of_slips

CONFIRMED = Path(__file__).with_name("confirmed.json")
FOLDERS = {"learn": of_course.FOLDER, "slips": of_slips.FOLDER}
TRANSLATIONS = of_course.LANGUAGES[1:]


def sentences(language: str) -> dict[str, str]:
    """All sentences of a language, by ``learn/`` or ``slips/`` and their key."""
    return {
        f"{name}/{key}": said
        for name, folder in FOLDERS.items()
        for key, said in catalogue(folder, language).items()
    }


def hashes() -> dict[str, str]:
    """A short hash of each English sentence."""
    return {k: hashlib.sha256(s.encode()).hexdigest()[:8] for k, s in sentences("en").items()}


def behind(language: str) -> list[str]:
    """The keys whose English text has changed, or was added, since they were confirmed."""
    known = json.loads(CONFIRMED.read_text(encoding="utf-8")).get(language, {})
    return [key for key, now in hashes().items() if known.get(key) != now]


def main(argv: list[str]) -> int:
    """Print what is behind, or confirm; the exit status."""
    if argv[:1] == ["confirm"] and argv[1:] and set(argv[1:]) <= set(TRANSLATIONS):
        known = json.loads(CONFIRMED.read_text(encoding="utf-8")) if CONFIRMED.exists() else {}
        known |= {language: hashes() for language in argv[1:]}
        CONFIRMED.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
        return 0
    if argv:
        print(f"wanted: python -m tests.learn.words [confirm {' '.join(TRANSLATIONS)}]")
        return 2
    for language in TRANSLATIONS:
        for key in behind(language):
            print(
                f"{language} {key}\n    {sentences('en')[key]}\n    {sentences(language).get(key)}"
            )
    return int(any(map(behind, TRANSLATIONS)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
