"""The sets of kernels hold the same functions: names, arguments, defaults and types.

That ``gpu`` does too is tested in tests/gpu/test_kernels.py.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from minicnn import kernels
from minicnn.kernels import cpu, reference


@pytest.mark.parametrize("name", cpu.__all__)
def test_a_kernel_of_the_processor_has_the_reference_s_signature(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(module, name)) for module in (cpu, reference))
    assert ours == theirs


def test_a_type_checker_is_told_of_the_same_functions() -> None:
    """What ``kernels.of`` gives is a class for mypy alone: read here as text."""
    text = Path(kernels.__file__).read_text()
    told = re.findall(r"^ +(\w+) = staticmethod\(reference\.(\w+)\)$", text, re.MULTILINE)
    assert all(name == of_reference for name, of_reference in told)
    assert sorted(name for name, _ in told) == sorted(cpu.__all__)
