"""Where arrays live: ``"cpu"`` (NumPy) or ``"gpu:0"``, ``"gpu:1"``... (CuPy).

A device is a string. What is computed from a GPU's array lies on that GPU. Arrays are moved from
device to device in this file alone.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
from typing import Any

import numpy as np

from minicnn.formats import shown
from minicnn.kernels import Array, is_host
from minicnn.kernels.interrupts import held
from minicnn.terminal import first_line, said_if_slow

__all__ = [
    "Device",
    "DeviceError",
    "describe",
    "device_of",
    "gpu_problem",
    "make_ready",
    "on_device",
    "on_device_of",
    "resolve",
    "to_device",
    "to_host",
    "try_gpu",
]

Device = str

INSTALL = (
    "in a copy of the repository: pip install '.[cuda13]' (or '.[cuda12]', for an older driver)"
)
COMPILING = "minicnn: compiling kernels for the GPU, kept for the next time"  # for some seconds
LEAST_CAPABILITY = (7, 5)  # Turing, 2018; what CUDA 13's compiler begins with, too
ADVICE = {  # by the names of CUDA's errors
    "cudaErrorSystemNotReady": "start the fabric manager: systemctl start nvidia-fabricmanager",
    "cudaErrorSystemDriverMismatch": "restart the machine: the driver's library and its kernel "
    "module have different versions",
    "cudaErrorCompatNotSupportedOnDevice": "take the package cuda-compat, which is for data "
    "centres' GPUs, off LD_LIBRARY_PATH, or update the driver",
    "cudaErrorUnknown": "restart the machine, or unload and load the driver's module nvidia_uvm",
}


class DeviceError(RuntimeError):
    """A device that does not exist or cannot be used; the message says what is missing."""


def resolve(device: Device) -> Device:
    """The full name of ``device``: ``"cpu"`` or ``"gpu:<number>"``. ``"gpu"`` is ``"gpu:0"``.

    ``"cuda"``, PyTorch's word, means ``"gpu"``.

    Raises:
        ValueError: not the name of a device.
    """
    match = (
        re.fullmatch(r"cpu|(?:gpu|cuda)(?::(\d+))?", device) if isinstance(device, str) else None
    )
    if match is None:
        raise ValueError(f"device is {shown(device)}; wanted 'cpu', 'gpu' or 'gpu:<number>'")
    return "cpu" if device == "cpu" else f"gpu:{int(match[1] or 0)}"


def device_of(array: Array) -> Device:
    """The device that holds ``array``."""
    return "cpu" if is_host(array) else f"gpu:{array.device.id}"


def to_device(array: Array, device: Device) -> Array:
    """``array`` on ``device``; itself if it is there already.

    Raises:
        ValueError: not the name of a device.
        DeviceError: a GPU that cannot be used here.
    """
    device = resolve(device)
    if device_of(array) == device:
        return array
    if device == "cpu":
        return to_host(array)
    problem = gpu_problem(int(device.removeprefix("gpu:")))
    if problem:
        raise DeviceError(f"device {device} cannot be used: {problem}; 'cpu' can")
    with on_device(device):
        return _cupy().asarray(array)


def to_host(array: Array) -> np.ndarray:
    """``array`` as a NumPy array; itself if it is one."""
    return np.asarray(array) if is_host(array) else array.get()


def on_device(device: Device) -> Any:
    """A context in which CuPy allocates and computes on this GPU; on the CPU, none."""
    if device == "cpu":
        return contextlib.nullcontext()
    return _cupy().cuda.Device(int(device.removeprefix("gpu:")))


def on_device_of(array: Array) -> Any:
    """A context in which CuPy computes on the GPU that holds ``array``; on the CPU, none."""
    return _NOWHERE if is_host(array) else array.device


_NOWHERE = contextlib.nullcontext()


def make_ready(device: Device, dtype: Any) -> None:
    """Have the kernels of a GPU compiled for ``dtype``, or loaded from disk; on the CPU, nothing.

    Otherwise the first operation does it. It is said if it takes more than a moment.
    """
    if device == "cpu":
        return
    from minicnn.kernels.gpu import launch

    with on_device(device), said_if_slow(COMPILING):
        launch.module(np.dtype(dtype).name).compile()


def describe(device: Device) -> str:
    """What computes there, in one line: versions, and a GPU's name and memory."""
    device = resolve(device)
    if device == "cpu":
        return f"NumPy {np.__version__}, {platform.processor() or platform.machine()}"
    cupy = _cupy()
    runtime, number = cupy.cuda.runtime, int(device.removeprefix("gpu:"))
    properties = runtime.getDeviceProperties(number)
    cuda, driver = map(_version, (runtime.runtimeGetVersion(), runtime.driverGetVersion()))
    return (
        f"{properties['name'].decode()}, {properties['totalGlobalMem'] / 2**30:.0f} GiB, compute "
        f"capability {properties['major']}.{properties['minor']}; CuPy {cupy.__version__}, CUDA "
        f"{cuda}, driver for {driver}"
    )


def _version(number: int) -> str:
    """13020 as 13.2."""
    return f"{number // 1000}.{number % 1000 // 10}"


def try_gpu(number: int = 0) -> Device:
    """``"gpu:<number>"`` if that GPU can be used, otherwise ``"cpu"``; the chapters' helper."""
    try:
        to_device(np.zeros(1, np.float32), f"gpu:{number}")
    except DeviceError:
        return "cpu"
    return resolve(f"gpu:{number}")


@functools.cache
def gpu_problem(number: int = 0) -> str | None:
    """Why this machine cannot compute on GPU ``number``, in one line; None if it can.

    After a semicolon, if there is one, the line says what to do about it. ``import cupy`` succeeds
    without a driver, so a matrix product and a kernel compiled at run time are tried.
    """
    try:
        cupy = _cupy()
    except Exception as error:  # a CuPy made for another NumPy or CUDA raises any kind
        absent = isinstance(error, ModuleNotFoundError) and error.name == "cupy"
        what = "is not installed" if absent else f"cannot be imported ({first_line(error)})"
        return f"CuPy {what}; {INSTALL}"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        return _driver_problem(cupy, error)
    if count == 0:
        return _no_gpu()
    if number >= count:
        return f"it does not exist: this machine has {count} GPU(s)"
    return _capability_problem(cupy, number) or _computing_problem(cupy, number)


def _driver_problem(cupy: Any, error: Exception) -> str:
    """Why the driver says nothing of the devices."""
    name = first_line(error).partition(":")[0]
    if name == "cudaErrorNoDevice":
        return _no_gpu()
    if name != "cudaErrorInsufficientDriver":
        advice = f"; {ADVICE[name]}" if name in ADVICE else ""
        return f"the NVIDIA driver failed ({first_line(error)}){advice}"
    runtime = cupy.cuda.runtime
    driver, wanted = runtime.driverGetVersion(), runtime.runtimeGetVersion() // 1000
    if not driver:  # its version is 0 where there is none
        return "no NVIDIA driver was found"
    other = ", or pip install '.[cuda12]'" if wanted > 12 else ""
    return (  # a driver for 13.0 serves all of CUDA 13
        f"the NVIDIA driver is for CUDA {_version(driver)}, this CuPy needs {wanted}.0; update "
        f"the driver{other}"
    )


def _no_gpu() -> str:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "no GPU was found" + (
        "" if visible is None else f", CUDA_VISIBLE_DEVICES is {visible!r}; unset it to see all"
    )


def _capability_problem(cupy: Any, number: int) -> str | None:
    """A GPU that is too old for the kernels."""
    try:
        properties = cupy.cuda.runtime.getDeviceProperties(number)
    except Exception as error:  # a GPU that has fallen off the bus, or is another process's alone
        return _driver_problem(cupy, error)
    capability = properties["major"], properties["minor"]
    if capability >= LEAST_CAPABILITY:
        return None
    return (
        f"{properties['name'].decode()} has compute capability {capability[0]}.{capability[1]}; "
        "wanted 7.5 or higher (GPUs from 2018 on)"
    )


def _computing_problem(cupy: Any, number: int) -> str | None:
    """What goes wrong in a matrix product and a kernel."""
    try:
        with cupy.cuda.Device(number):
            ones = cupy.ones((2, 2), dtype=cupy.float32)
            double = cupy.ElementwiseKernel("float32 x", "float32 y", "y = 2 * x", "minicnn_probe")
            if float((double(ones) @ ones).sum()) != 16:
                return "the GPU computed a wrong product"
    except MemoryError as error:
        return f"its memory is full ({first_line(error)})"
    except Exception as error:
        return f"CUDA's compiler or libraries (NVRTC, cuBLAS) failed ({first_line(error)})"
    return None


def _cupy() -> Any:
    with held():  # a Ctrl-C while extension modules load can crash Python
        import cupy

    return cupy
