"""minicnn's nets as a scikit-learn classifier."""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from typing import Any
from unittest import SkipTest

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

import minicnn
from minicnn import Tensor, compiler, data, models, nn, optim
from minicnn.sklearn import CNNClassifier

NAMES = np.array(["bag", "boot", "coat"])
small = functools.partial(CNNClassifier, model="mlp", epochs=2, random_state=4, compile=False)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """uint8 (90, 1, 6, 5): each class has its own column of light."""
    pixels = np.random.default_rng(5).integers(0, 120, (90, 1, 6, 5), dtype=np.uint8)
    for k in range(3):
        pixels[k::3, :, :, k] += 130
    pixels[0, 0, 0, :2] = 0, 255
    return pixels


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return NAMES[np.arange(90) % 3]


def weights(classifier: CNNClassifier) -> np.ndarray:
    return np.concatenate([p.data.ravel() for p in classifier.net_.parameters()])


# scikit-learn's own checks ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "check_classifiers_one_label",
        "check_dict_unchanged",
        "check_dont_overwrite_parameters",
        "check_estimators_nan_inf",
        "check_estimators_partial_fit_n_features",
        "check_fit2d_1feature",
        "check_methods_subset_invariance",
        "check_no_attributes_set_in_init",
    ],
)
def test_a_few_of_scikit_learns_checks(name: str) -> None:
    getattr(estimator_checks, name)("CNNClassifier", CNNClassifier(epochs=3))


@pytest.mark.long
@estimator_checks.parametrize_with_checks([CNNClassifier()])  # type: ignore[untyped-decorator]
def test_all_of_scikit_learns_checks(estimator: Any, check: Any) -> None:
    with contextlib.suppress(SkipTest):  # where pandas or the array API is not installed
        check(estimator)


# Pictures in, classes out -------------------------------------------------------------------------


def test_it_trains_as_fit_does(pictures: np.ndarray, labels: np.ndarray) -> None:
    classifier = CNNClassifier("mlp", batch_size=32, epochs=3, random_state=9).fit(pictures, labels)
    minicnn.manual_seed(int(np.random.RandomState(9).randint(2**31)))
    net = models.mlp(image_shape=(1, 6, 5), classes=3)
    dataset = data.Dataset(pictures, np.arange(90) % 3, 3)
    loader = data.DataLoader(dataset, 32, shuffle=True)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    compiled = compiler.is_available()
    minicnn.fit(net, loader, epochs=3, optimizer=optimizer, quiet=True, compile=compiled)
    expected = np.concatenate([p.data.ravel() for p in net.parameters()])
    np.testing.assert_array_equal(weights(classifier), expected)
    assert [len(classifier.history_.epochs), classifier.range_] == [3, (0.0, 255.0)]


def test_classes_of_any_kind_come_back_with_their_probabilities(
    pictures: np.ndarray, labels: np.ndarray
) -> None:
    classifier = small(epochs=60).fit(pictures, labels)
    assert classifier.classes_.tolist() == sorted(NAMES)
    assert classifier.score(pictures, labels) > 0.95
    probabilities = classifier.predict_proba(pictures)
    assert probabilities.shape == (90, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    best = classifier.classes_[probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(classifier.predict(pictures), best)
    for kind in (np.arange(90) % 3 * 5 - 5, np.arange(90) % 3 == 1, labels.astype(object)):
        told = small(epochs=60).fit(pictures, kind).predict(pictures)
        assert told.dtype == kind.dtype
        assert (told == kind).mean() > 0.9


def test_a_net_that_is_very_sure_gives_ones_and_zeros(
    pictures: np.ndarray, labels: np.ndarray
) -> None:
    classifier = small().fit(pictures, labels)
    for p in classifier.net_.parameters():
        p.data = p.data * np.float32(1e3)
    probabilities = classifier.predict_proba(pictures)
    assert probabilities.max(axis=1).min() > 0.99
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_rows_and_pictures_and_any_range_train_the_same_net(
    pictures: np.ndarray, labels: np.ndarray
) -> None:
    rows = small(image_shape=(1, 6, 5)).fit(pictures.reshape(90, 30), labels)
    assert (rows.n_features_in_, rows.image_shape_) == (30, (1, 6, 5))
    for X in (pictures, pictures[:, 0], pictures.astype(int)):
        other = small().fit(X, labels)
        np.testing.assert_array_equal(weights(other), weights(rows))
        np.testing.assert_array_equal(other.predict_proba(X), rows.predict_proba(pictures))
    for X in (pictures / 255, pictures * np.float32(3) - 90, pictures * 1e-30 + 7e-29):
        other = small().fit(X, labels)
        np.testing.assert_allclose(other.predict_proba(X), rows.predict_proba(pictures), rtol=1e-4)


@pytest.mark.parametrize(
    ("shape", "image_shape", "net"),
    [
        ((90, 12), None, (1, 1, 12)),
        ((90, 16), None, (1, 4, 4)),
        ((90, 12), (3, 1, 4), (3, 1, 4)),
        ((90, 2, 3, 4), None, (2, 3, 4)),
        ((90, 3, 4), None, (1, 3, 4)),
    ],
)
def test_what_a_row_is(
    shape: tuple[int, ...], image_shape: Any, net: tuple[int, ...], labels: np.ndarray
) -> None:
    X = np.random.default_rng(0).normal(size=shape)
    seen = []

    def make(image_shape: tuple[int, ...], classes: int) -> nn.Module:
        seen.append((image_shape, classes))
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))

    small(model=make, image_shape=image_shape).fit(X, labels)
    assert seen == [(net, 3)]


def test_auto_is_a_lenet_where_a_picture_is_large_enough_for_it(labels: np.ndarray) -> None:
    for side, kind in ((11, nn.Flatten), (12, nn.Conv2d)):
        X = np.random.default_rng(0).normal(size=(90, side * side))
        net = small(model="auto", epochs=1).fit(X, labels).net_
        assert isinstance(next(iter(net.children())), kind)


@pytest.mark.parametrize(
    ("arguments", "shape", "error", "told"),
    [
        ({"model": "lenet"}, (90, 30), ValueError, "^X has 30 columns, which are no square"),
        ({"model": "lenet"}, (90, 9), ValueError, "^lenet: convolution 2 .* leaves too little"),
        ({"image_shape": (1, 5, 5)}, (90, 30), ValueError, "is .1, 5, 5., X has 30 columns"),
        ({"image_shape": (1, 5, 6)}, (90, 1, 6, 5), ValueError, "X has pictures of .1, 6, 5."),
        ({"image_shape": (6, 5)}, (90, 30), ValueError, "^image_shape is .6, 5.; wanted .channel"),
        ({"model": "vgg"}, (90, 30), ValueError, "^model is 'vgg'; wanted one of lenet"),
        ({"model": nn.ReLU()}, (90, 30), TypeError, "^model is a ReLU; wanted a name, or a func"),
        ({"model": models.mlp(classes=3)}, (90, 784), TypeError, "^model is a Sequential; wanted"),
        ({"model": 5}, (90, 30), TypeError, "^model is a int; wanted a name, or a function"),
        (
            {"model": lambda image_shape, classes: models.mlp(image_shape=image_shape)},
            (90, 30), ValueError, r"output for a picture is \(1, 10\); wanted \(1, 3\)",
        ),
        ({"schedule": "linear"}, (90, 30), ValueError, "^schedule is 'linear'; wanted one of con"),
        ({"batch_size": 0}, (90, 30), ValueError, "^batch_size is 0; wanted an integer of at"),
        ({"device": "tpu"}, (90, 30), ValueError, "^device is 'tpu'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    arguments: dict[str, Any],
    shape: tuple[int, ...],
    error: type[Exception],
    told: str,
    labels: np.ndarray,
) -> None:
    X, classifier = np.random.default_rng(0).normal(size=shape), small(**arguments)
    with pytest.raises(error, match=told):
        classifier.fit(X, labels)
    with pytest.raises(NotFittedError):
        classifier.predict(X)


def test_pictures_of_another_shape_are_refused_later(
    pictures: np.ndarray, labels: np.ndarray
) -> None:
    classifier = small().fit(pictures, labels)
    with pytest.raises(ValueError, match=r"X has pictures of \(1, 5, 6\); wanted \(1, 6, 5\)"):
        classifier.predict(pictures.reshape(90, 1, 5, 6))
    with pytest.raises(ValueError, match="X has 29 features"):
        classifier.predict(pictures.reshape(90, 30)[:, 1:])


# Going on -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["mlp", functools.partial(models.mlp, dropout=0.5)])
def test_a_warm_start_goes_on_in_net_order_and_masks(
    model: Any, pictures: np.ndarray, labels: np.ndarray
) -> None:
    at_once = small(model=model, epochs=4, batch_size=32).fit(pictures, labels)
    again = small(model=model, epochs=2, batch_size=32, warm_start=True).fit(pictures, labels)
    half = weights(again)
    again.fit(pictures, labels)
    np.testing.assert_array_equal(weights(again), weights(at_once))
    assert len(again.history_.epochs) == 4
    cold = again.set_params(warm_start=False).fit(pictures, labels)
    np.testing.assert_array_equal(weights(cold), half)


def test_partial_fit_is_an_epoch_and_keeps_the_momentum(
    pictures: np.ndarray, labels: np.ndarray
) -> None:
    whole = small(epochs=3, momentum=0.9, batch_size=32).fit(pictures, labels)
    parts = small(momentum=0.9, batch_size=32)
    for k in range(3):
        parts.partial_fit(pictures, labels, classes=NAMES if k == 0 else None)
    np.testing.assert_array_equal(weights(parts), weights(whole))


def test_partial_fit_knows_all_classes_from_the_first_call(
    pictures: np.ndarray, labels: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=r"^classes is None; wanted all labels at the first call"):
        small().partial_fit(pictures, labels)
    some = np.isin(labels, NAMES[:2])
    classifier = small().partial_fit(pictures[some], labels[some], classes=NAMES[::-1])
    assert classifier.predict_proba(pictures).shape == (90, 3)
    with pytest.raises(ValueError, match=r"^y has .*sandal.*, which is none of the classes"):
        classifier.partial_fit(pictures[:2], np.array(["bag", "sandal"]))
    with pytest.raises(ValueError, match=r"^classes is .*; it was .* at the first call"):
        classifier.partial_fit(pictures, labels, classes=NAMES[:2])


def test_a_fit_draws_nothing_from_minicnns_generator(
    pictures: np.ndarray, labels: np.ndarray
) -> None:
    minicnn.manual_seed(1)
    expected = minicnn.rand(3).data
    minicnn.manual_seed(1)
    small(model=functools.partial(models.mlp, dropout=0.5)).fit(pictures, labels)
    np.testing.assert_array_equal(minicnn.rand(3).data, expected)


def test_it_is_silent_unless_it_is_asked_to_speak(
    pictures: np.ndarray, labels: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    small().fit(pictures, labels).score(pictures, labels)
    assert capsys.readouterr() == ("", "")
    small(verbose=True).fit(pictures, labels)
    assert "loss" in capsys.readouterr().out


# scikit-learn's tools -----------------------------------------------------------------------------


def test_in_a_pipeline_and_in_cross_validation(pictures: np.ndarray, labels: np.ndarray) -> None:
    chain = make_pipeline(StandardScaler(), small(epochs=60))
    scores = cross_val_score(chain, pictures.reshape(90, 30), labels, cv=3)
    assert scores.min() > 0.8
    assert (
        clone(chain).fit(pictures.reshape(90, 30), labels).score(pictures.reshape(90, 30), labels)
        > scores.mean() - 0.1
    )


def counting(image_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A net that says how many threads there were where it was made."""
    net = models.mlp(image_shape=image_shape, classes=classes)
    net.register_buffer("threads", Tensor(minicnn.get_num_threads()))
    return net


@pytest.mark.long
def test_two_jobs_share_the_cores(pictures: np.ndarray, labels: np.ndarray) -> None:
    cores = minicnn.get_num_threads()
    classifier = CNNClassifier(counting, epochs=2, random_state=4, compile=False)
    got = cross_validate(classifier, pictures, labels, cv=2, n_jobs=2, return_estimator=True)
    here = cross_validate(classifier, pictures, labels, cv=2, return_estimator=True)
    for there, same in zip(got["estimator"], here["estimator"], strict=True):
        assert int(there.net_.threads.item()) == max(1, cores // 2)
        np.testing.assert_allclose(
            there.predict_proba(pictures), same.predict_proba(pictures), rtol=1e-5
        )


@pytest.mark.long
def test_a_search_over_four_settings_of_a_lenet_in_two_processes() -> None:
    train, test = data.load("fashion-mnist-sample")
    names = np.array(train.classes)
    settings = {"lr": [0.001, 0.05], "batch_size": [64, 600]}
    search = GridSearchCV(
        CNNClassifier("lenet-plus", epochs=2, random_state=0), settings, n_jobs=2, cv=2
    )
    search.fit(train.images[:1200].reshape(1200, -1), names[train.labels[:1200]])
    assert search.best_params_ == {"lr": 0.05, "batch_size": 64}
    assert search.score(test.images[:500, None], names[test.labels[:500]]) > 0.6


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "minicnn.sklearn")
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(ModuleNotFoundError, match="needs scikit-learn: pip install"):
        importlib.import_module("minicnn.sklearn")
