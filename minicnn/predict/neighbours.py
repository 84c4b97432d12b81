"""How far a picture is from those that the net was trained on, as the net sees them.

What counts is the angle between the activations that reach the last dense layer. Their plain
distance does not tell: activations that are small everywhere, as those of noise, lie near
everybody's. docs/predict.md has the figures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from minicnn import data
from minicnn.data.dataset import in_channels
from minicnn.predict.looks import Floats

REFERENCES = 10_000  # training pictures that others are compared with
HELD_OUT = 1_000  # test pictures that give the threshold
USUAL = 0.99  # of the held-out pictures lie within the threshold


class Neighbours:
    """Training pictures, by what the net makes of them.

    Args:
        train, test: at most 10,000 pictures of the first, from all parts, are compared with; at
            most 1,000 of the second, which the net was not trained on, give the threshold.
        features: what the net makes of pictures, uint8 (N, C, H, W): (N, D).

    Attributes:
        train: the pictures compared with.
        threshold: 99 % of the held-out pictures have a neighbour at this distance, or nearer.
    """

    def __init__(
        self,
        train: data.Dataset,
        test: data.Dataset,
        features: Callable[[NDArray[np.uint8]], Floats],
    ):
        self.train = train[:: -(-len(train) // REFERENCES)]
        self._directions = _directions(features(in_channels(self.train.images)))
        held_out = test[:: -(-len(test) // HELD_OUT)]
        _, distances = self.nearest(features(in_channels(held_out.images)), 1)
        self.threshold = float(np.quantile(distances, USUAL))

    def nearest(self, features: Floats, count: int) -> tuple[NDArray[np.int64], Floats]:
        """The ``count`` nearest training pictures of each row of features (N, D).

        Returns:
            Their places in ``train``, (N, count), the nearest first, and their distances: 1 - the
            cosine of the angle, 0 for the same direction, 1 for nothing in common.
        """
        with np.errstate(invalid="ignore"):  # of a net that diverged, which is refused elsewhere
            cosines = _directions(features) @ self._directions.T
        count = min(count, len(self.train))
        places = np.argpartition(-cosines, range(count), axis=1)[:, :count]
        nearest = np.take_along_axis(cosines, places, axis=1)
        return places, np.maximum(1 - nearest, 0)  # which rounding may have made negative


def _directions(features: Floats) -> Floats:
    """Rows of length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, np.finfo(np.float32).tiny)
