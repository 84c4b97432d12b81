"""Which translations of the explorer's sentences are behind: ``python -m tests.explain.words``.

``python -m tests.explain.words confirm zh`` says that those of zh.toml are right again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from minicnn.explain.words import LANGUAGES, catalogue
from tests.confirmed import Translations


def sentences(language: str) -> dict[str, str]:
    """All sentences of a language; not its own name and tag."""
    return {key: said for key, said in catalogue(language).items() if "." in key}


TRANSLATIONS = Translations(
    "tests.explain.words", sentences, LANGUAGES[1:], Path(__file__).with_name("confirmed.json")
)

if __name__ == "__main__":
    sys.exit(TRANSLATIONS.main(sys.argv[1:]))
