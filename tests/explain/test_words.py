"""The explorer's sentences: the same in every language, none outside of the catalogue."""

from __future__ import annotations

import ast
import copy
import html
import pickle
import re
import tomllib
import unicodedata
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, explain, nn
from minicnn.explain.__main__ import main
from minicnn.explain.text import width_of
from minicnn.explain.words import LANGUAGES, PLACE, Sentence, as_html, catalogue, in_language, speak
from tests.explain.examples import data_of, example
from tests.explain.words import TRANSLATIONS

EXPLAIN = Path(explain.__file__).parent
TWO_WORDS = re.compile(r"[A-Za-z]{2,},? [a-z]{2,}")
# English words that a page or a text of another language may have: names in code and formulas
NAMES = """
    minicnn explain conv ops im2col col2im columns dcolumns dweight dbias loss exp log max target
    softmax logits Tab size stride padding channels kernel_size True English dilation weight
    Conv2d Linear MaxPool2d AvgPool2d CrossEntropyLoss SoftmaxCrossEntropy Sigmoid Reshape Add Sum
    Multiply bias float64 int64 divisor
    dy1 dy2 batch groups out Enter Escape tanh conv1 sigmoid1 pool1 dense1
"""


def english_in(text: str) -> set[str]:
    """The English words in a text of another language."""
    return set(re.findall(r"[A-Za-z_][A-Za-z_0-9]{2,}", text)) - {*NAMES.split()}


# The catalogues -----------------------------------------------------------------------------------


def tables(language: str) -> dict[str, Any]:
    return tomllib.loads((EXPLAIN / f"words/{language}.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("language", TRANSLATIONS.languages)
def test_a_translation_has_the_same_sentences_with_the_same_places(language: str) -> None:
    english, translated = catalogue("en"), catalogue(language)
    assert list(translated) == list(english)
    for key, said in english.items():
        places = {place[0] for place in PLACE.findall(said)}
        assert {place[0] for place in PLACE.findall(translated[key])} == places, key
        assert translated[key].strip() == translated[key] != "", key


@pytest.mark.parametrize("language", TRANSLATIONS.languages)
def test_a_translation_is_of_the_english_of_today(language: str) -> None:
    behind = TRANSLATIONS.behind(language)
    assert behind == [], f"see the head of minicnn/explain/words/en.toml: {behind}"


def test_a_changed_sentence_is_behind_until_it_is_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = TRANSLATIONS._replace(file=tmp_path / "confirmed.json")
    ours.file.write_bytes(TRANSLATIONS.file.read_bytes())
    monkeypatch.setitem(catalogue("en"), "page.y", "the result")
    assert ours.behind("zh") == ours.behind("ja") == ["page.y"]
    ours.confirm(["zh"])
    assert ours.behind("zh") == []
    assert ours.behind("ja") == ["page.y"]


@pytest.mark.parametrize("language", TRANSLATIONS.languages)
def test_a_translation_leaves_no_english_in_its_sentences(language: str) -> None:
    for key, said in catalogue(language).items():
        letters = r"\b(SH|SW|PH|PW|DH|DW|KH|KW|dx|dW|db|dy|net)\b"
        assert not english_in(PLACE.sub("", re.sub(letters, "", said))) or key == "tag", key


def test_every_sentence_is_used() -> None:
    sources = [path for kind in ("py", "js", "html") for path in EXPLAIN.rglob(f"*.{kind}")]
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    unused = [k for k in catalogue("en") if not re.search(rf"[\"']{re.escape(k)}[\"']", text)]
    assert unused == []


# Sentences ----------------------------------------------------------------------------------------


def test_a_sentence_is_english_as_text_and_can_be_said_in_any_language() -> None:
    cell = Sentence("page.channel", c=3)
    sentence = Sentence("page.plane", title="x, <b>", label=cell)
    assert sentence == "x, <b>, channel 3"
    assert in_language(sentence, "zh") == "x, <b>，通道 3"
    assert in_language(sentence, "ja") == "x, <b>、チャネル 3"
    assert in_language("words of a user", "zh") == "words of a user"
    for twin in (copy.deepcopy(sentence), pickle.loads(pickle.dumps(sentence))):
        assert in_language(twin, "ja") == in_language(sentence, "ja")
    page = speak(as_html(sentence, "p") + '<div data-label="page.bar">', "zh")
    assert page.startswith('<p data-say="page.plane" data-values="{&quot;')
    assert page.endswith(
        '>x, &lt;b&gt;，通道 3</p><div data-label="page.bar" aria-label="当前指向的单元格">'
    )


@pytest.mark.parametrize(
    ("count", "said"), [(1, "Copied once, so its gradient is a sum over 1 place."),
                        (0, "Copied 0 times, so its gradient is a sum over 0 places."),
                        (12, "Copied 12 times, so its gradient is a sum over 12 places.")]
)  # fmt: skip
def test_english_counts_have_two_forms(count: int, said: str) -> None:
    assert Sentence("conv.x", count=count) == said


def test_an_unknown_language_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="lang is 'fr'; wanted one of en, zh, ja"):
        catalogue("fr")
    with pytest.raises(SystemExit):
        main(["--lang", "fr", "--text"])
    assert "'fr'" in capsys.readouterr().err


# No sentence elsewhere ----------------------------------------------------------------------------


def script_texts(source: str) -> Iterator[str]:
    """The texts in a script, without what ${...} puts into them."""
    code = re.sub(r"/\*.*?\*/|(?m:^\s*//.*| // .*)", "", source, flags=re.DOTALL)
    for text in re.findall(r'"[^"\n]*"|`[^`]*`', code):
        yield re.sub(r"\$\{[^}]*\}", "", text)


def checks(node: ast.AST) -> bool:
    """Whether this calls one of ``minicnn.checks``, which raise errors."""
    return isinstance(node, ast.Call) and getattr(node.func, "id", "").startswith("check_")


def python_texts(source: str) -> Iterator[str]:
    """The texts in a module: no docstrings, errors, or what repr() shows."""
    tree = ast.parse(source)
    ours = (ast.Expr, ast.Raise)
    silent = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ours) or getattr(node, "name", "") == "__repr__" or checks(node)
        for part in ast.walk(node)
        if not isinstance(node, ast.Expr) or isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in silent
        ):
            yield re.sub(r'<[^>]*>?|\S+="[^"]*"?|^[^<]*">', "", node.value)  # without tags


NO_SENTENCES = {  # what looks like words, and is none that a page or text says
    '"use strict"', '"figure, section, main"', '"#languages button"',  # scripts
    " outputs and a batch of ", " classes and a batch of ", "a batch of ", "No page: ",  # errors
    ":root{color-scheme:light dark;color:CanvasText}",
    "ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace", "written to ",
}  # fmt: skip


def test_scripts_and_modules_have_no_sentences_of_their_own() -> None:
    found = []
    for path in (*EXPLAIN.rglob("*.js"), *EXPLAIN.rglob("*.py")):
        texts = script_texts if path.suffix == ".js" else python_texts
        if path.name != "options.py":  # help is in English
            found += [(path.name, text) for text in texts(path.read_text(encoding="utf-8"))]
    assert [(name, text) for name, text in found if TWO_WORDS.search(text)
            and text not in NO_SENTENCES] == []  # fmt: skip
    assert len(found) > 500


def test_templates_have_no_words_of_their_own() -> None:
    for path in EXPLAIN.rglob("*.html"):
        template = path.read_text(encoding="utf-8")
        assert english_in(html.unescape(re.sub(r"<[^>]*>|\{\{.*?\}\}", " ", template))) == set()
        assert not re.search(r'(?<!data-label)(aria-label|title|placeholder|alt)="', template)


def everything() -> dict[str, Any]:
    """Something explained of each kind."""
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 2, 5, 6)), None
    net = nn.Sequential(
        nn.Conv2d(2, 2, 2), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    )
    loss = nn.CrossEntropyLoss()(net(Tensor(x.astype(np.float32))), Tensor([1, 2], dtype="int64"))
    twice = Tensor(np.ones(2), requires_grad=True)
    weight = Tensor(np.ones(2), requires_grad=True)
    return {
        "conv": explain.conv2d(*example(rng, (5, 6), (3, 3), 2, stride=(2, 2), padding=(1, 0))),
        "wide": explain.conv2d(nn.Conv2d(1, 1, 5), rng.standard_normal((1, 1, 6, 30))),
        "unreached": explain.conv2d(nn.Conv2d(1, 1, 1, stride=2), np.ones((1, 1, 3, 3))),
        "max": explain.max_pool2d(nn.MaxPool2d(2, 1), x, dy),
        "avg": explain.avg_pool2d(nn.AvgPool2d(2), x, dy),
        "linear": explain.linear(nn.Linear(4, 3), rng.standard_normal((2, 4))),
        "loss": explain.cross_entropy(rng.standard_normal((2, 4)), [1, 3]),
        "tape": explain.tape(loss),
        "uses": explain.tape((twice * weight + twice * weight).sum()),
        "followed": explain.follow(net, x[0], 1),
        "field": explain.receptive_field(nn.Conv2d(2, 1, 2), nn.Conv2d(1, 2, 2), x),
    }  # fmt: skip


def visible(page: str) -> str:
    """The text of a page and its labels, in the language it begins with."""
    body = re.sub(r"<(style|script|noscript|svg)\b.*?</\1>|<code>.*?</code>", " ", page, flags=re.S)
    labels = re.findall(r'aria-label="([^"]*)"', body)
    return html.unescape(" ".join([re.sub(r"<[^>]*>", " ", body), *labels]))


def test_pages_and_texts_of_another_language_leave_no_english() -> None:
    minicnn.manual_seed(0)
    for (kind, explained), language in product(everything().items(), TRANSLATIONS.languages):
        explained.lang = None
        english = str(explained)
        explained.lang = language
        text = str(explained)
        assert english_in(text) == set(), kind
        assert text != english or kind in ("linear", "followed", "field")  # numbers
        if isinstance(explained, explain.Tape):
            said = re.findall(r'>([^<]+)</text>|aria-label="([^"]*)"', explained.svg())
            assert english_in(" ".join(map(" ".join, said))) == set()
        else:
            page = explained.html()
            assert f'<html lang="{catalogue(language)["tag"]}">' in page
            assert english_in(visible(page)) == set(), kind
            assert data_of(page)["language"] == language


def test_a_page_follows_its_browser_unless_it_is_told(tmp_path: Path) -> None:
    for option, language in (([], None), (["--lang", "ja"], "ja")):
        main(["--op", "dense", "--no-open", "--out", str(tmp_path / "page.html"), *option])
        page = (tmp_path / "page.html").read_text(encoding="utf-8")
        assert data_of(page)["language"] == language
        assert ("全結合層：順伝播と逆伝播</h1>" in page) == (language == "ja")
        for name in LANGUAGES:
            assert catalogue(name)["linear.dbias"] in page
            assert catalogue(name)["conv.dbias"] not in page
    notebook = explain.linear(nn.Linear(2, 2), np.ones((1, 2)))
    notebook.lang = "zh"
    assert "全连接层" in notebook._repr_html_().partition("script id")[0]


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def test_columns_of_text_line_up_in_wide_characters() -> None:
    a = Tensor(np.ones((1, 3)), requires_grad=True)
    drawn = explain.tape((a * 2.0 + a).sum())
    drawn.lang = "zh"
    head, *lines = str(drawn).splitlines()[:6]
    numbers = [line for line in lines if not line.endswith("float64")]
    assert "无" in "".join(numbers)
    for line in numbers:
        assert columns(line) - len(line.split()[-1]) == columns(head.partition("|梯度|")[0])
    assert columns("梯度, x") == width_of("梯度, x") == 7
