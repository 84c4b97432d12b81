"""The data sets that minicnn knows: what is in them, and where they are found.

A data set is four IDX files. They are recognised by the SHA-256 of what is *inside* the gzip, so
that the same numbers, compressed in another way, are the same data set. Of KMNIST and QMNIST only
the MD5 of the published .gz files are known to us, of EMNIST that of the whole archive: all as
torchvision's datasets/mnist.py has them.
"""

from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits

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
        files: the names of the four files: training images and labels, test images and labels.
        md5: of the four files as they are published, with .gz: name to MD5.
        transposed: the files have rows where other sets have columns.
        first_label: what the label of the first class is in the files.
    """

    classes: tuple[str, ...]
    sha256: dict[str, str]
    installed: Path | None = None
    mirrors: tuple[str, ...] = ()
    advice: str = ""
    torchvision: str = ""
    files: tuple[str, ...] = FILES
    md5: dict[str, str] = field(default_factory=dict)
    transposed: bool = False
    first_label: int = 0


def _of(*digests: str, files: tuple[str, ...] = FILES) -> dict[str, str]:
    return dict(zip(files, digests, strict=True))


def _emnist(split: str, classes: str, first_label: int = 0) -> Source:
    """A split of EMNIST: G. Cohen et al., 2017, arXiv:1702.05373. Of NIST, in the public domain."""
    files = tuple(
        f"emnist-{split}-{part}-{what}"
        for part in ("train", "test")
        for what in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    return Source(
        classes=tuple(classes),
        sha256={},
        advice=(
            "download https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip (MD5 "
            "58c8d27c78d21e728a6bc7b3cc06412e), unpack it, and "
        ),
        torchvision="EMNIST",
        files=files,
        transposed=True,
        first_label=first_label,
    )


_QMNIST = (
    "qmnist-train-images-idx3-ubyte",
    "qmnist-train-labels-idx2-int",
    "qmnist-test-images-idx3-ubyte",
    "qmnist-test-labels-idx2-int",
)

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
        sha256=_of(
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
        sha256=_of(
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
        sha256=_of(
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
    # T. Clanuwat et al., "Deep Learning for Classical Japanese Literature", 2018, arXiv:1812.01718.
    # CC BY-SA 4.0.
    "kmnist": Source(
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        sha256={},
        mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist",),
        torchvision="KMNIST",
        md5=_of(
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
    ),
    # 26 letters, capital and small together; 47 digits and letters, small ones where they differ.
    "emnist-letters": _emnist("letters", ascii_lowercase, first_label=1),
    "emnist-balanced": _emnist("balanced", f"{digits}{ascii_uppercase}abdefghnqrt"),
    # C. Yadav, L. Bottou, "Cold Case: The Lost MNIST Digits", 2019, arXiv:1905.10498. BSD licence.
    "qmnist": Source(
        classes=tuple(digits),
        sha256={},
        mirrors=("https://raw.githubusercontent.com/facebookresearch/qmnist/master",),
        torchvision="QMNIST",
        files=_QMNIST,
        md5=_of(
            "ed72d4157d28c017586c42bc6afe6370",
            "0058f8dd561b90ffdd0f734c6a30e5e4",
            "1394631089c404de565df7b7aeaf9412",
            "5b5b05890a5e13444e108efe57b788aa",
            files=_QMNIST,
        ),
    ),
}
