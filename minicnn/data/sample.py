"""The sample in the package, where the whole Fashion-MNIST cannot be had."""

from pathlib import Path

from minicnn.data.dataset import Dataset
from minicnn.data.errors import DatasetNotFoundError
from minicnn.data.find import load
from minicnn.terminal import say

SAMPLE = "fashion-mnist-sample"

NOTICE = """\
NOTE: the whole Fashion-MNIST is not on this machine and could not be downloaded; these are the
      6,000 + 1,000 images of the sample inside the package. An epoch has a tenth of the updates,
      and the accuracy is NOT the published one. For the whole set, either
        apt-get install dataset-fashion-mnist           (Debian, Ubuntu)
      or name a folder that holds its four IDX files    (--data-dir DIR, or root=...)
      ({error})
"""
NOTICE_OF_TEST = (
    "NOTE: the whole fashion-mnist is not here; these are the sample's 1,000 test pictures"
)


def load_or_sample(
    name: str | None = None, root: str | Path | None = None, notice: str = NOTICE
) -> tuple[str, Dataset, Dataset]:
    """A data set's name, training and test images.

    Args:
        name, root: as for ``load``. Without a name it is Fashion-MNIST or, where that cannot be
            had, the sample; ``notice`` is then printed.

    Raises: what ``load`` raises.
    """
    try:
        return _named(name or "fashion-mnist", root)
    except DatasetNotFoundError as error:
        if name is not None:
            raise
        say(notice.format(error=error))
    return _named(SAMPLE, None)


def _named(name: str, root: str | Path | None) -> tuple[str, Dataset, Dataset]:
    train, test = load(name, root)
    return name, train, test
