"""Checks every version against the first, and times them in turn."""

from __future__ import annotations

import functools
import statistics
import time
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np

from minicnn.rungs import TOLERANCE

from . import cuda
from .layer import AWKWARD, Inputs, Layer, inputs
from .version import Version, Work, Works
from .versions import DIRECTIONS, VERSIONS

FEW = 2  # images that a version is checked on: Python takes a second for an image of LeNet
Arrays = tuple[np.ndarray, ...]
OK, EMULATED, UNCHECKED = "ok", "ok, emulated", "no GPU, no g++"


class Found(NamedTuple):
    """A version in one direction.

    Attributes:
        images: computed at once.
        microseconds: an image, one for each round; none where it was not timed.
        ok: ``OK`` where it agrees with the loops (``EMULATED``: on a pretended GPU), ``UNCHECKED``,
            or how it differs.
    """

    version: str
    changed: str
    images: int
    microseconds: list[float]
    ok: str

    @property
    def median(self) -> float | None:
        """Microseconds an image."""
        return statistics.median(self.microseconds) if self.microseconds else None


Race = dict[str, list[Found]]  # of each direction


def race(op: str, layer: Layer, batch: int, rounds: int) -> Race:
    """Check all versions of an operation on a layer, then time them, round after round."""
    found: Race = {direction: [] for direction in DIRECTIONS[op]}
    ready: dict[str, Works] = {}
    for version in VERSIONS[op]:
        images = 1 if version.once else batch
        with cuda.device() if version.on_gpu else nullcontext("cpu") as where:
            for direction, ok in check_on(where, op, layer, version).items():
                found[direction].append(Found(version.name, version.changed, images, [], ok))
            if where in ("cpu", cuda.GPU):
                ready[version.name] = version.make(layer, inputs(layer, images, np.float32))
    time_in_turn(found, ready, rounds, {version.name for version in VERSIONS[op] if version.once})
    return found


def are_equal(found: Race) -> bool:
    """Whether every version that was checked agrees with the loops in every direction."""
    return all(version.ok in (OK, EMULATED, UNCHECKED) for of in found.values() for version in of)


# Equal? -------------------------------------------------------------------------------------------


def check_on(where: str, op: str, layer: Layer, version: Version) -> dict[str, str]:
    """``check``, as far as there is a device for the version."""
    if where == cuda.NOWHERE:
        return dict.fromkeys(DIRECTIONS[op], UNCHECKED)
    found = check(op, layer, version)
    return {d: EMULATED if (where, ok) == (cuda.EMULATOR, OK) else ok for d, ok in found.items()}


def check(op: str, layer: Layer, version: Version) -> dict[str, str]:
    """For each direction ``OK``, or how the version differs from the loops.

    On the layer and on awkward ones: in float64, where sums may differ by the order of their
    summands, and on whole numbers in float32, whose sums are exact.
    """
    found = dict.fromkeys(DIRECTIONS[op], OK)
    for case in (layer, *AWKWARD[op]):
        for dtype in (np.float64, np.float32):
            works = version.make(case, arrays_to_check(op, case, dtype))
            expected = by_loops(op, case, dtype)
            tolerance = TOLERANCE if op == "conv" and dtype is np.float64 else 0
            for direction in found:
                difference = largest_difference(results(works[direction]), expected[direction])
                if not difference <= tolerance:
                    found[direction] = f"differs by {difference:.1e}: {case}"
    return found


def arrays_to_check(op: str, layer: Layer, dtype: type) -> Inputs:
    """Whole numbers for float32 and for a pooling, which also gets NaN and -inf."""
    arrays = inputs(layer, FEW, dtype, whole=op == "max_pool" or dtype is np.float32)
    if op == "max_pool":
        arrays.x[np.random.default_rng(1).random(arrays.x.shape) < 0.1] = np.nan
        arrays.x[0, 0, :4, :4] = -np.inf  # whole windows of it, and at an edge
    return arrays


@functools.cache
def by_loops(op: str, layer: Layer, dtype: type) -> dict[str, Arrays]:
    """What the definition gives, in each direction."""
    works = VERSIONS[op][0].make(layer, arrays_to_check(op, layer, dtype))
    return {direction: results(work) for direction, work in works.items()}


def results(work: Work) -> Arrays:
    """The plain arrays of a direction."""
    found = work.read(work.run())
    return found if isinstance(found, tuple) else (found,)


def largest_difference(ours: Arrays, loops: Arrays) -> float:
    """As a share of the largest number; infinite where dtypes, shapes or NaN differ."""
    worst = 0.0
    for a, b in zip(ours, loops, strict=True):
        if a.dtype != b.dtype or a.shape != b.shape:
            return np.inf
        if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            difference = np.abs(a - b).max() / np.abs(b).max()
            worst = max(worst, float(difference if np.isfinite(difference) else np.inf))
    return worst


# How fast? ----------------------------------------------------------------------------------------


def time_in_turn(found: Race, ready: dict[str, Works], rounds: int, once: set[str]) -> None:
    """Time what is ready in each round, after one that warms up; the versions in ``once`` once."""
    for number in range(rounds + 1):
        for direction, versions in found.items():
            for version in versions:
                if version.version not in ready or (version.version in once and number != 1):
                    continue
                began = time.perf_counter()
                ready[version.version][direction].run()
                seconds = time.perf_counter() - began
                if number:
                    version.microseconds.append(1e6 * seconds / version.images)
