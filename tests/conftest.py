"""What the tests share."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # NumPy's own threads would wait in a loop, on a core that
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the next worker needs
os.environ["LANGUAGE"] = "en"  # of notices, whoever runs the tests
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell does so in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

import numpy as np
import pytest

import minicnn
from minicnn import kernels
from tests import network

network.watch()

# A run with MINICNN_KERNELS set is a pass over that set alone.
KERNEL_SETS = [os.environ["MINICNN_KERNELS"]] if "MINICNN_KERNELS" in os.environ else [
    "reference",
    "cpu",
]  # fmt: skip


def pytest_report_header() -> str:
    """What is said before anything else."""
    return "minicnn: all tests take about 4 minutes on two cores, kernels being compiled on the way"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First come the tests that compile most: the other process finds it on the disk later."""
    items.sort(key=lambda item: item.path.name != "test_steps.py")


@pytest.fixture(params=KERNEL_SETS)
def kernel_set(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Runs the test once with each kernel set for NumPy arrays."""
    monkeypatch.setenv("MINICNN_KERNELS", request.param)
    kernels.host_kernels.cache_clear()
    yield request.param
    kernels.host_kernels.cache_clear()


@pytest.fixture
def compiled_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The kernels that a compiled plan needs, in a run over the reference kernels too."""
    monkeypatch.setenv("MINICNN_KERNELS", "cpu")
    kernels.host_kernels.cache_clear()
    yield
    kernels.host_kernels.cache_clear()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs Debian's chromium")
    with playwright.sync_playwright() as tools:
        opened = tools.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261122)


@pytest.fixture(autouse=True)
def same_start() -> Iterator[None]:
    """Every test begins with the same seed, uses no network, and leaves the number of threads."""
    minicnn.manual_seed(7)
    threads = minicnn.get_num_threads()
    with network.unused():
        yield
    minicnn.set_num_threads(threads)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Iterator[None]:
    """A test that misses a package is skipped. With MINICNN_NO_SKIPS=1, as in CI, that fails."""
    outcome = yield
    judge(outcome.get_result(), call)  # type: ignore[attr-defined]


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """The same for a whole file, which imports the package."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if hasattr(report, "call"):  # not of a file that --lf passes over
        judge(report, report.call)


def judge(report: pytest.TestReport | pytest.CollectReport, call: pytest.CallInfo[Any]) -> None:
    """Skip what misses a package of others; fail what is skipped where that is not allowed."""
    package = missing_package(None if call.excinfo is None else call.excinfo.value)
    if package is not None:
        as_skipped(report, f"{package} is not installed")
    if report.skipped and os.environ.get("MINICNN_NO_SKIPS") == "1":
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, and MINICNN_NO_SKIPS=1 allows none"


def missing_package(error: BaseException | None) -> str | None:
    """Whose module could not be found, if that is what went wrong; None if it is one of ours."""
    if isinstance(error, pytest.Collector.CollectError):
        error = error.__cause__
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return None
    package = error.name.partition(".")[0]
    return None if package in ("minicnn", "tests", "benchmarks") else package


def as_skipped(report: pytest.TestReport | pytest.CollectReport, why: str) -> None:
    """Make a report that of a skip."""
    report.outcome = "skipped"
    report.longrepr = (str(report.fspath), 1, f"Skipped: {why}")
