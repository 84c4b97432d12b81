"""``cupy.cuda``: the machine by CuPy's names."""

from __future__ import annotations

from types import SimpleNamespace as _Namespace
from typing import Any as _Any

from . import _machine
from ._machine import Device, Event, Graph, Stream
from ._machine import current_stream as get_current_stream
from ._machine import elapsed_time as get_elapsed_time

__all__ = ["Device", "Event", "Graph", "Stream", "get_current_stream", "get_elapsed_time"]

_PROPERTIES = {
    "name": b"a stand-in for a GPU",
    "totalGlobalMem": Device.mem_info[1],
    "multiProcessorCount": 2,
    "major": 9,
    "minor": 0,
    "warpSize": 32,
    "maxThreadsPerBlock": 1024,
    "sharedMemPerBlock": 49152,
    "clockRate": 1000000,
}


def is_available() -> bool:
    return True


def set_allocator(allocator: _Any = None) -> None:
    """NumPy allocates, whatever is said."""


def get_device_id() -> int:
    return _machine.current_device


class _OutOfMemoryError(MemoryError):
    pass


class _CompileException(Exception):  # noqa: N818
    def __init__(
        self, msg: str, source: str, name: str, options: tuple[str, ...], backend: str = "nvrtc"
    ) -> None:
        super().__init__(msg)
        self.source, self.name, self.options, self.backend = source, name, options, backend


memory = _Namespace(OutOfMemoryError=_OutOfMemoryError)
compiler = _Namespace(CompileException=_CompileException)
graph = _Namespace(Graph=Graph)
stream = _Namespace(Stream=Stream, Event=Event)
runtime = _Namespace(
    CUDARuntimeError=_machine.CUDARuntimeError,
    deviceSynchronize=lambda: Device().synchronize(),
    driverGetVersion=lambda: 13000,
    getDevice=get_device_id,
    getDeviceCount=lambda: _machine.DEVICES,
    getDeviceProperties=lambda device: dict(_PROPERTIES),
    memGetInfo=lambda: Device.mem_info,
    profilerStart=lambda: None,
    profilerStop=lambda: None,
    runtimeGetVersion=lambda: 13000,
    setDevice=_machine.set_device,
    streamCaptureModeGlobal=0,
    streamCaptureModeRelaxed=2,
    streamCaptureModeThreadLocal=1,
)
