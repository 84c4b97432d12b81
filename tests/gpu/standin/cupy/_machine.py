"""The machine that the stand-in pretends to be: devices, memory, streams, and what it counts.

Work is done at once, unless the current stream captures: then it is kept for the graph. Or, after
``set_deferred(True)``, as late as can be: when the host waits for its stream. A GPU may be as late.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

DEVICES = 2

ERRORS = {
    2: "cudaErrorMemoryAllocation: out of memory",
    101: "cudaErrorInvalidDevice: invalid device ordinal",
    400: "cudaErrorInvalidResourceHandle: invalid resource handle",
    401: "cudaErrorIllegalState: the operation cannot be performed in the present state",
    900: "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing",
    901: "cudaErrorStreamCaptureInvalidated: operation failed due to a previous error during "
    "capture",
    906: "cudaErrorStreamCaptureImplicit: operation would make the legacy stream depend on a "
    "capturing blocking stream",
}


class CUDARuntimeError(RuntimeError):
    def __init__(self, status: int) -> None:
        super().__init__(ERRORS[status])
        self.status = status


@dataclass
class Counters:
    """How often each happened since ``cupy.reset_counters()``."""

    h2d: int = 0  # copies to a device
    d2h: int = 0  # copies to the host
    synchronisations: int = 0  # the host waited
    allocations: int = 0  # arrays with memory of their own
    launches: int = 0  # kernels of a RawModule, without those in graphs
    cupy_kernels: int = 0  # operations by CuPy's own kernels and cuBLAS
    graph_launches: int = 0


counters = Counters()


def reset_counters() -> None:
    for field in fields(Counters):
        setattr(counters, field.name, 0)


current_device = 0
thread_order = 0  # see emulator.Library.launch


def set_thread_order(order: int) -> None:
    """From now on kernels run their threads in this order (``emulator.Library.launch``)."""
    global thread_order
    thread_order = order


build: Callable[..., Any] | None = None  # None: emulator.build


def set_build(function: Callable[..., Any] | None) -> None:
    """From now on kernels are what this function makes of their text (``emulator.build``)."""
    global build
    build = function


def set_device(number: int) -> None:
    global current_device
    if not 0 <= number < DEVICES:
        raise CUDARuntimeError(101)
    current_device = number


class Device:
    """``cupy.cuda.Device``."""

    compute_capability = "90"
    mem_info = (7 << 30, 8 << 30)
    attributes = {  # noqa: RUF012
        "MaxThreadsPerBlock": 1024,
        "MaxSharedMemoryPerBlock": 49152,
        "MultiProcessorCount": 2,
        "WarpSize": 32,
    }

    def __init__(self, device: int | None = None) -> None:
        self.id = current_device if device is None else int(device)
        self._before: list[int] = []

    def use(self) -> None:
        set_device(self.id)

    def __enter__(self) -> Device:
        self._before.append(current_device)
        self.use()
        return self

    def __exit__(self, *_: object) -> None:
        set_device(self._before.pop())

    def synchronize(self) -> None:
        if _capturing:
            _capturing[0].invalidate()
        counters.synchronisations += 1
        finish()

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


class Memory:
    """What an array and its views share: device and bytes, and that these are not freed yet."""

    def __init__(self, array: np.ndarray) -> None:
        refuse_capture()
        counters.allocations += 1
        self.device, self.stream = current_device, current_stream()
        self.bytes = np.lib.array_utils.byte_bounds(array)
        alive.add(self)
        if _deferred:
            weakref.finalize(self, _freed, array).atexit = False


alive: weakref.WeakSet[Memory] = weakref.WeakSet()


_in_use: list[np.ndarray] = []  # freed, but not before the work that has been asked for is done


def _freed(array: np.ndarray) -> None:
    if _pending:
        _in_use.append(array)


def regions_alive() -> list[tuple[int, int]]:
    """First and last byte of all memory of devices that may be read."""
    return [*(memory.bytes for memory in alive), *map(np.lib.array_utils.byte_bounds, _in_use)]


class Stream:
    """``cupy.cuda.Stream``."""

    null: Stream

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        self.device_id = -1 if null else current_device
        self.is_non_blocking = non_blocking
        self.ptr = 0 if null else id(self)
        self._work: list[Work] | None = None
        self._is_valid = True
        self._before: list[Stream] = []

    def __enter__(self) -> Stream:
        self._before.append(current_stream())
        return self.use()

    def __exit__(self, *_: object) -> None:
        self._before.pop().use()

    def use(self) -> Stream:
        _streams[current_device] = self
        return self

    @property
    def done(self) -> bool:
        return all(work.stream is not self for work in _pending)

    def synchronize(self) -> None:
        refuse_capture(self)
        counters.synchronisations += 1
        finish(self)

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        finish(event.stream)  # sooner than it must be

    def is_capturing(self) -> bool:
        return self._work is not None

    def begin_capture(self, mode: int | None = None) -> None:
        if self is Stream.null:
            raise CUDARuntimeError(900)
        if self._work is not None:
            raise CUDARuntimeError(401)
        self._work, self._is_valid = [], True
        _capturing.append(self)

    def end_capture(self) -> Graph:
        if self._work is None:
            raise CUDARuntimeError(401)
        work, self._work = self._work, None
        _capturing.remove(self)
        if not self._is_valid:
            raise CUDARuntimeError(901)
        return Graph(work)

    def invalidate(self) -> None:
        """An operation that must not happen during capture; the capture has failed."""
        self._is_valid = False
        raise CUDARuntimeError(900)


class Event:
    """``cupy.cuda.Event``."""

    def __init__(self, block: bool = False, disable_timing: bool = False) -> None:
        self.time: float | None = None
        self._last: Work | None = None  # that has to be done before
        self.stream: Stream | None = None  # on which it was recorded
        self._has_timing = not disable_timing

    def record(self, stream: Stream | None = None) -> None:
        self.stream = stream or current_stream()
        self._last = next((work for work in reversed(_pending) if work.stream is self.stream), None)
        if self._has_timing and not (stream or current_stream()).is_capturing():
            self.time = time.perf_counter()

    @property
    def done(self) -> bool:
        return all(work is not self._last for work in _pending)

    def synchronize(self) -> None:
        (self.stream or current_stream()).synchronize()


def elapsed_time(start_event: Event, end_event: Event) -> float:
    """Milliseconds between two events."""
    if start_event.time is None or end_event.time is None:
        raise CUDARuntimeError(400)
    return (end_event.time - start_event.time) * 1000


Stream.null = Stream(null=True)
_streams: dict[int, Stream] = {}
_capturing: list[Stream] = []


def current_stream(number: int = -1) -> Stream:
    return _streams.get(current_device if number == -1 else number, Stream.null)


@dataclass
class Work:
    """An operation that is not done yet. It knows its arrays by their addresses alone."""

    action: Callable[[], Any]
    memories: list[weakref.ref[Memory]]
    stream: Stream
    owners: list[Stream]  # on which each memory was allocated

    def done(self) -> None:
        """Do it now, later than it was asked for."""
        for memory, owner in zip(self.memories, self.owners, strict=True):
            # where it was allocated, memory that is freed is taken again only after this work
            if memory() is None and owner is not self.stream:
                raise RuntimeError("an array was freed before the work on another stream was done")
        self.action()


_pending: list[Work] = []  # in the order in which it was asked for
_deferred = False


def set_deferred(is_deferred: bool) -> None:
    """From now on work waits until the host does, or is done at once."""
    global _deferred
    if not is_deferred:
        finish()
    _deferred = is_deferred


def finish(stream: Stream | None = None) -> None:
    """Do what a stream (or every stream) has to have done before the host goes on."""
    global _pending
    needed, others, streams = [], [], {stream}
    for work in reversed(_pending):
        if stream is None or _is_before(work.stream, streams):
            needed.append(work)
            streams.add(work.stream)
        else:
            others.append(work)
    _pending = others[::-1]
    for work in reversed(needed):
        work.done()
    if not _pending:
        _in_use.clear()


def _is_before(stream: Stream, later: set[Stream | None]) -> bool:
    """Whether earlier work on a stream has to be done before later work on the others.

    The null stream and all that are not non_blocking wait for each other.
    """
    blocking = {other for other in later if other and not other.is_non_blocking}
    waits = not stream.is_non_blocking and (stream is Stream.null or Stream.null in blocking)
    return stream in later or (waits and bool(blocking))


def catch_up() -> bool:
    """For what is computed at once: the current stream has come so far. Whether it had to."""
    was_late = bool(_pending)
    if was_late:
        finish(current_stream())
    return was_late


class Graph:
    """``cupy.cuda.Graph``: what a stream has captured."""

    def __init__(self, work: list[Work]) -> None:
        self._work = work

    def upload(self, stream: Stream | None = None) -> None:
        pass

    def launch(self, stream: Stream | None = None) -> None:
        counters.graph_launches += 1
        memories = [memory() for work in self._work for memory in work.memories]
        if any(memory is None for memory in memories):
            raise RuntimeError("the graph uses the memory of an array that has been freed")
        # the graph's stream is the one that it is launched on
        submit(self._all, (memory for memory in memories if memory), stream)

    def _all(self) -> None:
        for work in self._work:
            work.action()


def submit(
    action: Callable[[], Any], memories: Iterable[Memory], stream: Stream | None = None
) -> bool:
    """Do ``action`` on the stream, now or in its graph; whether it has been done.

    Raises:
        ValueError: memory on another device than the current one.
    """
    stream, memories = stream or current_stream(), list(memories)
    check_devices(memories)
    if stream.device_id not in (-1, current_device):
        raise CUDARuntimeError(400)
    if stream is Stream.null and any(not other.is_non_blocking for other in _capturing):
        raise CUDARuntimeError(906)
    work = Work(action, [*map(weakref.ref, memories)], stream, [m.stream for m in memories])
    if stream._work is not None:
        stream._work.append(work)
        return False
    if _deferred:
        _pending.append(work)
    else:
        action()
    return True


def check_devices(memories: Iterable[Memory]) -> None:
    for memory in memories:
        if memory.device != current_device:
            raise ValueError(
                f"The device where the array resides ({memory.device}) is different from the "
                f"current device ({current_device}). "
                "Peer access is unavailable between these devices."
            )


def refuse_capture(stream: Stream | None = None) -> None:
    """For what a stream cannot capture: an allocation, a copy, waiting. Its capture has failed."""
    stream = stream or current_stream()
    if stream.is_capturing():
        stream.invalidate()


def synchronise() -> None:
    """The host waits for the current stream."""
    current_stream().synchronize()


def copy_to_host() -> None:
    synchronise()
    counters.d2h += 1


def copy_to_device() -> None:
    refuse_capture()
    counters.h2d += 1


def refuse_cublas_in_capture() -> None:
    if current_stream().is_capturing():
        raise NotImplementedError(
            "calling cuBLAS API during stream capture is currently unsupported"
        )
