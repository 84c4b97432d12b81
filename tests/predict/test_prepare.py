"""Pictures prepared to look like those of a data set."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from benchmarks.photos import PHOTOS
from minicnn import data
from minicnn.predict.ink import ink_on, shape_in
from minicnn.predict.looks import Looks, centre_of_mass, measure, stroke_width, unknown
from minicnn.predict.prepare import Prepared, prepare
from minicnn.predict.reading import read
from tests.predict.pictures import digits, drawn


@pytest.fixture(scope="module")
def looks() -> Looks:
    return measure(digits(60))


@pytest.fixture(scope="module")
def clothes() -> data.Dataset:
    return data.load("fashion-mnist-sample")[1]


def prepared(pixels: np.ndarray, looks: Looks, raw: bool = False) -> Prepared:
    return prepare(read(pixels), looks, raw)


# What a data set looks like -----------------------------------------------------------------------


def test_digits_are_centred_by_their_mass_and_have_strokes(looks: Looks) -> None:
    assert looks.shape == (1, 28, 28)
    assert looks.background[0] == 0
    assert looks.plain
    assert looks.light
    assert looks.centre == "mass"
    assert looks.extent == (20.0, 20.0, 20.0)
    assert looks.place == pytest.approx((14, 14), abs=0.1)
    assert 2 < looks.strokes[0] < looks.strokes[1] < looks.strokes[2] < 6


def test_clothes_are_centred_by_their_box_and_have_no_strokes(clothes: data.Dataset) -> None:
    looks = measure(clothes.images)
    assert (looks.centre, looks.strokes, looks.plain) == ("box", (0, 0, 0), True)
    assert looks.extent[1] == 28
    inverted = measure(255 - clothes.images)
    assert (inverted.background, inverted.light, inverted.extent) == ((1.0,), False, looks.extent)


def test_pictures_at_any_place_or_in_colours_are_not_cut_out(rng: np.random.Generator) -> None:
    larger = np.pad(digits(40), ((0, 0), (6, 6), (6, 6)))
    assert measure(larger).normalised
    shifted = [np.roll(one, rng.integers(-6, 7, 2), (0, 1)) for one in larger]
    assert not measure(np.stack(shifted)).normalised
    colours = rng.integers(0, 256, (40, 3, 9, 12), dtype=np.uint8)
    colours[:, 1] //= 4
    looks = measure(colours)
    assert (looks.shape, looks.plain, looks.normalised) == ((3, 9, 12), False, False)
    assert looks.background == pytest.approx((0.5, 0.125, 0.5), abs=0.05)


@pytest.mark.parametrize("width", [2, 3, 7])
def test_the_width_of_a_stroke(width: int) -> None:
    ink = np.zeros((60, 40), np.float32)
    ink[5:55, 10 : 10 + width] = 1
    assert stroke_width(ink) == pytest.approx(width, rel=0.15)
    assert stroke_width(ink.T * np.float32(0.3)) == pytest.approx(width, rel=0.15)  # pale


# Ink and paper ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["slope", "step"])
def test_a_shadow_is_not_ink(shape: str) -> None:
    y, x = np.mgrid[0:1:150j, 0:1:220j].astype(np.float32)
    light = 0.9 - 0.6 * (x * y if shape == "slope" else 1 / (1 + np.exp(3.5 - 7 * x)))
    paper = light.copy()
    paper[40:100, 60:70] *= 0.5
    ink = ink_on(paper)
    assert ink.dark
    assert ink.light == pytest.approx((0.3, 0.9), abs=0.05)
    assert ink.strength[45:95, 62:68].mean() == pytest.approx(0.5, abs=0.03)
    ink.strength[36:104, 56:74] = 0
    assert abs(ink.strength).max() < 0.08
    bright = ink_on(1 - paper)
    assert not bright.dark
    assert bright.strength[45:95, 62:68].min() > 0.3


def test_the_noise_is_that_of_the_paper(rng: np.random.Generator) -> None:
    grey = np.full((50, 60), 0.8, np.float32)
    grey[10:40, 10:50] = 0.1  # more ink than paper in some rows
    grey += rng.normal(0, 0.04, grey.shape).astype(np.float32)
    assert ink_on(grey).noise == pytest.approx(0.04 / 0.8, rel=0.15)


def test_specks_and_what_comes_from_the_edge_are_left_out() -> None:
    mask = np.zeros((70, 90), np.bool_)
    mask[20:50, 30:36] = mask[20:26, 44:60] = True  # a drawing in two parts
    wanted = mask.copy()
    mask[3:5, 80:82] = mask[66:, :] = True  # a speck, and the edge of the table
    found = shape_in(mask.astype(np.float32), mask)
    np.testing.assert_array_equal(found, wanted)
    alone = np.zeros((70, 90), np.bool_)
    alone[40:, 20:30] = True  # nothing but what touches the edge
    np.testing.assert_array_equal(shape_in(alone.astype(np.float32), alone), alone)


# The whole way ------------------------------------------------------------------------------------


def test_the_data_sets_own_pictures_go_through_unchanged(
    looks: Looks, clothes: data.Dataset
) -> None:
    for images, own in ((digits(40, seed=9), looks), (clothes.images[:60], None)):
        own = own or measure(clothes.images)
        through = np.stack([prepared(one, own).pixels[0] for one in images])
        changed = (through != images).any(axis=(1, 2))
        assert changed.mean() <= 0.03
        assert abs(through.astype(int) - images).mean() < 0.5


def test_inverted_ones_come_back(looks: Looks, clothes: data.Dataset) -> None:
    for images, own in ((digits(40, seed=9), looks), (clothes.images[:40], None)):
        own = own or measure(clothes.images)
        back = [prepared(255 - one, own) for one in images]
        assert np.mean([one.facts[0] == "inverted" for one in back]) > 0.97
        off = [
            abs(one.pixels[0].astype(int) - image).mean()
            for one, image in zip(back, images, strict=True)
        ]
        far = [abs((255 - image).astype(int) - image).mean() for image in images]
        assert np.median(off) < 0.12 * np.median(far)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_of_a_digit_is_that_digit_again(name: str, looks: Looks) -> None:
    rng, off, raw = np.random.default_rng(3), [], []
    for digit in digits(3, seed=11):
        photo = PHOTOS[name].taken(digit, rng)
        seen, stretched = prepared(photo, looks).pixels[0], prepared(photo, looks, True).pixels[0]
        off.append(_far(seen, digit))
        raw.append(_far(stretched, digit))
    assert np.median(off) < 0.2 < 0.4 < np.min(raw)


def _far(one: np.ndarray, other: np.ndarray) -> float:
    """1 - the cosine of the angle between two pictures: 0 where they are the same."""
    a, b = one.ravel().astype(float), other.ravel().astype(float)
    return 1 - float(a @ b / np.sqrt(max(a @ a, 1) * (b @ b)))


def test_the_digit_lies_as_mnists_do_and_each_step_is_said(looks: Looks) -> None:
    seen = prepared(np.asarray(drawn()), looks)
    ink = seen.pixels[0].astype(np.float32)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert centre_of_mass(ink) == pytest.approx((14, 14), abs=0.6)
    assert ink.max() == 255
    words = [fact.split()[0] for fact in seen.facts]
    assert words[:3] == ["inverted", "cropped", "scaled"]
    assert words[-1] == "centre"
    assert seen.warnings == []


def test_thin_strokes_are_made_as_thick_as_the_training_pictures(looks: Looks) -> None:
    thin = np.full((200, 150), 240, np.uint8)
    thin[20:180, 70:72] = 30
    thin[20:22, 40:110] = 30
    seen = prepared(thin, looks)
    assert any(fact.startswith("strokes made thicker") for fact in seen.facts)
    assert stroke_width(seen.pixels[0] / np.float32(255)) > 1.5


def test_thick_strokes_are_made_thinner_and_fill_the_box_all_the_same(looks: Looks) -> None:
    thick = np.full((200, 150), 240, np.uint8)
    thick[20:180, 50:100] = 30
    thick[20:70, 20:130] = 30
    seen = prepared(thick, looks._replace(strokes=(1.5, 2.2, 3.4)))
    assert any(fact.startswith("strokes made thinner") for fact in seen.facts)
    rows = np.flatnonzero((seen.pixels[0] > 100).any(axis=1))
    assert np.ptp(rows) + 1 == 20


def test_what_is_no_drawing_is_named_by_its_strokes(looks: Looks) -> None:
    leaf = np.zeros((90, 120), np.uint8)
    leaf[20:60, 30:80] = 200
    seen = prepared(leaf, looks)
    assert not any("strokes" in fact for fact in seen.facts)
    (warning,) = seen.warnings
    width = stroke_width(np.ones((16, 20), np.float32))
    low, _, high = looks.strokes
    assert f"they are {width:.1f} pixels wide, theirs {low:.1f} to {high:.1f}" in warning


def test_a_wide_drawing_keeps_its_proportions_in_a_narrow_picture() -> None:
    tall = np.pad(digits(60), ((0, 0), (6, 6), (0, 0)))[:, :, 3:25]  # 40 x 22, digits of 20
    looks = measure(tall)._replace(extent=(30, 30, 30), strokes=(0, 0, 0))
    wide = np.zeros((100, 200), np.uint8)
    wide[40:60, 60:140] = 255
    seen = prepared(wide, looks).pixels[0] > 127
    assert (seen.any(axis=0).sum(), seen.any(axis=1).sum()) == (22, 6)


def test_an_empty_picture_says_so(looks: Looks) -> None:
    for empty in (np.full((50, 40), 200, np.uint8), np.zeros((1, 1), np.uint8)):
        assert prepared(empty, looks).warnings == [
            "looks empty: nothing stands out from the background"
        ]


def test_raw_only_stretches_and_says_what_looks_inverted(looks: Looks) -> None:
    photo = np.asarray(drawn((60, 30)))
    seen = prepared(photo, looks, raw=True)
    assert seen.facts == ["stretched to 28 x 28"]
    assert "looks inverted: 100% of its border has a brightness near 1" in seen.warnings[0]
    assert seen.pixels[0].mean() > 180
    assert prepared(255 - photo, looks, raw=True).warnings == []


def test_colours_keep_their_proportions_in_a_frame() -> None:
    looks = Looks((3, 20, 24), (1.0, 0.0, 0.0), False, (0, 0, 0), "", (0, 0), 0, (0, 0, 0))
    blue = np.zeros((10, 40, 3), np.uint8)
    blue[..., 2] = 200
    seen = prepared(blue, looks)
    assert seen.facts == ["scaled to 24 x 6", "framed to 24 x 20"]
    assert seen.pixels.shape == (3, 20, 24)
    assert seen.pixels[:, 0, 0].tolist() == [255, 0, 0]
    assert seen.pixels[:, 10, 12].tolist() == [0, 0, 200]
    grey = prepared(np.full((40, 48), 90, np.uint8), looks)
    assert (grey.pixels == 90).all()
    assert np.asarray(Image.fromarray(blue)).shape == (10, 40, 3)


def test_whatever_comes_becomes_a_picture_for_the_net(
    looks: Looks, clothes: data.Dataset, rng: np.random.Generator
) -> None:
    ways = (looks, measure(255 - clothes.images), unknown((3, 9, 7)))
    for k in range(30):
        shape = (int(rng.integers(1, 40)) if k % 3 else 1, int(rng.integers(1, 90)))
        pixels = rng.choice([rng.uniform(), 0.5, 0.55, 1], shape) * rng.integers(0, 256, shape)
        colours = np.stack([pixels, pixels[::-1], pixels], axis=-1)
        for own in ways:
            seen = prepared((pixels if k % 2 else colours).astype(np.uint8), own)
            assert seen.pixels.shape == own.shape
            assert seen.pixels.dtype == np.uint8
