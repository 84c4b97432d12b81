"""Makes the translated pages docs/zh/*.md and docs/ja/*.md, as far as they have an English page.

    python docs/translations.py

The code, the outputs and the formulas of a page are those of the English one. Its prose is in
docs/translations/PAGE.LANGUAGE.md, a block (what stands between blank lines) under the mark of the
English block it translates. Where the English text changes, its mark does: the page is not made
until somebody has read the translation again and given it the new mark.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import sys
from pathlib import Path

DOCS = Path(__file__).parent
TEXTS = DOCS / "translations"
PAGES = ("convolution-backward", "lenet")

# What stands below a page's first heading, in each language.
HEADS = {
    "en": "In other languages: [简体中文](zh/{page}.md), [日本語](ja/{page}.md).",
    "zh": "本页是[英文页](../{page}.md)的中文译文，可与《动手学深度学习》对照阅读。"
    "另有[日文版](../ja/{page}.md)。",
    "ja": "[英語のページ](../{page}.md)の日本語訳です。題材は『Dive into Deep Learning』の章です。"
    "[中国語版](../zh/{page}.md)もあります。",
}
LANGUAGES = ("zh", "ja")

BLOCK = re.compile(r"^```.*?^```$|^[^\n]+(?:\n[^\n]+)*", re.M | re.S)
LINK = re.compile(r"\]\((?![a-z]+:|#)([^)]+)\)")
WIDE = r"[\u3000-\u9fff\uff00-\uffef]"
WIDE_MARK = r"[\u3001-\u303f\uff00-\uff60]"  # punctuation
WIDE_BREAK = re.compile(  # a browser would show it as a space
    rf"(?<={WIDE})\n *(?={WIDE})|(?<={WIDE_MARK})\n *(?=[^-|\s])"
)


class TranslationError(ValueError):
    """The prose in a language does not belong to the English page, or not any more."""


def blocks(page: str) -> list[str]:
    """The English page's blocks, without the line that names the languages."""
    found = BLOCK.findall((DOCS / f"{page}.md").read_text(encoding="utf-8"))
    return [block for block in found if block != HEADS["en"].format(page=page)]


def is_prose(block: str) -> bool:
    """Whether it is translated: it is neither fenced nor indented."""
    return not block.startswith(("```", "    "))


def mark(block: str) -> str:
    """The first 8 hexadecimal digits of the SHA-256 of an English block."""
    return hashlib.sha256(block.encode()).hexdigest()[:8]


def prose(page: str, language: str) -> dict[str, str]:
    """The translated blocks of a page, by the marks of the English ones."""
    file = TEXTS / f"{page}.{language}.md"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    _, *parts = re.split(r"^<!-- ([0-9a-f]{8}) -->$", text, flags=re.M)
    return {key: block.strip() for key, block in zip(parts[::2], parts[1::2], strict=True)}


def confirm(page: str, language: str) -> None:
    """The marks of the prose are those of the English page.

    Raises:
        TranslationError: a block of the English page has no translation (the message is what to put
            into the file of the prose, in English), or a translation has no English block.
    """
    english = {mark(block): block for block in blocks(page) if is_prose(block)}
    ours = prose(page, language)
    missing = "\n\n".join(f"<!-- {key} -->\n{english[key]}" for key in english if key not in ours)
    left = "\n\n".join(f"<!-- {key} -->\n{ours[key]}" for key in ours if key not in english)
    complaints = []
    if missing:
        complaints.append(f"lacks these blocks of {page}.md, new or changed:\n\n{missing}\n")
    if left:
        complaints.append(f"has blocks that {page}.md has not, or not any more:\n\n{left}\n")
    if complaints:
        raise TranslationError(
            f"docs/translations/{page}.{language}.md " + "\nIt ".join(complaints)
        )


def deeper(link: re.Match[str]) -> str:
    """A page's link, from the folder of a language: to that language's page where there is one."""
    target = link[1]
    return f"]({target})" if Path(target).stem in PAGES and ".md" in target else f"](../{target})"


def shown(block: str) -> str:
    """A translated block as its page has it: its links from there, no line breaks in a sentence."""
    return WIDE_BREAK.sub("", LINK.sub(deeper, block))


def translated(page: str, language: str) -> str:
    """The English page in another language.

    Raises:
        TranslationError: the prose is not that of the English page (see ``confirm``).
    """
    confirm(page, language)
    ours = prose(page, language)
    title, *made = [
        shown(ours[mark(block)]) if is_prose(block) else block for block in blocks(page)
    ]
    return "\n\n".join([title, HEADS[language].format(page=page), *made]) + "\n"


def main() -> int:
    """Make all pages; where one cannot be made, say so and go on. Returns the exit status."""
    status = 0
    for language, page in itertools.product(LANGUAGES, PAGES):
        made = DOCS / language / f"{page}.md"
        made.parent.mkdir(exist_ok=True)
        try:
            made.write_text(translated(page, language), encoding="utf-8")
            print(f"docs/{language}/{page}.md")
        except TranslationError as error:
            print(error, file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
