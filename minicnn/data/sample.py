"""The sample in the package, where the whole Fashion-MNIST cannot be had."""

from pathlib import Path

from minicnn.data.dataset import Dataset
from minicnn.data.errors import DatasetNotFoundError
from minicnn.data.find import load
from minicnn.language import notice
from minicnn.terminal import say

SAMPLE = "fashion-mnist-sample"


def load_or_sample(
    name: str | None = None, root: str | Path | None = None, warning: str = "sample"
) -> tuple[str, Dataset, Dataset]:
    """A data set's name, training and test images.

    Args:
        name, root: as for ``load``. Without a name it is Fashion-MNIST or, where that cannot be
            had, the sample; the notice ``warning`` is then printed.

    Raises: what ``load`` raises.
    """
    try:
        return _named(name or "fashion-mnist", root)
    except DatasetNotFoundError as error:
        if name is not None:
            raise
        say(notice(warning, error=error))
    return _named(SAMPLE, None)


def _named(name: str, root: str | Path | None) -> tuple[str, Dataset, Dataset]:
    train, test = load(name, root)
    return name, train, test
