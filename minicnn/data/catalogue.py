"""The data sets that minicnn knows: what is in them, and where they are found.

A data set is four IDX files. They are recognised by the SHA-256 of what is *inside* the gzip, so
that the same numbers, compressed in another way, are the same data set.
"""

from dataclasses import dataclass
from pathlib import Path

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
SAMPLE_FOLDER = Path(__file__).parent / "fashion_mnist_sample"


@dataclass(frozen=True)
class Source:
    """A data set of the catalogue.

    Attributes:
        classes: the name of each class.
        sha256: of the four ``FILES``, in that order: name to SHA-256 of the decompressed file.
        installed: the folder where a package puts the files; None: no package does.
        mirrors: addresses of folders to download the files from.
        advice: how else to get them, the beginning of a sentence that ends in ", or ".
        torchvision: the folder that torchvision makes for it.
    """

    classes: tuple[str, ...]
    sha256: dict[str, str]
    installed: Path | None = None
    mirrors: tuple[str, ...] = ()
    advice: str = ""
    torchvision: str = ""


def _sha256(*digests: str) -> dict[str, str]:
    return dict(zip(FILES, digests, strict=True))


_CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

CATALOGUE = {
    # H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", 2017, arXiv:1708.07747. MIT licence.
    "fashion-mnist": Source(
        classes=_CLOTHES,
        sha256=_sha256(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        installed=Path("/usr/share/datasets/fashion-mnist"),
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
        ),
        advice="`apt-get install dataset-fashion-mnist` (Debian, Ubuntu), or ",
        torchvision="FashionMNIST",
    ),
    # The first 6,000 training and the first 1,000 test images of Fashion-MNIST: make_sample.py.
    "fashion-mnist-sample": Source(
        classes=_CLOTHES,
        sha256=_sha256(
            "6dded81672539b5d148c1a85358069d1808c316dc6f6c0abfd12ba3ced5dd394",
            "d7c464914ae4b919728c5c99c3cdde5a0259febf1e99ddc6927a15768731d7dc",
            "7a6d8e07ea021ec5bc73135ebd0a5770799557ec6f8242d8749c4f32a3cf4643",
            "b40abac7ec8228f434940f579deb7cf7b6e3103b5274cb91d1545771f5ef1c8b",
        ),
        installed=SAMPLE_FOLDER,
    ),
    # Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database", 1998. CC BY-SA 3.0.
    "mnist": Source(
        classes=tuple("0123456789"),
        sha256=_sha256(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
        ),
        torchvision="MNIST",
    ),
}
