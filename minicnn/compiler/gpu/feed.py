"""Where a step on a GPU finds its batch, and which step it is.

``load.cu`` calls them source and clock. Both lie in device memory, one of each for all engines of a
step. The device counts its steps by itself, and finds the next rows by that number: in the steady
state nothing is sent.
"""

from __future__ import annotations

import numpy as np

from minicnn.device import Device, device_of, to_device
from minicnn.kernels import Array

from .told import Told

WORD = 2**64  # differences of counts are taken modulo this, here and on the device


class Rows:
    """The rows of pictures and labels that batches are made of, one batch after the other.

    Args:
        pictures: (M, ...), C-contiguous, on the device, as labels and order are.
        labels: int64 (M,).
        order: int64, the row of each place of the epoch; None: they come as they lie.
        size: rows from a batch's begin to the next one's; 0: every batch begins at row 0.
        batch: the number of the next one.
        scale: float32 (2, C, 1, 1), what pixels are multiplied by and what is added then; None:
            they are divided by 255.
    """

    def __init__(
        self,
        pictures: Array,
        labels: Array,
        order: Array | None = None,
        size: int = 0,
        batch: int = 0,
        scale: Array | None = None,
    ):
        self.pictures, self.labels, self.size, self.batch = pictures, labels, size, batch
        self.held = pictures, labels, order, scale  # the device knows their addresses alone
        self.count = len(labels if order is None else order)
        self.addresses = tuple(0 if array is None else array.data.ptr for array in self.held)
        self.alike: dict[int, Array] = {}

    def like(self, images: int) -> Array:
        """An array of the next batch's shape and dtype, N = images: some of the pictures.

        Raises:
            ValueError: fewer are left.
        """
        # the kernel does not look: it would read on behind the labels, the order or the pictures;
        # an order may name a picture more than once, so it may be longer than there are pictures
        left = max(0, min(self.count - self.batch * self.size, len(self.pictures)))
        if not 0 <= images <= left:
            raise ValueError(
                f"compile: take: images is {images}; batch {self.batch} of {self.size} rows each "
                f"has {left} left, of {self.count} rows and {len(self.pictures)} pictures"
            )
        if images not in self.alike:
            self.alike[images] = self.pictures[:images]
        return self.alike[images]


def check_rows(
    pictures: Array, labels: Array, order: Array | None, size: int, batch: int, device: Device
) -> None:
    """Refuse what a launch would read wrongly: it is told addresses, no dtypes and no sizes.

    Raises:
        TypeError: labels or an order that are not int64, or an array on another device.
        ValueError: an array that is not C-contiguous or has a wrong shape, a negative number.
    """
    # the dtype of the pictures is looked at by the engine, which is made for it
    _check_place("pictures", pictures, device)
    numbers = {"labels": labels} | ({} if order is None else {"order": order})
    for name, array in numbers.items():
        _check_place(name, array, device)
        if array.dtype != np.int64:
            raise TypeError(f"compile: read_from: {name} is {array.dtype}; wanted int64")
        if array.ndim != 1:
            shape = tuple(array.shape)
            raise ValueError(f"compile: read_from: {name} has shape {shape}; wanted one axis")
    # the order is as long as the epoch, which may be part of the data set, or more than all of it
    if len(labels) != len(pictures):
        raise ValueError(
            f"compile: read_from: {len(labels)} labels, {len(pictures)} pictures; wanted one each"
        )
    if size < 0 or batch < 0:
        raise ValueError(
            f"compile: read_from: size is {size}, batch is {batch}; wanted 0 or more of both"
        )


def check_scale(scale: Array, pictures: Array, device: Device) -> None:
    """Refuse a scale that a launch would read wrongly; see ``check_rows``."""
    _check_place("scale", scale, device)
    wanted = 2, pictures.shape[1], 1, 1
    if scale.dtype != np.float32 or scale.shape != wanted or pictures.dtype != np.uint8:
        raise ValueError(
            f"compile: read_from: scale is {scale.dtype} {tuple(scale.shape)}, pictures are "
            f"{pictures.dtype}; wanted float32 {wanted} of uint8"
        )


def _check_place(name: str, array: Array, device: Device) -> None:
    """An array lies on this device, in one piece."""
    if device_of(array) != device:
        raise TypeError(
            f"compile: read_from: {name} is on {device_of(array)}; wanted {device}, as the net"
        )
    if not array.flags.c_contiguous:
        raise ValueError(f"compile: read_from: {name} is not C-contiguous; wanted a copy that is")


class Keys:
    """Where the keys of dropout masks lie on a device, seed and number of each.

    All engines with as many masks share them: the ragged last batch of an epoch goes on with those
    that the batch before has left.
    """

    def __init__(self, device: Device):
        self.device = device
        self.by_masks: dict[int, Told] = {}

    def of(self, masks: int) -> Told:
        """Of this many masks."""
        if masks not in self.by_masks:
            numbers = np.zeros(2 * max(1, masks), np.uint64)
            self.by_masks[masks] = Told(to_device(numbers, self.device))
        return self.by_masks[masks]

    def tell(self, keys: list[tuple[int, int]]) -> None:
        """Send these, unless the device has them."""
        if keys:
            self.of(len(keys)).tell(tuple(number for key in keys for number in key))


class Feed:
    """The device's source and clock, and what the host knows of them.

    Attributes:
        source, clock, keys: on the device.
        steps: how many have been taken: the clock's number.
    """

    def __init__(self, device: Device):
        self.source = Told(to_device(np.zeros(6, np.uint64), device))
        self.clock = Told(to_device(np.zeros(2, np.uint64), device))
        self.clock.numbers = (0, 0)
        self.keys = Keys(device)
        self.steps = 0
        self.rows: Rows | None = None  # held: the device has their addresses

    def begin_step(self, rows: Rows, keys: list[tuple[int, int]]) -> None:
        """Have the next launch read its batch from there, and draw masks of these keys."""
        # number and count go on together, so their difference stays
        first = (self.steps - rows.batch) % WORD if rows.size else 0
        *of_rows, scale = rows.addresses
        self.source.tell((*of_rows, first, rows.size, scale))
        self.clock.tell((self.steps, self.steps))
        self.keys.tell(keys)
        # until the step has been launched whole, nobody can tell what the device has counted
        self.rows, self.clock.numbers = rows, None
        self.keys.of(len(keys)).numbers = None

    def end_step(self, keys: list[tuple[int, int]]) -> None:
        """The step has been launched; the device counts it, and the masks that it drew.

        The next step's keys need not be sent, unless somebody else has drawn a mask in between.
        """
        self.steps += 1
        self.clock.numbers = (self.steps, self.steps)
        self.keys.of(len(keys)).numbers = tuple(
            number for seed, mask in keys for number in (seed, mask + len(keys))
        )
        if self.rows is not None:
            self.rows.batch += 1
