"""Pictures as people have them, read."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minicnn.data.own import picture_files
from minicnn.data.own.picture_files import read_picture
from minicnn.predict.reading import PictureError, read
from tests.predict.pictures import drawn, png, save


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    return save(tmp_path_factory.mktemp("files"))


def test_twenty_files_of_many_kinds_show_the_same_picture(
    files: tuple[list[Path], list[Path]],
) -> None:
    good, bad = files
    assert len(good) + len(bad) == 20
    expected = np.asarray(drawn(), np.float32) / 255
    scale = {"deep.png": 200 * 255 / 65535, "pale.tiff": 12 * 255 / 65535}
    special = ("dot.png", "large.jpg", "white-ink.png", "alpha.png", "two-levels.png")
    for path in good:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            picture = read(path)
        assert picture.name == str(path)
        assert picture.pixels.dtype == np.float32
        if path.name not in special:
            assert picture.pixels.shape == (200, 300), path.name
            tolerance = 0.2 if path.suffix in (".jpg", ".webp") else 0.02
            wanted = expected * scale.get(path.name, 1)
            assert abs(picture.pixels - wanted).max() < tolerance, path.name


def test_what_was_done_on_the_way_is_said(files: tuple[list[Path], list[Path]]) -> None:
    pictures = {path.name: read(path) for path in files[0]}
    assert pictures["turned.jpg"].facts == ["turned as its EXIF data says"]
    assert pictures["grey.png"].facts == []
    alpha, white = pictures["alpha.png"], pictures["white-ink.png"]
    assert alpha.facts == ["its transparent parts made white"]
    assert alpha.pixels[0, 0].tolist() == [1, 1, 1]
    assert white.facts == ["its transparent parts made black"]
    assert (white.pixels[0, 0], white.pixels.max()) == (0, 1)
    assert pictures["large.jpg"].pixels.shape == (768, 1024)
    assert pictures["dot.png"].pixels.shape == (1, 1)
    frames = [drawn((30, 20)), drawn((30, 20), ink=90)]
    moving = Path(files[0][0]).parent / "moving.gif"
    frames[0].save(moving, save_all=True, append_images=frames[1:])
    assert read(moving).facts == ["the first of 2 frames"]


def test_bytes_images_and_arrays_are_the_same_picture() -> None:
    image = drawn((31, 17))
    expected = np.asarray(image, np.float32) / 255
    colours = np.asarray(image.convert("RGBA"))
    deep = np.asarray(image).astype(np.uint16) * 257
    for source in (png(image), image, np.asarray(image), colours, colours[:, :, :3], deep):
        np.testing.assert_allclose(read(source).pixels, expected, atol=1e-6)
    assert read(np.asarray(image) > 128).pixels.max() == 1
    red = np.zeros((4, 5, 3), np.uint8)
    red[..., 0] = 255
    assert read(red).pixels.shape == (4, 5, 3)


def test_what_is_no_picture_is_one_line_that_names_it(
    files: tuple[list[Path], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons = {"cut.png": "damaged", "text.jpg": "no picture", "empty.png": "an empty file"}
    for path in files[1]:
        with pytest.raises(PictureError, match=reasons[path.name]) as error:
            read(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(PictureError, match=r"a NumPy array \(.npy\)"):
        read(b"\x93NUMPY...")
    monkeypatch.setattr(picture_files, "MOST_PIXELS", 5_000)
    with pytest.raises(PictureError, match="too many pixels"):
        read(png(drawn((100, 51))))
    with pytest.raises(FileNotFoundError):
        read("nowhere.png")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((4, 5)), r"float64; wanted uint8, 0..255"),
        (np.zeros((4, 5, 6, 7), np.uint8), r"shape \(4, 5, 6, 7\)"),
        (np.zeros((0, 5), np.uint8), "empty"),
        (3.5, "a float; wanted a path"),
    ],
)
def test_other_arrays_are_refused(source: object, message: str) -> None:
    with pytest.raises((TypeError, PictureError), match=message):
        read(source)


def test_16_bits_with_a_transparent_level_are_no_white_sheet() -> None:
    pixels, file = np.asarray(drawn()).astype(np.uint16) * 200, io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", transparency=0)
    np.testing.assert_allclose(read(file.getvalue()).pixels, pixels / 65535, rtol=1e-6)


def test_floats_and_32_bits_have_the_range_that_fits() -> None:
    levels = np.array([[0, 0.25], [0.5, 1]], np.float32)
    for white in (1, 255, 65535):
        np.testing.assert_allclose(read(Image.fromarray(levels * white)).pixels, levels)
    whole = (levels * 60_000).astype(np.int32)
    np.testing.assert_allclose(read(Image.fromarray(whole)).pixels, whole / 65535, rtol=1e-6)


def test_no_other_program_is_started_for_a_picture(tmp_path: Path) -> None:
    """Pillow reads EPS by way of Ghostscript."""
    content = io.BytesIO()
    drawn().convert("L").save(content, "EPS")
    with pytest.raises(PictureError, match="no picture, but "):
        read(content.getvalue())
    (tmp_path / "a.eps").write_bytes(content.getvalue())
    with pytest.raises(ValueError, match=r"a\.eps is no picture that can be read"):
        read_picture(tmp_path / "a.eps")
