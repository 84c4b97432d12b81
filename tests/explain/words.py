"""Which translations of the explorer's sentences are behind: ``python -m tests.explain.words``.

``python -m tests.explain.words confirm zh`` says that those of zh.toml are right again. What is
confirmed is the translation of one English text, whose hash is kept in confirmed.json.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from minicnn.explain.words import LANGUAGES, catalogue

CONFIRMED = Path(__file__).with_name("confirmed.json")
TRANSLATIONS = LANGUAGES[1:]


def hashes() -> dict[str, str]:
    """A short hash of each English sentence."""
    english = {key: said for key, said in catalogue("en").items() if "." in key}
    return {key: hashlib.sha256(said.encode()).hexdigest()[:8] for key, said in english.items()}


def behind(language: str, confirmed: Path = CONFIRMED) -> list[str]:
    """The keys whose English text has changed, or was added, since they were confirmed."""
    known = json.loads(confirmed.read_text(encoding="utf-8"))[language]
    return [key for key, now in hashes().items() if known.get(key) != now]


def confirm(languages: list[str], confirmed: Path = CONFIRMED) -> None:
    """Write down that these languages translate the English of today."""
    known = json.loads(confirmed.read_text(encoding="utf-8"))
    known |= {language: hashes() for language in languages}
    confirmed.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def main(argv: list[str]) -> int:
    """Print what is behind, or confirm; the exit status."""
    if argv[:1] == ["confirm"] and argv[1:] and set(argv[1:]) <= set(TRANSLATIONS):
        confirm(argv[1:])
        return 0
    if argv:
        print(f"wanted: python -m tests.explain.words [confirm {' '.join(TRANSLATIONS)}]")
        return 2
    for language in TRANSLATIONS:
        for key in behind(language):
            print(f"{language} {key}")
            print(f"    {catalogue('en')[key]}\n    {catalogue(language).get(key, '(none)')}")
    return int(any(map(behind, TRANSLATIONS)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
