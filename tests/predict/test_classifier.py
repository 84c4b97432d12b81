"""``minicnn.Classifier``: a run that takes pictures as they come."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import data, models, nn, train
from minicnn.predict import Classifier, PictureError, Prediction
from minicnn.predict.neighbours import Neighbours
from minicnn.train.run import Run
from tests.predict.pictures import digits, drawn, png


@pytest.fixture(scope="module")
def sets() -> tuple[data.Dataset, data.Dataset]:
    """Drawings; what they are called does not matter here."""
    train, test = digits(90), digits(40, seed=6)
    labels = np.arange(90) % 3
    return data.Dataset(train, labels, "abc"), data.Dataset(test, labels[:40], "abc")


@pytest.fixture(scope="module")
def classifier(sets: tuple[data.Dataset, data.Dataset]) -> Classifier:
    minicnn.manual_seed(1)
    net = models.mlp(hidden=(20,), classes=3)
    return Classifier(net, "abc", (1, 28, 28), train=sets[0], test=sets[1])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run that has not learnt anything, on the sample."""
    config = {"model": "mlp", "model_args": {"hidden": [12]}, "dataset": "fashion-mnist-sample"}
    Run(tmp_path / "run", config, models.mlp(hidden=(12,)))
    return tmp_path / "run"


def test_a_run_says_what_the_net_says(run: Path) -> None:
    found = minicnn.Classifier.from_run(run)
    test = data.load("fashion-mnist-sample")[1]
    net, _ = minicnn.load_run(run)
    logits = net(minicnn.Tensor(test.images[:300, None].astype(np.float32) / 255))
    wanted = nn.functional.softmax(logits, 1).numpy()
    predictions = found.predict(test.images[:300], raw=True)
    for prediction, row in zip(predictions, wanted, strict=True):
        np.testing.assert_allclose(prediction.probabilities, row, atol=1e-5)
        assert prediction.class_name == test.classes[row.argmax()] == prediction.top(1)[0][0]
        assert prediction.label == row.argmax()
    assert [prediction.source for prediction in predictions[:2]] == ["picture 1", "picture 2"]


def test_one_picture_gives_one_prediction_and_several_a_list(
    classifier: Classifier, tmp_path: Path
) -> None:
    image = drawn()
    image.save(tmp_path / "seven.png")
    pixels = np.asarray(image)
    colours = np.asarray(image.convert("RGB"))
    ones = [tmp_path / "seven.png", str(tmp_path / "seven.png"), png(image), image, pixels, colours]
    first, *others = [classifier.predict(one) for one in ones]
    assert isinstance(first, Prediction)
    assert first.picture.shape == (1, 28, 28)
    for other in others:
        assert abs(other.picture.astype(int) - first.picture).max() <= 1
    assert [p.source for p in classifier.predict(ones)][::2] == [
        str(tmp_path / "seven.png"), "picture 3", "picture 5",
    ]  # fmt: skip
    many = np.stack([pixels, 255 - pixels])
    for batch in (many, many[:, None], list(many)):
        assert [p.label for p in classifier.predict(batch)] == [first.label] * 2
    assert classifier.predict([]) == []


def test_a_picture_that_cannot_be_read_is_named(classifier: Classifier) -> None:
    with pytest.raises(PictureError, match="picture 2: no picture"):
        classifier.predict([png(drawn()), b"text"])
    with pytest.raises(FileNotFoundError):
        classifier.predict("nowhere.png")
    with pytest.raises(TypeError, match=r"shape \(7,\); wanted \(N, H, W\)"):
        classifier.predict(np.zeros(7, np.uint8))


def test_a_normalised_net_gets_normalised_pixels(sets: tuple[data.Dataset, data.Dataset]) -> None:
    net = models.mlp(hidden=(20,), classes=3)
    normalise = {"mean": [0.25], "std": [0.5]}
    classifier = Classifier(net, "abc", (1, 28, 28), normalise=normalise)
    pixels = sets[0].images[:5]
    x = (pixels[:, None].astype(np.float32) / 255 - 0.25) / 0.5
    wanted = nn.functional.softmax(net(minicnn.Tensor(x)), 1).numpy()
    found = classifier.predict(pixels)
    np.testing.assert_allclose([p.probabilities for p in found], wanted, atol=1e-5)
    assert found[0].distance is None
    assert found[0].as_dict()["threshold"] is None


def test_the_reference_kernels_and_dropout_give_the_same(
    sets: tuple[data.Dataset, data.Dataset], kernel_set: str
) -> None:
    net = models.mlp(hidden=(20, 9), classes=3, dropout=0.5)
    found = Classifier(net, "abc", (1, 28, 28)).predict(sets[0].images[:3])
    again = Classifier(net, "abc", (1, 28, 28)).predict(sets[0].images[:3])
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_a_net_that_diverged_is_refused(sets: tuple[data.Dataset, data.Dataset]) -> None:
    for hidden in ((), (20,)):
        net = models.mlp(hidden=hidden, classes=3)
        next(net.parameters()).data[:] = np.nan
        classifier = Classifier(net, "abc", (1, 28, 28), train=sets[0], test=sets[1])
        with pytest.raises(ValueError, match="the net's outputs are nan"):
            classifier.predict(sets[0].images[0])


# How far from the training pictures ---------------------------------------------------------------


def test_the_distance_is_the_angle_to_the_nearest_training_picture(
    classifier: Classifier, sets: tuple[data.Dataset, data.Dataset]
) -> None:
    train, test = sets
    found = classifier.predict(test.images, raw=True)
    features, others = (classifier.features(part.images[:, None]) for part in (test, train))
    lengths = np.linalg.norm(features, axis=1)[:, None] * np.linalg.norm(others, axis=1)
    angles = 1 - features @ others.T / lengths
    np.testing.assert_allclose([p.distance for p in found], angles.min(axis=1), atol=1e-5)
    assert [p.nearest[0] for p in found] == angles.argmin(axis=1).tolist()
    threshold = np.quantile(angles.min(axis=1), 0.99)
    assert found[0].threshold == pytest.approx(threshold, abs=1e-5)
    assert [bool(p.warnings) for p in found].count(True) == 1  # 1 % of 40, at least the farthest
    black = np.zeros((28, 28), np.uint8)  # of which a net without biases makes nothing
    assert classifier.predict(black, raw=True).warnings == [
        "unlike the training pictures: 1.000 from the nearest of 90; 99% of the test pictures are "
        f"within {threshold:.3f}"
    ]


def test_of_many_pictures_some_of_all_parts_are_compared_with() -> None:
    images = np.arange(21_000, dtype=np.uint8)[:, None, None]
    many = data.Dataset(images, np.zeros(21_000, np.int64), "a")
    neighbours = Neighbours(many, many[:5], lambda x: x.reshape(len(x), -1).astype(np.float32))
    assert len(neighbours.train) == 7_000
    np.testing.assert_array_equal(neighbours.train.images[:3, 0, 0], [0, 3, 6])


def test_fewer_training_pictures_than_are_kept(sets: tuple[data.Dataset, data.Dataset]) -> None:
    net = models.mlp(hidden=(5,), classes=3)
    few = Classifier(net, "abc", (1, 28, 28), train=sets[0][:3], test=sets[1][:2])
    assert sorted(few.predict(sets[1].images[0]).nearest) == [0, 1, 2]


def test_a_picture_that_the_net_sees_nothing_in_is_far_from_all(classifier: Classifier) -> None:
    assert classifier.neighbours is not None
    places, distances = classifier.neighbours.nearest(np.zeros((1, 20), np.float32), 2)
    assert places.shape == (1, 2)
    assert distances.tolist() == [[1, 1]]


def test_threads_may_share_a_classifier(
    classifier: Classifier, sets: tuple[data.Dataset, data.Dataset]
) -> None:
    wanted = [p.probabilities for p in classifier.predict(sets[1].images)]
    wrong: list[int] = []

    def ask(k: int) -> None:
        for n in (1, 7, 40):
            found = classifier.predict(sets[1].images[:n])
            rows = [p.probabilities for p in found]
            if not np.allclose(rows, wanted[:n], atol=1e-6):
                wrong.append(k)

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_thread_that_ends_leaves_the_others_in_evaluation_mode() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 3)).train()
    classifier = Classifier(net, "abc", (1, 28, 28))
    second_is_in, first_has_ended = threading.Event(), threading.Event()
    modes: list[bool] = []

    def wait(*_: object) -> None:
        if threading.current_thread() is first:
            second.start()
            second_is_in.wait(0.3)
        else:
            second_is_in.set()
            first_has_ended.wait(5)
        modes.append(net.training)

    net[1].register_forward_hook(wait)
    picture = np.zeros((28, 28), np.uint8)
    second = threading.Thread(target=classifier.predict, args=(picture,))

    def ask() -> None:
        classifier.predict(picture)
        first_has_ended.set()

    first = threading.Thread(target=ask)
    first.start()
    first.join()
    second.join()
    assert modes == [False, False]
    assert net.training


def test_a_grey_picture_with_an_axis_of_channels_is_one_picture(classifier: Classifier) -> None:
    picture = digits(1)[0]
    found = classifier.predict(picture[:, :, None])
    np.testing.assert_array_equal(found.picture, classifier.predict(picture).picture)


def test_no_distance_is_negative(sets: tuple[data.Dataset, data.Dataset]) -> None:
    train, _ = sets
    features = np.random.default_rng(0).random((len(train), 7), np.float32)
    neighbours = Neighbours(train, train, lambda images: features[: len(images)])
    _, distances = neighbours.nearest(features, 1)
    assert distances.min() == 0
    assert neighbours.threshold >= 0


def test_pictures_that_were_stretched_for_training_come_as_the_data_set_has_them(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    names = [f"{part}/{c}/{k}.png" for part in ("train", "test") for c in "ab" for k in range(2)]
    files = [tmp_path / "pictures" / name for name in names]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 30, 3), np.uint8)).save(file)
    command = ["--data-dir", str(tmp_path / "pictures"), "--image-size", "20x14", "--quiet"]
    assert train.main([*command, "--epochs", "1", "--out", str(tmp_path / "run")]) == 0
    classifier = Classifier.from_run(tmp_path / "run")
    assert classifier.test is not None
    for file, stored in zip(files[4:], classifier.test.images, strict=True):
        np.testing.assert_array_equal(classifier.predict(file).picture, stored)


@pytest.mark.parametrize(
    "layers", [[nn.Flatten(), nn.Linear(784, 3)], [nn.Conv2d(1, 3, 28), nn.Flatten()]]
)
def test_a_net_that_ends_with_softmax_gives_its_own_probabilities(layers: list[nn.Module]) -> None:
    net = nn.Sequential(*layers, nn.Softmax(1))
    picture = digits(1)
    found = Classifier(net, "abc", (1, 28, 28)).predict(picture)[0]
    with minicnn.no_grad():
        wanted = net(minicnn.Tensor(picture[:, None].astype(np.float32) / 255)).numpy()[0]
    np.testing.assert_allclose(found.probabilities, wanted, atol=1e-6)


def test_classes_that_are_not_the_nets_outputs_are_refused() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 3))
    with pytest.raises(ValueError, match="there are 2 classes; the net has 3 outputs"):
        Classifier(net, "ab", (1, 28, 28)).predict(digits(1))


@pytest.mark.parametrize("classes", [range(3), [0, 1, 2], np.arange(3), {"0": 9, "1": 9, "2": 9}])
def test_classes_are_whatever_gives_names(classes: Any) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 3))
    normalise: Any = {"mean": 0.25, "std": 0.5}  # of one channel
    found = Classifier(net, classes, (1, 28, 28), normalise=normalise).predict(digits(1))[0]
    assert found.classes == ("0", "1", "2")
