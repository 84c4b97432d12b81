"""NVIDIA's compiler, called without a GPU; its PTX is kept on disk."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from tests.gpu import emulator

# CuPy's own for a RawModule, and the lines of the source, which change no instruction
OPTIONS = ("-std=c++17", "-ftz=true", "--device-as-default-execution-space", "-lineinfo")
REALS = emulator.REALS


@functools.cache
def _nvrtc() -> Any:
    nvrtc = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
    nvrtc.getVersion()  # the first call loads the library, with the help of CuPy
    return nvrtc


def is_there() -> bool:
    """Whether CuPy and NVRTC are installed. Has to be asked before a stand-in takes CuPy's name."""
    return importlib.util.find_spec("cupy_backends") is not None and bool(_nvrtc())


def ptx_of(text: str, real: str, architecture: str) -> str:
    """The PTX of ``text`` for "sm_90", say.

    Raises:
        CompileError: NVRTC's log.
    """
    nvrtc = _nvrtc()
    options = (*OPTIONS, f"-arch={architecture}", f"-DREAL={REALS[real]}")
    key = "\0".join([str(nvrtc.getVersion()), *options, text])
    path = emulator._cache_folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.ptx"
    if not path.exists():
        _write(path, _compiled(nvrtc, text, options))
    return path.read_text()


def _compiled(nvrtc: Any, text: str, options: tuple[str, ...]) -> str:
    program = nvrtc.createProgram(text, "kernels.cu", [], [])
    try:
        nvrtc.compileProgram(program, options)
    except nvrtc.NVRTCError:
        raise emulator.CompileError(nvrtc.getProgramLog(program)) from None
    ptx = nvrtc.getPTX(program)
    return ptx.decode() if isinstance(ptx, bytes) else ptx


def _write(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)


def without_places(ptx: str) -> str:
    """The instructions alone: no lines of the source, no header that names the architecture."""
    ptx = re.sub(r"\t\.section.*", "", ptx, flags=re.S)
    return re.sub(r"//[^\n]*|\.(?:loc|file|version|target|address_size)\b[^\n]*", "", ptx)
