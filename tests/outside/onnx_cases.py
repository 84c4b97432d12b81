"""ONNX's own backend cases, read by ``minicnn.onnx.load``: a model, inputs, what must come out.

All that the package onnx carries: a case or more for each operator, and the files that PyTorch's
exporter once wrote. The models of single operators take weights, widths and axes as inputs, as no
file of a net does: here they are constants with the case's values, and the first input alone goes
through the net. What the reader refuses is unsupported, and listed by operator and reason; what it
reads has to give the results, within ONNX's own tolerance.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from minicnn import Tensor, no_grad
from minicnn.onnx import load

from .onnx_differences import DIFFERENCES
from .tally import Found

TITLE = "ONNX's backend cases"
KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")

__all__ = ["DIFFERENCES", "TITLE", "found"]


class Case(NamedTuple):
    """A model, its inputs, what must come out, and how exactly."""

    name: str
    model: Any  # an onnx.ModelProto
    inputs: list[Any]
    outputs: list[Any]
    rtol: float
    atol: float

    @property
    def operator(self) -> str:
        """The operator of a model of one node; otherwise that of the first."""
        return self.model.graph.node[0].op_type


def found(names: Sequence[str] = ()) -> Iterator[Found]:
    """All cases of these operators, of all by default."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in cases():
            if not names or case.operator in names:
                differs = difference_of(case, Path(folder) / "case.onnx")
                line = None if differs is None else f"{case.operator} ({case.name}): {differs}"
                yield Found(case.operator, line)


def cases() -> Iterator[Case]:
    """All cases that the package carries."""
    for kind in KINDS:
        for test in load_model_tests(kind=kind):
            if test.model is not None:
                sets = [(list(inputs), list(outputs)) for inputs, outputs in test.data_sets]
                model = test.model
            else:
                folder = Path(test.model_dir)
                model = onnx.load(folder / "model.onnx")
                sets = [stored(path) for path in sorted(folder.glob("test_data_set_*"))]
            for inputs, outputs in sets:
                yield Case(test.name, model, inputs, outputs, test.rtol, test.atol)


def stored(folder: Path) -> tuple[list[Any], list[Any]]:
    """The inputs and outputs that lie in a folder."""

    def arrays(kind: str) -> list[Any]:
        paths = (folder / f"{kind}_{i}.pb" for i in range(len(list(folder.glob(f"{kind}_*.pb")))))
        return [onnx.load_tensor(path) for path in paths]

    return arrays("input"), arrays("output")


def difference_of(case: Case, path: Path) -> str | None:
    """Why a case is not read, or how its result differs, in a line; None where it passes.

    Where the reader warns that the net takes the input reshaped or transposed, it gets it so.
    """
    inputs, outputs = ([as_array(value) for value in values] for values in case[2:4])
    if not inputs or any(value is None for value in (*inputs, *outputs)):
        return "not read: no input, or sequences, optionals or sparse tensors"
    onnx.save(of_one_input(case.model, inputs), path)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            net = load(path)
    except ValueError as error:
        reason = re.sub(r"^load: \S+ has what minicnn does not read: ", "", str(error))
        return f"not read: {reason}"
    try:
        with no_grad():
            y = net(as_told(Tensor(inputs[0]), told)).numpy()
    except (TypeError, ValueError) as error:
        return f"not computed: {error}"
    return differing(y, outputs[0], case)


def as_told(x: Tensor, told: Sequence[warnings.WarningMessage]) -> Tensor:
    """The input as the reader's warning wants it: ``x.transpose(0, 3, 1, 2)``."""
    calls = [
        call for w in told for call in re.findall(r"\.(reshape|transpose)\((.*?)\)", str(w.message))
    ]
    for method, sizes in calls:
        x = getattr(x, method)(*map(int, sizes.rstrip(",").split(",")))
    return x


def as_array(value: Any) -> Any:
    """A case's value as an array, None where it is none."""
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.ndarray | np.generic) else None


def of_one_input(model: Any, inputs: Sequence[np.ndarray]) -> Any:
    """The model with all inputs but the first as constants (which old files name as inputs too)."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    constants = {tensor.name for tensor in changed.graph.initializer}
    free = [value.name for value in changed.graph.input if value.name not in constants]
    for name, array in zip(free[1:], inputs[1:], strict=True):
        changed.graph.initializer.append(numpy_helper.from_array(array, name))
    return changed


def differing(y: np.ndarray, wanted: np.ndarray, case: Case) -> str | None:
    """How a result differs by more than the case's tolerance."""
    if y.shape != wanted.shape:
        return f"shape {y.shape}; ONNX: {wanted.shape}"
    if y.dtype != wanted.dtype:
        return f"dtype {y.dtype}; ONNX: {wanted.dtype}"
    if np.allclose(y, wanted, rtol=case.rtol, atol=case.atol, equal_nan=True):
        return None
    return f"value: {y.flat[0]} for {wanted.flat[0]}, the first of {y.size}"
