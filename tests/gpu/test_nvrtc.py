"""What NVIDIA's compiler says of the kernels, for every kind of GPU that CuPy 14 serves.

NVRTC needs no GPU: this is the compiler that a user's machine will run. Its assembler's report
tells registers, shared memory and spilled bytes.
"""

from __future__ import annotations

import functools
import importlib
import re
from typing import Any, NamedTuple

import numpy as np
import pytest

from minicnn.compiler.gpu import tiling
from tests.gpu import emulator, texts
from tests.gpu.pretend import standin_for_cupy
from tests.gpu.ptx.nvrtc import without_places
from tests.gpu.sass.launches import of_step

nvrtc: Any = pytest.importorskip("cupy_backends.cuda.libs.nvrtc", reason="needs CuPy and NVRTC")

ARCHITECTURES = ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"]
REALS = ["float", "double"]
OPTIONS = ("-std=c++17", "-ftz=true", "--device-as-default-execution-space")  # as CuPy's RawModule
MOST_REGISTERS = 255
MOST_SHARED = 48 * 1024  # bytes a block without asking for more
REGISTERS_OF_A_MULTIPROCESSOR = 65_536
BLOCK = 256


class Usage(NamedTuple):
    """What a kernel takes."""

    registers: int
    shared: int
    spilled: int


@functools.cache
def compiled(architecture: str, real: str, text: str = "") -> tuple[str, str]:
    """PTX and the assembler's report, by default of all kernels in their general form.

    A source that does not compile fails with NVRTC's log.
    """
    program = nvrtc.createProgram(text or texts.everything(), "kernels.cu", [], [])
    options = (*OPTIONS, f"-arch={architecture}", f"-DREAL={real}", "--ptxas-options=-v")
    try:
        nvrtc.compileProgram(program, options)
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    ptx = nvrtc.getPTX(program)
    return ptx.decode() if isinstance(ptx, bytes) else ptx, nvrtc.getProgramLog(program)


def usages(report: str) -> dict[str, Usage]:
    """What each kernel takes, from the assembler's report."""
    found = {}
    for part in report.split("Compiling entry function ")[1:]:
        numbers = [re.search(p, part) for p in (r"Used (\d+) reg", r"(\d+) bytes smem")]
        spills = sum(int(n) for n in re.findall(r"(\d+) bytes spill", part))
        registers, shared = (int(n[1]) if n else 0 for n in numbers)
        found[part.split("'")[1]] = Usage(registers, shared, spills)
    return found


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kernel_compiles_and_fits(architecture: str, real: str) -> None:
    _, report = compiled(architecture, real)
    used = usages(report)
    assert set(used) == set(texts.names())
    for name, usage in used.items():
        assert usage.spilled == 0, f"{name} spills"
        assert 0 < usage.registers <= MOST_REGISTERS, name
        assert usage.registers * BLOCK <= REGISTERS_OF_A_MULTIPROCESSOR, name
        assert usage.shared <= MOST_SHARED, name


@functools.cache
def plan_of(model: str) -> str:
    """The text of a step's kernels, with its sizes as literals."""
    return of_step(model, 8)[0].code


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("architecture", ["sm_75", "sm_120"])
@pytest.mark.parametrize("model", ["lenet", "lenet-plus"])
def test_a_plans_kernels_fit_too(model: str, architecture: str, real: str) -> None:
    _, report = compiled(architecture, real, plan_of(model))
    for name, usage in usages(report).items():
        assert usage.spilled == 0, f"{name} spills"
        assert 0 < usage.registers <= MOST_REGISTERS, name


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_86", "sm_89"])
def test_ptx_is_the_same_up_to_sm_90(architecture: str, real: str) -> None:
    """So what is executed as PTX of sm_90 (test_ptx.py) holds for them all; sm_100's is another."""
    older, sm_90 = (compiled(name, real)[0] for name in (architecture, "sm_90"))
    assert f".target {architecture}" in older
    assert without_places(older) == without_places(sm_90)
    assert without_places(older) != without_places(compiled("sm_100", real)[0])


@functools.cache
def with_a_large_pooling() -> str:
    """A convolution whose threads take windows of as many cells as they can."""
    size, window = tiling.Geometry(64, 32, 28, 28, 3, 3, 1, 1, 1, 1, 1, 1, 28, 28), (4, 4)
    way = tiling.forward(size, window)
    assert way is not None
    numbers = 1, 1, 1, 1, *window, *size, *way  # bias, activation, what is kept, average
    with standin_for_cupy() as cupy:
        literal: Any = importlib.import_module("minicnn.kernels.gpu.literal")
        arguments = *[cupy.ones(1)] * 6, np.int32(1), *numbers
        return str(literal.text_of([literal.Call("conv_forward", arguments, way.threads)]))


@pytest.mark.parametrize("real", REALS)
def test_a_large_pooling_does_not_spill(real: str) -> None:
    _, report = compiled("sm_90", real, with_a_large_pooling())
    assert [usage.spilled for usage in usages(report).values()] == [0]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_float_build_has_no_double(architecture: str) -> None:
    ptx, _ = compiled(architecture, "float")
    assert not re.findall(r"^.*\.f64.*$", ptx, re.MULTILINE)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_pixel_is_a_quotient(architecture: str) -> None:
    """Not a product by a rounded 1 / 255, which is another number for half of all pixels."""
    ptx, _ = compiled(architecture, "float")
    assert f"0f{np.float32(1 / 255).view(np.uint32):08X}" not in ptx


@pytest.mark.parametrize("real", REALS)
def test_parameters_are_as_wide_as_what_is_passed(real: str) -> None:
    """Each launch is checked against ``signatures``; here these against the compiler's own."""
    ptx, _ = compiled("sm_75", real)
    dtype = {"float": "float32", "double": "float64"}[real]
    entries = dict(re.findall(r"\.entry (\w+)\(([^)]*)\)", ptx))
    for name, parameters in emulator.signatures(texts.everything(), dtype).items():
        widths = [int(bits) // 8 for bits in re.findall(r"\.param \.\w(\d+)", entries[name])]
        passed = [np.dtype(np.uintp) if p.is_pointer else p.dtype for p in parameters]
        assert widths == [dtype.itemsize for dtype in passed], name
