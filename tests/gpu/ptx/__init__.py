"""The kernels as NVIDIA's compiler understands them: its PTX, executed on the CPU and checked.

``build`` is ``emulator.build`` with other insides: NVRTC compiles the text for an architecture, a
machine of 32 lanes runs the PTX (``shim/ptx/``) under a shadow memory that knows who touched each
cell last. It finds races between blocks and within one, missing barriers, misaligned accesses,
accesses outside of the arrays, writes to what is read as constant.
"""

from __future__ import annotations

from .library import Library, build, reachable
from .nvrtc import is_there
from .reader import UnknownError

__all__ = ["Library", "UnknownError", "build", "is_there", "reachable"]
