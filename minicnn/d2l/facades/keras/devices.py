"""Devices: ``tf.device``, the strategy of one device, and which there are."""

from __future__ import annotations

import re
import threading
from typing import Any, NamedTuple, Self

from minicnn.device import gpu_problem, resolve


class _Present(threading.local):
    def __init__(self) -> None:
        self.devices: list[str] = []  # of the ``with`` statements that are open


_present = _Present()


def present_device() -> str | None:
    """The engine's name of the innermost ``with tf.device(...)``; None outside."""
    return _present.devices[-1] if _present.devices else None


class device:  # noqa: N801 (TensorFlow's name)
    """``with tf.device("/GPU:0"):`` what is made inside lies there.

    Raises:
        ValueError: no name of a CPU or GPU.
    """

    def __init__(self, device_name: str):
        match = re.search(r"(?:^|[/:])(cpu|gpu)(?::(\d+))?$", str(device_name), re.IGNORECASE)
        if match is None:
            raise ValueError(
                f"Failed to parse device name: {device_name!r}; wanted '/CPU:0' or '/GPU:0'"
            )
        self._device_name = device_name
        kind, number = match[1].lower(), match[2] or "0"
        self._device = "cpu" if kind == "cpu" else resolve(f"gpu:{number}")

    def __enter__(self) -> Self:
        _present.devices.append(self._device)
        return self

    def __exit__(self, *exception: object) -> None:
        _present.devices.pop()


class OneDeviceStrategy:
    """``tf.distribute.OneDeviceStrategy``: a net made in its ``scope()`` lies on ``device``."""

    num_replicas_in_sync = 1

    def __init__(self, device: str):
        self._scope = globals()["device"](device)

    def scope(self) -> Any:
        """``with strategy.scope():``."""
        return self._scope


class PhysicalDevice(NamedTuple):
    """A device of this machine."""

    name: str
    device_type: str


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The CPU, and the GPUs that can be used; of one type only if ``device_type`` names it."""
    found = [PhysicalDevice("/physical_device:CPU:0", "CPU")]
    number = 0
    while gpu_problem(number) is None:
        found.append(PhysicalDevice(f"/physical_device:GPU:{number}", "GPU"))
        number += 1
    return [one for one in found if device_type in (None, one.device_type)]
