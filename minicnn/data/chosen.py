"""The data that a command trains on: a set of the catalogue, or data of your own."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minicnn.data.dataset import Dataset
from minicnn.data.errors import DatasetError
from minicnn.data.sample import load_or_sample
from minicnn.files import expand

if TYPE_CHECKING:
    from minicnn.data.own.arrays import Found

CATALOGUE_KIND = "catalogue"


def choose(
    name: str | None,
    folder: str | Path | None,
    size: tuple[int, int] | None = None,
    seed: int = 0,
) -> Found:
    """The data set ``name``, looked for in ``folder`` alone; without a name what lies there.

    Without both it is Fashion-MNIST or, where that cannot be had, the sample.

    Args:
        name, folder: as for ``data.load``.
        size, seed: as for ``data.from_folder``.

    Raises: what ``data.load`` and ``data.from_folder`` raise.
    """
    from minicnn.data.own.arrays import Found  # most programs have no data of their own
    from minicnn.data.own.kinds import find

    if name is None and folder is not None:
        return find(expand(folder), size, seed)
    if size is not None:
        raise ValueError(
            f"--image-size (size=) is {size[0]}x{size[1]}; wanted none for the pictures of "
            f"{name or 'fashion-mnist'}: it is for your own, --data-dir without --dataset"
        )
    name, train, test = load_or_sample(name, folder)
    return Found(name, CATALOGUE_KIND, train, test)


def is_own(config: Mapping[str, Any]) -> bool:
    """Whether the run with this ``config.json`` was trained on data that have no known name."""
    return config.get("data_kind", CATALOGUE_KIND) != CATALOGUE_KIND


def own_sets(
    config: Mapping[str, Any], folder: str | Path | None = None
) -> tuple[Dataset, Dataset]:
    """The training and the test pictures of a run that was trained on data of your own.

    ``folder``: where they are now; by default where they were then.

    Raises:
        DatasetError: they are not there, or have other classes than the net.
    """
    from minicnn.data.own.kinds import find

    size = config.get("image_size")
    where = expand(config["data_dir"] if folder is None else folder)
    with contextlib.redirect_stdout(io.StringIO()):  # the notes were said when it was trained
        found = find(where, None if size is None else (size[0], size[1]), config["seed"])
    train, test = found.train, found.test
    if list(train.classes) != config["classes"]:
        raise DatasetError(
            f"{where} has the classes {', '.join(train.classes)}; wanted those of the run: "
            f"{', '.join(config['classes'])}"
        )
    return train, test
