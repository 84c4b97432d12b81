"""Every Python block of the README runs, in the order of the page, as a reader would type it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def blocks(page: Path) -> list[str]:
    """The fenced Python blocks, without the indentation of a list they may stand in."""
    found = re.findall(r"^( *)```python\n(.*?)^ *```", page.read_text(), re.M | re.S)
    return [re.sub(f"^{indent}", "", code, flags=re.M) for indent, code in found]


@pytest.mark.skipif(not README.is_file(), reason="the tests run outside a checkout")
def test_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    assert len(blocks(README)) == 4
    for block in blocks(README):
        exec(compile(block, str(README), "exec"), names)
    printed = capsys.readouterr().out
    assert "(1, 6, 28, 28)" in printed
    assert "conv dweight" in printed
    result = re.search(r"^([\d.]+) ([\d.]+)$", printed, re.M)
    assert result
    loss, accuracy = map(float, result.groups())
    assert loss < 2.31
    assert accuracy > 0.1
    assert (tmp_path / "net.safetensors").is_file()


@pytest.mark.skipif(not README.is_file(), reason="the tests run outside a checkout")
def test_the_page_about_compiling_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = ROOT / "docs" / "compile.md"
    for block in blocks(page):
        exec(compile(block, str(page), "exec"), {})
    assert re.search(r"^conv  +1x28x28 -> 6x28x28.*235200", capsys.readouterr().out, re.M)


@pytest.mark.skipif(not README.is_file(), reason="the tests run outside a checkout")
@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
