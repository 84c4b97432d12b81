"""The questions of a page: links to the cells that answer them."""

from __future__ import annotations

import html
import json

from .words import Sentence, as_html

Cell = tuple[str, str]  # the name of a grid and an index in it, "n,c,h,w"
Questions = dict[str, tuple[Sentence, Sentence, Cell]]
"""By its anchor a question, its answer, and the cell that shows it."""


def then(first: Sentence, second: str, wanted: bool) -> Sentence:
    """A sentence, and after it the one of this key, if wanted."""
    return Sentence("page.two", first=first, second=Sentence(second)) if wanted else first


def asked(questions: Questions) -> str:
    """The questions as a section of a page; nothing where there are none."""
    if not questions:
        return ""
    items = "\n".join(_item(anchor, *question) for anchor, question in questions.items())
    return f'<section id="questions" data-label="page.questions">\n<ol>\n{items}\n</ol>\n</section>'


def _item(anchor: str, question: str, answer: str, cell: Cell) -> str:
    link = as_html(question, f'a href="#{anchor}"')
    place = html.escape(json.dumps(cell))
    return f'<li id="{anchor}" data-cell="{place}">{link}{as_html(answer, "p")}</li>'
