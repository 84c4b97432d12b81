"""Data of your own: every kind comes out as two data sets; what is wrong is one line."""

import re

import numpy as np
import pytest
from PIL import Image

from minicnn import data
from minicnn.data import DatasetError
from minicnn.data.catalogue import CATALOGUE, Source
from minicnn.data.chosen import CATALOGUE_KIND, choose, is_own, own_sets
from minicnn.data.idx import write_idx
from tests.data import own
from tests.data.own import HEIGHT, TEST_LABELS, TRAIN_LABELS, WIDTH, pictures
from tests.data.tiny import TINY, assert_tiny, fill


def assert_both(train, test, shape=(HEIGHT, WIDTH), classes=("0", "1", "2"), **size):
    """The sets of ``tests.data.own``, in order."""
    for dataset, labels, seed in ((train, TRAIN_LABELS, 1), (test, TEST_LABELS, 2)):
        assert dataset.labels.tolist() == labels
        assert dataset.classes == classes
        assert dataset.images.shape == (len(labels), *shape)
        assert dataset.images.flags.c_contiguous
        np.testing.assert_array_equal(dataset.images, pictures(labels, seed=seed, **size))


# Arrays -------------------------------------------------------------------------------------------


def test_arrays_with_labels_of_any_kind():
    images = pictures([0] * 4)
    for labels in ([9, 3, 5, 3], [[9], [3], [5], [3]], np.array([9, 3, 5, 3], np.int8)):
        made = data.from_arrays(images, labels, name="mine")
        assert (made.labels.tolist(), made.classes) == ([2, 0, 1, 0], ("3", "5", "9"))
    made = data.from_arrays(images, ["cow", "ant", "bee", "ant"])
    assert (made.labels.tolist(), made.classes) == ([2, 0, 1, 0], ("ant", "bee", "cow"))


def test_validation_pictures_beside_a_test_set_are_left_out_and_that_is_said(tmp_path, capsys):
    for part, labels in (("train", TRAIN_LABELS), ("val", TRAIN_LABELS), ("test", TEST_LABELS)):
        own.picture_folder(tmp_path / part, labels)
    assert [len(part) for part in data.from_pictures(tmp_path)] == [10, 4]
    assert capsys.readouterr().out == f"note: {tmp_path / 'val'} is left out, for there is test/\n"


def test_arrays_with_classes_take_their_names_or_places():
    images = pictures([0] * 3)
    for labels in (["b", "a", "b"], [0, 1, 0]):
        made = data.from_arrays(images, labels, ("b", "a"))
        assert (made.labels.tolist(), made.classes) == ([0, 1, 0], ("b", "a"))
    with pytest.raises(ValueError, match=r"label c is none of the classes b, a$"):
        data.from_arrays(images, ["b", "c", "a"], ("b", "a"))
    with pytest.raises(ValueError, match=r"labels are 0..2; wanted 0..1"):
        data.from_arrays(images, [0, 2, 0], ("b", "a"))
    with pytest.raises(TypeError, match=r"labels are float64; wanted integers"):
        data.from_arrays(images, [0, 0.5, 1])


def test_arrays_with_channels_last_are_turned():
    colours = pictures([0, 1], channels=3)
    for images in (colours, colours.transpose(0, 2, 3, 1)):
        np.testing.assert_array_equal(data.from_arrays(images, [0, 1]).images, colours)
    narrow = pictures([0, 1], 20, 4, channels=3)  # 4 columns, not channels
    np.testing.assert_array_equal(data.from_arrays(narrow, [0, 1]).images, narrow)
    grey = pictures([0, 1])
    for images in (grey[..., None], grey[:, None]):
        np.testing.assert_array_equal(data.from_arrays(images, [0, 1]).images, grey)


# IDX ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [".gz", ""])
@pytest.mark.parametrize(("prefix", "part"), [("", "t10k"), ("", "test"), ("my-set-", "test")])
def test_idx_files_by_their_usual_names(tmp_path, prefix, part, end):
    folder = own.idx(tmp_path / "some", prefix, part, end=end)
    train, test = data.from_idx(str(folder))
    assert_both(train, test)
    assert train.name == ("my-set train" if prefix else "some train")


@pytest.mark.parametrize("place", ["raw", "MINE/raw"])
def test_idx_files_in_torchvisions_folders(tmp_path, place):
    own.idx(tmp_path / place)
    assert_both(*data.from_idx(tmp_path))


def test_idx_files_of_seven_zip(tmp_path):
    for path in [*own.idx(tmp_path / "a", end="").iterdir()]:
        name = path.name.replace("-idx", ".idx")
        (tmp_path / "b" / name).mkdir(parents=True)
        path.rename(tmp_path / "b" / name / name)
    assert_both(*data.from_idx(tmp_path / "b"))


def test_int32_labels_and_qmnists_columns(tmp_path):
    folder = own.idx(tmp_path, dtype=np.int32)
    assert_both(*data.from_idx(folder))
    columns = np.array([[k, 9, 8, 7, 6, 5, 4, 3] for k in TRAIN_LABELS], np.int32)
    write_idx(columns, folder / "train-labels-idx1-int.gz")
    assert_both(*data.from_idx(folder))


def test_emnists_pictures_are_turned(tmp_path, capsys):
    train, test = data.from_idx(own.idx(tmp_path, "emnist-digits-", "test"))
    np.testing.assert_array_equal(train.images, pictures(TRAIN_LABELS, seed=1).transpose(0, 2, 1))
    assert (train.name, test.images.shape) == ("emnist-digits train", (4, WIDTH, HEIGHT))
    assert "emnist-digits: EMNIST's pictures are stored transposed" in capsys.readouterr().out


@pytest.mark.parametrize(("largest", "factor"), [(1, 255), (16, 15), (63, 4), (64, None)])
def test_pixels_of_another_scale_are_said(tmp_path, capsys, largest, factor):
    images = own.pictures(own.TRAIN_LABELS) % largest
    images[0, 0, 0] = largest
    data.from_npz(own.npz(tmp_path / "set.npz", x_train=images))
    said = capsys.readouterr().out
    assert (f"is {largest} of 255" in said, f"multiply them by {factor}," in said) == (
        factor is not None,
    ) * 2


def test_other_labels_become_0_to_k_and_a_note_says_so(tmp_path, capsys):
    train, test = data.from_idx(own.idx(tmp_path, shift=5))
    assert_both(train, test, classes=("5", "6", "7"))
    assert capsys.readouterr().out == "note: the 3 labels 5..7 become 0..2\n"
    assert_both(*data.from_idx(own.idx(tmp_path / "b")))
    assert capsys.readouterr().out == ""


def test_files_of_the_catalogue_have_its_name_and_classes(tmp_path, monkeypatch, register):
    classes = tuple("abcdefghij")
    source = Source(classes, CATALOGUE["tiny"].sha256)
    monkeypatch.setitem(CATALOGUE, "tiny", source)
    train, test = data.from_folder(fill(tmp_path))
    assert_tiny(train, test)
    assert (train.name, test.name, test.classes) == ("tiny train", "tiny test", classes)
    other = bytearray(TINY["t10k-labels-idx1-ubyte"])
    other[-1] = 3
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(other)
    with pytest.raises(DatasetError, match=r"t10k-images.*: label 9 is none of the classes 1, 3,"):
        data.from_folder(tmp_path)


def test_emnist_and_qmnist_are_known_by_their_files_names(tmp_path):
    train, test = data.from_folder(own.idx(tmp_path / "a", "emnist-letters-", "test", shift=1))
    assert (train.name, train.classes[:3]) == ("emnist-letters train", ("a", "b", "c"))
    assert (train.labels.tolist(), test.labels.tolist()) == (TRAIN_LABELS, TEST_LABELS)
    np.testing.assert_array_equal(test.images, pictures(TEST_LABELS, seed=2).transpose(0, 2, 1))
    folder = own.idx(tmp_path / "b", "qmnist-", "test", np.int32)
    for path in folder.glob("*labels*"):
        labels = data.read_idx(path)[:, None].repeat(8, 1) * np.array([1, *[0] * 7], np.int32)
        write_idx(labels, path.with_name(path.name.replace("idx1", "idx2")))
        path.unlink()
    train, test = data.from_folder(folder)
    assert (train.name, len(train.classes)) == ("qmnist train", 10)
    assert (train.labels.tolist(), test.labels.tolist()) == (TRAIN_LABELS, TEST_LABELS)
    assert len(data.load("qmnist", folder)[0]) == len(train)


def test_several_sets_in_a_folder_are_named(tmp_path):
    for split in ("letters", "byclass"):
        own.idx(tmp_path, f"emnist-{split}-", "test")
    wanted = r"holds emnist-byclass, emnist-letters; wanted .*, or --dataset emnist-letters$"
    with pytest.raises(DatasetError, match=wanted):
        data.from_idx(tmp_path)
    for name in ("KMNIST", "mnist"):
        own.idx(tmp_path / "all" / name / "raw")
    with pytest.raises(DatasetError, match=r"all holds KMNIST, mnist; wanted the folder of one of"):
        data.from_idx(tmp_path / "all")
    train, _ = data.from_idx(tmp_path / "all" / "mnist")  # not the ten classes of that name
    assert (train.name, train.classes) == ("mnist train", ("0", "1", "2"))


# npz and CSV --------------------------------------------------------------------------------------


def test_keras_npz(tmp_path):
    path = own.npz(tmp_path / "mine.npz", y_train=np.array(TRAIN_LABELS)[:, None])
    for where in (path, tmp_path):
        train, test = data.from_folder(where)
        assert_both(train, test)
        assert train.name == "mine train"
    x = {
        f"x_{part}": pictures(labels, channels=3, seed=seed).transpose(0, 2, 3, 1)
        for part, labels, seed in (("train", TRAIN_LABELS, 1), ("test", TEST_LABELS, 2))
    }
    assert_both(*data.from_npz(own.npz(path, **x)), shape=(3, HEIGHT, WIDTH), channels=3)


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("names", [("train", "test"), ("my_train", "my_test")])
def test_csv(tmp_path, head, names):
    for name, labels, seed in zip(names, (TRAIN_LABELS, TEST_LABELS), (1, 2), strict=True):
        own.csv(tmp_path / f"{name}.csv", labels, seed, head)
    assert_both(*data.from_folder(tmp_path), shape=(8, 8), width=8)


def test_csv_of_other_sizes(tmp_path):
    def write(**size):
        for name, labels, seed in (("train", TRAIN_LABELS, 1), ("test", TEST_LABELS, 2)):
            own.csv(tmp_path / f"{name}.csv", labels, seed, **size)

    write(height=HEIGHT, width=WIDTH)
    with pytest.raises(DatasetError, match=r"72 pixels a line are no square; .*--image-size HxW"):
        data.from_csv(tmp_path)
    assert_both(*data.from_csv(tmp_path, size=(HEIGHT, WIDTH)))
    write(height=HEIGHT, width=WIDTH, channels=3)
    both = data.from_folder(tmp_path, size=(HEIGHT, WIDTH))
    assert_both(*both, shape=(3, HEIGHT, WIDTH), channels=3)


def test_a_first_line_that_begins_with_a_sign_is_no_line_of_names(tmp_path, capsys):
    for name, labels in (("train", [-1, 1, 1]), ("test", [-1])):
        own.csv(tmp_path / f"{name}.csv", labels, head=False)
    train, test = data.from_csv(tmp_path)
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1, 1], [0])
    assert train.classes == ("-1", "1")


@pytest.mark.parametrize(
    "names",
    [
        "label,0,2,3,4",
        "label,1x1,1x2,10,2x2",
        "y,28,28,1,1",
        ",label,0,1,2",
        ",0,1,2,3",
        "1x,a,b,c,d",
    ],
)
def test_a_line_of_names_that_are_partly_numbers_is_skipped(names, tmp_path, capsys):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([names, *(f"{i % 2},{i},2,3,4" for i in range(7))]))
    assert sum(map(len, data.from_csv(path))) == 7


def test_emnists_csv_is_turned(tmp_path, capsys):
    path = own.csv(tmp_path / "emnist-letters-train.csv", TRAIN_LABELS)
    own.csv(tmp_path / "emnist-letters-test.csv", TEST_LABELS, 2)
    train, _ = data.from_csv(tmp_path)
    expected = pictures(TRAIN_LABELS, 8, 8, seed=1).transpose(0, 2, 1)
    np.testing.assert_array_equal(train.images, expected)
    assert f"{path}: EMNIST's pictures are stored transposed" in capsys.readouterr().out


def test_kaggles_test_csv_without_labels_is_left_out(tmp_path, capsys):
    own.csv(tmp_path / "train.csv", TRAIN_LABELS)
    own.csv(tmp_path / "test.csv", TEST_LABELS, 2, label=False)
    train, test = data.from_folder(tmp_path)
    notes = capsys.readouterr().out.splitlines()
    assert re.search(r"test\.csv has a column less than train\.csv, so no labels", notes[0])
    assert re.search(r"20% of each class, drawn with seed 0, .*\(3 of 10 pictures\)", notes[1])
    assert (len(train), len(test)) == (7, 3)


# A test set that is split off ---------------------------------------------------------------------


def test_a_test_set_is_a_fifth_of_each_class_drawn_with_the_seed(tmp_path, capsys):
    labels = [0] * 10 + [1] * 2 + [2] * 25
    path = own.csv(tmp_path / "mine.csv", labels)
    train, test = data.from_csv(path, seed=3)
    assert np.bincount(test.labels).tolist() == [2, 1, 5]
    assert np.bincount(train.labels).tolist() == [8, 1, 20]
    together = {image.tobytes() for image in (*train.images, *test.images)}
    assert len(together) == 37
    again, other = data.from_csv(path, seed=3)[1], data.from_csv(path, seed=4)[1]
    np.testing.assert_array_equal(test.images, again.images)
    assert not np.array_equal(test.images, other.images)
    assert f"{path}: 20% of each class, drawn with seed 3" in capsys.readouterr().out
    own.csv(path, [0, 0, 5])
    with pytest.raises(DatasetError, match="class 5 has 1 picture; wanted 2 or more"):
        data.from_csv(path)


# Pictures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("train", "test"), ("training", "val"), ("Training", "Testing")])
@pytest.mark.parametrize("channels", [0, 3])
def test_a_folder_of_pictures_for_each_class(tmp_path, names, channels):
    for name, labels, seed in zip(names, (TRAIN_LABELS, TEST_LABELS), (1, 2), strict=True):
        own.picture_folder(tmp_path / name, labels, channels=channels, seed=seed)
    (tmp_path / names[0] / ".hidden").mkdir()
    train, test = data.from_folder(tmp_path)
    assert train.classes == ("ant", "bee", "cat")
    assert train.name == f"{tmp_path.name} train"
    for dataset, labels, seed in ((train, TRAIN_LABELS, 1), (test, TEST_LABELS, 2)):
        order = np.argsort(labels, kind="stable")
        assert dataset.labels.tolist() == sorted(labels)
        expected = pictures(labels, channels=channels, seed=seed)[order]
        np.testing.assert_array_equal(dataset.images, expected)


def test_pictures_in_one_level_are_split_and_a_note_says_so(tmp_path, capsys):
    own.picture_folder(tmp_path, TRAIN_LABELS)
    (tmp_path / "ant" / "._000.png").write_bytes(b"a Mac's")
    (tmp_path / "ant" / "notes.txt").write_text("no picture")
    train, test = data.from_pictures(tmp_path)
    assert (len(train), test.labels.tolist()) == (7, [0, 1, 2])
    assert f"no test set in {tmp_path}: 20% of each class" in capsys.readouterr().out


def test_grey_and_coloured_pictures_together_are_coloured(tmp_path):
    own.picture_folder(tmp_path / "train", TRAIN_LABELS)
    own.picture_folder(tmp_path / "test", TEST_LABELS, channels=3, seed=2)
    train, test = data.from_pictures(tmp_path)
    assert train.images.shape == (10, 3, HEIGHT, WIDTH)
    np.testing.assert_array_equal(train.images[:, 0], train.images[:, 2])
    assert not np.array_equal(test.images[:, 0], test.images[:, 2])


def test_pictures_of_other_sizes_are_resized_when_asked(tmp_path):
    own.picture_folder(tmp_path / "train", TRAIN_LABELS)
    own.picture_folder(tmp_path / "test", TEST_LABELS)
    Image.new("L", (40, 30), 77).save(tmp_path / "test" / "cat" / "zz.png")
    train, test = data.from_folder(tmp_path, size=(6, 5))
    assert (train.images.shape, test.images.shape) == ((10, 6, 5), (5, 6, 5))
    assert (test.images[-1] == 77).all()


def test_modes_of_pictures(tmp_path):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20

    def read(picture, name="a.png", **options):
        picture.save(tmp_path / name, **options)
        return data.read_picture(tmp_path / name)

    for picture in (
        Image.fromarray(grey),
        Image.fromarray(grey).convert("RGB"),
        Image.fromarray(grey).convert("P"),
        Image.fromarray(grey).convert("LA"),
        Image.fromarray(grey.astype(np.uint16) * 257),
    ):
        np.testing.assert_array_equal(read(picture), grey, err_msg=picture.mode)
    assert read(Image.fromarray(grey > 100)).tolist() == ((grey > 100) * 255).tolist()
    ink = np.zeros((3, 4, 4), np.uint8)
    ink[..., 3] = grey  # black ink of different strengths on nothing
    np.testing.assert_array_equal(read(Image.fromarray(ink)), 255 - grey)
    assert read(Image.new("RGB", (4, 3), (1, 2, 3)))[:, 0, 0].tolist() == [1, 2, 3]
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held upright
    picture = Image.fromarray(grey).convert("RGB")
    np.testing.assert_array_equal(read(picture, exif=turned), np.rot90(grey, -1))
    with (tmp_path / "a.png").open("rb") as file:
        assert data.read_picture(file).shape == (4, 3)
    with pytest.raises(ValueError, match=r"b\.tif cannot be read as a picture: its pixels are fr"):
        read(Image.fromarray(np.zeros((3, 4), np.float32)), "b.tif")


# What is wrong ------------------------------------------------------------------------------------


def broken(kind, folder):
    """A folder with a fault, and what is said of it."""
    folder.mkdir(exist_ok=True)
    classes = own.picture_folder
    if kind == "half a set":
        (own.idx(folder) / "train-labels-idx1-ubyte.gz").unlink()
        return r"has no file of the train labels, only .*; wanted four IDX files"
    if kind == "damaged gzip":
        path = own.idx(folder) / "train-images-idx3-ubyte.gz"
        path.write_bytes(path.read_bytes()[:-30])
        return r"train-images-idx3-ubyte\.gz: damaged gzip data"
    if kind == "fewer labels":
        write_idx(np.array([0, 1, 2], np.uint8), own.idx(folder) / "t10k-labels-idx1-ubyte.gz")
        return r"t10k-images-idx3-ubyte\.gz: 4 pictures but 3 labels"
    if kind == "pictures as labels":
        write_idx(pictures([0] * 4), own.idx(folder) / "t10k-labels-idx1-ubyte.gz")
        return r"t10k-labels.*: uint8 of shape \(4, 8, 9\); wanted labels"
    if kind == "labels out of range":
        labels = np.array([0, 1, 2, 7], np.uint8)
        write_idx(labels, own.idx(folder) / "t10k-labels-idx1-ubyte.gz")
        return r"t10k-images.*: label 7 is none of the classes 0, 1, 2$"
    if kind == "two sizes of parts":
        write_idx(pictures(TEST_LABELS, 5, 7), own.idx(folder) / "t10k-images-idx3-ubyte.gz")
        return r"pictures are 8 x 9 in .*train-im.* and 5 x 7 in .*t10k-im.*; wanted one size"
    if kind == "npz without labels":
        own.npz(folder / "a.npz", y_train=None)
        return r"a\.npz lacks y_train, it has x_train, x_test, y_test; wanted x_train, y_train"
    if kind == "npz of pickles":
        own.npz(folder / "a.npz", y_train=np.array([{}] * 10))
        return r"a\.npz holds pickled objects, which are not loaded: they could run any code"
    if kind == "npz that is a zip":
        own.zipped(folder / "a.npz")
        return r"a\.npz lacks x_train, .* it has readme.txt"
    if kind == "npz that is none":
        (folder / "a.npz").write_bytes(b"\x89HDF\r\n\x1a\n...")
        return r"a\.npz is an HDF5 file"
    if kind == "npz of a number":
        own.npz(folder / "a.npz", x_train=np.uint8(3))
        return r"a\.npz: x_train: there are no pictures"
    if kind == "npz without pixels":
        own.npz(folder / "a.npz", x_train=np.zeros((10, 0, 9), np.uint8))
        return r"a\.npz: x_train: there are no pictures"
    if kind == "npz without test pictures":
        none = {"x_test": np.zeros((0, 8, 9), np.uint8), "y_test": np.zeros(0, int)}
        own.npz(folder / "a.npz", **none)
        return r"a\.npz: x_test: there are no pictures"
    if kind == "npz of fractions":
        own.npz(folder / "a.npz", x_test=pictures(TEST_LABELS) / 255)
        return r"a\.npz: x_test: images are float64 .*; wanted uint8: \(images \* 255\)"
    if kind == "npz with one-hot labels":
        own.npz(folder / "a.npz", y_test=np.eye(4))
        return r"y_test is float64 of shape \(4, 4\); wanted whole numbers.*: y_test\.argmax\(1\)"
    if kind == "a text cell":
        path = own.csv(folder / "train.csv", TRAIN_LABELS)
        path.write_text(path.read_text().replace("\n1,", "\n1,x", 1))
        return r"train\.csv: line 3, column 2 is 'x\d+'; wanted whole numbers"
    if kind == "semicolons":
        path = own.csv(folder / "train.csv", TRAIN_LABELS)
        path.write_text(path.read_text().replace(",", ";"))
        return r"train\.csv: line 2, column 1 is '0;[\d;]{57}\.\.\.; wanted whole numbers"
    if kind == "a longer line":
        path = own.csv(folder / "train.csv", TRAIN_LABELS)
        path.write_text(path.read_text().replace("\n1,", "\n1,0,", 1))
        return r"train\.csv: line 3 has 66 columns, those before it 65"
    if kind == "a picture too bright":
        path = own.csv(folder / "train.csv", TRAIN_LABELS * 2)
        path.write_text(re.sub(r",\d+\n", ",256\n", path.read_text()))
        return r"train\.csv: images are 0\.\.256; wanted 0\.\.255"
    if kind == "no lines":
        (folder / "train.csv").write_text("label,pixel0\n")
        return r"train\.csv: no line of numbers"
    if kind == "one class":
        own.csv(folder / "train.csv", [4, 4, 4])
        return r"train\.csv: all 3 labels are 4; wanted two classes or more"
    if kind == "which csv":
        own.csv(folder / "a.csv", [4, 5]), own.csv(folder / "b.csv", [4, 5])
        return r"holds a\.csv, b\.csv; wanted train\.csv, and test\.csv if there is one"
    if kind == "two sizes":
        Image.new("L", (9, 7)).save(classes(folder, TRAIN_LABELS) / "bee" / "zz.png")
        return r"ant/000\.png is 8 x 9 and .*bee/zz\.png 7 x 9 pixels .*: --image-size"
    if kind == "an empty class folder":
        (classes(folder, TRAIN_LABELS) / "dog").mkdir()
        return r"dog has no picture; wanted PNG"
    if kind == "one class folder":
        classes(folder, [0, 0, 0])
        return r"has the one class 'ant'; wanted two or more folders"
    if kind == "a class to test only":
        classes(folder / "train", TRAIN_LABELS), classes(folder / "test", [3], (*"xyz", "emu"))
        return r"test has the class 'emu', which is not in .*train$"
    if kind == "test alone":
        classes(folder / "test", TRAIN_LABELS)
        return r"has test/ but no train/"
    if kind == "no picture":
        (classes(folder, TRAIN_LABELS) / "bee" / "b.jpg").write_text("hello")
        return r"bee/b\.jpg is no picture that can be read"
    if kind == "a picture cut short":
        path = classes(folder, TRAIN_LABELS) / "bee" / "001.png"
        path.write_bytes(path.read_bytes()[:70])
        return r"bee/001\.png cannot be read as a picture: "
    if kind == "pictures without classes":
        Image.new("L", (9, 7)).save(folder / "a.png")
        return r"holds a\.png; wanted four IDX files, .* a folder of pictures for each class"
    if kind == "an archive":
        own.zipped(folder / "all.zip")
        return r"holds all\.zip; unpack the archive; wanted"
    assert kind == "nothing"
    return r"is empty; wanted"


WRONG = [
    "half a set", "damaged gzip", "fewer labels", "pictures as labels", "labels out of range",
    "two sizes of parts", "npz without labels", "npz of pickles", "npz that is a zip",
    "npz of a number", "npz without pixels", "npz without test pictures",
    "npz that is none", "npz of fractions", "npz with one-hot labels", "a text cell",
    "semicolons", "a longer line", "a picture too bright", "no lines", "one class", "which csv",
    "two sizes",
    "an empty class folder", "one class folder", "a class to test only", "test alone",
    "no picture", "a picture cut short", "pictures without classes", "an archive", "nothing",
]  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_one_line_that_names_it(tmp_path, kind):
    folder = tmp_path / "set"
    message = broken(kind, folder)
    with pytest.raises(DatasetError) as caught:
        data.from_folder(folder)
    assert re.search(message, str(caught.value))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sizes_for_kinds_that_say_them_and_paths_that_lead_nowhere(tmp_path):
    with pytest.raises(ValueError, match=r"--image-size \(size=\) is 3x4, but .*a.npz says itself"):
        data.from_folder(own.npz(tmp_path / "a.npz"), size=(3, 4))
    with pytest.raises(DatasetError, match="gone is not there; wanted four IDX files"):
        data.from_folder(tmp_path / "gone")
    with pytest.raises(DatasetError, match=rf"a.zip is a file; .*: is it {tmp_path}\?"):
        data.from_folder(own.zipped(tmp_path / "a.zip"))


@pytest.mark.parametrize("kind", ["a.npz", "a.png", "a.jpg"])
def test_files_that_are_damaged_anywhere_are_refused_or_read(tmp_path, kind, rng):
    """Whatever Pillow, zipfile and NumPy raise for them, it is one line that names the file."""
    whole = tmp_path / kind
    if kind == "a.npz":
        own.npz(whole)
    else:
        Image.fromarray(rng.integers(0, 256, (9, 7, 3), np.uint8)).save(whole)
    content, path, messages = whole.read_bytes(), tmp_path / f"damaged{whole.suffix}", []
    for place in rng.integers(0, len(content), 60):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged if place % 3 else damaged[:place])
        try:
            data.from_npz(path) if kind == "a.npz" else data.read_picture(path)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 20
    assert all(str(path) in message and "\n" not in message for message in messages)


def test_a_set_without_pictures_is_refused(tmp_path):
    empty = {"x_train": pictures([]), "y_train": np.zeros(0, int)}
    with pytest.raises(DatasetError, match=r"a\.npz: x_train: there are no pictures"):
        data.from_npz(own.npz(tmp_path / "a.npz", **empty))


def test_a_class_folder_with_other_files_names_one(tmp_path):
    (own.picture_folder(tmp_path, TRAIN_LABELS) / "dog").mkdir()
    (tmp_path / "dog" / "a.heic").touch()
    with pytest.raises(DatasetError, match=r"dog has no picture, only a\.heic; wanted PNG, JPEG"):
        data.from_pictures(tmp_path)


# What a command trains on -------------------------------------------------------------------------


def test_without_a_name_what_lies_in_the_folder_is_chosen(tmp_path):
    own.idx(tmp_path)
    found = choose(None, tmp_path)
    assert_both(found.train, found.test)
    assert found.kind != CATALOGUE_KIND
    with pytest.raises(
        ValueError, match=r"^--image-size \(size=\) is 8x9; wanted none for the pict"
    ):
        choose(None, None, (8, 9))
    known = choose("fashion-mnist-sample", None)
    assert (known.name, known.kind) == ("fashion-mnist-sample", CATALOGUE_KIND)
    assert len(known.test) == 1000
    assert is_own({"data_kind": found.kind})
    assert not is_own({"data_kind": known.kind})
    assert not is_own({})  # as runs were before there was another kind


@pytest.mark.parametrize("size", [None, [4, 6]])
def test_the_sets_of_a_run_have_its_size_and_its_classes(tmp_path, size):
    for part, labels in (("train", TRAIN_LABELS), ("test", TEST_LABELS)):
        own.picture_folder(tmp_path / part, labels)
    config = {"data_dir": str(tmp_path), "seed": 0, "image_size": size}
    classes = ["ant", "bee", "cat"]
    train, test = own_sets({**config, "classes": classes})
    assert train.images.shape[-2:] == test.images.shape[-2:] == tuple(size or (HEIGHT, WIDTH))
    with pytest.raises(DatasetError, match=r"has the classes ant, bee, cat; wanted .*: cat, dog$"):
        own_sets({**config, "classes": ["cat", "dog"]})
