"""How much the proof measures: as it is meant, or just enough to try the command itself."""

from __future__ import annotations

from typing import NamedTuple


class Sizes(NamedTuple):
    """Numbers of what is measured.

    Attributes:
        batches: the models that are measured, and images in a batch of each.
        images: that two runs and the CPU are compared on.
        warm: steps that are not timed.
        turns: of replays; the median of them counts.
        replays: of a graph, in each turn.
        profiled: steps in which every kernel is timed.
        epochs: that are timed, after one that is not.
        epoch: images in it.
        tests: files or folders of the engine's tests.
        gpu_tests: of the GPU path's.
        patience: what the parts' limits are multiplied by.
    """

    batches: dict[str, int]
    images: int
    warm: int
    turns: int
    replays: int
    profiled: int
    epochs: int
    epoch: int
    tests: tuple[str, ...]
    gpu_tests: tuple[str, ...]
    patience: int


WHOLE = Sizes(
    batches={"lenet": 256, "lenet-max": 256, "lenet-plus": 128},
    images=6_000,
    warm=10,
    turns=5,
    replays=300,
    profiled=50,
    epochs=5,
    epoch=60_000,
    tests=("tests",),
    gpu_tests=("tests/gpu",),
    patience=1,
)
SMALL = Sizes(
    batches={"lenet": 4},
    images=7,
    warm=2,
    turns=1,
    replays=1,
    profiled=1,
    epochs=1,
    epoch=8,
    tests=("tests/nn/test_init.py",),
    gpu_tests=("tests/gpu/test_keras_facade.py",),
    patience=10,  # a stand-in, on a busy machine
)
