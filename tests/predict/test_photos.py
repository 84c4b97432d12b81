"""What docs/predict.md measures: simulated photos, and distances."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import photos, strangers
from minicnn.predict.looks import stroke_width
from tests.predict.pictures import digits


def test_a_skeleton_is_one_pixel_wide_and_hangs_together() -> None:
    cross = np.zeros((40, 31), np.bool_)
    cross[3:37, 12:19] = cross[15:22, 2:29] = True
    thin = photos.skeleton(cross)
    assert not (thin & ~cross).any()
    assert thin[10].sum() == thin[30].sum() == thin[:, 8].sum() == thin[:, 24].sum() == 1
    assert thin.sum() > 25 + 20


def test_a_photo_is_as_its_row_says() -> None:
    digit = digits(1)[0]

    def taken(**how: Any) -> np.ndarray:
        photo = photos.Photo(noise=0)._replace(**how)
        return photo.taken(digit, np.random.default_rng(2)).astype(np.float32) / 255

    paper = taken()
    assert paper.shape == (300, 400)
    assert 0.8 < np.median(paper) < 0.95
    assert paper.min() < 0.25
    assert np.median(taken(light=True)) < 0.2
    assert taken(ink=0.25).min() > 0.5
    noise = taken(noise=0.1)[:20, :20].std()
    assert 0.05 < noise < 0.12
    corners = taken(shadow=0.7)[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.min() < 0.5 * corners.max()
    thin, thick = (stroke_width((0.9 - taken(thin=t)).clip(0, 1)) for t in (True, False))
    assert thin < 0.5 * thick


def test_the_nearest_of_all(rng: np.random.Generator) -> None:
    rows, others = rng.normal(size=(7, 3)), rng.normal(size=(5, 3))
    wanted = [min(float(np.linalg.norm(row - other)) for other in others) for row in rows]
    np.testing.assert_allclose(strangers.nearest(rows, others), wanted)


def test_where_stretching_fails_preparing_does_not() -> None:
    """In the figures of docs/predict.md."""
    page = photos.PAGE.read_text(encoding="utf-8")
    for name in ("photos", "strangers"):
        inside = page.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- end of {name} -->")[0]
        assert inside.startswith("| ")
    rows = [line.split("|")[2:4] for line in page.splitlines() if line.count("|") == 4]
    figures = [tuple(map(float, row)) for row in rows if row[0].strip().startswith("0.")]
    assert len(figures) == len(photos.PHOTOS) + 2
    for raw, prepared in figures[1:]:
        assert raw < 0.5 < 0.95 <= prepared
