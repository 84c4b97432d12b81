"""A browser, and pages to visit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn import explain, nn
from minicnn.explain.__main__ import main
from tests.explain.page.browsing import OPTIONS


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, options in OPTIONS.items():
        main([*options.split(), "--no-open", "--out", str(folder / f"{name}.html")])
    for kind in ("max-pool", "avg-pool", "dense", "softmax", "receptive-field"):
        main(["--op", kind, "--no-open", "--out", str(folder / f"{kind}.html")])
    rng = np.random.default_rng(1)
    layer = nn.Conv2d(1, 3, 5, padding=2)
    large = explain.conv2d(layer, rng.random((1, 28, 28)), 1e-4 * rng.standard_normal((3, 28, 28)))
    (folder / "large.html").write_text(large.html())
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture
def visit(browser: Any, pages: dict[str, Path]) -> Iterator[Any]:
    """visit(name, width, scheme, hash) opens a page; errors on it fail the test."""
    contexts: list[Any] = []
    errors: list[str] = []

    def open_page(
        name: str, width: int = 1280, scheme: str = "light", anchor: str = "", **options: Any
    ) -> Any:
        size = {"width": width, "height": 800}
        contexts.append(browser.new_context(viewport=size, color_scheme=scheme, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: errors.append(r.url) if r.url.startswith("http") else None)
        page.goto(pages[name].as_uri() + anchor)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors
