"""minicnn.device: the names of devices, and what happens where there is no GPU."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import DeviceError, Tensor, nn

device = importlib.import_module("minicnn.device")  # minicnn.device is a function


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine on which cupy is not installed, whatever machine this is."""
    monkeypatch.setitem(sys.modules, "cupy", None)
    device.gpu_problem.cache_clear()
    yield
    monkeypatch.undo()
    device.gpu_problem.cache_clear()


def pretend(monkeypatch: pytest.MonkeyPatch, **parts: Any) -> None:
    """Let a module of these parts stand in for cupy."""
    monkeypatch.setattr(device, "_cupy", lambda: SimpleNamespace(**parts))


def runtime(
    count: int | Exception, name: str = "NVIDIA T4", capability: tuple[int, int] = (7, 5)
) -> SimpleNamespace:
    def get_device_count() -> int:
        if isinstance(count, Exception):
            raise count
        return count

    properties = {"name": name.encode(), "major": capability[0], "minor": capability[1]}
    runtime = SimpleNamespace(
        getDeviceCount=get_device_count, getDeviceProperties=lambda number: properties
    )
    return SimpleNamespace(runtime=runtime, Device=lambda number: nullcontext())


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("cpu", "cpu"),
        ("gpu", "gpu:0"),
        ("gpu:0", "gpu:0"),
        ("gpu:12", "gpu:12"),
        ("gpu:01", "gpu:1"),
        ("cuda", "gpu:0"),  # PyTorch's word
        ("cuda:3", "gpu:3"),
    ],
)
def test_resolve_gives_the_full_name(name: str, full: str) -> None:
    assert device.resolve(name) == full


@pytest.mark.parametrize(
    "name", ["tpu", "", "cpu:0", "gpu:", "gpu:-1", "gpu:a", "GPU", " cpu", "cuda0", None, 0]
)
def test_other_names_are_refused(name: Any) -> None:
    with pytest.raises(ValueError, match=r"^device is .*; wanted 'cpu', 'gpu' or 'gpu:<number>'$"):
        device.resolve(name)
    if name is not None:
        with pytest.raises(ValueError, match=r"^device is "):
            Tensor([1.0], device=name)


def test_arrays_of_numpy_are_on_the_cpu_and_stay_the_same_objects() -> None:
    array = np.ones(3)
    assert device.device_of(array) == "cpu"
    assert device.to_device(array, "cpu") is array
    assert device.to_host(array) is array
    assert Tensor(array, device="cpu").data is array
    assert Tensor(array).device == "cpu"


@pytest.mark.usefixtures("without_gpu")
def test_without_a_gpu_the_message_says_what_is_missing() -> None:
    problem = device.gpu_problem()
    assert problem is not None
    assert problem == (
        "CuPy is not installed; in a copy of the repository: pip install '.[cuda13]' (or "
        "'.[cuda12]', for an older driver)"
    )
    assert "\n" not in problem


BOX = """
================================================================
CuPy is not correctly installed.

Original error:
  ImportError: libcudart.so.13: cannot open shared object file
================================================================
"""


def boxed() -> ImportError:
    """What CuPy raises where its libraries are missing: a box of lines, from the real error."""
    error = ImportError(BOX)
    error.__cause__ = ImportError("libcudart.so.13: cannot open shared object file")
    return error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (AttributeError("module 'numpy' has no attribute 'product'"), "has no attribute 'product'"),
        (OSError("libnvrtc: invalid ELF header"), "libnvrtc: invalid ELF header"),
        (RuntimeError(), "RuntimeError"),
        (ImportError(BOX), "CuPy is not correctly installed."),
        (boxed(), "libcudart.so.13: cannot open shared object file"),
        (ModuleNotFoundError("No module named 'fastrlock'", name="fastrlock"), "fastrlock'"),
        (ValueError("x" * 1000), "x" * 160),
    ],
    ids=["NumPy's", "library's", "silent", "box", "cause", "dependency's", "long"],
)
def test_a_cupy_that_cannot_be_imported_is_no_gpu_and_not_missing(
    monkeypatch: pytest.MonkeyPatch, without_gpu: None, error: Exception, told: str
) -> None:
    def broken() -> None:
        raise error

    monkeypatch.setattr(device, "_cupy", broken)
    assert minicnn.try_gpu() == "cpu"
    problem = device.gpu_problem()
    assert problem is not None
    assert problem.startswith("CuPy cannot be imported (")
    assert f"{told}); in a copy" in problem
    assert "\n" not in problem


@pytest.mark.usefixtures("without_gpu")
def test_without_a_gpu_try_gpu_is_the_cpu() -> None:
    assert minicnn.try_gpu() == "cpu"
    assert minicnn.try_gpu(3) == "cpu"
    assert Tensor([1.0], device=minicnn.try_gpu()).device == "cpu"


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.parametrize(
    "move",
    [
        lambda: Tensor([1.0]).to("gpu"),
        lambda: Tensor([1.0], device="gpu:0"),
        lambda: nn.Linear(1, 1).to("gpu"),
        lambda: device.to_device(np.ones(1), "gpu"),
    ],
)
def test_without_a_gpu_moving_there_says_why_not(move: Any) -> None:
    with pytest.raises(
        DeviceError, match=r"^device gpu:0 cannot be used: CuPy is not installed; .*"
    ):
        move()


def test_this_machine_has_a_gpu_or_a_problem_of_one_line() -> None:
    problem = device.gpu_problem()
    assert (problem is None) == (minicnn.try_gpu() == "gpu:0")
    assert problem is None or "\n" not in problem


@pytest.mark.parametrize(
    ("count", "problem"),
    [
        (0, "no GPU was found"),
        (RuntimeError("cudaErrorNoDevice: no CUDA-capable device\nmore"), "no GPU was found"),
        (RuntimeError(), "the NVIDIA driver failed (RuntimeError)"),
    ],
)
def test_cupy_without_a_gpu_is_no_gpu(
    monkeypatch: pytest.MonkeyPatch, without_gpu: None, count: Any, problem: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    pretend(monkeypatch, cuda=runtime(count))
    assert device.gpu_problem() == problem
    assert minicnn.try_gpu() == "cpu"


@pytest.mark.parametrize(
    ("driver", "wanted", "problem"),
    [
        (
            12040,
            13020,  # what a driver for 13.0 runs, too
            "the NVIDIA driver is for CUDA 12.4, this CuPy needs 13.0; update the driver, or "
            "pip install '.[cuda12]'",
        ),
        (
            11080,
            12090,
            "the NVIDIA driver is for CUDA 11.8, this CuPy needs 12.0; update the driver",
        ),
        (0, 13020, "no NVIDIA driver was found"),
    ],
    ids=["old", "older", "none"],
)
def test_a_driver_that_is_too_old_is_told_from_none(
    monkeypatch: pytest.MonkeyPatch, without_gpu: None, driver: int, wanted: int, problem: str
) -> None:
    cuda = runtime(RuntimeError("cudaErrorInsufficientDriver: too old"))
    cuda.runtime.driverGetVersion = lambda: driver
    cuda.runtime.runtimeGetVersion = lambda: wanted
    pretend(monkeypatch, cuda=cuda)
    assert device.gpu_problem() == problem


def test_a_gpu_that_fails_when_it_is_looked_at_is_told(
    monkeypatch: pytest.MonkeyPatch, without_gpu: None
) -> None:
    def fails(number: int) -> None:
        raise RuntimeError("cudaErrorUnknown: unknown error")

    cuda = runtime(1)
    cuda.runtime.getDeviceProperties = fails
    pretend(monkeypatch, cuda=cuda)
    assert device.gpu_problem() == (
        "the NVIDIA driver failed (cudaErrorUnknown: unknown error); restart the machine, or "
        "unload and load the driver's module nvidia_uvm"
    )


def test_a_gpu_that_is_hidden_is_named(monkeypatch: pytest.MonkeyPatch, without_gpu: None) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    pretend(monkeypatch, cuda=runtime(RuntimeError("cudaErrorNoDevice: none")))
    assert device.gpu_problem() == (
        "no GPU was found, CUDA_VISIBLE_DEVICES is ''; unset it to see all"
    )


@pytest.mark.parametrize("capability", [(6, 0), (7, 2), (7, 5), (9, 0), (12, 0)])
def test_a_gpu_that_is_too_old_is_named(
    monkeypatch: pytest.MonkeyPatch, without_gpu: None, capability: tuple[int, int]
) -> None:
    pretend(
        monkeypatch,
        cuda=runtime(1, "Tesla P100", capability),
        float32=np.float32,
        ones=np.ones,
        ElementwiseKernel=lambda *_: lambda x: 2 * x,
    )
    too_old = (
        f"Tesla P100 has compute capability {capability[0]}.{capability[1]}; wanted 7.5 or higher "
        "(GPUs from 2018 on)"
    )
    assert device.gpu_problem() == (too_old if capability < (7, 5) else None)


def test_a_gpu_that_cannot_compute_is_no_gpu(
    monkeypatch: pytest.MonkeyPatch, without_gpu: None
) -> None:
    def no_nvrtc(*_: Any) -> None:
        raise RuntimeError("libnvrtc.so.12: cannot open shared object file\nInstall it.")

    pretend(
        monkeypatch,
        cuda=runtime(1),
        float32=np.float32,
        ones=np.ones,
        ElementwiseKernel=no_nvrtc,
    )
    assert device.gpu_problem() == (
        "CUDA's compiler or libraries (NVRTC, cuBLAS) failed "
        "(libnvrtc.so.12: cannot open shared object file)"
    )


@pytest.mark.parametrize(
    ("factor", "problem"), [(2, None), (3, "the GPU computed a wrong product")]
)
def test_the_proof_of_a_gpu_is_a_right_product(
    monkeypatch: pytest.MonkeyPatch, without_gpu: None, factor: int, problem: str | None
) -> None:
    pretend(
        monkeypatch,
        cuda=runtime(1),
        float32=np.float32,
        ones=np.ones,
        ElementwiseKernel=lambda *_: lambda x: factor * x,
    )
    assert device.gpu_problem() == problem


def test_a_full_gpu_is_told_from_a_broken_one(
    monkeypatch: pytest.MonkeyPatch, without_gpu: None
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise MemoryError("Out of memory allocating 512 bytes")

    pretend(monkeypatch, cuda=runtime(1), float32=np.float32, ones=full)
    assert device.gpu_problem() == "its memory is full (Out of memory allocating 512 bytes)"


def test_a_number_beyond_the_last_gpu_is_named(
    monkeypatch: pytest.MonkeyPatch, without_gpu: None
) -> None:
    pretend(
        monkeypatch,
        cuda=runtime(2),
        float32=np.float32,
        ones=np.ones,
        ElementwiseKernel=lambda *_: lambda x: 2 * x,
    )
    with pytest.raises(DeviceError, match=r"device gpu:2 cannot be used: .* has 2 GPU"):
        device.to_device(np.ones(1), "gpu:2")
    assert minicnn.try_gpu(2) == "cpu"
