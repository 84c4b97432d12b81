"""Each public function and method refuses wrong values of each parameter: in a line that names it.

A new function, method, annotation or name of a number is found by itself; the tables in ``values``
and ``calls`` say what it takes, and a test fails until they do.
"""

from __future__ import annotations

import inspect
import os
from importlib.util import find_spec

import pytest

from tests.badinput.refusals import called, cases, fault, right_arguments
from tests.badinput.rooms import NO_CALLS, ROOMS, functions, methods, things
from tests.hostile.trying import bounded

pytestmark = pytest.mark.long

NEEDS_MORE = {  # whose right call needs more than a right value for each parameter
    "Tensor.backward": "a tape",
    "Tensor.item": "one cell",
    "Tensor.reshape": "its shape is all of its arguments",
    "Tensor.view": "likewise",
    "Tensor.t": "a matrix",
    **{f"explain.Followed.{f}": "an index" for f in ("paths", "terms", "value")},
    "predict.Classifier.from_run": "data that fit the run",
}


def test_there_are_functions_of_every_room() -> None:
    found = functions()
    assert len(found) > 150
    for prefix, (_, package) in ROOMS.items():
        if not package or find_spec(package):
            assert any(name.rpartition(".")[0] + "." * bool(prefix) == prefix for name in found)
    for name in ("fit", "nn.Conv2d", "F.pad", "init.normal_", "optim.SGD", "data.load"):
        assert name in found
    assert "nn.Module.load_state_dict" in found


def test_what_is_not_asked_is_there() -> None:
    classes = {name: kind for name, kind in things().items() if inspect.isclass(kind)}
    known = {
        *things(),
        *(f"{name}.{key}" for name, kind in classes.items() for key in methods(kind)),
    }
    missing = tuple(
        prefix for prefix, (_, package) in ROOMS.items() if package and not find_spec(package)
    )
    assert {name for name in NO_CALLS if not name.startswith(missing)} <= known


@pytest.mark.parametrize("name", sorted(functions()))
def test_wrong_values_are_refused_by_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    function = functions()[name]
    if name not in NEEDS_MORE:
        called(name, function, right_arguments(name, function))
    with bounded(seconds=60):
        found = [(*case[:2], fault(case)) for case in cases(name)]
    assert not [(p.name, label, wrong) for p, label, wrong in found if wrong]


@pytest.mark.skipif(os.name != "posix", reason="needs limits of memory")
@pytest.mark.parametrize(
    "call",
    [
        "minicnn.zeros(2**40)",
        "minicnn.rand(2**20, 2**30)",
        "minicnn.zeros(2**62, 8)",
        "minicnn.arange(1e15)",
        "nn.Linear(2**30, 2**20)",
        "nn.Conv2d(2**20, 2**20, 99)",
        "models.build('mlp', hidden=[2**31])",
        "F.pad(minicnn.zeros(1, 1, 2, 3), [2**40, 0])",
        "F.conv2d(minicnn.zeros(1, 1, 2, 3), minicnn.zeros(1, 1, 1, 1), padding=2**20)",
        "F.max_pool2d(minicnn.zeros(1, 1, 2, 3), 2**40)",
        "minicnn.Tensor(np.broadcast_to(np.float32(1), (2**40,))).exp()",
        "data.Dataset(np.zeros((2, 2, 3), 'uint8'), [0, 1], 2**62)",
        "data.DataLoader(data.Dataset(np.zeros((2, 2, 3), 'uint8'), [0, 1], 2), 2**62)",
    ],
)
def test_gigantic_sizes_end_at_once(call: str) -> None:
    """Out of memory, or refused by name; a batch size may be as large as it likes."""
    import numpy as np

    import minicnn
    from minicnn import data, models, nn
    from minicnn.nn import functional as F

    names = {"np": np, "minicnn": minicnn, "nn": nn, "F": F, "models": models, "data": data}
    with bounded(seconds=20, memory=2**29):
        if "DataLoader" in call:
            assert len(eval(call, names)) == 1
            return
        with pytest.raises((MemoryError, ValueError)) as error:
            eval(call, names)
    assert "\n" not in str(error.value)
