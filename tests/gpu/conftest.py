"""What the tests of the GPU path share."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import pytest

from minicnn.device import gpu_problem
from tests.conftest import as_skipped
from tests.gpu import hardware, ptx
from tests.gpu.general import general_form
from tests.gpu.pretend import standin_for_cupy

# Files whose tests run twice: on the kernels' source, and on NVIDIA's PTX of them.
ON_PTX = ("test_compiled", "test_compiled_norm", "test_kernels", "test_optimizers")
ARCHITECTURE = "sm_90"
# Nets whose plans are compiled with their sizes as literals there; one text serves the others.
LITERAL = ("lenet", "lenet-max", "strides", "norms in a row", "dropout")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    twice = "cupy" in metafunc.fixturenames and is_run_twice(metafunc.module)
    if twice and not hardware.ON_HARDWARE:
        metafunc.parametrize("cupy", ["source", "ptx"], indirect=True)


def is_run_twice(module: ModuleType) -> bool:
    """Whether the file is one of ``ON_PTX``."""
    return module.__name__.rpartition(".")[2] in ON_PTX


@functools.cache
def build_of(kind: str) -> Any:
    """What the stand-in makes kernels with."""
    if kind == "source":
        return None
    return functools.partial(ptx.build, architecture=ARCHITECTURE)


@pytest.fixture
def cupy(request: pytest.FixtureRequest) -> Iterator[Any]:
    """``import cupy``: the stand-in, during the test; on hardware the real one."""
    if hardware.ON_HARDWARE:
        yield hardware.real_cupy()
        return
    kind = getattr(request, "param", "source")
    if kind == "ptx" and not ptx.is_there():  # which CuPy says before it is hidden
        pytest.skip("needs CuPy and NVRTC")
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    is_general = is_run_twice(request.module) and name not in LITERAL
    gpu_problem.cache_clear()
    with standin_for_cupy() as module, general_form() if is_general else nullcontext():
        module.set_build(build_of(kind))
        yield module
        module.set_build(None)
        module.set_thread_order(0)
        module.cuda.Device(0).use()
    gpu_problem.cache_clear()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On hardware, without the tests of what replaces it."""
    if hardware.ON_HARDWARE:
        out = [item for item in items if not hardware.runs(item)]
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Iterator[None]:
    """On hardware, a test that wants a second GPU is skipped where there is one."""
    outcome = yield
    error = None if call.excinfo is None else call.excinfo.value
    if hardware.ON_HARDWARE and hardware.wants_another_gpu(error):
        as_skipped(outcome.get_result(), "needs a second GPU")  # type: ignore[attr-defined]
