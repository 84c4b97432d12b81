"""Which translations are behind the English they translate: what tests.*.words share.

What is confirmed is the translation of one English text, whose hash is kept in a file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple


class Translations(NamedTuple):
    """``sentences(language)`` has all texts by their keys; ``file``, what was confirmed."""

    command: str
    sentences: Callable[[str], dict[str, str]]
    languages: Sequence[str]
    file: Path

    def hashes(self) -> dict[str, str]:
        """A short hash of each English sentence."""
        english = self.sentences("en")
        return {key: hashlib.sha256(said.encode()).hexdigest()[:8] for key, said in english.items()}

    def behind(self, language: str) -> list[str]:
        """The keys whose English text has changed, or was added, since they were confirmed."""
        known = json.loads(self.file.read_text(encoding="utf-8")).get(language, {})
        return [key for key, now in self.hashes().items() if known.get(key) != now]

    def confirm(self, languages: Sequence[str]) -> None:
        """Write down that these languages translate the English of today."""
        known = json.loads(self.file.read_text(encoding="utf-8"))
        known |= {language: self.hashes() for language in languages}
        self.file.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")

    def main(self, argv: list[str]) -> int:
        """Print what is behind, or confirm; the exit status."""
        if argv[:1] == ["confirm"] and argv[1:] and set(argv[1:]) <= set(self.languages):
            self.confirm(argv[1:])
            return 0
        if argv:
            print(f"wanted: python -m {self.command} [confirm {' '.join(self.languages)}]")
            return 2
        for language in self.languages:
            for key in self.behind(language):
                translated = self.sentences(language).get(key, "(none)")
                print(f"{language} {key}\n    {self.sentences('en')[key]}\n    {translated}")
        return int(any(map(self.behind, self.languages)))
