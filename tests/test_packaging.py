"""The package as it is installed: what importing costs, and the four places it can lie in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import minicnn

ROOT = Path(__file__).parent.parent
IN_CHECKOUT = (ROOT / "pyproject.toml").is_file()

REPORT = """
import minicnn, importlib, pathlib
from minicnn.kernels import reference
assert reference is minicnn.kernels.reference
assert (reference.__name__, minicnn.kernels.of.__module__) == (
    "minicnn.kernels.reference", "minicnn.kernels"
)
for neighbour in ("tests", "benchmarks", "docs", "minicnn"):
    try:
        importlib.import_module(f"minicnn.{neighbour}")
    except ModuleNotFoundError:
        continue
    raise AssertionError(f"minicnn.{neighbour} can be imported")
print(*(pathlib.Path(module.__file__).parent for module in (minicnn, reference)))
minicnn.data.load("fashion-mnist-sample")
"""


def run(*command: str, cwd: Path, path: str = "") -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONPATH": path}
    result = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def places(cwd: Path, path: str = "") -> list[Path]:
    """Where minicnn and its kernels were imported from; nothing else of a checkout can be."""
    return [Path(part) for part in run(sys.executable, "-c", REPORT, cwd=cwd, path=path).split()]


def test_importing_needs_no_numba_matplotlib_or_cupy() -> None:
    code = (
        "import sys, minicnn, minicnn.d2l; "
        "print([m for m in ('numba', 'matplotlib', 'cupy', 'pooch', 'requests', 'IPython', 'torch',"
        " 'onnx') if m in sys.modules])"
    )
    assert run(sys.executable, "-c", code, cwd=ROOT).strip() == "[]"


def test_the_reference_kernels_need_no_numba() -> None:
    code = (
        "import sys; sys.modules['numba'] = None; "
        "import minicnn; from minicnn import kernels, models; "
        "net = models.lenet(); loss = net(minicnn.rand(2, 1, 28, 28)).sum(); loss.backward(); "
        "print(kernels.host_kernels().__name__)"
    )
    environment = {**os.environ, "MINICNN_KERNELS": "reference"}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert result.stdout.strip() == "minicnn.kernels.reference", result.stderr


def test_a_kernel_set_that_does_not_exist_is_named() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "import minicnn; minicnn.rand(2).sigmoid()"],
        cwd=ROOT,
        env={**os.environ, "MINICNN_KERNELS": "fast"},
        capture_output=True,
        text=True,
    )
    assert "MINICNN_KERNELS is 'fast'; wanted 'cpu' or 'reference'" in result.stderr


def test_the_types_are_announced() -> None:
    assert (Path(minicnn.__file__).parent / "py.typed").is_file()


@pytest.mark.skipif(not IN_CHECKOUT, reason="the tests run outside a checkout")
def test_the_version_stands_in_both_places() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == "minicnn-engine"
    assert project["version"] == minicnn.__version__


def test_a_bare_checkout_works(tmp_path: Path) -> None:
    """Neither installed nor the current folder: only on the path."""
    (tmp_path / "checkout").symlink_to(ROOT)
    package, kernels = places(tmp_path, path=str(tmp_path / "checkout"))
    assert package.name == "minicnn"
    assert kernels.name == "kernels"


@pytest.mark.parametrize("instead", ["nothing", "a text file"])
def test_a_checkout_without_the_link_to_the_kernels_works(tmp_path: Path, instead: str) -> None:
    """As on Windows, where git writes down what a link says."""
    no_link = shutil.ignore_patterns("__pycache__", "kernels")
    shutil.copytree(ROOT / "minicnn", tmp_path / "minicnn", ignore=no_link)
    shutil.copytree(ROOT / "minicnn" / "kernels", tmp_path / "kernels", ignore=no_link)
    if instead == "a text file":
        (tmp_path / "minicnn" / "kernels").write_text("../kernels")
    assert places(tmp_path) == [tmp_path / "minicnn", tmp_path / "kernels"]


def build(what: str, folder: Path, source: Path = ROOT) -> Path:
    """The wheel, the editable wheel or the sdist of a source tree."""
    code = f"import hatchling.build as h; print(h.build_{what}({str(folder)!r}))"
    return folder / run(sys.executable, "-c", code, cwd=source).split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.mark.skipif(not IN_CHECKOUT, reason="the tests run outside a checkout")
def test_an_editable_install_runs_the_checkout(tmp_path: Path) -> None:
    zipfile.ZipFile(build("editable", tmp_path)).extractall(tmp_path / "site")
    follow_pth = (
        f"import site, sys; known = [*sys.path]; site.addsitedir({str(tmp_path / 'site')!r})\n"
        # before another minicnn, which may be installed here
        "sys.path.sort(key=lambda path: path in known)\n"
    )
    package, kernels = run(sys.executable, "-c", follow_pth + REPORT, cwd=tmp_path).split()
    assert [Path(package), Path(kernels).resolve()] == [ROOT / "minicnn", ROOT / "kernels"]


@pytest.mark.skipif(not IN_CHECKOUT, reason="the tests run outside a checkout")
def test_a_source_distribution_is_a_checkout_and_makes_the_same_wheel(
    wheel: Path, tmp_path: Path
) -> None:
    packed = build("sdist", tmp_path)
    with tarfile.open(packed) as archive:
        assert all(member.isfile() for member in archive.getmembers())
    run("tar", "-xf", str(packed), cwd=tmp_path)  # tarfile's own way differs since 3.11.4
    (tree,) = tmp_path.glob("minicnn_engine-*/")
    assert places(tmp_path, path=str(tree)) == [tree / "minicnn", tree / "kernels"]
    again = build("wheel", tmp_path, source=tree)
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


@pytest.mark.skipif(not IN_CHECKOUT, reason="the tests run outside a checkout")
class TestWheel:
    def test_it_holds_the_kernels_the_pages_the_sample_and_the_licences(self, wheel: Path) -> None:
        names = zipfile.ZipFile(wheel).namelist()
        sample = "minicnn/data/fashion_mnist_sample"
        for wanted in (
            "minicnn/kernels/cpu/conv.py",
            "minicnn/kernels/gpu/conv.cu",
            "minicnn/kernels/reference.py",
            "minicnn/py.typed",
            "minicnn/explain/page/page.html",
            "minicnn/explain/page/grid.js",
            "minicnn/explain/conv/rules.js",
            "minicnn/notices/ja.toml",
            f"{sample}/train-images-idx3-ubyte.gz",
            f"{sample}/LICENSE",
        ):
            assert wanted in names
        assert len(set(names)) == len(names)
        tops = {name.split("/")[0] for name in names}
        assert {top for top in tops if not top.endswith(".dist-info")} == {"minicnn"}
        assert not [name for name in names if "__pycache__" in name]

    def test_it_works_from_elsewhere_and_beside_a_checkout(
        self, wheel: Path, tmp_path: Path
    ) -> None:
        site = tmp_path / "site"
        zipfile.ZipFile(wheel).extractall(site)
        assert places(tmp_path, path=str(site)) == [site / "minicnn", site / "minicnn" / "kernels"]
        # with the checkout as current folder, the checkout's own is what runs, whole
        package, kernels = places(ROOT, path=str(site))
        assert [package, kernels.resolve()] == [ROOT / "minicnn", ROOT / "kernels"]
