"""``python -m minicnn.selfcheck`` notices what is wrong, and says so in its exit status."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import kernels, optim, selfcheck
from minicnn.kernels import cpu

CASES = [(dtype, *case) for dtype in selfcheck.TOLERANCE for case in selfcheck.kernel_cases(dtype)]
IDS = [f"{name}-{dtype}" for dtype, name, _ in CASES]
SLIGHTLY = {"float32": 1e-4, "float64": 1e-10}  # relative errors that are errors


@pytest.fixture(autouse=True)
def compiled_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of ``cpu``, whatever this run of the tests is about."""
    monkeypatch.setattr(kernels, "host_kernels", lambda: cpu)


def changed(kernel: Callable[..., Any], change: Callable[[np.ndarray], np.ndarray]) -> Any:
    """A kernel whose first result of real numbers has another largest number."""

    def other(*arguments: Any) -> Any:
        result = kernel(*arguments)
        if result is None:  # it has changed its first argument
            arguments[0][...] = change(arguments[0])
            return None
        if not isinstance(result, tuple):
            return change(result)
        wrong = next(i for i, a in enumerate(result) if a.dtype.kind == "f")
        return tuple(change(a) if i == wrong else a for i, a in enumerate(result))

    return other


def largest_replaced(by: Callable[[Any], Any]) -> Callable[[np.ndarray], np.ndarray]:
    def change(a: np.ndarray) -> np.ndarray:
        a = np.array(a)
        place = np.unravel_index(np.abs(a).argmax(), a.shape)
        a[place] = by(a[place])
        return a

    return change


def test_every_kernel_is_checked() -> None:
    kernels_of_cpu = {*cpu.__all__} - {"get_num_threads", "set_num_threads"}
    assert {name for _, name, _ in CASES} == kernels_of_cpu


@pytest.mark.parametrize(("dtype", "name", "arguments"), CASES, ids=IDS)
def test_a_kernel_that_is_right_passes(dtype: str, name: str, arguments: Any) -> None:
    assert selfcheck.check_kernel(name, arguments, "cpu") is None


@pytest.mark.parametrize(("dtype", "name", "arguments"), CASES, ids=IDS)
def test_a_kernel_that_is_slightly_off_fails(
    dtype: str, name: str, arguments: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = largest_replaced(lambda a: a * (1 + SLIGHTLY[dtype]))
    monkeypatch.setattr(cpu, name, changed(getattr(cpu, name), off))
    problem = selfcheck.check_kernel(name, arguments, "cpu")
    if name in ("random_uniform", "load_batch") and dtype == "float64":
        assert problem is None  # their numbers are float32, and 1e-10 is no change of them
    else:
        assert problem is not None
        assert "of the largest number" in problem


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("dtype", "name", "arguments"), CASES, ids=IDS)
def test_a_number_that_is_none_fails(
    dtype: str, name: str, arguments: Any, wrong: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = largest_replaced(lambda a: wrong)
    monkeypatch.setattr(cpu, name, changed(getattr(cpu, name), off))
    assert selfcheck.check_kernel(name, arguments, "cpu") is not None


def test_an_integer_a_shape_and_a_dtype_that_are_other_ones_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = dict(selfcheck.kernel_cases("float32"))["max_pool"]
    y, index = cpu.max_pool(*arguments)
    for result, problem in [
        ((y, index + (index == index.max())), r"FAILED: [1-9]\d* of 810 cells differ"),
        ((y[:1], index), r"FAILED: float32 \(1, .*; wanted float32 \(3, "),
        ((y.astype("float64"), index), "FAILED: float64 .*; wanted float32"),
    ]:
        monkeypatch.setattr(cpu, "max_pool", lambda *_, result=result: result)
        found = selfcheck.check_kernel("max_pool", arguments, "cpu")
        assert found is not None
        assert re.match(problem, found), found


@pytest.mark.parametrize(("model", "dtype"), [("others", "float32"), ("lenet-max", "float64")])
def test_eager_steps_that_are_right_pass_and_others_fail(
    model: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert selfcheck.check_eager(model, dtype, "cpu") is None
    sgd = cpu.sgd
    monkeypatch.setattr(cpu, "sgd", lambda p, g, v, lr, *more: sgd(p, g, v, 1.05 * lr, *more))
    problem = selfcheck.check_eager(model, dtype, "cpu")
    assert problem is not None
    assert problem.startswith("FAILED: differs by")


def test_compiled_steps_that_are_right_pass_and_others_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert selfcheck.check_compiled("others", "float32", "cpu") is None

    compile = minicnn.compile

    def off(net: Any, loss: Any, optimizer: optim.SGD) -> Any:
        optimizer.momentum = 0.85
        return compile(net, loss, optimizer)

    monkeypatch.setattr(minicnn, "compile", off)
    problem = selfcheck.check_compiled("others", "float32", "cpu")
    assert problem is not None
    assert problem.startswith("FAILED: ")


def fails() -> str:
    return "FAILED: differs by 1.0e+00 of the largest number"


def breaks() -> str:
    raise RuntimeError("the driver\nsays no")


@pytest.mark.parametrize(
    ("found", "status", "last"),
    [
        ([lambda: None, lambda: None], 0, "everything agrees"),
        ([lambda: None, fails], 1, "1 of these failed"),
        ([breaks, lambda: None], 1, "1 of these failed"),
        ([fails, breaks, lambda: None], 1, "2 of these failed"),
    ],
)
def test_the_exit_status_says_whether_all_agrees(
    found: list[Any],
    status: int,
    last: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = [(f"check {i}", check) for i, check in enumerate(found)]
    monkeypatch.setattr(selfcheck, "checks", lambda device: iter(named))
    assert selfcheck.main(["--device", "cpu"]) == status
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == last
    told = lines[-1 - len(found) : -1]
    for (name, check), line in zip(named, told, strict=True):
        assert line.startswith(name)
        assert ("FAILED" in line) == (check in (fails, breaks))
        assert line.endswith("OK") == (check not in (fails, breaks))
        if check is breaks:
            assert line.endswith("FAILED: RuntimeError: the driver says no")


def test_json_is_an_object_a_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(selfcheck, "checks", lambda _: iter([("a", lambda: None), ("b", breaks)]))
    assert selfcheck.main(["--device", "cpu", "--json"]) == 1
    printed = capsys.readouterr()
    assert [json.loads(line) for line in printed.out.splitlines()] == [
        {"check": "a", "problem": None},
        {"check": "b", "problem": "FAILED: RuntimeError: the driver says no"},
    ]
    assert printed.err.endswith("1 of these failed\n")


def test_all_kernels_and_nets_are_among_the_checks() -> None:
    names = [name for name, _ in selfcheck.checks("cpu")]
    assert len(names) == len(set(names)) == len(CASES) + 2 * 2 * len(selfcheck.NETS)
    for dtype, kernel, _ in CASES:
        assert f"{kernel}, {dtype}" in names
    for model in selfcheck.NETS:
        for dtype in selfcheck.TOLERANCE:
            assert f"{model}, {dtype}: eager, against the CPU" in names
            assert f"{model}, {dtype}: compiled, against eager" in names
