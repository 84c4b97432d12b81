"""``Classifier``: a trained net that takes pictures as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn import compiler, data, nn
from minicnn.checks import check_integer, check_is, check_sequence, texts
from minicnn.data.normalising import scale_and_shift
from minicnn.formats import shown
from minicnn.language import notice
from minicnn.nn import functional as F
from minicnn.nn.modes import in_evaluation_mode
from minicnn.predict.looks import Floats, measure, unknown
from minicnn.predict.neighbours import USUAL, Neighbours
from minicnn.predict.prepare import Prepared, prepare
from minicnn.predict.reading import Picture, channels_last, read
from minicnn.tensor import Tensor, no_grad
from minicnn.terminal import say
from minicnn.train.run import classes_of, image_shape_of, load_run, load_sets

BATCH = 256  # pictures at a time
NEIGHBOURS = 5  # training pictures that are kept of each picture


@dataclass
class Prediction:
    """What a net says of a picture.

    Attributes:
        source: the picture's name: its path, or "picture 1" and so on.
        class_name: the most probable class.
        label: its number.
        probabilities: of each class, float64 (classes,).
        classes: the name of each class.
        picture: what the net saw, uint8 (C, H, W).
        facts: what was done to the picture, in order: "inverted", "scaled to 14 x 20"...
        warnings: what speaks against the result.
        distance: to the nearest training picture, from 0 to 2; None without training pictures.
        threshold: the distance that 99 % of held-out pictures have at most; None likewise.
        nearest: the places of the nearest training pictures in ``Classifier.neighbours.train``.
    """

    source: str
    class_name: str
    label: int
    probabilities: NDArray[np.float64]
    classes: Sequence[str]
    picture: NDArray[np.uint8] = field(repr=False)
    facts: list[str]
    warnings: list[str]
    distance: float | None = None
    threshold: float | None = None
    nearest: list[int] = field(default_factory=list)

    def top(self, count: int = 3) -> list[tuple[str, float]]:
        """The most probable classes and their probabilities, the largest first."""
        check_integer("top: count", count, 1)
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.classes[k], float(self.probabilities[k])) for k in order]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: all of it but the picture."""
        return {
            "picture": self.source,
            "class": self.class_name,
            "label": self.label,
            "probabilities": {
                name: round(float(p), 6)
                for name, p in zip(self.classes, self.probabilities, strict=True)
            },
            "facts": self.facts,
            "warnings": self.warnings,
            "distance": self.distance,
            "threshold": self.threshold,
        }


class Classifier:
    """A net, and what it takes to show it a picture of any kind.

        classifier = minicnn.Classifier.from_run("runs/lenet")
        for prediction in classifier.predict(["seven.jpg", "eight.png"]):
            print(prediction.class_name, prediction.facts)

    Threads may share one.

    Args:
        net: takes (N, C, H, W), gives logits (N, classes); a softmax at its end is left out.
        classes: the name of each class.
        shape: of the pictures that the net takes, (C, H, W).
        train, test: the data that it was trained and tested on. Pictures are prepared to look like
            the first (docs/predict.md says how) and compared with them. Without: they are only
            scaled.
        normalise: what the net was trained with: None, or mean and standard deviation of each
            channel's pixels in [0, 1].
        stretch: the training pictures were stretched to their size (``--image-size``), so others
            are too, with no frame around them.

    Attributes:
        looks: what the training pictures look like, as measured; None without them.
        neighbours: the training pictures that others are compared with; None likewise.
        test: as passed.
    """

    def __init__(
        self,
        net: nn.Sequential,
        classes: Sequence[str],
        shape: Sequence[int],
        *,
        train: data.Dataset | None = None,
        test: data.Dataset | None = None,
        normalise: Mapping[str, Sequence[float]] | None = None,
        stretch: bool = False,
    ):
        check_is("Classifier: net", net, nn.Sequential, "an nn.Sequential")
        check_sequence("Classifier: shape", shape, "(channels, height, width)")
        if len(shape) != 3 or not all(isinstance(n, int | np.integer) and n > 0 for n in shape):
            told = shown(tuple(shape))
            raise ValueError(f"Classifier: shape is {told}; wanted (channels, height, width)")
        for name, dataset in (("train", train), ("test", test)):
            if dataset is not None:
                check_is(f"Classifier: {name}", dataset, data.Dataset, "a Dataset")
        self._normalise = _scale_and_shift(normalise, shape[0])
        self.net, self.classes = net, texts("Classifier: classes", classes)
        self._alone = threading.Lock()  # one thread at a time changes the net's mode, and back
        self.shape: tuple[int, int, int] = (shape[0], shape[1], shape[2])
        self._end = _last_dense(net)
        self._to_logits = net[self._end : _without_softmax(net)]
        part = net[: self._end]
        self._features: Callable[[Tensor], Tensor] = (
            compiler.compile(part) if compiler.is_available() else part
        )
        self._stretch, self.test = stretch, test
        self.looks = None if train is None else measure(train.images)
        self.neighbours = None
        if train is not None and test is not None:
            self.neighbours = Neighbours(train, test, self.features)

    @classmethod
    def from_run(cls, folder: str | Path, data_dir: str | Path | None = None) -> Classifier:
        """The trained net of a run's folder, with the data that it was trained on.

        Where these cannot be had, and ``data_dir`` is not given, pictures are only scaled; a line
        says so.

        Args:
            data_dir: where the data set's files are; by default where the training looked.

        Raises:
            FileNotFoundError, NotADirectoryError, ValueError: see ``minicnn.load_run``.
            DatasetNotFoundError, DatasetError: the data set cannot be had from ``data_dir``.
        """
        net, config = load_run(folder)
        assert isinstance(net, nn.Sequential)  # as all of minicnn.models are
        train = test = None
        try:
            train, test = load_sets(config, data_dir)
        except (data.DatasetError, data.DatasetNotFoundError) as error:
            if data_dir is not None:
                raise
            say(notice("no_training_pictures", error=error))
        return cls(
            net,
            classes_of(config) or (),
            image_shape_of(config),
            train=train,
            test=test,
            normalise=config.get("normalise"),
            stretch=config.get("data_kind") == "pictures" and config["image_size"] is not None,
        )

    def predict(self, images: Any, raw: bool = False) -> Any:
        """What the net says of one picture (a ``Prediction``) or of several (a list of them).

        Args:
            images: a picture or several, in a list or any iterable: paths, the bytes of files,
                Pillow images, arrays (uint8 or uint16: (h, w) or (h, w, 1), or (h, w, 3) and
                (h, w, 4) in colours); or many at once, as a Dataset has them: uint8 (N, H, W) or
                (N, C, H, W).
            raw: only stretch a picture to the size that the net takes.

        Raises:
            FileNotFoundError, OSError: a file cannot be opened.
            PictureError: a file is damaged or no picture.
            TypeError: none of these kinds.
            ValueError: the net's outputs are nan, or not as many as the classes.
        """
        if self._is_one(images):
            return self._predictions([self._read(images, "picture", raw)])[0]
        return self._predictions(
            [self._read(image, f"picture {k}", raw) for k, image in enumerate(_each(images), 1)]
        )

    def _read(self, image: Any, name: str, raw: bool) -> tuple[str, Prepared]:
        """A picture's name, and what the net is going to see of it: a large one is let go of."""
        picture = read(image, name)
        return picture.name, self.prepare(picture, raw)

    def _is_one(self, images: Any) -> bool:
        if isinstance(images, np.ndarray):
            return images.ndim == 2 or (images.ndim == 3 and images.shape[2] in (1, 3, 4))
        return isinstance(images, str | Path | bytes | bytearray | Picture) or not isinstance(
            images, Iterable
        )

    def _predictions(self, pictures: Sequence[tuple[str, Prepared]]) -> list[Prediction]:
        found: list[Prediction] = []
        for start in range(0, len(pictures), BATCH):
            found += self._batch(pictures[start : start + BATCH])
        return found

    def prepare(self, picture: Picture, raw: bool = False) -> Prepared:
        """The picture as the net is going to see it."""
        looks = self.looks or unknown(self.shape)
        return prepare(picture, looks, raw, self._stretch)

    def _batch(self, pictures: Sequence[tuple[str, Prepared]]) -> list[Prediction]:
        features = self.features(np.stack([seen.pixels for _, seen in pictures]))
        found = []
        for (name, seen), row in zip(pictures, self._probabilities(features), strict=True):
            label, seen_as = int(row.argmax()), (seen.pixels, seen.facts, seen.warnings)
            found.append(Prediction(name, self.classes[label], label, row, self.classes, *seen_as))
        if self.neighbours is not None:
            self._compare(found, features, self.neighbours)
        return found

    def features(self, images: NDArray[np.uint8]) -> Floats:
        """What reaches the last dense layer for pictures, uint8 (N, C, H, W): float32 (N, D)."""
        with self._alone, in_evaluation_mode(self.net), no_grad(), np.errstate(all="ignore"):
            parts = [
                self._features(Tensor(self._input(images[start : start + BATCH]))).numpy()
                for start in range(0, len(images), BATCH)
            ]
        return np.concatenate([part.reshape(len(part), -1) for part in parts])

    def _input(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        """The numbers that the net takes; a compiled one divides bytes by 255 itself."""
        if self._normalise is None and compiler.is_available():
            return images
        if self._normalise is None:
            return images.astype(np.float32) / 255
        scale, shift = self._normalise
        return images * scale + shift

    def _probabilities(self, features: Floats) -> NDArray[np.float64]:
        with self._alone, in_evaluation_mode(self.net), no_grad(), np.errstate(all="ignore"):
            logits = self._to_logits(Tensor(features)).to("float64")
            probabilities = F.softmax(logits, 1).numpy()
        known, outputs = len(self.classes), probabilities.shape[1]
        if known != outputs:
            raise ValueError(f"there are {known} classes; the net has {outputs} outputs")
        if not np.isfinite(probabilities).all():
            raise ValueError("the net's outputs are nan: it diverged when it was trained")
        return probabilities

    def _compare(self, found: list[Prediction], features: Floats, neighbours: Neighbours) -> None:
        """Say of each how near it is to a training picture."""
        places, distances = neighbours.nearest(features, NEIGHBOURS)
        for prediction, nearest, (distance, *_) in zip(found, places, distances, strict=True):
            prediction.nearest = nearest.tolist()
            prediction.distance, prediction.threshold = float(distance), neighbours.threshold
            if distance > neighbours.threshold:
                prediction.warnings.append(
                    f"unlike the training pictures: {distance:.3f} from the nearest of "
                    f"{len(neighbours.train):,}; {USUAL:.0%} of the test pictures are within "
                    f"{neighbours.threshold:.3f}"
                )


def _scale_and_shift(normalise: Any, channels: int) -> Floats | None:
    """What each channel's pixels are multiplied by, and what is added; None for None."""
    if normalise is None:
        return None
    check_is("Classifier: normalise", normalise, Mapping, "mean and std, by name")
    return scale_and_shift((normalise.get("mean"), normalise.get("std")), channels)


def _each(images: Any) -> Iterable[Any]:
    """The pictures of a list, or of an array with many."""
    if not isinstance(images, np.ndarray):
        return images
    if images.ndim in (3, 4):
        return map(channels_last, images)
    raise TypeError(f"images have shape {images.shape}; wanted (N, H, W) or (N, C, H, W)")


def _last_dense(net: nn.Sequential) -> int:
    """The place of the last dense layer; what comes before it makes the features."""
    places = [place for place, module in enumerate(net) if isinstance(module, nn.Linear)]
    return places[-1] if places else _without_softmax(net)


def _without_softmax(net: nn.Sequential) -> int:
    """How many layers it has without a softmax at the end."""
    return len(net) - isinstance(net[-1], nn.Softmax)
